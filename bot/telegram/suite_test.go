package telegram

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/bot/adaptertest"
	"github.com/chokepoint-bot/chokepoint/bot/telegram/telegramtest"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	forum   = -1001000000001
	topic   = 45
	private = 1001
)

// marks is what a store remembers.
type marks struct {
	mu  sync.Mutex
	all map[string]string
}

func (m *marks) Mark(_ context.Context, name string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all[name], nil
}

func (m *marks) PutMark(_ context.Context, name, value string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = map[string]string{}
	}
	m.all[name] = value
	return nil
}

// newAdapter is an adapter wired to s that waits a hundredth as long after
// failures.
func newAdapter(t *testing.T, s *telegramtest.Server, change func(*Config)) *Adapter {
	t.Helper()
	cfg := Config{Token: s.Token(), APIURL: s.URL(), Offsets: &marks{}, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a.pause = func(ctx context.Context, d time.Duration) { pause(ctx, d/100) }
	t.Cleanup(a.client.http.CloseIdleConnections)
	return a
}

func TestAdapterSuite(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T) adaptertest.Harness {
		s := telegramtest.New(t)
		s.AddChat(forum, telegramtest.Forum)
		s.AddTopic(forum, topic)
		s.AddChat(private, telegramtest.Private)
		return adaptertest.Harness{
			Adapter: newAdapter(t, s, nil), Peer: peer{s},
			Secrets: []string{s.Token(), strings.SplitN(s.Token(), ":", 2)[1]},
			CanFail: []bot.Class{bot.Transient, bot.Unknown, bot.RateLimited, bot.ChatGone, bot.Moved, bot.MessageGone, bot.Rejected, bot.Unauthorized},
			Chat:    chatID(forum, 0), Private: chatID(private, 0), Thread: strconv.Itoa(topic),
		}
	})
}

// peer is a server as the suite sees it.
type peer struct{ *telegramtest.Server }

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func name(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func (p peer) Sent() []adaptertest.Sent {
	var all []adaptertest.Sent
	for _, m := range p.All() {
		s := adaptertest.Sent{
			Chat: chatID(m.Chat, 0), Thread: name(m.Thread), Message: name(m.ID), Answer: name(m.ReplyTo), Text: m.Text,
			Mentions: m.Mentions, Image: m.Photo, Silent: m.Silent, Edits: m.Edits,
		}
		for _, l := range m.Links {
			s.Links = append(s.Links, adaptertest.Link(l))
		}
		for _, b := range slices.Concat(m.Buttons...) {
			s.Buttons = append(s.Buttons, b.Text)
		}
		all = append(all, s)
	}
	return all
}

func (p peer) Fail(n int, f adaptertest.Failure) {
	switch f.Class {
	case bot.Transient:
		p.FailPage(n)
	case bot.Unknown:
		p.FailHalf(n)
	case bot.RateLimited:
		p.FailTooMany(n, int(f.Wait/time.Second))
	case bot.ChatGone:
		p.FailWith(n, 403, "Forbidden: bot was kicked from the supergroup chat")
	case bot.Moved:
		p.FailMoved(n, number(f.To.ID))
	case bot.MessageGone:
		p.FailWith(n, 400, "Bad Request: message to edit not found")
	case bot.Rejected:
		p.FailWith(n, 400, "Bad Request: wrong something")
	case bot.Unauthorized:
		p.FailWith(n, 401, "Unauthorized")
	default:
		panic(f.Class.String() + " cannot be brought about")
	}
}

func (p peer) DropAnswer(n int) { p.FailDropped(n) }

func (p peer) Delete(c chokepoint.ChatID, message string) {
	p.Server.Delete(number(c.ID), number(message))
}
func (p peer) CloseThread(c chokepoint.ChatID, thread string) {
	p.CloseTopic(number(c.ID), number(thread))
}
func (p peer) DeleteThread(c chokepoint.ChatID, thread string) {
	p.DeleteTopic(number(c.ID), number(thread))
}
func (p peer) Receiving(ctx context.Context) error { return p.Polling(ctx) }

func (p peer) Say(s adaptertest.Said) string {
	said := telegramtest.Said{Chat: number(s.Chat.ID), Text: s.Text, Bot: s.Bot, At: s.At}
	if s.Thread != "" {
		said.Topic = number(s.Thread)
	}
	if s.Self {
		said.User, said.Bot = telegramtest.BotID, true
	} else {
		said.User = number(s.User)
		p.SetAdmin(said.Chat, said.User, s.Admin)
	}
	call := ""
	if s.Mention {
		call = "@" + telegramtest.BotName + " "
	}
	said.Text = call + s.Text
	return strings.Join([]string{s.Chat.ID, strconv.FormatInt(p.SayAs(said), 10), call}, "/")
}

func (p peer) Amend(said, text string) {
	parts := strings.SplitN(said, "/", 3)
	p.Server.Amend(number(parts[0]), number(parts[1]), parts[2]+text)
}

func (p peer) Press(c chokepoint.ChatID, message, label, user string) {
	for _, m := range p.Messages(number(c.ID)) {
		for _, b := range slices.Concat(m.Buttons...) {
			if m.ID == number(message) && b.Text == label {
				p.PressAs(m.Chat, m.ID, b.Data, number(user))
				return
			}
		}
	}
	panic("there is no button " + label)
}

func (p peer) Menu(l chokepoint.Language) map[string]string {
	if l == chokepoint.English {
		return p.Server.Menu("")
	}
	return p.Server.Menu(string(l))
}
