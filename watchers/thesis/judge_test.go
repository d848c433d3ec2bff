package thesis

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/thesis"
	"github.com/chokepoint-bot/chokepoint/watchers"
)

const topic chokepoint.Topic = "catalysts-risks"

var noon = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

func judge(t *testing.T) *Judge {
	t.Helper()
	th, err := thesis.Builtin("cw-laser")
	if err != nil {
		t.Fatal(err)
	}
	j, err := New(th, topic)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// news is an item of publisher, at a moment.
func news(publisher, title, text string, at time.Time) chokepoint.Observation {
	return chokepoint.Observation{
		ID: chokepoint.NewObservationID(publisher, title), Source: publisher, Kind: chokepoint.KindNews, At: at, Seen: at,
		News: &chokepoint.News{Evidence: chokepoint.Evidence{Publisher: publisher, Title: title, Excerpt: text, Published: at, URL: "https://" + publisher + ".example/x"}},
	}
}

// play judges observations, after a first visit that had nothing: in one batch,
// and one by one across a saved state. Both must say the same.
func play(t *testing.T, obs ...chokepoint.Observation) ([]chokepoint.Alert, []chokepoint.Card) {
	t.Helper()
	j := judge(t)
	run := func(batches [][]chokepoint.Observation) (alerts []chokepoint.Alert, cards []chokepoint.Card) {
		v, err := j.Judge(watchers.Input{Now: noon})
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range batches {
			last := b[len(b)-1]
			v, err = j.Judge(watchers.Input{Now: last.Seen, State: v.State, Observations: b})
			if err != nil {
				t.Fatal(err)
			}
			alerts, cards = append(alerts, v.Alerts...), v.Cards
		}
		return alerts, cards
	}
	var single [][]chokepoint.Observation
	for _, o := range obs {
		single = append(single, []chokepoint.Observation{o})
	}
	alerts, cards := run(single)
	batch, _ := run([][]chokepoint.Observation{obs})
	ids := func(as []chokepoint.Alert) (out []chokepoint.AlertID) {
		for _, a := range as {
			out = append(out, a.ID)
		}
		return out
	}
	if a, b := ids(alerts), ids(batch); !cmp.Equal(a, b) {
		t.Errorf("one by one %v, in one batch %v", a, b)
	}
	return alerts, cards
}

func find(t *testing.T, cards []chokepoint.Card, id string) chokepoint.Card {
	t.Helper()
	i := slices.IndexFunc(cards, func(c chokepoint.Card) bool { return c.ID == id })
	if i < 0 {
		t.Fatalf("no card %s", id)
	}
	return cards[i]
}

var amd = []chokepoint.Observation{
	news("research", "AMD accelerates laser procurement", "AMD is negotiating large purchase agreements for high-power CW laser chips.", noon),
	news("paper", "AMD加速采购CW激光器", "AMD正与供应商洽谈高功率CW激光芯片大额采购协议。", noon.Add(time.Hour)),
}

func TestAnEventMovesItsCatalystAndIsToldOnceWithItsRisk(t *testing.T) {
	t.Parallel()
	alerts, cards := play(t, amd...)
	spoken := 0
	for _, a := range alerts {
		if a.Update == 0 || a.Escalate {
			spoken++
		}
		if a.Story != alerts[0].Story {
			t.Errorf("another story: %q", a.Headline)
		}
	}
	if spoken != 1 || alerts[0].Facts["card"] != "amd-lta" || alerts[0].Direction != chokepoint.Positive || len(alerts[0].Risks) == 0 {
		t.Errorf("%d alerts spoke: %+v", spoken, alerts)
	}
	if c := find(t, cards, "amd-lta"); c.State != "moving" || c.Count != 2 || c.Trend != chokepoint.Positive {
		t.Errorf("the card is %+v", c)
	}
}

func TestWhatOthersSpeakOfIsOnlyTakenNoteOf(t *testing.T) {
	t.Parallel()
	alerts, cards := play(t, news("wire", "Applied Optoelectronics breaks ground on Sugar Land plant", "Applied Optoelectronics broke ground in Sugar Land, Texas.", noon))
	if len(alerts) != 0 {
		t.Errorf("told: %+v", alerts)
	}
	if c := find(t, cards, "aaoi-texas"); c.State == "waiting" || c.Count != 1 {
		t.Errorf("the catalyst did not move: %+v", c)
	}
}

func TestHistoryIsLearntInSilence(t *testing.T) {
	t.Parallel()
	old := amd[0]
	old.Backfill = true
	alerts, cards := play(t, old)
	if len(alerts) != 0 || find(t, cards, "amd-lta").Count != 1 {
		t.Errorf("%d alerts, card %+v", len(alerts), find(t, cards, "amd-lta"))
	}
	// And what was learnt is not told by the next outlet.
	if alerts, _ = play(t, old, amd[1]); len(alerts) != 0 {
		t.Errorf("an old event spoke: %+v", alerts)
	}
}

func TestNoiseMovesNothing(t *testing.T) {
	t.Parallel()
	alerts, cards := play(t,
		news("c", "Three AI stocks to own for ten years", "A columnist likes NVIDIA, Amazon and Applied Optoelectronics.", noon),
		news("c", "AOI检测设备需求升温", "自动光学检测(AOI)设备厂商称面板客户订单回升。", noon),
		news("c", "Meta analysis: are AI stocks expensive?", "A meta-analysis of valuation studies finds coherent evidence that investors overpay.", noon))
	if len(alerts) != 0 {
		t.Errorf("told: %+v", alerts)
	}
	for _, c := range cards {
		if c.Count != 0 {
			t.Errorf("%s has evidence: %+v", c.ID, c.Evidence)
		}
	}
}

func TestEveryCatalystAndRiskHasACardFromTheFirstMoment(t *testing.T) {
	t.Parallel()
	v, err := judge(t).Judge(watchers.Input{Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Cards) != 11 {
		t.Errorf("%d cards", len(v.Cards))
	}
	for _, c := range v.Cards {
		if c.State == "" || c.Updated.IsZero() {
			t.Errorf("%s: %+v", c.ID, c)
		}
	}
}

func TestCatalystsGoByWhoSaysSo(t *testing.T) {
	t.Parallel()
	m := func(d int8, owner string, primary bool) move {
		return move{At: noon, For: d, Owner: owner, Primary: primary}
	}
	for name, c := range map[string]struct {
		moves []move
		want  string
	}{
		"nothing":                    {nil, "waiting"},
		"one paper":                  {[]move{m(1, "a", false)}, "reported"},
		"one paper twice":            {[]move{m(1, "a", false), m(1, "a", false)}, "reported"},
		"two papers":                 {[]move{m(1, "a", false), m(1, "b", false)}, "moving"},
		"the issuer":                 {[]move{m(1, "a", true)}, "moving"},
		"bad news after good":        {[]move{m(1, "a", true), m(-1, "b", false)}, "setback"},
		"good news after bad":        {[]move{m(-1, "b", false), m(1, "a", true)}, "moving"},
		"news that cuts neither way": {[]move{m(0, "a", false)}, "reported"},
	} {
		if got := catalystState(c.moves); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestRisksAreReadOffTheMarketWhereItShowsThem(t *testing.T) {
	t.Parallel()
	var obs []chokepoint.Observation
	start := noon.AddDate(0, 0, -260)
	for i := range 260 {
		for s, p := range map[chokepoint.Symbol]float64{"AAOI": 20 + 0.4*float64(i), "^TNX": 4.31, "^SOX": 9000} {
			price, _ := chokepoint.DecimalFromFloat(p, 2)
			obs = append(obs, chokepoint.Observation{ID: chokepoint.ObservationID(fmt.Sprint(s, i)), Kind: chokepoint.KindBar, Seen: noon, Backfill: true,
				Bar: &chokepoint.Bar{Symbol: s, Day: start.AddDate(0, 0, i).Format(time.DateOnly), Close: price, High: price + price/20, Low: price - price/20}})
		}
	}
	v, err := judge(t).Judge(watchers.Input{Now: noon, Observations: obs})
	if err != nil {
		t.Fatal(err)
	}
	cards := v.Cards
	if c := find(t, cards, "runup"); c.State != "high" || c.Facts["reading"] != "runup" || c.Facts["symbol"] != "AAOI" {
		t.Errorf("run-up: %+v", c)
	}
	if c := find(t, cards, "volatility"); c.State != "high" || c.Facts["range"] == "" {
		t.Errorf("swings: %+v", c)
	}
	if c := find(t, cards, "macro"); c.State != "normal" || c.Facts["us10y"] != "4.31" {
		t.Errorf("macro: %+v", c)
	}
	if c := find(t, cards, "lpo"); c.Facts["reading"] != "evidence" || c.Facts["count"] != "0" {
		t.Errorf("lpo: %+v", c)
	}
}

func TestThePrimarySourceEscalatesAStoryThatWasSaved(t *testing.T) {
	t.Parallel()
	release := news("wire", "AMD signs agreement for high-power CW laser chips", "AMD is securing high-power CW laser chips under purchase agreements.", noon.Add(2*time.Hour))
	release.News.Evidence.Primary = true
	alerts, _ := play(t, amd[0], amd[1], release)
	last := alerts[len(alerts)-1]
	if !last.Escalate || last.Story != alerts[0].Story {
		t.Errorf("the last telling is %+v", last)
	}
}

func TestWhatACatalystHasReachedStaysAndOnlyItsAgeGrows(t *testing.T) {
	t.Parallel()
	later := news("wire", "Nothing of note", "Nothing.", noon.AddDate(0, 6, 0))
	_, cards := play(t, amd[0], amd[1], later)
	if c := find(t, cards, "amd-lta"); c.State != "moving" || c.Count != 0 || !c.Latest.Equal(noon.Add(time.Hour)) {
		t.Errorf("after half a year of silence the card is %+v", c)
	}
}
