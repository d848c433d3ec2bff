package price

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/watchers"
)

// Judge judges price rules. It keeps an index of the rules it was given last,
// so it is not safe for concurrent use; the index changes no verdict.
type Judge struct {
	topic chokepoint.Topic

	entries  []entry // as Input.Rules
	bySymbol map[chokepoint.Symbol][]int
	expiring []int                               // those with Until
	spans    map[chokepoint.Symbol]time.Duration // the longest that a rule looks back within the day
	calls    int

	zones map[string]*time.Location // by name
}

// An entry is one rule of the index.
type entry struct {
	key  ruleKey
	cond Condition

	rule   chokepoint.Rule
	at     machine
	loaded int // the call in which rule and at were brought up to date
}

type ruleKey struct {
	chat   chokepoint.ChatID
	id     string
	symbol chokepoint.Symbol
	text   string
}

func keyOf(r *chokepoint.Rule) ruleKey { return ruleKey{r.Chat, r.ID, r.Symbol, r.Text} }

// New makes the judge whose alerts are of topic.
//
// A rule is armed, fires when its condition holds, and is armed again when the
// price has come back past a margin: 2 % of a level; 2 percentage points of a
// move or a swing, or a quarter of it if that is less. A move in 1d and a
// swing are armed again each trading day too, and a move when it turns the
// other way. "every" fires again while the condition holds; "cooldown" keeps a
// rule silent for a time after it fired.
//
// A rule that a person made fires at once if its condition holds when it is
// first judged; a rule of the configuration learns that in silence, so that a
// start announces nothing. "crosses" needs an earlier price on the other side.
//
// Nothing fires on a quote that was old when it was seen, that is no newer
// than one judged before, or that lies 60 % from the one before, until another
// confirms it: that may be a split or a bad tick.
func New(topic chokepoint.Topic) *Judge {
	return &Judge{topic: topic, zones: map[string]*time.Location{}}
}

var _ watchers.Judge = (*Judge)(nil)

// Kinds are quotes, and bars for moves over days.
func (j *Judge) Kinds() []chokepoint.Kind {
	return []chokepoint.Kind{chokepoint.KindQuote, chokepoint.KindBar}
}

// Judge fires the rules that in's quotes make true. See watchers.Judge.
func (j *Judge) Judge(in watchers.Input) (watchers.Verdict, error) {
	mem := memory{Symbols: map[chokepoint.Symbol]*history{}}
	if in.State != nil {
		if err := json.Unmarshal(in.State, &mem); err != nil {
			return watchers.Verdict{}, fmt.Errorf("price: read the judge's state: %w", err)
		}
	}
	j.index(in.Rules)

	var v watchers.Verdict
	changed := map[int]bool{}
	for _, o := range in.Observations {
		switch {
		case o.Kind == chokepoint.KindBar && o.Bar != nil:
			mem.of(o.Bar.Symbol).addBar(*o.Bar)
		case o.Kind == chokepoint.KindQuote && o.Quote != nil:
			q := *o.Quote
			h := mem.of(q.Symbol)
			if !h.accept(q, j.spans[q.Symbol]) || o.Backfill || !fresh(q, in.Now) {
				continue
			}
			day := j.day(q.At, q.Symbol, q.Zone)
			for _, i := range j.bySymbol[q.Symbol] {
				e := j.load(i, in.Rules)
				if e.rule.Done {
					continue
				}
				if e.cond.expired(day) {
					e.rule.Done, changed[i] = true, true
					continue
				}
				r := h.measure(e.cond, q, day)
				fires, moved := e.step(q.At, r)
				if fires {
					v.Alerts = append(v.Alerts, j.alert(in.Now, o.ID, q, e, r))
				}
				if moved {
					changed[i] = true
				}
			}
		}
	}
	for _, i := range j.expiring {
		if e := j.load(i, in.Rules); !e.rule.Done && e.cond.expired(j.day(in.Now, e.rule.Symbol, "")) {
			e.rule.Done, changed[i] = true, true
		}
	}

	for i := range changed {
		v.Rules = append(v.Rules, j.entries[i].rule)
	}
	slices.SortFunc(v.Rules, func(a, b chokepoint.Rule) int {
		return cmp.Or(strings.Compare(a.Chat.String(), b.Chat.String()), strings.Compare(a.ID, b.ID))
	})
	if len(in.Observations) > 0 || in.State == nil {
		state, err := json.Marshal(mem)
		if err != nil {
			return watchers.Verdict{}, fmt.Errorf("price: write the judge's state: %w", err)
		}
		v.State = state
	}
	return v, nil
}

// index brings the index up to date with rules. While they are the same rules
// it costs a comparison each, and their states are looked at only when a quote
// of their symbol comes.
func (j *Judge) index(rules []chokepoint.Rule) {
	j.calls++
	if len(rules) == len(j.entries) {
		same := true
		for i := range rules {
			if j.entries[i].key != keyOf(&rules[i]) {
				same = false
				break
			}
		}
		if same {
			return
		}
	}
	j.entries = make([]entry, len(rules))
	j.bySymbol = map[chokepoint.Symbol][]int{}
	j.spans = map[chokepoint.Symbol]time.Duration{}
	j.expiring = nil
	conds := map[string]Condition{} // most rules of many chats say the same
	for i := range rules {
		e := &j.entries[i]
		e.key = keyOf(&rules[i])
		c, ok := conds[string(e.key.symbol)+" "+e.key.text]
		if !ok {
			var err error
			if c, err = ParseCondition(e.key.symbol, e.key.text, time.Time{}); err != nil {
				continue // of an older language; it stays silent
			}
			conds[string(e.key.symbol)+" "+e.key.text] = c
		}
		e.cond = c
		j.bySymbol[c.Symbol] = append(j.bySymbol[c.Symbol], i)
		j.spans[c.Symbol] = max(j.spans[c.Symbol], c.Span)
		if c.Until != "" {
			j.expiring = append(j.expiring, i)
		}
	}
}

// load brings entry i up to date with the rule as it was given to this call.
func (j *Judge) load(i int, rules []chokepoint.Rule) *entry {
	e := &j.entries[i]
	if e.loaded == j.calls {
		return e
	}
	e.loaded = j.calls
	if !bytes.Equal(e.rule.State, rules[i].State) || e.rule.State == nil {
		e.at = machine{}
		if err := json.Unmarshal(rules[i].State, &e.at); err != nil {
			e.at = machine{} // none yet
		}
	}
	e.rule = rules[i]
	return e
}

// day is the date of the moment at in the exchange's zone, which a quote names
// and a symbol's suffix tells.
func (j *Judge) day(at time.Time, s chokepoint.Symbol, zone string) string {
	if zone == "" {
		_, suffix, _ := strings.Cut(string(s), ".")
		zone = venues[suffix]
	}
	loc := j.zones[zone]
	if loc == nil {
		var err error
		if loc, err = time.LoadLocation(zone); err != nil {
			loc = time.UTC
		}
		j.zones[zone] = loc
	}
	return at.In(loc).Format(time.DateOnly)
}

// venues are the zones of exchanges by Yahoo's suffixes.
// https://help.yahoo.com/kb/SLN2310.html
var venues = map[string]string{
	"": "America/New_York", "ST": "Europe/Stockholm", "T": "Asia/Tokyo", "TW": "Asia/Taipei", "TWO": "Asia/Taipei",
	"HK": "Asia/Hong_Kong", "SS": "Asia/Shanghai", "SZ": "Asia/Shanghai", "KS": "Asia/Seoul", "KQ": "Asia/Seoul",
	"L": "Europe/London", "DE": "Europe/Berlin", "PA": "Europe/Paris", "AS": "Europe/Amsterdam", "TO": "America/Toronto",
}

// fresh says whether q may fire rules now.
func fresh(q chokepoint.Quote, now time.Time) bool {
	bound := freshInSession
	if q.Session == chokepoint.SessionPre || q.Session == chokepoint.SessionPost {
		bound = freshOutside
	}
	return q.Seen.Sub(q.At) <= bound+q.Delayed && now.Sub(q.Seen) <= late
}

// alert makes the alert of a rule that fired on q.
func (j *Judge) alert(now time.Time, from chokepoint.ObservationID, q chokepoint.Quote, e *entry, r reading) chokepoint.Alert {
	c := e.cond
	facts := chokepoint.Facts{
		"symbol": string(q.Symbol), "rule": e.rule.ID, "condition": c.Text(),
		"price": q.Price.String(), "currency": q.Currency,
		"session": string(q.Session), "quoted": q.At.UTC().Format(time.RFC3339), "provider": q.Provider,
	}
	why := chokepoint.Reason{Args: chokepoint.Facts{"price": q.Price.String()}}
	switch c.Op {
	case Moves:
		facts["span"] = c.span()
		if c.Span > 0 {
			facts["span"] = c.Span.String()
		}
		why.Key = "price.moved"
		why.Args["span"] = c.span()
	case Swings:
		why.Key = "price.swung"
		why.Args["high"], why.Args["low"] = q.High.String(), q.Low.String()
	case Crosses:
		why.Key = "price.crossed"
	default:
		why.Key = "price.level"
	}
	if c.Op == Moves || c.Op == Swings {
		change := percent(r.change, r.from).String()
		facts["change"], facts["from"] = change, r.from.String()
		why.Args["change"], why.Args["from"] = change, r.from.String()
	} else {
		facts["level"] = c.Level.String()
		why.Args["level"] = c.Level.String()
		if q.Prev > 0 {
			facts["change"] = percent(q.Price-q.Prev, q.Prev).String()
		}
	}
	if q.High > 0 {
		facts["high"] = q.High.String()
	}
	if q.Low > 0 {
		facts["low"] = q.Low.String()
	}
	if q.Delayed > 0 {
		facts["delayed"] = q.Delayed.String()
	}
	if q.MadeUp {
		facts["madeup"] = "true"
	}

	severity, scores := chokepoint.Notice, chokepoint.Scores{Importance: 60, Credibility: 90}
	if c.Urgent {
		severity, scores.Importance = chokepoint.Urgent, 90
	}
	if q.Delayed > 0 {
		scores.Credibility = 80
	}
	var only []chokepoint.ChatID
	if e.rule.Chat != (chokepoint.ChatID{}) {
		only = []chokepoint.ChatID{e.rule.Chat}
	}
	story := chokepoint.NewStoryID(string(j.topic), e.rule.Chat.String(), e.rule.ID, q.At.UTC().Format(time.RFC3339Nano))
	return chokepoint.Alert{
		ID: story.Alert(0), Story: story, Kind: chokepoint.AlertPrice, Topic: j.topic,
		Severity: severity, Score: scores.Importance, Scores: scores,
		// A price says nothing of the thesis by itself.
		Direction: chokepoint.Neutral,
		Symbols:   []chokepoint.Symbol{q.Symbol},
		Happened:  q.At, Seen: q.Seen, At: now, Expires: q.At.Add(24 * time.Hour),
		Facts: facts, Evidence: evidence(q), Sources: 1, Owners: 1,
		Why: []chokepoint.Reason{
			{Key: "price.rule", Args: chokepoint.Facts{"rule": e.rule.ID, "symbol": string(q.Symbol), "condition": c.Text()}},
			why,
		},
		From: []chokepoint.ObservationID{from}, Only: only,
	}
}

// evidence is the provider's page of the symbol; none for what is made up.
func evidence(q chokepoint.Quote) []chokepoint.Evidence {
	e := chokepoint.Evidence{
		Title:     fmt.Sprintf("%s %s", q.Symbol, strings.TrimSpace(q.Price.String()+" "+q.Currency)),
		Published: q.At,
	}
	symbol := string(q.Symbol)
	switch provider, _, _ := strings.Cut(q.Provider, "-"); {
	case q.MadeUp:
		return nil
	case provider == "nasdaq":
		e.Publisher = "Nasdaq"
		e.URL = "https://www.nasdaq.com/market-activity/stocks/" + strings.ToLower(symbol)
		if index, ok := strings.CutPrefix(symbol, "^"); ok {
			e.URL = "https://www.nasdaq.com/market-activity/index/" + strings.ToLower(index)
		}
	case provider == "finnhub":
		e.Publisher, e.URL = "Finnhub", "https://finnhub.io/"
	default:
		e.Publisher, e.URL = "Yahoo Finance", "https://finance.yahoo.com/quote/"+strings.ReplaceAll(symbol, "^", "%5E")
	}
	return []chokepoint.Evidence{e}
}
