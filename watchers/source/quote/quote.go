// Package quote asks for prices: of several providers in turn, so that one
// that is shut or wrong costs nothing but a moment.
package quote

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/fetch"
	"github.com/chokepoint-bot/chokepoint/watchers"
)

// Fetcher is what the source asks through. *fetch.Client is one.
type Fetcher interface {
	Get(ctx context.Context, r fetch.Request) (*fetch.Page, error)
}

// Provider is a place that knows prices.
type Provider struct {
	Name string // "yahoo-spark", "yahoo-chart", "nasdaq" or "finnhub"
	URL  string // without a path; "" for its own
	Key  string // finnhub is left out without
}

// Config says which prices, and of whom.
type Config struct {
	Name      string
	Symbols   []chokepoint.Symbol
	Providers []Provider // in the order in which they are asked; none for yahoo-spark, yahoo-chart, nasdaq

	// OnlyInSession asks for a symbol only while its exchange trades and a
	// short while after, and once when it is new.
	OnlyInSession bool

	Fetch Fetcher
}

// Source asks for quotes, and once a day for each symbol's daily bars: a year
// of them when the symbol is new. A quote is told if its time or price has
// changed; one that cannot be right is not told, and the next provider is
// asked.
type Source struct {
	cfg       Config
	providers []provider
	bars      *yahoo // nil if no provider has bars
}

// New makes the source. An error names a provider that does not exist.
func New(cfg Config) (*Source, error) {
	if len(cfg.Providers) == 0 {
		cfg.Providers = []Provider{{Name: "yahoo-spark"}, {Name: "yahoo-chart"}, {Name: "nasdaq"}}
	}
	s := &Source{cfg: cfg}
	for _, p := range cfg.Providers {
		switch p.Name {
		case "yahoo-spark", "yahoo-chart":
			y := &yahoo{get: cfg.Fetch.Get, base: cmp.Or(p.URL, "https://query1.finance.yahoo.com"), spark: p.Name == "yahoo-spark"}
			s.providers = append(s.providers, y)
			if s.bars == nil {
				s.bars = y
			}
		case "nasdaq":
			s.providers = append(s.providers, &nasdaq{get: cfg.Fetch.Get, base: cmp.Or(p.URL, "https://api.nasdaq.com")})
		case "finnhub":
			if p.Key != "" {
				s.providers = append(s.providers, &finnhub{get: cfg.Fetch.Get, base: cmp.Or(p.URL, "https://finnhub.io"), key: p.Key})
			}
		default:
			return nil, fmt.Errorf("quote: there is no provider %q: write yahoo-spark, yahoo-chart, nasdaq or finnhub", p.Name)
		}
	}
	if len(s.providers) == 0 {
		return nil, errors.New("quote: no provider is left: finnhub needs a key")
	}
	return s, nil
}

var _ watchers.Source = (*Source)(nil)

// Name is as configured.
func (s *Source) Name() string { return s.cfg.Name }

// provider knows prices of some symbols.
type provider interface {
	// name as in Quote.Provider, with what is asked.
	name() string
	// knows says whether it is worth asking for s.
	knows(s chokepoint.Symbol) bool
	// quotes asks. A symbol that it cannot tell the price of has a reason in
	// skipped. An error means that it does not answer at all; what it told
	// before is returned.
	quotes(ctx context.Context, now time.Time, symbols []chokepoint.Symbol) (got []chokepoint.Quote, skipped map[chokepoint.Symbol]error, err error)
}

// memory is what is remembered of a symbol.
type memory struct {
	At    time.Time          `json:"at,omitzero"`
	Price chokepoint.Decimal `json:"price,omitempty"`
	Bar   string             `json:"bar,omitempty"`   // newest day told
	Close chokepoint.Decimal `json:"close,omitempty"` // of that day
	Asked time.Time          `json:"asked,omitzero"`  // for bars
}

type cursor struct {
	Symbols map[chokepoint.Symbol]memory `json:"symbols"`
}

const (
	barsPerVisit = 15            // symbols whose bars are asked for in one visit
	barsAgain    = 3 * time.Hour // before bars that did not come are asked for again
	stale        = 10 * 24 * time.Hour
	ahead        = 5 * time.Minute // that a provider's clock may be
)

// Observe asks for what has changed. See watchers.Source.
func (s *Source) Observe(ctx context.Context, now time.Time, last string) (watchers.Result, error) {
	var mem cursor
	if err := json.Unmarshal([]byte(last), &mem); err != nil || mem.Symbols == nil {
		mem = cursor{Symbols: map[chokepoint.Symbol]memory{}}
	}
	next := cursor{Symbols: map[chokepoint.Symbol]memory{}}
	var wanted []chokepoint.Symbol
	for _, sym := range s.cfg.Symbols {
		m, known := mem.Symbols[sym]
		if known {
			next.Symbols[sym] = m
		}
		if !s.cfg.OnlyInSession || m.At.IsZero() || exchangeOf(sym).asks(now) {
			wanted = append(wanted, sym)
		}
	}

	var result watchers.Result
	quotes, errs := s.ask(ctx, now, wanted, mem)
	answered := len(quotes)
	for _, q := range quotes {
		m := next.Symbols[q.Symbol]
		if m.At.Equal(q.At) && m.Price == q.Price || q.At.Before(m.At) {
			continue
		}
		m.At, m.Price = q.At, q.Price
		next.Symbols[q.Symbol] = m
		result.Observations = append(result.Observations, chokepoint.Observation{
			ID:     chokepoint.NewObservationID(s.cfg.Name, "quote", string(q.Symbol), q.At.Format(time.RFC3339), q.Price.String()),
			Source: s.cfg.Name, Kind: chokepoint.KindQuote, At: q.At, Seen: now, Quote: &q,
		})
	}
	bars, told, err := s.askBars(ctx, now, next)
	result.Observations = append(result.Observations, bars...)
	answered += told
	errs = append(errs, err)
	if err := ctx.Err(); err != nil {
		return watchers.Result{Cursor: last}, fmt.Errorf("quote: %s: %w", s.cfg.Name, err)
	}
	slices.SortStableFunc(result.Observations, func(a, b chokepoint.Observation) int { return a.At.Compare(b.At) })

	failed := watchers.JoinFailures(answered, errs...)
	if failed != nil && answered == 0 {
		result.Cursor = last
		return result, failed
	}
	text, err := json.Marshal(next)
	if err != nil {
		return watchers.Result{Cursor: last}, fmt.Errorf("quote: %s: write the cursor: %w", s.cfg.Name, err)
	}
	result.Cursor = string(text)
	return result, failed
}

// ask goes from provider to provider until every symbol has its price. What
// one cannot tell is no failure if another can.
func (s *Source) ask(ctx context.Context, now time.Time, wanted []chokepoint.Symbol, mem cursor) ([]chokepoint.Quote, []error) {
	var got []chokepoint.Quote
	reasons := map[chokepoint.Symbol][]error{}
	var down []error
	left := wanted
	for _, p := range s.providers {
		var asked, later []chokepoint.Symbol
		for _, sym := range left {
			if p.knows(sym) {
				asked = append(asked, sym)
			} else {
				later = append(later, sym)
			}
		}
		if len(asked) == 0 || ctx.Err() != nil {
			continue
		}
		quotes, skipped, err := p.quotes(ctx, now, asked)
		if err != nil {
			down = append(down, fmt.Errorf("quote: %s: %s: %w", s.cfg.Name, p.name(), err))
		}
		for sym, why := range skipped {
			reasons[sym] = append(reasons[sym], fmt.Errorf("%s: %w", p.name(), why))
		}
		told := map[chokepoint.Symbol]bool{}
		for _, q := range quotes {
			if err := check(&q, now, mem.Symbols[q.Symbol].Price); err != nil {
				reasons[q.Symbol] = append(reasons[q.Symbol], fmt.Errorf("%s: %w", p.name(), err))
				continue
			}
			told[q.Symbol] = true
			got = append(got, q)
		}
		for _, sym := range asked {
			if !told[sym] {
				later = append(later, sym)
			}
		}
		left = later
	}
	if len(left) == 0 {
		return got, nil
	}
	errs := down
	for _, sym := range left {
		if why := errors.Join(reasons[sym]...); why != nil {
			text := strings.ReplaceAll(why.Error(), "\n", "; ")
			errs = append(errs, &watchers.Failure{Class: chokepoint.NotTheFormat, Err: fmt.Errorf("quote: %s: no price of %s: %s", s.cfg.Name, sym, text)})
		} else if len(down) == 0 {
			errs = append(errs, &watchers.Failure{Class: chokepoint.NotAsked, Err: fmt.Errorf("quote: %s: no provider knows %s", s.cfg.Name, sym)})
		}
	}
	return got, errs
}

// check refuses what cannot be a price, and brings q to a common form: pence
// are pounds. last is the price told before, zero if none was.
func check(q *chokepoint.Quote, now time.Time, last chokepoint.Decimal) error {
	q.Currency = major(q.Currency, &q.Price, &q.Prev, &q.Open, &q.High, &q.Low)
	if strings.HasPrefix(string(q.Symbol), "^") {
		q.Currency = ""
	}
	switch {
	case q.Price <= 0:
		return errors.New("the price is missing, zero or negative")
	case q.At.IsZero() || q.At.Unix() <= 0:
		return errors.New("the price has no time")
	case q.At.After(now.Add(ahead)):
		return fmt.Errorf("the price is of the future: %s", q.At.Format(time.RFC3339))
	case now.Sub(q.At) > stale:
		return fmt.Errorf("the price is stale: of %s", q.At.Format(time.DateOnly))
	}
	q.At = q.At.UTC()
	if q.At.After(now) {
		q.At = now
	}
	// A factor of fifty is pence taken for pounds, or a misplaced point. The
	// previous close knows of splits; the price told before does not.
	if base := cmp.Or(max(q.Prev, 0), last); base > 0 && (q.Price/50 > base || q.Price < base/50) {
		return fmt.Errorf("the price is absurd: %s after %s", q.Price, base)
	}
	for _, d := range []*chokepoint.Decimal{&q.Prev, &q.Open, &q.High, &q.Low} {
		*d = max(*d, 0)
	}
	e := exchangeOf(q.Symbol)
	q.Seen, q.Delayed, q.Zone = now, e.delay, cmp.Or(q.Zone, e.zone)
	if q.Session == "" {
		q.Session = chokepoint.SessionClosed
		if open, end, ok := e.session(q.At); ok && !q.At.Before(open) && !q.At.After(end.Add(time.Minute)) {
			q.Session = chokepoint.SessionRegular
		}
	}
	return nil
}

// major is the currency that prices are given in a hundredth of, such as GBP
// for GBp, with the prices brought to it; any other stays.
func major(currency string, prices ...*chokepoint.Decimal) string {
	whole, ok := map[string]string{"GBp": "GBP", "GBX": "GBP", "ZAc": "ZAR", "ILA": "ILS"}[currency]
	if !ok {
		return currency
	}
	for _, p := range prices {
		*p /= 100
	}
	return whole
}

// askBars asks for the bars of symbols that miss some, and notes in next what
// came. told counts the symbols that were answered.
func (s *Source) askBars(ctx context.Context, now time.Time, next cursor) (out []chokepoint.Observation, told int, err error) {
	if s.bars == nil {
		return nil, 0, nil
	}
	var errs []error
	asked := 0
	for _, sym := range s.cfg.Symbols {
		e, m := exchangeOf(sym), next.Symbols[sym]
		day, _ := e.lastDay(now)
		if m.Bar >= day || now.Sub(m.Asked) < barsAgain || asked == barsPerVisit {
			continue
		}
		asked++
		bars, err := s.barsOf(ctx, sym, m, day)
		var down *fetch.Error
		if errors.As(err, &down) && down.Class != chokepoint.Gone {
			errs = append(errs, fmt.Errorf("quote: %s: bars of %s: %w", s.cfg.Name, sym, err))
			break // it refuses, or cannot be reached: no use to go on
		}
		m.Asked = now
		if err != nil {
			errs = append(errs, fmt.Errorf("quote: %s: bars of %s: %w", s.cfg.Name, sym, err))
			next.Symbols[sym] = m
			continue
		}
		told++
		fresh, history := unknown(bars, m)
		for _, b := range fresh {
			_, end, ok := e.session(noonOf(b.Day, e))
			if !ok {
				end = noonOf(b.Day, e)
			}
			out = append(out, chokepoint.Observation{
				ID:     chokepoint.NewObservationID(s.cfg.Name, "bar", string(sym), b.Day, b.Close.String()),
				Source: s.cfg.Name, Kind: chokepoint.KindBar, At: end, Seen: now, Backfill: history, Bar: &b,
			})
			m.Bar, m.Close = b.Day, b.Close
		}
		next.Symbols[sym] = m
	}
	return out, told, errors.Join(errs...)
}

// barsOf are sym's finished days until day: a year of them if it is new, was
// away for long, or had its past prices changed by a split.
func (s *Source) barsOf(ctx context.Context, sym chokepoint.Symbol, m memory, day string) ([]chokepoint.Bar, error) {
	span := "1mo"
	if newest, err := time.Parse(time.DateOnly, m.Bar); err != nil || mustDay(day).Sub(newest) > 25*24*time.Hour {
		span = "1y"
	}
	bars, err := s.bars.bars(ctx, sym, span)
	if err == nil && span != "1y" && resplit(bars, m) {
		bars, err = s.bars.bars(ctx, sym, "1y")
	}
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(bars, func(b chokepoint.Bar) bool { return b.Day > day }), nil
}

func mustDay(day string) time.Time {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil { // it was formatted so
		panic(err)
	}
	return t
}

// noonOf is a moment of an exchange's day.
func noonOf(day string, e exchange) time.Time {
	d := mustDay(day)
	return time.Date(d.Year(), d.Month(), d.Day(), 12, 0, 0, 0, e.location()).UTC()
}

// resplit says whether the close that was told last has another price now, by
// more than a correction: past prices are given as if a split had always been.
func resplit(bars []chokepoint.Bar, m memory) bool {
	for _, b := range bars {
		if b.Day == m.Bar && m.Close > 0 {
			return b.Close > m.Close+m.Close/5 || b.Close < m.Close-m.Close/5
		}
	}
	return false
}

// unknown are the bars that were not told yet. All of them are history if the
// symbol is new or its past has changed.
func unknown(bars []chokepoint.Bar, m memory) (fresh []chokepoint.Bar, history bool) {
	if m.Bar == "" || resplit(bars, m) {
		return bars, true
	}
	return slices.DeleteFunc(bars, func(b chokepoint.Bar) bool { return b.Day <= m.Bar }), false
}
