package story

import (
	"slices"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Span is how far back the evidence on a card is counted.
const Span = 90 * 24 * time.Hour

// Trail is the evidence on a card, as cards show it.
type Trail struct {
	Latest   time.Time             `json:"latest,omitzero"`
	Times    []time.Time           `json:"times,omitempty"`    // of the tellings, at most 200
	Evidence []chokepoint.Evidence `json:"evidence,omitempty"` // newest first, at most 5
}

// Add puts a telling of the moment at on the trail.
func (t *Trail) Add(e chokepoint.Evidence, at time.Time) {
	if at.After(t.Latest) {
		t.Latest = at
	}
	t.Times = append(slices.DeleteFunc(t.Times, func(o time.Time) bool { return at.Sub(o) > Span }), at)
	t.Times = t.Times[max(0, len(t.Times)-200):]
	if e.Published.IsZero() {
		e.Published = at
	}
	t.Evidence = append(t.Evidence, e)
	slices.SortStableFunc(t.Evidence, func(a, b chokepoint.Evidence) int { return b.Published.Compare(a.Published) })
	t.Evidence = t.Evidence[:min(len(t.Evidence), 5)]
}

// Count is how many tellings there were in the 90 days before now.
func (t *Trail) Count(now time.Time) int {
	n := 0
	for _, at := range t.Times {
		if now.Sub(at) <= Span {
			n++
		}
	}
	return n
}

// Put writes the trail on a card.
func (t *Trail) Put(c *chokepoint.Card, now time.Time) {
	c.Latest, c.Count, c.Evidence, c.Updated = t.Latest, t.Count(now), slices.Clone(t.Evidence), now
}

// EvidenceOf is the document that o quotes; a filing's and a permit's are
// primary.
func EvidenceOf(o chokepoint.Observation) chokepoint.Evidence {
	switch {
	case o.News != nil:
		return o.News.Evidence
	case o.Filing != nil:
		e := o.Filing.Evidence
		e.Primary = true
		return e
	case o.Permit != nil:
		e := o.Permit.Evidence
		e.Primary = true
		return e
	}
	return chokepoint.Evidence{}
}
