package upstreamtest_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/fetch"
	"github.com/chokepoint-bot/chokepoint/internal/upstreamtest"
	"github.com/chokepoint-bot/chokepoint/store/sqlitestore"
	"github.com/chokepoint-bot/chokepoint/watchers"
	"github.com/chokepoint-bot/chokepoint/watchers/source/feed"
	"github.com/chokepoint-bot/chokepoint/watchers/source/permit"
	"github.com/chokepoint-bot/chokepoint/watchers/source/quote"
	"github.com/chokepoint-bot/chokepoint/watchers/source/sec"
)

// Every source against the world, through the runner and a real store: what is
// there at the start is history, what comes after is news, and a source that is
// refused costs the others nothing.
func TestTheWorldIsObserved(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 16, 0, 0, 0, time.UTC)
	up := upstreamtest.Start(t)
	ir, nsr := up.Feed("ir"), up.Permits("nsr")
	ir.Add(upstreamtest.Item{GUID: "1", Title: "Old release", Link: "https://ir.example/1", Published: now.Add(-time.Hour)})
	nsr.Set(upstreamtest.PermitRow{Applicant: "AOI", Facility: "SUGAR LAND", Number: "181234", Received: "11/18/2026", Status: "Administrative Complete"})
	up.SEC().Company("1158114", "APPLIED OPTOELECTRONICS, INC.", "AAOI")
	up.SEC().File("1158114", upstreamtest.Filing{Accession: "0001158114-26-000001", Form: "8-K", Items: []string{"8.01"}, Accepted: now.Add(-time.Hour), Document: "<p>Item 8.01</p>"})
	up.Quotes().Edit("AAOI", func(l *upstreamtest.Listing) {
		l.Price, l.Prev, l.At = "20.5", "20", now.Add(-time.Minute)
		l.Bars = []upstreamtest.DayBar{{Day: "2026-11-23", Open: "19", High: "21", Low: "19", Close: "20", Volume: 10}}
	})

	client := fetch.New(fetch.Config{AllowPrivate: true, Contact: "you@example.org"})
	t.Cleanup(client.Close)
	filings, err := sec.New(sec.Config{Name: "sec", CIKs: map[chokepoint.Symbol]string{"AAOI": "1158114"}, DataURL: up.SEC().DataURL(), ArchiveURL: up.SEC().ArchiveURL(), Fetch: client})
	if err != nil {
		t.Fatal(err)
	}
	prices, err := quote.New(quote.Config{Name: "quotes", Symbols: []chokepoint.Symbol{"AAOI"}, OnlyInSession: true, Fetch: client,
		Providers: []quote.Provider{{Name: "yahoo-spark", URL: up.Quotes().YahooURL()}}})
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "chokepoint.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	schedule, err := watchers.ParseSchedule("* * * * *", "")
	if err != nil {
		t.Fatal(err)
	}
	var specs []watchers.SourceSpec
	for _, s := range []watchers.Source{
		feed.New(feed.Config{Name: "ir", URLs: []string{ir.URL()}, Fetch: client}), filings, prices,
		permit.New(permit.Config{Name: "tceq", Lists: map[string]string{"nsr": nsr.URL()}, Match: []string{"aoi"}, Fetch: client}),
	} {
		specs = append(specs, watchers.SourceSpec{Source: s, Schedule: schedule})
	}
	var at chokepoint.Position
	round := func() []string {
		t.Helper()
		now = now.Add(5 * time.Minute)
		r := watchers.NewRunner(watchers.RunnerConfig{Store: store, Sources: specs, Holder: "a", Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)})
		if err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		var out []string
		entries, next, err := store.Read(context.Background(), at, nil, 100)
		if err != nil {
			t.Fatal(err)
		}
		at = next
		for _, e := range entries {
			line := fmt.Sprint(e.Observation.Source, " ", e.Observation.Kind)
			if e.Observation.Backfill {
				line += " of old"
			}
			out = append(out, line)
		}
		slices.Sort(out)
		return out
	}
	want := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	want("at the start", round(), "ir news of old", "quotes bar of old", "quotes quote", "sec filing of old", "tceq permit of old")
	want("when nothing has changed", round())

	ir.Add(upstreamtest.Item{GUID: "2", Title: "New release", Link: "https://ir.example/2", Published: now})
	nsr.Set(upstreamtest.PermitRow{Applicant: "AOI", Facility: "SUGAR LAND", Number: "181234", Received: "11/18/2026", Status: "Technically Complete"})
	up.Quotes().Set("AAOI", "21", now)
	up.Fail("data.sec.gov", upstreamtest.RefusedBySEC)
	want("when the world goes on", round(), "ir news", "quotes quote", "tceq permit")

	health, err := store.Health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range health {
		if blocked := h.Source == "sec"; (h.Class == chokepoint.Blocked) != blocked || h.Class.Good() == blocked {
			t.Errorf("%+v", h)
		}
	}
}
