package price

import (
	"encoding/json"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// A machine is a rule's place between firings, kept as JSON in Rule.State.
//
//	""  ──► armed ──► fired ──► cooling ──► armed
//	first   holds     came back  time over
type machine struct {
	Phase phase  `json:"p"`
	Side  int8   `json:"s,omitempty"` // crosses: the side the price was on; moves: the way it fired
	Day   string `json:"d,omitempty"` // moves in 1d, swings: the trading day it fired on
}

type phase string

const (
	unjudged phase = ""
	armed    phase = "a"
	fired    phase = "f"
	cooling  phase = "c" // came back, and still silent
)

// A reading is how a quote stands to a condition.
type reading struct {
	known  bool // false if a reference or a figure lacks: then nothing changes
	holds  bool
	back   bool // past the margin on the other side
	side   int8 // of the level, or the way of the move; 0 on neither
	day    string
	change chokepoint.Decimal // moves, swings: of the price
	from   chokepoint.Decimal // moves, swings: the reference
}

// step moves the rule on by a quote at the moment at, and says whether it
// fires and whether anything of it changed.
func (e *entry) step(at time.Time, r reading) (fires, moved bool) {
	if !r.known {
		return false, false
	}
	next, fires := e.cond.next(e.at, e.rule.Fired, at, r, e.rule.Chat == chokepoint.ChatID{})
	if fires {
		e.rule.Fired = at
		e.rule.Firings++
		e.rule.Done = e.cond.Once
	} else if next == e.at {
		return false, false
	}
	e.at = next
	e.rule.State, _ = json.Marshal(next) // strings and a number: cannot fail
	return fires, true
}

// next is the edge machine: where a rule at m stands after reading r at the
// moment at. last is when it fired last, zero if never. A quiet rule does not
// fire at its first judgement.
func (c Condition) next(m machine, last, at time.Time, r reading, quiet bool) (machine, bool) {
	wait := max(c.Cooldown, c.Every)
	cooled := last.IsZero() || at.Sub(last) >= wait

	if m.Phase == unjudged {
		if c.Op == Crosses {
			if r.side == 0 {
				return m, false
			}
			return machine{Phase: armed, Side: r.side}, false
		}
		if quiet && r.holds {
			return machine{Phase: fired, Side: r.side, Day: r.day}, false
		}
		m.Phase = armed
	}
	if m.Phase == fired && (r.back || m.Day != r.day || c.Op == Moves && r.holds && r.side != m.Side) {
		m = machine{Phase: cooling}
	}
	if m.Phase == cooling && cooled && (c.Op != Crosses || r.back) {
		m.Phase = armed
		if c.Op == Crosses {
			m.Side = r.side
		}
	}
	holds := r.holds
	if c.Op == Crosses {
		holds = r.side != 0 && r.side != m.Side
	}
	again := m.Phase == fired && c.Every > 0 && !last.IsZero() && cooled && c.Op != Crosses
	if holds && (m.Phase == armed || again) {
		return machine{Phase: fired, Side: r.side, Day: r.day}, true
	}
	return m, false
}

// expired says whether the rule's last day is over on day.
func (c Condition) expired(day string) bool { return c.Until != "" && day > c.Until }
