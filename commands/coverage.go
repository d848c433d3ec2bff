package commands

import (
	"slices"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
)

// coverage is how far what we know can be trusted to be all there is.
type coverage struct {
	sources []chokepoint.Health // of those configured, by name; Tried is zero if never asked
	ticks   []chokepoint.TickReport
}

func (r *request) coverage() (coverage, error) {
	health, err := r.Desk.Health(r.ctx)
	if err != nil {
		return coverage{}, err
	}
	ticks, err := r.Desk.Ticks(r.ctx)
	if err != nil {
		return coverage{}, err
	}
	by := map[string]chokepoint.Health{}
	for _, h := range health {
		by[h.Source] = h
	}
	c := coverage{}
	for _, name := range slices.Sorted(slices.Values(r.Sources)) {
		h := by[name]
		h.Source = name
		c.sources = append(c.sources, h)
	}
	for _, t := range ticks {
		if slices.ContainsFunc(r.Topics, func(have Topic) bool { return string(have.Name) == t.Watcher }) {
			c.ticks = append(c.ticks, t)
		}
	}
	return c, nil
}

// line is coverage in one line: how many sources answered, which did not, and
// how old the oldest answer is. Nothing that failed is left out.
func (c coverage) line(r *request) string {
	good := 0
	var parts []string
	var oldest chokepoint.Health
	for _, h := range c.sources {
		switch {
		case h.Class.Good():
			good++
			if oldest.Source == "" || h.Good.Before(oldest.Good) {
				oldest = h
			}
		default:
			parts = append(parts, h.Source+" "+r.trouble(h))
		}
	}
	for _, t := range c.ticks {
		if t.Err != "" {
			parts = append(parts, r.t("commands.watcher.fails", i18n.Args{"Watcher": t.Watcher, "Ago": r.ago(t.Began)}))
		}
	}
	parts = append([]string{r.t("commands.coverage", i18n.Args{"Good": good, "All": len(c.sources)})}, parts...)
	if age := r.now.Sub(oldest.Good); oldest.Source != "" && age >= time.Hour {
		parts = append(parts, r.t("commands.coverage.oldest", i18n.Args{"Source": oldest.Source, "Age": r.span(age)}))
	}
	if next := c.next(r); !next.IsZero() {
		parts = append(parts, r.t("commands.coverage.next", i18n.Args{"Span": r.span(next.Sub(r.now))}))
	}
	return strings.Join(parts, " · ")
}

// next is the next visit or tick.
func (c coverage) next(r *request) (next time.Time) {
	sooner := func(t time.Time) {
		if t.After(r.now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, h := range c.sources {
		sooner(h.Next)
	}
	for _, t := range c.ticks {
		sooner(t.Next)
	}
	for _, t := range r.Topics {
		if t.Next != nil {
			sooner(t.Next(r.now))
		}
	}
	return next
}

// trouble says what is wrong with a source, and since when.
func (r *request) trouble(h chokepoint.Health) string {
	args := i18n.Args{"Class": r.class(h.Class), "Since": r.t("commands.never")}
	switch {
	case h.Tried.IsZero():
		return r.t("commands.source.unasked")
	case h.Class == chokepoint.NotAsked:
		return r.t("commands.source.not-asked", i18n.Args{"Why": clip(bot.Neutral(h.Err), 80)})
	case h.Good.IsZero():
		return r.t("commands.source.never-good", args)
	}
	args["Since"] = r.age(h.Good)
	return r.t("commands.source.failing", args)
}

func (r *request) class(c chokepoint.Class) string {
	if key := "commands.class." + string(c); r.Words.Has(key) {
		return r.t(key)
	}
	return string(c)
}

// permits says how old our knowledge of the permit lists is.
func (c coverage) permits(r *request) string {
	for _, h := range c.sources {
		if h.Kind != "permits" {
			continue
		}
		if !h.Class.Good() {
			return r.t("commands.permits", i18n.Args{"What": r.trouble(h)})
		}
		if h.New.IsZero() {
			return r.t("commands.permits.unchanged", i18n.Args{"Ago": r.ago(h.Good)})
		}
		return r.t("commands.permits.changed", i18n.Args{"Changed": r.ago(h.New), "Ago": r.ago(h.Good)})
	}
	return ""
}

// health is each source and watcher, the troubled ones first.
func (r *request) health() (bot.Answer, error) {
	c, err := r.coverage()
	if err != nil {
		return bot.Answer{}, err
	}
	depth, err := r.Desk.Depth(r.ctx, r.now)
	if err != nil {
		return bot.Answer{}, err
	}
	m := bot.Message{Title: r.t("commands.health.title"), Lines: []bot.Line{bot.Text(c.line(r))}}
	if r.Version != "" {
		m.Footer = "chokepoint " + r.Version
	}
	slices.SortStableFunc(c.sources, func(a, b chokepoint.Health) int {
		switch {
		case a.Class.Good() == b.Class.Good():
			return 0
		case b.Class.Good():
			return -1
		}
		return 1
	})
	for _, h := range c.sources {
		text := r.trouble(h)
		if h.Class.Good() {
			text = r.t("commands.source.good", i18n.Args{"Ago": r.ago(h.Good), "New": r.ago(h.New)})
		}
		m.Lines = append(m.Lines, bot.Labelled(mark(h.Class.Good())+" "+h.Source, text))
	}
	for _, t := range r.Topics {
		i := slices.IndexFunc(c.ticks, func(have chokepoint.TickReport) bool { return have.Watcher == string(t.Name) })
		if i < 0 {
			m.Lines = append(m.Lines, bot.Labelled(mark(false)+" "+string(t.Name), r.t("commands.watcher.never")))
			continue
		}
		tick := c.ticks[i]
		text := r.t("commands.watcher.good", i18n.Args{"Ago": r.ago(tick.Began), "Judged": tick.Judged, "Alerts": tick.Alerts})
		if tick.Err != "" {
			text = r.t("commands.watcher.failing", i18n.Args{"Ago": r.ago(tick.Began), "N": tick.Failures})
		}
		m.Lines = append(m.Lines, bot.Labelled(mark(tick.Err == "")+" "+string(t.Name), text))
	}
	m.Lines = append(m.Lines, bot.Labelled(r.t("commands.label.outbox"), r.depth(depth)))
	return said(m)
}

func mark(good bool) string {
	if good {
		return "✓"
	}
	return "✗"
}

func (r *request) depth(d chokepoint.Depth) string {
	args := i18n.Args{"Pending": d.Pending, "Spreads": d.Spreads, "Dead": d.Dead, "Oldest": r.span(d.Oldest)}
	if d.Pending == 0 && d.Spreads == 0 {
		return r.t("commands.outbox.empty", args)
	}
	return r.t("commands.outbox.depth", args)
}

// outbox is what is owed to chats.
func (r *request) outbox() (bot.Answer, error) {
	d, err := r.Desk.Depth(r.ctx, r.now)
	if err != nil {
		return bot.Answer{}, err
	}
	return said(bot.Message{Title: r.t("commands.label.outbox"), Lines: []bot.Line{bot.Text(r.depth(d))}})
}

// dead is what was given up.
func (r *request) dead() (bot.Answer, error) {
	letters, err := r.Desk.DeadLetters(r.ctx, 10)
	if err != nil {
		return bot.Answer{}, err
	}
	m := bot.Message{Title: r.t("commands.dead.title")}
	if len(letters) == 0 {
		m.Lines = append(m.Lines, bot.Text(r.t("commands.dead.none")))
	}
	for i, d := range letters {
		m.Lines = append(m.Lines, bot.Labelled(string(d.ID), r.t("commands.dead.one", i18n.Args{
			"Alert": d.Alert, "Chat": d.Chat.String(), "Ago": r.ago(d.Dead), "Tries": d.Attempts, "Why": clip(bot.Neutral(d.LastErr), 120),
		})))
		if i < 3 {
			m.Actions = append(m.Actions, bot.Action{Label: r.t("commands.action.requeue", i18n.Args{"ID": clip(string(d.ID), 8)}), Command: "/requeue " + string(d.ID)})
		}
	}
	return said(m)
}

// requeue owes a dead letter again.
func (r *request) requeue() (bot.Answer, error) {
	id := clip(r.args[0], 40)
	if err := r.Desk.Requeue(r.ctx, r.now, chokepoint.DeliveryID(id)); err != nil {
		return bot.Answer{}, r.notFound(err, "no-dead", i18n.Args{"ID": id})
	}
	return said(bot.Message{Tone: bot.Good, Lines: []bot.Line{bot.Text(r.t("commands.requeue.done", i18n.Args{"ID": id}))}})
}
