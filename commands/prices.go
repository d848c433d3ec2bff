package commands

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chart"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
	"github.com/chokepoint-bot/chokepoint/watchers/price"
)

const (
	maxRules       = 50 // of a chat, the done ones not counted
	maxAskedPrices = 20
)

// price is the latest price of each symbol asked for, or watched.
func (r *request) price() (bot.Answer, error) {
	quotes, err := r.quotes()
	if err != nil {
		return bot.Answer{}, err
	}
	symbols := r.Watch
	if len(r.args) > 0 {
		symbols = nil
		for _, a := range r.args[:min(len(r.args), maxAskedPrices)] {
			s, ok := r.symbol(strings.Trim(a, "?,;"))
			if !ok {
				s = chokepoint.Symbol(clip(strings.ToUpper(a), 20))
			}
			symbols = append(symbols, s)
		}
	}
	if len(symbols) == 1 {
		if q, ok := quotes[symbols[0]]; ok {
			m := bot.Message{Title: strings.Join(compact(string(q.Symbol), r.company(q.Symbol)), " · "), Lines: r.quoteLines(q)}
			m.Actions = []bot.Action{{Label: r.t("commands.action.chart"), Command: "/chart " + string(q.Symbol)}}
			return said(m)
		}
	}
	m := bot.Message{Title: r.t("commands.price.title", i18n.Args{"At": r.clock(r.now)}), Footer: r.t("commands.price.footer")}
	for _, s := range symbols {
		q, ok := quotes[s]
		if !ok {
			m.Lines = append(m.Lines, bot.Labelled(string(s), r.noPrice(s)))
			continue
		}
		m.Lines = append(m.Lines, bot.Line{Mono: true, Spans: []bot.Span{{Text: pad(string(s), 9) + pad(amount(q, true), 13) + pad(change(q), 8) + r.quoteAge(q)}}})
	}
	if len(symbols) == 0 {
		m.Lines = append(m.Lines, bot.Text(r.t("commands.price.none")))
	}
	return said(m)
}

// noPrice says why a symbol has no price.
func (r *request) noPrice(s chokepoint.Symbol) string {
	if r.watched(s) {
		return r.t("commands.price.none-yet")
	}
	return r.t("commands.price.unwatched")
}

// quoteLines is one quote in full.
func (r *request) quoteLines(q chokepoint.Quote) []bot.Line {
	price := bot.Line{Label: r.t("commands.label.price"), Spans: []bot.Span{{Text: amount(q, false), Bold: true}}}
	if c := change(q); c != "" {
		price.Spans = append(price.Spans, bot.Span{Text: " " + c + " " + r.t("commands.quote.prev", i18n.Args{"Prev": q.Prev.Fixed(2)})})
	}
	lines := []bot.Line{price}
	if q.High > 0 && q.Low > 0 {
		lines = append(lines, bot.Labelled(r.t("commands.label.day"), q.Low.Fixed(2)+" – "+q.High.Fixed(2)))
	}
	return append(lines, bot.Labelled(r.t("commands.label.quoted"),
		strings.Join(compact(r.clock(q.At), r.quoteAge(q), provider(q)), " · ")))
}

// provider is whose figure a quote is, as people name it.
func provider(q chokepoint.Quote) string {
	name, _, _ := strings.Cut(q.Provider, "-")
	switch {
	case q.MadeUp || name == "":
		return ""
	case len(name) > 20:
		return clip(name, 20)
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// spans are the stretches that a chart shows.
var spans = map[string]struct{ months, days int }{
	"5d": {0, 7}, "1w": {0, 7}, "1mo": {1, 0}, "1m": {1, 0}, "3mo": {3, 0}, "3m": {3, 0}, "6mo": {6, 0}, "6m": {6, 0}, "1y": {12, 0},
	"1周": {0, 7}, "1个月": {1, 0}, "3个月": {3, 0}, "6个月": {6, 0}, "半年": {6, 0}, "1年": {12, 0}, "一年": {12, 0},
}

// chart draws a symbol's prices, with the chat's levels.
func (r *request) chart() (bot.Answer, error) {
	s, ok := r.symbol(r.args[0])
	if !ok {
		return bot.Answer{}, r.unknownSymbol(r.args[0], "/chart ")
	}
	name := "6mo"
	if len(r.args) > 1 {
		name = strings.ToLower(strings.Join(r.args[1:], ""))
	}
	span, ok := spans[name]
	if !ok {
		return bot.Answer{}, misuse("span", i18n.Args{"Word": clip(name, 40)})
	}
	from := r.now.AddDate(0, -span.months, -span.days).Format(time.DateOnly)
	bars, err := r.Desk.Bars(r.ctx, s, from)
	if err != nil {
		return bot.Answer{}, err
	}
	quotes, err := r.quotes()
	if err != nil {
		return bot.Answer{}, err
	}
	rules, err := r.Desk.Rules(r.ctx, r.chat.ID)
	if err != nil {
		return bot.Answer{}, err
	}

	p := chart.Price{
		Title:  strings.Join(compact(string(s), r.company(s), name), " · "),
		Symbol: s, Bars: bars, Lang: r.lang, Dark: r.in.Chat.Platform == chokepoint.Discord,
	}
	m := bot.Message{Title: p.Title}
	if q, ok := quotes[s]; ok {
		p.Quote, p.Currency = &q, q.Currency
		p.Note = strings.Join(compact(r.clock(q.At), r.quoteAge(q), provider(q)), " · ")
		m.Lines = r.quoteLines(q)
	} else if len(bars) > 0 {
		p.Currency = bars[len(bars)-1].Currency
		p.Note = r.t("commands.chart.no-quote", i18n.Args{"Day": bars[len(bars)-1].Day})
		m.Lines = []bot.Line{bot.Text(p.Note)}
	} else {
		return said(bot.Message{Title: p.Title, Lines: []bot.Line{bot.Text(r.noPrice(s))}})
	}
	for _, rule := range rules {
		c, err := price.ParseCondition(rule.Symbol, rule.Text, time.Time{})
		if err == nil && rule.Symbol == s && !rule.Done && c.Op <= price.Crosses && len(p.Levels) < 6 {
			p.Levels = append(p.Levels, chart.Level{Price: c.Level, Label: price.Condition{Symbol: s, Op: c.Op, Level: c.Level}.In(r.Words, r.lang)})
		}
	}

	select {
	case r.drawing <- struct{}{}:
		defer func() { <-r.drawing }()
	case <-r.ctx.Done():
		return bot.Answer{}, r.ctx.Err()
	}
	var png bytes.Buffer
	if err := p.WritePNG(&png, 800, 450); err != nil {
		return bot.Answer{}, err
	}
	m.Image = png.Bytes()
	m.Alt = r.t("commands.chart.alt", i18n.Args{"Title": p.Title, "Days": len(bars)})
	return said(m)
}

func (r *request) unknownSymbol(s, command string) error {
	var known []string
	for _, w := range r.Watch {
		known = append(known, string(w))
	}
	if near := nearest(s, known); near != "" {
		return mistake("symbol-near", i18n.Args{"Word": clip(s, 20), "Near": command + near})
	}
	return mistake("symbol", i18n.Args{"Word": clip(s, 20), "Known": strings.Join(known, ", ")})
}

// alert makes a price rule.
func (r *request) alert() (bot.Answer, error) {
	line := r.rest
	if s, ok := r.symbol(r.args[0]); ok { // a company by its name
		line = string(s) + " " + strings.Join(r.args[1:], " ")
	}
	c, err := price.ParseRule(line, r.now.In(r.zone))
	if bad := (*price.ParseError)(nil); errors.As(err, &bad) {
		m := bot.Message{Tone: bot.Warn, Lines: []bot.Line{bot.Text(bad.In(r.Words, r.lang))}}
		m.Lines = append(m.Lines, r.usage(r.cmd)...)
		if near := "/alert " + bad.Nearest.String(); len(near) <= 60 {
			m.Actions = []bot.Action{{Label: clip(bad.Nearest.String(), 40), Command: near}}
		}
		return said(m)
	} else if err != nil {
		return bot.Answer{}, err
	}
	if !r.watched(c.Symbol) {
		if s, ok := r.symbol(string(c.Symbol)); ok && r.watched(s) { // "SOX" for "^SOX"
			c.Symbol = s
		} else {
			return bot.Answer{}, r.unknownSymbol(string(c.Symbol), "/alert ")
		}
	}

	rule, old, err := r.addRule(c)
	if err != nil {
		return bot.Answer{}, err
	}
	if old {
		return said(bot.Message{Lines: []bot.Line{bot.Text(r.t("commands.alert.known", i18n.Args{"ID": rule.ID, "Rule": r.ruleText(rule)}))}})
	}
	m := bot.Message{Tone: bot.Good, Lines: []bot.Line{bot.Text(r.t("commands.alert.made", i18n.Args{"ID": rule.ID, "Rule": r.ruleText(rule)}))}}
	quotes, err := r.quotes()
	if err != nil {
		return bot.Answer{}, err
	}
	if q, ok := quotes[c.Symbol]; ok {
		key := "commands.alert.now"
		if c.Op == price.Crosses {
			key = "commands.alert.now-crosses"
		}
		m.Lines = append(m.Lines, bot.Text(r.t(key, i18n.Args{"Price": amount(q, false), "Age": r.quoteAge(q)})))
	} else {
		m.Lines = append(m.Lines, bot.Text(r.noPrice(c.Symbol)))
	}
	m.Actions = []bot.Action{
		{Label: r.t("commands.action.unalert", i18n.Args{"ID": rule.ID}), Command: "/unalert " + rule.ID},
		{Label: r.t("commands.action.rules"), Command: "/rules"},
	}
	return said(m)
}

// addRule writes a rule of the chat; old says that the chat has it already.
func (r *request) addRule(c price.Condition) (rule chokepoint.Rule, old bool, err error) {
	if !r.known { // alerts need a chat that the store knows
		if err := r.changeChat(func(*chokepoint.Chat) {}); err != nil {
			return rule, false, err
		}
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	rules, err := r.Desk.Rules(r.ctx, r.chat.ID)
	if err != nil {
		return rule, false, err
	}
	live, last := 0, 0
	for _, have := range rules {
		if n, err := strconv.Atoi(have.ID); err == nil {
			last = max(last, n)
		}
		if have.Done {
			continue
		}
		live++
		if have.Symbol == c.Symbol && have.Text == c.Text() {
			return have, true, nil
		}
	}
	if live >= maxRules {
		return rule, false, mistake("too-many-rules", i18n.Args{"N": maxRules})
	}
	rule = chokepoint.Rule{Chat: r.chat.ID, ID: strconv.Itoa(last + 1), Symbol: c.Symbol, Text: c.Text(), Made: r.now}
	return rule, false, r.Desk.PutRule(r.ctx, rule)
}

// condition is a rule's text in the chat's language.
func (r *request) condition(rule chokepoint.Rule) string {
	c, err := price.ParseCondition(rule.Symbol, rule.Text, time.Time{})
	if err != nil {
		return rule.Text
	}
	return c.In(r.Words, r.lang)
}

func (r *request) ruleText(rule chokepoint.Rule) string {
	return string(rule.Symbol) + " " + r.condition(rule)
}

// rules is the chat's price rules, and those of the configuration if the chat
// hears them.
func (r *request) rules() (bot.Answer, error) {
	rules, err := r.Desk.Rules(r.ctx, r.chat.ID)
	if err != nil {
		return bot.Answer{}, err
	}
	m := bot.Message{Title: r.t("commands.rules.title")}
	slices.SortStableFunc(rules, func(a, b chokepoint.Rule) int { return cmp.Compare(b2i(a.Done), b2i(b.Done)) })
	for _, rule := range rules {
		m.Lines = append(m.Lines, bot.Labelled(rule.ID, r.ruleText(rule)+" · "+r.ruleState(rule)))
	}
	if len(rules) == 0 {
		m.Lines = append(m.Lines, bot.Text(r.t("commands.rules.none")))
		m.Lines = append(m.Lines, bot.Labelled(r.t("commands.example"), r.t("commands.alert.example")))
	} else {
		m.Footer = r.t("commands.rules.footer")
	}
	if !slices.ContainsFunc(r.Topics, func(t Topic) bool { return t.Kind == "price" && r.chat.Follows(t.Name) }) {
		return said(m)
	}
	configured, err := r.Desk.Rules(r.ctx, chokepoint.ChatID{})
	if err != nil {
		return bot.Answer{}, err
	}
	if len(configured) > 0 {
		m.Lines = append(m.Lines, bot.Line{}, bot.Text(r.t("commands.rules.configured")))
	}
	for _, rule := range configured {
		m.Lines = append(m.Lines, bot.Text("· "+r.ruleText(rule)+" · "+r.ruleState(rule)))
	}
	return said(m)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r *request) ruleState(rule chokepoint.Rule) string {
	args := i18n.Args{"N": rule.Firings, "Ago": r.ago(rule.Fired)}
	switch {
	case rule.Done && rule.Firings == 0:
		return r.t("commands.rule.expired")
	case rule.Done:
		return r.t("commands.rule.done", args)
	case rule.Firings == 0:
		return r.t("commands.rule.waiting")
	}
	return r.t("commands.rule.fired", args)
}

// unalert deletes a rule of the chat.
func (r *request) unalert() (bot.Answer, error) {
	id := clip(strings.TrimPrefix(r.args[0], "#"), 20)
	if err := r.Desk.DeleteRule(r.ctx, r.chat.ID, id); err != nil {
		return bot.Answer{}, r.notFound(err, "no-rule", i18n.Args{"ID": id})
	}
	return said(bot.Message{Tone: bot.Good, Lines: []bot.Line{bot.Text(r.t("commands.unalert.done", i18n.Args{"ID": id}))}})
}

// notFound makes a person's mistake of ErrNotFound.
func (r *request) notFound(err error, key string, args i18n.Args) error {
	if errors.Is(err, chokepoint.ErrNotFound) {
		return mistake(key, args)
	}
	return err
}
