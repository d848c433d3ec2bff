package upstreamtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Quotes is what Yahoo, Nasdaq and Finnhub know of prices.
type Quotes struct {
	s        *Server
	listings map[string]*Listing // guarded by s.mu
	key      string
}

// Listing is a symbol as the providers know it. Prices are JSON numbers as
// text, so that a test can say "135.75999450683594" or "\"Infinity\"".
type Listing struct {
	Symbol, Currency, Exchange, Zone string
	Price, Prev, High, Low           string
	Volume                           int64
	At                               time.Time
	PriceHint                        int
	Bars                             []DayBar // oldest first

	// RegularStart and RegularEnd bound the regular session; zero gives 14:30
	// to 21:00 UTC of At's day.
	RegularStart, RegularEnd time.Time

	NoTimestamp bool   // charts come without their timestamps and candles
	Status      string // Nasdaq's marketStatus; "" is "Open"
}

// DayBar is a day of trading.
type DayBar struct {
	Day                    string // YYYY-MM-DD
	Open, High, Low, Close string // JSON; "null" where there was no trade
	Volume                 int64
}

func newQuotes(s *Server) *Quotes { return &Quotes{s: s, listings: map[string]*Listing{}} }

// Quotes are the world's prices.
func (s *Server) Quotes() *Quotes { return s.quotes }

// YahooURL, NasdaqURL and FinnhubURL are where the providers are found.
func (q *Quotes) YahooURL() string { return q.s.URL("query1.finance.yahoo.com") }

// NasdaqURL is where api.nasdaq.com is found.
func (q *Quotes) NasdaqURL() string { return q.s.URL("api.nasdaq.com") }

// FinnhubURL is where finnhub.io is found.
func (q *Quotes) FinnhubURL() string { return q.s.URL("finnhub.io") }

// SetKey is the key that Finnhub accepts; none at first.
func (q *Quotes) SetKey(key string) {
	q.s.mu.Lock()
	defer q.s.mu.Unlock()
	q.key = key
}

// Set lists symbol, or gives it another price: the rest stays.
func (q *Quotes) Set(symbol, price string, at time.Time) {
	q.Edit(symbol, func(l *Listing) { l.Price, l.At = price, at })
}

// Edit lists symbol if it is new, with what its suffix tells, and changes it.
func (q *Quotes) Edit(symbol string, change func(*Listing)) {
	q.s.mu.Lock()
	defer q.s.mu.Unlock()
	l := q.listings[symbol]
	if l == nil {
		l = &Listing{Symbol: symbol, Currency: "USD", Exchange: "NMS", Zone: "America/New_York", Prev: "null", High: "null", Low: "null", PriceHint: 2}
		switch suffix := symbol[strings.LastIndex(symbol, ".")+1:]; {
		case !strings.Contains(symbol, "."):
		case suffix == "ST":
			l.Currency, l.Exchange, l.Zone = "SEK", "STO", "Europe/Stockholm"
		case suffix == "TWO":
			l.Currency, l.Exchange, l.Zone = "TWD", "TWO", "Asia/Taipei"
		case suffix == "T":
			l.Currency, l.Exchange, l.Zone = "JPY", "JPX", "Asia/Tokyo"
		case suffix == "L":
			l.Currency, l.Exchange, l.Zone = "GBp", "LSE", "Europe/London"
		}
		q.listings[symbol] = l
	}
	change(l)
}

// Delist forgets a symbol.
func (q *Quotes) Delist(symbol string) {
	q.s.mu.Lock()
	defer q.s.mu.Unlock()
	delete(q.listings, symbol)
}

func (q *Quotes) serveYahoo(w *recorder, r *http.Request, path string) {
	if !strings.HasPrefix(r.Header.Get("User-Agent"), "Mozilla/5.0") {
		w.say(http.StatusTooManyRequests, "text/plain", "Edge: Too Many Requests")
		return
	}
	q.s.mu.Lock()
	defer q.s.mu.Unlock()
	switch {
	case strings.HasPrefix(path, "v8/finance/chart/"):
		l := q.listings[strings.TrimPrefix(path, "v8/finance/chart/")]
		if l == nil {
			w.say(http.StatusNotFound, "application/json", `{"chart":{"result":null,"error":{"code":"Not Found","description":"No data found, symbol may be delisted"}}}`)
			return
		}
		w.say(http.StatusOK, "application/json", `{"chart":{"result":[`+l.chart(r.URL.Query().Get("interval") == "1d", r.URL.Query().Get("range"))+`],"error":null}}`)
	case path == "v7/finance/spark":
		symbols := strings.Split(r.URL.Query().Get("symbols"), ",")
		if len(symbols) > 20 {
			w.say(http.StatusBadRequest, "application/json", `{"spark":{"result":null,"error":{"code":"Bad Request","description":"Exceeded maximum number of symbols"}}}`)
			return
		}
		var results []string
		for _, s := range symbols {
			if l := q.listings[s]; l != nil {
				results = append(results, fmt.Sprintf(`{"symbol":%q,"response":[%s]}`, s, l.chart(false, "1d")))
			}
		}
		w.say(http.StatusOK, "application/json", `{"spark":{"result":[`+strings.Join(results, ",")+`],"error":null}}`)
	default:
		w.say(http.StatusNotFound, "application/json", `{"finance":{"result":null,"error":{"code":"Not Found","description":"HTTP 404 Not Found"}}}`)
	}
}

// session is the regular session around at, and the zone's offset.
func (l *Listing) session() (start, end time.Time) {
	if !l.RegularStart.IsZero() {
		return l.RegularStart, l.RegularEnd
	}
	day := l.At.UTC().Truncate(24 * time.Hour)
	return day.Add(14*time.Hour + 30*time.Minute), day.Add(21 * time.Hour)
}

func (l *Listing) chart(daily bool, span string) string {
	start, end := l.session()
	period := func(a, b time.Time) string {
		return fmt.Sprintf(`{"timezone":"X","start":%d,"end":%d,"gmtoffset":0}`, a.Unix(), b.Unix())
	}
	granularity := "5m"
	if daily {
		granularity = "1d"
	}
	price := l.Price
	if price == "" {
		price = "null"
	}
	meta := fmt.Sprintf(`{"currency":%q,"symbol":%q,"exchangeName":%q,"exchangeTimezoneName":%q,"instrumentType":"EQUITY","regularMarketTime":%d,"regularMarketPrice":%s,"regularMarketDayHigh":%s,"regularMarketDayLow":%s,"regularMarketVolume":%d,"chartPreviousClose":%s,"previousClose":%s,"priceHint":%d,"currentTradingPeriod":{"pre":%s,"regular":%s,"post":%s},"dataGranularity":%q,"range":%q}`,
		l.Currency, l.Symbol, l.Exchange, l.Zone, l.At.Unix(), price, l.High, l.Low, l.Volume, l.Prev, l.Prev, l.PriceHint,
		period(start.Add(-5*time.Hour-30*time.Minute), start), period(start, end), period(end, end.Add(4*time.Hour)), granularity, span)
	if l.NoTimestamp {
		return `{"meta":` + meta + `,"indicators":{"quote":[{}]}}`
	}
	var ts, o, h, lo, c, v []string
	if daily {
		for _, b := range l.Bars {
			day, err := time.Parse("2006-01-02", b.Day)
			if err != nil { // a test's mistake
				panic(err)
			}
			ts = append(ts, fmt.Sprint(day.Add(14*time.Hour+30*time.Minute).Unix()))
			o, h, lo, c = append(o, b.Open), append(h, b.High), append(lo, b.Low), append(c, b.Close)
			v = append(v, fmt.Sprint(b.Volume))
		}
	} else {
		ts, o, h, lo, c, v = []string{fmt.Sprint(l.At.Add(-5 * time.Minute).Unix()), fmt.Sprint(l.At.Unix())}, []string{price, "null"}, []string{price, "null"}, []string{price, "null"}, []string{price, "null"}, []string{"100", "null"}
	}
	col := func(values []string) string { return "[" + strings.Join(values, ",") + "]" }
	return fmt.Sprintf(`{"meta":%s,"timestamp":%s,"indicators":{"quote":[{"open":%s,"high":%s,"low":%s,"close":%s,"volume":%s}]}}`, meta, col(ts), col(o), col(h), col(lo), col(c), col(v))
}

func (q *Quotes) serveNasdaq(w *recorder, r *http.Request, path string) {
	if !strings.HasPrefix(r.Header.Get("User-Agent"), "Mozilla/5.0") || !strings.Contains(r.Header.Get("Accept"), "application/json") {
		w.say(http.StatusForbidden, "text/html", "<html><body>Access Denied</body></html>")
		return
	}
	symbol := strings.TrimSuffix(strings.TrimPrefix(path, "api/quote/"), "/info")
	class := r.URL.Query().Get("assetclass")
	q.s.mu.Lock()
	defer q.s.mu.Unlock()
	l := q.listings[symbol]
	if class == "index" {
		l = q.listings["^"+symbol]
	}
	if l == nil || strings.Contains(symbol, ".") {
		w.say(http.StatusOK, "application/json", `{"data":null,"message":null,"status":{"rCode":400,"bCodeMessage":[{"code":1001,"errorMessage":"Symbol not exists."}],"developerMessage":null}}`)
		return
	}
	dollar := "$"
	if class == "index" {
		dollar = ""
	}
	status := l.Status
	if status == "" {
		status = "Open"
	}
	body, err := json.Marshal(map[string]any{
		"data": map[string]any{"symbol": symbol, "marketStatus": status, "secondaryData": nil,
			"primaryData": map[string]any{"lastSalePrice": dollar + thousands(l.Price), "netChange": "N/A", "percentageChange": "N/A", "volume": "N/A",
				"lastTradeTimestamp": eastern(l.At).Format("Jan 2, 2006 3:04 PM") + " ET", "isRealTime": true}},
		"status": map[string]any{"rCode": 200},
	})
	if err != nil { // strings always marshal
		panic(err)
	}
	w.say(http.StatusOK, "application/json", string(body))
}

func thousands(s string) string {
	whole, frac, point := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if point {
		whole += "." + frac
	}
	return whole
}

func (q *Quotes) serveFinnhub(w *recorder, r *http.Request, path string) {
	q.s.mu.Lock()
	defer q.s.mu.Unlock()
	symbol := r.URL.Query().Get("symbol")
	l := q.listings[symbol]
	switch {
	case path != "api/v1/quote":
		w.say(http.StatusNotFound, "text/plain", "404")
	case q.key == "" || r.Header.Get("X-Finnhub-Token") != q.key:
		w.say(http.StatusUnauthorized, "application/json", `{"error":"Invalid API key"}`)
	case strings.ContainsAny(symbol, ".^"):
		w.say(http.StatusForbidden, "application/json", `{"error":"You don't have access to this resource."}`)
	case l == nil:
		w.say(http.StatusOK, "application/json", `{"c":0,"d":null,"dp":null,"h":0,"l":0,"o":0,"pc":0,"t":0}`)
	default:
		zero := func(s string) string {
			if s == "null" {
				return "0"
			}
			return s
		}
		w.say(http.StatusOK, "application/json", fmt.Sprintf(`{"c":%s,"d":null,"dp":null,"h":%s,"l":%s,"o":0,"pc":%s,"t":%d}`, l.Price, zero(l.High), zero(l.Low), zero(l.Prev), l.At.Unix()))
	}
}
