package quote

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"go.uber.org/goleak"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/fetch"
	"github.com/chokepoint-bot/chokepoint/internal/upstreamtest"
	"github.com/chokepoint-bot/chokepoint/watchers"
	"github.com/chokepoint-bot/chokepoint/watchers/watchertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A Tuesday, 11:00 in New York.
var morning = time.Date(2026, 11, 24, 16, 0, 0, 0, time.UTC)

func client(t *testing.T) *fetch.Client {
	c := fetch.New(fetch.Config{AllowPrivate: true, Timeout: 5 * time.Second})
	t.Cleanup(c.Close)
	return c
}

func bars(days ...string) []upstreamtest.DayBar {
	var out []upstreamtest.DayBar
	for i, d := range days {
		p := 20 + i
		out = append(out, upstreamtest.DayBar{Day: d, Open: fmt.Sprint(p), High: fmt.Sprint(p + 2), Low: fmt.Sprint(p - 1), Close: fmt.Sprint(p + 1), Volume: 1000})
	}
	return out
}

func list(q *upstreamtest.Quotes, symbol, price string, at time.Time) {
	q.Edit(symbol, func(l *upstreamtest.Listing) {
		l.Price, l.Prev, l.At = price, price, at
		l.Bars = bars("2026-11-20", "2026-11-23", "2026-11-24")
	})
}

func config(t *testing.T, up *upstreamtest.Server, symbols ...chokepoint.Symbol) Config {
	q := up.Quotes()
	return Config{Name: "quotes", Symbols: symbols, Fetch: client(t), Providers: []Provider{
		{Name: "yahoo-spark", URL: q.YahooURL()}, {Name: "yahoo-chart", URL: q.YahooURL()}, {Name: "nasdaq", URL: q.NasdaqURL()},
	}}
}

func source(t *testing.T, cfg Config) *Source {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	watchertest.Source(t, func(t *testing.T) watchertest.SourceCase {
		up := upstreamtest.Start(t)
		list(up.Quotes(), "AAOI", "20.5", morning.Add(-time.Minute))
		list(up.Quotes(), "SIVE.ST", "33.1", morning.Add(-20*time.Minute))
		cfg := config(t, up, "AAOI", "SIVE.ST")
		n := 0
		set := func(f upstreamtest.Fault) func() {
			return func() {
				for _, host := range []string{"query1.finance.yahoo.com", "api.nasdaq.com"} {
					up.Fail(host, f)
				}
			}
		}
		return watchertest.SourceCase{
			New:   func() watchers.Source { return source(t, cfg) },
			Now:   morning,
			Every: time.Minute,
			Tell: func() {
				n++
				list(up.Quotes(), "AAOI", fmt.Sprintf("20.%d", n), morning.Add(time.Duration(n)*time.Minute))
			},
			Break: set(upstreamtest.Fault{Status: 401}),
			Class: chokepoint.Blocked,
			Mend: func() {
				set(upstreamtest.Fault{})()
				up.Fail("query1.finance.yahoo.com/v8", upstreamtest.Fault{})
			},
			BreakPart: func() { up.Fail("query1.finance.yahoo.com/v8", upstreamtest.Down) },
			Flood:     set(upstreamtest.Bombed),
		}
	})
}

type told struct {
	quotes map[chokepoint.Symbol]chokepoint.Quote
	bars   []string
	cursor string
	err    error
}

func observe(t *testing.T, cfg Config, now time.Time, cursor string) told {
	t.Helper()
	r, err := source(t, cfg).Observe(t.Context(), now, cursor)
	out := told{quotes: map[chokepoint.Symbol]chokepoint.Quote{}, cursor: r.Cursor, err: err}
	for _, o := range r.Observations {
		switch o.Kind {
		case chokepoint.KindQuote:
			out.quotes[o.Quote.Symbol] = *o.Quote
			if o.Backfill {
				t.Errorf("%s is a quote, and marked as history", o.ID)
			}
		case chokepoint.KindBar:
			mark := ""
			if o.Backfill {
				mark = " history"
			}
			out.bars = append(out.bars, fmt.Sprintf("%s %s %s%s", o.Bar.Symbol, o.Bar.Day, o.Bar.Close, mark))
		}
	}
	return out
}

func TestAQuoteIsWholeAndInCommonTerms(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	at := morning.Add(-time.Minute)
	up.Quotes().Edit("AAOI", func(l *upstreamtest.Listing) {
		l.Price, l.Prev, l.High, l.Low, l.Volume, l.At = "135.75999450683594", "140.1", "141.006", "\"Infinity\"", 12345, at
	})
	list(up.Quotes(), "VOD.L", "7550", at)
	list(up.Quotes(), "^SOX", "9647.21", at)
	list(up.Quotes(), "SIVE.ST", "0.33126", at)
	got := observe(t, config(t, up, "AAOI", "VOD.L", "^SOX", "SIVE.ST"), morning, "")
	q := got.quotes["AAOI"]
	want := chokepoint.Quote{Symbol: "AAOI", Price: 135_760_000, Prev: 140_100_000, Open: 135_760_000, High: 141_010_000, Volume: 12345, Currency: "USD", At: at, Seen: morning, Session: chokepoint.SessionRegular, Zone: "America/New_York", Provider: "yahoo"}
	if q != want {
		t.Errorf("AAOI: %+v", q)
	}
	if q := got.quotes["VOD.L"]; q.Price.String() != "75.5" || q.Currency != "GBP" || q.Delayed != 15*time.Minute {
		t.Errorf("in pence: %+v", q)
	}
	if q := got.quotes["^SOX"]; q.Currency != "" || q.Price.String() != "9647.21" {
		t.Errorf("an index: %+v", q)
	}
	if q := got.quotes["SIVE.ST"]; q.Price.String() != "0.3313" || q.Currency != "SEK" || q.Zone != "Europe/Stockholm" {
		t.Errorf("below one: %+v", q)
	}
}

func TestAPriceThatCannotBeIsNotTold(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		q     chokepoint.Quote
		last  chokepoint.Decimal
		wrong string
	}{
		{"zero", chokepoint.Quote{At: morning}, 0, "zero"},
		{"negative", chokepoint.Quote{Price: -1, At: morning}, 0, "negative"},
		{"without a time", chokepoint.Quote{Price: 20 * chokepoint.Unit}, 0, "no time"},
		{"at the epoch", chokepoint.Quote{Price: 20 * chokepoint.Unit, At: time.Unix(0, 0)}, 0, "no time"},
		{"of the future", chokepoint.Quote{Price: 20 * chokepoint.Unit, At: morning.Add(time.Hour)}, 0, "future"},
		{"a clock a little fast", chokepoint.Quote{Price: 20 * chokepoint.Unit, At: morning.Add(time.Minute)}, 0, ""},
		{"of last year", chokepoint.Quote{Price: 20 * chokepoint.Unit, At: morning.AddDate(-1, 0, 0)}, 0, "stale"},
		{"a hundred times the previous close", chokepoint.Quote{Price: 2000 * chokepoint.Unit, Prev: 20 * chokepoint.Unit, At: morning}, 0, "absurd"},
		{"a hundredth of what was told", chokepoint.Quote{Price: chokepoint.Unit / 5, At: morning}, 20 * chokepoint.Unit, "absurd"},
		{"a split that the previous close knows of", chokepoint.Quote{Price: 2000 * chokepoint.Unit, Prev: 1990 * chokepoint.Unit, At: morning}, 20 * chokepoint.Unit, ""},
		{"a bad day", chokepoint.Quote{Price: 5 * chokepoint.Unit, Prev: 20 * chokepoint.Unit, At: morning}, 20 * chokepoint.Unit, ""},
	} {
		tc.q.Symbol = "AAOI"
		err := check(&tc.q, morning, tc.last)
		if (err == nil) != (tc.wrong == "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if err == nil && tc.q.At.After(morning) {
			t.Errorf("%s: at %v", tc.name, tc.q.At)
		}
	}
}

func TestTheNextProviderIsAskedForWhatOneCannotTell(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	at := morning.Add(-time.Minute)
	list(up.Quotes(), "AAOI", "20.5", at)
	list(up.Quotes(), "LITE", "412", at)
	cfg := config(t, up, "AAOI", "LITE")

	up.Fail("query1.finance.yahoo.com/v7", upstreamtest.Fault{Status: 500})
	got := observe(t, cfg, morning, "")
	if got.err != nil || len(got.quotes) != 2 || got.quotes["AAOI"].Provider != "yahoo" {
		t.Errorf("spark is down: %+v, %v", got.quotes, got.err)
	}
	up.Fail("query1.finance.yahoo.com/v7", upstreamtest.Challenged)
	if got := observe(t, cfg, morning, ""); got.err != nil || len(got.quotes) != 2 {
		t.Errorf("spark answers with a page: %+v, %v", got.quotes, got.err)
	}

	// Yahoo shuts this address out altogether; the bars have no other source.
	up.Fail("query1.finance.yahoo.com", upstreamtest.Busy)
	cfg.Fetch = client(t)
	got = observe(t, cfg, morning, "")
	q := got.quotes["LITE"]
	if len(got.quotes) != 2 || q.Provider != "nasdaq" || q.Price.String() != "412" || !q.At.Equal(at.Truncate(time.Minute)) || q.Session != chokepoint.SessionRegular {
		t.Errorf("Yahoo is shut: %+v", got.quotes)
	}
	if f := watchers.AsFailure(got.err); f == nil || f.Class != chokepoint.RateLimited || !f.Partial || !strings.Contains(f.Error(), "bars of AAOI") {
		t.Errorf("Yahoo is shut: %v", got.err)
	}
	before := len(up.Requests("query1.finance.yahoo.com"))
	observe(t, cfg, morning.Add(5*time.Minute), got.cursor)
	if n := len(up.Requests("query1.finance.yahoo.com")); n != before {
		t.Errorf("it was asked again %d times while shut", n-before)
	}
}

func TestASymbolThatNoOneKnowsKeepsNothingBack(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	list(up.Quotes(), "AAOI", "20.5", morning)
	up.Quotes().Edit("ODD.ST", func(l *upstreamtest.Listing) { l.Price, l.At = "\"NaN\"", morning })
	got := observe(t, config(t, up, "NOPE", "AAOI", "ODD.ST"), morning, "")
	f := watchers.AsFailure(got.err)
	if len(got.quotes) != 1 || f == nil || !f.Partial || f.Class != chokepoint.NotTheFormat || !strings.Contains(f.Error(), "NOPE") || !strings.Contains(f.Error(), "no price of ODD.ST") {
		t.Errorf("%+v, %v", got.quotes, got.err)
	}
}

func TestFinnhubIsAskedWithItsKeyAndForWhatItKnows(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	list(up.Quotes(), "AAOI", "20.5", morning)
	list(up.Quotes(), "SIVE.ST", "33.1", morning)
	up.Quotes().SetKey("hunter2hunter2")
	cfg := config(t, up, "AAOI", "SIVE.ST")
	cfg.Providers = append([]Provider{{Name: "finnhub", URL: up.Quotes().FinnhubURL(), Key: "hunter2hunter2"}}, cfg.Providers...)
	got := observe(t, cfg, morning, "")
	if got.err != nil || got.quotes["AAOI"].Provider != "finnhub" || got.quotes["SIVE.ST"].Provider != "yahoo" {
		t.Errorf("%+v, %v", got.quotes, got.err)
	}
	up.Quotes().SetKey("another")
	got = observe(t, cfg, morning, "")
	if got.err != nil || got.quotes["AAOI"].Provider != "yahoo" {
		t.Errorf("a key that is refused: %+v, %v", got.quotes, got.err)
	}
	cfg.Providers = cfg.Providers[:1]
	got = observe(t, cfg, morning, "")
	if got.err == nil || strings.Contains(got.err.Error(), "hunter2") || watchers.AsFailure(got.err).Class != chokepoint.Blocked {
		t.Errorf("Finnhub alone: %v", got.err)
	}
	if _, err := New(Config{Providers: []Provider{{Name: "finnhub"}}, Fetch: cfg.Fetch}); err == nil {
		t.Error("no provider is left, and that is fine with it")
	}
	if _, err := New(Config{Providers: []Provider{{Name: "stooq"}}, Fetch: cfg.Fetch}); err == nil {
		t.Error("a provider that does not exist is fine with it")
	}
}

func TestMoreThanTwentySymbolsAreAskedForInPages(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	var symbols []chokepoint.Symbol
	for i := range 45 {
		s := fmt.Sprintf("S%d", i)
		list(up.Quotes(), s, "20", morning)
		symbols = append(symbols, chokepoint.Symbol(s))
	}
	got := observe(t, config(t, up, symbols...), morning, "")
	if got.err != nil || len(got.quotes) != 45 || len(up.Requests("query1.finance.yahoo.com/v7")) != 3 {
		t.Errorf("%d quotes, %v", len(got.quotes), got.err)
	}
	if n := len(up.Requests("query1.finance.yahoo.com/v8")); n != barsPerVisit {
		t.Errorf("bars were asked for %d times", n)
	}
}

func TestBarsComeOnceADayAfterTheClose(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	list(up.Quotes(), "AAOI", "20.5", morning)
	cfg := config(t, up, "AAOI")
	first := observe(t, cfg, morning, "")
	want := []string{"AAOI 2026-11-20 21 history", "AAOI 2026-11-23 22 history"}
	if !slices.Equal(first.bars, want) { // today is not over
		t.Errorf("first: %v", first.bars)
	}
	asked := func() int { return len(up.Requests("query1.finance.yahoo.com/v8")) }
	n := asked()
	if got := observe(t, cfg, morning.Add(4*time.Hour), first.cursor); len(got.bars) != 0 || asked() != n {
		t.Errorf("before the close: %v, asked %d times", got.bars, asked()-n)
	}
	evening := time.Date(2026, 11, 24, 21, 20, 0, 0, time.UTC)
	got := observe(t, cfg, evening, first.cursor)
	if !slices.Equal(got.bars, []string{"AAOI 2026-11-24 23"}) {
		t.Errorf("after the close: %v, %v", got.bars, got.err)
	}
	n = asked()
	if again := observe(t, cfg, evening.Add(5*time.Minute), got.cursor); len(again.bars) != 0 || asked() != n {
		t.Errorf("once more: %v", again.bars)
	}
	n = asked()
	wednesday := observe(t, cfg, time.Date(2026, 11, 25, 22, 0, 0, 0, time.UTC), got.cursor)
	if asked() != n+1 || len(wednesday.bars) != 0 {
		t.Errorf("a day whose bar is late is asked for once: %d", asked()-n)
	}
	if again := observe(t, cfg, time.Date(2026, 11, 25, 23, 0, 0, 0, time.UTC), wednesday.cursor); asked() != n+1 {
		t.Errorf("asked again within the hour: %v", again.bars)
	}
}

func TestASplitBringsAYearOfBarsAgainAsHistory(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	list(up.Quotes(), "AAOI", "20.5", morning)
	cfg := config(t, up, "AAOI")
	first := observe(t, cfg, morning, "")
	up.Quotes().Edit("AAOI", func(l *upstreamtest.Listing) {
		l.Bars = []upstreamtest.DayBar{{Day: "2026-11-20", Open: "2", High: "2.2", Low: "1.9", Close: "2.1"}, {Day: "2026-11-23", Open: "2.1", High: "2.3", Low: "2", Close: "2.2"}, {Day: "2026-11-24", Open: "2.2", High: "2.4", Low: "2.1", Close: "2.3"}}
	})
	got := observe(t, cfg, time.Date(2026, 11, 24, 22, 0, 0, 0, time.UTC), first.cursor)
	if want := []string{"AAOI 2026-11-20 2.1 history", "AAOI 2026-11-23 2.2 history", "AAOI 2026-11-24 2.3 history"}; !slices.Equal(got.bars, want) {
		t.Errorf("%v, %v", got.bars, got.err)
	}
}

func TestOnlyOpenExchangesAreAsked(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	for s, at := range map[string]time.Time{"AAOI": morning, "SIVE.ST": morning, "5802.T": morning.Add(-10 * time.Hour)} {
		list(up.Quotes(), s, "20.5", at)
	}
	cfg := config(t, up, "AAOI", "SIVE.ST", "5802.T")
	cfg.OnlyInSession = true
	first := observe(t, cfg, morning, "")
	if len(first.quotes) != 3 {
		t.Fatalf("a first visit asks for all: %v, %v", first.quotes, first.err)
	}
	for s := range first.quotes {
		up.Quotes().Edit(string(s), func(l *upstreamtest.Listing) { l.Price, l.At = "20.6", l.At.Add(time.Minute) })
	}
	got := observe(t, cfg, morning.Add(2*time.Minute), first.cursor)
	if len(got.quotes) != 2 || got.quotes["5802.T"].Price != 0 {
		t.Errorf("while Tokyo sleeps: %v", got.quotes)
	}
	saturday := time.Date(2026, 11, 28, 16, 0, 0, 0, time.UTC)
	cfg.Symbols = []chokepoint.Symbol{"AAOI"}
	if Open(saturday, "AAOI", "SIVE.ST", "5802.T") || Open(time.Date(2026, 11, 24, 22, 16, 0, 0, time.UTC), "AAOI") {
		t.Error("there is something to ask on a Saturday, or at night")
	}
}

func TestExchangesKeepTheirHours(t *testing.T) {
	t.Parallel()
	utc := func(s string) time.Time {
		at, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, tc := range []struct {
		symbol chokepoint.Symbol
		at     string
		open   bool
	}{
		{"AAOI", "2026-11-24 14:29", false}, {"AAOI", "2026-11-24 14:30", true}, {"AAOI", "2026-11-24 21:15", true}, {"AAOI", "2026-11-24 21:16", false},
		{"AAOI", "2026-07-01 13:30", true}, // daylight saving
		{"AAOI", "2026-11-26 16:00", false}, {"AAOI", "2026-11-27 17:59", true}, {"AAOI", "2026-11-27 18:16", false},
		{"AAOI", "2026-07-03 16:00", false}, {"AAOI", "2027-03-26 16:00", false}, {"AAOI", "2027-07-05 16:00", false},
		{"^SOX", "2026-11-24 21:29", true},
		{"SIVE.ST", "2026-11-24 08:00", true}, {"SIVE.ST", "2026-11-24 07:59", false}, {"SIVE.ST", "2026-11-24 17:01", false},
		{"4979.TWO", "2026-11-24 01:00", true}, {"4979.TWO", "2026-11-24 06:06", false},
		{"5802.T", "2026-11-23 15:00", false}, {"5802.T", "2026-11-24 00:00", true}, {"5802.T", "2026-11-24 06:30", true},
		{"AAOI", "2026-11-28 16:00", false}, {"5802.T", "2026-11-27 23:59", false},
	} {
		if got := exchangeOf(tc.symbol).asks(utc(tc.at)); got != tc.open {
			t.Errorf("%s at %s: open: %v", tc.symbol, tc.at, got)
		}
		if tc.open && (!Open(utc(tc.at), tc.symbol) || !Open(utc(tc.at).Add(forBars), tc.symbol)) {
			t.Errorf("%s at %s and in an hour: nothing is to be asked", tc.symbol, tc.at)
		}
	}
	for at, want := range map[string]string{"2026-11-24 21:16": "2026-11-24", "2026-11-24 21:00": "2026-11-23", "2026-11-23 12:00": "2026-11-20", "2026-11-27 12:00": "2026-11-25"} {
		if day, _ := newYork.lastDay(utc(at)); day != want {
			t.Errorf("at %s the last day was %s, want %s", at, day, want)
		}
	}
}

func TestNasdaqsTimesAreRead(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Apr 20, 2026 1:58 PM ET":           "2026-04-20T17:58:00Z",
		"Nov 20, 2026 1:58 PM ET":           "2026-11-20T18:58:00Z",
		"Closed at Nov 20, 2026 4:00 PM ET": "2026-11-20T21:00:00Z",
		"Nov 20, 2026":                      "2026-11-20T21:00:00Z",
		"Nov 27, 2026":                      "2026-11-27T18:00:00Z",
		"2026-11-20T13:58:00":               "2026-11-20T18:58:00Z",
		"2026-11-20T13:58:00-05:00":         "2026-11-20T18:58:00Z",
		"N/A":                               "0001-01-01T00:00:00Z",
	} {
		if got := nasdaqTime(in).Format(time.RFC3339); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestChartsOfTheWildAreRead(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("CHOKEPOINT_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared")
	}
	dir = filepath.Join(dir, "samples", "yahoo")
	files, err := filepath.Glob(filepath.Join(dir, "chart_*.json"))
	if err != nil || len(files) == 0 {
		t.Skipf("no collection of real charts at %s: set CHOKEPOINT_SHARED", dir)
	}
	for _, path := range files {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var a struct{ Chart struct{ Result []chart } }
		if err := json.Unmarshal(body, &a); err != nil || len(a.Chart.Result) != 1 {
			t.Errorf("%s: %v", path, err)
			continue
		}
		c := a.Chart.Result[0]
		q := c.quote(chokepoint.Symbol(c.Meta.Symbol))
		now := q.At.Add(time.Hour)
		err = check(&q, now, 0)
		switch name := filepath.Base(path); name {
		case "chart_PADEF_infinity_strings.json", "chart_XSP.TO_no_timestamp.json", "chart_XSP.TO_1d.json":
			if err == nil {
				t.Errorf("%s: %+v is told as a price", name, q)
			}
		default:
			if err != nil || q.Price <= 0 || q.Zone == "" {
				t.Errorf("%s: %+v, %v", name, q, err)
			}
		}
	}
}

func TestANumberThatIsNoneIsMissing(t *testing.T) {
	t.Parallel()
	var got []number
	if err := json.Unmarshal([]byte(`[1.5, null, "Infinity", "-Infinity", "NaN", "N/A", "2", {}, [], true, 0]`), &got); err != nil {
		t.Fatal(err)
	}
	for i, n := range got {
		if ok := i == 0 || i == len(got)-1; n.ok != ok {
			t.Errorf("%d: %+v", i, n)
		}
	}
}

func FuzzDisplay(f *testing.F) {
	for _, s := range []string{"$101.25", "9,553.28", "+0.43%", "N/A", "--", "$-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		display(s)
		if at := nasdaqTime(s); !at.IsZero() && at.Location() != time.UTC {
			t.Errorf("%q: %v", s, at)
		}
	})
}
