// Package watchertest says what every source and every judge must do.
package watchertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/watchers"
)

// SourceCase is a far end that has something to tell.
type SourceCase struct {
	// New makes a source over the far end; each is as a restarted process
	// would have it.
	New func() watchers.Source

	// Now is the time of the first visit; later ones follow at Every (zero: an
	// hour).
	Now   time.Time
	Every time.Duration

	// Tell makes the far end tell something new. Each call is something else.
	Tell func()

	// Break makes the far end refuse, as Class; Mend ends that.
	Break, Mend func()
	Class       chokepoint.Class

	// BreakPart makes a part of the far end refuse, until Mend. Nil if it has
	// no parts.
	BreakPart func()

	// Flood makes the far end answer with more than may be read, until Mend.
	Flood func()

	// Unconditional counts the requests that carried no validators, of those
	// that could have; nil if the far end gives none.
	Unconditional func() int
}

// Source checks what watchers.Source promises.
func Source(t *testing.T, fresh func(t *testing.T) SourceCase) {
	t.Run("a first visit brings well-formed observations, oldest first", func(t *testing.T) {
		v := begin(t, fresh)
		first := v.good(t)
		if len(first.Observations) == 0 {
			t.Fatal("the far end should have something to tell")
		}
		wellFormed(t, v.source.Name(), v.now, first.Observations)
		for _, o := range first.Observations {
			if o.Kind != chokepoint.KindQuote && !o.Backfill {
				t.Errorf("%s is not marked as history", o.ID)
			}
		}
	})
	t.Run("the same thing has the same ID whoever is told", func(t *testing.T) {
		v := begin(t, fresh)
		first := v.good(t)
		v.cursor = ""
		again := v.later(t)
		if !slices.Equal(ids(first.Observations), ids(again.Observations)) {
			t.Errorf("first %v, then %v", ids(first.Observations), ids(again.Observations))
		}
	})
	t.Run("a second visit brings nothing", func(t *testing.T) {
		v := begin(t, fresh)
		v.good(t)
		for range 2 {
			if r := v.later(t); len(r.Observations) != 0 || r.Class == chokepoint.OKNew {
				t.Errorf("it brought %d observations, class %q", len(r.Observations), r.Class)
			}
		}
	})
	t.Run("a later visit brings what is new, and that alone", func(t *testing.T) {
		v := begin(t, fresh)
		seen := ids(v.good(t).Observations)
		for range 3 {
			v.c.Tell()
			r := v.later(t)
			wellFormed(t, v.source.Name(), v.now, r.Observations)
			if len(r.Observations) == 0 {
				t.Fatal("nothing new")
			}
			for _, o := range r.Observations {
				if slices.Contains(seen, o.ID) {
					t.Errorf("%s was told before", o.ID)
				}
				if o.Backfill {
					t.Errorf("%s is marked as history", o.ID)
				}
				seen = append(seen, o.ID)
			}
		}
	})
	t.Run("a refusal is classified, and loses and repeats nothing", func(t *testing.T) {
		v := begin(t, fresh)
		seen := ids(v.good(t).Observations)
		v.c.Tell()
		v.c.Break()
		v.restart()
		r, err := v.source.Observe(t.Context(), v.now, v.cursor)
		f := watchers.AsFailure(err)
		if f == nil || f.Class != v.c.Class {
			t.Fatalf("got %v, want %s", err, v.c.Class)
		}
		if len(r.Observations) != 0 {
			t.Errorf("it brought %d observations all the same", len(r.Observations))
		}
		v.cursor = r.Cursor
		v.c.Mend()
		r = v.later(t)
		if len(r.Observations) == 0 {
			t.Error("what was new is lost")
		}
		for _, o := range r.Observations {
			if slices.Contains(seen, o.ID) {
				t.Errorf("%s was told before", o.ID)
			}
		}
	})
	t.Run("a refusal on the first visit leaves it the first visit", func(t *testing.T) {
		v := begin(t, fresh)
		v.c.Break()
		r, err := v.source.Observe(t.Context(), v.now, "")
		if err == nil || len(r.Observations) != 0 {
			t.Fatalf("%d observations, %v", len(r.Observations), err)
		}
		v.cursor = r.Cursor
		v.c.Mend()
		r = v.later(t)
		if len(r.Observations) == 0 {
			t.Fatal("nothing was brought later")
		}
		for _, o := range r.Observations {
			if o.Kind != chokepoint.KindQuote && !o.Backfill {
				t.Errorf("%s is not marked as history", o.ID)
			}
		}
	})
	t.Run("a part that fails keeps nothing else back", func(t *testing.T) {
		v := begin(t, fresh)
		if v.c.BreakPart == nil {
			t.Skip("it is of one part")
		}
		v.c.BreakPart()
		r, err := v.source.Observe(t.Context(), v.now, "")
		if f := watchers.AsFailure(err); f == nil || !f.Partial || len(r.Observations) == 0 {
			t.Fatalf("%d observations, %v", len(r.Observations), err)
		}
		first := ids(r.Observations)
		v.cursor = r.Cursor
		v.c.Mend()
		r = v.later(t)
		if len(r.Observations) == 0 {
			t.Error("what was kept back is lost")
		}
		for _, o := range r.Observations {
			if slices.Contains(first, o.ID) {
				t.Errorf("%s was told before", o.ID)
			}
		}
	})
	t.Run("more than may be read is refused", func(t *testing.T) {
		v := begin(t, fresh)
		v.good(t)
		v.c.Flood()
		v.restart()
		r, err := v.source.Observe(t.Context(), v.now, v.cursor)
		if f := watchers.AsFailure(err); f == nil || f.Class != chokepoint.NotTheFormat {
			t.Errorf("got %v, want %s", err, chokepoint.NotTheFormat)
		}
		v.cursor = r.Cursor
		v.c.Mend()
		if r := v.later(t); len(r.Observations) != 0 {
			t.Errorf("afterwards it brought %d observations", len(r.Observations))
		}
	})
	t.Run("nothing is brought once the context has ended", func(t *testing.T) {
		v := begin(t, fresh)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r, err := v.source.Observe(ctx, v.now, "")
		if !errors.Is(err, context.Canceled) || len(r.Observations) != 0 || r.Cursor != "" {
			t.Errorf("%d observations, cursor %q, %v", len(r.Observations), r.Cursor, err)
		}
	})
	t.Run("validators are sent where they were given", func(t *testing.T) {
		v := begin(t, fresh)
		if v.c.Unconditional == nil {
			t.Skip("the far end gives none")
		}
		v.good(t)
		before := v.c.Unconditional()
		if before == 0 {
			t.Fatal("nothing was asked")
		}
		v.later(t)
		if n := v.c.Unconditional() - before; n != 0 {
			t.Errorf("%d requests of the second visit carried none", n)
		}
	})
	t.Run("a cursor of another version is a first visit, or refused", func(t *testing.T) {
		v := begin(t, fresh)
		r, err := v.source.Observe(t.Context(), v.now, "?? not a cursor")
		if err == nil && len(r.Observations) == 0 {
			t.Error("it was taken for one")
		}
	})
}

// visits goes on visiting a case.
type visits struct {
	c      SourceCase
	source watchers.Source
	now    time.Time
	cursor string
}

func begin(t *testing.T, fresh func(t *testing.T) SourceCase) *visits {
	t.Helper()
	c := fresh(t)
	if c.Every == 0 {
		c.Every = time.Hour
	}
	return &visits{c: c, source: c.New(), now: c.Now}
}

// restart is the next visit, by another process.
func (v *visits) restart() {
	v.source, v.now = v.c.New(), v.now.Add(v.c.Every)
}

func (v *visits) later(t *testing.T) watchers.Result {
	t.Helper()
	v.restart()
	return v.good(t)
}

func (v *visits) good(t *testing.T) watchers.Result {
	t.Helper()
	r, err := v.source.Observe(t.Context(), v.now, v.cursor)
	if err != nil {
		t.Fatalf("Observe: %v", err)
	}
	v.cursor = r.Cursor
	if v.cursor == "" {
		t.Fatal("the cursor is empty after a good visit")
	}
	return r
}

func ids(observations []chokepoint.Observation) []chokepoint.ObservationID {
	out := make([]chokepoint.ObservationID, len(observations))
	for i, o := range observations {
		out[i] = o.ID
	}
	return out
}

// wellFormed checks what package chokepoint says of observations.
func wellFormed(t *testing.T, source string, now time.Time, observations []chokepoint.Observation) {
	t.Helper()
	seen := map[chokepoint.ObservationID]bool{}
	var last time.Time
	for i, o := range observations {
		if len(o.ID) != 32 || seen[o.ID] {
			t.Errorf("observation %d: ID %q, seen before: %v", i, o.ID, seen[o.ID])
		}
		seen[o.ID] = true
		if o.Source != source || !o.Seen.Equal(now) || o.Seen.Location() != time.UTC {
			t.Errorf("%s: source %q, seen %v; want %q, %v", o.ID, o.Source, o.Seen, source, now)
		}
		if o.At.After(o.Seen) || !o.At.IsZero() && o.At.Location() != time.UTC {
			t.Errorf("%s: at %v, seen %v", o.ID, o.At, o.Seen)
		}
		if !o.At.IsZero() {
			if o.At.Before(last) {
				t.Errorf("%s at %v comes after one at %v", o.ID, o.At, last)
			}
			last = o.At
		}
		bodies := map[chokepoint.Kind]bool{chokepoint.KindNews: o.News != nil, chokepoint.KindFiling: o.Filing != nil, chokepoint.KindPermit: o.Permit != nil, chokepoint.KindQuote: o.Quote != nil, chokepoint.KindBar: o.Bar != nil}
		for k, set := range bodies {
			if set != (k == o.Kind) {
				t.Errorf("%s of kind %s: body %s set: %v", o.ID, o.Kind, k, set)
			}
		}
		text := ""
		var e *chokepoint.Evidence
		switch {
		case o.News != nil:
			e, text = &o.News.Evidence, o.News.Text
		case o.Filing != nil:
			e, text = &o.Filing.Evidence, o.Filing.Text
		case o.Permit != nil:
			e = &o.Permit.Evidence
		default:
			continue
		}
		if e.Title == "" || e.Publisher == "" || utf8.RuneCountInString(e.Title) > 300 || utf8.RuneCountInString(e.Excerpt) > 600 || len(text) > 16_000 {
			t.Errorf("%s: title of %d runes, excerpt of %d, text of %d bytes, publisher %q", o.ID, utf8.RuneCountInString(e.Title), utf8.RuneCountInString(e.Excerpt), len(text), e.Publisher)
		}
		if e.URL != "" && !strings.HasPrefix(e.URL, "http://") && !strings.HasPrefix(e.URL, "https://") {
			t.Errorf("%s: URL %q", o.ID, e.URL)
		}
		if !e.Published.IsZero() && e.Published.After(now) {
			t.Errorf("%s: published %v, after %v", o.ID, e.Published, now)
		}
		if !utf8.ValidString(e.Title + e.Excerpt + text) {
			t.Errorf("%s: text is not UTF-8", o.ID)
		}
	}
}
