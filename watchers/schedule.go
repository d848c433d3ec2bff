package watchers

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule says when something is due.
type Schedule interface {
	// Next is the first moment after t; zero if there is none.
	Next(t time.Time) time.Time
}

// ParseSchedule reads five cron fields (minute hour day-of-month month
// day-of-week), in an IANA zone; "" is UTC.
//
// Where clocks change, what is due at a certain hour is due once: at the end
// of the gap if its time is skipped, the first time if it comes twice. What is
// due in every hour follows real time.
func ParseSchedule(spec, zone string) (Schedule, error) {
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return nil, fmt.Errorf("watchers: %q is not a time zone: write one such as America/New_York", zone)
	}
	s, err := parseCron(spec)
	if err != nil {
		return nil, err
	}
	const allHours = 1<<24 - 1
	return &wallClock{spec: s, loc: loc, hourly: s.Hour&allHours == allHours}, nil
}

func parseCron(spec string) (s *cron.SpecSchedule, err error) {
	defer func() {
		if recover() != nil { // the parser panics on some text, such as "TZ=0"
			s, err = nil, fmt.Errorf("watchers: %q is not a schedule: write five fields, such as */10 6-22 * * 1-5", spec)
		}
	}()
	if strings.Contains(spec, "=") {
		return nil, fmt.Errorf("watchers: schedule %q: the zone goes beside it, not into it", spec)
	}
	parsed, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(spec)
	if err != nil {
		return nil, fmt.Errorf("watchers: schedule %q: %w", spec, err)
	}
	s, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("watchers: schedule %q: write five fields, such as */10 6-22 * * 1-5", spec)
	}
	s.Location = time.UTC // its arithmetic is done on wall time, which has no gaps
	if s.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("watchers: schedule %q never comes: there is no such day", spec)
	}
	return s, nil
}

// wallClock finds the wall times of spec as if they were UTC, and places them
// in loc.
type wallClock struct {
	spec   *cron.SpecSchedule
	loc    *time.Location
	hourly bool // due in every hour of the day
}

func (c *wallClock) Next(t time.Time) time.Time {
	if c.hourly {
		return c.nextHourly(t)
	}
	for wall := c.spec.Next(wallOf(t, c.loc)); !wall.IsZero(); wall = c.spec.Next(wall) {
		if at := place(wall, c.loc); at.After(t) {
			return at
		}
	}
	return time.Time{}
}

// nextHourly goes from one change of the clocks to the next; between them wall
// time is real time with an offset.
func (c *wallClock) nextHourly(t time.Time) time.Time {
	from := wallOf(t, c.loc)
	for {
		_, end := t.In(c.loc).ZoneBounds()
		wall := c.spec.Next(from)
		if wall.IsZero() {
			return wall
		}
		at := wall.Add(-offset(t, c.loc)).UTC()
		if end.IsZero() || at.Before(end) {
			return at
		}
		t, from = end, wallOf(end, c.loc).Add(-time.Second)
	}
}

// offset is loc's, east of UTC, at t.
func offset(t time.Time, loc *time.Location) time.Duration {
	_, seconds := t.In(loc).Zone()
	return time.Duration(seconds) * time.Second
}

// wallOf is what the clocks of loc show at t, as if it were UTC.
func wallOf(t time.Time, loc *time.Location) time.Time { return t.UTC().Add(offset(t, loc)) }

// place is the first moment at which the clocks of loc show wall, or the end of
// the gap that swallows it.
func place(wall time.Time, loc *time.Location) time.Time {
	// No zone changes its clocks twice within two days.
	before, after := offset(wall.Add(-24*time.Hour), loc), offset(wall.Add(24*time.Hour), loc)
	early, late := wall.Add(-max(before, after)), wall.Add(-min(before, after))
	for _, at := range []time.Time{early, late} {
		if wallOf(at, loc).Equal(wall) {
			return at
		}
	}
	_, end := early.In(loc).ZoneBounds()
	return end.UTC()
}

// jitter is how late, below most, name is for its tick at due: always the same
// for the same tick, so that replicas agree and a day can be repeated.
func jitter(name string, due time.Time, most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s at %d", name, due.Unix())
	return time.Duration(mix(h.Sum64()) % uint64(most))
}

// mix spreads a hash's bits: FNV leaves those of similar names alike.
// https://xorshift.di.unimi.it/splitmix64.c
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
