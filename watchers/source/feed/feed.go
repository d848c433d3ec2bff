// Package feed reads RSS, RDF, Atom and JSON Feed: well-formed or not, in any
// common encoding.
package feed

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/fetch"
	"github.com/chokepoint-bot/chokepoint/watchers"
)

// Fetcher is what the source asks through. *fetch.Client is one.
type Fetcher interface {
	Get(ctx context.Context, r fetch.Request) (*fetch.Page, error)
}

// Config says which feeds, and what is known of them.
type Config struct {
	Name      string
	URLs      []string
	Publisher string   // "" for each feed's own title
	Primary   bool     // the issuer's or an authority's own words
	Language  string   // BCP 47; "" for what the feed says
	Match     []string // only items with one of these in title or text, whatever the case; none for all
	Fetch     Fetcher
}

// Source is a set of feeds under one name. The feeds are asked side by side,
// and one that fails keeps nothing of the others back.
//
// An item is known by its guid and by its link: one whose title was edited, or
// whose guid was changed, is not new. Items without either are known by title
// and date. A guid or a link that several items of one document share counts
// for nothing.
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
	atOnce      = 4   // feeds asked side by side
	firstItems  = 100 // of a feed's first visit that are told, the newest
	seenMargin  = 500
	accept      = "application/rss+xml, application/atom+xml, application/rdf+xml, application/feed+json, application/xml;q=0.9, text/xml;q=0.8, */*;q=0.5"
	titleRunes  = 300
	excerptRune = 600
)

// cursor is what survives a restart, by the feed's address.
type cursor struct {
	Feeds map[string]memory `json:"feeds"`
}

type memory struct {
	Validators fetch.Validators `json:"validators,omitzero"`
	Seen       seen             `json:"seen"` // oldest first
}

// Observe asks every feed for what is new. See watchers.Source.
func (s *Source) Observe(ctx context.Context, now time.Time, last string) (watchers.Result, error) {
	var old cursor
	if err := json.Unmarshal([]byte(last), &old); err != nil {
		old = cursor{} // the first visit, or a cursor of another version
	}
	known := map[key]bool{} // to any of the feeds: they overlap
	for _, m := range old.Feeds {
		for _, k := range m.Seen {
			known[k] = true
		}
	}

	answers := make([]answer, len(s.cfg.URLs))
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, u := range s.cfg.URLs {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			m, visited := old.Feeds[u]
			answers[i] = s.ask(ctx, u, m, visited)
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return watchers.Result{Cursor: last}, fmt.Errorf("feed: %s: %w", s.cfg.Name, err)
	}

	next := cursor{Feeds: map[string]memory{}}
	var result watchers.Result
	var errs []error
	answered, empty := 0, 0
	for i, u := range s.cfg.URLs {
		a := answers[i]
		m, visited := old.Feeds[u]
		if a.err != nil {
			errs = append(errs, a.err)
		}
		if a.doc == nil { // it failed, or has not changed
			if a.err == nil {
				answered++
				m.Validators = a.page.Validators
			}
			if visited || a.err == nil {
				next.Feeds[u] = m
			}
			continue
		}
		answered++
		if len(a.doc.items) == 0 {
			empty++
		}
		fresh := s.fresh(a.doc, known)
		if !visited {
			fresh = fresh[max(0, len(fresh)-firstItems):]
		}
		for _, it := range fresh {
			result.Observations = append(result.Observations, s.observation(it, a, now, !visited))
		}
		m.Seen = m.Seen.with(a.doc)
		m.Validators = a.page.Validators
		if a.doc.cutOff {
			m.Validators = fetch.Validators{} // it is to be read again
		}
		next.Feeds[u] = m
	}
	slices.SortStableFunc(result.Observations, func(a, b chokepoint.Observation) int { return when(a).Compare(when(b)) })
	if answered > 0 && answered == empty {
		result.Class = chokepoint.EmptyValid
	}
	if answered == 0 {
		result.Cursor = last
	} else {
		text, err := json.Marshal(next)
		if err != nil {
			return watchers.Result{Cursor: last}, fmt.Errorf("feed: %s: write the cursor: %w", s.cfg.Name, err)
		}
		result.Cursor = string(text)
	}
	return result, watchers.JoinFailures(answered, errs...)
}

// when orders observations: what has no date comes last, as it was just seen.
func when(o chokepoint.Observation) time.Time {
	if o.At.IsZero() {
		return o.Seen
	}
	return o.At
}

// answer is what one feed said.
type answer struct {
	page *fetch.Page
	doc  *document // nil if it has not changed, or could not be read
	err  error
}

func (s *Source) ask(ctx context.Context, address string, m memory, visited bool) answer {
	req := fetch.Request{URL: address, Accept: accept, Limit: fetch.FeedLimit}
	if visited {
		req.Validators = m.Validators
	}
	page, err := s.cfg.Fetch.Get(ctx, req)
	if err != nil {
		return answer{err: fmt.Errorf("feed: %s: %w", s.cfg.Name, err)}
	}
	if page.Unchanged {
		return answer{page: page}
	}
	doc, err := parse(page.Body, page.ContentType, page.URL)
	if err != nil {
		return answer{err: &watchers.Failure{Class: chokepoint.NotTheFormat, Err: fmt.Errorf("feed: %s: %s: %w", s.cfg.Name, fetch.Redact(address), err)}}
	}
	a := answer{page: page, doc: &doc}
	if doc.cutOff {
		a.err = &watchers.Failure{Class: chokepoint.NotTheFormat, Partial: true, Err: fmt.Errorf("feed: %s: %s: cut off after %d items", s.cfg.Name, fetch.Redact(address), len(doc.items))}
	}
	return a
}

// fresh are the items that are not known yet and that match, the oldest first;
// they all become known. Documents begin with the newest, mostly.
func (s *Source) fresh(doc *document, known map[key]bool) []item {
	var out []item
	for _, it := range slices.Backward(doc.items) {
		is := false
		for _, id := range it.identities() {
			k := keyOf(id)
			is = is || known[k]
			known[k] = true
		}
		if !is && (it.title != "" || it.text != "") && s.matches(it) {
			out = append(out, it)
		}
	}
	slices.SortStableFunc(out, func(a, b item) int {
		if a.published.IsZero() || b.published.IsZero() { // those without a date come last
			return cmp.Compare(btoi(a.published.IsZero()), btoi(b.published.IsZero()))
		}
		return a.published.Compare(b.published)
	})
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s *Source) matches(it item) bool {
	if len(s.match) == 0 {
		return true
	}
	text := strings.ToLower(it.title + "\n" + it.text)
	return slices.ContainsFunc(s.match, func(m string) bool { return strings.Contains(text, m) })
}

func (s *Source) observation(it item, a answer, now time.Time, history bool) chokepoint.Observation {
	at := it.published
	if at.After(now) {
		at = now
	}
	publisher := cmp.Or(s.cfg.Publisher, a.doc.title)
	if u, err := url.Parse(a.page.URL); publisher == "" && err == nil {
		publisher = u.Hostname()
	}
	title := it.title
	if title == "" {
		title, _, _ = strings.Cut(it.text, "\n")
	}
	excerpt := it.text
	return chokepoint.Observation{
		ID:       chokepoint.NewObservationID(s.cfg.Name, it.identities()[0]),
		Source:   s.cfg.Name,
		Kind:     chokepoint.KindNews,
		At:       at,
		Seen:     now,
		Backfill: history,
		News: &chokepoint.News{
			Evidence: chokepoint.Evidence{
				URL:       it.link,
				Publisher: publisher,
				Title:     cut(title, titleRunes),
				Excerpt:   cut(excerpt, excerptRune),
				Published: at,
				Primary:   s.cfg.Primary,
				SHA256:    a.page.Validators.SHA256,
			},
			Language: cmp.Or(s.cfg.Language, a.doc.language),
			Symbols:  symbols(it.categories),
			Text:     it.text,
		},
	}
}

// cut is the first n runes of s.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	runes := []rune(s)
	return strings.TrimSpace(string(runes[:n-1])) + "…"
}

// ticker is how newswires tag stocks: "Nasdaq:AAOI", "First North: SIVE".
var ticker = regexp.MustCompile(`(?i)^(nasdaq|nyse(?: american)?|amex|other otc|otc\w*|nasdaq stockholm|first north|stockholm|sto|tpex|tyo|tse|tokyo) ?: ?([a-z0-9.]{1,8})$`)

func symbols(categories []string) []chokepoint.Symbol {
	var out []chokepoint.Symbol
	for _, c := range categories {
		m := ticker.FindStringSubmatch(c)
		if m == nil {
			continue
		}
		s := strings.ToUpper(m[2])
		switch exchange := strings.ToLower(m[1]); exchange {
		case "nasdaq stockholm", "first north", "stockholm", "sto":
			s += ".ST"
		case "tpex":
			s += ".TWO"
		case "tyo", "tse", "tokyo":
			s += ".T"
		}
		if !slices.Contains(out, chokepoint.Symbol(s)) {
			out = append(out, chokepoint.Symbol(s))
		}
	}
	return out
}

// key is the beginning of an identity's digest: enough to tell the items of
// one feed apart.
type key [8]byte

func keyOf(identity string) (k key) {
	sum := sha256.Sum256([]byte(identity))
	copy(k[:], sum[:])
	return k
}

// seen are the keys of items that were seen, those seen last at the end.
type seen []key

// with is s with the items of doc as the last seen, at most twice as many as
// doc has and a margin: some feeds bring old items back.
func (s seen) with(doc *document) seen {
	now := map[key]bool{}
	var latest seen
	for _, it := range slices.Backward(doc.items) {
		for _, id := range it.identities() {
			if k := keyOf(id); !now[k] {
				now[k] = true
				latest = append(latest, k)
			}
		}
	}
	var all seen
	for _, k := range s {
		if !now[k] {
			all = append(all, k)
		}
	}
	all = append(all, latest...)
	return all[max(0, len(all)-2*len(latest)-seenMargin):]
}

// MarshalText writes the keys one after the other, in base64.
func (s seen) MarshalText() ([]byte, error) {
	raw := make([]byte, 0, len(s)*len(key{}))
	for _, k := range s {
		raw = append(raw, k[:]...)
	}
	return []byte(base64.RawStdEncoding.EncodeToString(raw)), nil
}

// UnmarshalText reads what MarshalText writes.
func (s *seen) UnmarshalText(text []byte) error {
	raw, err := base64.RawStdEncoding.DecodeString(string(text))
	if err != nil {
		return err
	}
	if len(raw)%len(key{}) != 0 {
		return errors.New("keys are cut off")
	}
	*s = nil
	for chunk := range slices.Chunk(raw, len(key{})) {
		*s = append(*s, key(chunk))
	}
	return nil
}
