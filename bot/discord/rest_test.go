package discord

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/bot/discord/discordtest"
)

var story = bot.Message{Title: "Sugar Land: permit issued", Lines: []bot.Line{bot.Text("k7f3q2ma")}}

func sendError(t *testing.T, err error) *bot.SendError {
	t.Helper()
	var e *bot.SendError
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a *bot.SendError", err)
	}
	return e
}

func TestWhatDiscordAnswersHasItsClass(t *testing.T) {
	t.Parallel()
	refusal := func(status, code int) discordtest.Fault {
		return discordtest.Fault{Status: status, Body: discordtest.Refusal(code, "no")}
	}
	html := "<!DOCTYPE html><html>Error</html>"
	for name, c := range map[string]struct {
		fault  discordtest.Fault
		want   bot.Class
		wait   time.Duration
		global bool
	}{
		"unknown channel":                 {refusal(404, 10003), bot.ChatGone, 0, false},
		"unknown guild":                   {refusal(404, 10004), bot.ChatGone, 0, false},
		"missing access":                  {refusal(403, 50001), bot.ChatGone, 0, false},
		"missing permissions":             {refusal(403, 50013), bot.ChatGone, 0, false},
		"a person who takes no messages":  {refusal(403, 50007), bot.ChatGone, 0, false},
		"a voice channel":                 {refusal(400, 50008), bot.ChatGone, 0, false},
		"an invalid form":                 {refusal(400, 50035), bot.Rejected, 0, false},
		"blocked by AutoMod":              {refusal(400, 200000), bot.Rejected, 0, false},
		"too large":                       {refusal(413, 40005), bot.Rejected, 0, false},
		"a code that nobody knows":        {refusal(403, 99999), bot.Rejected, 0, false},
		"slow mode":                       {refusal(400, 20016), bot.RateLimited, time.Minute, false},
		"switched off for a while":        {refusal(400, 40004), bot.Transient, 0, false},
		"a revoked token":                 {refusal(401, 0), bot.Unauthorized, 0, false},
		"an internal error":               {discordtest.Fault{Status: 500}, bot.Unknown, 0, false},
		"a bad gateway":                   {discordtest.Fault{Status: 502, Body: html}, bot.Unknown, 0, false},
		"unavailable, and yet done":       {discordtest.Fault{Status: 503, Accepted: true}, bot.Unknown, 0, false},
		"a timeout at the proxy":          {discordtest.Fault{Status: 504, Body: html}, bot.Unknown, 0, false},
		"cut before the answer":           {discordtest.Fault{}, bot.Unknown, 0, false},
		"accepted, then cut":              {discordtest.Fault{Accepted: true}, bot.Unknown, 0, false},
		"half an answer":                  {discordtest.Fault{Half: true}, bot.Unknown, 0, false},
		"well, but a page":                {discordtest.Fault{Status: 200, Body: html}, bot.Unknown, 0, false},
		"well, but no message":            {discordtest.Fault{Status: 200, Body: "{}"}, bot.Unknown, 0, false},
		"a redirect":                      {discordtest.Fault{Status: 307, Header: http.Header{"Location": {"/elsewhere"}}}, bot.Transient, 0, false},
		"not found, and not by Discord":   {discordtest.Fault{Status: 404, Body: html}, bot.Transient, 0, false},
		"a limit":                         {discordtest.Fault{Status: 429, Body: `{"message":"slow","retry_after":1.337,"global":false}`}, bot.RateLimited, 1337 * time.Millisecond, false},
		"a global limit":                  {discordtest.Fault{Status: 429, Body: `{"message":"slow","retry_after":2.5,"global":true}`, Header: http.Header{"X-Ratelimit-Global": {"true"}}}, bot.RateLimited, 2500 * time.Millisecond, true},
		"a limit whose wait is elsewhere": {discordtest.Fault{Status: 429, Body: `{}`, Header: http.Header{"Retry-After": {"9"}}}, bot.RateLimited, 9 * time.Second, false},
		"a ban":                           {discordtest.Fault{Status: 429, Body: html}, bot.RateLimited, bannedFor, true},
		"a ban that names its end":        {discordtest.Fault{Status: 429, Body: html, Header: http.Header{"Retry-After": {"3600"}}}, bot.RateLimited, time.Hour, true},
		"a proxy that knows us":           {discordtest.Fault{Status: 403, Body: html}, bot.RateLimited, bannedFor, true},
		"a redirect without an end":       {discordtest.Fault{Status: 302, Body: "{}"}, bot.Transient, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.Inject(c.fault)
			_, err := newAdapter(t, s).Send(t.Context(), bot.Target{Chat: chat(channel)}, story, "k")
			e := sendError(t, err)
			if e.Class != c.want || e.Wait != c.wait || e.Global != c.global {
				t.Errorf("class %s, wait %s, global %t (%v); want %s, %s, %t", e.Class, e.Wait, e.Global, err, c.want, c.wait, c.global)
			}
			if n := len(s.Requests()); n != 1 {
				t.Errorf("%d requests, want one: an adapter does not repeat", n)
			}
		})
	}
}

func TestAServerThatIsNotThereHasSurelyShownNothing(t *testing.T) {
	t.Parallel()
	s := discordtest.New()
	a := newAdapter(t, s)
	s.Close()
	_, err := a.Send(t.Context(), bot.Target{Chat: chat(channel)}, story, "k")
	if e := sendError(t, err); e.Class != bot.Transient {
		t.Errorf("class %s (%v)", e.Class, err)
	}
}

func TestARepeatOfWhatWasDeletedCountsAsShown(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := newAdapter(t, s)
	to := bot.Target{Chat: chat(channel)}
	first, err := a.Send(t.Context(), to, story, "k")
	if err != nil {
		t.Fatal(err)
	}
	s.DeleteMessage(channel, first.Message)
	again, err := a.Send(t.Context(), to, story, "k")
	if err != nil || again.Message != "" {
		t.Errorf("posted as %+v, %v", again, err)
	}
	if shown := s.Shown(channel); len(shown) != 0 {
		t.Errorf("shown again: %+v", shown)
	}
}

func TestKeysBecomeNonces(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"k7f3q2ma":                   "k7f3q2ma",
		"0123456789012345678901234":  "0123456789012345678901234",
		"01234567890123456789012345": "",
		"schlüssel":                  "",
		"with blank":                 "",
	} {
		got := nonce(key)
		if want != "" && got != want || len(got) > 25 || want == "" && got == key {
			t.Errorf("nonce of %q is %q", key, got)
		}
	}
	if nonce("a long key that is hashed, 1") == nonce("a long key that is hashed, 2") {
		t.Error("two keys share a nonce")
	}
}

func TestThreadsThatTakeNothing(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*discordtest.Channel){
		"archived and locked":        func(c *discordtest.Channel) { c.Archived, c.Locked = true, true },
		"locked":                     func(c *discordtest.Channel) { c.Locked = true },
		"not to be written in by us": func(c *discordtest.Channel) { c.ReadOnly = true },
		"hidden from us":             func(c *discordtest.Channel) { c.Hidden = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			a := newAdapter(t, s)
			in := bot.Target{Chat: chat(channel), Thread: thread}
			old, err := a.Send(t.Context(), in, story, "0")
			if err != nil {
				t.Fatal(err)
			}
			s.Alter(thread, spoil)
			p, err := a.Send(t.Context(), in, story, "1")
			if err != nil || !p.Elsewhere {
				t.Errorf("posted as %+v, %v", p, err)
			}
			if shown := s.Shown(channel); len(shown) != 1 || shown[0].ID != p.Message {
				t.Errorf("shown in the channel: %+v", shown)
			}
			if name == "locked" || name == "not to be written in by us" {
				return // a change of what is there is not writing
			}
			in.Edit = old.Message
			_, err = a.Send(t.Context(), in, story, "2")
			if e := sendError(t, err); e.Class != bot.MessageGone {
				t.Errorf("an edit there: %v", err)
			}
		})
	}
	t.Run("the chat is gone as well", func(t *testing.T) {
		t.Parallel()
		s := newServer(t)
		s.DeleteChannel(channel)
		s.DeleteChannel(thread)
		_, err := newAdapter(t, s).Send(t.Context(), bot.Target{Chat: chat(channel), Thread: thread}, story, "1")
		if e := sendError(t, err); e.Class != bot.ChatGone {
			t.Error(err)
		}
	})
	t.Run("one that is only archived wakes", func(t *testing.T) {
		t.Parallel()
		s := newServer(t)
		s.Alter(thread, func(c *discordtest.Channel) { c.Archived = true })
		p, err := newAdapter(t, s).Send(t.Context(), bot.Target{Chat: chat(channel), Thread: thread}, story, "1")
		if err != nil || p.Elsewhere || len(s.Shown(thread)) != 1 {
			t.Errorf("posted as %+v, %v", p, err)
		}
	})
}

func TestWithoutPermissionForThreadsTheChatIsNotGone(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := newAdapter(t, s)
	p, err := a.Send(t.Context(), bot.Target{Chat: chat(channel)}, story, "k")
	if err != nil {
		t.Fatal(err)
	}
	s.Alter(channel, func(c *discordtest.Channel) { c.NoThreads = true })
	_, err = a.OpenThread(t.Context(), bot.Target{Chat: chat(channel), Edit: p.Message}, "AAOI")
	if e := sendError(t, err); e.Class != bot.Rejected {
		t.Error(err)
	}
}

func TestWithoutPermissionToReadBackAnAnswerIsShownAllTheSame(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := newAdapter(t, s)
	p, err := a.Send(t.Context(), bot.Target{Chat: chat(channel)}, story, "k")
	if err != nil {
		t.Fatal(err)
	}
	s.Alter(channel, func(c *discordtest.Channel) { c.NoHistory = true })
	if _, err := a.Send(t.Context(), bot.Target{Chat: chat(channel), Answer: p.Message}, story, "k2"); err != nil {
		t.Fatal(err)
	}
	if shown := s.Shown(channel); len(shown) != 2 || shown[1].Answers != "" {
		t.Errorf("shown: %+v", shown)
	}
}

func TestAnExhaustedBucketIsNotTried(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.Limit(true)
	s.AddChannel(discordtest.Channel{ID: "42"})
	a := newAdapter(t, s)
	send := func(to string, key int) error {
		_, err := a.Send(t.Context(), bot.Target{Chat: chat(to)}, story, fmt.Sprint("key", key))
		return err
	}
	for i := range 5 {
		if err := send(channel, i); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	e := sendError(t, send(channel, 5))
	if e.Class != bot.RateLimited || e.Wait <= 0 || e.Wait > 5*time.Second || e.Global {
		t.Fatalf("the sixth: %v, wait %s", e, e.Wait)
	}
	if d := time.Since(begun); d > time.Second {
		t.Errorf("it slept for %s", d)
	}
	if err := send("42", 6); err != nil {
		t.Errorf("another channel: %v", err)
	}
	s.Advance(e.Wait)
	if err := send(channel, 5); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	if n := s.Invalid(); n != 0 {
		t.Errorf("%d requests were refused by Discord, want none", n)
	}
}

// A storm is many senders who do as they are told.
func storm(t *testing.T, s *discordtest.Server, a *Adapter, chats, each int) {
	t.Helper()
	for c := range chats {
		s.AddChannel(discordtest.Channel{ID: fmt.Sprint(5000 + c)})
	}
	pending := map[string]int{} // sent so far, by chat
	hold := map[string]time.Time{}
	var all time.Time
	for turns := 0; len(pending) < chats || !done(pending, each); turns++ {
		if turns > 10000 {
			t.Fatalf("no end: %v", pending)
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		now := s.Now()
		for c := range chats {
			id := fmt.Sprint(5000 + c)
			mu.Lock()
			n := pending[id]
			wait := n == each || now.Before(hold[id]) || now.Before(all)
			mu.Unlock()
			if wait {
				continue
			}
			wg.Go(func() {
				_, err := a.Send(t.Context(), bot.Target{Chat: chat(id)}, story, fmt.Sprint(id, "/", n))
				mu.Lock()
				defer mu.Unlock()
				var e *bot.SendError
				switch {
				case err == nil:
					pending[id]++
				case errors.As(err, &e) && e.Class == bot.RateLimited && e.Global:
					all = s.Now().Add(e.Wait)
				case errors.As(err, &e) && e.Class == bot.RateLimited:
					hold[id] = s.Now().Add(e.Wait)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		s.Advance(max(20*time.Millisecond, all.Sub(s.Now())))
	}
	for c := range chats {
		if n := len(s.Shown(fmt.Sprint(5000 + c))); n != each {
			t.Errorf("chat %d was shown %d, want %d", c, n, each)
		}
	}
}

func done(pending map[string]int, each int) bool {
	for _, n := range pending {
		if n < each {
			return false
		}
	}
	return true
}

func TestAStormOfMessagesKeepsFarFromABan(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.Limit(true)
	storm(t, s, newAdapter(t, s), 40, 12)
	if n := s.Invalid(); n >= 100 {
		t.Errorf("%d requests were refused within ten minutes", n)
	}
}

func TestABannedAddressIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := newAdapter(t, s)
	s.Ban(true)
	for range 300 { // an hour of a try every 12 s
		_, err := a.Send(t.Context(), bot.Target{Chat: chat(channel)}, story, "k")
		if e := sendError(t, err); e.Class != bot.RateLimited || !e.Global || e.Wait <= 0 {
			t.Fatalf("%v, wait %s", err, e.Wait)
		}
		s.Advance(12 * time.Second)
	}
	if n := len(s.Requests()); n > 7 {
		t.Errorf("%d requests in an hour", n)
	}
	s.Ban(false)
	s.Advance(bannedFor)
	if _, err := a.Send(t.Context(), bot.Target{Chat: chat(channel)}, story, "k"); err != nil {
		t.Error(err)
	}
}

func TestRefusalsAreFewerThanAHundredInTenMinutes(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.Alter(channel, func(c *discordtest.Channel) { c.Hidden = true })
	a := newAdapter(t, s)
	held := false
	for range 600 { // a caller that never learns
		_, err := a.Send(t.Context(), bot.Target{Chat: chat(channel)}, story, "k")
		held = held || sendError(t, err).Class == bot.RateLimited
		s.Advance(time.Second)
	}
	if n := s.Invalid(); n >= 100 || !held {
		t.Errorf("%d requests were refused, held back: %t", n, held)
	}
	s.Alter(channel, func(c *discordtest.Channel) { c.Hidden = false })
	s.Advance(10 * time.Minute)
	if _, err := a.Send(t.Context(), bot.Target{Chat: chat(channel)}, story, "k2"); err != nil {
		t.Error(err)
	}
}

func TestWhileAllMustWaitInteractionsAreAnswered(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := newAdapter(t, s)
	r := start(t, s, a, nil)
	r.live()
	s.Inject(discordtest.Fault{Match: discordtest.Writing, Status: 429, Body: `{"retry_after":60,"global":true}`})
	to := bot.Target{Chat: chat(channel)}
	for range 2 {
		_, err := a.Send(t.Context(), to, story, "k")
		if e := sendError(t, err); !e.Global {
			t.Errorf("%v", err)
		}
	}
	s.UseCommand(channel, person, "why")
	in := r.waitFor("/why")
	if err := a.Reply(t.Context(), in, story); err != nil {
		t.Error(err)
	}
	if shown := s.Shown(channel); len(shown) != 1 || shown[0].Title != story.Title {
		t.Errorf("shown: %+v", shown)
	}
}

func TestNoTokenIsInAnyErrorOrLog(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var log safeBuffer
	wire := &http.Transport{}
	t.Cleanup(wire.CloseIdleConnections)
	a, err := New(Config{Token: s.Token(), APIURL: s.URL(), Now: s.Now, Transport: wire, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	r := start(t, s, a, nil)
	r.live()
	s.UseCommand(channel, person, "why")
	in := r.waitFor("/why")
	for _, f := range []discordtest.Fault{{}, {Half: true}, {Status: 500, Body: s.Token()}, {Status: 400, Body: discordtest.Refusal(50035, "your token is "+s.Token())}, {Status: 200, Body: "<html>" + s.Token()}} {
		for _, try := range []func() error{
			func() error {
				_, err := a.Send(t.Context(), bot.Target{Chat: chat(channel)}, story, "k")
				return err
			},
			func() error { return a.Reply(t.Context(), in, story) },
			func() error { _, err := a.Probe(t.Context()); return err },
		} {
			s.Inject(f)
			if err := try(); err != nil {
				texts = append(texts, fmt.Sprintf("%v %+v %#v", err, err, err))
			}
		}
	}
	s.Drop()
	s.Refuse(4004)
	texts = append(texts, fmt.Sprint(r.stopped()), log.String())
	if len(texts) < 10 {
		t.Fatalf("only %d texts", len(texts))
	}
	for _, text := range texts {
		for _, secret := range []string{s.Token(), "tok-"} {
			if strings.Contains(text, secret) {
				t.Errorf("a secret is in %q", text)
			}
		}
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestConfigurationsThatCannotBeRight(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"no token":                 {},
		"a token of two lines":     {Token: "a\nb"},
		"an address without host":  {Token: "t", APIURL: "discord.com/api/v10"},
		"an address of a socket":   {Token: "t", APIURL: "ws://discord.com"},
		"an address with question": {Token: "t", APIURL: "https://discord.com/api?v=10"},
	} {
		if _, err := New(cfg); err == nil || cfg.Token != "" && len(cfg.Token) > 1 && strings.Contains(err.Error(), cfg.Token) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkSend(b *testing.B) {
	s := discordtest.New()
	defer s.Close()
	s.AddChannel(discordtest.Channel{ID: channel})
	wire := &http.Transport{MaxIdleConnsPerHost: 4}
	defer wire.CloseIdleConnections()
	a, err := New(Config{Token: s.Token(), APIURL: s.URL(), Transport: wire})
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		if _, err := a.Send(context.Background(), bot.Target{Chat: chat(channel)}, story, fmt.Sprint("key", i)); err != nil {
			b.Fatal(err)
		}
	}
}
