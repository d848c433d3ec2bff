package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/bot/adaptertest"
	"github.com/chokepoint-bot/chokepoint/bot/telegram/telegramtest"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

const patience = 30 * time.Second

// running is an adapter's Run under way.
type running struct {
	got  chan bot.Inbound
	stop func() error // ends it and says what it returned
}

func run(t *testing.T, a *Adapter) running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := running{got: make(chan bot.Inbound, 256)}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, adaptertest.Menu, func(_ context.Context, in bot.Inbound) { r.got <- in }) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = r.stop() })
	return r
}

func (r running) next(t *testing.T) bot.Inbound {
	t.Helper()
	select {
	case in := <-r.got:
		return in
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return bot.Inbound{}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

func TestTextIsForTheBotOrNot(t *testing.T) {
	t.Parallel()
	const us = "Our_bot"
	for _, tc := range []struct {
		text  string
		heard bool
		want  string
		ok    bool
	}{
		{"/status", false, "/status", true},
		{"/status@our_BOT", false, "/status", true},
		{"/alert@Our_bot AAOI  below 20", false, "/alert AAOI  below 20", true},
		{"/alert@Our_bot\nAAOI", false, "/alert\nAAOI", true},
		{"/status@other_bot", true, "", false},
		{"/status@other_bot @our_bot", true, "", false},
		{"/why me@our_bot", false, "/why me@our_bot", true},
		{"@our_bot status", false, "status", true},
		{"how is Texas, @Our_Bot?", false, "how is Texas, ?", true},
		{"德州怎么样@our_bot", false, "德州怎么样", true},
		{"@our_bot2 status", false, "", false},
		{"me@our_bot", false, "", false},
		{"@our_bo", false, "", false},
		{"good morning", false, "", false},
		{"good morning", true, "good morning", true},
	} {
		got, ok := addressed(tc.text, us, tc.heard)
		if ok != tc.ok || ok && strings.TrimSpace(got) != tc.want {
			t.Errorf("%q (heard %t) is %q, %t; want %q, %t", tc.text, tc.heard, got, ok, tc.want, tc.ok)
		}
	}
}

func TestWhatArrivesSaysWhereAndWho(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	a := newAdapter(t, s, nil)
	r := run(t, a)
	s.SayAs(telegramtest.Said{Chat: forum, Topic: topic, User: 5, Text: "/status", Locale: "zh-hans"})
	in := r.next(t)
	if in.Chat.ID != "-1001000000001/45" || in.Thread != "45" || in.User != "5" || !in.Group || in.Locale != "zh-hans" || in.Title == "" || in.Message != "" {
		t.Errorf("arrived as %+v", in)
	}
	p, err := a.Send(t.Context(), bot.Target{Chat: chatID(group, 0)}, line("alert"), "")
	if err != nil {
		t.Fatal(err)
	}
	asked := s.SayAs(telegramtest.Said{Chat: group, User: 5, Text: "since when?", ReplyTo: number(p.Message)})
	in = r.next(t)
	if in.Text != "since when?" || in.Message != p.Message || in.Chat != chatID(group, 0) {
		t.Errorf("arrived as %+v", in)
	}
	if err := a.Reply(t.Context(), in, line("since May")); err != nil {
		t.Fatal(err)
	}
	if all := s.Messages(group); len(all) != 2 || all[1].ReplyTo != asked {
		t.Errorf("shown as %+v", all)
	}
}

func TestAPressIsAnsweredBeforeItIsHandled(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	a := newAdapter(t, s, nil)
	r := run(t, a)
	m := line("x")
	m.Actions = []bot.Action{{Label: "why", Command: "/why 1"}}
	p, err := a.Send(t.Context(), bot.Target{Chat: chatID(group, 0)}, m, "")
	if err != nil {
		t.Fatal(err)
	}
	id := s.Press(group, number(p.Message), "/why 1")
	if in := r.next(t); in.Text != "/why 1" || !s.Answered(id) {
		t.Errorf("%+v, answered %t", in, s.Answered(id))
	}
}

func TestAdminsAreAskedForOnceAMinuteAndUnnamedOnesAreAdmins(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	var mu sync.Mutex
	now := time.Now()
	a := newAdapter(t, s, func(c *Config) {
		c.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	r := run(t, a)
	admin := func() bool {
		t.Helper()
		ok, err := r.next(t).Admin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	s.SayAs(telegramtest.Said{Chat: forum, Anonymous: true, Text: "/status"})
	if !admin() || s.Calls("getChatMember") != 0 {
		t.Error("an unnamed administrator is not one")
	}
	s.SetAdmin(forum, 5, true)
	for range 2 {
		s.Say(forum, 5, "/status")
		if !admin() {
			t.Error("an administrator is not one")
		}
	}
	s.SetAdmin(forum, 5, false)
	s.Say(forum, 5, "/status")
	if !admin() || s.Calls("getChatMember") != 1 {
		t.Errorf("asked %d times within a minute", s.Calls("getChatMember"))
	}
	mu.Lock()
	now = now.Add(adminsFor)
	mu.Unlock()
	s.Say(forum, 5, "/status")
	if admin() {
		t.Error("who is no administrator any more is one after a minute")
	}
	s.Say(forum, 6, "/status")
	in := r.next(t)
	s.Kick(forum)
	if ok, err := in.Admin(t.Context()); ok || err == nil {
		t.Errorf("what cannot be found out is %t, %v", ok, err)
	}
}

func TestAGroupThatMovesIsFollowed(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	moved := make(chan [2]chokepoint.ChatID, 1)
	a := newAdapter(t, s, func(c *Config) {
		c.Moved = func(_ context.Context, from, to chokepoint.ChatID) { moved <- [2]chokepoint.ChatID{from, to} }
	})
	run(t, a)
	s.Migrate(group, -1007)
	want := [2]chokepoint.ChatID{chatID(group, 0), chatID(-1007, 0)}
	select {
	case got := <-moved:
		if got != want {
			t.Errorf("moved %v, want %v", got, want)
		}
	case <-time.After(patience):
		t.Fatal("nobody was told")
	}
	_, err := a.Send(t.Context(), bot.Target{Chat: want[0]}, line("x"), "")
	if e := failed(t, err); e.Class != bot.Moved || e.To != want[1] {
		t.Errorf("got %+v", e)
	}
}

func TestTheOffsetIsKeptAndWhatWasHandedOverDoesNotComeAgain(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	kept := &marks{}
	keeping := func(c *Config) { c.Offsets = kept }
	first := run(t, newAdapter(t, s, keeping))
	s.Say(private, private, "one")
	first.next(t)
	eventually(t, "the offset is not kept", func() bool {
		at, _ := kept.Mark(t.Context(), fmt.Sprintf("telegram:offset:%d", telegramtest.BotID))
		return at != ""
	})
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	s.Say(private, private, "two")
	second := run(t, newAdapter(t, s, keeping))
	if in := second.next(t); in.Text != "two" {
		t.Errorf("%q came after a restart", in.Text)
	}
	if s.Calls("setMyCommands") != 2 {
		t.Errorf("the menu was published %d times, want once in each language", s.Calls("setMyCommands"))
	}
}

func TestAHandlerThatNeverGotItsTurnIsNotConfirmed(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	kept := &marks{}
	for i := range handlersMost + 6 {
		s.Say(private, private, strconv.Itoa(i))
	}
	a := newAdapter(t, s, func(c *Config) { c.Offsets = kept })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	seen := map[string]bool{}
	full := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- a.Run(ctx, nil, func(ctx context.Context, in bot.Inbound) {
			mu.Lock()
			if seen[in.Text] = true; len(seen) == handlersMost {
				close(full)
			}
			mu.Unlock()
			<-ctx.Done()
		})
	}()
	<-full
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// Either all that room was made for at the end, or none: never lost.
	again := run(t, newAdapter(t, s, func(c *Config) { c.Offsets = kept }))
	for len(seen) < handlersMost+6 {
		in := again.next(t)
		if seen[in.Text] {
			t.Errorf("%q came twice", in.Text)
		}
		seen[in.Text] = true
	}
}

// script is a Bot API that answers getUpdates as it is told, and then with
// nothing; it says which offsets it was asked for.
type script struct {
	mu      sync.Mutex
	answers []string
	offsets []string
	drained chan struct{} // closed when every answer was given and asked beyond
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	say := func(code int, body string) (*http.Response, error) {
		return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
	_ = r.ParseForm()
	switch {
	case strings.HasSuffix(r.URL.Path, "/getMe"):
		return say(200, `{"ok":true,"result":{"id":1,"is_bot":true,"username":"our_bot"}}`)
	case !strings.HasSuffix(r.URL.Path, "/getUpdates"):
		return say(200, `{"ok":true,"result":[]}`)
	}
	s.mu.Lock()
	s.offsets = append(s.offsets, r.Form.Get("offset"))
	if len(s.answers) > 0 {
		answer := s.answers[0]
		s.answers = s.answers[1:]
		s.mu.Unlock()
		return say(200, answer)
	}
	close(s.drained) // once: this call lasts until Run ends
	s.mu.Unlock()
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// scripted runs an adapter over answers to getUpdates until all were taken.
func scripted(t *testing.T, answers ...string) (got []bot.Inbound, offsets []string, logged string, waits []time.Duration, err error) {
	t.Helper()
	s := &script{answers: answers, drained: make(chan struct{})}
	var log bytes.Buffer
	a := newAdapter(t, telegramtest.New(t), func(c *Config) {
		c.HTTP = s
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	a.pause = func(_ context.Context, d time.Duration) { waits = append(waits, d) }
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	var mu sync.Mutex
	go func() {
		done <- a.Run(ctx, nil, func(_ context.Context, in bot.Inbound) {
			mu.Lock()
			got = append(got, in)
			mu.Unlock()
		})
	}()
	select {
	case <-s.drained:
		cancel()
		err = <-done
	case err = <-done:
	case <-time.After(patience):
		t.Fatal("not all was taken")
	}
	return got, s.offsets, log.String(), waits, err
}

func saying(id int64, text string) string {
	body, _ := json.Marshal(map[string]any{"update_id": id, "message": map[string]any{
		"message_id": id, "date": time.Now().Unix(), "text": text, "chat": map[string]any{"id": 5, "type": "private"}, "from": map[string]any{"id": 5},
	}})
	return string(body)
}

func ok(updates ...string) string { return `{"ok":true,"result":[` + strings.Join(updates, ",") + `]}` }

func TestAnUpdateThatCannotBeReadHoldsNothingUp(t *testing.T) {
	t.Parallel()
	got, offsets, _, _, err := scripted(t, ok(`{"update_id":7,"message":"?"}`, saying(8, "a")), ok(`{"update_id":9,"message":{"message_id":"x"}}`), ok(`{"update_id":10,"poll":{}}`))
	if want := "0 9 10 11"; err != nil || len(got) != 1 || strings.Join(offsets, " ") != want {
		t.Errorf("%d came, offsets %v, want %s; %v", len(got), offsets, want, err)
	}
}

func TestNumbersThatStartAnewAreTaken(t *testing.T) {
	t.Parallel()
	got, offsets, _, _, err := scripted(t, ok(saying(900, "a")), ok(saying(20, "b")))
	if want := "0 901 21"; err != nil || len(got) != 2 || strings.Join(offsets, " ") != want {
		t.Errorf("%d came, offsets %v, want %s; %v", len(got), offsets, want, err)
	}
}

func TestAnotherPollerIsWaitedForAndSaid(t *testing.T) {
	t.Parallel()
	const conflict = `{"ok":false,"error_code":409,"description":"Conflict: terminated by other getUpdates request"}`
	got, _, logged, waits, err := scripted(t, conflict, conflict, ok(saying(1, "a")))
	if err != nil || len(got) != 1 || fmt.Sprint(waits) != "[5s 5s]" || !strings.Contains(logged, "another process polls") {
		t.Errorf("%d came, waits %v, logged %q; %v", len(got), waits, logged, err)
	}
}

func TestFailuresToReceiveAreWaitedOutLongerAndLonger(t *testing.T) {
	t.Parallel()
	answers := []string{`{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 9","parameters":{"retry_after":9}}`}
	for range 7 {
		answers = append(answers, "<html>502</html>")
	}
	_, _, _, waits, err := scripted(t, append(answers, ok(), "<html>", ok())...)
	if want := "[9s 2s 4s 8s 16s 32s 1m0s 1m0s 1s]"; err != nil || fmt.Sprint(waits) != want {
		t.Errorf("waits %v, want %s; %v", waits, want, err)
	}
}

func TestARevokedTokenEndsRun(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{`{"ok":false,"error_code":401,"description":"Unauthorized"}`, `{"ok":false,"error_code":404,"description":"Not Found"}`} {
		if _, _, _, waits, err := scripted(t, ok(saying(1, "a")), answer); !errors.Is(err, bot.ErrStopped) || len(waits) > 0 {
			t.Errorf("%s: Run returned %v after waiting %v", answer, err, waits)
		}
	}
}

func TestWhatWasNotHandledWhenTheProcessDiesComesAgain(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	kept := &marks{}
	a := newAdapter(t, s, func(c *Config) { c.Offsets = kept })
	entered, release := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- a.Run(ctx, nil, func(context.Context, bot.Inbound) {
			close(entered)
			<-release
		})
	}()
	s.Say(private, private, "slow")
	<-entered
	// A process that dies here has told neither the store nor Telegram.
	if at, _ := kept.Mark(ctx, fmt.Sprintf("telegram:offset:%d", telegramtest.BotID)); at != "" {
		t.Errorf("the offset %s is kept before the command was handled", at)
	}
	second := run(t, newAdapter(t, s, func(c *Config) { c.Offsets = kept }))
	if in := second.next(t); in.Text != "slow" {
		t.Errorf("%q came", in.Text)
	}
	if err := second.stop(); err != nil {
		t.Error(err)
	}
	cancel()
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAWebhookLeftOverIsDeleted(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	s.SetWebhook("https://example.com/left-over")
	r := run(t, newAdapter(t, s, nil))
	s.Say(private, private, "hello")
	if in := r.next(t); in.Text != "hello" || s.Calls("deleteWebhook") != 1 {
		t.Errorf("%q came, and the webhook was deleted %d times", in.Text, s.Calls("deleteWebhook"))
	}
}

func TestWhatOthersSaidFirstIsNotObeyed(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	r := run(t, newAdapter(t, s, nil))
	s.SayAs(telegramtest.Said{Chat: private, User: private, Text: "/status", Forward: true})
	s.Say(private, private, "/why 1")
	if in := r.next(t); in.Text != "/why 1" {
		t.Errorf("%q came", in.Text)
	}
}

func TestAChannelsPostsAreItsAdmins(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	const channel = -1009000000009
	s.AddChat(channel, telegramtest.Channel)
	a := newAdapter(t, s, nil)
	r := run(t, a)
	s.Say(channel, 0, "/status")
	in := r.next(t)
	if in.Chat != chatID(channel, 0) || !in.Group || in.User != strconv.Itoa(channel) {
		t.Errorf("arrived as %+v", in)
	}
	if ok, err := in.Admin(t.Context()); !ok || err != nil {
		t.Errorf("admin %t, %v", ok, err)
	}
	// Whoever presses a button there is not.
	m := line("x")
	m.Actions = []bot.Action{{Label: "why", Command: "/why 1"}}
	p, err := a.Send(t.Context(), bot.Target{Chat: in.Chat}, m, "")
	if err != nil {
		t.Fatal(err)
	}
	s.PressAs(channel, number(p.Message), "/why 1", 77)
	if ok, err := r.next(t).Admin(t.Context()); ok || err != nil {
		t.Errorf("a subscriber is admin %t, %v", ok, err)
	}
}

func TestAdminsAreFoundInTheListWhereMembersAreHidden(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	s.HideMembers(forum)
	s.SetAdmin(forum, 5, true)
	s.SetAdmin(forum, 7, true)
	r := run(t, newAdapter(t, s, nil))
	for user, want := range map[int64]bool{5: true, 6: false} {
		s.Say(forum, user, "/status")
		if ok, err := r.next(t).Admin(t.Context()); ok != want || err != nil {
			t.Errorf("user %d is admin %t, %v; want %t", user, ok, err, want)
		}
	}
}
