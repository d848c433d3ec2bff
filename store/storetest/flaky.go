package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

// ErrInjected is what a Flaky's failing calls return, wrapped.
var ErrInjected = errors.New("injected fault")

// Fault is what becomes of one call.
type Fault uint8

const (
	None   Fault = iota
	Before       // it fails and has no effect
	After        // it takes effect, and its answer is lost
)

// Flaky is a store some of whose calls fail as Plan says. Only Close is never
// made to fail.
type Flaky struct {
	store.Store
	// Plan decides on a call by its number, from 1, and its method's name. It
	// is called concurrently if the store is.
	Plan  func(call int, method string) Fault
	calls atomic.Int64
}

var (
	_ store.Store = (*Flaky)(nil)
	_ store.Waker = (*Flaky)(nil)
)

// Nth plans that the n-th call fails, and no other.
func Nth(n int, f Fault) func(int, string) Fault {
	return func(call int, _ string) Fault {
		if call == n {
			return f
		}
		return None
	}
}

// Calls is how many calls there were.
func (f *Flaky) Calls() int { return int(f.calls.Load()) }

func (f *Flaky) do(method string, call func() error) error {
	fault := f.Plan(int(f.calls.Add(1)), method)
	if fault != Before {
		if err := call(); err != nil || fault == None {
			return err
		}
	}
	return fmt.Errorf("%s: %w", method, ErrInjected)
}

// get is do for a call that returns something.
func get[T any](f *Flaky, method string, call func() (T, error)) (T, error) {
	var out T
	err := f.do(method, func() (err error) { out, err = call(); return err })
	if err != nil {
		var zero T
		return zero, err
	}
	return out, nil
}

func (f *Flaky) Ping(ctx context.Context) error {
	return f.do("Ping", func() error { return f.Store.Ping(ctx) })
}

func (f *Flaky) Trim(ctx context.Context, now time.Time, keep store.Keep, n int) (bool, error) {
	return get(f, "Trim", func() (bool, error) { return f.Store.Trim(ctx, now, keep, n) })
}

func (f *Flaky) Acquire(ctx context.Context, now time.Time, name, holder string, ttl time.Duration) (chokepoint.Lease, error) {
	return get(f, "Acquire", func() (chokepoint.Lease, error) { return f.Store.Acquire(ctx, now, name, holder, ttl) })
}

func (f *Flaky) Renew(ctx context.Context, now time.Time, l chokepoint.Lease, ttl time.Duration) (chokepoint.Lease, error) {
	return get(f, "Renew", func() (chokepoint.Lease, error) { return f.Store.Renew(ctx, now, l, ttl) })
}

func (f *Flaky) Release(ctx context.Context, l chokepoint.Lease) error {
	return f.do("Release", func() error { return f.Store.Release(ctx, l) })
}

func (f *Flaky) Cursor(ctx context.Context, source string) (string, error) {
	return get(f, "Cursor", func() (string, error) { return f.Store.Cursor(ctx, source) })
}

func (f *Flaky) Record(ctx context.Context, now time.Time, s store.SourceStep) (int, error) {
	return get(f, "Record", func() (int, error) { return f.Store.Record(ctx, now, s) })
}

func (f *Flaky) Read(ctx context.Context, after chokepoint.Position, kinds []chokepoint.Kind, n int) (es []chokepoint.Entry, p chokepoint.Position, err error) {
	err = f.do("Read", func() (err error) { es, p, err = f.Store.Read(ctx, after, kinds, n); return err })
	if err != nil {
		return nil, "", err
	}
	return es, p, nil
}

func (f *Flaky) Health(ctx context.Context) ([]chokepoint.Health, error) {
	return get(f, "Health", func() ([]chokepoint.Health, error) { return f.Store.Health(ctx) })
}

func (f *Flaky) Checkpoint(ctx context.Context, watcher string) (chokepoint.Checkpoint, error) {
	return get(f, "Checkpoint", func() (chokepoint.Checkpoint, error) { return f.Store.Checkpoint(ctx, watcher) })
}

func (f *Flaky) Commit(ctx context.Context, now time.Time, s store.Step) error {
	return f.do("Commit", func() error { return f.Store.Commit(ctx, now, s) })
}

func (f *Flaky) Ticks(ctx context.Context) ([]chokepoint.TickReport, error) {
	return get(f, "Ticks", func() ([]chokepoint.TickReport, error) { return f.Store.Ticks(ctx) })
}

func (f *Flaky) Board(ctx context.Context) ([]chokepoint.Card, error) {
	return get(f, "Board", func() ([]chokepoint.Card, error) { return f.Store.Board(ctx) })
}

func (f *Flaky) AllRules(ctx context.Context, known int64) (rs []chokepoint.Rule, v int64, err error) {
	err = f.do("AllRules", func() (err error) { rs, v, err = f.Store.AllRules(ctx, known); return err })
	if err != nil {
		return nil, 0, err
	}
	return rs, v, nil
}

func (f *Flaky) SetRules(ctx context.Context, rules []chokepoint.Rule) error {
	return f.do("SetRules", func() error { return f.Store.SetRules(ctx, rules) })
}

func (f *Flaky) Publish(ctx context.Context, now time.Time, alerts []chokepoint.Alert) error {
	return f.do("Publish", func() error { return f.Store.Publish(ctx, now, alerts) })
}

func (f *Flaky) Spread(ctx context.Context, now time.Time, page int) (bool, error) {
	return get(f, "Spread", func() (bool, error) { return f.Store.Spread(ctx, now, page) })
}

func (f *Flaky) Grants(ctx context.Context, now time.Time, p chokepoint.Platform, holder string, ttl time.Duration, n int) ([]chokepoint.Grant, error) {
	return get(f, "Grants", func() ([]chokepoint.Grant, error) { return f.Store.Grants(ctx, now, p, holder, ttl, n) })
}

func (f *Flaky) Due(ctx context.Context, p chokepoint.Platform) (time.Time, error) {
	return get(f, "Due", func() (time.Time, error) { return f.Store.Due(ctx, p) })
}

func (f *Flaky) Settle(ctx context.Context, now time.Time, s []chokepoint.Settlement) ([]chokepoint.DeliveryID, error) {
	return get(f, "Settle", func() ([]chokepoint.DeliveryID, error) { return f.Store.Settle(ctx, now, s) })
}

func (f *Flaky) DeadLetters(ctx context.Context, n int) ([]chokepoint.Delivery, error) {
	return get(f, "DeadLetters", func() ([]chokepoint.Delivery, error) { return f.Store.DeadLetters(ctx, n) })
}

func (f *Flaky) Requeue(ctx context.Context, now time.Time, id chokepoint.DeliveryID) error {
	return f.do("Requeue", func() error { return f.Store.Requeue(ctx, now, id) })
}

func (f *Flaky) Depth(ctx context.Context, now time.Time) (chokepoint.Depth, error) {
	return get(f, "Depth", func() (chokepoint.Depth, error) { return f.Store.Depth(ctx, now) })
}

func (f *Flaky) Chat(ctx context.Context, id chokepoint.ChatID) (chokepoint.Chat, error) {
	return get(f, "Chat", func() (chokepoint.Chat, error) { return f.Store.Chat(ctx, id) })
}

func (f *Flaky) Chats(ctx context.Context) ([]chokepoint.Chat, error) {
	return get(f, "Chats", func() ([]chokepoint.Chat, error) { return f.Store.Chats(ctx) })
}

func (f *Flaky) PutChat(ctx context.Context, c chokepoint.Chat) error {
	return f.do("PutChat", func() error { return f.Store.PutChat(ctx, c) })
}

func (f *Flaky) MoveChat(ctx context.Context, now time.Time, from, to chokepoint.ChatID) error {
	return f.do("MoveChat", func() error { return f.Store.MoveChat(ctx, now, from, to) })
}

func (f *Flaky) Rules(ctx context.Context, id chokepoint.ChatID) ([]chokepoint.Rule, error) {
	return get(f, "Rules", func() ([]chokepoint.Rule, error) { return f.Store.Rules(ctx, id) })
}

func (f *Flaky) PutRule(ctx context.Context, r chokepoint.Rule) error {
	return f.do("PutRule", func() error { return f.Store.PutRule(ctx, r) })
}

func (f *Flaky) DeleteRule(ctx context.Context, id chokepoint.ChatID, rule string) error {
	return f.do("DeleteRule", func() error { return f.Store.DeleteRule(ctx, id, rule) })
}

func (f *Flaky) Alert(ctx context.Context, id chokepoint.AlertID) (chokepoint.Alert, error) {
	return get(f, "Alert", func() (chokepoint.Alert, error) { return f.Store.Alert(ctx, id) })
}

func (f *Flaky) Alerts(ctx context.Context, q store.AlertQuery) ([]chokepoint.Alert, error) {
	return get(f, "Alerts", func() ([]chokepoint.Alert, error) { return f.Store.Alerts(ctx, q) })
}

func (f *Flaky) Posting(ctx context.Context, c chokepoint.ChatID, s chokepoint.StoryID) (chokepoint.Posting, error) {
	return get(f, "Posting", func() (chokepoint.Posting, error) { return f.Store.Posting(ctx, c, s) })
}

func (f *Flaky) PutPosting(ctx context.Context, p chokepoint.Posting) error {
	return f.do("PutPosting", func() error { return f.Store.PutPosting(ctx, p) })
}

func (f *Flaky) Quotes(ctx context.Context) ([]chokepoint.Quote, error) {
	return get(f, "Quotes", func() ([]chokepoint.Quote, error) { return f.Store.Quotes(ctx) })
}

func (f *Flaky) Bars(ctx context.Context, s chokepoint.Symbol, from string) ([]chokepoint.Bar, error) {
	return get(f, "Bars", func() ([]chokepoint.Bar, error) { return f.Store.Bars(ctx, s, from) })
}

func (f *Flaky) Mark(ctx context.Context, name string) (string, error) {
	return get(f, "Mark", func() (string, error) { return f.Store.Mark(ctx, name) })
}

func (f *Flaky) PutMark(ctx context.Context, name, value string) error {
	return f.do("PutMark", func() error { return f.Store.PutMark(ctx, name, value) })
}

// Await waits on the store beneath, and fails as any call does.
func (f *Flaky) Await(ctx context.Context, what store.What, seen int64) (int64, error) {
	return get(f, "Await", func() (int64, error) { return f.Store.(store.Waker).Await(ctx, what, seen) })
}
