package price

import (
	"cmp"
	"encoding/json"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

const (
	// Of a quote, beyond its venue's own delay: how old it may be when it is
	// seen and still fire. Out of hours trades are far between.
	freshInSession = 15 * time.Minute
	freshOutside   = 30 * time.Minute
	// late is how long after it was seen a quote may still fire: when the
	// journal is read on after a pause, older prices are history.
	late = time.Hour
	// ahead is how far a provider's clock may run before ours.
	ahead = 2 * time.Minute

	// jump is the change, in per cent, from which a price needs a second
	// sample: Yahoo's figures take splits and bad ticks unannounced.
	jump = 60 * chokepoint.Unit

	keepSamples = time.Hour   // at least, so that a new rule has something to compare with
	apart       = time.Minute // of samples that are kept
	keepBars    = maxDays + 1
)

// memory is the judge's state.
type memory struct {
	Symbols map[chokepoint.Symbol]*history `json:"s"`
}

func (m *memory) of(s chokepoint.Symbol) *history {
	h := m.Symbols[s]
	if h == nil {
		h = &history{}
		m.Symbols[s] = h
	}
	return h
}

// history is what is remembered of a symbol.
type history struct {
	Newest  int64     `json:"t,omitempty"` // time of the newest quote, Unix milliseconds
	Suspect *sample   `json:"x,omitempty"` // a jump that waits to be confirmed
	Samples []sample  `json:"h,omitempty"` // oldest first
	Bars    []closing `json:"b,omitempty"` // oldest first
}

// A sample is a price at a moment: [Unix milliseconds, millionths] in JSON.
type sample struct {
	at    int64
	price chokepoint.Decimal
}

func (s sample) MarshalJSON() ([]byte, error) {
	return json.Marshal([2]int64{s.at, int64(s.price)})
}

func (s *sample) UnmarshalJSON(b []byte) error {
	var pair [2]int64
	err := json.Unmarshal(b, &pair)
	s.at, s.price = pair[0], chokepoint.Decimal(pair[1])
	return err
}

// A closing is the close of a day: [day, price] in JSON.
type closing struct {
	day   string // YYYY-MM-DD
	price chokepoint.Decimal
}

func (c closing) MarshalJSON() ([]byte, error) {
	return json.Marshal([2]string{c.day, c.price.String()})
}

func (c *closing) UnmarshalJSON(b []byte) error {
	var pair [2]string
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	c.day = pair[0]
	return c.price.UnmarshalText([]byte(pair[1]))
}

// addBar remembers a day's close, and replaces what was known of the day.
func (h *history) addBar(b chokepoint.Bar) {
	if _, err := time.Parse(time.DateOnly, b.Day); err != nil || b.Close <= 0 {
		return
	}
	i, there := slices.BinarySearchFunc(h.Bars, b.Day, func(c closing, day string) int { return strings.Compare(c.day, day) })
	if there {
		h.Bars[i].price = b.Close
		return
	}
	h.Bars = slices.Insert(h.Bars, i, closing{b.Day, b.Close})
	if n := len(h.Bars) - keepBars; n > 0 {
		h.Bars = slices.Delete(h.Bars, 0, n)
	}
}

// accept remembers q, and says whether it is a price that may be judged: newer
// than any before, and no unconfirmed jump. span is the longest that a rule
// looks back within the day.
func (h *history) accept(q chokepoint.Quote, span time.Duration) bool {
	at := q.At.UnixMilli()
	if q.Price <= 0 || q.At.IsZero() || q.At.Sub(q.Seen) > ahead || at <= h.Newest {
		return false
	}
	h.Newest = at
	before := q.Prev
	if n := len(h.Samples); n > 0 {
		before = h.Samples[n-1].price
	}
	now := sample{at, q.Price}
	if before > 0 && far(q.Price, before) && (h.Suspect == nil || far(q.Price, h.Suspect.price)) {
		h.Suspect = &now
		return false
	}
	h.Suspect = nil

	if n := len(h.Samples); n > 1 && at-h.Samples[n-2].at < apart.Milliseconds() {
		h.Samples[n-1] = now
	} else {
		h.Samples = append(h.Samples, now)
	}
	// One sample beyond the span stays: it is the reference.
	oldest := at - (max(keepSamples, span) + slack(span)).Milliseconds()
	old := 0
	for old < len(h.Samples)-1 && h.Samples[old].at < oldest {
		old++
	}
	h.Samples = slices.Delete(h.Samples, 0, old)
	return true
}

// slack is how much older than a span its reference may be.
func slack(span time.Duration) time.Duration { return max(span/4, 10*time.Minute) }

// measure says how q, the newest sample, stands to c. day is q's, YYYY-MM-DD.
func (h *history) measure(c Condition, q chokepoint.Quote, day string) reading {
	switch c.Op {
	case Above, Below, Crosses:
		return level(c, q.Price)
	case Moves:
		return h.move(c, q, day)
	default:
		return swing(c, q, day)
	}
}

func level(c Condition, price chokepoint.Decimal) reading {
	r := reading{known: true, side: int8(cmp.Compare(price, c.Level))}
	margin := c.Level / 50
	switch c.Op {
	case Above:
		r.holds, r.back = price > c.Level, price <= c.Level-margin
		r.side = 0
	case Below:
		r.holds, r.back = price < c.Level, price >= c.Level+margin
		r.side = 0
	case Crosses:
		r.back = price >= c.Level+margin || price <= c.Level-margin
	}
	return r
}

func (h *history) move(c Condition, q chokepoint.Quote, day string) reading {
	from := h.reference(c, q, day)
	if from <= 0 {
		return reading{}
	}
	r := reading{known: true, from: from, change: q.Price - from, side: int8(cmp.Compare(q.Price, from))}
	size := max(r.change, -r.change)
	counts := c.Way == chokepoint.Neutral || int8(c.Way) == r.side
	r.holds = counts && ratio(size, from, c.Level) >= 0
	r.back = !counts || ratio(size, from, c.Level-margin(c.Level)) <= 0
	if c.Days == 1 {
		r.day = day
	}
	return r
}

// reference is the price that a move is measured from; 0 if it is not known.
func (h *history) reference(c Condition, q chokepoint.Quote, today string) chokepoint.Decimal {
	if c.Span > 0 {
		want := q.At.Add(-c.Span)
		for i := len(h.Samples) - 1; i >= 0; i-- {
			if s := h.Samples[i]; s.at <= want.UnixMilli() {
				if s.at < want.Add(-slack(c.Span)).UnixMilli() {
					return 0
				}
				return s.price
			}
		}
		return 0
	}
	if c.Days == 1 && q.Prev > 0 {
		return q.Prev
	}
	before, _ := slices.BinarySearchFunc(h.Bars, today, func(b closing, day string) int { return strings.Compare(b.day, day) })
	if before < c.Days {
		return 0
	}
	// Bars that stopped coming must not pass for recent ones. The longest
	// closure, Taiwan's at the Lunar New Year, is about ten days.
	if newest, err := time.Parse(time.DateOnly, h.Bars[before-1].day); err != nil || newest.AddDate(0, 0, 12).Format(time.DateOnly) < today {
		return 0
	}
	return h.Bars[before-c.Days].price
}

func swing(c Condition, q chokepoint.Quote, day string) reading {
	// Before the session the day's figures may still be the last day's.
	if q.Session == chokepoint.SessionPre || q.Low <= 0 || q.High < q.Low || far(q.High, q.Price) || far(q.Low, q.Price) {
		return reading{}
	}
	from := q.Prev
	if from <= 0 {
		from = q.Low
	}
	r := reading{known: true, from: from, change: q.High - q.Low, day: day}
	r.holds = ratio(r.change, from, c.Level) >= 0
	r.back = ratio(r.change, from, c.Level-margin(c.Level)) <= 0
	return r
}

// margin is how far a percentage must come back: 2 points, or a quarter.
func margin(level chokepoint.Decimal) chokepoint.Decimal {
	return min(2*chokepoint.Unit, level/4)
}

// ratio compares part/whole with a percentage, exactly; part ≥ 0, whole > 0.
func ratio(part, whole, percent chokepoint.Decimal) int {
	// part × 100 / whole ⋛ percent / 10⁶, in 128 bits.
	ah, al := bits.Mul64(uint64(part), 100*uint64(chokepoint.Unit))
	bh, bl := bits.Mul64(uint64(whole), uint64(percent))
	return cmp.Or(cmp.Compare(ah, bh), cmp.Compare(al, bl))
}

func far(a, b chokepoint.Decimal) bool { return ratio(max(a-b, b-a), b, jump) > 0 }

// percent is part/whole in per cent, rounded to two places; whole > 0. What is
// too large for a Decimal is the largest.
func percent(part, whole chokepoint.Decimal) chokepoint.Decimal {
	size := uint64(max(part, -part))
	hi, lo := bits.Mul64(size, 10_000) // hundredths of a per cent
	lo, carry := bits.Add64(lo, uint64(whole)/2, 0)
	hi += carry
	n := uint64(1 << 49)
	if hi < uint64(whole) {
		q, _ := bits.Div64(hi, lo, uint64(whole))
		n = min(n, q)
	}
	d := chokepoint.Decimal(n) * (chokepoint.Unit / 100)
	if part < 0 {
		return -d
	}
	return d
}
