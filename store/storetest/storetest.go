// Package storetest is the conformance suite of package store: every back end
// runs all of it. A fault found in one back end becomes a case here, not in
// that back end's own tests.
//
// Times: bodies (alerts, chats, observations and so on) come back to the
// nanosecond, in UTC. Times that a store computes or compares (the ends of
// leases and grants, NotBefore, Due, Queued, Pace) are good to a millisecond
// or better; the suite gives them whole milliseconds.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

// Harness is a store under test and what can be done with it.
type Harness struct {
	// Store is empty and shared with no other test. Whoever makes it closes
	// it, and what Reopen and Another return, in a cleanup.
	Store store.Store
	// Reopen closes the store and opens what it left behind, as after a
	// restart. Nil skips what needs it.
	Reopen func() store.Store
	// Another opens the same data once more while Store is in use, as another
	// replica would. Nil if the back end allows one process only.
	Another func() store.Store
}

// Run runs the whole suite; each test has a harness of its own.
func Run(t *testing.T, fresh func(t *testing.T) Harness) {
	groups := []struct {
		name  string
		tests []test
	}{
		{"leases", leaseTests},
		{"journal", journalTests},
		{"ledger", ledgerTests},
		{"rules", ruleTests},
		{"spread", spreadTests},
		{"outbox", outboxTests},
		{"desk", deskTests},
		{"move", moveTests},
		{"trim", trimTests},
		{"await", awaitTests},
		{"whole", wholeTests},
		{"faults", faultTests},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, tc := range g.tests {
				t.Run(tc.name, func(t *testing.T) {
					t.Parallel()
					h := fresh(t)
					tc.run(&client{T: t, ctx: t.Context(), h: h, s: h.Store, fresh: func() store.Store { return fresh(t).Store }})
				})
			}
		})
	}
}

// test is one behaviour of a store.
type test struct {
	name string
	run  func(c *client)
}

// client calls a store and ends the test when a call fails that must not.
type client struct {
	*testing.T
	ctx   context.Context
	h     Harness
	s     store.Store
	fresh func() store.Store // one more, empty
}

// at is a moment so many seconds after the suite's beginning.
func at(seconds float64) time.Time {
	begin := time.Date(2026, 3, 2, 14, 30, 0, 123_000_000, time.UTC)
	return begin.Add(time.Duration(seconds * float64(time.Second))).Truncate(time.Millisecond)
}

// fine adds what only a nanosecond's resolution keeps.
func fine(t time.Time) time.Time { return t.Add(456_789) }

func (c *client) ok(err error, doing string) {
	c.Helper()
	if err != nil {
		c.Fatalf("%s: %v", doing, err)
	}
}

// fails ends the test unless err is want.
func (c *client) fails(err, want error, doing string) {
	c.Helper()
	if !errors.Is(err, want) {
		c.Fatalf("%s: error is %v, want %v", doing, err, want)
	}
}

// same compares what was got with what is wanted; an empty slice or map is as
// good as a nil one.
func (c *client) same(got, want any, what string) {
	c.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		c.Fatalf("%s differs (-want +got):\n%s", what, d)
	}
}

func (c *client) acquire(now time.Time, name, holder string, ttl time.Duration) chokepoint.Lease {
	c.Helper()
	l, err := c.s.Acquire(c.ctx, now, name, holder, ttl)
	c.ok(err, "acquire "+name)
	return l
}

// lease is one that holds throughout the suite's tests.
func (c *client) lease(name string) chokepoint.Lease {
	c.Helper()
	return c.acquire(at(0), name, "tester", 10*365*24*time.Hour)
}

func (c *client) record(now time.Time, s store.SourceStep) int {
	c.Helper()
	n, err := c.s.Record(c.ctx, now, s)
	c.ok(err, "record "+s.Source)
	return n
}

func (c *client) commit(now time.Time, s store.Step) {
	c.Helper()
	c.ok(c.s.Commit(c.ctx, now, s), "commit "+s.Watcher)
}

func (c *client) read(after chokepoint.Position, n int, kinds ...chokepoint.Kind) ([]chokepoint.Entry, chokepoint.Position) {
	c.Helper()
	es, p, err := c.s.Read(c.ctx, after, kinds, n)
	c.ok(err, "read the journal")
	return es, p
}

// readAll pages through the journal from a position to its end.
func (c *client) readAll(after chokepoint.Position, page int, kinds ...chokepoint.Kind) ([]chokepoint.Observation, chokepoint.Position) {
	c.Helper()
	var out []chokepoint.Observation
	for {
		es, next := c.read(after, page, kinds...)
		for _, e := range es {
			out = append(out, e.Observation)
		}
		if next == after {
			return out, after
		}
		after = next
	}
}

func (c *client) publish(now time.Time, alerts ...chokepoint.Alert) {
	c.Helper()
	c.ok(c.s.Publish(c.ctx, now, alerts), "publish")
}

// spread carries every spread to its end.
func (c *client) spread(now time.Time) {
	c.Helper()
	for i := 0; ; i++ {
		more, err := c.s.Spread(c.ctx, now, 100)
		c.ok(err, "spread")
		if !more {
			return
		}
		if i > 10_000 {
			c.Fatal("spread says more for ever")
		}
	}
}

const ttl = 30 * time.Second

func (c *client) grants(now time.Time, n int) []chokepoint.Grant {
	c.Helper()
	gs, err := c.s.Grants(c.ctx, now, chokepoint.Telegram, "worker", ttl, n)
	c.ok(err, "grants")
	return gs
}

// grant is the only one due.
func (c *client) grant(now time.Time) chokepoint.Grant {
	c.Helper()
	gs := c.grants(now, 10)
	if len(gs) != 1 {
		c.Fatalf("%d grants at %v, want 1: %v", len(gs), now, told(gs))
	}
	return gs[0]
}

// none checks that nothing is granted.
func (c *client) none(now time.Time, why string) {
	c.Helper()
	if gs := c.grants(now, 10); len(gs) != 0 {
		c.Fatalf("granted %v, want nothing: %s", told(gs), why)
	}
}

// settle ends a grant that must still be good.
func (c *client) settle(now time.Time, g chokepoint.Grant, o chokepoint.Outcome) {
	c.Helper()
	lost, err := c.s.Settle(c.ctx, now, []chokepoint.Settlement{{Grant: g, Outcome: o}})
	c.ok(err, "settle")
	if len(lost) != 0 {
		c.Fatalf("settle %s: lost", g.Delivery.Alert)
	}
}

// tooLate checks that a grant cannot be settled any more.
func (c *client) tooLate(now time.Time, g chokepoint.Grant, why string) {
	c.Helper()
	lost, err := c.s.Settle(c.ctx, now, []chokepoint.Settlement{{Grant: g, Outcome: chokepoint.Outcome{Kind: chokepoint.Sent}}})
	c.ok(err, "settle")
	c.same(lost, []chokepoint.DeliveryID{g.Delivery.ID}, "lost ("+why+")")
}

func (c *client) due() time.Time {
	c.Helper()
	d, err := c.s.Due(c.ctx, chokepoint.Telegram)
	c.ok(err, "due")
	return d
}

func (c *client) depth(now time.Time) chokepoint.Depth {
	c.Helper()
	d, err := c.s.Depth(c.ctx, now)
	c.ok(err, "depth")
	return d
}

func (c *client) dead(n int) []chokepoint.Delivery {
	c.Helper()
	ds, err := c.s.DeadLetters(c.ctx, n)
	c.ok(err, "dead letters")
	return ds
}

func (c *client) putChat(chat chokepoint.Chat) {
	c.Helper()
	c.ok(c.s.PutChat(c.ctx, chat), "put chat")
}

func (c *client) chat(id chokepoint.ChatID) chokepoint.Chat {
	c.Helper()
	chat, err := c.s.Chat(c.ctx, id)
	c.ok(err, "chat "+id.String())
	return chat
}

func (c *client) rules(id chokepoint.ChatID) []chokepoint.Rule {
	c.Helper()
	rs, err := c.s.Rules(c.ctx, id)
	c.ok(err, "rules")
	return rs
}

func (c *client) allRules(known int64) ([]chokepoint.Rule, int64) {
	c.Helper()
	rs, v, err := c.s.AllRules(c.ctx, known)
	c.ok(err, "all rules")
	return rs, v
}

func (c *client) putRule(r chokepoint.Rule) {
	c.Helper()
	c.ok(c.s.PutRule(c.ctx, r), "put rule")
}

func (c *client) alerts(q store.AlertQuery) []chokepoint.AlertID {
	c.Helper()
	as, err := c.s.Alerts(c.ctx, q)
	c.ok(err, "alerts")
	var ids []chokepoint.AlertID
	for _, a := range as {
		ids = append(ids, a.ID)
	}
	return ids
}

func (c *client) health(source string) chokepoint.Health {
	c.Helper()
	hs, err := c.s.Health(c.ctx)
	c.ok(err, "health")
	for _, h := range hs {
		if h.Source == source {
			return h
		}
	}
	c.Fatalf("no health of %s", source)
	return chokepoint.Health{}
}

// What the tests write.

const topic = chokepoint.Topic("aaoi-texas")

func chatID(id string) chokepoint.ChatID {
	return chokepoint.ChatID{Platform: chokepoint.Telegram, ID: id}
}

// follower is a chat that follows topics, the suite's own if none are given.
func follower(id string, topics ...chokepoint.Topic) chokepoint.Chat {
	if len(topics) == 0 {
		topics = []chokepoint.Topic{topic}
	}
	return chokepoint.Chat{ID: chatID(id), Language: chokepoint.English, Zone: "UTC", Topics: topics}
}

// alert is one for everyone that follows the suite's topic.
func alert(id string, seconds float64) chokepoint.Alert {
	story, _, _ := strings.Cut(id, "-")
	return chokepoint.Alert{
		ID: chokepoint.AlertID(id), Story: chokepoint.StoryID(story), Kind: chokepoint.AlertMilestone,
		Topic: topic, Severity: chokepoint.Notice, Score: 60, Seen: at(seconds), At: at(seconds),
	}
}

// news is an observation of the given source, fetched at a moment.
func news(source, id string, seen time.Time) chokepoint.Observation {
	return chokepoint.Observation{
		ID: chokepoint.NewObservationID(source, id), Source: source, Kind: chokepoint.KindNews, At: seen, Seen: seen,
		News: &chokepoint.News{Evidence: chokepoint.Evidence{URL: "https://news.example/" + id, Publisher: "Example Wire", Title: id, Published: seen}},
	}
}

// quote is an observed price.
func quote(source string, s chokepoint.Symbol, price float64, when time.Time) chokepoint.Observation {
	d, _ := chokepoint.DecimalFromFloat(price, 2)
	return chokepoint.Observation{
		ID: chokepoint.NewObservationID(source, string(s), when.String(), d.String()), Source: source, Kind: chokepoint.KindQuote, At: when, Seen: when,
		Quote: &chokepoint.Quote{Symbol: s, Price: d, Currency: "USD", At: when, Seen: when, Session: chokepoint.SessionRegular, Provider: "example"},
	}
}

// bar is an observed day.
func bar(source string, s chokepoint.Symbol, day string, closed float64, seen time.Time) chokepoint.Observation {
	d, _ := chokepoint.DecimalFromFloat(closed, 2)
	return chokepoint.Observation{
		ID: chokepoint.NewObservationID(source, string(s), day, d.String()), Source: source, Kind: chokepoint.KindBar, At: seen, Seen: seen,
		Bar: &chokepoint.Bar{Symbol: s, Day: day, Open: d, High: d, Low: d, Close: d, Currency: "USD"},
	}
}

// step is a good visit that leaves a cursor.
func step(l chokepoint.Lease, source, cursor string, obs ...chokepoint.Observation) store.SourceStep {
	return store.SourceStep{
		Lease: l, Source: source, Cursor: cursor, Observations: obs,
		Health: chokepoint.Health{Source: source, Kind: "feed", Class: chokepoint.OKNew},
	}
}

// told lists grants for a failure's text.
func told(gs []chokepoint.Grant) string {
	var b strings.Builder
	for _, g := range gs {
		fmt.Fprintf(&b, "%s to %s; ", g.Delivery.Alert, g.Delivery.Chat.ID)
	}
	return b.String()
}

func titles(obs []chokepoint.Observation) []string {
	var out []string
	for _, o := range obs {
		switch {
		case o.News != nil:
			out = append(out, o.News.Evidence.Title)
		case o.Quote != nil:
			out = append(out, string(o.Quote.Symbol)+" "+o.Quote.Price.String())
		case o.Bar != nil:
			out = append(out, string(o.Bar.Symbol)+" "+o.Bar.Day)
		}
	}
	return out
}

func observed(es []chokepoint.Entry) []chokepoint.Observation {
	var out []chokepoint.Observation
	for _, e := range es {
		out = append(out, e.Observation)
	}
	return out
}
