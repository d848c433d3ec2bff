package watchers

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

func mustSchedule(t *testing.T, spec, zone string) Schedule {
	t.Helper()
	s, err := ParseSchedule(spec, zone)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatIsDueComesOnceWhereClocksChange(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, spec, zone, from, until string
		want                          []string // local, with the offset where it matters
	}{
		{"a time that is skipped comes at the end of the gap", "30 2 * * *", "America/New_York", "2026-03-07T00:00", "2026-03-10T00:00",
			[]string{"2026-03-07T02:30-05:00", "2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00"}},
		{"many times that are skipped come once", "*/10 2 * * *", "America/New_York", "2026-03-08T00:00", "2026-03-09T00:00",
			[]string{"2026-03-08T03:00-04:00"}},
		{"a time that comes twice is due the first time", "30 1 * * *", "America/New_York", "2026-10-31T00:00", "2026-11-03T00:00",
			[]string{"2026-10-31T01:30-04:00", "2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"}},
		{"Stockholm skips 02:30", "30 2 * * *", "Europe/Stockholm", "2026-03-28T00:00", "2026-03-31T00:00",
			[]string{"2026-03-28T02:30+01:00", "2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"}},
		{"Stockholm has 02:30 twice", "30 2 * * *", "Europe/Stockholm", "2026-10-25T00:00", "2026-10-27T00:00",
			[]string{"2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"}},
		{"Cairo skips midnight", "0 0 * * *", "Africa/Cairo", "2026-04-23T00:00", "2026-04-26T00:00",
			[]string{"2026-04-23T00:00+02:00", "2026-04-24T01:00+03:00", "2026-04-25T00:00+03:00"}},
		{"Cairo skips midnight of a Friday that is asked for", "15 0 * * 5", "Africa/Cairo", "2026-04-20T00:00", "2026-05-05T00:00",
			[]string{"2026-04-24T01:00+03:00", "2026-05-01T00:15+03:00"}},
		{"Lord Howe goes back by half an hour", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00", "2026-04-06T12:00",
			[]string{"2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30"}},
		{"Lord Howe goes on by half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", "2026-10-05T12:00",
			[]string{"2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00"}},
		{"what is due each hour follows real time through a gap", "30 * * * *", "America/New_York", "2026-03-08T00:00", "2026-03-08T05:00",
			[]string{"2026-03-08T00:30-05:00", "2026-03-08T01:30-05:00", "2026-03-08T03:30-04:00", "2026-03-08T04:30-04:00"}},
		{"what is due each hour follows real time through a repeated hour", "30 * * * *", "America/New_York", "2026-11-01T00:00", "2026-11-01T03:00",
			[]string{"2026-11-01T00:30-04:00", "2026-11-01T01:30-04:00", "2026-11-01T01:30-05:00", "2026-11-01T02:30-05:00"}},
		{"each hour in Cairo on the night without midnight", "0 * * * *", "Africa/Cairo", "2026-04-23T22:00", "2026-04-24T02:30",
			[]string{"2026-04-23T22:00+02:00", "2026-04-23T23:00+02:00", "2026-04-24T01:00+03:00", "2026-04-24T02:00+03:00"}},
		{"a day that a country left out is made up for", "0 12 * * *", "Pacific/Apia", "2011-12-29T00:00", "2012-01-01T00:00",
			[]string{"2011-12-29T12:00-10:00", "2011-12-31T00:00+14:00", "2011-12-31T12:00+14:00"}},
		{"weekdays are the zone's", "0 7 * * 1-5", "Asia/Tokyo", "2026-11-20T12:00", "2026-11-24T12:00",
			[]string{"2026-11-23T07:00+09:00", "2026-11-24T07:00+09:00"}},
		{"a leap day waits for its year", "0 0 29 2 *", "UTC", "2026-01-01T00:00", "2028-12-31T00:00",
			[]string{"2028-02-29T00:00Z"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			loc, err := time.LoadLocation(tc.zone)
			if err != nil {
				t.Fatal(err)
			}
			parse := func(s string) time.Time {
				at, err := time.ParseInLocation("2006-01-02T15:04", s, loc)
				if err != nil {
					t.Fatal(err)
				}
				return at
			}
			s := mustSchedule(t, tc.spec, tc.zone)
			var got []string
			end := parse(tc.until)
			for at := s.Next(parse(tc.from).Add(-time.Second)); at.Before(end); at = s.Next(at) {
				got = append(got, at.In(loc).Format("2006-01-02T15:04Z07:00"))
				if at.Location() != time.UTC || at.IsZero() {
					t.Fatalf("%v is not UTC", at)
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got  %v\nwant %v", got, tc.want)
			}
		})
	}
}

// Whatever the zone, a daily time is due once a day and never 26 hours apart,
// and a time of every hour is due each real hour or at most half of one late.
func TestNoZoneLosesOrDoublesADay(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"America/New_York", "Europe/Stockholm", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Tokyo", "America/Santiago", "Asia/Beirut", "Africa/Casablanca", "Atlantic/Azores", "UTC"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for minute := 0; minute < 24*60; minute += 45 {
			s := mustSchedule(t, fmt.Sprintf("%d %d * * *", minute%60, minute/60), zone)
			last := s.Next(time.Date(2026, 1, 2, 12, 0, 0, 0, loc))
			for range 400 {
				next := s.Next(last)
				gap := next.Sub(last)
				if gap < 22*time.Hour || gap > 26*time.Hour || next.In(loc).YearDay() == last.In(loc).YearDay() {
					t.Fatalf("%s %02d:%02d: %v, then %v", zone, minute/60, minute%60, last.In(loc), next.In(loc))
				}
				last = next
			}
		}
		for _, spec := range []string{"*/15 * * * *", "0 * * * *"} {
			s := mustSchedule(t, spec, zone)
			last := s.Next(time.Date(2026, 1, 2, 12, 0, 0, 0, loc))
			step := s.Next(last).Sub(last)
			for last.Year() == 2026 {
				next := s.Next(last)
				if gap := next.Sub(last); gap < step/2 || gap > step+step/2 {
					t.Fatalf("%s %s: %v, then %v", zone, spec, last.In(loc), next.In(loc))
				}
				last = next
			}
		}
	}
}

func TestSchedulesThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ spec, zone, want string }{
		{"", "UTC", "empty"},
		{"0 0 31 2 *", "UTC", "never comes"},
		{"TZ=0", "UTC", "beside it"},
		{"CRON_TZ=UTC", "UTC", "beside it"},
		{"TZ=UTC * * * * *", "UTC", "beside it"},
		{"@every 24h", "UTC", "descriptors"},
		{"* * * *", "UTC", "5 fields"},
		{"* * * * * *", "UTC", "5 fields"},
		{"60 * * * *", "UTC", "60"},
		{"* * * * *", "Mars/Olympus", "not a time zone"},
		{"* * * * *", "Local", "not a time zone"},
	} {
		if s, err := ParseSchedule(tc.spec, tc.zone); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q in %q: got %v, %v; want an error with %q", tc.spec, tc.zone, s, err, tc.want)
		}
	}
}

func FuzzParseSchedule(f *testing.F) {
	for _, s := range []string{"*/10 6-22 * * 1-5", "TZ=0", "0 0 31 2 *", "@daily", "5/0 * * * *", "1-59/2,3 * L * ?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		s, err := ParseSchedule(spec, "Africa/Cairo")
		if err != nil {
			return
		}
		now := time.Date(2026, 4, 23, 21, 0, 0, 0, time.UTC)
		if next := s.Next(now); !next.After(now) {
			t.Errorf("%q: after %v comes %v", spec, now, next)
		}
	})
}

func TestJitterIsSteadyAndSpread(t *testing.T) {
	t.Parallel()
	due := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	var early, late int
	for i := range 1000 {
		name := fmt.Sprintf("source-%d", i)
		j := jitter(name, due, 20*time.Second)
		if j != jitter(name, due, 20*time.Second) || j < 0 || j >= 20*time.Second {
			t.Fatalf("%s: %v", name, j)
		}
		if j < 10*time.Second {
			early++
		} else {
			late++
		}
	}
	if early < 400 || late < 400 {
		t.Errorf("%d early, %d late", early, late)
	}
	if jitter("a", due, 0) != 0 {
		t.Error("no jitter was asked for")
	}
}
