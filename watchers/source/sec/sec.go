// Package sec reads what companies file with the U.S. Securities and Exchange
// Commission, on EDGAR.
package sec

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
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

// Config says whose filings, and which.
type Config struct {
	Name       string
	CIKs       map[chokepoint.Symbol]string // of filers, by ticker; with or without leading zeros
	Forms      []string                     // such as "8-K"; a star at the end stands for the rest; amendments come with their form; none for DefaultForms
	DataURL    string                       // of data.sec.gov; "" for the real one
	ArchiveURL string                       // of www.sec.gov; "" for the real one
	Fetch      Fetcher
}

// DefaultForms are the ones that tell of business: current and periodic
// reports, and offerings.
var DefaultForms = []string{"8-K", "6-K", "10-Q", "10-K", "20-F", "S-3*", "424B*"}

// Source asks for each filer's list of filings, and for the documents of those
// that are new: the main one, and exhibits 10 (contracts) and 99 (press
// releases).
type Source struct {
	cfg    Config
	filers []filer
}

type filer struct {
	symbol chokepoint.Symbol
	cik    string // ten digits
}

// New makes the source. An error names a CIK that is none.
func New(cfg Config) (*Source, error) {
	cfg.DataURL = strings.TrimSuffix(cmp.Or(cfg.DataURL, "https://data.sec.gov"), "/")
	cfg.ArchiveURL = strings.TrimSuffix(cmp.Or(cfg.ArchiveURL, public), "/")
	if len(cfg.Forms) == 0 {
		cfg.Forms = DefaultForms
	}
	s := &Source{cfg: cfg}
	for _, symbol := range slices.Sorted(maps.Keys(cfg.CIKs)) {
		n, err := strconv.ParseUint(cfg.CIKs[symbol], 10, 64)
		if err != nil || n == 0 || n > 9_999_999_999 {
			return nil, fmt.Errorf("sec: %q of %s is not a CIK: up to ten digits", cfg.CIKs[symbol], symbol)
		}
		s.filers = append(s.filers, filer{symbol, fmt.Sprintf("%010d", n)})
	}
	return s, nil
}

var _ watchers.Source = (*Source)(nil)

// Name is as configured.
func (s *Source) Name() string { return s.cfg.Name }

const (
	public = "https://www.sec.gov" // where people find what is read through a mirror

	asVisit     = 60 // requests in one visit; what is left comes with the next
	considered  = 50 // newest filings of a filer that may be new
	remembered  = 150
	firstTold   = 5 // filings told on a first visit
	triesToTell = 3 // visits before a filing is told without its documents
	maxExhibits = 6
	textLimit   = 16_000
	mainLimit   = 5_000 // of textLimit for the main document, if there are exhibits
)

// row is one filing as a list has it.
type row struct {
	accession   string
	form        string
	date        string // YYYY-MM-DD
	accepted    time.Time
	items       []string
	document    string // "" if the list does not say
	description string
}

type cursor struct {
	Filers map[string]memory `json:"filers"` // by CIK
}

type memory struct {
	SHA256 string         `json:"sha256,omitempty"` // of the list as it was read whole
	Seen   []string       `json:"seen"`             // accession numbers, newest first
	Tried  map[string]int `json:"tried,omitempty"`  // visits that could not get a filing's documents
}

// Observe asks for what was filed. See watchers.Source.
//
// A filing is told once its documents are read, or cannot be after a few
// visits. It happened when EDGAR accepted it by the header of its index, which
// is Eastern time; the lists' acceptanceDateTime ends in Z and is sometimes
// Eastern wall time, so that it serves for history alone.
func (s *Source) Observe(ctx context.Context, now time.Time, last string) (watchers.Result, error) {
	var old cursor
	if err := json.Unmarshal([]byte(last), &old); err != nil {
		old = cursor{}
	}
	v := &visit{Source: s, ctx: ctx, now: now}
	next := cursor{Filers: map[string]memory{}}
	var result watchers.Result
	var errs []error
	answered, refused := 0, false
	for _, f := range s.filers {
		m, visited := old.Filers[f.cik]
		if !refused {
			observations, after, err := v.filer(f, m, visited)
			result.Observations = append(result.Observations, observations...)
			if after != nil {
				answered++
				m, visited = *after, true
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("sec: %s: %s: %w", s.cfg.Name, f.symbol, err))
				class := watchers.AsFailure(err).Class
				refused = class == chokepoint.Blocked || class == chokepoint.RateLimited || class == chokepoint.NotAsked
			}
		}
		if visited {
			next.Filers[f.cik] = m
		}
	}
	if err := ctx.Err(); err != nil {
		return watchers.Result{Cursor: last}, fmt.Errorf("sec: %s: %w", s.cfg.Name, err)
	}
	slices.SortStableFunc(result.Observations, func(a, b chokepoint.Observation) int { return a.At.Compare(b.At) })
	result.Cursor = last
	if answered > 0 {
		text, err := json.Marshal(next)
		if err != nil {
			return watchers.Result{Cursor: last}, fmt.Errorf("sec: %s: write the cursor: %w", s.cfg.Name, err)
		}
		result.Cursor = string(text)
	}
	return result, watchers.JoinFailures(answered, errs...)
}

// visit is one visit, and counts its requests.
type visit struct {
	*Source
	ctx   context.Context
	now   time.Time
	asked int
}

func (v *visit) get(url string, validators fetch.Validators) (*fetch.Page, error) {
	v.asked++
	return v.cfg.Fetch.Get(v.ctx, fetch.Request{
		URL: url, As: "www.sec.gov", Validators: validators,
		Refused: func(status int, _ http.Header, body []byte) chokepoint.Class {
			// Under /Archives what does not exist is refused, in XML. Who is
			// refused for asking is told so in HTML.
			if status == http.StatusForbidden && strings.Contains(string(body), "<Code>AccessDenied</Code>") {
				return chokepoint.Gone
			}
			return ""
		},
	})
}

// filer asks for one filer's filings. What it returns with an error was read
// before it, and the memory covers just that; nil if the list was not read.
func (v *visit) filer(f filer, m memory, visited bool) ([]chokepoint.Observation, *memory, error) {
	company, rows, sha, err := v.list(f, m)
	if err != nil {
		return nil, nil, err
	}
	if rows == nil {
		return nil, &m, nil // unchanged
	}
	rows = slices.DeleteFunc(rows, func(r row) bool { return !v.wanted(r.form) })
	rows = rows[:min(len(rows), remembered)]

	after := &memory{SHA256: sha, Tried: map[string]int{}}
	for _, r := range rows {
		if slices.Contains(m.Seen, r.accession) || !visited {
			after.Seen = append(after.Seen, r.accession)
		}
	}
	var out []chokepoint.Observation
	if !visited {
		for _, r := range rows[:min(len(rows), firstTold)] {
			at := r.accepted
			if at.IsZero() || at.After(v.now) {
				at = v.now
			}
			out = append(out, v.observation(f, company, r, at, papers{}, true))
		}
		return out, after, nil
	}
	for _, r := range slices.Backward(rows[:min(len(rows), considered)]) {
		if slices.Contains(m.Seen, r.accession) || slices.Contains(after.Seen, r.accession) {
			continue
		}
		if v.asked >= asVisit {
			after.SHA256 = "" // the list is to be read again
			continue
		}
		tried := m.Tried[r.accession] + 1
		p, err := v.papers(f, r, tried >= triesToTell)
		if err != nil && (tried < triesToTell || v.ctx.Err() != nil) {
			after.SHA256, after.Tried[r.accession] = "", tried
			if class := watchers.AsFailure(err).Class; class == chokepoint.Gone {
				continue // the archive is a little behind the list
			}
			return out, after, err
		}
		at := p.accepted
		if at.IsZero() || at.After(v.now) {
			at = v.now
		}
		if len(r.items) == 0 {
			r.items = p.items
		}
		out = append(out, v.observation(f, company, r, at, p, false))
		after.Seen = slices.Insert(after.Seen, 0, r.accession)
	}
	return out, after, nil
}

// wanted says whether a form is asked for; an amendment is where its form is.
func (s *Source) wanted(form string) bool {
	form = strings.TrimSuffix(form, "/A")
	return slices.ContainsFunc(s.cfg.Forms, func(f string) bool {
		if start, ok := strings.CutSuffix(f, "*"); ok {
			return strings.HasPrefix(form, start)
		}
		return form == f
	})
}

func (v *visit) observation(f filer, company string, r row, at time.Time, p papers, history bool) chokepoint.Observation {
	n, _ := strconv.ParseUint(f.cik, 10, 64) // New has seen to it
	folder := fmt.Sprintf("%s/Archives/edgar/data/%d/%s/", public, n, strings.ReplaceAll(r.accession, "-", ""))
	document := cmp.Or(r.document, p.document, r.accession+"-index.htm")
	return chokepoint.Observation{
		ID:       chokepoint.NewObservationID(v.cfg.Name, r.accession),
		Source:   v.cfg.Name,
		Kind:     chokepoint.KindFiling,
		At:       at,
		Seen:     v.now,
		Backfill: history,
		Filing: &chokepoint.Filing{
			Evidence: chokepoint.Evidence{
				URL:       folder + document,
				Publisher: "SEC",
				Title:     title(company, r),
				Excerpt:   cutRunes(p.excerpt, 600),
				Published: at,
				Primary:   true,
				SHA256:    p.sha256,
			},
			CIK:       f.cik,
			Company:   company,
			Symbol:    f.symbol,
			Accession: r.accession,
			Form:      r.form,
			Items:     r.items,
			Text:      p.text,
			Exhibits:  p.exhibits,
		},
	}
}

// title is the filing's as EDGAR's own pages would caption it.
func title(company string, r row) string {
	t := r.form + " " + company
	var captions []string
	for _, it := range r.items {
		if c := captionOf[it]; c != "" {
			captions = append(captions, it+" "+c)
		}
	}
	switch {
	case len(captions) > 0:
		t += ": " + strings.Join(captions, "; ")
	case r.description != "" && !strings.EqualFold(strings.TrimPrefix(r.description, "FORM "), r.form):
		t += ": " + r.description
	}
	return cutRunes(t, 300)
}

// captionOf are the items of Form 8-K, in the form's words.
// https://www.sec.gov/files/form8-k.pdf
var captionOf = map[string]string{
	"1.01": "Entry into a Material Definitive Agreement",
	"1.02": "Termination of a Material Definitive Agreement",
	"1.03": "Bankruptcy or Receivership",
	"1.04": "Mine Safety",
	"1.05": "Material Cybersecurity Incidents",
	"2.01": "Completion of Acquisition or Disposition of Assets",
	"2.02": "Results of Operations and Financial Condition",
	"2.03": "Creation of a Direct Financial Obligation",
	"2.04": "Triggering Events That Accelerate or Increase a Direct Financial Obligation",
	"2.05": "Costs Associated with Exit or Disposal Activities",
	"2.06": "Material Impairments",
	"3.01": "Notice of Delisting or Failure to Satisfy a Continued Listing Rule",
	"3.02": "Unregistered Sales of Equity Securities",
	"3.03": "Material Modification to Rights of Security Holders",
	"4.01": "Changes in Registrant's Certifying Accountant",
	"4.02": "Non-Reliance on Previously Issued Financial Statements",
	"5.01": "Changes in Control of Registrant",
	"5.02": "Departure or Election of Directors or Certain Officers",
	"5.03": "Amendments to Articles of Incorporation or Bylaws; Change in Fiscal Year",
	"5.07": "Submission of Matters to a Vote of Security Holders",
	"5.08": "Shareholder Director Nominations",
	"7.01": "Regulation FD Disclosure",
	"8.01": "Other Events",
	"9.01": "Financial Statements and Exhibits",
}

func cutRunes(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return strings.TrimSpace(string(runes[:n-1])) + "…"
}

var errNoDocument = errors.New("the index names no document")
