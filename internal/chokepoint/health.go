package chokepoint

import "time"

// Class is how one visit to a source ended: exactly one of these. Only the
// first three may move a cursor, validators, or the time of the last good
// visit.
type Class string

const (
	OKNew        Class = "ok-new"
	OKUnchanged  Class = "ok-unchanged" // not modified, or the same digest
	EmptyValid   Class = "empty-valid"
	NotTheFormat Class = "not-the-format" // HTML or text where data was due, a shrunken table, whatever the status
	RateLimited  Class = "rate-limited"
	Blocked      Class = "blocked" // 401, 403, a challenge
	Gone         Class = "gone"    // 404, 410
	Transport    Class = "transport"
	NotAsked     Class = "not-asked" // something must be configured first; Err says what
)

// Good says whether c is a well-formed answer.
func (c Class) Good() bool { return c == OKNew || c == OKUnchanged || c == EmptyValid }

// Health is what is known of a source.
type Health struct {
	Source   string        `json:"source"`
	Kind     string        `json:"kind"`          // as configured: "feed", "edgar", "permits", "quotes"
	Class    Class         `json:"class"`         // of the last visit
	Err      string        `json:"err,omitempty"` // of the last visit; free of secrets; "" if it was good
	Tried    time.Time     `json:"tried"`         // last visit
	Good     time.Time     `json:"good,omitzero"` // last well-formed answer; zero if never
	New      time.Time     `json:"new,omitzero"`  // last time it said something new
	Next     time.Time     `json:"next,omitzero"` // next visit
	Took     time.Duration `json:"took,omitempty"`
	Failures int           `json:"failures,omitempty"` // visits in a row that were not good
	Told     time.Time     `json:"told,omitzero"`      // when operators were told that it fails; zero while they need not be
	Items    int64         `json:"items,omitempty"`    // observations ever recorded
}

// TickReport is what is known of a watcher.
type TickReport struct {
	Watcher  string        `json:"watcher"`
	Began    time.Time     `json:"began"`
	Took     time.Duration `json:"took"`
	Judged   int           `json:"judged"` // observations in that tick
	Alerts   int           `json:"alerts"`
	Next     time.Time     `json:"next,omitzero"`
	Err      string        `json:"err,omitempty"` // "" if the tick succeeded
	Failures int           `json:"failures,omitempty"`
}
