// Package permit reads the Texas Commission on Environmental Quality's lists
// of pending air permits: HTML tables, of which it tells rows that are new,
// change their status, or leave.
package permit

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/fetch"
	"github.com/chokepoint-bot/chokepoint/watchers"
)

// Fetcher is what the source asks through. *fetch.Client is one.
type Fetcher interface {
	Get(ctx context.Context, r fetch.Request) (*fetch.Page, error)
}

// Config says which lists, and which rows of them.
type Config struct {
	Name  string
	Lists map[string]string // address of each list: "nsr", "titlev", "notice"
	Match []string          // rows with one of these in applicant or facility, whatever the case; none for all
	Fetch Fetcher
}

// Source asks for lists of permits.
type Source struct {
	cfg   Config
	match []string
}

// New makes the source.
func New(cfg Config) *Source {
	s := &Source{cfg: cfg}
	for _, m := range cfg.Match {
		s.match = append(s.match, strings.ToLower(m))
	}
	return s
}

var _ watchers.Source = (*Source)(nil)

// Name is as configured.
func (s *Source) Name() string { return s.cfg.Name }

const (
	// shrinks is the part of its rows, in hundredths, that a list must keep from
	// one visit to the next to be believed.
	shrinks = 70
	// persists is how many visits a shrunken list must stay so to be believed
	// all the same.
	persists = 4
)

type cursor struct {
	Lists map[string]memory `json:"lists"` // by name
}

type memory struct {
	URL        string           `json:"url"`
	Validators fetch.Validators `json:"validators,omitzero"`
	Total      int              `json:"total"`            // rows of the whole list
	Shrunk     int              `json:"shrunk,omitempty"` // visits in a row that it was too short
	Rows       map[string]kept  `json:"rows"`             // those that match, by number
}

type kept struct {
	Applicant string `json:"applicant"`
	Facility  string `json:"facility"`
	County    string `json:"county,omitempty"`
	Received  string `json:"received,omitempty"`
	Status    string `json:"status,omitempty"`
	Missing   bool   `json:"missing,omitempty"` // it was not there at the last visit
}

// Observe asks for the lists and tells what has changed in them. A row has left
// when it is missing at two visits in a row. A list that has lost its table, or
// more than three rows in ten, is not the format, unless it stays so. See
// watchers.Source.
func (s *Source) Observe(ctx context.Context, now time.Time, last string) (watchers.Result, error) {
	var old cursor
	if err := json.Unmarshal([]byte(last), &old); err != nil {
		old = cursor{}
	}
	next := cursor{Lists: map[string]memory{}}
	var result watchers.Result
	var errs []error
	answered := 0
	changed := false
	for _, name := range slices.Sorted(maps.Keys(s.cfg.Lists)) {
		m, visited := old.Lists[name]
		if m.URL != s.cfg.Lists[name] {
			m, visited = memory{URL: s.cfg.Lists[name]}, false
		}
		observations, after, err := s.list(ctx, now, name, m, visited)
		result.Observations = append(result.Observations, observations...)
		if err != nil {
			errs = append(errs, fmt.Errorf("permit: %s: %s: %w", s.cfg.Name, name, err))
		} else {
			answered++
		}
		if after != nil {
			m, visited, changed = *after, true, true
		}
		if visited {
			next.Lists[name] = m
		}
	}
	if err := ctx.Err(); err != nil {
		return watchers.Result{Cursor: last}, fmt.Errorf("permit: %s: %w", s.cfg.Name, err)
	}
	slices.SortStableFunc(result.Observations, func(a, b chokepoint.Observation) int { return when(a).Compare(when(b)) })
	result.Cursor = last
	if changed {
		text, err := json.Marshal(next)
		if err != nil {
			return watchers.Result{Cursor: last}, fmt.Errorf("permit: %s: write the cursor: %w", s.cfg.Name, err)
		}
		result.Cursor = string(text)
	}
	return result, watchers.JoinFailures(answered, errs...)
}

// when orders observations: changes, which have no date of their own, were
// just seen.
func when(o chokepoint.Observation) time.Time {
	if o.At.IsZero() {
		return o.Seen
	}
	return o.At
}

// list asks for one list. A nil memory leaves it as it was.
func (s *Source) list(ctx context.Context, now time.Time, name string, m memory, visited bool) ([]chokepoint.Observation, *memory, error) {
	req := fetch.Request{URL: m.URL, Accept: "text/html"}
	if visited {
		req.Validators = m.Validators
	}
	page, err := s.cfg.Fetch.Get(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	after := memory{URL: m.URL, Validators: page.Validators, Total: m.Total, Rows: map[string]kept{}}
	rows := map[string]row{}
	if page.Unchanged {
		for number, k := range m.Rows {
			if !k.Missing {
				rows[number] = row{kept: k, number: number}
			}
		}
	} else {
		all, err := table(page.Body, page.ContentType, page.URL)
		if err != nil {
			return nil, nil, &watchers.Failure{Class: chokepoint.NotTheFormat, Err: err}
		}
		if len(all)*100 < m.Total*shrinks && m.Shrunk+1 < persists {
			m.Shrunk++
			m.Validators = fetch.Validators{} // it is to be read again
			return nil, &m, &watchers.Failure{Class: chokepoint.NotTheFormat, Err: fmt.Errorf("the list has %d rows, and had %d", len(all), m.Total)}
		}
		after.Total = len(all)
		for _, r := range all {
			if _, twice := rows[r.number]; !twice && s.matches(r) {
				rows[r.number] = r
			}
		}
	}

	var out []chokepoint.Observation
	tell := func(r row, was string, gone bool, identity ...string) {
		out = append(out, s.observation(now, name, page, r, was, gone, !visited, identity))
	}
	for _, number := range slices.Sorted(maps.Keys(rows)) {
		r := rows[number]
		before, known := m.Rows[number]
		after.Rows[number] = r.kept
		switch {
		case !known:
			tell(r, "", false, name, number, r.Received, r.Status)
		case before.Status != r.Status:
			tell(r, before.Status, false, name, number, r.Received, before.Status, r.Status)
		}
	}
	for _, number := range slices.Sorted(maps.Keys(m.Rows)) {
		k := m.Rows[number]
		if _, there := rows[number]; there {
			continue
		}
		if !s.matches(row{kept: k}) {
			continue // it is of interest no more
		}
		if !k.Missing {
			k.Missing = true
			after.Rows[number] = k
			continue
		}
		tell(row{kept: k, number: number}, k.Status, true, name, number, k.Received, "gone")
	}
	return out, &after, nil
}

func (s *Source) matches(r row) bool {
	text := strings.ToLower(r.Applicant + "\n" + r.Facility)
	return len(s.match) == 0 || slices.ContainsFunc(s.match, func(m string) bool { return strings.Contains(text, m) })
}

func (s *Source) observation(now time.Time, list string, page *fetch.Page, r row, was string, gone, history bool, identity []string) chokepoint.Observation {
	var at time.Time
	if was == "" && !gone {
		// A new row happened when it was received; what changes in a list has
		// no date.
		if day, err := time.Parse(time.DateOnly, r.Received); err == nil && !day.After(now) {
			at = day
		}
	}
	p := &chokepoint.Permit{
		Evidence: chokepoint.Evidence{
			URL:       cmp.Or(r.link, page.URL),
			Publisher: "TCEQ",
			Title:     cut(strings.Join(present(r.Applicant, r.Facility, r.number), " · "), 300),
			Excerpt:   cut(strings.Join(present(r.Applicant, r.Facility, r.number, r.County, r.Received, r.Status), " | "), 600),
			Published: at,
			Primary:   true,
			SHA256:    page.Validators.SHA256,
		},
		List: list, Number: r.number, Applicant: r.Applicant, Facility: r.Facility, County: r.County, Received: r.Received,
		Status: r.Status, Was: was, Gone: gone,
	}
	return chokepoint.Observation{
		ID: chokepoint.NewObservationID(s.cfg.Name, identity...), Source: s.cfg.Name, Kind: chokepoint.KindPermit,
		At: at, Seen: now, Backfill: history, Permit: p,
	}
}

func present(parts ...string) []string {
	return slices.DeleteFunc(parts, func(s string) bool { return s == "" })
}

func cut(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return strings.TrimSpace(string(runes[:n-1])) + "…"
}
