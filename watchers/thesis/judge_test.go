package thesis

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	book "github.com/chokepoint-bot/chokepoint/internal/thesis"
	"github.com/chokepoint-bot/chokepoint/watchers"
	"github.com/chokepoint-bot/chokepoint/watchers/story/storytest"
)

func judge(t *testing.T) func() watchers.Judge {
	th, err := book.Builtin("cw-laser")
	if err != nil {
		t.Fatal(err)
	}
	return func() watchers.Judge {
		j, err := New(th, "thesis")
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
}

// after judges a stream that follows an empty journal, and gives the cards.
func after(t *testing.T, stream ...chokepoint.Observation) map[string]chokepoint.Card {
	t.Helper()
	j := judge(t)()
	v, err := j.Judge(watchers.Input{Now: stream[0].Seen.Add(-time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	v, err = j.Judge(watchers.Input{Now: stream[len(stream)-1].Seen, State: v.State, Observations: stream})
	if err != nil {
		t.Fatal(err)
	}
	cards := map[string]chokepoint.Card{}
	for _, c := range v.Cards {
		cards[c.ID] = c
	}
	return cards
}

func TestAYearHasOneCatalystThatNoOtherWatcherTells(t *testing.T) {
	got := storytest.Alike(t, judge(t), storytest.Year())
	var told []string
	for _, a := range got {
		told = append(told, fmt.Sprint(a.Update, " ", a.Facts["card"], " ", a.Facts["was"], " ", a.Facts["state"]))
	}
	if want := []string{"0 amd-lta waiting reported", "1 amd-lta reported reported"}; !slices.Equal(told, want) {
		t.Fatalf("told %q, want %q", told, want)
	}
	if a := got[0]; a.Story != got[1].Story || got[1].Owners != 2 || a.Direction != chokepoint.Positive || a.Risks[0].ID != "timeline" {
		t.Errorf("got %+v", a)
	}
	cards := after(t, storytest.Year()...)
	for id, want := range map[string]string{"aaoi-texas": "moving", "amd-lta": "reported", "sivers": "waiting", "luxnet": "waiting"} {
		if cards[id].State != want {
			t.Errorf("%s is %s, want %s", id, cards[id].State, want)
		}
	}
	if len(cards) != 11 {
		t.Errorf("%d cards", len(cards))
	}
}

func TestAnAgreementOfTheAwaitedBuyerIsTheCatalyst(t *testing.T) {
	cards := after(t, storytest.News("2026-07-01T10:00:00Z", "Lumentum", "Lumentum signs multiyear supply agreement with AMD for CW lasers", ""))
	if c := cards["amd-lta"]; c.State != "done" {
		t.Errorf("got %+v", c)
	}
}

func TestAnOfferingIsToldAgainstTheThesis(t *testing.T) {
	got := storytest.Alike(t, judge(t), []chokepoint.Observation{
		storytest.News("2026-07-01T10:00:00Z", "Wire", "Lumentum announces $1.1 billion convertible notes offering", ""),
		storytest.News("2026-07-01T12:00:00Z", "Other", "Lumentum plans convertible notes of $1.1bn", ""),
		storytest.News("2026-07-20T12:00:00Z", "Other", "Sivers plans a directed share issue of new shares", ""),
	})
	if len(got) != 3 || got[0].Direction != chokepoint.Negative || got[1].Story != got[0].Story || got[1].Escalate || got[2].Story == got[0].Story || got[0].Facts["card"] != "runup" {
		t.Errorf("got %+v", got)
	}
}

// bars are days of a symbol that rises by a factor over a year, with a jump of
// 10 % a week in the last month if it is wild.
func bars(symbol chokepoint.Symbol, from, to float64, wild bool) []chokepoint.Observation {
	var out []chokepoint.Observation
	start := time.Date(2025, 3, 1, 21, 0, 0, 0, time.UTC)
	for i := range 366 {
		at := start.AddDate(0, 0, i)
		if wd := at.Weekday(); wd == time.Saturday || wd == time.Sunday {
			continue
		}
		price := from + (to-from)*float64(i)/365
		if wild && i > 335 && at.Weekday() == time.Wednesday {
			price *= 1.10
		}
		dec := func(f float64) chokepoint.Decimal { d, _ := chokepoint.DecimalFromFloat(f, 4); return d }
		out = append(out, chokepoint.Observation{
			ID: chokepoint.NewObservationID("bars", string(symbol), at.String()), Kind: chokepoint.KindBar, At: at, Seen: at, Backfill: true,
			Bar: &chokepoint.Bar{Symbol: symbol, Day: at.Format(time.DateOnly), Open: dec(price), High: dec(price * 1.02), Low: dec(price * 0.98), Close: dec(price)},
		})
	}
	return out
}

func TestRisksReadTheMarket(t *testing.T) {
	cards := after(t, slices.Concat(bars("AAOI", 10, 60, true), bars("LITE", 100, 110, false), bars("^TNX", 4, 4.9, false), bars("^SOX", 5000, 4000, false))...)
	runup, swings, macro := cards["runup"], cards["volatility"], cards["macro"]
	if f := runup.Facts; runup.State != "high" || f["reading"] != "runup" || f["symbol"] != "AAOI" || f["year"] != "481.3" {
		t.Errorf("run-up: %+v", runup)
	}
	if f := swings.Facts; swings.State != "high" || f["reading"] != "swings" || f["symbol"] != "AAOI" || f["days8"] == "0" {
		t.Errorf("swings: %+v", swings)
	}
	if f := macro.Facts; macro.State != "high" || f["reading"] != "macro" || f["us10y"] == "" || f["us10y_bp20"] == "" || f["sox_high"] == "" {
		t.Errorf("macro: %+v", macro)
	}
	if f := cards["lpo"].Facts; f["reading"] != "evidence" || f["count"] != "0" || cards["lpo"].State != "normal" {
		t.Errorf("other routes: %+v", cards["lpo"])
	}
}

func TestAQuoteIsTheLastDay(t *testing.T) {
	stream := bars("AAOI", 10, 12, false)
	at := stream[len(stream)-1].Seen.AddDate(0, 0, 3)
	price, _ := chokepoint.DecimalFromFloat(40, 2)
	stream = append(stream, chokepoint.Observation{ID: "q", Kind: chokepoint.KindQuote, At: at, Seen: at, Quote: &chokepoint.Quote{Symbol: "AAOI", Price: price, At: at, Seen: at}})
	if f := after(t, stream...)["runup"].Facts; f["symbol"] != "AAOI" || f["year"] < "29" {
		t.Errorf("got %v", f)
	}
}

func TestAThesisOfNothingIsRefused(t *testing.T) {
	if _, err := New(&book.Thesis{ID: "x"}, "t"); err == nil {
		t.Error("no error")
	}
}
