package bot

import (
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// verdict says what to do with a delivery before it is tried.
type verdict uint8

const (
	deliver verdict = iota
	wait            // not before until
	drop
)

// A decision is a verdict with its reason, from a closed set: it becomes a
// label of a metric and a field of the log.
type decision struct {
	verdict verdict
	until   time.Time
	reason  string
}

// gate decides whether a chat wants an alert now. Muting holds everything
// back; quiet hours hold back all but urgent ones; a muted story, too slight
// an alert and one past its time are not wanted at all. A drill always passes.
func gate(now time.Time, c chokepoint.Chat, a *chokepoint.Alert) decision {
	switch {
	case a.Drill:
		return decision{deliver, time.Time{}, "drill"}
	case !a.Expires.IsZero() && now.After(a.Expires):
		return decision{drop, time.Time{}, "expired"}
	case a.Severity < c.MinSeverity:
		return decision{drop, time.Time{}, "slight"}
	case now.Before(c.MutedStories[a.Story]):
		return decision{drop, time.Time{}, "muted-story"}
	case now.Before(c.Muted):
		return decision{wait, c.Muted, "muted"}
	}
	if a.Severity < chokepoint.Urgent {
		if end := quietUntil(now, c.Quiet, c.Zone); !end.IsZero() {
			return decision{wait, end, "quiet"}
		}
	}
	return decision{deliver, time.Time{}, "wanted"}
}

// quietUntil is when the quiet hours that hold now will end, zero if now is in
// none. The ends are what clocks show in the zone, so a span over a change of
// the clocks is an hour shorter or longer, as it is for the people there.
func quietUntil(now time.Time, q chokepoint.QuietHours, zone string) time.Time {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC
	}
	local := now.In(loc)
	minute := local.Hour()*60 + local.Minute()
	from, to := q.From <= minute, minute < q.To
	if q.From <= q.To && !(from && to) || q.From > q.To && !(from || to) {
		return time.Time{}
	}
	end := now.Truncate(time.Minute).Add(time.Duration((q.To-minute+24*60)%(24*60)) * time.Minute)
	// If the clocks change before that, they show something else then.
	if _, change := local.ZoneBounds(); !change.IsZero() && !change.After(end) {
		if end = quietUntil(change, q, zone); end.IsZero() {
			end = change
		}
	}
	return end.UTC()
}
