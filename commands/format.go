package commands

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
	"github.com/chokepoint-bot/chokepoint/internal/near"
)

func words(s string) []string { return strings.Fields(s) }

// clip cuts s to n runes.
func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// nearest is the candidate closest to word, by letters that were dropped,
// added, changed, or swapped with their neighbour: at most one of four, two in
// a longer word. "" if none is that close.
func nearest(word string, candidates []string) string {
	w := strings.ToLower(word)
	best, at := "", 2
	if utf8.RuneCountInString(w) > 4 {
		at = 3
	}
	for _, c := range candidates {
		if d := near.Distance(w, strings.ToLower(c)); d < at && d < len([]rune(c)) {
			best, at = c, d
		}
	}
	return best
}

// span words a length of time in one unit: "40 s", "12 d".
func (r *request) span(d time.Duration) string {
	n, key := int(d/time.Second), "seconds"
	switch {
	case d < 0:
		n = 0
	case d >= 48*time.Hour:
		n, key = int(d/(24*time.Hour)), "days"
	case d >= 2*time.Hour:
		n, key = int(d/time.Hour), "hours"
	case d >= 2*time.Minute:
		n, key = int(d/time.Minute), "minutes"
	}
	return r.t("commands.span."+key, i18n.Args{"N": n})
}

// age is how long t has been.
func (r *request) age(t time.Time) string { return r.span(r.now.Sub(t)) }

// ago is age as part of a sentence.
func (r *request) ago(t time.Time) string {
	if t.IsZero() {
		return r.t("commands.never")
	}
	return r.t("commands.ago", i18n.Args{"Span": r.age(t)})
}

// clock is a moment in the chat's zone.
func (r *request) clock(t time.Time) string {
	if r.lang == chokepoint.Chinese {
		return t.In(r.zone).Format("1月2日 15:04 MST")
	}
	return t.In(r.zone).Format("Mon 2 Jan 15:04 MST")
}

// date is a day in the chat's zone.
func (r *request) date(t time.Time) string {
	layout := "2 Jan"
	if r.lang == chokepoint.Chinese {
		layout = "1月2日"
	}
	if r.now.Sub(t) > 300*24*time.Hour {
		layout = time.DateOnly
	}
	return t.In(r.zone).Format(layout)
}

// bracket puts a note in brackets behind what it is about.
func (r *request) bracket(note string) string {
	return r.t("commands.bracket", i18n.Args{"Note": note})
}

// money words an amount such as "300000000 USD" in the language's large units.
// What it cannot read it shows as it is.
func (r *request) money(s string) string {
	number, currency, _ := strings.Cut(s, " ")
	d, err := chokepoint.ParseDecimal(number)
	if err != nil {
		return clip(s, 40)
	}
	large, small := chokepoint.Decimal(1_000_000_000), chokepoint.Decimal(1_000_000)
	if r.lang == chokepoint.Chinese {
		large, small = 100_000_000, 10_000 // 亿, 万
	}
	size := max(d, -d)
	switch {
	case size/chokepoint.Unit >= large:
		return r.t("commands.money.large", i18n.Args{"N": plain(d / large), "Currency": currency})
	case size/chokepoint.Unit >= small:
		return r.t("commands.money.small", i18n.Args{"N": plain(d / small), "Currency": currency})
	}
	return strings.TrimSpace(plain(d) + " " + currency)
}

// plain is d with at most two digits after the point.
func plain(d chokepoint.Decimal) string {
	s := d.Fixed(2)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// term words a length of an agreement such as "5y".
func (r *request) term(s string) string {
	if years, ok := strings.CutSuffix(s, "y"); ok {
		return r.t("commands.term.years", i18n.Args{"N": clip(years, 10)})
	}
	return clip(s, 20)
}

func (r *request) product(s string) string {
	if key := "commands.product." + s; s != "" && r.Words.Has(key) {
		return r.t(key)
	}
	return clip(s, 40)
}

// amount is a price with its currency, "" for US dollars where short.
func amount(q chokepoint.Quote, short bool) string {
	s := q.Price.Fixed(2)
	if q.Currency != "" && !(short && q.Currency == "USD") {
		s += " " + q.Currency
	}
	return s
}

// change is a quote's change from the previous close, "" if that is unknown.
func change(q chokepoint.Quote) string {
	if q.Prev <= 0 {
		return ""
	}
	d, ok := chokepoint.DecimalFromFloat((q.Price.Float()/q.Prev.Float()-1)*100, 1)
	if !ok {
		return ""
	}
	if d < 0 {
		return "−" + (-d).Fixed(1) + "%"
	}
	return "+" + d.Fixed(1) + "%"
}

// quoteAge is how old a price is, and how late its venue's feed.
func (r *request) quoteAge(q chokepoint.Quote) string {
	args := i18n.Args{"Age": r.age(q.At), "Late": r.span(q.Delayed)}
	switch {
	case q.MadeUp:
		return r.t("commands.quote.madeup")
	case q.Session == chokepoint.SessionClosed:
		return r.t("commands.quote.closed", args)
	case q.Delayed > 0:
		return r.t("commands.quote.late", args)
	case q.Session == chokepoint.SessionPre:
		return r.t("commands.quote.pre", args)
	case q.Session == chokepoint.SessionPost:
		return r.t("commands.quote.post", args)
	}
	return r.t("commands.quote.live", args)
}

// evidence is a line on a document, with its address behind the title.
func (r *request) evidence(e chokepoint.Evidence) bot.Line {
	star := "· "
	if e.Primary {
		star = "★ "
	}
	title := clip(e.Title, 120)
	if title == "" {
		title = e.Publisher
	}
	l := bot.Line{Spans: []bot.Span{{Text: star}, {Text: title, URL: e.URL}}}
	tail := ""
	if e.Publisher != "" && e.Publisher != title {
		tail = " · " + e.Publisher
	}
	if !e.Published.IsZero() {
		tail += " · " + r.date(e.Published)
	}
	if tail != "" {
		l.Spans = append(l.Spans, bot.Span{Text: tail})
	}
	return l
}

// state words a card's state; one that the catalog lacks is shown as it is.
func (r *request) state(s string) string {
	if s == "" {
		return r.t("commands.state.unjudged")
	}
	if key := "commands.state." + s; r.Words.Has(key) {
		return r.t(key)
	}
	return s
}

// catalystSigns and surenessSigns make states readable at a glance.
var (
	catalystSigns = map[string]string{"waiting": "○", "reported": "◔", "moving": "▲", "done": "●", "setback": "▼", "": "?"}
	surenessSigns = map[string]string{"rumour": "○", "reported": "◔", "confirmed": "◕", "filed": "●", "denied": "×"}
)

// trendSign is ▲ where a risk rises, which is worse.
func trendSign(d chokepoint.Direction) string { return [...]string{"▼", "=", "▲"}[d+1] }

// board is the cards by kind and ID.
type board map[chokepoint.CardKind]map[string]chokepoint.Card

func (r *request) board() (board, error) {
	cards, err := r.Desk.Board(r.ctx)
	if err != nil {
		return nil, err
	}
	b := board{}
	for _, c := range cards {
		if b[c.Kind] == nil {
			b[c.Kind] = map[string]chokepoint.Card{}
		}
		b[c.Kind][c.ID] = c
	}
	return b, nil
}

// quotes is the latest price of each symbol.
func (r *request) quotes() (map[chokepoint.Symbol]chokepoint.Quote, error) {
	all, err := r.Desk.Quotes(r.ctx)
	if err != nil {
		return nil, err
	}
	by := map[chokepoint.Symbol]chokepoint.Quote{}
	for _, q := range all {
		by[q.Symbol] = q
	}
	return by, nil
}

// symbol finds a watched symbol, or a company's, by symbol or name.
func (r *request) symbol(s string) (chokepoint.Symbol, bool) {
	s = strings.TrimPrefix(s, "$")
	for _, w := range r.Watch {
		if strings.EqualFold(string(w), s) || strings.EqualFold(strings.TrimPrefix(string(w), "^"), s) {
			return w, true
		}
	}
	for _, c := range r.Thesis.Companies {
		if c.Symbol == "" {
			continue
		}
		if strings.EqualFold(string(c.Symbol), s) {
			return c.Symbol, true
		}
		for _, name := range c.Name {
			if strings.EqualFold(name, s) {
				return c.Symbol, true
			}
		}
	}
	return "", false
}

func (r *request) watched(s chokepoint.Symbol) bool {
	for _, w := range r.Watch {
		if w == s {
			return true
		}
	}
	return false
}

// company is a symbol's name in the chat's language, "" if the thesis has
// none.
func (r *request) company(s chokepoint.Symbol) string {
	for _, c := range r.Thesis.Companies {
		if c.Symbol == s {
			return c.Name.In(r.lang)
		}
	}
	return ""
}
