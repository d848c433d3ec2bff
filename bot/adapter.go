// Package bot sends and receives: it takes what the store owes to chats, words
// it, and hands it to the adapters of the platforms; and it carries what people
// say to the one command handler and its answers back.
package bot

import (
	"context"
	"fmt"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Adapter carries messages to and from one platform. It does not retry, split,
// pace or log: Bot does that once for all of them. Methods may be called
// concurrently.
type Adapter interface {
	Platform() chokepoint.Platform
	Limits() Limits

	// Send shows m at to, and says where it stands. key is the same on every
	// attempt at one message; an adapter whose platform can drop repeats
	// passes it on. A failure is a *SendError. Once ctx is done Send returns
	// soon, and the message may or may not have been shown.
	Send(ctx context.Context, to Target, m Message, key string) (Posted, error)

	// Reply answers in, where it was said. It may be called several times for
	// one Inbound. A failure is a *SendError.
	Reply(ctx context.Context, in Inbound, m Message) error

	// Run publishes menu, then receives until ctx is done, and returns nil: or
	// an error wrapping ErrStopped if the platform will not have us (a revoked
	// token, a refused intent), which waiting does not mend. It calls got for
	// each inbound on a goroutine of its own, at most 64 at a time, and
	// returns only after every got has. It reconnects by itself.
	Run(ctx context.Context, menu []CommandSpec, got func(context.Context, Inbound)) error
}

// Prober is an adapter that can say whether its credentials and targets work,
// for `check -online` and test-alert.
type Prober interface {
	// Probe returns the bot's own name. A failure is a *SendError.
	Probe(ctx context.Context) (name string, err error)
}

// Threader is an adapter whose platform has threads under a message.
type Threader interface {
	// OpenThread opens a thread named name (cut to the platform's length)
	// under at.Edit, and returns its ID; the existing one's if there is one
	// already. A failure is a *SendError.
	OpenThread(ctx context.Context, at Target, name string) (thread string, err error)
}

// Target says where a message goes.
type Target struct {
	Chat   chokepoint.ChatID
	Thread string // post in this thread of the chat; "" in none
	Answer string // as an answer to this message; "" to none. If that is gone, the message is shown all the same
	Edit   string // change this message of ours instead of posting; "" posts
}

// Posted says where a message stands.
type Posted struct {
	Message string // the platform's ID
	// Elsewhere is set if the thread was closed or gone and the message was
	// posted in the chat itself.
	Elsewhere bool
}

// Limits are a platform's published bounds.
type Limits struct {
	Text   int           // longest message as Measure counts it; Send refuses more as Rejected
	Image  int           // largest PNG in bytes; zero if images cannot be sent
	Every  time.Duration // sustained pace of one chat: one message per Every; edits count too
	Burst  int           // messages of one chat that may go at once
	Global time.Duration // sustained pace over all chats; zero if unbounded
	Dedups bool          // the platform drops repeats of a key
	Edits  bool          // messages can be changed after they were sent

	// Measure is the length of m as the platform counts it, markup and all.
	Measure func(m Message) int
}

// Class says what a failed send means.
type Class uint8

const (
	Transient    Class = iota // surely not shown; try again later
	Unknown                   // the answer was lost: it may or may not have been shown
	RateLimited               // surely not shown; try again after Wait
	ChatGone                  // never again to this chat: deleted, kicked, blocked, no permission
	Moved                     // the chat has another ID: To
	MessageGone               // the message to edit is no more
	Rejected                  // never again this message as it is
	Unauthorized              // nothing will work until an operator acts
)

var classNames = [...]string{"transient", "unknown", "rate-limited", "chat-gone", "moved", "message-gone", "rejected", "unauthorized"}

// String is the class's name in logs and metrics.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return fmt.Sprintf("class(%d)", c)
}

// SendError is a classified failure. Its text holds no secret.
type SendError struct {
	Class  Class
	Wait   time.Duration     // RateLimited: at least this long
	Global bool              // RateLimited: every chat must wait
	To     chokepoint.ChatID // Moved
	Err    error
}

func (e *SendError) Error() string { return e.Class.String() + ": " + e.Err.Error() }
func (e *SendError) Unwrap() error { return e.Err }

// ErrStopped is wrapped by what Run returns when the platform refuses us for
// good.
var ErrStopped = fmt.Errorf("stopped by the platform")
