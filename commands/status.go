package commands

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
	"github.com/chokepoint-bot/chokepoint/internal/thesis"
)

// statusPrices is how many prices /status shows; /price shows all.
const statusPrices = 8

// status is the thesis at a glance, or what is known of one symbol, catalyst,
// signal or risk.
func (r *request) status() (bot.Answer, error) {
	if len(r.args) > 0 {
		return r.statusOf(strings.TrimRight(r.rest, "?"))
	}
	board, err := r.board()
	if err != nil {
		return bot.Answer{}, err
	}
	quotes, err := r.quotes()
	if err != nil {
		return bot.Answer{}, err
	}
	cover, err := r.coverage()
	if err != nil {
		return bot.Answer{}, err
	}

	m := bot.Message{Title: r.Thesis.Title.In(r.lang) + " · " + r.clock(r.now)}
	for i, s := range r.Thesis.Signals {
		label := ""
		if i == 0 {
			label = r.t("commands.label.signals")
		}
		m.Lines = append(m.Lines, bot.Line{Label: label, Spans: []bot.Span{
			{Text: strconv.Itoa(i+1) + " "}, {Text: s.Title.In(r.lang), Bold: true}, {Text: r.t("commands.colon") + r.signal(s, board, cover)},
		}})
	}
	var catalysts []string
	for _, c := range r.Thesis.Catalysts {
		catalysts = append(catalysts, r.catalystShort(c, board[chokepoint.CardCatalyst][c.ID]))
	}
	if len(catalysts) > 0 {
		m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.catalysts"), strings.Join(catalysts, " · ")))
	}
	if len(r.Thesis.Risks) > 0 {
		m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.risks"), r.riskCount(board)))
	}
	var prices []string
	for _, s := range r.Watch {
		if q, ok := quotes[s]; ok && len(prices) < statusPrices {
			prices = append(prices, strings.Join(compact(string(s), amount(q, true), change(q)), " ")+r.bracket(r.quoteAge(q)))
		}
	}
	switch {
	case len(prices) > 0:
		if len(r.Watch) > len(prices) {
			prices = append(prices, "/price")
		}
		m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.prices"), strings.Join(prices, " · ")))
	case len(r.Watch) > 0:
		m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.prices"), r.t("commands.price.none-yet")))
	}
	m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.coverage"), cover.line(r)))
	m.Actions = []bot.Action{
		{Label: r.t("commands.action.risks"), Command: "/risks"},
		{Label: r.t("commands.action.prices"), Command: "/price"},
		{Label: r.t("commands.action.alerts"), Command: "/alerts"},
	}
	r.followHint(&m)
	return said(m)
}

func compact(parts ...string) []string {
	return slices.DeleteFunc(parts, func(s string) bool { return s == "" })
}

// signal says how a signal stands, by the cards of the watcher that keeps it.
func (r *request) signal(s thesis.Signal, b board, cover coverage) string {
	kind := ""
	for _, t := range r.Topics {
		if t.Name == s.Watcher {
			kind = t.Kind
		}
	}
	var parts []string
	card, ok := b.signalCard(s)
	switch {
	case kind == "lta":
		parts = append(parts, r.newestAgreements(b))
	case !ok:
		parts = append(parts, r.state(""))
	default:
		parts = append(parts, r.state(card.State), r.lastEvidence(card))
	}
	if kind == "expansion" {
		parts = append(parts, cover.permits(r))
	}
	return strings.Join(compact(parts...), " · ")
}

func (b board) signalCard(s thesis.Signal) (chokepoint.Card, bool) {
	for _, kind := range []chokepoint.CardKind{chokepoint.CardSignal, chokepoint.CardSite} {
		for _, id := range []string{s.ID, string(s.Watcher)} {
			if c, ok := b[kind][id]; ok {
				return c, true
			}
		}
	}
	return chokepoint.Card{}, false
}

// lastEvidence is how old a card's newest evidence is, and whose it was.
func (r *request) lastEvidence(c chokepoint.Card) string {
	if c.Latest.IsZero() {
		return r.t("commands.evidence.none")
	}
	by := ""
	if len(c.Evidence) > 0 {
		by = c.Evidence[0].Publisher
	}
	if by == "" {
		return r.t("commands.evidence.last", i18n.Args{"Ago": r.ago(c.Latest)})
	}
	return r.t("commands.evidence.last-by", i18n.Args{"Ago": r.ago(c.Latest), "By": clip(by, 40)})
}

// newestAgreements names the agreements with the newest evidence.
func (r *request) newestAgreements(b board) string {
	cards := b.agreements()
	if len(cards) == 0 {
		return r.t("commands.lta.none")
	}
	var names []string
	for _, c := range cards[:min(len(cards), 2)] {
		names = append(names, r.t("commands.lta.one", i18n.Args{
			"Parties": c.ID, "Sign": surenessSigns[c.State], "State": r.state(c.State), "Ago": r.ago(cmp.Or(c.Latest, c.Since)),
		}))
	}
	return strings.Join(names, " · ") + " ▸ /lta"
}

// agreements is newest evidence first.
func (b board) agreements() []chokepoint.Card {
	var cards []chokepoint.Card
	for _, c := range b[chokepoint.CardAgreement] {
		cards = append(cards, c)
	}
	slices.SortFunc(cards, func(x, y chokepoint.Card) int {
		return cmp.Or(cmp.Or(y.Latest, y.Since).Compare(cmp.Or(x.Latest, x.Since)), strings.Compare(x.ID, y.ID))
	})
	return cards
}

// catalystShort is a catalyst in a few words: "AMD LTA ◔ reported 12 d".
func (r *request) catalystShort(c thesis.Catalyst, card chokepoint.Card) string {
	name := cmp.Or(c.Short.In(r.lang), c.Title.In(r.lang)) + " " + catalystSigns[card.State] + " " + r.state(card.State)
	switch {
	case card.State == "":
		return name
	case card.Latest.IsZero():
		return name + r.bracket(r.t("commands.evidence.none"))
	}
	return name + r.bracket(r.ago(card.Latest))
}

func (r *request) riskCount(b board) string {
	n := map[string]int{}
	oldest := time.Time{}
	for _, k := range r.Thesis.Risks {
		c := b[chokepoint.CardRisk][k.ID]
		n[c.State]++
		if !c.Updated.IsZero() && (oldest.IsZero() || c.Updated.Before(oldest)) {
			oldest = c.Updated
		}
	}
	var parts []string
	for _, state := range []string{"high", "elevated", "normal", ""} {
		if n[state] > 0 {
			parts = append(parts, strconv.Itoa(n[state])+" "+r.state(state))
		}
	}
	s := strings.Join(parts, " · ")
	if !oldest.IsZero() {
		s += r.bracket(r.t("commands.judged", i18n.Args{"Ago": r.ago(oldest)}))
	}
	return s + " ▸ /risks"
}

// statusOf is what is known of one thing.
func (r *request) statusOf(about string) (bot.Answer, error) {
	board, err := r.board()
	if err != nil {
		return bot.Answer{}, err
	}
	if s, ok := r.symbol(about); ok {
		return r.statusOfSymbol(s, board)
	}
	var names []string
	for _, c := range r.Thesis.Catalysts {
		if called(about, c.ID, c.Short, c.Title) {
			return r.statusOfCatalyst(c, board)
		}
		names = append(names, c.ID)
	}
	for i, k := range r.Thesis.Risks {
		if called(about, k.ID, k.Title) {
			return r.riskInFull(i, board)
		}
		names = append(names, k.ID)
	}
	for _, s := range r.Thesis.Signals {
		if called(about, s.ID, s.Title) || called(about, string(s.Watcher)) {
			return r.statusOfSignal(s, board)
		}
		names = append(names, s.ID)
	}
	for _, s := range r.Watch {
		names = append(names, string(s))
	}
	if near := nearest(about, names); near != "" {
		return bot.Answer{}, mistake("about-near", i18n.Args{"Word": clip(about, 40), "Near": "/status " + near})
	}
	return bot.Answer{}, mistake("about", i18n.Args{"Word": clip(about, 40), "Known": strings.Join(names, ", ")})
}

// called says whether a person means a thing by its ID or one of its names.
func called(word, id string, names ...thesis.Text) bool {
	if strings.EqualFold(word, id) {
		return true
	}
	for _, n := range names {
		for _, s := range n {
			if strings.EqualFold(word, s) {
				return true
			}
		}
	}
	return false
}

func (r *request) statusOfSymbol(s chokepoint.Symbol, b board) (bot.Answer, error) {
	quotes, err := r.quotes()
	if err != nil {
		return bot.Answer{}, err
	}
	alerts, err := r.Desk.Alerts(r.ctx, chokepoint.AlertQuery{Chat: r.chat.ID, N: 100})
	if err != nil {
		return bot.Answer{}, err
	}
	rules, err := r.Desk.Rules(r.ctx, r.chat.ID)
	if err != nil {
		return bot.Answer{}, err
	}
	m := bot.Message{Title: strings.Join(compact(string(s), r.company(s)), " · ")}
	if q, ok := quotes[s]; ok {
		m.Lines = append(m.Lines, r.quoteLines(q)...)
	} else {
		m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.price"), r.noPrice(s)))
	}
	for _, c := range r.Thesis.Catalysts {
		if slices.Contains(c.Symbols, s) {
			card := b[chokepoint.CardCatalyst][c.ID]
			m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.catalyst"),
				catalystSigns[card.State]+" "+c.Title.In(r.lang)+r.t("commands.colon")+r.state(card.State)+" · "+r.lastEvidence(card)))
		}
	}
	for _, k := range r.Thesis.Risks {
		if slices.Contains(k.Symbols, s) {
			card := b[chokepoint.CardRisk][k.ID]
			m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.risk"), k.Title.In(r.lang)+r.t("commands.colon")+r.riskLine(card)))
		}
	}
	for _, rule := range rules {
		if rule.Symbol == s && !rule.Done {
			m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.rule"), rule.ID+r.t("commands.colon")+r.condition(rule)))
		}
	}
	shown := 0
	for _, a := range alerts {
		if slices.Contains(a.Symbols, s) && shown < 5 {
			shown++
			m.Lines = append(m.Lines, r.alertLine(a))
		}
	}
	if r.watched(s) {
		m.Actions = append(m.Actions, bot.Action{Label: r.t("commands.action.chart"), Command: "/chart " + string(s)})
	}
	return said(m)
}

func (r *request) statusOfCatalyst(c thesis.Catalyst, b board) (bot.Answer, error) {
	card := b[chokepoint.CardCatalyst][c.ID]
	m := bot.Message{Title: catalystSigns[card.State] + " " + c.Title.In(r.lang)}
	m.Lines = append(m.Lines, r.cardLines(card)...)
	if why := c.Why.In(r.lang); why != "" {
		m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.why"), why))
	}
	for _, id := range c.Against {
		for _, k := range r.Thesis.Risks {
			if k.ID == id {
				m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.cold"), k.Title.In(r.lang)+r.t("commands.colon")+r.riskLine(b[chokepoint.CardRisk][id])))
			}
		}
	}
	r.cardEvidence(&m, card)
	return said(m)
}

func (r *request) statusOfSignal(s thesis.Signal, b board) (bot.Answer, error) {
	cover, err := r.coverage()
	if err != nil {
		return bot.Answer{}, err
	}
	m := bot.Message{Title: s.Title.In(r.lang), Lines: []bot.Line{bot.Text(r.signal(s, b, cover))}}
	if card, ok := b.signalCard(s); ok {
		m.Lines = append(m.Lines, r.cardLines(card)...)
		r.cardEvidence(&m, card)
	}
	return said(m)
}

// cardLines is a card's state with its ages.
func (r *request) cardLines(c chokepoint.Card) []bot.Line {
	if c.State == "" {
		return []bot.Line{bot.Labelled(r.t("commands.label.state"), r.state(""))}
	}
	state := r.state(c.State)
	if !c.Since.IsZero() {
		state = r.t("commands.since", i18n.Args{"State": state, "Day": r.date(c.Since), "Ago": r.ago(c.Since)})
	}
	return []bot.Line{
		bot.Labelled(r.t("commands.label.state"), state),
		bot.Labelled(r.t("commands.label.evidence"), r.t("commands.evidence.count", i18n.Args{"Count": c.Count, "Last": r.lastEvidence(c)})),
		bot.Labelled(r.t("commands.label.judged"), r.ago(c.Updated)),
	}
}

func (r *request) cardEvidence(m *bot.Message, c chokepoint.Card) {
	for _, e := range c.Evidence {
		m.Lines = append(m.Lines, r.evidence(e))
	}
	if c.Alert != "" {
		m.Actions = append(m.Actions, bot.Action{Label: r.t("commands.action.why"), Command: "/why " + string(c.Alert)})
	}
}

// risks is every risk with its live reading, or one in full.
func (r *request) risks() (bot.Answer, error) {
	b, err := r.board()
	if err != nil {
		return bot.Answer{}, err
	}
	if len(r.args) > 0 {
		var names []string
		for i, k := range r.Thesis.Risks {
			if called(r.rest, k.ID, k.Title) || r.rest == strconv.Itoa(i+1) {
				return r.riskInFull(i, b)
			}
			names = append(names, k.ID)
		}
		if near := nearest(r.rest, names); near != "" {
			return bot.Answer{}, mistake("about-near", i18n.Args{"Word": clip(r.rest, 40), "Near": "/risks " + near})
		}
		return bot.Answer{}, mistake("about", i18n.Args{"Word": clip(r.rest, 40), "Known": strings.Join(names, ", ")})
	}
	m := bot.Message{Title: r.t("commands.risks.title", i18n.Args{"Thesis": r.Thesis.Title.In(r.lang)})}
	for i, k := range r.Thesis.Risks {
		m.Lines = append(m.Lines, bot.Labelled(strconv.Itoa(i+1)+" "+k.Title.In(r.lang), r.riskLine(b[chokepoint.CardRisk][k.ID])))
	}
	if len(r.Thesis.Risks) == 0 {
		m.Lines = append(m.Lines, bot.Text(r.t("commands.risks.none")))
	}
	m.Footer = r.t("commands.risks.footer")
	return said(m)
}

// riskLine is a risk's state, trend and reading, with the age of the judgment.
func (r *request) riskLine(c chokepoint.Card) string {
	if c.State == "" {
		return r.state("")
	}
	parts := []string{strings.ToUpper(r.state(c.State)) + " " + trendSign(c.Trend)}
	if reading := r.Render.Reading(c.Facts, r.lang); reading != "" {
		parts = append(parts, reading)
	}
	return strings.Join(parts, " · ") + r.bracket(r.ago(c.Updated))
}

func (r *request) riskInFull(i int, b board) (bot.Answer, error) {
	k := r.Thesis.Risks[i]
	card := b[chokepoint.CardRisk][k.ID]
	m := bot.Message{Title: strconv.Itoa(i+1) + " " + k.Title.In(r.lang), Lines: []bot.Line{bot.Text(r.riskLine(card))}}
	if caution := k.Caution.In(r.lang); caution != "" {
		m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.cold"), caution))
	}
	m.Lines = append(m.Lines, r.cardLines(card)...)
	r.cardEvidence(&m, card)
	return said(m)
}

// agreements is who has locked up whose supply.
func (r *request) agreements() (bot.Answer, error) {
	b, err := r.board()
	if err != nil {
		return bot.Answer{}, err
	}
	cards := b.agreements()
	m := bot.Message{Title: r.t("commands.lta.title")}
	if len(cards) == 0 {
		m.Lines = append(m.Lines, bot.Text(r.t("commands.lta.none")))
		return said(m)
	}
	m.Lines = append(m.Lines, matrix(cards)...)
	m.Lines = append(m.Lines, bot.Line{})
	for _, c := range cards[:min(len(cards), 12)] {
		text := r.t("commands.lta.one", i18n.Args{
			"Parties": c.ID, "Sign": surenessSigns[c.State], "State": r.state(c.State), "Ago": r.ago(cmp.Or(c.Latest, c.Since)),
		})
		text = strings.Join(compact(text, r.money(c.Facts["amount"]), r.term(c.Facts["term"]), r.product(c.Facts["product"])), " · ")
		l := bot.Line{Spans: []bot.Span{{Text: text}}}
		if len(c.Evidence) > 0 {
			l.Spans = append(l.Spans, bot.Span{Text: " · "}, bot.Span{Text: cmp.Or(c.Evidence[0].Publisher, "↗"), URL: c.Evidence[0].URL})
		}
		m.Lines = append(m.Lines, l)
	}
	m.Footer = r.t("commands.lta.legend")
	return said(m)
}

// matrix has a row per buyer and a column per supplier, as many as a phone is
// wide.
func matrix(cards []chokepoint.Card) []bot.Line {
	const cell, columns, rows = 7, 4, 8
	var buyers, suppliers []string
	state := map[[2]string]string{}
	for _, c := range cards {
		buyer, supplier, ok := strings.Cut(c.ID, "×")
		if !ok {
			continue
		}
		if !slices.Contains(buyers, buyer) {
			buyers = append(buyers, buyer)
		}
		if !slices.Contains(suppliers, supplier) {
			suppliers = append(suppliers, supplier)
		}
		state[[2]string{buyer, supplier}] = c.State
	}
	buyers, suppliers = buyers[:min(len(buyers), rows)], suppliers[:min(len(suppliers), columns)]
	slices.Sort(buyers)
	slices.Sort(suppliers)
	head := pad("", cell)
	for _, s := range suppliers {
		head += pad(s, cell)
	}
	lines := []bot.Line{{Mono: true, Spans: []bot.Span{{Text: strings.TrimRight(head, " ")}}}}
	for _, b := range buyers {
		row := pad(b, cell)
		for _, s := range suppliers {
			sign := "·"
			if st, ok := state[[2]string{b, s}]; ok {
				sign = cmp.Or(surenessSigns[st], "?")
			}
			row += pad(sign, cell)
		}
		lines = append(lines, bot.Line{Mono: true, Spans: []bot.Span{{Text: strings.TrimRight(row, " ")}}})
	}
	return lines
}

// pad brings s to n columns, of which a Chinese character takes two, and a
// blank behind it.
func pad(s string, n int) string {
	w, out := 0, ""
	for _, c := range s {
		cw := 1
		if c >= 0x2e80 && c < 0x2fffff && c != '×' {
			cw = 2
		}
		if w+cw > n-1 {
			break
		}
		w += cw
		out += string(c)
	}
	return out + strings.Repeat(" ", n-w)
}
