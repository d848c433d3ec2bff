package price

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/watchers"
)

var (
	chat = chokepoint.ChatID{Platform: chokepoint.Telegram, ID: "-100"}
	open = time.Date(2026, 11, 24, 14, 30, 0, 0, time.UTC) // 09:30 in New York
)

func dec(s string) chokepoint.Decimal {
	d, err := chokepoint.ParseDecimal(s)
	if err != nil {
		panic(err)
	}
	return d
}

// quote is an observation of AAOI's price, minutes after the open.
func quote(price string, minute int, change ...func(*chokepoint.Quote)) chokepoint.Observation {
	at := open.Add(time.Duration(minute) * time.Minute)
	q := &chokepoint.Quote{
		Symbol: "AAOI", Price: dec(price), Prev: dec("100"), Currency: "USD",
		At: at, Seen: at.Add(20 * time.Second), Session: chokepoint.SessionRegular, Zone: "America/New_York", Provider: "yahoo",
	}
	for _, f := range change {
		f(q)
	}
	return chokepoint.Observation{
		ID: chokepoint.NewObservationID("quotes", string(q.Symbol), q.At.String()), Source: "quotes",
		Kind: chokepoint.KindQuote, At: q.At, Seen: q.Seen, Quote: q,
	}
}

func bar(day, price string) chokepoint.Observation {
	return chokepoint.Observation{Kind: chokepoint.KindBar, Bar: &chokepoint.Bar{Symbol: "AAOI", Day: day, Close: dec(price)}}
}

// A world runs a judge as the tick does: state and rules go through the store.
type world struct {
	t     fataler
	judge *Judge
	state []byte
	rules []chokepoint.Rule
}

func newWorld(t fataler, rules ...chokepoint.Rule) *world {
	return &world{t: t, judge: New("prices"), rules: slices.Clone(rules)}
}

func rule(id, text string) chokepoint.Rule {
	return chokepoint.Rule{Chat: chat, ID: id, Symbol: "AAOI", Text: text}
}

// tick judges obs as one batch and commits the verdict.
func (w *world) tick(now time.Time, obs ...chokepoint.Observation) []chokepoint.Alert {
	w.t.Helper()
	v, err := w.judge.Judge(watchers.Input{Now: now, State: w.state, Observations: obs, Rules: w.rules})
	if err != nil {
		w.t.Fatal(err)
	}
	if v.State != nil {
		w.state = v.State
	}
	w.rules = slices.Clone(w.rules)
	for _, r := range v.Rules {
		i := slices.IndexFunc(w.rules, func(have chokepoint.Rule) bool { return have.Chat == r.Chat && have.ID == r.ID })
		w.rules[i] = r
	}
	// As Ledger.AllRules: rules that are done are not given again.
	w.rules = slices.DeleteFunc(w.rules, func(r chokepoint.Rule) bool { return r.Done })
	return v.Alerts
}

// minutes tells when each alert happened.
func minutes(alerts []chokepoint.Alert) []int {
	var m []int
	for _, a := range alerts {
		m = append(m, int(a.Happened.Sub(open)/time.Minute))
	}
	return m
}

func TestRulesFireOnceOnTheEdge(t *testing.T) {
	for name, tc := range map[string]struct {
		rule string
		conf bool
		// "19@5" is 19.00 five minutes after the open; the rest are flags
		quotes string
		want   []int
	}{
		"below fires on the way down, and again only past the margin": {"below 20", false, "21@0 19@5 20.3@10 19@15 20.4@20 19.9@25", []int{5, 25}},
		"above fires on the way up, and again only past the margin":   {"above 40", false, "39@0 41@5 39.5@10 41@15 39.2@20 40.01@25", []int{5, 25}},
		"a person's rule fires at once if it holds already":           {"below 20", false, "19@0 18@5", []int{0}},
		"a configured rule learns in silence that it holds already":   {"below 20", true, "19@0 18@5 21@10 19@15", []int{15}},
		"the level itself is neither above nor below":                 {"above 40", false, "40@0 40.000001@5", []int{5}},
		"crosses needs an earlier price on the other side":            {"crosses 30", false, "31@0 32@5 29@10", []int{10}},
		"crosses fires both ways, past the margin":                    {"crosses 30", false, "31@0 29.5@5 30.5@10 29.5@15 29.3@20 30.1@25", []int{5, 25}},
		"crosses is not fired by touching the level":                  {"crosses 30", false, "31@0 30@5 31@10", nil},
		"once is done after it fired":                                 {"below 20 once", false, "21@0 19@5 21@10 19@15", []int{5}},
		"every says it again while it holds":                          {"below 20 every 10m", false, "21@0 19@5 19@10 19@15 19@20 19@25 21@30 21@40", []int{5, 15, 25}},
		"cooldown keeps an armed rule silent":                         {"below 20 cooldown 30m", false, "21@0 19@5 21@10 19@15 19@34 19@36", []int{5, 36}},
		"a move of a day is against the previous close, exactly":      {"moves 8% in 1d", false, "107.99@0 108@5 109@10", []int{5}},
		"a move fires anew when it turns the other way":               {"moves 8% in 1d", false, "108@0 92@5 91@10", []int{0, 5}},
		"a move is armed again two points inside":                     {"moves 8% in 1d", false, "108@0 106.01@5 108@10 106@15 108@20", []int{0, 20}},
		"a large move too":                                       {"moves 20% in 1d", false, "120@0 118.01@5 120@10 118@15 120@20", []int{0, 20}},
		"a small move a quarter inside":                          {"moves 4% in 1d", false, "104@0 103.01@5 104@10 103@15 104@20", []int{0, 20}},
		"a move up is not fired by a fall":                       {"moves up 8% in 1d", false, "91@0 108@5", []int{5}},
		"a move down is not fired by a rise":                     {"moves down 8% in 1d", false, "109@0 92@5", []int{5}},
		"a move over minutes is against the price that long ago": {"moves up 5% in 30m", false, "100@0 101@10 103@20 104.99@30 105@35 107@40", []int{35}},
		"a move over minutes needs a price of that age":          {"moves up 5% in 30m", false, "100@0 110@20", nil},
		"a reference that is far too old is none":                {"moves up 5% in 30m", false, "100@0 110@45", nil},
		"a jump waits for a second sample":                       {"below 20", false, "50@0 10@5 50@10", nil},
		"a jump that is confirmed counts":                        {"below 20", false, "50@0 10@5 11@10", []int{10}},
		"the same sample is judged once":                         {"below 20 every 1m", false, "19@0 19@0 19@0", []int{0}},
		"a price of nothing is none":                             {"below 20", false, "0@0 -1@5", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := rule("1", tc.rule)
			if tc.conf {
				r.Chat = chokepoint.ChatID{}
			}
			w := newWorld(t, r)
			var got []chokepoint.Alert
			for _, s := range strings.Fields(tc.quotes) {
				var minute int
				price, at, _ := strings.Cut(s, "@")
				fmt.Sscan(at, &minute)
				o := quote(price, minute, func(q *chokepoint.Quote) {
					if !strings.HasPrefix(tc.rule, "moves") {
						q.Prev = 0
					}
				})
				got = append(got, w.tick(o.Seen, o)...)
			}
			if d := cmp.Diff(tc.want, minutes(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAFirstPriceFarFromThePreviousCloseWaits(t *testing.T) {
	w := newWorld(t, rule("1", "below 20"))
	if got := w.tick(open, quote("19", 0)); len(got) != 0 { // the previous close is 100
		t.Error("fired on a price that may be a split")
	}
	if got := w.tick(open.Add(time.Minute), quote("19", 1)); len(got) != 1 {
		t.Error("did not fire when it was confirmed")
	}
}

func TestSwingsAreMeasuredFromThePreviousClose(t *testing.T) {
	w := newWorld(t, rule("1", "swings 12%"))
	day := func(minute int, low, high string) chokepoint.Observation {
		return quote("101", minute, func(q *chokepoint.Quote) { q.Low, q.High = dec(low), dec(high) })
	}
	var got []chokepoint.Alert
	for _, o := range []chokepoint.Observation{
		day(0, "96", "107.9"), day(5, "95", "107"), day(10, "94", "108"),
		day(24*60, "95", "107"), // the next day's first: armed again, and it holds
		day(24*60+5, "95", "109"),
	} {
		got = append(got, w.tick(o.Seen, o)...)
	}
	if d := cmp.Diff([]int{5, 24 * 60}, minutes(got)); d != "" {
		t.Error(d)
	}
	if f := got[0].Facts; f["change"] != "12" || f["from"] != "100" || f["low"] != "95" || f["high"] != "107" {
		t.Errorf("facts %v", f)
	}
	// Before the session the figures may be the last day's.
	o := quote("101", -60, func(q *chokepoint.Quote) { q.Low, q.High, q.Session = dec("80"), dec("120"), chokepoint.SessionPre })
	if got := newWorld(t, rule("1", "swings 12%")).tick(o.Seen, o); len(got) != 0 {
		t.Error("fired before the session")
	}
}

func TestMovesOverDaysAreAgainstCloses(t *testing.T) {
	bars := []chokepoint.Observation{
		bar("2026-11-16", "70"), bar("2026-11-17", "80"), bar("2026-11-18", "90"), bar("2026-11-19", "95"),
		bar("2026-11-20", "97"), bar("2026-11-23", "100"), bar("2026-11-24", "108"), // today's own
	}
	for text, from := range map[string]string{"moves 5% in 2d": "97", "moves 5% in 4d": "90", "moves 5% in 6d": "70", "moves 5% in 7d": ""} {
		w := newWorld(t, rule("1", text))
		w.tick(open, bars...)
		got := w.tick(open, quote("108", 0))
		if from == "" {
			if len(got) != 0 {
				t.Errorf("%s fired on %v", text, got[0].Facts)
			}
		} else if len(got) != 1 || got[0].Facts["from"] != from {
			t.Errorf("%s: %+v, want from %s", text, got, from)
		}
	}
	w := newWorld(t, rule("1", "moves 5% in 2d"))
	w.tick(open, bar("2026-10-20", "50"), bar("2026-10-21", "50"))
	if got := w.tick(open, quote("108", 0)); len(got) != 0 {
		t.Error("bars that stopped a month ago passed for recent ones")
	}
	w = newWorld(t, rule("1", "moves 5% in 1d"))
	w.tick(open, bars...)
	noPrev := quote("108", 0, func(q *chokepoint.Quote) { q.Prev = 0 })
	if got := w.tick(open, noPrev); len(got) != 1 || got[0].Facts["from"] != "100" {
		t.Errorf("without a previous close the last bar stands in: %+v", got)
	}
}

func TestNothingFiresOnAnOldQuote(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*chokepoint.Quote)
		after  time.Duration // of judging after it was seen
		fires  bool
	}{
		"a quote of the session, 15 minutes old": {func(q *chokepoint.Quote) { q.Seen = q.At.Add(15 * time.Minute) }, 0, true},
		"a quote of the session, 16 minutes old": {func(q *chokepoint.Quote) { q.Seen = q.At.Add(16 * time.Minute) }, 0, false},
		"a delayed venue's, as late as agreed":   {func(q *chokepoint.Quote) { q.Seen, q.Delayed = q.At.Add(30*time.Minute), 15*time.Minute }, 0, true},
		"a delayed venue's, later than agreed":   {func(q *chokepoint.Quote) { q.Seen, q.Delayed = q.At.Add(31*time.Minute), 15*time.Minute }, 0, false},
		"before the session, half an hour old":   {func(q *chokepoint.Quote) { q.Seen, q.Session = q.At.Add(30*time.Minute), chokepoint.SessionPre }, 0, true},
		"Friday's close on a Sunday":             {func(q *chokepoint.Quote) { q.Seen, q.Session = q.At.Add(40*time.Hour), chokepoint.SessionClosed }, 0, false},
		"read from the journal an hour later":    {func(*chokepoint.Quote) {}, time.Hour, true},
		"read from the journal much later":       {func(*chokepoint.Quote) {}, 61 * time.Minute, false},
		"from a clock that runs ahead":           {func(q *chokepoint.Quote) { q.Seen = q.At.Add(-3 * time.Minute) }, 0, false},
	} {
		o := quote("120", 0, tc.change)
		got := newWorld(t, rule("1", "above 110")).tick(o.Quote.Seen.Add(tc.after), o)
		if (len(got) == 1) != tc.fires {
			t.Errorf("%s: %d alerts", name, len(got))
		}
	}
}

func TestHistoryIsLearntAndNotAnnounced(t *testing.T) {
	w := newWorld(t, rule("1", "moves up 5% in 30m"), rule("2", "above 90"))
	back := quote("100", 0)
	back.Backfill = true
	if got := w.tick(open, back); len(got) != 0 {
		t.Errorf("backfill fired %v", got)
	}
	got := w.tick(open.Add(30*time.Minute), quote("106", 30))
	if len(got) != 2 {
		t.Errorf("%d alerts after it, want both rules'", len(got))
	}
}

func TestRulesEndWithTheirDay(t *testing.T) {
	w := newWorld(t, rule("1", "below 20 until 2026-11-23"), rule("2", "below 120 until 2026-11-24"), rule("3", "above 500 until 2026-11-24"))
	got := w.tick(open, quote("19.9", 0, func(q *chokepoint.Quote) { q.Prev = 0 }))
	if len(got) != 1 || got[0].Facts["rule"] != "2" {
		t.Errorf("on its last day: %+v", got)
	}
	v, _ := w.judge.Judge(watchers.Input{Now: open.Add(24 * time.Hour), State: w.state, Rules: w.rules})
	if len(v.Rules) != 2 || !v.Rules[0].Done || !v.Rules[1].Done || v.State != nil {
		t.Errorf("by time alone: %+v", v)
	}
	// The last day ends in the exchange's zone: Taipei's is over when New York's has half to go.
	taipei := chokepoint.Rule{Chat: chat, ID: "1", Symbol: "4979.TWO", Text: "above 400 until 2026-11-24"}
	v, _ = New("prices").Judge(watchers.Input{Now: time.Date(2026, 11, 24, 16, 0, 0, 0, time.UTC), Rules: []chokepoint.Rule{taipei}})
	if len(v.Rules) != 1 {
		t.Error("Taipei's day is not over at midnight")
	}
}

func TestAnAlertCarriesWhatItWasJudgedOn(t *testing.T) {
	w := newWorld(t, rule("7", "below 95.5 urgent"))
	o := quote("94", 3, func(q *chokepoint.Quote) {
		q.Delayed, q.High, q.Low, q.MadeUp = 15*time.Minute, dec("101"), dec("93.5"), true
	})
	got := w.tick(o.Seen, o)
	if len(got) != 1 {
		t.Fatal(got)
	}
	a := got[0]
	want := chokepoint.Facts{
		"symbol": "AAOI", "rule": "7", "condition": "below 95.5 urgent", "price": "94", "currency": "USD", "session": "regular",
		"quoted": "2026-11-24T14:33:00Z", "provider": "yahoo", "level": "95.5", "change": "-6", "high": "101", "low": "93.5",
		"delayed": "15m0s", "madeup": "true",
	}
	if d := cmp.Diff(want, a.Facts); d != "" {
		t.Error(d)
	}
	if a.Severity != chokepoint.Urgent || !slices.Equal(a.Only, []chokepoint.ChatID{chat}) || a.Evidence != nil || a.From[0] != o.ID ||
		a.Kind != chokepoint.AlertPrice || a.Topic != "prices" || a.ID != chokepoint.AlertID(a.Story) {
		t.Errorf("%+v", a)
	}
	for _, r := range a.Why {
		for _, lang := range []chokepoint.Language{"en", "zh"} {
			args := map[string]any{}
			for k, v := range r.Args {
				args[k] = v
			}
			if s := words.T(lang, "why."+r.Key, args); strings.Contains(s, "[why") || strings.Contains(s, "no value") {
				t.Errorf("%s: %s", lang, s)
			}
		}
	}

	conf := rule("c", "below 95")
	conf.Chat = chokepoint.ChatID{}
	w = newWorld(t, conf)
	w.tick(open, quote("99", 0))
	a = w.tick(open, quote("94", 3))[0]
	if a.Only != nil {
		t.Error("a configured rule is for every follower")
	}
	if len(a.Evidence) != 1 || a.Evidence[0].URL != "https://finance.yahoo.com/quote/AAOI" {
		t.Errorf("evidence %+v", a.Evidence)
	}
}

func TestOnlyRulesThatChangedAreHandedBack(t *testing.T) {
	w := newWorld(t, rule("1", "below 20"), rule("2", "above 500"), chokepoint.Rule{Chat: chat, ID: "3", Symbol: "LITE", Text: "below 20"},
		chokepoint.Rule{Chat: chat, ID: "4", Symbol: "AAOI", Text: "of an older language"})
	w.tick(open, quote("99", 0))
	v, err := w.judge.Judge(watchers.Input{Now: open, State: w.state, Rules: w.rules, Observations: []chokepoint.Observation{quote("98", 5)}})
	if err != nil || len(v.Rules) != 0 {
		t.Errorf("nothing changed: %+v %v", v.Rules, err)
	}
}

func TestAnUncommittedVerdictLeavesNoTrace(t *testing.T) {
	w := newWorld(t, rule("1", "below 95"))
	w.tick(open, quote("99", 0))
	in := watchers.Input{Now: open, State: w.state, Rules: w.rules, Observations: []chokepoint.Observation{quote("94", 5)}}
	first, _ := w.judge.Judge(in)
	again, _ := w.judge.Judge(in) // the commit of the first was refused
	if d := cmp.Diff(first, again); d != "" {
		t.Error(d)
	}
}

// walk draws a day of AAOI's prices, some stale, some repeated, some absurd,
// now and then over midnight; never so far apart that a batch is late.
func walk(t *rapid.T) []chokepoint.Observation {
	var obs []chokepoint.Observation
	minute, price := 0, int64(100_000)
	for i := range rapid.IntRange(1, 60).Draw(t, "quotes") {
		minute += rapid.SampledFrom([]int{0, 1, 1, 5, 5, 10}).Draw(t, "gap")
		price += price * rapid.Int64Range(-60, 60).Draw(t, "permille") / 1000
		shown := price
		odd := rapid.IntRange(0, 19).Draw(t, "odd")
		if odd == 0 {
			shown *= 10
		}
		o := quote(chokepoint.Decimal(shown*1000).String(), minute, func(q *chokepoint.Quote) {
			q.Seen = q.Seen.Add(time.Duration(i)) // distinct
			if odd == 1 {
				q.Seen = q.Seen.Add(20 * time.Minute)
			}
			q.High, q.Low = max(q.Price, q.Prev), min(q.Price, q.Prev)
		})
		o.Backfill = odd == 2
		obs = append(obs, o)
		if rapid.IntRange(0, 9).Draw(t, "bar") == 0 {
			obs = append(obs, bar("2026-11-"+fmt.Sprint(rapid.IntRange(10, 23).Draw(t, "day")), "100"))
		}
	}
	return obs
}

func someRules(t *rapid.T) []chokepoint.Rule {
	texts := []string{
		"below 95", "above 105", "crosses 100", "moves 3%", "moves up 2% in 10m", "moves 5% in 3d", "swings 4%",
		"below 95 once", "above 105 every 10m", "crosses 100 cooldown 15m", "moves 3% cooldown 20m", "below 98 until 2026-11-24 urgent",
	}
	var rules []chokepoint.Rule
	for i := range rapid.IntRange(1, 6).Draw(t, "rules") {
		r := rule(fmt.Sprint(i), rapid.SampledFrom(texts).Draw(t, "text"))
		if rapid.Bool().Draw(t, "configured") {
			r.Chat = chokepoint.ChatID{}
		}
		rules = append(rules, r)
	}
	return rules
}

func TestABatchFiresWhatOneByOneFires(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules, obs := someRules(t), walk(t)
		end := func(batch []chokepoint.Observation) time.Time {
			last := open
			for _, o := range batch {
				if o.Quote != nil && o.Quote.Seen.After(last) {
					last = o.Quote.Seen
				}
			}
			return last
		}
		run := func(size int, restart bool) map[chokepoint.AlertID]chokepoint.Facts {
			w := newWorld(t, rules...)
			told := map[chokepoint.AlertID]chokepoint.Facts{}
			for batch := range slices.Chunk(obs, size) {
				if restart {
					w.judge = New("prices") // only what was stored is left
				}
				for _, a := range w.tick(end(batch), batch...) {
					if _, twice := told[a.ID]; twice {
						t.Fatalf("%s fired twice", a.ID)
					}
					told[a.ID] = a.Facts
				}
			}
			return told
		}
		want := run(1, false)
		for _, size := range []int{2, 5} {
			if d := cmp.Diff(want, run(size, size == 5)); d != "" {
				t.Fatalf("in batches of %d: %s", size, d)
			}
		}
		if d := cmp.Diff(want, run(1, true)); d != "" {
			t.Fatalf("across saved state: %s", d)
		}
	})
}

func TestARuleInsideItsMarginNeverFiresTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{"below 95", "above 105", "crosses 100", "below 95 cooldown 10m"}).Draw(t, "rule")
		c, _ := ParseCondition("AAOI", text, time.Time{})
		w := newWorld(t, rule("1", text))
		away := true // a price past the margin was seen since the last firing
		for _, o := range walk(t) {
			fires := len(w.tick(o.Seen.Add(time.Second), o)) > 0
			if fires && !away {
				t.Fatalf("%s fired twice without having come back", text)
			}
			if fires {
				away = false
			}
			if o.Quote != nil {
				// Exactly, without the judge's own arithmetic.
				fifty := int64(o.Quote.Price) * 50
				up, down := fifty >= int64(c.Level)*51, fifty <= int64(c.Level)*49
				away = away || c.Op == Below && up || c.Op == Above && down || c.Op == Crosses && (up || down)
			}
		}
	})
}

func TestFiringsAreTrueFreshAndNew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, someRules(t)...)
		newest := time.Time{}
		for _, o := range walk(t) {
			for _, a := range w.tick(o.Seen.Add(time.Second), o) {
				q := o.Quote
				switch {
				case q.Seen.Sub(q.At) > 15*time.Minute:
					t.Fatalf("fired on a quote that was %s old", q.Seen.Sub(q.At))
				case o.Backfill:
					t.Fatal("fired on history")
				case !q.At.After(newest):
					t.Fatal("fired on a sample that is not new")
				}
				if lvl, ok := a.Facts["level"]; ok {
					below := strings.HasPrefix(a.Facts["condition"], "below")
					if above := strings.HasPrefix(a.Facts["condition"], "above"); below && q.Price >= dec(lvl) || above && q.Price <= dec(lvl) {
						t.Fatalf("%s fired at %s", a.Facts["condition"], q.Price)
					}
				}
			}
			if o.Quote != nil && o.Quote.At.After(newest) {
				newest = o.Quote.At
			}
		}
	})
}

func TestPercentagesAreExactAndRounded(t *testing.T) {
	for _, tc := range []struct{ part, whole, want string }{
		{"8", "100", "8"}, {"-8.005", "100", "-8.01"}, {"1", "3", "33.33"}, {"0.000001", "9000000000000", "0"}, {"9000000000000", "0.000001", "5629499534213.12"},
	} {
		if got := percent(dec(tc.part), dec(tc.whole)).String(); got != tc.want {
			t.Errorf("%s of %s: %s %%, want %s", tc.part, tc.whole, got, tc.want)
		}
	}
	big := dec("9000000000000")
	if ratio(big, big, 100*chokepoint.Unit) != 0 || ratio(big-1, big, 100*chokepoint.Unit) >= 0 || ratio(big, big-1, 100*chokepoint.Unit) <= 0 {
		t.Error("the largest prices are not compared exactly")
	}
}

// fataler is a *testing.T, a *testing.B or a *rapid.T.
type fataler interface {
	Helper()
	Fatal(...any)
}

// BenchmarkJudge judges one quote against a hundred thousand rules, a tenth of
// them of its symbol.
func BenchmarkJudge(b *testing.B) {
	var rules []chokepoint.Rule
	for i := range 100_000 {
		symbol := chokepoint.Symbol("AAOI")
		if i%10 > 0 {
			symbol = chokepoint.Symbol(fmt.Sprintf("S%d", i%10))
		}
		rules = append(rules, chokepoint.Rule{
			Chat: chokepoint.ChatID{Platform: chokepoint.Telegram, ID: fmt.Sprint(i)}, ID: "1", Symbol: symbol,
			Text: []string{"above 900", "below 20", "crosses 30", "moves 8% in 1d", "moves up 5% in 30m"}[i%5],
		})
	}
	w := newWorld(b, rules...)
	w.tick(open, quote("100", 0))
	b.ResetTimer()
	for i := range b.N {
		o := quote("101", i+1)
		o.Quote.Price += chokepoint.Decimal(i%1000) * 1000
		if _, err := w.judge.Judge(watchers.Input{Now: o.Seen, State: w.state, Rules: w.rules, Observations: []chokepoint.Observation{o}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*10_000/b.Elapsed().Seconds(), "rules/s")
}
