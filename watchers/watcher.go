// Package watchers observes and judges: sources are asked on their schedules
// and what they say is written to the journal; watchers read the journal and
// form opinions, which become alerts and cards of the board.
package watchers

import (
	"context"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Source asks one place for what is new. It has no opinion.
type Source interface {
	// Name is as configured, such as "sec".
	Name() string

	// Observe returns what is new since cursor, oldest first, and the cursor
	// to pass next time. An empty cursor means the first visit. The cursor
	// holds whatever must survive a restart: validators, digests, the rows
	// last seen. An Observation's At and Seen are set; Seen is now.
	//
	// What was there before the source was first asked is history: it is
	// marked as Backfill, so that judges learn from it and announce nothing.
	// The runner marks what a first visit brings (quotes apart, which are of
	// now); a source that asks several places marks what each brings when it is
	// new to it.
	//
	// With an error it may still return what it read before failing, and a
	// cursor that covers just that (the old one, if nothing): both are
	// recorded. An error that wraps a *Failure, or a *fetch.Error, says how the
	// visit ended; any other is chokepoint.Transport.
	Observe(ctx context.Context, now time.Time, cursor string) (Result, error)
}

// Result is what one visit brought.
type Result struct {
	Observations []chokepoint.Observation // oldest first
	Cursor       string
	Class        chokepoint.Class // OKNew, OKUnchanged or EmptyValid; "" means the first two by whether there are observations
}

// Failure is a visit that did not bring a well-formed answer. Its text is free
// of secrets and says what was asked.
type Failure struct {
	Class   chokepoint.Class
	Wait    time.Duration // ask again no sooner than this; zero if the source did not say
	Partial bool          // some of what was asked did answer
	Err     error
}

func (f *Failure) Error() string { return string(f.Class) + ": " + f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }

// Judge forms an opinion. It does no I/O and reads no clock, so that a
// recorded day can be judged again.
type Judge interface {
	// Kinds are the observations that it wants to see.
	Kinds() []chokepoint.Kind

	// Judge weighs in.Observations, oldest first, against what it remembered:
	// no I/O, no clock, no map order. Observations marked Backfill are learnt
	// and not announced: what a source had before it was first asked, and what
	// the journal had before the watcher first read it. It is also called with
	// no observations: some alerts are due by time alone. The same observations
	// give the same alerts, by ID, in one batch or one by one.
	Judge(in Input) (Verdict, error)
}

// Input is what a judgement depends on.
type Input struct {
	Now          time.Time
	State        []byte // what the last verdict left; nil on the first visit
	Observations []chokepoint.Observation

	// Rules are the price rules in force, with their states; nil to judges
	// that have none. One that is Done may still be among them.
	Rules []chokepoint.Rule
}

// Verdict is what to remember and what to say.
type Verdict struct {
	State  []byte // nil leaves the state as it was
	Alerts []chokepoint.Alert
	Cards  []chokepoint.Card
	Rules  []chokepoint.Rule // those whose state changed
}
