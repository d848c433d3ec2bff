// Package reading says what one item tells: which events, of which companies,
// with which figures, how sure, and whether it is new. It reads words and
// figures as the thesis lists them; it does no I/O and remembers nothing.
package reading

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/thesis"
	"github.com/chokepoint-bot/chokepoint/watchers/lexicon"
)

// The kinds that are not a rule's of the thesis.
const (
	KindSite      = "aaoi_texas" // a step of a site's expansion
	KindAgreement = "lta"        // an agreement that locks up supply
)

// Unnamed is the buyer of an agreement whose supplier does not name it.
const Unnamed = "unnamed hyperscaler"

// Reading is what an item tells. An item with no Kinds tells nothing.
type Reading struct {
	Kinds     []string // in the order of the thesis's rules, sites and agreements first
	Cards     []string // the catalysts and risks that the rules among Kinds move, in their order
	Companies []chokepoint.Symbol
	InTitle   []chokepoint.Symbol // those of Companies that the title names
	Agreement *Agreement
	Milestone *Milestone
	Polarity  chokepoint.Direction            // of all of it; Neutral if mixed
	Meaning   map[string]chokepoint.Direction // by kind
	Recap     bool                            // what it tells of is old
	Event     time.Time                       // when it happened, as the text says; zero if it does not
	Percent   float64                         // the largest daily move told, if it tells of a swing
	Primary   bool
	Reasons   []chokepoint.Reason
}

// Agreement is a deal as one item tells it.
type Agreement struct {
	Buyer     string   // a symbol, or Unnamed
	Suppliers []string // symbols
	Sure      string   // of chokepoint.Sureties
	Product   string   // of chokepoint.Products; "" if untold, as below
	Amount    string   // "4000000000 USD"
	Term      string   // "10y" or "multiyear"
	Exclusive string   // "yes" or "no"
	Cancelled bool
	More      bool // the title says that it is another than one known
}

// Milestone is a step of a site's expansion as one item tells it.
type Milestone struct {
	Site      string
	Milestone string // of chokepoint.Milestones
	Status    string // of chokepoint.Statuses
	Jobs      int
	Area      int    // square feet
	Invest    string // "300000000 USD"
}

// Reader reads items by a thesis. It is safe for concurrent use.
type Reader struct {
	th  *thesis.Thesis
	lex *lexicon.Lexicon
}

// NewReader makes the reader for th.
func NewReader(th *thesis.Thesis) *Reader {
	var entries []lexicon.Entry
	add := func(class string, words []string) {
		for _, w := range words {
			entries = append(entries, lexicon.Entry{Word: w, Class: class})
		}
	}
	for _, c := range th.Companies {
		s := string(c.Symbol)
		add("name:"+s, c.Aliases)
		add("maybe:"+s, c.Ambiguous)
		add("anchor:"+s, c.Anchors)
		add("not:"+s, c.Not)
	}
	add("other", th.Others)
	for _, s := range th.Sites {
		add("place:"+s.ID, s.Places)
		add("region:"+s.ID, s.Regions)
		add("elsewhere:"+s.ID, s.Not)
	}
	for class, words := range th.Words {
		add("word:"+class, words)
	}
	return &Reader{th: th, lex: lexicon.New(entries)}
}

// A page is an item's text with what was found in it.
type page struct {
	item     Item
	original string // title, a line break, and the lead
	title    int    // where the title ends
	folded   lexicon.Folded
	mentions []lexicon.Mention
	classes  map[string][]lexicon.Mention // words, by class
}

func (r *Reader) open(it Item) *page {
	p := &page{item: it, title: len(it.Title), original: it.Title + "\n" + it.lead(), classes: map[string][]lexicon.Mention{}}
	p.folded = lexicon.Fold(p.original)
	p.mentions = r.lex.Find(p.folded)
	for _, m := range p.mentions {
		if class, ok := strings.CutPrefix(m.Class, "word:"); ok {
			p.classes[class] = append(p.classes[class], m)
		}
	}
	return p
}

func (p *page) has(class string) bool { return len(p.classes[class]) > 0 }

// hasAll reports whether all of "a+b" are there.
func (p *page) hasAll(alternative string) bool {
	for class := range strings.SplitSeq(alternative, "+") {
		if !p.has(class) {
			return false
		}
	}
	return true
}

// headed reports whether class stands in the title or the first words below it,
// where an item says what sort of text it is.
func (p *page) headed(class string) bool {
	return slices.ContainsFunc(p.classes[class], func(m lexicon.Mention) bool { return m.Start < p.title+200 })
}

// forbids reports whether a rule's Not is met: columns by their heads, other
// words anywhere.
func (p *page) forbids(class string) bool {
	if class == "column" {
		return p.headed(class)
	}
	return p.has(class)
}

// breaks end sentences in the scripts that we read.
const breaks = ".!?;。！？；\n"

// sentence is the bounds of the sentence around byte i. A point within a
// number or an abbreviation's middle does not end it.
func (p *page) sentence(i int) (start, end int) {
	s := p.original
	for j, r := range s {
		if !strings.ContainsRune(breaks, r) {
			continue
		}
		after := j + utf8.RuneLen(r)
		if r == '.' && after < len(s) && s[after] != ' ' && s[after] != '\n' {
			continue
		}
		if after <= i {
			start = after
		} else {
			return start, after
		}
	}
	return start, len(s)
}

func within(ms []lexicon.Mention, start, end int) bool {
	return slices.ContainsFunc(ms, func(m lexicon.Mention) bool { return start <= m.Start && m.End <= end })
}

// companies are those that the page names, in order of first mention, and
// where. An ambiguous name needs a capital and an anchor.
func (r *Reader) companies(p *page) (named []chokepoint.Symbol, where map[chokepoint.Symbol][]lexicon.Mention) {
	where = map[chokepoint.Symbol][]lexicon.Mention{}
	var names []lexicon.Mention
	anchors := map[string]bool{}
	for _, m := range p.mentions {
		kind, s, _ := strings.Cut(m.Class, ":")
		switch kind {
		case "name", "maybe", "not", "other":
			names = append(names, m)
		case "anchor":
			anchors[s] = true
		}
	}
	names = lexicon.Longest(names)
	sure, maybe := map[string]bool{}, map[string]bool{}
	for _, m := range names {
		switch kind, s, _ := strings.Cut(m.Class, ":"); kind {
		case "name":
			sure[s] = true
		case "maybe":
			maybe[s] = true
		}
	}
	for _, s := range slices.Concat(p.item.Symbols, []chokepoint.Symbol{p.item.Filer}) {
		if s != "" && (maybe[string(s)] || p.item.Filing) && r.th.Company(s) != nil {
			sure[string(s)] = true
			if p.item.Filing {
				where[s] = append(where[s], lexicon.Mention{Class: "name:" + string(s), Word: string(s), End: p.title})
			}
		}
	}
	for _, m := range names {
		kind, s, _ := strings.Cut(m.Class, ":")
		if kind != "name" && kind != "maybe" {
			continue
		}
		if kind == "maybe" && !sure[s] {
			if first, _ := utf8.DecodeRuneInString(p.original[m.Start:]); unicode.IsLower(first) {
				continue
			}
			anchored := p.has("anchor") || len(sure) > 0
			if c := r.th.Company(chokepoint.Symbol(s)); len(c.Anchors) > 0 {
				anchored = anchors[s]
			}
			if !anchored {
				continue
			}
		}
		where[chokepoint.Symbol(s)] = append(where[chokepoint.Symbol(s)], m)
	}
	for _, c := range r.th.Companies {
		if len(where[c.Symbol]) > 0 {
			named = append(named, c.Symbol)
		}
	}
	slices.SortStableFunc(named, func(a, b chokepoint.Symbol) int { return where[a][0].Start - where[b][0].Start })
	return named, where
}

// Read says what it tells.
func (r *Reader) Read(it Item) Reading {
	p := r.open(it)
	out := Reading{Meaning: map[string]chokepoint.Direction{}, Primary: r.Primary(it)}
	var where map[chokepoint.Symbol][]lexicon.Mention
	out.Companies, where = r.companies(p)
	for _, s := range out.Companies {
		if where[s][0].Start < p.title {
			out.InTitle = append(out.InTitle, s)
		}
	}
	at, old := event(p.folded.Text, it.Published)
	out.Event, out.Recap = at, old || p.headed("recap")
	if !it.told() || out.Recap {
		return out
	}
	if m := r.milestone(p, out, where); m != nil {
		out.Milestone = m
		out.tell(KindSite, chokepoint.Positive)
		if m.Status != "done" && m.Status != "planned" {
			out.Meaning[KindSite] = chokepoint.Negative
		}
	}
	for _, rule := range r.th.Rules {
		if d, ok := r.applies(rule, p, &out, where); ok {
			out.tell(rule.Kind, d)
			out.Cards = append(out.Cards, rule.Card)
		}
	}
	if a := r.agreement(p, out, where); a != nil {
		out.Agreement = a
		out.tell(KindAgreement, chokepoint.Positive)
		if a.Cancelled || a.Sure == "denied" {
			out.Meaning[KindAgreement] = chokepoint.Negative
		}
	}
	out.Polarity = out.overall()
	out.Reasons = r.reasons(p, out, where)
	return out
}

func (o *Reading) tell(kind string, d chokepoint.Direction) {
	if kind == KindAgreement || kind == KindSite {
		o.Kinds = slices.Insert(o.Kinds, 0, kind)
	} else {
		o.Kinds = append(o.Kinds, kind)
	}
	o.Meaning[kind] = d
}

// Has reports whether the item tells of kind.
func (o *Reading) Has(kind string) bool { return slices.Contains(o.Kinds, kind) }

// overall is what all kinds together mean: swings aside, which follow from the
// rest, the one direction that there is.
func (o *Reading) overall() chokepoint.Direction {
	var up, down bool
	for kind, d := range o.Meaning {
		if kind == "risk_volatility" && len(o.Meaning) > 1 {
			continue
		}
		up, down = up || d > 0, down || d < 0
	}
	switch {
	case up && !down:
		return chokepoint.Positive
	case down && !up:
		return chokepoint.Negative
	}
	return chokepoint.Neutral
}
