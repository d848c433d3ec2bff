// Package replay judges a recorded stream of items as it would have been
// judged when it came in, and measures verdicts against labels.
package replay

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/thesis"
	"github.com/chokepoint-bot/chokepoint/watchers/reading"
	"github.com/chokepoint-bot/chokepoint/watchers/story"
)

// Item is a line of the input: an item, and its labels if it has any.
type Item struct {
	ID        string `json:"id"`
	Title     string `json:"title"`
	Summary   string `json:"summary"`
	Source    string `json:"source"`
	URL       string `json:"url"`
	Published string `json:"published"` // YYYY-MM-DD or RFC 3339
	Lang      string `json:"lang"`

	Kinds      []string `json:"kinds"`
	Companies  []string `json:"companies"`
	Buyer      []string `json:"buyer"`
	Supplier   []string `json:"supplier"`
	Story      string   `json:"story"`
	Hard       bool     `json:"hard"`
	Borderline bool     `json:"borderline"`
}

// Verdict is a line of the output.
type Verdict struct {
	ID        string   `json:"id"`
	Kinds     []string `json:"kinds"` // ["none"] if nothing is told
	Companies []string `json:"companies"`
	Buyer     []string `json:"buyer"`
	Supplier  []string `json:"supplier"`
	Polarity  string   `json:"polarity"`
	Primary   bool     `json:"primary"`
	NewEvent  bool     `json:"new_event"`
	Story     string   `json:"story"` // "" if nothing is told
	Update    bool     `json:"update"`
	Score     int      `json:"score"`
	Alert     bool     `json:"alert"`
	Why       []string `json:"why"`
}

// lines reads JSON lines.
func lines(in io.Reader) ([]Item, error) {
	var items []Item
	s := bufio.NewScanner(in)
	s.Buffer(nil, 1<<20)
	for n := 1; s.Scan(); n++ {
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		var it Item
		if err := json.Unmarshal(s.Bytes(), &it); err != nil {
			return nil, fmt.Errorf("replay: reading line %d: %w", n, err)
		}
		if _, err := it.at(); err != nil {
			return nil, fmt.Errorf("replay: reading line %d: %w", n, err)
		}
		items = append(items, it)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("replay: reading the items: %w", err)
	}
	return items, nil
}

// at is when it was published; the noon of a day.
func (it *Item) at() (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, it.Published); err == nil {
		return t.UTC(), nil
	}
	t, err := time.Parse(time.DateOnly, it.Published)
	return t.Add(12 * time.Hour), err
}

// Judge reads items, judges them in the order of their publication, with
// nothing known before the first, and writes a verdict a line in that order.
func Judge(in io.Reader, out io.Writer, th *thesis.Thesis) error {
	items, err := lines(in)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for _, v := range judge(items, th) {
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("replay: writing the verdict on %s: %w", v.ID, err)
		}
	}
	return nil
}

func judge(items []Item, th *thesis.Thesis) []Verdict {
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b Item) int {
		x, _ := a.at() // lines has checked them
		y, _ := b.at()
		return x.Compare(y)
	})
	r := reading.NewReader(th)
	var book story.Book
	out := make([]Verdict, 0, len(items))
	for _, it := range items {
		at, _ := it.at()
		read := reading.Item{Title: it.Title, Text: it.Summary, URL: it.URL, Publisher: it.Source, Published: at}
		got := r.Read(read)
		v := Verdict{
			ID: it.ID, Kinds: got.Kinds, Companies: []string{}, Buyer: []string{}, Supplier: []string{}, Why: []string{},
			Polarity: map[chokepoint.Direction]string{chokepoint.Positive: "positive", chokepoint.Negative: "negative", chokepoint.Neutral: "neutral"}[got.Polarity],
			Primary:  got.Primary, NewEvent: !got.Recap, Alert: len(got.Kinds) > 0,
		}
		for _, s := range got.Companies {
			v.Companies = append(v.Companies, label(string(s)))
		}
		if a := got.Agreement; a != nil {
			v.Buyer = append(v.Buyer, label(a.Buyer))
			for _, s := range a.Suppliers {
				v.Supplier = append(v.Supplier, label(s))
			}
		}
		for _, w := range got.Reasons {
			args, _ := json.Marshal(w.Args) // strings only
			v.Why = append(v.Why, w.Key+" "+string(args))
		}
		if len(got.Kinds) == 0 {
			v.Kinds = []string{"none"}
			out = append(out, v)
			continue
		}
		t := story.Telling{
			Observation: chokepoint.Observation{ID: chokepoint.NewObservationID("replay", it.ID), Seen: at},
			Evidence:    chokepoint.Evidence{URL: it.URL, Publisher: it.Source, Title: it.Title, Published: at, Primary: got.Primary},
			Owner:       r.Owner(read), At: at, Primary: got.Primary, Group: got.Kinds[0], Window: 5 * 24 * time.Hour,
		}
		t.Keys, t.Parties = keys(got)
		s, first, _ := book.Join("replay", t, false)
		v.Story, v.Update = string(s.ID), !first
		v.Score, _ = s.Score(70, got.Agreement != nil && got.Agreement.Sure == "rumour")
		out = append(out, v)
	}
	return out
}

// keys name the events that an item tells of: its agreements and site steps,
// and else each kind with each company of its title.
func keys(r reading.Reading) (keys, parties []string) {
	if a := r.Agreement; a != nil {
		for _, s := range a.Suppliers {
			keys = append(keys, a.Buyer+"×"+s)
		}
	}
	if m := r.Milestone; m != nil {
		keys = append(keys, "site "+m.Site)
	}
	about := r.InTitle
	if len(about) == 0 {
		about = r.Companies
	}
	for _, s := range about {
		parties = append(parties, string(s))
		for _, k := range r.Kinds {
			if k != reading.KindAgreement && k != reading.KindSite {
				keys = append(keys, k+" "+string(s))
			}
		}
	}
	if len(about) == 0 {
		keys = append(keys, r.Kinds...)
	}
	return keys, parties
}

// label is a symbol as labels write it: without the exchange of European ones.
func label(symbol string) string {
	return strings.TrimSuffix(strings.TrimSuffix(symbol, ".ST"), ".L")
}
