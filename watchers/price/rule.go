// Package price judges price rules over quotes and daily bars: levels, moves
// and swings, in a small language that people type and configure, in English
// and Chinese.
//
//	rule      = symbol condition
//	condition = "above" price | "below" price | "crosses" price
//	          | "moves" ["up" | "down"] percent "%" ["in" span]   (span: 1d if left out)
//	          | "swings" percent "%"
//	then any of "once", "every" time, "cooldown" time, "until" day, "urgent"
//
// A span is minutes or hours up to 8 h, against the price that long ago, or
// trading days up to 60 d, against a close: "1d" is against the previous
// regular close. A swing is the day's high less its low, in per cent of the
// previous close, or of the low if that is unknown.
package price

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
)

// Op is what a condition looks at.
type Op uint8

const (
	Above   Op = iota + 1 // price > Level
	Below                 // price < Level
	Crosses               // from one side of Level to the other
	Moves                 // |price / reference − 1| ≥ Level per cent
	Swings                // (high − low) / previous close ≥ Level per cent
)

var opNames = [...]string{Above: "above", Below: "below", Crosses: "crosses", Moves: "moves", Swings: "swings"}

// Condition is a rule as it was understood. Symbol and Text say it again in
// the canonical form, which reads back as the same Condition.
type Condition struct {
	Symbol   chokepoint.Symbol
	Op       Op
	Level    chokepoint.Decimal   // a price; for Moves and Swings, per cent
	Way      chokepoint.Direction // Moves: only up or only down; Neutral for either
	Days     int                  // Moves: trading days back, 1-60; 0 if Span is set
	Span     time.Duration        // Moves: 1 m to 8 h
	Once     bool                 // done after it has fired
	Every    time.Duration        // said again this often while it holds; 0 waits until the price came back
	Cooldown time.Duration        // silence after firing
	Until    string               // last day on which it counts, in the exchange's zone, YYYY-MM-DD; "" for ever
	Urgent   bool                 // passes quiet hours
}

// The bounds of the language.
const (
	maxDays   = 60
	maxSpan   = 8 * time.Hour
	maxRepeat = 30 * 24 * time.Hour
	maxText   = 200 // bytes
)

// Text is the canonical condition without the symbol, as Rule.Text keeps it:
// "moves up 5% in 30m once".
func (c Condition) Text() string {
	var b strings.Builder
	b.WriteString(opNames[c.Op])
	switch c.Way {
	case chokepoint.Positive:
		b.WriteString(" up")
	case chokepoint.Negative:
		b.WriteString(" down")
	}
	b.WriteString(" " + c.Level.String())
	switch c.Op {
	case Moves:
		b.WriteString("% in " + c.span())
	case Swings:
		b.WriteString("%")
	}
	if c.Once {
		b.WriteString(" once")
	}
	if c.Every > 0 {
		b.WriteString(" every " + short(c.Every))
	}
	if c.Cooldown > 0 {
		b.WriteString(" cooldown " + short(c.Cooldown))
	}
	if c.Until != "" {
		b.WriteString(" until " + c.Until)
	}
	if c.Urgent {
		b.WriteString(" urgent")
	}
	return b.String()
}

// String is the symbol and Text.
func (c Condition) String() string { return string(c.Symbol) + " " + c.Text() }

// In is the condition in a language, without the symbol. It reads back as the
// same Condition too.
func (c Condition) In(w *i18n.Catalog, lang chokepoint.Language) string {
	key := "price.rule." + opNames[c.Op]
	args := i18n.Args{"Level": c.Level.String()}
	if c.Op == Moves {
		key += [...]string{"-down", "", "-up"}[c.Way+1]
		args["Span"] = spanIn(w, lang, c.span())
	}
	parts := []string{w.T(lang, key, args)}
	if c.Once {
		parts = append(parts, w.T(lang, "price.rule.once"))
	}
	if c.Every > 0 {
		parts = append(parts, w.T(lang, "price.rule.every", i18n.Args{"Span": spanIn(w, lang, short(c.Every))}))
	}
	if c.Cooldown > 0 {
		parts = append(parts, w.T(lang, "price.rule.cooldown", i18n.Args{"Span": spanIn(w, lang, short(c.Cooldown))}))
	}
	if c.Until != "" {
		parts = append(parts, w.T(lang, "price.rule.until", i18n.Args{"Day": c.Until}))
	}
	if c.Urgent {
		parts = append(parts, w.T(lang, "price.rule.urgent"))
	}
	return strings.Join(parts, " ")
}

func (c Condition) span() string {
	if c.Days > 0 {
		return strconv.Itoa(c.Days) + "d"
	}
	return short(c.Span)
}

// short writes whole minutes as people do: "30m", "90m", "2h", "3d".
func short(d time.Duration) string {
	switch {
	case d%(24*time.Hour) == 0:
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	case d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	}
	return strconv.Itoa(int(d/time.Minute)) + "m"
}

// spanIn words a span such as "30m".
func spanIn(w *i18n.Catalog, lang chokepoint.Language, s string) string {
	n, _ := strconv.Atoi(s[:len(s)-1])
	key := map[byte]string{'m': "price.span.minutes", 'h': "price.span.hours", 'd': "price.span.days"}[s[len(s)-1]]
	return w.T(lang, key, i18n.Args{"N": n})
}

// ParseError says what in a rule could not be read. In words it for a person.
type ParseError struct {
	Key     string    // of the catalog, such as "price.err.word"
	Word    string    // the part it is about, as it was typed; "" if it is about the whole
	Nearest Condition // the nearest rule that would be read
}

func (e *ParseError) Error() string {
	reason := strings.TrimPrefix(e.Key, "price.err.")
	if e.Word != "" {
		reason += fmt.Sprintf(" %q", e.Word)
	}
	return fmt.Sprintf("price: rule not understood (%s); the nearest that is: %q", reason, e.Nearest)
}

// In words the mistake and the nearest rule that would be read.
func (e *ParseError) In(w *i18n.Catalog, lang chokepoint.Language) string {
	return w.T(lang, e.Key, i18n.Args{"Word": e.Word}) +
		w.T(lang, "price.err.nearest", i18n.Args{"Rule": string(e.Nearest.Symbol) + " " + e.Nearest.In(w, lang)})
}

// ParseRule reads a symbol with its condition, such as "AAOI below 20 once" or
// "AAOI 跌破 20 一次". now, in the person's zone, says which day "until Friday"
// means; a zero now takes only dates, as a configuration must. A mistake is a
// *ParseError.
func ParseRule(line string, now time.Time) (Condition, error) {
	line = fold(line)
	symbol, rest := cutSymbol(line)
	if first := strings.ToLower(symbol); symbol == "" || vocabulary[first].is != 0 {
		// "below 20" leaves the symbol out; "ON below 20" does not.
		if d := read(line); symbol == "" || d.ops() > 0 && read(rest).ops() == 0 {
			d.symbol = exampleSymbol
			return Condition{}, d.misread("price.err.no-symbol", "", now)
		}
	}
	return parse(symbol, rest, now)
}

// ParseCondition reads a condition of a symbol, such as Rule.Symbol and
// Rule.Text. now is as for ParseRule.
func ParseCondition(symbol chokepoint.Symbol, text string, now time.Time) (Condition, error) {
	s, rest := cutSymbol(fold(string(symbol)))
	if s == "" || rest != "" {
		d := read(fold(text))
		d.symbol = exampleSymbol
		return Condition{}, d.misread("price.err.symbol", clip(string(symbol)), now)
	}
	return parse(s, fold(text), now)
}

func parse(symbol, text string, now time.Time) (Condition, error) {
	d := read(text)
	d.symbol = chokepoint.Symbol(strings.ToUpper(symbol))
	if len(text) > maxText {
		return Condition{}, d.misread("price.err.long", "", now)
	}
	c, key, word := d.finish(now)
	if key != "" {
		return Condition{}, d.misread(key, word, now)
	}
	return c, nil
}

// Configured makes the rules of a configuration from its lines. Their IDs stay
// the same while the lines do. The error joins a *ParseError per bad line.
func Configured(lines []string, now time.Time) ([]chokepoint.Rule, error) {
	var rules []chokepoint.Rule
	var errs []error
	for i, line := range lines {
		c, err := ParseRule(line, time.Time{})
		if err != nil {
			errs = append(errs, fmt.Errorf("rule %d, %q: %w", i+1, line, err))
			continue
		}
		rules = append(rules, chokepoint.Rule{
			ID:     chokepoint.ShortHash(4, c.String()),
			Symbol: c.Symbol, Text: c.Text(), Made: now,
		})
	}
	return rules, errors.Join(errs...)
}
