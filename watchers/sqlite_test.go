package watchers

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
	"github.com/chokepoint-bot/chokepoint/store/sqlitestore"
)

var _ Store = store.Store(nil)

// One round at a time, with the store closed and opened between.
func TestARoundGoesOnWhereTheLastOneEnded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "chokepoint.db")
	p := &paper{name: "gazette", items: []string{"old"}}
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	round := func() []string {
		s, err := sqlitestore.Open(t.Context(), path, quiet())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		now = now.Add(10 * time.Minute)
		r := NewRunner(RunnerConfig{Store: s, Holder: "a", Log: quiet(), Now: func() time.Time { return now },
			Sources:  []SourceSpec{{Source: p, Kind: "feed", Schedule: everyMinute(t)}},
			Watchers: []WatcherSpec{{Name: "w", Judge: &echo{topic: "w"}, Schedule: everyMinute(t)}}})
		if err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		alerts, err := s.Alerts(t.Context(), store.AlertQuery{})
		if err != nil {
			t.Fatal(err)
		}
		return headlines(alerts)
	}
	want(t, "first round", round())
	p.print("news")
	want(t, "second round", round(), "news")
	want(t, "third round", round(), "news")
	p.break_(&Failure{Class: chokepoint.Blocked, Err: errors.New("HTTP status 403")})
	round()
	want(t, "after two refusals", round(), "source gazette failing blocked", "news")
}
