package quote

import (
	"slices"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// exchange is where a symbol trades.
type exchange struct {
	zone        string // IANA
	open, close int    // of the regular session, minutes of the local day
	delay       time.Duration
	holidays    []string // YYYY-MM-DD
	halfDays    []string // on these it closes at halfClose
	halfClose   int
}

// The regular hours as the exchanges publish them; the delays are those of
// Yahoo's feed, rounded up. Holidays are kept for New York: on others a closed
// exchange is asked in vain, and says nothing new.
//
// https://www.nyse.com/markets/hours-calendars
// https://www.nasdaq.com/european-market-activity/trading-hours-and-holidays
// https://www.tpex.org.tw/en-us/ and https://www.jpx.co.jp/english/equities/trading/domestic/
var (
	newYork = exchange{
		zone: "America/New_York", open: 9*60 + 30, close: 16 * 60, halfClose: 13 * 60,
		holidays: []string{
			"2026-01-01", "2026-01-19", "2026-02-16", "2026-04-03", "2026-05-25", "2026-06-19", "2026-07-03", "2026-09-07", "2026-11-26", "2026-12-25",
			"2027-01-01", "2027-01-18", "2027-02-15", "2027-03-26", "2027-05-31", "2027-06-18", "2027-07-05", "2027-09-06", "2027-11-25", "2027-12-24",
		},
		halfDays: []string{"2026-11-27", "2026-12-24", "2027-11-26"},
	}
	usIndex   = exchange{zone: newYork.zone, open: newYork.open, close: newYork.close, halfClose: newYork.halfClose, holidays: newYork.holidays, halfDays: newYork.halfDays, delay: 15 * time.Minute}
	stockholm = exchange{zone: "Europe/Stockholm", open: 9 * 60, close: 17*60 + 30, delay: 15 * time.Minute}
	taipei    = exchange{zone: "Asia/Taipei", open: 9 * 60, close: 13*60 + 30, delay: 20 * time.Minute}
	tokyo     = exchange{zone: "Asia/Tokyo", open: 9 * 60, close: 15*60 + 30, delay: 20 * time.Minute}
	london    = exchange{zone: "Europe/London", open: 8 * 60, close: 16*60 + 30, delay: 15 * time.Minute}
	frankfurt = exchange{zone: "Europe/Berlin", open: 9 * 60, close: 17*60 + 30, delay: 15 * time.Minute}
)

// exchangeOf is told by the suffix, as Yahoo writes symbols.
func exchangeOf(s chokepoint.Symbol) exchange {
	if strings.HasPrefix(string(s), "^") {
		return usIndex
	}
	switch _, suffix, _ := strings.Cut(string(s), "."); suffix {
	case "ST":
		return stockholm
	case "TWO", "TW":
		return taipei
	case "T":
		return tokyo
	case "L":
		return london
	case "DE", "F":
		return frankfurt
	}
	return newYork
}

func (e exchange) location() *time.Location {
	loc, err := time.LoadLocation(e.zone)
	if err != nil { // no zone database: hours are off, prices are not
		return time.UTC
	}
	return loc
}

// session is the regular session of the exchange's day that t falls on; false
// if it has none.
func (e exchange) session(t time.Time) (open, close time.Time, ok bool) {
	local := t.In(e.location())
	day := local.Format(time.DateOnly)
	if w := local.Weekday(); w == time.Saturday || w == time.Sunday || slices.Contains(e.holidays, day) {
		return time.Time{}, time.Time{}, false
	}
	end := e.close
	if slices.Contains(e.halfDays, day) {
		end = e.halfClose
	}
	at := func(minutes int) time.Time {
		return time.Date(local.Year(), local.Month(), local.Day(), minutes/60, minutes%60, 0, 0, local.Location()).UTC()
	}
	return at(e.open), at(end), true
}

// afterClose is how long after the close the last price may still come in, on
// top of the feed's delay.
const afterClose = 15 * time.Minute

// asks says whether a price may have changed at now: from the open to some
// time after the close.
func (e exchange) asks(now time.Time) bool {
	open, end, ok := e.session(now)
	return ok && !now.Before(open) && !now.After(end.Add(e.delay+afterClose))
}

// lastDay is the newest day of trading that is over at now, and its close.
func (e exchange) lastDay(now time.Time) (day string, end time.Time) {
	for t := now; ; t = t.Add(-24 * time.Hour) {
		if _, end, ok := e.session(t); ok && now.After(end.Add(e.delay+afterClose)) {
			return t.In(e.location()).Format(time.DateOnly), end
		}
	}
}

// forBars is how long the day's bars are asked for once the day is over.
const forBars = time.Hour

// Open says whether there is anything to ask about symbols at now: whether one
// of them trades, in the regular session of its exchange, or did until
// recently, so that the day's bars are due.
func Open(now time.Time, symbols ...chokepoint.Symbol) bool {
	return slices.ContainsFunc(symbols, func(s chokepoint.Symbol) bool {
		e := exchangeOf(s)
		return e.asks(now) || e.asks(now.Add(-forBars))
	})
}
