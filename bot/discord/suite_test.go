package discord

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/bot/adaptertest"
	"github.com/chokepoint-bot/chokepoint/bot/discord/discordtest"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

func TestMain(m *testing.M) {
	// The library sleeps for a second whenever a session ends: most tests wait
	// for that, and do it side by side.
	if err := flag.Set("test.parallel", "24"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

const (
	channel = "1180000000000000001"
	thread  = "1180000000000000002"
	direct  = "1180000000000000003"
)

func chat(id string) chokepoint.ChatID {
	return chokepoint.ChatID{Platform: chokepoint.Discord, ID: id}
}

// newServer is a fake with a channel, a thread of it, and a direct chat. The
// test fails if the adapter did what it never must.
func newServer(t *testing.T) *discordtest.Server {
	t.Helper()
	s := discordtest.New()
	s.AddChannel(discordtest.Channel{ID: channel, Name: "alerts"})
	s.AddChannel(discordtest.Channel{ID: thread, Name: "AAOI", Parent: channel, Type: discordtest.PublicThread})
	s.AddChannel(discordtest.Channel{ID: direct, Type: discordtest.DirectChat})
	t.Cleanup(func() {
		s.Close()
		for _, b := range s.Breaches() {
			t.Errorf("breach: %s", b)
		}
	})
	return s
}

// newAdapter is an adapter wired to s that does not wait before it reconnects.
func newAdapter(t *testing.T, s *discordtest.Server) *Adapter {
	t.Helper()
	wire := &http.Transport{}
	t.Cleanup(wire.CloseIdleConnections)
	a, err := New(Config{Token: s.Token(), APIURL: s.URL(), Now: s.Now, Log: slog.New(slog.DiscardHandler), Transport: wire})
	if err != nil {
		t.Fatal(err)
	}
	a.sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return a
}

func TestAdapterSuite(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T) adaptertest.Harness {
		s := newServer(t)
		return adaptertest.Harness{
			Adapter: newAdapter(t, s), Peer: &peer{Server: s},
			Secrets: []string{s.Token()},
			CanFail: []bot.Class{bot.Transient, bot.Unknown, bot.ChatGone, bot.MessageGone, bot.Rejected, bot.Unauthorized, bot.RateLimited},
			Chat:    chat(channel), Private: chat(direct), Thread: thread,
		}
	})
}

// peer is a server as the suite sees it.
type peer struct {
	*discordtest.Server
	mu   sync.Mutex
	held time.Duration
}

func (p *peer) Sent() []adaptertest.Sent {
	var all []adaptertest.Sent
	for _, id := range p.Channels() {
		c, _ := p.Channel(id)
		for _, m := range p.Shown(id) {
			if m.Author != discordtest.BotID || m.Waiting {
				continue
			}
			s := adaptertest.Sent{
				Chat: chat(id), Message: m.ID, Answer: m.Answers, Image: m.Image, Alt: m.Alt, Silent: m.Silent, Key: m.Nonce, Edits: m.Edits,
			}
			if c.Parent != "" {
				s.Chat, s.Thread = chat(c.Parent), id
			}
			var rows []string
			for _, row := range []string{m.Title, m.Text, m.Footer} {
				if row != "" {
					rows = append(rows, row)
				}
			}
			s.Text = strings.Join(rows, "\n")
			if m.URL != "" {
				s.Links = append(s.Links, adaptertest.Link{Text: m.Title, URL: m.URL})
			}
			for _, l := range m.Links {
				s.Links = append(s.Links, adaptertest.Link(l))
			}
			s.Mentions = m.Wild // nothing but links, bold and columns is ours
			for _, b := range slices.Concat(m.Buttons...) {
				s.Buttons = append(s.Buttons, b.Label)
			}
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b adaptertest.Sent) int {
		return strings.Compare(fmt.Sprintf("%020s", a.Message), fmt.Sprintf("%020s", b.Message))
	})
	return all
}

func (p *peer) Fail(n int, f adaptertest.Failure) {
	// The adapter does not even try while it was told to wait.
	p.mu.Lock()
	p.Advance(p.held)
	p.held = f.Wait
	p.mu.Unlock()
	fault := discordtest.Fault{Match: discordtest.Writing, Times: n}
	refuse := func(status, code int, message string) {
		fault.Status, fault.Body = status, discordtest.Refusal(code, message)
	}
	switch f.Class {
	case bot.Transient:
		refuse(400, 40004, "Send messages has been temporarily disabled")
	case bot.Unknown:
		fault.Status, fault.Body = 502, "<html>502 Bad Gateway</html>"
	case bot.RateLimited:
		fault.Status, fault.Body = 429, fmt.Sprintf(`{"message":"You are being rate limited.","retry_after":%.3f,"global":false}`, f.Wait.Seconds())
	case bot.ChatGone:
		refuse(403, 50001, "Missing Access")
	case bot.MessageGone:
		refuse(404, 10008, "Unknown Message")
	case bot.Rejected:
		refuse(400, 50035, "Invalid Form Body")
	case bot.Unauthorized:
		refuse(401, 0, "401: Unauthorized")
	default:
		panic(f.Class.String() + " cannot be brought about")
	}
	p.Inject(fault)
}

func (p *peer) DropAnswer(n int) {
	p.Inject(discordtest.Fault{Match: discordtest.Writing, Times: n, Accepted: true})
}

func (p *peer) Stall() <-chan struct{} {
	reached := make(chan struct{})
	p.Inject(discordtest.Fault{Match: discordtest.Writing, Hang: true, Reached: reached})
	return reached
}

func (p *peer) Delete(c chokepoint.ChatID, message string)      { p.DeleteMessage(c.ID, message) }
func (p *peer) DeleteThread(_ chokepoint.ChatID, thread string) { p.DeleteChannel(thread) }
func (p *peer) CloseThread(_ chokepoint.ChatID, thread string) {
	p.Alter(thread, func(c *discordtest.Channel) { c.Archived, c.Locked = true, true })
}

func (p *peer) Receiving(ctx context.Context) error {
	return until(ctx, func() bool { return p.Sessions().Live > 0 })
}

// until waits for a condition.
func until(ctx context.Context, ok func() bool) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (p *peer) Say(s adaptertest.Said) string {
	at := s.Chat.ID
	if s.Thread != "" {
		at = s.Thread
	}
	who := discordtest.Person{ID: s.User, Bot: s.Bot, At: s.At}
	if s.Self {
		who.ID, who.Bot = discordtest.BotID, true
	}
	p.SetAdmin(at, who.ID, s.Admin)
	if !strings.HasPrefix(s.Text, "/") || s.Mention || who.Bot {
		text := s.Text
		if s.Mention {
			text = "<@" + discordtest.BotID + "> " + text
		}
		return at + "/" + p.Server.Say(at, who, text)
	}
	name, rest, _ := strings.Cut(s.Text[1:], " ")
	menu, _ := p.Commands()
	var options []discordtest.Option
	for _, c := range menu {
		if c.Name != name {
			continue
		}
		for i, o := range c.Options {
			value, more, cut := strings.Cut(rest, " ")
			if i == len(c.Options)-1 || !cut {
				value, more = rest, ""
			}
			if value != "" {
				options = append(options, discordtest.Option{Name: o.Name, Value: value})
			}
			rest = more
		}
	}
	slices.Reverse(options) // people fill in fields in any order
	p.UseCommand(at, who, name, options...)
	return ""
}

func (p *peer) Amend(said, text string) {
	if at, message, ok := strings.Cut(said, "/"); ok {
		p.Server.Amend(at, message, "<@"+discordtest.BotID+"> "+text)
	}
}

func (p *peer) Press(c chokepoint.ChatID, message, label, user string) {
	for _, m := range p.Shown(c.ID) {
		for _, b := range slices.Concat(m.Buttons...) {
			if m.ID == message && b.Label == label {
				p.Server.Press(c.ID, message, discordtest.Person{ID: user}, b.ID)
				return
			}
		}
	}
	panic("there is no button " + strconv.Quote(label))
}

func (p *peer) Hangup() { p.Drop() }

func (p *peer) Revoke() {
	p.Server.Revoke(true)
	p.CloseWith(4004)
}

func (p *peer) Menu(l chokepoint.Language) map[string]string {
	locale := map[chokepoint.Language]string{chokepoint.English: "en-GB", chokepoint.Chinese: "zh-CN"}[l]
	menu, _ := p.Commands()
	all := map[string]string{}
	for _, c := range menu {
		text, ok := c.Descriptions[locale]
		if !ok {
			text = c.Descriptions[""]
		}
		all[c.Name] = text
	}
	return all
}
