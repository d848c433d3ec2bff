package render

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
	"github.com/chokepoint-bot/chokepoint/internal/thesis"
)

var update = flag.Bool("update", false, "rewrite golden files")

var beliefs = &thesis.Thesis{
	Companies: []thesis.Company{
		{Symbol: "AAOI", Name: thesis.Text{"en": "AAOI", "zh": "应用光电(AAOI)"}},
		{Symbol: "NVDA", Name: thesis.Text{"en": "NVIDIA", "zh": "英伟达"}},
		{Symbol: "LITE", Name: thesis.Text{"en": "Lumentum"}},
		{Symbol: "COHR", Name: thesis.Text{"en": "Coherent"}},
	},
	Catalysts: []thesis.Catalyst{
		{ID: "aaoi-texas", Title: thesis.Text{"en": "AAOI Texas delivers", "zh": "AAOI 德州扩产兑现"}, Why: thesis.Text{"en": "Independent CW-laser capacity in the West grows", "zh": "西方独立 CW 激光产能增加"}, Against: []string{"supply"}},
		{ID: "cpo", Title: thesis.Text{"en": "CPO adoption accelerates", "zh": "CPO 加速采用"}, Why: thesis.Text{"en": "More optical engines need more CW lasers", "zh": "光引擎增多,CW 激光需求随之增加"}},
	},
	Risks: []thesis.Risk{
		{ID: "supply", Title: thesis.Text{"en": "Supply slips", "zh": "供应推迟"}, Caution: thesis.Text{"en": "Expansion can slip", "zh": "扩产可能推迟"}},
		{ID: "volatility", Title: thesis.Text{"en": "Violent swings", "zh": "剧烈波动"}, Caution: thesis.Text{"en": "Small caps swing violently", "zh": "小盘股波动剧烈"}},
		{ID: "lpo", Title: thesis.Text{"en": "LPO instead of CW", "zh": "LPO 取代 CW"}},
	},
}

var (
	seen = time.Date(2026, 2, 13, 21, 59, 31, 0, time.UTC)
	sent = seen.Add(time.Second)
)

func cases() map[string]chokepoint.Alert {
	swings := chokepoint.RiskNote{ID: "volatility", State: "high", Facts: chokepoint.Facts{"reading": "swings", "symbol": "AAOI", "range": "9.1", "days8": "5", "largest": "22.4", "largest_day": "2026-01-14"}}
	evidence := []chokepoint.Evidence{
		{URL: "https://www.sec.gov/a", Publisher: "SEC 8-K ex. 99.1", Published: seen.Add(-time.Hour), Primary: true},
		{URL: "https://wire.example/b", Publisher: "GlobeNewswire", Published: seen.Add(-30 * time.Minute)},
		{URL: "https://paper.example/c", Publisher: "Trade paper", Published: seen},
		{URL: "https://paper.example/d", Publisher: "Another paper", Published: seen},
	}
	base := func(kind chokepoint.AlertKind, f chokepoint.Facts) chokepoint.Alert {
		return chokepoint.Alert{
			ID: "k7f3q2ma", Story: "k7f3q2ma", Kind: kind, Topic: "t", Severity: chokepoint.Notice, Score: 92, Direction: chokepoint.Positive,
			Seen: seen, At: seen, Happened: time.Date(2026, 2, 10, 18, 0, 0, 0, time.UTC), Facts: f, Evidence: evidence, Sources: 6, Owners: 3,
			Headline: "Applied Optoelectronics breaks ground on new facility", Risks: []chokepoint.RiskNote{{ID: "supply"}, swings},
		}
	}
	with := func(a chokepoint.Alert, f func(*chokepoint.Alert)) chokepoint.Alert { f(&a); return a }
	milestone := with(base(chokepoint.AlertMilestone, chokepoint.Facts{"site": "aaoi-texas", "company": "AAOI", "milestone": "groundbreaking", "status": "done", "area": "210000", "invest": "300000000 USD", "jobs": "500", "next": "construction"}), func(a *chokepoint.Alert) { a.Catalyst = "aaoi-texas" })
	return map[string]chokepoint.Alert{
		"milestone": milestone,
		"milestone_delayed": with(base(chokepoint.AlertMilestone, chokepoint.Facts{"site": "aaoi-texas", "company": "AAOI", "milestone": "production", "status": "delayed", "target": "2027-06-30"}), func(a *chokepoint.Alert) {
			a.Direction, a.Risks = chokepoint.Negative, nil
		}),
		"milestone_permit": with(base(chokepoint.AlertMilestone, chokepoint.Facts{"site": "aaoi-texas", "company": "AAOI", "milestone": "permit", "status": "planned", "permit": "182126", "was": "Administratively Complete"}), func(a *chokepoint.Alert) { a.Headline = "" }),
		"agreement":        with(base(chokepoint.AlertAgreement, chokepoint.Facts{"buyer": "NVDA", "supplier": "LITE,COHR", "sure": "filed", "product": "cw-laser", "amount": "4000000000 USD", "term": "multiyear", "exclusive": "no", "dilution": "shelf registration (S-3) of LITE, 3 Feb"}), func(a *chokepoint.Alert) { a.Catalyst = "cpo" }),
		"agreement_rumour": base(chokepoint.AlertAgreement, chokepoint.Facts{"buyer": "unnamed hyperscaler", "supplier": "AAOI", "sure": "rumour", "term": "5y", "prepay": "50000000 USD"}),
		"price": with(base(chokepoint.AlertPrice, chokepoint.Facts{"symbol": "AAOI", "rule": "2", "condition": "moves 8% in 1d", "span": "1d", "price": "33.91", "currency": "USD", "session": "regular", "quoted": "2026-02-13T20:30:00Z", "provider": "yahoo-spark", "change": "-8.5", "from": "37.04", "madeup": "yes"}), func(a *chokepoint.Alert) {
			a.Direction, a.Risks, a.Headline, a.Sources, a.Owners, a.Evidence = chokepoint.Neutral, nil, "", 0, 0, nil
		}),
		"price_level": with(base(chokepoint.AlertPrice, chokepoint.Facts{"symbol": "SIVE.ST", "rule": "k3f2", "condition": "below 100 once urgent", "level": "100", "price": "98.4", "currency": "SEK", "session": "regular", "quoted": "2026-02-13T21:40:00Z", "provider": "yahoo-spark", "change": "-3.148", "delayed": "15m0s"}), func(a *chokepoint.Alert) {
			a.Direction, a.Risks, a.Headline, a.Sources, a.Owners = chokepoint.Neutral, nil, "", 1, 1
			a.Evidence = []chokepoint.Evidence{{URL: "https://quotes.example/SIVE.ST", Publisher: "Yahoo Finance", Published: seen}}
		}),
		"price_swing": with(base(chokepoint.AlertPrice, chokepoint.Facts{"symbol": "^SOX", "rule": "7", "condition": "swings 5%", "price": "4512.3", "session": "closed", "quoted": "2026-02-13T21:00:00Z", "provider": "nasdaq", "change": "6.4", "from": "4400", "high": "4600", "low": "4318.4"}), func(a *chokepoint.Alert) {
			a.Direction, a.Risks, a.Headline, a.Sources, a.Owners, a.Evidence = chokepoint.Neutral, nil, "", 0, 0, nil
		}),
		"drill":            with(milestone, func(a *chokepoint.Alert) { a.Drill = true }),
		"risk_of_catalyst": with(milestone, func(a *chokepoint.Alert) { a.Risks = []chokepoint.RiskNote{{ID: "of another thesis"}} }),
		"risk_unknown":     with(milestone, func(a *chokepoint.Alert) { a.Risks, a.Catalyst = nil, "" }),
		"recovered": with(base(chokepoint.AlertOps, chokepoint.Facts{"what": "platform", "name": "telegram", "state": "recovered", "since": "2026-02-13T20:05:00Z"}), func(a *chokepoint.Alert) {
			a.Direction, a.Score, a.Evidence, a.Happened, a.Risks = chokepoint.Neutral, 0, nil, time.Time{}, nil
		}),
		"thesis": with(base(chokepoint.AlertThesis, chokepoint.Facts{"card": "lpo", "kind": "risk", "state": "elevated", "was": "normal"}), func(a *chokepoint.Alert) { a.Direction = chokepoint.Negative }),
		"ops": with(base(chokepoint.AlertOps, chokepoint.Facts{"what": "source", "name": "tceq", "state": "failing", "class": "not-the-format", "detail": "www.tceq.texas.gov/x.html: no table", "since": "2026-02-12T13:05:00Z"}), func(a *chokepoint.Alert) {
			a.Direction, a.Score, a.Evidence, a.Happened = chokepoint.Negative, 0, nil, time.Time{}
		}),
		"test": {ID: "tttttttt", Story: "tttttttt", Kind: chokepoint.AlertTest, Seen: seen, At: seen, Drill: true},
		"hostile": with(milestone, func(a *chokepoint.Alert) {
			a.Headline = "@everyone <b>buy</b> **now** [x](http://evil) \u202egnp.exe\u202c\x1b[2J" + strings.Repeat("长", 20000)
			a.Evidence = []chokepoint.Evidence{{Publisher: "\u202eEvil\n<script>", URL: "https://evil.example/"}}
		}),
	}
}

// text is a message as the golden files show it.
func text(m bot.Message) string {
	var b strings.Builder
	b.WriteString(m.Title + "\n")
	for _, l := range m.Lines {
		if l.Label != "" {
			b.WriteString("[" + l.Label + "] ")
		}
		for _, s := range l.Spans {
			b.WriteString(s.Text)
			if s.URL != "" {
				b.WriteString(" <" + s.URL + ">")
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("-- " + m.Footer + "\n")
	for _, a := range m.Actions {
		b.WriteString("(" + a.Label + ": " + a.Command + ") ")
	}
	return strings.TrimSpace(b.String()) + "\n"
}

func TestEveryKindOfAlertInBothLanguages(t *testing.T) {
	t.Parallel()
	r := New(beliefs, i18n.Must())
	zones := map[chokepoint.Language]string{"en": "America/New_York", "zh": "Asia/Shanghai"}
	for name, a := range cases() {
		for lang, zone := range zones {
			loc, err := time.LoadLocation(zone)
			if err != nil {
				t.Fatal(err)
			}
			m := r.Alert(&a, lang, loc, sent, false)
			got := text(m)
			file := filepath.Join("testdata", name+"."+string(lang)+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
			}
			if strings.Contains(got, "[render.") || strings.Contains(got, "<no value>") {
				t.Errorf("%s: a message is missing:\n%s", file, got)
			}
		}
	}
}

func TestACardFitsEveryPlatformWhateverTheHeadline(t *testing.T) {
	t.Parallel()
	r := New(beliefs, i18n.Must())
	all := cases()
	for name, a := range cases() {
		a.Facts = maps.Clone(a.Facts)
		for fact := range a.Facts {
			a.Facts[fact] += strings.Repeat(" 长\u202e\n", 5000)
		}
		all[name+", with facts that are too long"] = a
	}
	for name, a := range all {
		for _, lang := range i18n.Languages {
			m := r.Alert(&a, lang, time.UTC, sent, true)
			if n := len([]rune(m.PlainText())); n > 2000 {
				t.Errorf("%s in %s: %d runes, which leaves no room for markup in Telegram's 4096", name, lang, n)
			}
			for _, act := range m.Actions {
				if len(act.Command) > 60 || len([]rune(act.Label)) > 40 {
					t.Errorf("%s: the button %+v is too long", name, act)
				}
			}
		}
	}
}

func TestAPictureComesWithACardThatACaptionHolds(t *testing.T) {
	t.Parallel()
	r := New(beliefs, i18n.Must())
	r.Chart = func(*chokepoint.Alert, chokepoint.Language) ([]byte, string) { return []byte("png"), "a chart" }
	a := cases()["price_level"]
	for _, lang := range i18n.Languages {
		m := r.Alert(&a, lang, time.UTC, sent, true)
		if string(m.Image) != "png" || m.Alt != "a chart" {
			t.Errorf("%s: no picture", lang)
		}
		long := a
		long.Facts = maps.Clone(a.Facts)
		for fact := range long.Facts {
			long.Facts[fact] += strings.Repeat("长", 200)
		}
		m = r.Alert(&long, lang, time.UTC, sent, true)
		if n := len([]rune(m.PlainText())); (n > 1000) == (m.Image != nil) {
			t.Errorf("%s: %d runes, and a picture of %d bytes", lang, n, len(m.Image))
		}
	}
}

func TestEveryMemberOfAClosedSetHasItsWords(t *testing.T) {
	t.Parallel()
	w := i18n.Must()
	for prefix, set := range map[string][]string{
		"render.milestone.": chokepoint.Milestones, "render.status.": chokepoint.Statuses, "render.sure.": chokepoint.Sureties, "render.agreement.": chokepoint.Sureties,
		"render.product.": chokepoint.Products, "render.state.": append(append([]string{}, chokepoint.CatalystStates...), chokepoint.RiskStates...), "render.reading.": {"runup", "swings", "evidence"},
	} {
		for _, member := range set {
			if !w.Has(prefix + member) {
				t.Errorf("no words for %s%s", prefix, member)
			}
		}
	}
}

func TestReadingsAreWordedFromTheirFacts(t *testing.T) {
	t.Parallel()
	r := New(beliefs, i18n.Must())
	for name, c := range map[string]struct {
		facts chokepoint.Facts
		want  string
	}{
		"run-up":       {chokepoint.Facts{"reading": "runup", "symbol": "AAOI", "year": "412.3", "mean200": "68"}, "AAOI +412.3% in a year, +68% against its 200-day mean"},
		"no mean yet":  {chokepoint.Facts{"reading": "runup", "symbol": "AAOI", "year": "-12.5"}, "AAOI −12.5% in a year"},
		"swings":       {chokepoint.Facts{"reading": "swings", "symbol": "AAOI", "range": "9.1", "days8": "5", "largest": "22.4", "largest_day": "2026-01-14"}, "AAOI ranges 9.1% a day; 8% or more on 5 of 20 days; largest 22.4% (14 Jan 2026)"},
		"calm days":    {chokepoint.Facts{"reading": "swings", "symbol": "AAOI", "range": "4.1", "days8": "0", "largest": "6.4", "largest_day": "2026-01-14"}, "AAOI ranges 4.1% a day; largest of 20 days 6.4% (14 Jan 2026)"},
		"evidence":     {chokepoint.Facts{"reading": "evidence", "count": "1", "latest": "2026-02-03"}, "1 piece of evidence in 90 days, latest 3 Feb 2026"},
		"no evidence":  {chokepoint.Facts{"reading": "evidence", "count": "0"}, "no evidence in 90 days"},
		"only a yield": {chokepoint.Facts{"reading": "macro", "us10y": "4.31", "us10y_bp20": "12"}, "10-year 4.31% (+12 bp in 20 days)"},
		"unknown":      {chokepoint.Facts{}, ""},
	} {
		if got := r.Reading(c.facts, chokepoint.English); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
