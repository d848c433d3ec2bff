package watchers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/fetch"
)

// AsFailure classifies what Observe returned; nil for nil.
func AsFailure(err error) *Failure {
	if err == nil {
		return nil
	}
	var f *Failure
	if errors.As(err, &f) {
		return &Failure{Class: f.Class, Wait: f.Wait, Partial: f.Partial, Err: err}
	}
	var e *fetch.Error
	if errors.As(err, &e) {
		return &Failure{Class: e.Class, Wait: e.Wait, Err: err}
	}
	return &Failure{Class: chokepoint.Transport, Err: err}
}

// JoinFailures is the failure of a visit that asked several places, of which
// answered did; nil if errs holds none. It is of the first's class. A visit
// of which a part succeeded waits for nothing: those who refused keep their
// own silence.
func JoinFailures(answered int, errs ...error) error {
	joined := errors.Join(errs...)
	if joined == nil {
		return nil
	}
	all := &Failure{Partial: answered > 0, Err: joined}
	for _, err := range errs {
		f := AsFailure(err)
		if f == nil {
			continue
		}
		all.Class = cmp.Or(all.Class, f.Class)
		if !all.Partial && (all.Wait == 0 || f.Wait < all.Wait) {
			all.Wait = f.Wait
		}
	}
	return all
}

// Visit is what one visit to a source brought, and how it ended.
type Visit struct {
	Result           // Class is set; the old cursor if nothing could be read
	Failure *Failure // nil if the answer was well-formed
	Began   time.Time
	Took    time.Duration
}

// VisitSource asks s once, within timeout (zero: a minute). A panic is a
// failure. It records nothing.
func VisitSource(ctx context.Context, s Source, now time.Time, cursor string, timeout time.Duration, log *slog.Logger) (v Visit) {
	if timeout <= 0 {
		timeout = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	v.Began = now
	began := time.Now()
	defer func() {
		if p := recover(); p != nil {
			log.Error("a source panicked", "source", s.Name(), "panic", p, "stack", string(debug.Stack()))
			v.Result = Result{Cursor: cursor}
			v.Failure = &Failure{Class: chokepoint.Transport, Err: fmt.Errorf("%s: panic: %v", s.Name(), p)}
		}
		v.Took = time.Since(began)
		if v.Failure != nil {
			v.Class = v.Failure.Class
		} else if v.Class == "" {
			v.Class = chokepoint.OKUnchanged
			if len(v.Observations) > 0 {
				v.Class = chokepoint.OKNew
			}
		}
	}()
	r, err := s.Observe(ctx, now, cursor)
	v.Result, v.Failure = r, AsFailure(err)
	if v.Failure != nil && v.Cursor == "" {
		v.Cursor = cursor
	}
	if cursor == "" {
		for i := range v.Observations {
			if v.Observations[i].Kind != chokepoint.KindQuote {
				v.Observations[i].Backfill = true
			}
		}
	}
	return v
}

// assess is what is known of a source after a visit, and what operators must
// be told: once that it fails, when it has failed often enough to be no
// accident, and once that it answers again.
func assess(old chokepoint.Health, source, kind string, v Visit, next time.Time) (chokepoint.Health, []chokepoint.Alert) {
	h := old
	h.Source, h.Kind, h.Class, h.Err = source, kind, v.Class, ""
	h.Tried, h.Took, h.Next = v.Began, v.Took, next
	if v.Failure == nil || v.Failure.Partial {
		h.Good = v.Began
	}
	if len(v.Observations) > 0 {
		h.New = v.Began
	}
	if v.Failure == nil {
		h.Failures, h.Told = 0, time.Time{}
		if old.Told.IsZero() {
			return h, nil
		}
		return h, []chokepoint.Alert{opsAlert("source", source, "recovered", v.Class, old.Told, h.Good, v.Began, "")}
	}
	h.Failures++
	h.Err = cut(complaint(v.Failure), 500)
	if !old.Told.IsZero() || h.Failures < failuresToTell(v.Class) {
		return h, nil
	}
	h.Told = v.Began
	return h, []chokepoint.Alert{opsAlert("source", source, "failing", v.Class, h.Told, h.Good, v.Began, h.Err)}
}

// complaint is what went wrong, for a person: of a request the first that
// failed, without the rooms it came through.
func complaint(f *Failure) string {
	var e *fetch.Error
	if !errors.As(f.Err, &e) {
		return f.Err.Error()
	}
	s := strings.TrimPrefix(e.Error(), "fetch: ")
	if f.Class == chokepoint.NotAsked { // what to do counts, not what was not asked
		if _, remedy, ok := strings.Cut(s, ": "); ok {
			return remedy
		}
	}
	return s
}

// failuresToTell is how many visits in a row must fail before operators hear
// of it.
func failuresToTell(c chokepoint.Class) int {
	switch c {
	case chokepoint.NotAsked: // they left something unset, and see it in /health
		return math.MaxInt
	case chokepoint.Blocked, chokepoint.RateLimited, chokepoint.NotTheFormat, chokepoint.Gone:
		return 2
	}
	return 3
}

// backoff is how long a source is left alone after its n-th failure in a row,
// beyond its schedule.
func backoff(f *Failure, n int) time.Duration {
	if f == nil || f.Partial || f.Class == chokepoint.NotAsked {
		return 0
	}
	return max(f.Wait, min(15*time.Second<<min(n, 16), time.Hour))
}

// opsAlert tells operators about what ("source", "watcher") named name. told
// is the moment at which they were told that it fails: it joins the news of
// the failure and of the recovery into one story.
func opsAlert(what, name, state string, class chokepoint.Class, told, good, now time.Time, detail string) chokepoint.Alert {
	story := chokepoint.NewStoryID(string(chokepoint.TopicOps), what, name, told.UTC().Format(time.RFC3339Nano))
	a := chokepoint.Alert{
		ID: story.Alert(0), Story: story,
		Kind: chokepoint.AlertOps, Topic: chokepoint.TopicOps,
		Severity: chokepoint.Notice, Score: 50,
		Seen: now, At: now,
		Facts: chokepoint.Facts{"what": what, "name": name, "state": state},
	}
	if state == "recovered" {
		a.ID, a.Update, a.Escalate, a.Severity = story.Alert(1), 1, true, chokepoint.Info
	}
	if class != "" {
		a.Facts["class"] = string(class)
	}
	if !good.IsZero() && state == "failing" {
		a.Facts["since"] = good.UTC().Format(time.RFC3339)
	}
	if state == "recovered" {
		a.Facts["since"] = told.UTC().Format(time.RFC3339)
	}
	if detail != "" {
		a.Facts["detail"] = detail
	}
	return a
}

// cut is the first n bytes of s or fewer, without a broken rune, in one line.
func cut(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= n {
		return s
	}
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
