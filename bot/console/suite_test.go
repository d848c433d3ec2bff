package console

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot/adaptertest"
)

func TestAdapterSuite(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T) adaptertest.Harness {
		r, w := io.Pipe()
		t.Cleanup(func() { w.Close() })
		p := &person{keys: w}
		const one, line, paper = "a terminal has one chat and one person", "a terminal is no connection", "what was written stays as it was"
		return adaptertest.Harness{
			Adapter: New(Config{In: r, Out: p, Now: time.Now, Log: slog.New(slog.DiscardHandler)}),
			Peer:    p, Chat: Chat, Private: Chat,
			Lacks: map[adaptertest.Ability]string{
				adaptertest.Failing: line, adaptertest.Reconnects: line, adaptertest.Revoking: line, adaptertest.Repeats: line, adaptertest.Ageing: line,
				adaptertest.Links: paper, adaptertest.Buttons: paper, adaptertest.Answers: paper, adaptertest.Deleting: paper, adaptertest.Amending: paper,
				adaptertest.Threads: one, adaptertest.Groups: one, adaptertest.Privates: one, adaptertest.Mentions: one, adaptertest.Bots: one, adaptertest.Self: one,
				adaptertest.Silence: "nothing makes a sound", adaptertest.Menus: "commands are completed, not listed",
			},
		}
	})
}

// person types into a terminal and reads what is written there, a message at a
// time. What a terminal lacks the suite does not ask for.
type person struct {
	adaptertest.Peer
	keys io.Writer

	mu   sync.Mutex
	read []adaptertest.Sent
}

// Write implements io.Writer: the adapter writes a message at once.
func (p *person) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read = append(p.read, adaptertest.Sent{Chat: Chat, Message: strconv.Itoa(len(p.read) + 1), Text: string(b)})
	return len(b), nil
}

func (p *person) Sent() []adaptertest.Sent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]adaptertest.Sent(nil), p.read...)
}

// Receiving returns at once: what is typed waits for who reads it.
func (p *person) Receiving(context.Context) error { return nil }

func (p *person) Say(s adaptertest.Said) string {
	_, _ = io.WriteString(p.keys, s.Text+"\n")
	return ""
}
