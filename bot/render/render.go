// Package render words alerts: facts in, a message in the chat's language out.
// It never advises a trade.
package render

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
	"github.com/chokepoint-bot/chokepoint/internal/thesis"
)

// Renderer words alerts on one thesis. It implements bot.Renderer. Safe for
// concurrent use.
type Renderer struct {
	th    *thesis.Thesis
	words *i18n.Catalog

	// Chart, if set, draws the picture of a price alert: a PNG and what it
	// shows, in words; nil for none.
	Chart func(a *chokepoint.Alert, lang chokepoint.Language) (png []byte, alt string)

	// Condition, if set, words a price rule's condition in a language; nil
	// shows it as it was typed.
	Condition func(s chokepoint.Symbol, text string, lang chokepoint.Language) string

	companies map[chokepoint.Symbol]thesis.Company
	catalysts map[string]thesis.Catalyst
	risks     map[string]thesis.Risk
}

// New is a renderer for th.
func New(th *thesis.Thesis, words *i18n.Catalog) *Renderer {
	r := &Renderer{
		th: th, words: words,
		companies: map[chokepoint.Symbol]thesis.Company{}, catalysts: map[string]thesis.Catalyst{}, risks: map[string]thesis.Risk{},
	}
	for _, c := range th.Companies {
		r.companies[c.Symbol] = c
	}
	for _, c := range th.Catalysts {
		r.catalysts[c.ID] = c
	}
	for _, k := range th.Risks {
		r.risks[k.ID] = k
	}
	return r
}

// page words one alert for one chat's language and zone.
type page struct {
	*Renderer
	a    *chokepoint.Alert
	lang chokepoint.Language
	zone *time.Location
	sent time.Time
}

func (p page) t(key string, args ...i18n.Args) string { return p.words.T(p.lang, key, args...) }

// fact is a fact's value on one line of at most 120 runes, "" if it is unknown.
func (p page) fact(name string) string { return clip(bot.Neutral(p.a.Facts[name]), 120) }

// member words a member of a closed set; one that has no words is shown as it
// is.
func (p page) member(set, value string) string {
	if key := "render." + set + "." + value; p.words.Has(key) {
		return p.t(key)
	}
	return value
}

// Alert words a as a card: what happened, why it matters, what stands against
// it, who says so, and when.
func (r *Renderer) Alert(a *chokepoint.Alert, lang chokepoint.Language, zone *time.Location, sent time.Time, again bool) bot.Message {
	p := page{r, a, lang, zone, sent}
	title := p.headline()
	if a.Drill && a.Kind != chokepoint.AlertTest {
		title = p.t("render.drill.title", i18n.Args{"Title": title})
	}
	m := bot.Message{Tone: tone(a), Title: badge(a) + " " + title, Silent: a.Severity == chokepoint.Info}
	if len(a.Evidence) > 0 {
		m.URL = a.Evidence[0].URL
	}
	if again {
		m.Lines = append(m.Lines, bot.Text(p.t("render.again")))
	}
	if a.Drill && a.Kind != chokepoint.AlertTest {
		m.Lines = append(m.Lines, bot.Text(p.t("render.drill")))
	}
	line := func(label, text string) {
		if text != "" {
			m.Lines = append(m.Lines, bot.Labelled(p.t("render.label."+label), text))
		}
	}
	switch a.Kind {
	case chokepoint.AlertMilestone:
		m.Lines = append(m.Lines, p.milestone()...)
	case chokepoint.AlertAgreement:
		m.Lines = append(m.Lines, p.agreement()...)
	case chokepoint.AlertPrice:
		m.Lines = append(m.Lines, p.quote()...)
	case chokepoint.AlertThesis:
		m.Lines = append(m.Lines, p.card()...)
	case chokepoint.AlertOps:
		m.Lines = append(m.Lines, p.ops()...)
		m.Footer = p.times()
		return m
	case chokepoint.AlertTest:
		m.Lines = append(m.Lines, bot.Text(p.t("render.test.body")))
		m.Footer = p.times()
		return m
	}
	if c, ok := r.catalysts[a.Catalyst]; ok {
		line("why", p.t("render.why", i18n.Args{"Why": c.Why.In(lang), "Catalyst": c.Title.In(lang)}))
	}
	line("cold", p.coldWater())
	if s := p.sources(); len(s.Spans) > 0 {
		m.Lines = append(m.Lines, s)
	}
	m.Footer = p.times()
	m.Actions = p.actions()
	if a.Kind == chokepoint.AlertPrice && r.Chart != nil && utf8.RuneCountInString(m.PlainText()) <= captionText {
		m.Image, m.Alt = r.Chart(a, lang)
	}
	return m
}

// captionText is how many runes a card with a picture may have: Telegram's
// captions hold 1024. A longer card goes without.
const captionText = 1000

// Headline is the alert in one line, without its badge.
func (r *Renderer) Headline(a *chokepoint.Alert, lang chokepoint.Language) string {
	return page{r, a, lang, time.UTC, a.At}.headline()
}

func tone(a *chokepoint.Alert) bot.Tone {
	switch {
	case a.Kind == chokepoint.AlertOps && a.Facts["state"] == "recovered":
		return bot.Good
	case a.Kind == chokepoint.AlertOps, a.Kind == chokepoint.AlertPrice && a.Direction == chokepoint.Neutral:
		return bot.Warn
	case a.Kind == chokepoint.AlertTest:
		return bot.Quiet
	case a.Direction == chokepoint.Positive:
		return bot.Good
	case a.Direction == chokepoint.Negative:
		return bot.Bad
	}
	return bot.Plain
}

// badge is direction and score at a glance.
func badge(a *chokepoint.Alert) string {
	mark := "⚪"
	switch tone(a) {
	case bot.Good:
		mark = "🟢"
	case bot.Bad:
		mark = "🔴"
	case bot.Warn:
		mark = "🟡"
	case bot.Quiet:
		mark = "🔔"
	}
	if a.Score > 0 {
		return mark + " " + strconv.Itoa(a.Score) + " "
	}
	return mark
}

// headline is one line in our words. A kind or a fact that has none falls back
// to the strongest evidence's own title.
func (p page) headline() string {
	a := p.a
	switch a.Kind {
	case chokepoint.AlertMilestone:
		if p.fact("milestone") == "" {
			break
		}
		args := i18n.Args{"Company": p.company(p.fact("company")), "Site": p.site()}
		key := "render.milestone." + p.fact("milestone") + "." + p.fact("status")
		if p.words.Has(key) {
			return p.t(key, args)
		}
		args["Milestone"], args["Status"] = p.member("milestone", p.fact("milestone")), p.member("status", p.fact("status"))
		return p.t("render.milestone.headline", args)
	case chokepoint.AlertAgreement:
		key := "render.agreement." + p.fact("sure")
		if !p.words.Has(key) {
			break
		}
		return p.t(key, i18n.Args{"Buyer": p.parties("buyer"), "Supplier": p.parties("supplier")})
	case chokepoint.AlertPrice:
		return p.t("render.price.headline", i18n.Args{"Symbol": p.fact("symbol"), "What": p.fired(), "Price": p.price(p.fact("price"))})
	case chokepoint.AlertThesis:
		card, state := p.cardTitle(), p.fact("state")
		if card == "" {
			break
		}
		if was := p.fact("was"); was != "" && was != state {
			return p.t("render.thesis.moved", i18n.Args{"Card": card, "State": p.state(state), "Was": p.state(was)})
		}
		return p.t("render.thesis."+direction(a.Direction), i18n.Args{"Card": card})
	case chokepoint.AlertOps:
		key := "render.ops." + p.fact("state")
		if !p.words.Has(key) {
			break
		}
		return p.t(key, i18n.Args{"What": p.member("ops.what", p.fact("what")), "Name": p.fact("name")})
	case chokepoint.AlertTest:
		return p.t("render.test.title")
	}
	if a.Headline != "" {
		return clip(bot.Neutral(a.Headline), 200)
	}
	return string(a.Topic)
}

func direction(d chokepoint.Direction) string {
	switch d {
	case chokepoint.Positive:
		return "for"
	case chokepoint.Negative:
		return "against"
	}
	return "on"
}

// told is the strongest evidence's own title, in quotation marks, for kinds
// whose headline is ours.
func (p page) told() []bot.Line {
	if p.a.Headline == "" {
		return nil
	}
	return []bot.Line{bot.Text(p.t("render.told", i18n.Args{"Title": clip(bot.Neutral(p.a.Headline), 200)}))}
}

func (p page) milestone() []bot.Line {
	lines := p.told()
	var what []string
	add := func(key, value string) {
		if value != "" {
			what = append(what, p.t("render.fact."+key, i18n.Args{"Value": value}))
		}
	}
	add("area", p.area(p.fact("area")))
	add("invest", p.money(p.fact("invest")))
	add("jobs", p.count(p.fact("jobs")))
	add("target", p.day(p.fact("target")))
	add("permit", p.fact("permit"))
	add("was", p.fact("was"))
	if len(what) > 0 {
		lines = append(lines, bot.Text(strings.Join(what, p.t("render.sep"))))
	}
	if p.fact("milestone") == "" {
		return lines
	}
	step := p.member("milestone", p.fact("milestone"))
	if status := p.fact("status"); status != "" {
		step += " · " + p.member("status", status)
	}
	if next := p.fact("next"); next != "" {
		step = p.t("render.next", i18n.Args{"Step": step, "Next": p.member("milestone", next)})
	}
	return append(lines, bot.Labelled(p.t("render.label.milestone"), step))
}

func (p page) agreement() []bot.Line {
	lines := p.told()
	var what []string
	add := func(key, value string) {
		if value != "" {
			what = append(what, p.t("render.fact."+key, i18n.Args{"Value": value}))
		}
	}
	if product := p.fact("product"); product != "" {
		what = append(what, p.member("product", product))
	}
	add("amount", p.money(p.fact("amount")))
	add("term", p.term(p.fact("term")))
	add("prepay", p.money(p.fact("prepay")))
	add("capacity", p.fact("capacity"))
	if exclusive := p.fact("exclusive"); exclusive != "" {
		what = append(what, p.member("exclusive", exclusive))
	}
	if len(what) > 0 {
		lines = append(lines, bot.Text(strings.Join(what, p.t("render.sep"))))
	}
	if sure := p.fact("sure"); sure != "" {
		lines = append(lines, bot.Labelled(p.t("render.label.sure"), p.member("sure", sure)))
	}
	return lines
}

// fired is what a price did, rather than the rule that waited for it.
func (p page) fired() string {
	if p.fact("span") != "" && p.fact("change") != "" {
		return p.t("render.price.moved", i18n.Args{"Change": signed(tenth(p.fact("change"))), "Span": p.span(p.fact("span"))})
	}
	rule, _, _ := strings.Cut(p.fact("condition"), " ")
	switch rule {
	case "swings":
		return p.t("render.price.swung", i18n.Args{"Change": tenth(p.fact("change")), "Low": p.price(p.fact("low")), "High": p.price(p.fact("high"))})
	case "above", "below", "crosses":
		return p.t("render.price."+rule, i18n.Args{"Level": p.price(p.fact("level"))})
	}
	return p.condition()
}

// quote is the price with its age and origin, its move, and the rule.
func (p page) quote() []bot.Line {
	var lines []bot.Line
	if p.fact("madeup") != "" {
		lines = append(lines, bot.Text(p.t("render.madeup")))
	}
	now := p.price(p.fact("price"))
	if at, err := time.Parse(time.RFC3339, p.fact("quoted")); err == nil {
		now = p.t("render.price.at", i18n.Args{"Price": now, "Time": p.clock(at), "Session": p.member("session", p.fact("session")), "Provider": p.fact("provider")})
	}
	lines = append(lines, bot.Labelled(p.t("render.label.price"), now))
	if late, err := time.ParseDuration(p.fact("delayed")); err == nil && late > 0 {
		lines = append(lines, bot.Text(p.t("render.price.late", i18n.Args{"N": int(late / time.Minute)})))
	}
	switch change, from := p.fact("change"), p.fact("from"); {
	case strings.HasPrefix(p.fact("condition"), "swings"): // the headline says it
	case change != "" && from != "":
		lines = append(lines, bot.Labelled(p.t("render.label.change"), p.t("render.price.change", i18n.Args{"Change": signed(tenth(change)), "From": p.price(from)})))
	case change != "":
		lines = append(lines, bot.Labelled(p.t("render.label.change"), p.t("render.price.today", i18n.Args{"Change": signed(tenth(change))})))
	}
	return append(lines, bot.Labelled(p.t("render.label.rule"), p.t("render.price.rule", i18n.Args{"Condition": p.condition(), "Rule": p.fact("rule")})))
}

func (p page) card() []bot.Line {
	lines := p.told()
	if e := p.fact("event"); e != "" && p.words.Has("render.event."+e) {
		lines = append(lines, bot.Labelled(p.t("render.label.event"), p.t("render.event."+e)))
	}
	return append(lines, bot.Labelled(p.t("render.label."+p.fact("kind")), p.cardTitle()+" · "+p.state(p.fact("state"))))
}

func (p page) ops() []bot.Line {
	var lines []bot.Line
	if c := p.fact("class"); c != "" {
		lines = append(lines, bot.Text(p.member("class", c)))
	}
	if d := bot.Neutral(p.a.Facts["detail"]); d != "" {
		lines = append(lines, bot.Text(clip(d, 400)))
	}
	if at, err := time.Parse(time.RFC3339, p.fact("since")); err == nil {
		lines = append(lines, bot.Labelled(p.t("render.label.since"), p.clock(at)))
	}
	return lines
}

// coldWater is what stands against a bullish alert: each risk's caution with
// its live reading, and a fresh dilution by the company itself. Where the alert
// names no risk that the thesis knows, those of its catalyst stand in.
func (p page) coldWater() string {
	notes := p.a.Risks
	if !slices.ContainsFunc(notes, func(n chokepoint.RiskNote) bool { _, known := p.risks[n.ID]; return known }) && p.a.Direction == chokepoint.Positive {
		notes = nil
		for _, id := range p.catalysts[p.a.Catalyst].Against {
			notes = append(notes, chokepoint.RiskNote{ID: id})
		}
	}
	var parts []string
	for _, n := range notes {
		k, ok := p.risks[n.ID]
		if !ok || len(parts) == mostRisks {
			continue
		}
		text := k.Caution.In(p.lang)
		if text == "" {
			text = k.Title.In(p.lang)
		}
		if reading := p.Reading(n.Facts, p.lang); reading != "" && n.Facts["count"] != "0" {
			text = p.t("render.cold", i18n.Args{"Caution": text, "Reading": reading})
		}
		parts = append(parts, text)
	}
	if d := p.fact("dilution"); d != "" {
		parts = append(parts, p.t("render.dilution", i18n.Args{"What": d}))
	}
	if len(parts) == 0 && p.a.Direction == chokepoint.Positive {
		return p.t("render.cold.unknown")
	}
	return strings.Join(parts, p.t("render.and"))
}

// mostRisks is how many risks a card names; /risks has them all.
const mostRisks = 3

// Reading words a risk's live reading from the facts of its card or note; ""
// if there is none. chokepoint.Readings documents the facts.
func (r *Renderer) Reading(f chokepoint.Facts, lang chokepoint.Language) string {
	p := page{r, &chokepoint.Alert{Facts: f}, lang, time.UTC, time.Time{}}
	args := i18n.Args{"Symbol": f["symbol"]}
	switch f["reading"] {
	case "runup":
		args["Year"], args["Mean"] = signed(f["year"]), signed(f["mean200"])
		if f["mean200"] == "" {
			return p.t("render.reading.runup.year", args)
		}
	case "swings":
		args["Range"], args["Days"], args["Largest"], args["Day"] = f["range"], f["days8"], f["largest"], p.day(f["largest_day"])
		switch {
		case f["largest"] == "":
			return p.t("render.reading.swings.range", args)
		case f["days8"] == "0" || f["days8"] == "":
			return p.t("render.reading.swings.calm", args)
		}
	case "evidence":
		n, err := strconv.Atoi(f["count"])
		if err != nil || n == 0 {
			return p.t("render.reading.none")
		}
		args["Count"], args["Day"] = n, p.day(f["latest"])
	case "macro":
		var parts []string
		if f["us10y"] != "" {
			args["Yield"], args["Points"] = f["us10y"], signed(f["us10y_bp20"])
			parts = append(parts, p.t("render.reading.yield", args))
		}
		if f["sox_high"] != "" {
			args["Below"] = f["sox_high"]
			parts = append(parts, p.t("render.reading.sox", args))
		}
		return strings.Join(parts, p.t("render.sep"))
	default:
		return ""
	}
	return p.t("render.reading."+f["reading"], args)
}

// Reason words one step of why an alert fired.
func (r *Renderer) Reason(why chokepoint.Reason, lang chokepoint.Language) string {
	args := i18n.Args{}
	for k, v := range why.Args {
		args[k] = bot.Neutral(v)
	}
	for _, key := range []string{"why." + why.Key, why.Key} {
		if r.words.Has(key) {
			return r.words.T(lang, key, args)
		}
	}
	return why.Key
}

// sources names who says so, the primary one first and starred.
func (p page) sources() bot.Line {
	l := bot.Line{Label: p.t("render.label.sources")}
	shown, seen := 0, map[string]bool{}
	for _, e := range p.a.Evidence {
		name := bot.Neutral(e.Publisher)
		if name == "" || seen[name] {
			continue
		}
		if shown == 3 {
			break
		}
		seen[name] = true
		if shown > 0 {
			l.Spans = append(l.Spans, bot.Span{Text: " · "})
		}
		if e.Primary {
			name = "★ " + name
		}
		l.Spans = append(l.Spans, bot.Span{Text: clip(name, 40), URL: e.URL})
		shown++
	}
	if shown == 0 {
		return bot.Line{}
	}
	rest := ""
	if more := p.a.Sources - shown; more > 0 {
		rest = " · +" + strconv.Itoa(more)
	}
	if p.a.Owners > 1 {
		rest += p.t("render.owners", i18n.Args{"Count": p.a.Owners})
	}
	if rest != "" {
		l.Spans = append(l.Spans, bot.Span{Text: rest})
	}
	return l
}

// times says when it happened, when it was seen, when it was sent, and what it
// is called.
func (p page) times() string {
	parts := []string{}
	if at := p.a.Happened; !at.IsZero() && p.a.Kind != chokepoint.AlertPrice {
		parts = append(parts, p.t("render.time.happened", i18n.Args{"Time": p.clock(at)}))
	} else if at := p.published(); !at.IsZero() {
		parts = append(parts, p.t("render.time.published", i18n.Args{"Time": p.clock(at)}))
	}
	if p.a.Kind != chokepoint.AlertTest {
		parts = append(parts, p.t("render.time.seen", i18n.Args{"Time": p.clock(p.a.Seen)}))
	}
	parts = append(parts, p.t("render.time.sent", i18n.Args{"Time": p.clock(p.sent)}), string(p.a.ID))
	return strings.Join(parts, " · ")
}

// published is when the first telling of it came out; zero if unknown.
func (p page) published() (first time.Time) {
	for _, e := range p.a.Evidence {
		if at := e.Published; !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// actions are the buttons under an alert.
func (p page) actions() []bot.Action {
	id, story := string(p.a.ID), string(p.a.Story)
	if id == "" {
		return nil
	}
	return []bot.Action{
		{Label: p.t("render.action.why"), Command: "/why " + id},
		{Label: p.t("render.action.mute"), Command: "/mute story " + story},
		{Label: p.t("render.action.discuss"), Command: "/discuss " + story},
		{Label: p.t("render.action.useful"), Command: "/useful " + id},
		{Label: p.t("render.action.noise"), Command: "/noise " + id},
	}
}

func (p page) state(s string) string { return p.member("state", s) }

func (p page) cardTitle() string {
	id := p.fact("card")
	if c, ok := p.catalysts[id]; ok && p.fact("kind") != "risk" {
		return c.Title.In(p.lang)
	}
	if k, ok := p.risks[id]; ok {
		return k.Title.In(p.lang)
	}
	return ""
}

// condition is the rule in the chat's language.
func (p page) condition() string {
	if p.Condition == nil {
		return p.fact("condition")
	}
	return clip(bot.Neutral(p.Condition(chokepoint.Symbol(p.fact("symbol")), p.fact("condition"), p.lang)), 120)
}

// clip cuts s to n runes.
func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return strings.TrimSpace(string(r[:n-1])) + "…"
}

func signed(percent string) string {
	if percent != "" && percent[0] != '-' && percent[0] != '+' {
		return "+" + percent
	}
	return strings.Replace(percent, "-", "−", 1)
}

var _ bot.Renderer = (*Renderer)(nil)
