package thesis

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

const (
	// window is how long tellings of one event come in.
	window = 5 * 24 * time.Hour
	// most is how many pieces of evidence a card remembers.
	most = 200

	importanceCatalyst = 75
	importanceRisk     = 60
)

// Judge attaches evidence to catalysts and risks, and keeps a state for each.
// It is not safe for concurrent use.
type Judge struct {
	th     *thesis.Thesis
	topic  chokepoint.Topic
	reader *reading.Reader
	cards  map[string]string // the card that a kind of evidence moves
}

// New makes the judge of th's catalysts and risks, whose alerts are of topic.
func New(th *thesis.Thesis, topic chokepoint.Topic) (*Judge, error) {
	j := &Judge{th: th, topic: topic, reader: reading.NewReader(th), cards: map[string]string{}}
	known := map[string]bool{}
	for _, c := range th.Catalysts {
		known[c.ID] = true
	}
	for _, r := range th.Risks {
		known[r.ID] = true
	}
	for _, r := range th.Rules {
		if !known[r.Card] {
			return nil, fmt.Errorf("thesis: rule %s moves %q, which is neither a catalyst nor a risk: %w", r.Kind, r.Card, chokepoint.ErrNotFound)
		}
		j.cards[r.Kind] = r.Card
	}
	return j, nil
}

var _ watchers.Judge = (*Judge)(nil)

// memory is the judge's state.
type memory struct {
	story.Book
	Market market           `json:"market"`
	Cards  map[string]*card `json:"cards"` // by the catalyst's or risk's ID
}

// card is what is remembered of a catalyst or a risk.
type card struct {
	story.Trail
	Moves []move             `json:"moves,omitempty"`
	State string             `json:"state"`
	Trend int8               `json:"trend,omitempty"`
	Since time.Time          `json:"since,omitzero"`
	Alert chokepoint.AlertID `json:"alert,omitempty"`
}

// move is one piece of evidence.
type move struct {
	At      time.Time `json:"at"`
	For     int8      `json:"for,omitempty"` // the thesis, or against it
	Owner   string    `json:"owner"`
	Primary bool      `json:"primary,omitempty"`
}

// Kinds are news and filings for evidence, bars and quotes for readings.
func (j *Judge) Kinds() []chokepoint.Kind {
	return []chokepoint.Kind{chokepoint.KindNews, chokepoint.KindFiling, chokepoint.KindBar, chokepoint.KindQuote}
}

// Judge weighs evidence and prices. It alerts of evidence that no other watcher
// speaks of: steps of a site and agreements it only takes note of. Without a
// state it learns only. See watchers.Judge.
func (j *Judge) Judge(in watchers.Input) (watchers.Verdict, error) {
	mem := memory{}
	if in.State != nil {
		if err := json.Unmarshal(in.State, &mem); err != nil {
			return watchers.Verdict{}, fmt.Errorf("thesis: read the judge's state: %w", err)
		}
	}
	if mem.Market == nil {
		mem.Market = market{}
	}
	if mem.Cards == nil {
		mem.Cards = map[string]*card{}
	}
	var v watchers.Verdict
	for _, o := range in.Observations {
		switch {
		case o.Bar != nil:
			mem.Market.bar(*o.Bar)
		case o.Quote != nil:
			mem.Market.quote(*o.Quote)
		default:
			if a, ok := j.tell(&mem, in, o); ok {
				v.Alerts = append(v.Alerts, a)
			}
		}
	}
	for _, c := range j.th.Catalysts {
		v.Cards = append(v.Cards, j.catalyst(&mem, c, in.Now))
	}
	for _, r := range j.th.Risks {
		v.Cards = append(v.Cards, j.risk(&mem, r, in.Now))
	}
	state, err := json.Marshal(mem)
	if err != nil {
		return watchers.Verdict{}, fmt.Errorf("thesis: write the judge's state: %w", err)
	}
	v.State = state
	return v, nil
}

// tell takes in what an item says, and gives the alert that is due for it.
func (j *Judge) tell(mem *memory, in watchers.Input, o chokepoint.Observation) (chokepoint.Alert, bool) {
	it, ok := reading.Of(o)
	if !ok {
		return chokepoint.Alert{}, false
	}
	r := j.reader.Read(it)
	if len(r.Kinds) == 0 {
		return chokepoint.Alert{}, false
	}
	history := in.State == nil || o.Backfill
	t := story.Telling{
		Observation: o, Evidence: story.EvidenceOf(o), Owner: j.reader.Owner(it), At: it.Published, Primary: r.Primary,
		Window: window, Group: "thesis",
	}
	for _, s := range r.Companies {
		t.Parties = append(t.Parties, string(s))
	}
	for _, kind := range r.Kinds {
		t.Keys = append(t.Keys, key(kind, r, it.Published))
	}
	// Whoever follows the site or the deal speaks of it; here it is remembered
	// so that what follows from it is not told as something else.
	others := r.Has(reading.KindSite) || r.Has(reading.KindAgreement)
	s, first, again := mem.Join(j.topic, t, history || others)
	if again {
		return chokepoint.Alert{}, false
	}
	if s.Happened.IsZero() {
		s.Happened = r.Event
	}
	var id, kind string // of the first card that it moves
	for _, k := range r.Kinds {
		c := j.cards[k]
		if k == reading.KindSite && r.Milestone != nil {
			if site := j.th.Site(r.Milestone.Site); site != nil {
				c = site.Catalyst
			}
		}
		if c == "" {
			continue
		}
		mem.card(c).add(t, r.Meaning[k])
		if id == "" && j.cards[k] != "" {
			id, kind = c, k
		}
	}
	if id == "" || others {
		return chokepoint.Alert{}, false
	}
	escalates := !first && t.Primary && s.Facts["primary"] == ""
	if t.Primary {
		if s.Facts == nil { // it came back empty from the saved state
			s.Facts = chokepoint.Facts{}
		}
		s.Facts["primary"] = "yes"
	}
	was := mem.card(id).State
	importance, cardKind := importanceRisk, "risk"
	if j.isCatalyst(id) {
		importance, cardKind = importanceCatalyst, "catalyst"
	}
	a, ok := s.Alert(j.topic, in.Now, importance, false, first || escalates)
	if !ok {
		return a, false
	}
	a.Kind, a.Severity, a.Direction, a.Symbols = chokepoint.AlertThesis, chokepoint.Notice, r.Meaning[kind], r.Companies
	if kind == "risk_volatility" {
		a.Severity, a.Direction = chokepoint.Info, chokepoint.Neutral
	}
	a.Facts = chokepoint.Facts{"card": id, "kind": cardKind, "state": j.state(mem, id, in.Now), "event": kind}
	if was != "" {
		a.Facts["was"] = was
	}
	if cardKind == "catalyst" {
		a.Catalyst = id
	}
	if a.Direction == chokepoint.Positive {
		against := j.th.Against(a.Catalyst)
		if cardKind == "risk" { // a risk that eases is still there
			against = []string{id}
		}
		for _, k := range against[:min(len(against), 2)] {
			a.Risks = append(a.Risks, chokepoint.RiskNote{ID: k})
		}
	}
	a.Why = r.Reasons
	mem.card(id).Alert = a.ID
	return a, true
}

// key names an event by its kind and whom it is about: moves of a share by the
// day too.
func key(kind string, r reading.Reading, at time.Time) string {
	who := r.InTitle
	if len(who) == 0 {
		who = r.Companies
	}
	names := make([]string, 0, len(who))
	for _, s := range who {
		names = append(names, string(s))
	}
	slices.Sort(names)
	if kind == "risk_volatility" {
		return kind + "/" + strings.Join(names[:min(1, len(names))], "") + "/" + at.UTC().Format(time.DateOnly)
	}
	return kind + "/" + strings.Join(names, "+")
}

func (j *Judge) isCatalyst(id string) bool {
	return slices.ContainsFunc(j.th.Catalysts, func(c thesis.Catalyst) bool { return c.ID == id })
}

func (m *memory) card(id string) *card {
	c := m.Cards[id]
	if c == nil {
		c = &card{}
		m.Cards[id] = c
	}
	return c
}

func (c *card) add(t story.Telling, d chokepoint.Direction) {
	c.Add(t.Evidence, t.At)
	c.Moves = append(c.Moves, move{At: t.At, For: int8(d), Owner: t.Owner, Primary: t.Primary})
	slices.SortStableFunc(c.Moves, func(a, b move) int { return a.At.Compare(b.At) })
	c.Moves = c.Moves[max(0, len(c.Moves)-most):]
}

// recent is the evidence of the last 90 days before now.
func (c *card) recent(now time.Time) []move {
	var out []move
	for _, m := range c.Moves {
		if now.Sub(m.At) <= story.Span && !m.At.After(now.Add(24*time.Hour)) {
			out = append(out, m)
		}
	}
	return out
}

// state is what a card's state is by its evidence.
func (j *Judge) state(mem *memory, id string, now time.Time) string {
	if j.isCatalyst(id) {
		return catalystState(mem.card(id).Moves)
	}
	return riskState(mem.card(id).recent(now))
}

// catalystState: no evidence is waiting; a setback is bad news after the last
// good; it moves once a primary source or two owners say so, and is reported
// before. What was reached stays reached: its age is shown beside it.
func catalystState(moves []move) string {
	owners := map[string]bool{}
	state := "waiting"
	for _, m := range moves {
		switch {
		case m.For < 0:
			state = "setback"
		case m.For > 0:
			owners[m.Owner] = true
			state = "reported"
			if m.Primary || len(owners) > 1 {
				state = "moving"
			}
		case state == "waiting":
			state = "reported"
		}
	}
	return state
}

// riskState: elevated from two pieces of evidence of different owners within 90
// days, high from six pieces.
func riskState(recent []move) string {
	owners := map[string]bool{}
	for _, m := range recent {
		owners[m.Owner] = true
	}
	return grade(len(recent) >= 6 && len(owners) > 1, len(recent) >= 2 && len(owners) > 1)
}

// settle notes a card's state, and which way it went.
func (c *card) settle(state string, rank []string, now time.Time) {
	if state == c.State {
		return
	}
	if c.State != "" {
		c.Trend = 1
		if slices.Index(rank, state) < slices.Index(rank, c.State) {
			c.Trend = -1
		}
	}
	c.State, c.Since = state, now
}

// trendKept is how long a change of state shows as a trend.
const trendKept = 30 * 24 * time.Hour

func (c *card) trend(now time.Time) chokepoint.Direction {
	if now.Sub(c.Since) > trendKept {
		return chokepoint.Neutral
	}
	return chokepoint.Direction(c.Trend)
}

// progress orders the states of a catalyst, worst first.
var progress = []string{"setback", "waiting", "reported", "moving", "done"}

func (j *Judge) catalyst(mem *memory, t thesis.Catalyst, now time.Time) chokepoint.Card {
	c := mem.card(t.ID)
	c.settle(catalystState(c.Moves), progress, now)
	out := chokepoint.Card{Kind: chokepoint.CardCatalyst, ID: t.ID, State: c.State, Trend: c.trend(now), Since: c.Since, Alert: c.Alert}
	c.Put(&out, now)
	return out
}

func (j *Judge) risk(mem *memory, t thesis.Risk, now time.Time) chokepoint.Card {
	c := mem.card(t.ID)
	facts, state := j.reading(mem, t)
	if facts == nil {
		recent := c.recent(now)
		facts, state = evidence(recent), riskState(recent)
	}
	c.settle(state, chokepoint.RiskStates, now)
	out := chokepoint.Card{Kind: chokepoint.CardRisk, ID: t.ID, State: c.State, Trend: c.trend(now), Since: c.Since, Facts: facts, Alert: c.Alert}
	c.Put(&out, now)
	return out
}

// evidence is the reading of a risk that no market shows.
func evidence(recent []move) chokepoint.Facts {
	f := chokepoint.Facts{"reading": "evidence", "count": strconv.Itoa(len(recent))}
	worse, better := 0, 0
	for _, m := range recent {
		switch {
		case m.For < 0:
			worse++
		case m.For > 0:
			better++
		}
		f["latest"] = m.At.UTC().Format(time.DateOnly)
	}
	f["worse"], f["better"] = strconv.Itoa(worse), strconv.Itoa(better)
	return f
}

// reading is what the market shows of a risk: of the symbols that it names the
// one that shows it most. nil if it shows nothing.
func (j *Judge) reading(mem *memory, t thesis.Risk) (facts chokepoint.Facts, state string) {
	var read func(chokepoint.Symbol) (chokepoint.Facts, string)
	var by string
	switch t.ID {
	case "runup":
		read, by = mem.Market.runup, "year"
	case "volatility":
		read, by = mem.Market.swings, "range"
	case "macro":
		return mem.Market.macro()
	default:
		return nil, ""
	}
	symbols := t.Symbols
	if len(symbols) == 0 {
		for _, c := range j.th.Companies {
			if slices.Contains(c.Roles, "swing") {
				symbols = append(symbols, c.Symbol)
			}
		}
	}
	var most chokepoint.Decimal
	for _, s := range symbols {
		f, st := read(s)
		if f == nil {
			continue
		}
		d, err := chokepoint.ParseDecimal(f[by])
		if facts == nil || err == nil && d > most {
			facts, state, most = f, st, d
		}
	}
	return facts, state
}
