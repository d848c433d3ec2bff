package thesis

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// history gives symbol n days that end at price, each a step above the last.
func history(m market, s chokepoint.Symbol, n int, price, step float64) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		p, _ := chokepoint.DecimalFromFloat(price-step*float64(n-1-i), 4)
		m.bar(chokepoint.Bar{Symbol: s, Day: start.AddDate(0, 0, i).Format(time.DateOnly), Close: p, High: p + p/50, Low: p - p/50})
	}
}

func TestReadingsOfTheMarket(t *testing.T) {
	t.Parallel()
	m := market{}
	history(m, "AAOI", 260, 100, 0.3) // from 22.3
	facts, state := m.runup("AAOI")
	if want := (chokepoint.Facts{"reading": "runup", "symbol": "AAOI", "year": "348.4", "mean200": "42.6"}); state != "high" || !cmp.Equal(facts, want) {
		t.Errorf("run-up %v, %s; want %v", facts, state, want)
	}
	facts, state = m.swings("AAOI")
	if want := (chokepoint.Facts{"reading": "swings", "symbol": "AAOI", "range": "4", "days8": "0", "largest": "0.3", "largest_day": "2026-08-29"}); state != "normal" || !cmp.Equal(facts, want) {
		t.Errorf("swings %v, %s; want %v", facts, state, want)
	}
	// One violent day, and the state follows the quote before there is a bar.
	m.quote(chokepoint.Quote{Symbol: "AAOI", Price: 78 * chokepoint.Unit, High: 101 * chokepoint.Unit, Low: 77 * chokepoint.Unit, At: time.Date(2026, 9, 18, 19, 0, 0, 0, time.UTC)})
	if facts, _ = m.swings("AAOI"); facts["largest"] != "22" || facts["days8"] != "1" || facts["largest_day"] != "2026-09-18" {
		t.Errorf("after a fall of 22 %%: %v", facts)
	}
	history(m, tenYear, 40, 4.31, 0.01)
	history(m, sector, 260, 9000, -10) // it fell from 11590
	facts, state = m.macro()
	if want := (chokepoint.Facts{"reading": "macro", "us10y": "4.31", "us10y_bp20": "20", "sox_high": "22.3"}); state != "high" || !cmp.Equal(facts, want) {
		t.Errorf("macro %v, %s; want %v", facts, state, want)
	}
}

func TestTooLittleHistoryIsNoReading(t *testing.T) {
	t.Parallel()
	m := market{}
	history(m, "AAOI", 20, 100, 1)
	for name, read := range map[string]func(chokepoint.Symbol) (chokepoint.Facts, string){"run-up": m.runup, "swings": m.swings} {
		if facts, state := read("AAOI"); facts != nil || state != "" {
			t.Errorf("%s of 20 days: %v, %s", name, facts, state)
		}
	}
	if facts, _ := m.macro(); facts != nil {
		t.Errorf("macro of nothing: %v", facts)
	}
}

func TestDaysComeInAnyOrderAndTwice(t *testing.T) {
	t.Parallel()
	a, b := market{}, market{}
	history(a, "AAOI", 300, 100, 0.2)
	bars := []chokepoint.Bar{}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 300 {
		p, _ := chokepoint.DecimalFromFloat(100-0.2*float64(299-i), 4)
		bars = append(bars, chokepoint.Bar{Symbol: "AAOI", Day: start.AddDate(0, 0, i).Format(time.DateOnly), Close: p, High: p + p/50, Low: p - p/50})
	}
	for i := range bars[150:] {
		b.bar(bars[150+i])
	}
	for range 2 {
		for _, x := range bars[60:] {
			b.bar(x)
		}
	}
	if x, _ := a.runup("AAOI"); len(a["AAOI"]) != yearDays || x == nil {
		t.Errorf("%d days are kept", len(a["AAOI"]))
	}
	af, _ := a.swings("AAOI")
	bf, _ := b.swings("AAOI")
	if !cmp.Equal(af, bf) {
		t.Errorf("%v and %v", af, bf)
	}
	state, err := json.Marshal(a)
	if err != nil || len(state) > 10_000 {
		t.Errorf("a symbol's year takes %d bytes, %v", len(state), err)
	}
}
