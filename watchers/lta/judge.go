// Package lta follows who locks up whose supply: each agreement of a buyer and
// a supplier, how sure it is, and on what terms.
package lta

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/thesis"
	"github.com/chokepoint-bot/chokepoint/watchers"
	"github.com/chokepoint-bot/chokepoint/watchers/reading"
	"github.com/chokepoint-bot/chokepoint/watchers/story"
)

// window is how long tellings of one pair's agreement are one story.
const window = 21 * 24 * time.Hour

// Judge tells agreements. It is not safe for concurrent use.
type Judge struct {
	th     *thesis.Thesis
	topic  chokepoint.Topic
	signal string
	reader *reading.Reader
}

// New makes the judge whose alerts are of topic. It keeps a card for each pair
// of buyer and supplier, the thesis's record among them, and the card of the
// signal whose watcher topic is.
func New(th *thesis.Thesis, topic chokepoint.Topic) (*Judge, error) {
	for i, a := range th.Agreements {
		if _, err := time.Parse(time.DateOnly, a.Day); err != nil {
			return nil, fmt.Errorf("lta: reading the day of agreement %d of %s: %w", i+1, th.ID, err)
		}
	}
	j := &Judge{th: th, topic: topic, reader: reading.NewReader(th)}
	for _, s := range th.Signals {
		if s.Watcher == topic {
			j.signal = s.ID
		}
	}
	return j, nil
}

var _ watchers.Judge = (*Judge)(nil)

// A pair is what is known of the agreement of a buyer and a supplier.
type pair struct {
	Buyer    string             `json:"buyer"`
	Supplier string             `json:"supplier"`
	Sure     string             `json:"sure"`
	Since    time.Time          `json:"since"` // of Sure
	Facts    chokepoint.Facts   `json:"facts,omitempty"`
	Trail    story.Trail        `json:"trail"`
	Alert    chokepoint.AlertID `json:"alert,omitempty"`
}

func (p *pair) id() string { return p.Buyer + "×" + p.Supplier }

// maxPairs bounds the matrix; those with the oldest evidence give way.
const maxPairs = 60

type memory struct {
	story.Book
	Pairs []*pair            `json:"pairs"`
	Trail story.Trail        `json:"trail"`
	State string             `json:"state,omitempty"`
	Since time.Time          `json:"since,omitzero"`
	Alert chokepoint.AlertID `json:"alert,omitempty"`
}

// Kinds are news and filings.
func (j *Judge) Kinds() []chokepoint.Kind {
	return []chokepoint.Kind{chokepoint.KindNews, chokepoint.KindFiling}
}

// Judge tells each new agreement once, and again when it grows surer, its terms
// become known, or it is denied or cancelled. What is on record by then is not
// new, unless the item says that there is more. Without a state it learns only.
// See watchers.Judge.
func (j *Judge) Judge(in watchers.Input) (watchers.Verdict, error) {
	mem := memory{}
	if in.State != nil {
		if err := json.Unmarshal(in.State, &mem); err != nil {
			return watchers.Verdict{}, fmt.Errorf("lta: read the judge's state: %w", err)
		}
	}
	var v watchers.Verdict
	for _, o := range in.Observations {
		it, ok := reading.Of(o)
		if !ok {
			continue
		}
		r := j.reader.Read(it)
		if r.Agreement == nil {
			continue
		}
		if a, ok := j.tell(&mem, in, o, it, r); ok {
			v.Alerts = append(v.Alerts, a)
		}
	}
	v.Cards = j.cards(&mem, in.Now)
	state, err := json.Marshal(mem)
	if err != nil {
		return watchers.Verdict{}, fmt.Errorf("lta: write the judge's state: %w", err)
	}
	v.State = state
	return v, nil
}

// tell joins the telling to its story and words the alert that is due.
func (j *Judge) tell(mem *memory, in watchers.Input, o chokepoint.Observation, it reading.Item, r reading.Reading) (chokepoint.Alert, bool) {
	g := r.Agreement
	t := story.Telling{
		Observation: o, Evidence: story.EvidenceOf(o), Owner: j.reader.Owner(it), At: it.Published, Primary: r.Primary,
		Window: window, Group: "agreement", Parties: slices.Clone(g.Suppliers),
	}
	t.Evidence.Primary = r.Primary
	for _, s := range g.Suppliers {
		t.Keys = append(t.Keys, g.Buyer+"×"+s)
		if g.Buyer == reading.Unnamed || j.recent(mem, reading.Unnamed+"×"+s, it.Published) {
			t.Keys = append(t.Keys, "order×"+s) // an unnamed buyer's name comes out later
		}
	}
	if g.Cancelled {
		for i := range t.Keys {
			t.Keys[i] += " cancelled"
		}
		t.Group = "cancelled"
	}
	known := j.known(mem, g, it)
	s, first, again := mem.Join(j.topic, t, o.Backfill || in.State == nil || known)
	if again {
		return chokepoint.Alert{}, false
	}
	if s.Happened.IsZero() {
		s.Happened = r.Event
	}
	escalate := merge(s, g, r.Primary)
	j.note(mem, s, t, it)
	rumour := s.Facts["sure"] == "rumour"
	a, ok := s.Alert(j.topic, in.Now, importance(s.Facts), rumour, escalate && !first)
	if !ok {
		return a, false
	}
	a.Kind, a.Severity, a.Direction = chokepoint.AlertAgreement, chokepoint.Urgent, chokepoint.Positive
	switch {
	case g.Cancelled || s.Facts["sure"] == "denied":
		a.Direction = chokepoint.Negative
	case rumour:
		a.Severity = chokepoint.Notice
	}
	for _, k := range []string{"buyer", "supplier", "sure", "product", "amount", "term", "exclusive"} {
		if s.Facts[k] != "" {
			a.Facts[k] = s.Facts[k]
		}
	}
	parties := s.Facts["buyer"] + "," + s.Facts["supplier"]
	for p := range strings.SplitSeq(parties, ",") {
		if j.th.Company(chokepoint.Symbol(p)) != nil {
			a.Symbols = append(a.Symbols, chokepoint.Symbol(p))
		}
	}
	a.Catalyst = j.catalyst(a.Symbols)
	for _, id := range j.th.Against(a.Catalyst) {
		a.Risks = append(a.Risks, chokepoint.RiskNote{ID: id})
	}
	a.Why = append(slices.Clone(r.Reasons), chokepoint.Reason{Key: "story.joined", Args: chokepoint.Facts{"sources": strconv.Itoa(s.Sources), "owners": strconv.Itoa(len(s.Owners))}})
	for _, p := range mem.Pairs {
		if slices.Contains(t.Keys, p.id()) {
			p.Alert = a.ID
		}
	}
	mem.Alert = a.ID
	return a, true
}

// recent reports whether a story with that key was told within the window.
func (j *Judge) recent(mem *memory, key string, at time.Time) bool {
	return slices.ContainsFunc(mem.Stories, func(s *story.Story) bool {
		return slices.Contains(s.Keys, key) && at.Sub(s.Last) <= window
	})
}

// known reports whether all that g tells is on record: each pair has its
// agreement since longer than a story lasts, and the item speaks of no other.
func (j *Judge) known(mem *memory, g *reading.Agreement, it reading.Item) bool {
	if g.More || g.Cancelled || g.Sure == "denied" || it.Filing {
		return false
	}
	for _, s := range g.Suppliers {
		if !slices.ContainsFunc(j.th.Agreements, func(a thesis.Agreement) bool {
			day, err := time.Parse(time.DateOnly, a.Day)
			return err == nil && string(a.Buyer) == g.Buyer && string(a.Supplier) == s && it.Published.Sub(day) > window && (g.Amount == "" || a.Amount == "" || g.Amount == a.Amount)
		}) && !slices.ContainsFunc(mem.Pairs, func(p *pair) bool {
			return p.Buyer == g.Buyer && p.Supplier == s && it.Published.Sub(p.Since) > window && (g.Amount == "" || g.Amount == p.Facts["amount"])
		}) {
			return false
		}
	}
	return true
}

// merge puts what a telling says into its story's facts, and reports whether it
// escalates: surer, denied, or an amount or a term made known.
func merge(s *story.Story, g *reading.Agreement, primary bool) (escalate bool) {
	set := func(k, v string, speaks bool) {
		if v != "" && s.Facts[k] == "" {
			s.Facts[k] = v
			escalate = escalate || speaks
		}
	}
	if s.Facts["buyer"] == "" || s.Facts["buyer"] == reading.Unnamed && g.Buyer != reading.Unnamed {
		s.Facts["buyer"] = g.Buyer
		escalate = true
	}
	if s.Facts["supplier"] == "" {
		s.Facts["supplier"] = strings.Join(g.Suppliers, ",")
	} else {
		all := append(strings.Split(s.Facts["supplier"], ","), g.Suppliers...)
		slices.Sort(all)
		s.Facts["supplier"] = strings.Join(slices.Compact(all), ",")
	}
	set("product", g.Product, false)
	set("amount", g.Amount, true)
	set("term", g.Term, g.Term != "multiyear")
	set("exclusive", g.Exclusive, false)
	sure := g.Sure
	if sure == "rumour" && len(s.Owners) > 1 {
		sure = "reported" // by two independent publishers
	}
	order := func(v string) int { return slices.Index(chokepoint.Sureties, v) }
	if order(sure) > order(s.Facts["sure"]) {
		escalate = escalate || sure != "reported" || len(s.Owners) > 1
		s.Facts["sure"] = sure
	}
	return escalate
}

// note writes the telling into the matrix.
func (j *Judge) note(mem *memory, s *story.Story, t story.Telling, it reading.Item) {
	mem.Trail.Add(t.Evidence, t.At)
	if mem.State != s.Facts["sure"] || mem.Since.IsZero() {
		mem.State, mem.Since = s.Facts["sure"], t.At
	}
	for supplier := range strings.SplitSeq(s.Facts["supplier"], ",") {
		i := slices.IndexFunc(mem.Pairs, func(p *pair) bool { return p.Buyer == s.Facts["buyer"] && p.Supplier == supplier })
		if i < 0 {
			mem.Pairs = append(mem.Pairs, &pair{Buyer: s.Facts["buyer"], Supplier: supplier, Sure: s.Facts["sure"], Since: it.Published})
			i = len(mem.Pairs) - 1
		}
		p := mem.Pairs[i]
		if p.Sure != s.Facts["sure"] {
			p.Sure, p.Since = s.Facts["sure"], it.Published
		}
		p.Facts = chokepoint.Facts{}
		for _, k := range []string{"product", "amount", "term", "exclusive"} {
			if s.Facts[k] != "" {
				p.Facts[k] = s.Facts[k]
			}
		}
		p.Trail.Add(t.Evidence, t.At)
	}
	if len(mem.Pairs) > maxPairs {
		slices.SortStableFunc(mem.Pairs, func(a, b *pair) int { return b.Trail.Latest.Compare(a.Trail.Latest) })
		mem.Pairs = mem.Pairs[:maxPairs]
	}
}

// catalyst is the first of the thesis that an agreement of these parties moves.
func (j *Judge) catalyst(parties []chokepoint.Symbol) string {
	for _, c := range j.th.Catalysts {
		if len(c.Symbols) == 1 && slices.Contains(parties, c.Symbols[0]) {
			return c.ID
		}
	}
	for _, c := range j.th.Catalysts {
		if slices.ContainsFunc(c.Symbols, func(s chokepoint.Symbol) bool { return slices.Contains(parties, s) }) {
			return c.ID
		}
	}
	return ""
}

func importance(f chokepoint.Facts) int {
	n := 75
	if f["amount"] != "" {
		n += 10
	}
	if f["term"] != "" {
		n += 5
	}
	if f["sure"] == "denied" {
		n = 85
	}
	return n
}

// cards are those of the pairs, the record's where nothing newer is known, and
// the signal's.
func (j *Judge) cards(mem *memory, now time.Time) []chokepoint.Card {
	var cards []chokepoint.Card
	for _, a := range j.th.Agreements {
		day, _ := time.Parse(time.DateOnly, a.Day) // New has checked it
		if day.After(now) || slices.ContainsFunc(mem.Pairs, func(p *pair) bool { return p.Buyer == string(a.Buyer) && p.Supplier == string(a.Supplier) }) {
			continue
		}
		c := chokepoint.Card{Kind: chokepoint.CardAgreement, ID: string(a.Buyer) + "×" + string(a.Supplier), State: a.State, Since: day, Latest: day, Updated: now, Facts: chokepoint.Facts{}}
		for k, v := range map[string]string{"product": a.Product, "amount": a.Amount, "term": a.Term} {
			if v != "" {
				c.Facts[k] = v
			}
		}
		c.Evidence = []chokepoint.Evidence{{Title: a.Title, Published: day}}
		cards = append(cards, c)
	}
	for _, p := range mem.Pairs {
		c := chokepoint.Card{Kind: chokepoint.CardAgreement, ID: p.id(), State: p.Sure, Since: p.Since, Facts: p.Facts, Alert: p.Alert}
		p.Trail.Put(&c, now)
		cards = append(cards, c)
	}
	if j.signal != "" {
		c := chokepoint.Card{Kind: chokepoint.CardSignal, ID: j.signal, State: mem.State, Since: mem.Since, Alert: mem.Alert}
		mem.Trail.Put(&c, now)
		cards = append(cards, c)
	}
	return cards
}
