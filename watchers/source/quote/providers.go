package quote

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/fetch"
	"github.com/chokepoint-bot/chokepoint/watchers"
)

type getter func(ctx context.Context, r fetch.Request) (*fetch.Page, error)

// number is a figure that may be missing: null, "N/A", "Infinity" and NaN are
// none.
type number struct {
	value float64
	ok    bool
}

func (n *number) UnmarshalJSON(b []byte) error {
	var v float64
	if err := json.Unmarshal(b, &v); err == nil && !bytes.Equal(b, []byte("null")) && !math.IsNaN(v) && !math.IsInf(v, 0) {
		*n = number{v, true}
		return nil
	}
	*n = number{}
	return nil
}

// decimal rounds n as the provider says; prices below one keep four places.
func (n number) decimal(places int) chokepoint.Decimal {
	if !n.ok {
		return 0
	}
	if math.Abs(n.value) < 1 {
		places = max(places, 4)
	}
	d, _ := chokepoint.DecimalFromFloat(n.value, places) // zero if it is no price
	return d
}

// decode reads a JSON answer; an HTML page or a text is not the format.
func decode(page *fetch.Page, into any) error {
	if err := json.Unmarshal(page.Body, into); err != nil {
		return &watchers.Failure{Class: chokepoint.NotTheFormat, Err: fmt.Errorf("%s: not the JSON that was due: %w", fetch.Redact(page.URL), err)}
	}
	return nil
}

// yahoo is Yahoo Finance without an account: unofficial, and shut to many
// addresses. Its spark answers for up to twenty symbols at once.
type yahoo struct {
	get   getter
	base  string
	spark bool
}

const sparkSymbols = 20

func (y *yahoo) name() string {
	if y.spark {
		return "yahoo-spark"
	}
	return "yahoo-chart"
}

func (y *yahoo) knows(chokepoint.Symbol) bool { return true }

type chart struct {
	Meta struct {
		Currency             string `json:"currency"`
		Symbol               string `json:"symbol"`
		ExchangeTimezoneName string `json:"exchangeTimezoneName"`
		RegularMarketTime    number `json:"regularMarketTime"`
		RegularMarketPrice   number `json:"regularMarketPrice"`
		RegularMarketDayHigh number `json:"regularMarketDayHigh"`
		RegularMarketDayLow  number `json:"regularMarketDayLow"`
		RegularMarketVolume  number `json:"regularMarketVolume"`
		ChartPreviousClose   number `json:"chartPreviousClose"`
		PriceHint            number `json:"priceHint"`
		CurrentTradingPeriod struct {
			Pre, Regular, Post struct{ Start, End int64 }
		} `json:"currentTradingPeriod"`
	} `json:"meta"`
	Timestamp  []int64 `json:"timestamp"`
	Indicators struct {
		Quote []struct {
			Open, High, Low, Close, Volume []number
		} `json:"quote"`
	} `json:"indicators"`
}

func (y *yahoo) quotes(ctx context.Context, _ time.Time, symbols []chokepoint.Symbol) (got []chokepoint.Quote, skipped map[chokepoint.Symbol]error, err error) {
	skipped = map[chokepoint.Symbol]error{}
	if !y.spark {
		for _, s := range symbols {
			c, err := y.chart(ctx, s, "range=1d&interval=5m&includePrePost=false")
			if refused(err) {
				return got, skipped, err
			}
			if err != nil {
				skipped[s] = err
				continue
			}
			got = append(got, c.quote(s))
		}
		return got, skipped, nil
	}
	for some := range slices.Chunk(symbols, sparkSymbols) {
		names := make([]string, len(some))
		for i, s := range some {
			names[i] = string(s)
		}
		page, err := y.get(ctx, fetch.Request{
			URL: y.base + "/v7/finance/spark?range=1d&interval=5m&symbols=" + url.QueryEscape(strings.Join(names, ",")), As: "query1.finance.yahoo.com", Accept: "application/json",
		})
		if err != nil {
			return got, skipped, err
		}
		var answer struct {
			Spark struct {
				Result []struct {
					Symbol   chokepoint.Symbol
					Response []chart
				}
			}
		}
		if err := decode(page, &answer); err != nil {
			return got, skipped, err
		}
		for _, s := range some {
			skipped[s] = errors.New("unknown symbol")
		}
		for _, r := range answer.Spark.Result {
			if slices.Contains(some, r.Symbol) && len(r.Response) > 0 {
				delete(skipped, r.Symbol)
				got = append(got, r.Response[0].quote(r.Symbol))
			}
		}
	}
	return got, skipped, nil
}

// refused says whether a provider does not answer at all, rather than not for
// this symbol.
func refused(err error) bool {
	f := watchers.AsFailure(err)
	return f != nil && f.Class != chokepoint.Gone && f.Class != chokepoint.NotTheFormat
}

func (y *yahoo) chart(ctx context.Context, s chokepoint.Symbol, query string) (chart, error) {
	page, err := y.get(ctx, fetch.Request{
		URL: y.base + "/v8/finance/chart/" + url.PathEscape(string(s)) + "?" + query, As: "query1.finance.yahoo.com", Accept: "application/json",
	})
	if err != nil {
		return chart{}, err
	}
	var answer struct {
		Chart struct{ Result []chart }
	}
	if err := decode(page, &answer); err != nil {
		return chart{}, err
	}
	if len(answer.Chart.Result) == 0 {
		return chart{}, &watchers.Failure{Class: chokepoint.NotTheFormat, Err: errors.New("no chart in the answer")}
	}
	return answer.Chart.Result[0], nil
}

func (c chart) places() int {
	if !c.Meta.PriceHint.ok {
		return 2
	}
	return int(min(max(c.Meta.PriceHint.value, 0), 6))
}

// quote is the price as the chart tells it, to be checked. chartPreviousClose
// is the close of the day before only in a chart of one day.
func (c chart) quote(s chokepoint.Symbol) chokepoint.Quote {
	m, places := c.Meta, c.places()
	q := chokepoint.Quote{
		Symbol: s, Price: m.RegularMarketPrice.decimal(places), Prev: m.ChartPreviousClose.decimal(places),
		High: m.RegularMarketDayHigh.decimal(places), Low: m.RegularMarketDayLow.decimal(places),
		Volume: int64(max(m.RegularMarketVolume.value, 0)), Currency: m.Currency, Zone: m.ExchangeTimezoneName, Provider: "yahoo",
	}
	if m.RegularMarketTime.ok {
		q.At = time.Unix(int64(m.RegularMarketTime.value), 0).UTC()
	}
	if ind := c.Indicators.Quote; len(ind) > 0 && len(ind[0].Open) > 0 {
		q.Open = ind[0].Open[0].decimal(places)
	}
	at := q.At.Unix()
	for session, p := range map[chokepoint.Session]struct{ Start, End int64 }{
		chokepoint.SessionPre: m.CurrentTradingPeriod.Pre, chokepoint.SessionPost: m.CurrentTradingPeriod.Post, chokepoint.SessionRegular: m.CurrentTradingPeriod.Regular,
	} {
		// The close itself belongs to the regular session.
		if at >= p.Start && at < p.End || session == chokepoint.SessionRegular && at == p.End {
			if q.Session != chokepoint.SessionRegular {
				q.Session = session
			}
		}
	}
	return q
}

// bars are the days of a span such as "1y", oldest first. Days without a trade
// are left out; of two candles on one day the last counts.
func (y *yahoo) bars(ctx context.Context, s chokepoint.Symbol, span string) ([]chokepoint.Bar, error) {
	c, err := y.chart(ctx, s, "range="+span+"&interval=1d&includePrePost=false")
	if err != nil {
		return nil, err
	}
	if len(c.Indicators.Quote) == 0 || len(c.Timestamp) == 0 {
		return nil, &watchers.Failure{Class: chokepoint.NotTheFormat, Err: errors.New("no candles in the chart")}
	}
	loc, err := time.LoadLocation(cmp.Or(c.Meta.ExchangeTimezoneName, exchangeOf(s).zone))
	if err != nil {
		return nil, &watchers.Failure{Class: chokepoint.NotTheFormat, Err: fmt.Errorf("the chart's time zone: %w", err)}
	}
	ind, places := c.Indicators.Quote[0], c.places()
	at := func(column []number, i int) chokepoint.Decimal {
		if i >= len(column) { // columns may be shorter than the timestamps
			return 0
		}
		return column[i].decimal(places)
	}
	var out []chokepoint.Bar
	for i, ts := range c.Timestamp {
		b := chokepoint.Bar{
			Symbol: s, Day: time.Unix(ts, 0).In(loc).Format(time.DateOnly),
			Open: at(ind.Open, i), High: at(ind.High, i), Low: at(ind.Low, i), Close: at(ind.Close, i), Currency: c.Meta.Currency,
		}
		if i < len(ind.Volume) {
			b.Volume = int64(max(ind.Volume[i].value, 0))
		}
		if b.Open <= 0 || b.High <= 0 || b.Low <= 0 || b.Close <= 0 || b.High < b.Low {
			continue
		}
		if strings.HasPrefix(string(s), "^") {
			b.Currency = ""
		}
		b.Currency = major(b.Currency, &b.Open, &b.High, &b.Low, &b.Close)
		if n := len(out); n > 0 && out[n-1].Day >= b.Day {
			if out[n-1].Day == b.Day {
				out[n-1] = b
			}
			continue
		}
		out = append(out, b)
	}
	if len(out) == 0 {
		return nil, &watchers.Failure{Class: chokepoint.NotTheFormat, Err: errors.New("no whole candle in the chart")}
	}
	return out, nil
}

// nasdaq is the API behind nasdaq.com: display strings, American stocks and a
// few indices, and a robots.txt that forbids it. A fallback.
type nasdaq struct {
	get  getter
	base string
}

func (n *nasdaq) name() string { return "nasdaq" }

func (n *nasdaq) knows(s chokepoint.Symbol) bool {
	return s == "^SOX" || !strings.ContainsAny(string(s), ".^")
}

func (n *nasdaq) quotes(ctx context.Context, _ time.Time, symbols []chokepoint.Symbol) (got []chokepoint.Quote, skipped map[chokepoint.Symbol]error, err error) {
	skipped = map[chokepoint.Symbol]error{}
	for _, s := range symbols {
		q, err := n.quote(ctx, s)
		if refused(err) {
			return got, skipped, err
		}
		if err != nil {
			skipped[s] = err
			continue
		}
		got = append(got, q)
	}
	return got, skipped, nil
}

func (n *nasdaq) quote(ctx context.Context, s chokepoint.Symbol) (chokepoint.Quote, error) {
	class, symbol, currency := "stocks", string(s), "USD"
	if strings.HasPrefix(symbol, "^") {
		class, symbol, currency = "index", symbol[1:], ""
	}
	page, err := n.get(ctx, fetch.Request{
		URL: n.base + "/api/quote/" + url.PathEscape(symbol) + "/info?assetclass=" + class, As: "api.nasdaq.com", Accept: "application/json, text/plain, */*",
	})
	if err != nil {
		return chokepoint.Quote{}, err
	}
	var answer struct {
		Data *struct {
			PrimaryData *struct {
				LastSalePrice, NetChange, LastTradeTimestamp string
			}
			MarketStatus string
		}
	}
	if err := decode(page, &answer); err != nil {
		return chokepoint.Quote{}, err
	}
	if answer.Data == nil || answer.Data.PrimaryData == nil {
		return chokepoint.Quote{}, &watchers.Failure{Class: chokepoint.Gone, Err: errors.New("unknown symbol")}
	}
	p := answer.Data.PrimaryData
	q := chokepoint.Quote{Symbol: s, Price: display(p.LastSalePrice), Currency: currency, At: nasdaqTime(p.LastTradeTimestamp), Provider: "nasdaq"}
	if change := display(p.NetChange); change != 0 {
		q.Prev = q.Price - change
	}
	switch answer.Data.MarketStatus {
	case "Pre-Market":
		q.Session = chokepoint.SessionPre
	case "After-Hours":
		q.Session = chokepoint.SessionPost
	}
	return q, nil
}

// display reads a figure made to be looked at, such as "$1,101.25" or "+0.43";
// zero for "N/A" and its like.
func display(s string) chokepoint.Decimal {
	d, err := chokepoint.ParseDecimal(strings.NewReplacer("$", "", ",", "", "%", "").Replace(strings.TrimSpace(s)))
	if err != nil {
		return 0
	}
	return d
}

// nasdaqTime reads "Apr 20, 2026 1:58 PM ET" and the other forms that are
// served; a date alone is the close of that day.
func nasdaqTime(s string) time.Time {
	ny := newYork.location()
	if i := strings.LastIndex(s, " at "); i >= 0 { // "Closed at Nov 20, 2026 4:00 PM ET"
		s = s[i+len(" at "):]
	}
	s = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), "ET"))
	for _, layout := range []string{"Jan 2, 2006 3:04:05 PM", "Jan 2, 2006 3:04 PM", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, s, ny); err == nil {
			return t.UTC()
		}
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC()
	}
	if t, err := time.ParseInLocation("Jan 2, 2006", s, ny); err == nil {
		if _, end, ok := newYork.session(t.Add(12 * time.Hour)); ok {
			return end
		}
		return t.UTC()
	}
	return time.Time{}
}

// finnhub is Finnhub with a key: American stocks, for personal use.
type finnhub struct {
	get       getter
	base, key string
}

func (f *finnhub) name() string { return "finnhub" }

func (f *finnhub) knows(s chokepoint.Symbol) bool { return !strings.ContainsAny(string(s), ".^") }

func (f *finnhub) quotes(ctx context.Context, _ time.Time, symbols []chokepoint.Symbol) (got []chokepoint.Quote, skipped map[chokepoint.Symbol]error, err error) {
	skipped = map[chokepoint.Symbol]error{}
	for _, s := range symbols {
		page, err := f.get(ctx, fetch.Request{
			URL: f.base + "/api/v1/quote?symbol=" + url.QueryEscape(string(s)), As: "finnhub.io", Accept: "application/json", Header: http.Header{"X-Finnhub-Token": {f.key}},
			Refused: func(status int, _ http.Header, body []byte) chokepoint.Class {
				if status == http.StatusForbidden && bytes.Contains(body, []byte("access to this resource")) {
					return chokepoint.Gone // of this symbol alone: the plan does not cover it
				}
				return ""
			},
		})
		if refused(err) {
			return got, skipped, err
		}
		if err != nil {
			skipped[s] = err
			continue
		}
		var a struct{ C, H, L, O, PC, T number }
		if err := decode(page, &a); err != nil {
			skipped[s] = err
			continue
		}
		if a.C.value == 0 && a.T.value == 0 {
			skipped[s] = errors.New("unknown symbol")
			continue
		}
		got = append(got, chokepoint.Quote{
			Symbol: s, Price: a.C.decimal(2), Prev: a.PC.decimal(2), Open: a.O.decimal(2), High: a.H.decimal(2), Low: a.L.decimal(2),
			Currency: "USD", At: time.Unix(int64(a.T.value), 0).UTC(), Provider: "finnhub",
		})
	}
	return got, skipped, nil
}
