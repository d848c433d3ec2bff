package thesis

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Symbols that the reading "macro" is taken from.
const (
	tenYear = chokepoint.Symbol("^TNX") // yield of ten-year Treasury notes, %
	sox     = chokepoint.Symbol("^SOX") // PHLX Semiconductor index
)

// days are the trading days of one symbol, oldest first, at most maxDays.
type days []day

const maxDays = 270

type day struct {
	Day   string  `json:"d"` // YYYY-MM-DD
	High  float64 `json:"h"`
	Low   float64 `json:"l"`
	Close float64 `json:"c"`
}

// add puts a day in its place; one that is known already is replaced.
func (ds days) add(d day) days {
	i, found := slices.BinarySearchFunc(ds, d, func(a, b day) int { return strings.Compare(a.Day, b.Day) })
	if found {
		ds[i] = d
		return ds
	}
	ds = slices.Insert(ds, i, d)
	return ds[max(0, len(ds)-maxDays):]
}

func (ds days) last() day { return ds[len(ds)-1] }

// percent is how far b is above a, in per cent.
func percent(a, b float64) float64 { return (b/a - 1) * 100 }

// year is the change since the last day at least a year before the last one,
// or the first known one if that is no more than two weeks short.
func (ds days) year() (float64, bool) {
	if len(ds) < 2 {
		return 0, false
	}
	end, err := time.Parse(time.DateOnly, ds.last().Day)
	if err != nil {
		return 0, false
	}
	from := ds[0]
	if from.Day > end.AddDate(-1, 0, 14).Format(time.DateOnly) {
		return 0, false
	}
	for _, d := range ds {
		if d.Day <= end.AddDate(-1, 0, 0).Format(time.DateOnly) {
			from = d
		}
	}
	return percent(from.Close, ds.last().Close), true
}

// mean200 is how far the last close is above the mean of the last 200.
func (ds days) mean200() (float64, bool) {
	if len(ds) < 200 {
		return 0, false
	}
	sum := 0.0
	for _, d := range ds[len(ds)-200:] {
		sum += d.Close
	}
	return percent(sum/200, ds.last().Close), true
}

// swings are the mean daily range of the last 20 days in per cent of the close
// before, how many of them closed 8 % or more from it, and the largest such
// move with its day.
func (ds days) swings() (mean float64, moved int, largest float64, on string, ok bool) {
	if len(ds) < 21 {
		return 0, 0, 0, "", false
	}
	tail := ds[len(ds)-21:]
	for i := 1; i < len(tail); i++ {
		before := tail[i-1].Close
		mean += (tail[i].High - tail[i].Low) / before * 100 / 20
		move := percent(before, tail[i].Close)
		if math.Abs(move) >= 8 {
			moved++
		}
		if math.Abs(move) > math.Abs(largest) {
			largest, on = move, tail[i].Day
		}
	}
	return mean, moved, largest, on, true
}

// text is f with one place, as facts write percentages.
func text(f float64) string {
	d, ok := chokepoint.DecimalFromFloat(f, 1)
	if !ok {
		return ""
	}
	return d.String()
}

// states by severity.
func level(n int) string { return chokepoint.RiskStates[min(max(n, 0), 2)] }

func above(v, elevated, high float64) int {
	switch {
	case v >= high:
		return 2
	case v >= elevated:
		return 1
	}
	return 0
}

// runup is the reading of the symbol that rose most in a year.
func runup(market map[chokepoint.Symbol]days, symbols []chokepoint.Symbol) (chokepoint.Facts, int) {
	var facts chokepoint.Facts
	best, n := math.Inf(-1), 0
	for _, s := range symbols {
		year, ok := market[s].year()
		if !ok || year <= best {
			continue
		}
		best = year
		facts = chokepoint.Facts{"reading": "runup", "symbol": string(s), "year": text(year)}
		n = above(year, 100, 300)
		if mean, ok := market[s].mean200(); ok {
			facts["mean200"] = text(mean)
			n = max(n, above(mean, 40, 100))
		}
	}
	return facts, n
}

// swings is the reading of the symbol with the widest daily range.
func swings(market map[chokepoint.Symbol]days, symbols []chokepoint.Symbol) (chokepoint.Facts, int) {
	var facts chokepoint.Facts
	best, n := -1.0, 0
	for _, s := range symbols {
		mean, moved, largest, on, ok := market[s].swings()
		if !ok || mean <= best {
			continue
		}
		best = mean
		facts = chokepoint.Facts{"reading": "swings", "symbol": string(s), "range": text(mean), "days8": text(float64(moved)), "largest": text(largest), "largest_day": on}
		n = max(above(mean, 5, 9), above(float64(moved), 2, 5))
	}
	return facts, n
}

// macro is the reading of yields and of the semiconductor index.
func macro(market map[chokepoint.Symbol]days) (chokepoint.Facts, int) {
	facts, n := chokepoint.Facts{"reading": "macro"}, 0
	if ds := market[tenYear]; len(ds) > 0 {
		facts["us10y"] = text(ds.last().Close)
		if d, ok := chokepoint.DecimalFromFloat(ds.last().Close, 2); ok {
			facts["us10y"] = d.String()
		}
		if len(ds) > 20 {
			bp := (ds.last().Close - ds[len(ds)-21].Close) * 100
			facts["us10y_bp20"] = text(math.Round(bp))
			n = above(bp, 25, 50)
		}
	}
	if ds := market[sox]; len(ds) > 0 {
		high := 0.0
		for _, d := range ds[max(0, len(ds)-252):] {
			high = max(high, d.High, d.Close)
		}
		below := -percent(high, ds.last().Close)
		facts["sox_high"] = text(below)
		n = max(n, above(below, 10, 20))
	}
	if len(facts) == 1 {
		return nil, 0
	}
	return facts, n
}
