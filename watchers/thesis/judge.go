// Package thesis keeps the state of what the thesis waits for and of what
// speaks against it: the cards of catalysts and risks, and alerts on evidence
// that no other watcher tells.
package thesis

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	book "github.com/chokepoint-bot/chokepoint/internal/thesis"
	"github.com/chokepoint-bot/chokepoint/watchers"
	"github.com/chokepoint-bot/chokepoint/watchers/reading"
	"github.com/chokepoint-bot/chokepoint/watchers/story"
)

// Judge keeps the cards. It is not safe for concurrent use.
type Judge struct {
	th     *book.Thesis
	topic  chokepoint.Topic
	reader *reading.Reader
}

// New makes the judge of th whose alerts are of topic.
func New(th *book.Thesis, topic chokepoint.Topic) (*Judge, error) {
	if len(th.Catalysts)+len(th.Risks) == 0 {
		return nil, fmt.Errorf("thesis: judging %s: it has no catalysts and no risks", th.ID)
	}
	return &Judge{th: th, topic: topic, reader: reading.NewReader(th)}, nil
}

var _ watchers.Judge = (*Judge)(nil)

// A card is what is remembered of a catalyst or a risk.
type card struct {
	State  string             `json:"state"`
	Since  time.Time          `json:"since,omitzero"`
	Trail  story.Trail        `json:"trail"`
	Worse  []time.Time        `json:"worse,omitempty"`  // evidence against the thesis, in 90 days
	Better []time.Time        `json:"better,omitempty"` // and for it
	Alert  chokepoint.AlertID `json:"alert,omitempty"`
}

type memory struct {
	story.Book
	Cards  map[string]*card           `json:"cards"` // by ID
	Market map[chokepoint.Symbol]days `json:"market,omitempty"`
}

// Kinds are news and filings, and what the readings are taken from.
func (j *Judge) Kinds() []chokepoint.Kind {
	return []chokepoint.Kind{chokepoint.KindNews, chokepoint.KindFiling, chokepoint.KindBar, chokepoint.KindQuote}
}

// Judge tells evidence that no other watcher tells: items on a site or an
// agreement move its cards in silence. A story speaks again when a primary
// source says it for the first time. Without a state it learns only. See
// watchers.Judge.
func (j *Judge) Judge(in watchers.Input) (watchers.Verdict, error) {
	mem := memory{}
	if in.State != nil {
		if err := json.Unmarshal(in.State, &mem); err != nil {
			return watchers.Verdict{}, fmt.Errorf("thesis: read the judge's state: %w", err)
		}
	}
	if mem.Cards == nil {
		mem.Cards = map[string]*card{}
	}
	if mem.Market == nil {
		mem.Market = map[chokepoint.Symbol]days{}
	}
	var v watchers.Verdict
	for _, o := range in.Observations {
		switch {
		case o.Kind == chokepoint.KindBar && o.Bar != nil && o.Bar.Close > 0:
			if b := o.Bar; j.follows(b.Symbol) {
				mem.Market[b.Symbol] = mem.Market[b.Symbol].add(day{b.Day, b.High.Float(), b.Low.Float(), b.Close.Float()})
			}
		case o.Kind == chokepoint.KindQuote && o.Quote != nil && o.Quote.Price > 0:
			if j.follows(o.Quote.Symbol) {
				mem.quote(o.Quote)
			}
		default:
			if a, ok := j.weigh(&mem, in, o); ok {
				v.Alerts = append(v.Alerts, a)
			}
		}
	}
	v.Cards = j.cards(&mem, in.Now)
	state, err := json.Marshal(mem)
	if err != nil {
		return watchers.Verdict{}, fmt.Errorf("thesis: write the judge's state: %w", err)
	}
	v.State = state
	return v, nil
}

// follows reports whether a reading is taken from s.
func (j *Judge) follows(s chokepoint.Symbol) bool {
	return s == tenYear || s == sox || slices.ContainsFunc(j.th.Risks, func(r book.Risk) bool { return slices.Contains(r.Symbols, s) })
}

// quote is the trading day so far.
func (m *memory) quote(q *chokepoint.Quote) {
	at := q.At
	if zone, err := time.LoadLocation(q.Zone); err == nil {
		at = at.In(zone)
	}
	d := day{at.Format(time.DateOnly), q.High.Float(), q.Low.Float(), q.Price.Float()}
	if d.High == 0 || d.Low == 0 {
		d.High, d.Low = d.Close, d.Close
	}
	m.Market[q.Symbol] = m.Market[q.Symbol].add(d)
}

// weigh moves the cards that an item speaks of, and words the alert that is due.
func (j *Judge) weigh(mem *memory, in watchers.Input, o chokepoint.Observation) (chokepoint.Alert, bool) {
	it, ok := reading.Of(o)
	if !ok {
		return chokepoint.Alert{}, false
	}
	r := j.reader.Read(it)
	if len(r.Kinds) == 0 || slices.ContainsFunc(mem.Stories, func(s *story.Story) bool { return slices.Contains(s.From, o.ID) }) {
		return chokepoint.Alert{}, false
	}
	e := story.EvidenceOf(o)
	e.Primary = r.Primary
	told := j.moves(r) // the cards, those that matter most first
	was := map[string]string{}
	for _, m := range told {
		was[m.card] = mem.card(m.card, j.waiting(m.card)).State
		j.move(mem, m, e, it.Published, r)
	}
	if len(told) == 0 {
		return chokepoint.Alert{}, false
	}
	others := r.Milestone != nil || r.Agreement != nil
	first := told[0]
	t := story.Telling{Observation: o, Evidence: e, Owner: j.reader.Owner(it), At: it.Published, Primary: r.Primary, Window: 4 * 24 * time.Hour, Group: first.kind}
	about := r.InTitle
	if len(about) == 0 {
		about = r.Companies
	}
	for _, s := range about[:min(len(about), 3)] {
		t.Keys, t.Parties = append(t.Keys, first.kind+" "+string(s)), append(t.Parties, string(s))
	}
	if len(t.Keys) == 0 {
		t.Keys = []string{first.kind}
	}
	s, begins, _ := mem.Join(j.topic, t, o.Backfill || in.State == nil || others)
	escalate := t.Primary && s.Facts["primary"] == "" && !begins
	if t.Primary {
		s.Facts["primary"] = "yes"
	}
	if s.Happened.IsZero() {
		s.Happened = r.Event
	}
	a, ok := s.Alert(j.topic, in.Now, importance(first), false, escalate)
	if !ok {
		return a, false
	}
	c := mem.Cards[first.card]
	a.Kind, a.Direction, a.Symbols = chokepoint.AlertThesis, first.means, about
	a.Facts = chokepoint.Facts{"card": first.card, "kind": "risk", "state": c.State, "was": was[first.card], "event": first.kind}
	if first.catalyst {
		a.Facts["kind"], a.Catalyst, a.Severity = "catalyst", first.card, chokepoint.Notice
	}
	if a.Direction == chokepoint.Positive {
		for _, id := range j.th.Against(a.Catalyst) {
			a.Risks = append(a.Risks, chokepoint.RiskNote{ID: id})
		}
	}
	a.Why = append(slices.Clone(r.Reasons), chokepoint.Reason{Key: "story.joined", Args: chokepoint.Facts{"sources": strconv.Itoa(s.Sources), "owners": strconv.Itoa(len(s.Owners))}})
	c.Alert = a.ID
	return a, true
}

// A movement is what an item means for one card.
type movement struct {
	card, kind string
	catalyst   bool
	awaited    bool // an agreement of the very buyer that the catalyst waits for
	means      chokepoint.Direction
}

// moves are the cards that r speaks of: catalysts before risks, as the rules
// stand.
func (j *Judge) moves(r reading.Reading) []movement {
	var out []movement
	for _, rule := range j.th.Rules {
		if r.Has(rule.Kind) {
			out = append(out, movement{card: rule.Card, kind: rule.Kind, catalyst: j.isCatalyst(rule.Card), means: r.Meaning[rule.Kind]})
		}
	}
	if r.Milestone != nil {
		if site := j.th.Site(r.Milestone.Site); site != nil {
			out = append(out, movement{card: site.Catalyst, kind: reading.KindSite, catalyst: true, means: r.Meaning[reading.KindSite]})
		}
	}
	if r.Agreement != nil { // an agreement moves the catalysts that wait for one of its parties alone
		parties := append([]string{r.Agreement.Buyer}, r.Agreement.Suppliers...)
		for _, c := range j.th.Catalysts {
			if len(c.Symbols) == 1 && slices.Contains(parties, string(c.Symbols[0])) {
				out = append(out, movement{card: c.ID, kind: reading.KindAgreement, catalyst: true, awaited: r.Agreement.Buyer == string(c.Symbols[0]), means: r.Meaning[reading.KindAgreement]})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b movement) int {
		if a.catalyst != b.catalyst {
			return map[bool]int{true: -1, false: 1}[a.catalyst]
		}
		return 0
	})
	return out
}

func (j *Judge) isCatalyst(id string) bool {
	return slices.ContainsFunc(j.th.Catalysts, func(c book.Catalyst) bool { return c.ID == id })
}

// waiting is the state of a card that nothing is known of.
func (j *Judge) waiting(id string) string {
	if j.isCatalyst(id) {
		return "waiting"
	}
	return "normal"
}

func (m *memory) card(id, state string) *card {
	if m.Cards[id] == nil {
		m.Cards[id] = &card{State: state}
	}
	return m.Cards[id]
}

// move puts the evidence on a card and sets a catalyst's state: reported by
// the first evidence, moving with a primary source or a third telling, done
// when the party that it waits for has an agreement, and set back by evidence
// against it.
func (j *Judge) move(mem *memory, m movement, e chokepoint.Evidence, at time.Time, r reading.Reading) {
	c := mem.card(m.card, j.waiting(m.card))
	c.Trail.Add(e, at)
	recent := func(ts []time.Time) []time.Time {
		return slices.DeleteFunc(ts, func(t time.Time) bool { return at.Sub(t) > story.Span })
	}
	c.Worse, c.Better = recent(c.Worse), recent(c.Better)
	switch {
	case m.means < 0 && len(c.Worse) < 200:
		c.Worse = append(c.Worse, at)
	case m.means > 0 && len(c.Better) < 200:
		c.Better = append(c.Better, at)
	}
	state := c.State
	switch {
	case !m.catalyst:
		state = level(above(float64(len(c.Worse)), 2, 8))
	case m.means < 0:
		state = "setback"
	case r.Agreement != nil && m.awaited && (r.Agreement.Sure == "confirmed" || r.Agreement.Sure == "filed"):
		state = "done"
	case c.State == "done":
	case r.Primary || len(c.Better) >= 3:
		state = "moving"
	case c.State != "moving":
		state = "reported"
	}
	if state != c.State {
		c.State, c.Since = state, at
	}
}

func importance(m movement) int {
	switch {
	case m.kind == "catalyst_amd":
		return 85
	case m.catalyst:
		return 70
	case m.kind == "risk_volatility":
		return 45
	}
	return 60
}

// cards are those of all catalysts and risks, with the readings of now.
func (j *Judge) cards(mem *memory, now time.Time) []chokepoint.Card {
	var out []chokepoint.Card
	for _, k := range j.th.Catalysts {
		c := mem.card(k.ID, "waiting")
		out = append(out, j.put(c, chokepoint.CardCatalyst, k.ID, c.State, trend(c.Better, c.Worse), nil, now))
	}
	for _, k := range j.th.Risks {
		c := mem.card(k.ID, "normal")
		count := c.Trail.Count(now)
		worst := slices.Index(chokepoint.RiskStates, c.State)
		if count == 0 {
			worst = 0
		}
		var facts chokepoint.Facts
		n := 0
		switch k.ID {
		case "runup":
			facts, n = runup(mem.Market, k.Symbols)
		case "volatility":
			facts, n = swings(mem.Market, k.Symbols)
		case "macro":
			facts, n = macro(mem.Market)
		}
		if facts == nil {
			facts = chokepoint.Facts{"reading": "evidence", "count": strconv.Itoa(count), "worse": strconv.Itoa(len(c.Worse)), "better": strconv.Itoa(len(c.Better))}
			if !c.Trail.Latest.IsZero() {
				facts["latest"] = c.Trail.Latest.Format(time.DateOnly)
			}
		}
		out = append(out, j.put(c, chokepoint.CardRisk, k.ID, level(max(worst, n)), trend(c.Worse, c.Better), facts, now))
	}
	return out
}

func (j *Judge) put(c *card, kind chokepoint.CardKind, id, state string, d chokepoint.Direction, facts chokepoint.Facts, now time.Time) chokepoint.Card {
	out := chokepoint.Card{Kind: kind, ID: id, State: state, Trend: d, Since: c.Since, Facts: facts, Alert: c.Alert}
	c.Trail.Put(&out, now)
	return out
}

// trend is Positive if there is more of up than of down.
func trend(up, down []time.Time) chokepoint.Direction {
	switch {
	case len(up) > len(down):
		return chokepoint.Positive
	case len(up) < len(down):
		return chokepoint.Negative
	}
	return chokepoint.Neutral
}
