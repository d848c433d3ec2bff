package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

// patience is how long a wake-up may take before a test gives up: far more
// than any store needs, so that a slow machine fails nothing.
const patience = 20 * time.Second

func (c *client) waker(s store.Store) store.Waker {
	c.Helper()
	w, ok := s.(store.Waker)
	if !ok {
		c.Fatal("the store is no store.Waker")
	}
	return w
}

// now is the number that stands for this moment.
func (c *client) now(w store.Waker, what store.What) int64 {
	c.Helper()
	n, err := w.Await(c.ctx, what, 0)
	c.ok(err, "await")
	return n
}

// woken waits until what has happened since seen.
func (c *client) woken(w store.Waker, what store.What, seen int64, why string) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	for {
		n, err := w.Await(ctx, what, seen)
		if err != nil {
			c.Fatalf("%s: await: %v", why, err)
		}
		if n != seen {
			return
		}
	}
}

var awaitTests = []test{
	{"what happens after a moment is told to one who waits from it", func(c *client) {
		w := c.waker(c.s)
		sl, wl := c.lease("source/x"), c.lease("watcher/x")
		ops := step(sl, "x", "")
		ops.Alerts = []chokepoint.Alert{alert("opsopsop", 1)}
		toOne := func(id string) chokepoint.Alert {
			a := alert(id, 1)
			a.Only = []chokepoint.ChatID{chatID("one")}
			return a
		}
		for _, e := range []struct {
			why  string
			what store.What
			do   func()
		}{
			{"a chat was put", store.Changed, func() { c.putChat(follower("1")) }},
			{"a rule was put", store.Changed, func() {
				c.putRule(chokepoint.Rule{Chat: chatID("1"), ID: "r", Symbol: "AAOI", Text: "below 20"})
			}},
			{"the configuration's rules were set", store.Changed, func() {
				c.ok(c.s.SetRules(c.ctx, []chokepoint.Rule{{ID: "c", Symbol: "AAOI", Text: "below 20"}}), "set rules")
			}},
			{"a rule was deleted", store.Changed, func() { c.ok(c.s.DeleteRule(c.ctx, chatID("1"), "r"), "delete rule") }},
			{"a chat moved", store.Changed, func() { c.ok(c.s.MoveChat(c.ctx, at(1), chatID("1"), chatID("one")), "move chat") }},
			{"something was recorded", store.Journaled, func() { c.record(at(1), step(sl, "x", "", news("x", "1", at(1)))) }},
			{"a source's step had an alert", store.Committed, func() { c.record(at(1), ops) }},
			{"a watcher's step had an alert", store.Committed, func() { c.commit(at(1), tick(wl, "x", "", toOne("aaaaaaaa"))) }},
			{"an alert was published", store.Committed, func() { c.publish(at(1), toOne("bbbbbbbb")) }},
			{"an alert was spread", store.Owed, func() { c.spread(at(1)) }},
			{"a lane was settled that owes more", store.Owed, func() {
				c.settle(at(1), c.grant(at(1)), chokepoint.Outcome{Kind: chokepoint.Dead, Reason: "x"})
			}},
			{"a dead letter was requeued", store.Owed, func() { c.ok(c.s.Requeue(c.ctx, at(1), c.dead(1)[0].ID), "requeue") }},
		} {
			// Both for one who looks away meanwhile …
			seen := c.now(w, e.what)
			if seen == 0 {
				c.Fatal("a moment's number is 0, which stands for none")
			}
			// … and for one who is already waiting.
			woken := make(chan error, 1)
			ctx, cancel := context.WithTimeout(c.ctx, patience)
			go func() {
				n, err := seen, error(nil)
				for n == seen && err == nil {
					n, err = w.Await(ctx, e.what, seen)
				}
				woken <- err
			}()
			e.do()
			c.woken(w, e.what, seen, e.why)
			if err := <-woken; err != nil {
				c.Fatalf("%s: one who waited was not woken: %v", e.why, err)
			}
			cancel()
		}
	}},
	{"waiting ends by itself after a while", func(c *client) {
		w := c.waker(c.s)
		seen := c.now(w, store.Owed)
		ended := make(chan error, 1)
		go func() { _, err := w.Await(c.ctx, store.Owed, seen); ended <- err }()
		select {
		case err := <-ended:
			c.ok(err, "await")
		case <-time.After(patience):
			c.Fatal("still waiting")
		}
	}},
	{"waiting ends with its context", func(c *client) {
		w := c.waker(c.s)
		seen := c.now(w, store.Owed)
		ctx, cancel := context.WithCancel(c.ctx)
		ended := make(chan error, 1)
		go func() { _, err := w.Await(ctx, store.Owed, seen); ended <- err }()
		cancel()
		select {
		case err := <-ended:
			if err != nil && !errors.Is(err, context.Canceled) {
				c.Fatalf("await: %v", err)
			}
		case <-time.After(patience):
			c.Fatal("still waiting")
		}
	}},
	{"another replica is woken too", func(c *client) {
		if c.h.Another == nil {
			c.Skip("this back end allows one process only")
		}
		w := c.waker(c.h.Another())
		journaled, committed, owed, changed := c.now(w, store.Journaled), c.now(w, store.Committed), c.now(w, store.Owed), c.now(w, store.Changed)
		c.putChat(follower("1"))
		c.woken(w, store.Changed, changed, "a chat was put")
		s := step(c.lease("source/x"), "x", "", news("x", "1", at(1)))
		s.Alerts = []chokepoint.Alert{alert("aaaaaaaa", 1)}
		c.record(at(1), s)
		c.woken(w, store.Journaled, journaled, "something was recorded")
		c.woken(w, store.Committed, committed, "an alert was recorded")
		c.spread(at(1))
		c.woken(w, store.Owed, owed, "an alert was spread")
	}},
}
