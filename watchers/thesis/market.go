package thesis

import (
	"slices"
	"strconv"
	"strings"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// The symbols that stand for rates and for the sector.
const (
	tenYear chokepoint.Symbol = "^TNX" // the 10-year yield, in per cent
	sector  chokepoint.Symbol = "^SOX" // the PHLX semiconductor index
)

const (
	yearDays = 260 // trading days that are kept of a symbol
	meanDays = 200
	nearDays = 20
	violent  = 800 // a daily move, in hundredths of a per cent
)

// market is the price history that risks are read from: compact, since it is
// kept in the judge's state.
type market map[chokepoint.Symbol][]day

// day is a trading day: its date as 20261123, its close in millionths, its range
// and its move in hundredths of a per cent of the close before.
type day [4]int64

// bar takes a day in, in whatever order days come; the same day again replaces
// it.
func (m market) bar(b chokepoint.Bar) {
	date, err := strconv.ParseInt(strings.ReplaceAll(b.Day, "-", ""), 10, 64)
	if err != nil || b.Close <= 0 {
		return
	}
	m.put(b.Symbol, date, b.Close, b.High, b.Low)
}

// quote is the day's latest price, until its bar comes.
func (m market) quote(q chokepoint.Quote) {
	if q.Price <= 0 || q.At.IsZero() {
		return
	}
	date, err := strconv.ParseInt(q.At.UTC().Format("20060102"), 10, 64)
	if err != nil {
		return
	}
	if days := m[q.Symbol]; len(days) > 0 && days[len(days)-1][0] > date {
		return
	}
	m.put(q.Symbol, date, q.Price, q.High, q.Low)
}

func (m market) put(s chokepoint.Symbol, date int64, price, high, low chokepoint.Decimal) {
	days := m[s]
	i, there := slices.BinarySearchFunc(days, date, func(d day, date int64) int { return int(d[0] - date) })
	var d day
	d[0], d[1] = date, int64(price)
	if i > 0 {
		before := days[i-1][1]
		if high > 0 && low > 0 && high >= low {
			d[2] = share(int64(high-low), before)
		}
		d[3] = share(d[1]-before, before)
	}
	if there {
		days[i] = d
	} else {
		days = slices.Insert(days, i, d)
	}
	if i+1 < len(days) { // the next day moves from here
		days[i+1][3] = share(days[i+1][1]-days[i][1], days[i][1])
	}
	m[s] = days[max(0, len(days)-yearDays):]
}

// share is n of whole in hundredths of a per cent.
func share(n, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	return int64(float64(n) / float64(whole) * 10_000)
}

// percent is hundredths of a per cent as text with one digit: "412.3".
func percent(hundredths int64) string {
	s := chokepoint.Decimal(hundredths * 10_000).Fixed(1)
	return strings.TrimSuffix(s, ".0")
}

// runup is how far a symbol has run: against a year ago, and above its mean of
// 200 days. The state is high from +200 % or 50 % above the mean, elevated from
// half of that.
func (m market) runup(s chokepoint.Symbol) (facts chokepoint.Facts, state string) {
	days := m[s]
	if len(days) < meanDays {
		return nil, ""
	}
	last := days[len(days)-1][1]
	year := share(last-days[0][1], days[0][1])
	var sum int64
	for _, d := range days[len(days)-meanDays:] {
		sum += d[1] / meanDays
	}
	above := share(last-sum, sum)
	facts = chokepoint.Facts{"reading": "runup", "symbol": string(s), "year": percent(year), "mean200": percent(above)}
	return facts, grade(year >= 20_000 || above >= 5_000, year >= 10_000 || above >= 2_500)
}

// swings is how violently a symbol moves within a day, over 20 days. The state
// is high from a mean range of 7 % or four days of 8 % and more, elevated from
// 4.5 % or two.
func (m market) swings(s chokepoint.Symbol) (facts chokepoint.Facts, state string) {
	days := m[s]
	if len(days) < nearDays+1 {
		return nil, ""
	}
	var ranges, ranged, count, largest int64
	var when int64
	for _, d := range days[len(days)-nearDays:] {
		if d[2] > 0 {
			ranges, ranged = ranges+d[2], ranged+1
		}
		move := max(d[3], -d[3])
		if move >= violent {
			count++
		}
		if move > largest {
			largest, when = move, d[0]
		}
	}
	facts = chokepoint.Facts{"reading": "swings", "symbol": string(s), "days8": strconv.FormatInt(count, 10), "largest": percent(largest), "largest_day": date(when)}
	mean := int64(0)
	if ranged > 0 {
		mean = ranges / ranged
		facts["range"] = percent(mean)
	}
	return facts, grade(mean >= 700 || count >= 4, mean >= 450 || count >= 2)
}

// macro is the 10-year yield with its change in 20 days, and how far the sector
// is below its high of a year. The state is high from 50 basis points up or 20 %
// below, elevated from half of that.
func (m market) macro() (facts chokepoint.Facts, state string) {
	var points, below int64
	facts = chokepoint.Facts{"reading": "macro"}
	if days := m[tenYear]; len(days) > 0 {
		last := days[len(days)-1][1]
		facts["us10y"] = chokepoint.Decimal(last).Fixed(2)
		if len(days) > nearDays {
			points = (last - days[len(days)-1-nearDays][1]) / 10_000 // of a millionth of a per cent
			facts["us10y_bp20"] = strconv.FormatInt(points, 10)
		}
	}
	if days := m[sector]; len(days) > 0 {
		high := slices.MaxFunc(days, func(a, b day) int { return int(a[1]/1000 - b[1]/1000) })[1]
		below = share(high-days[len(days)-1][1], high)
		facts["sox_high"] = percent(below)
	}
	if len(facts) == 1 {
		return nil, ""
	}
	return facts, grade(points >= 50 || below >= 2_000, points >= 25 || below >= 1_000)
}

func grade(high, elevated bool) string {
	switch {
	case high:
		return "high"
	case elevated:
		return "elevated"
	}
	return "normal"
}

// date is 20261123 as "2026-11-23".
func date(n int64) string {
	s := strconv.FormatInt(n, 10)
	if len(s) != 8 {
		return ""
	}
	return s[:4] + "-" + s[4:6] + "-" + s[6:]
}
