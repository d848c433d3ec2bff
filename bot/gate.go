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
	case a.Drill && a.Kind == chokepoint.AlertTest:
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
// none. The ends are wall-clock times of the zone, so a span over a change of
// the clocks is an hour shorter or longer, as it is for the people there.
func quietUntil(now time.Time, q chokepoint.QuietHours, zone string) time.Time {
	if q.From == q.To {
		return time.Time{}
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC
	}
	local := now.In(loc)
	minute := local.Hour()*60 + local.Minute()
	day := 0
	switch {
	case q.From < q.To && minute >= q.From && minute < q.To:
	case q.From > q.To && minute >= q.From:
		day = 1
	case q.From > q.To && minute < q.To:
	default:
		return time.Time{}
	}
	end := time.Date(local.Year(), local.Month(), local.Day()+day, q.To/60, q.To%60, 0, 0, loc)
	if !end.After(now) { // the end falls into an hour that the clocks repeat or skip
		end = now.Add(time.Minute)
	}
	return end.UTC()
}
