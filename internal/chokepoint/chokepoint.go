// Package chokepoint is the vocabulary of the program: the nouns that every
// room speaks of. It imports only the standard library, does no I/O, and reads
// no clock.
//
// All times are UTC. Text that came from outside is kept as it came, trimmed
// to the lengths given; whoever shows it escapes it.
package chokepoint

import (
	"errors"
	"time"
)

// Symbol is a ticker as Yahoo Finance writes it, in upper case: "AAOI",
// "SIVE.ST", "4979.TWO", "^SOX".
type Symbol string

// Topic is what a chat follows: the name of a watcher, such as "aaoi-texas",
// or TopicOps.
type Topic string

// TopicOps carries what only operators need: sources that fail or recover,
// dead letters, a platform that refuses.
const TopicOps Topic = "ops"

// Platform names a chat network.
type Platform string

const (
	Discord  Platform = "discord"
	Telegram Platform = "telegram"
	Console  Platform = "console"
)

// Language is a language the program speaks.
type Language string

const (
	English Language = "en"
	Chinese Language = "zh"
)

// ChatID names a chat on one platform. ID is opaque outside that platform's
// adapter: a Discord channel's snowflake, a Telegram chat's signed number, or
// that number and a forum topic's joined by "/".
type ChatID struct {
	Platform Platform `json:"platform"`
	ID       string   `json:"id"`
}

// String is "platform:id", the form used in configuration, logs and keys.
func (c ChatID) String() string { return string(c.Platform) + ":" + c.ID }

// Errors that cross rooms. Test with errors.Is; whoever returns one wraps it
// with what was being done to which thing.
var (
	ErrNotFound  = errors.New("not found")
	ErrLeaseHeld = errors.New("lease held by another")
	ErrLeaseLost = errors.New("lease lost")
)

// Lease is the right to act alone on Name until Expires. Token is the fencing
// token: it grows with every grant of the name, so a store refuses a holder
// that was overtaken.
type Lease struct {
	Name    string    `json:"name"`
	Holder  string    `json:"holder"`
	Token   int64     `json:"token"`
	Expires time.Time `json:"expires"`
}

// Position is a place in the journal. It is opaque to all but the store that
// made it; "" is the beginning.
type Position string

// Checkpoint is what a watcher remembers between ticks: how far it has read,
// and its judge's own state, opaque to all but that judge (nil before the
// first commit).
type Checkpoint struct {
	Position Position `json:"position"`
	State    []byte   `json:"state"`
}
