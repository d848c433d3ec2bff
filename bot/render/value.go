package render

import (
	"strconv"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
)

// company is the name of a company by its symbol, or what is given.
func (p page) company(s string) string {
	if c, ok := p.companies[chokepoint.Symbol(s)]; ok && len(c.Name) > 0 {
		return c.Name.In(p.lang)
	}
	return bot.Neutral(s)
}

// parties names a fact that holds symbols or names, joined by commas.
func (p page) parties(fact string) string {
	var names []string
	for s := range strings.SplitSeq(p.fact(fact), ",") {
		switch s = strings.TrimSpace(s); s {
		case "":
		case "unnamed hyperscaler", "undisclosed":
			names = append(names, p.t("render.party."+strings.ReplaceAll(s, " ", "-")))
		default:
			names = append(names, p.company(s))
		}
	}
	if len(names) == 0 {
		return p.t("render.party.undisclosed")
	}
	return strings.Join(names, p.t("render.party.and"))
}

// site is the site's name as part of a sentence about its company, else as the
// thesis has it.
func (p page) site() string {
	id := p.fact("site")
	if s := p.th.Site(id); s != nil && !p.words.Has("render.site."+id) {
		return s.Name.In(p.lang)
	}
	return p.member("site", id)
}

// money words an amount such as "300000000 USD": "$300M", "3 亿美元". What it
// cannot read it shows as it is.
func (p page) money(s string) string {
	number, currency, _ := strings.Cut(s, " ")
	d, err := chokepoint.ParseDecimal(number)
	if s == "" || err != nil {
		return bot.Neutral(s)
	}
	f := d.Float()
	if p.lang == chokepoint.Chinese {
		unit := ""
		switch {
		case f >= 1e8:
			f, unit = f/1e8, "亿"
		case f >= 1e4:
			f, unit = f/1e4, "万"
		}
		return strings.TrimSpace(round(f) + " " + unit + p.member("currency", currency))
	}
	unit := ""
	switch {
	case f >= 1e9:
		f, unit = f/1e9, "B"
	case f >= 1e6:
		f, unit = f/1e6, "M"
	case f >= 1e4:
		f, unit = f/1e3, "k"
	}
	if currency == "USD" {
		return "$" + round(f) + unit
	}
	return strings.TrimSpace(round(f) + unit + " " + currency)
}

// price is a price in the fact "currency": "$33.91", "98.40 SEK", "33.91 美元".
func (p page) price(s string) string {
	currency := p.fact("currency")
	switch {
	case currency == "" || s == "":
		return cents(s)
	case p.lang == chokepoint.Chinese:
		return cents(s) + " " + p.member("currency", currency)
	case currency == "USD":
		return "$" + cents(s)
	}
	return cents(s) + " " + currency
}

// span words the time of a move: "30m0s" as "30 min", "5d" as "5 days".
func (p page) span(s string) string {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil {
			return p.t("render.span.days", i18n.Args{"Count": n})
		}
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return s
	case d%time.Hour == 0:
		return p.t("render.span.hours", i18n.Args{"Count": int(d / time.Hour)})
	}
	return p.t("render.span.minutes", i18n.Args{"Count": int(d / time.Minute)})
}

// cents is a price with at least two digits after the point.
func cents(s string) string {
	if d, err := chokepoint.ParseDecimal(s); err == nil {
		if two := d.Fixed(2); strings.HasPrefix(two, d.String()) {
			return two
		}
	}
	return bot.Neutral(s)
}

// tenth is a percentage with one digit after the point at most.
func tenth(s string) string {
	if d, err := chokepoint.ParseDecimal(s); err == nil {
		return strings.TrimSuffix(d.Fixed(1), ".0")
	}
	return s
}

// round is f with at most two digits after the point.
func round(f float64) string {
	s := strconv.FormatFloat(f, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// count is a whole number with thousands marked.
func (p page) count(s string) string {
	if _, err := strconv.ParseUint(s, 10, 62); err != nil {
		return bot.Neutral(s)
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// area words square feet.
func (p page) area(s string) string {
	s = strings.TrimSuffix(s, " sqft")
	n, err := strconv.ParseUint(s, 10, 62)
	if err != nil {
		return bot.Neutral(s)
	}
	if p.lang == chokepoint.Chinese && n >= 10000 {
		return round(float64(n)/1e4) + " 万"
	}
	return p.count(s)
}

// term words a span such as "5y", "18m" or "multiyear".
func (p page) term(s string) string {
	if s == "" {
		return ""
	}
	if n, err := strconv.Atoi(s[:len(s)-1]); err == nil {
		switch s[len(s)-1] {
		case 'y':
			return p.t("render.years", i18n.Args{"Count": n})
		case 'm':
			return p.t("render.months", i18n.Args{"Count": n})
		}
	}
	if p.words.Has("render.term." + s) {
		return p.t("render.term." + s)
	}
	return bot.Neutral(s)
}

// day words a day, or what is given.
func (p page) day(s string) string {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return bot.Neutral(s)
	}
	if p.lang == chokepoint.Chinese {
		return t.Format("2006-01-02")
	}
	return t.Format("2 Jan 2006")
}

// clock is a moment in the chat's zone: the time alone within the day it is
// sent, with the day otherwise.
func (p page) clock(t time.Time) string {
	if t.Equal(t.UTC().Truncate(24 * time.Hour)) { // a day, of which no time is known
		return p.day(t.UTC().Format(time.DateOnly))
	}
	t = t.In(p.zone)
	sent := p.sent.In(p.zone)
	if t.Year() == sent.Year() && t.YearDay() == sent.YearDay() {
		return t.Format("15:04:05")
	}
	layout := "2 Jan 15:04"
	if p.lang == chokepoint.Chinese {
		layout = "1-02 15:04"
	}
	if t.Year() != sent.Year() {
		layout = "2006-01-02 15:04"
	}
	return t.Format(layout)
}
