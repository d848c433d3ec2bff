// Package adaptertest says what every adapter must do: a suite over a fresh
// adapter and the far end that it speaks to. What an adapter promises is the
// comment of bot.Adapter; what its platform cannot do a harness states as data,
// and the suite skips by that, aloud.
package adaptertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// patience is how long something may take that must happen: far more than any
// adapter needs, so that a slow machine fails nothing.
const patience = 30 * time.Second

// Ability is something that not every platform can do.
type Ability string

const (
	Failing    Ability = "sends can fail, stall, or lose their answer"
	Links      Ability = "links behind text"
	Buttons    Ability = "buttons"
	Answers    Ability = "messages that answer messages"
	Deleting   Ability = "people delete messages"
	Threads    Ability = "threads in a chat"
	Silence    Ability = "messages without a sound"
	Groups     Ability = "chats of several people"
	Privates   Ability = "private chats beside the first one"
	Mentions   Ability = "calling the bot by its name"
	Bots       Ability = "other bots in a chat"
	Self       Ability = "the bot sees what it says itself"
	Amending   Ability = "people change what they said"
	Ageing     Ability = "what was said long ago arrives late"
	Repeats    Ability = "the same event arrives twice"
	Reconnects Ability = "the connection to receive by can break"
	Revoking   Ability = "the platform can refuse the bot for good"
	Menus      Ability = "a menu of commands"
)

// Harness is a fresh adapter wired to a fresh peer. Whoever makes it cleans up
// with t.Cleanup.
type Harness struct {
	Adapter bot.Adapter
	Peer    Peer
	Secrets []string           // must be in no error
	CanFail []bot.Class        // what Peer.Fail can bring about
	Lacks   map[Ability]string // what the platform cannot do, with the reason

	Chat    chokepoint.ChatID // where the bot may post: a group, unless it Lacks Groups
	Private chokepoint.ChatID // a private chat with user "1001"
	Thread  string            // an open thread of Chat
}

// Menu is what the suite publishes, and what its commands are from.
var Menu = []bot.CommandSpec{
	{Name: "alert", Help: map[chokepoint.Language]string{chokepoint.English: "alert me at a price", chokepoint.Chinese: "价格提醒"}, Admin: true, Params: []bot.Param{
		{Name: "symbol", Help: map[chokepoint.Language]string{chokepoint.English: "ticker", chokepoint.Chinese: "代码"}, Required: true},
		{Name: "condition", Help: map[chokepoint.Language]string{chokepoint.English: "below 20", chokepoint.Chinese: "跌破 20"}},
	}},
	{Name: "status", Help: map[chokepoint.Language]string{chokepoint.English: "how things stand", chokepoint.Chinese: "进展"}},
	{Name: "why", Help: map[chokepoint.Language]string{chokepoint.English: "why an alert fired", chokepoint.Chinese: "提醒的依据"}, Params: []bot.Param{
		{Name: "alert", Help: map[chokepoint.Language]string{chokepoint.English: "its ID", chokepoint.Chinese: "编号"}, Required: true},
	}},
}

// Run exercises the adapters that fresh returns, none shared. It must not be
// called from a parallel test: it looks for goroutines left behind.
func Run(t *testing.T, fresh func(t *testing.T) Harness) {
	t.Run("Run returns after the last command was handled, and leaves nothing running", func(t *testing.T) {
		before := goleak.IgnoreCurrent()
		t.Run("run", func(t *testing.T) { runEnds(newClient(t, fresh)) })
		goleak.VerifyNone(t, before)
	})
	t.Run("cases", func(t *testing.T) {
		for _, c := range slices.Concat(sendTests, receiveTests) {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(newClient(t, fresh))
			})
		}
	})
}

type test struct {
	name string
	run  func(c *client)
}

// client is one test over one harness.
type client struct {
	*testing.T
	Harness
	ctx context.Context
}

func newClient(t *testing.T, fresh func(t *testing.T) Harness) *client {
	h := fresh(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	t.Cleanup(cancel)
	return &client{T: t, Harness: h, ctx: ctx}
}

// needs skips a test of what the platform cannot do.
func (c *client) needs(all ...Ability) {
	c.Helper()
	for _, a := range all {
		if why, lacks := c.Lacks[a]; lacks {
			c.Skipf("%s has no such thing as %s: %s", c.Adapter.Platform(), a, why)
		}
	}
}

// send sends a message that must be shown.
func (c *client) send(to bot.Target, m bot.Message, key string) bot.Posted {
	c.Helper()
	p, err := c.Adapter.Send(c.ctx, to, m, key)
	if err != nil {
		c.Fatalf("send: %v", err)
	}
	if p.Message == "" {
		c.Fatal("a message was posted and has no ID")
	}
	return p
}

// refused checks that err is a failure of that class, and holds no secret.
func (c *client) refused(err error, want bot.Class) *bot.SendError {
	c.Helper()
	var e *bot.SendError
	if !errors.As(err, &e) {
		c.Fatalf("got %v, want a *bot.SendError of class %s", err, want)
	}
	if e.Class != want {
		c.Fatalf("got class %s (%v), want %s", e.Class, err, want)
	}
	c.secret(err)
	return e
}

func (c *client) secret(err error) {
	c.Helper()
	for _, s := range c.Secrets {
		if err != nil && s != "" && strings.Contains(err.Error(), s) {
			c.Errorf("an error holds a secret: %s", strings.ReplaceAll(err.Error(), s, "…"))
		}
	}
}

// shown is the messages that stand now, which must be n.
func (c *client) shown(n int) []Sent {
	c.Helper()
	all := c.Peer.Sent()
	if len(all) != n {
		c.Fatalf("%d messages are shown, want %d: %+v", len(all), n, all)
	}
	return all
}

// text is a message of one line.
func text(s string) bot.Message { return bot.Message{Lines: []bot.Line{bot.Text(s)}} }

// target is the harness's chat.
func (c *client) target() bot.Target { return bot.Target{Chat: c.Chat} }

// within runs f and fails the test if it does not return in time.
func (c *client) within(what string, f func()) {
	c.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		c.Fatalf("%s did not return", what)
	}
}
