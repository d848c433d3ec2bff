package bot

import (
	"context"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Handler answers commands. Package commands has the only real one.
type Handler interface {
	Menu() []CommandSpec
	Handle(ctx context.Context, in Inbound) Answer
}

// Answer is what a command says, and what it asks of the platform beside.
type Answer struct {
	Message Message
	// Discuss, if set, opens a thread under the story's message in the chat,
	// on platforms that have threads; its follow-ups go there.
	Discuss chokepoint.StoryID
	Thread  string // the thread's name
}

// Renderer words an alert in a language and zone, for any chat of them.
type Renderer interface {
	// Alert words a. again says that an earlier copy may have been shown.
	Alert(a *chokepoint.Alert, lang chokepoint.Language, zone *time.Location, sent time.Time, again bool) Message
}

// Outbox is the part of the store that sending needs.
type Outbox interface {
	Spread(ctx context.Context, now time.Time, page int) (more bool, err error)
	Grants(ctx context.Context, now time.Time, p chokepoint.Platform, holder string, ttl time.Duration, n int) ([]chokepoint.Grant, error)
	Due(ctx context.Context, p chokepoint.Platform) (time.Time, error)
	Settle(ctx context.Context, now time.Time, s []chokepoint.Settlement) (lost []chokepoint.DeliveryID, err error)
	Publish(ctx context.Context, now time.Time, alerts []chokepoint.Alert) error
	Alerts(ctx context.Context, q chokepoint.AlertQuery) ([]chokepoint.Alert, error)
	Posting(ctx context.Context, c chokepoint.ChatID, s chokepoint.StoryID) (chokepoint.Posting, error)
	PutPosting(ctx context.Context, p chokepoint.Posting) error
}

// Leaser lets one process at a time receive from a platform.
type Leaser interface {
	Acquire(ctx context.Context, now time.Time, name, holder string, ttl time.Duration) (chokepoint.Lease, error)
	Renew(ctx context.Context, now time.Time, l chokepoint.Lease, ttl time.Duration) (chokepoint.Lease, error)
	Release(ctx context.Context, l chokepoint.Lease) error
}
