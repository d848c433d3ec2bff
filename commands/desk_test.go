package commands

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// desk is a store in memory, with what commands need of it.
type desk struct {
	mu     sync.Mutex
	down   error // what every method returns, if set
	chats  map[chokepoint.ChatID]chokepoint.Chat
	rules  []chokepoint.Rule
	alerts []chokepoint.Alert // oldest first
	posted []chokepoint.Posting
	quotes []chokepoint.Quote
	bars   []chokepoint.Bar
	cards  []chokepoint.Card
	health []chokepoint.Health
	ticks  []chokepoint.TickReport
	marks  map[string]string
	dead   []chokepoint.Delivery
	depth  chokepoint.Depth
}

var _ Desk = (*desk)(nil)

func (d *desk) Chat(_ context.Context, id chokepoint.ChatID) (chokepoint.Chat, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, ok := d.chats[id]
	if !ok && d.down == nil {
		return c, chokepoint.ErrNotFound
	}
	return c, d.down
}

func (d *desk) PutChat(_ context.Context, c chokepoint.Chat) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.chats == nil {
		d.chats = map[chokepoint.ChatID]chokepoint.Chat{}
	}
	d.chats[c.ID] = c
	return d.down
}

func (d *desk) Rules(_ context.Context, id chokepoint.ChatID) ([]chokepoint.Rule, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var rules []chokepoint.Rule
	for _, r := range d.rules {
		if r.Chat == id {
			rules = append(rules, r)
		}
	}
	return rules, d.down
}

func (d *desk) PutRule(_ context.Context, r chokepoint.Rule) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rules = append(d.rules, r)
	return d.down
}

func (d *desk) DeleteRule(_ context.Context, id chokepoint.ChatID, rule string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.rules)
	d.rules = slices.DeleteFunc(d.rules, func(r chokepoint.Rule) bool { return r.Chat == id && r.ID == rule })
	if len(d.rules) == n {
		return errors.Join(d.down, chokepoint.ErrNotFound)
	}
	return d.down
}

func (d *desk) Alert(_ context.Context, id chokepoint.AlertID) (chokepoint.Alert, error) {
	for _, a := range d.alerts {
		if a.ID == id {
			return a, d.down
		}
	}
	return chokepoint.Alert{}, errors.Join(d.down, chokepoint.ErrNotFound)
}

func (d *desk) Alerts(_ context.Context, q chokepoint.AlertQuery) ([]chokepoint.Alert, error) {
	var got []chokepoint.Alert
	for _, a := range slices.Backward(d.alerts) {
		if (q.Topic == "" || a.Topic == q.Topic) && (q.Story == "" || a.Story == q.Story) &&
			(q.Chat == chokepoint.ChatID{} || len(a.Only) == 0 || slices.Contains(a.Only, q.Chat)) && len(got) < max(q.N, 1) {
			got = append(got, a)
		}
	}
	return got, d.down
}

func (d *desk) Posting(_ context.Context, c chokepoint.ChatID, s chokepoint.StoryID) (chokepoint.Posting, error) {
	for _, p := range d.posted {
		if p.Chat == c && p.Story == s {
			return p, d.down
		}
	}
	return chokepoint.Posting{}, errors.Join(d.down, chokepoint.ErrNotFound)
}

func (d *desk) Quotes(context.Context) ([]chokepoint.Quote, error) { return d.quotes, d.down }
func (d *desk) Bars(_ context.Context, s chokepoint.Symbol, from string) ([]chokepoint.Bar, error) {
	var bars []chokepoint.Bar
	for _, b := range d.bars {
		if b.Symbol == s && b.Day >= from {
			bars = append(bars, b)
		}
	}
	return bars, d.down
}
func (d *desk) Board(context.Context) ([]chokepoint.Card, error)       { return d.cards, d.down }
func (d *desk) Health(context.Context) ([]chokepoint.Health, error)    { return d.health, d.down }
func (d *desk) Ticks(context.Context) ([]chokepoint.TickReport, error) { return d.ticks, d.down }

func (d *desk) Mark(_ context.Context, name string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.marks[name], d.down
}

func (d *desk) PutMark(_ context.Context, name, value string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.marks == nil {
		d.marks = map[string]string{}
	}
	d.marks[name] = value
	return d.down
}

func (d *desk) DeadLetters(context.Context, int) ([]chokepoint.Delivery, error) {
	return d.dead, d.down
}

func (d *desk) Requeue(_ context.Context, _ time.Time, id chokepoint.DeliveryID) error {
	for _, l := range d.dead {
		if l.ID == id {
			return d.down
		}
	}
	return errors.Join(d.down, chokepoint.ErrNotFound)
}

func (d *desk) Depth(context.Context, time.Time) (chokepoint.Depth, error) { return d.depth, d.down }

// render words just enough to be recognised.
type render struct{}

func (render) Headline(a *chokepoint.Alert, _ chokepoint.Language) string { return a.Headline }

func (render) Reading(f chokepoint.Facts, _ chokepoint.Language) string {
	if f["reading"] == "" {
		return ""
	}
	return "<" + f["reading"] + " " + strings.Join(compact(f["symbol"], f["year"], f["count"]), " ") + ">"
}

func (render) Reason(r chokepoint.Reason, _ chokepoint.Language) string {
	return r.Key + ": " + r.Args["text"]
}
