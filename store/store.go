// Package store is the contract of what the program remembers. The back ends
// are sqlitestore (one file, one process) and redisstore (any number of
// replicas on one Redis, Sentinel or Cluster); storetest is the suite that
// both pass whole.
package store

import (
	"context"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Store is everything the program remembers.
//
// A back end reads no clock: a method whose result depends on the time is told
// it. Methods may be called concurrently, and on Redis from several processes.
// When ctx ends a method returns soon, and a write may or may not have taken
// effect: every write here can be repeated without harm. What a method returns
// is the caller's to keep and change, except what a Grant shares.
//
// An error that is none of the sentinels of package chokepoint means that the
// store could not say: nothing may be concluded from it, least of all that
// something is new.
type Store interface {
	Leases
	Journal
	Ledger
	Outbox
	Desk

	// Ping says whether the store can be read and written now. Its error
	// names the remedy.
	Ping(ctx context.Context) error

	// Trim drops what is older than keep says, at most n rows or entries of
	// each sort, and says whether there may be more. What is still owed, and
	// what a watcher has not read yet, is never dropped.
	Trim(ctx context.Context, now time.Time, keep Keep, n int) (more bool, err error)

	// Close waits for writes under way. It may be called twice.
	Close() error
}

// Keep says how long things are kept.
type Keep struct {
	Journal time.Duration // observations other than quotes; alerts, postings, dead letters
	Quotes  time.Duration // quotes in the journal; bars are kept as long as Journal
}

// Leases grants names to holders, with fencing tokens.
type Leases interface {
	// Acquire grants name to holder for ttl. A holder that already has it gets
	// it again under a new token. ErrLeaseHeld while another holds it.
	Acquire(ctx context.Context, now time.Time, name, holder string, ttl time.Duration) (chokepoint.Lease, error)
	// Renew extends a lease under the same token. ErrLeaseLost if it ran out
	// and was granted again, or was released.
	Renew(ctx context.Context, now time.Time, l chokepoint.Lease, ttl time.Duration) (chokepoint.Lease, error)
	// Release gives a lease back; nil if it was lost already.
	Release(ctx context.Context, l chokepoint.Lease) error
}

// SourceStep is the whole outcome of one visit to a source.
type SourceStep = chokepoint.SourceStep

// Journal is everything ever observed, in the order of recording.
type Journal interface {
	// Cursor is what the last step of the source left; "" before the first.
	Cursor(ctx context.Context, source string) (string, error)
	// Record takes a step or refuses it as one: journal, latest quotes, bars,
	// cursor, health and alerts. An observation whose ID the journal has is
	// left alone; fresh counts the others. ErrLeaseLost.
	Record(ctx context.Context, now time.Time, s SourceStep) (fresh int, err error)
	// Read returns up to n entries of the kinds (none: all) after a position,
	// in order, and the position to read on from, which is past all that was
	// examined even if nothing matched.
	Read(ctx context.Context, after chokepoint.Position, kinds []chokepoint.Kind, n int) ([]chokepoint.Entry, chokepoint.Position, error)
	// Health is the last of each source, by name.
	Health(ctx context.Context) ([]chokepoint.Health, error)
}

// Step is the whole outcome of one tick of a watcher.
type Step = chokepoint.Step

// Ledger is what watchers decided.
type Ledger interface {
	// Checkpoint is zero before a watcher's first commit.
	Checkpoint(ctx context.Context, watcher string) (chokepoint.Checkpoint, error)
	// Commit takes a step or refuses it as one. ErrLeaseLost.
	Commit(ctx context.Context, now time.Time, s Step) error
	// Ticks is the last report of each watcher, by name.
	Ticks(ctx context.Context) ([]chokepoint.TickReport, error)
	// Board is every card, by Kind and ID.
	Board(ctx context.Context) ([]chokepoint.Card, error)
	// AllRules is every rule that is not Done, of every chat and of the
	// configuration, and a version that changes whenever one is added,
	// changed by a person or deleted (not when a step changes its state).
	// With known equal to the present version it returns nil rules.
	AllRules(ctx context.Context, known int64) (rules []chokepoint.Rule, version int64, err error)
	// SetRules makes the rules of the configuration (zero Chat) those given,
	// keeping the state of those that are there with the same Symbol and Text.
	SetRules(ctx context.Context, rules []chokepoint.Rule) error
}

// Outbox holds what is owed to chats, one lane per chat.
type Outbox interface {
	// Publish writes alerts with their spreads, for those that come from
	// neither a source nor a watcher: drills, and news of the bot itself.
	Publish(ctx context.Context, now time.Time, alerts []chokepoint.Alert) error
	// Spread carries the oldest unfinished spread on by up to page chats: a
	// delivery for each chat that follows the alert's topic and can be
	// reached, or for each of Alert.Only. Repeating it makes no second
	// delivery. more says whether something is left to spread.
	Spread(ctx context.Context, now time.Time, page int) (more bool, err error)
	// Grants leases up to n lanes of platform that are due, the longest due
	// first, each with its oldest due delivery.
	Grants(ctx context.Context, now time.Time, p chokepoint.Platform, holder string, ttl time.Duration, n int) ([]chokepoint.Grant, error)
	// Due is when the next lane of platform falls due: in the past if one is
	// due now, zero if nothing is owed or all of it is granted.
	Due(ctx context.Context, p chokepoint.Platform) (time.Time, error)
	// Settle ends grants, each once. Those that ran out and were granted
	// again, or were settled before, are passed over and named in lost. A
	// Moved outcome moves the whole chat: its settings, rules, postings and
	// lane.
	Settle(ctx context.Context, now time.Time, s []chokepoint.Settlement) (lost []chokepoint.DeliveryID, err error)
	// DeadLetters is what was given up, newest first.
	DeadLetters(ctx context.Context, n int) ([]chokepoint.Delivery, error)
	// Requeue owes a dead letter again, with no attempts; ErrNotFound.
	Requeue(ctx context.Context, now time.Time, id chokepoint.DeliveryID) error
	Depth(ctx context.Context, now time.Time) (chokepoint.Depth, error)
}

// AlertQuery picks alerts.
type AlertQuery = chokepoint.AlertQuery

// Desk holds what people set, and what was said.
type Desk interface {
	Chat(ctx context.Context, id chokepoint.ChatID) (chokepoint.Chat, error) // ErrNotFound
	// Chats is every chat, by ID.
	Chats(ctx context.Context) ([]chokepoint.Chat, error)
	PutChat(ctx context.Context, c chokepoint.Chat) error
	// MoveChat gives a chat another ID everywhere: settings, rules, postings,
	// lane. Nothing if from is unknown; if to is known, what is owed to both
	// is kept and to's settings stay.
	MoveChat(ctx context.Context, now time.Time, from, to chokepoint.ChatID) error

	Rules(ctx context.Context, id chokepoint.ChatID) ([]chokepoint.Rule, error) // by Made, Done ones included
	PutRule(ctx context.Context, r chokepoint.Rule) error
	DeleteRule(ctx context.Context, id chokepoint.ChatID, rule string) error // ErrNotFound

	Alert(ctx context.Context, id chokepoint.AlertID) (chokepoint.Alert, error) // ErrNotFound
	Alerts(ctx context.Context, q AlertQuery) ([]chokepoint.Alert, error)       // newest first

	Posting(ctx context.Context, c chokepoint.ChatID, s chokepoint.StoryID) (chokepoint.Posting, error) // ErrNotFound
	PutPosting(ctx context.Context, p chokepoint.Posting) error

	// Quotes is the latest of each symbol that has one, by symbol.
	Quotes(ctx context.Context) ([]chokepoint.Quote, error)
	// Bars is a symbol's days from the given one on (YYYY-MM-DD, "" for all),
	// oldest first.
	Bars(ctx context.Context, s chokepoint.Symbol, from string) ([]chokepoint.Bar, error)

	// Mark is a small named value, such as a platform's update offset; "" if
	// there is none.
	Mark(ctx context.Context, name string) (string, error)
	PutMark(ctx context.Context, name, value string) error
}

// What can be waited for.
type What uint8

const (
	Journaled What = iota // Record added something
	Committed             // Commit, Record or Publish left something to spread
	Owed                  // Spread, Requeue or Settle left something due
	Changed               // people changed rules or chats
	Whats                 // how many there are
)

// Waker is a store that can be waited on. Both back ends are.
type Waker interface {
	// Await returns when what has happened after the moment that seen stands
	// for, when ctx ends, or after about two seconds: with the number to pass
	// next time. The first call passes 0 and returns at once. A wake-up may be
	// spurious; none is missed within a process, and none across processes for
	// longer than two seconds.
	Await(ctx context.Context, what What, seen int64) (int64, error)
}
