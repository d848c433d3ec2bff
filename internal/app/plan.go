package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/bot/render"
	"github.com/chokepoint-bot/chokepoint/commands"
	"github.com/chokepoint-bot/chokepoint/internal/chart"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/config"
	"github.com/chokepoint-bot/chokepoint/internal/fetch"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
	"github.com/chokepoint-bot/chokepoint/internal/thesis"
	"github.com/chokepoint-bot/chokepoint/store"
	"github.com/chokepoint-bot/chokepoint/watchers"
	"github.com/chokepoint-bot/chokepoint/watchers/expansion"
	"github.com/chokepoint-bot/chokepoint/watchers/lta"
	"github.com/chokepoint-bot/chokepoint/watchers/price"
	"github.com/chokepoint-bot/chokepoint/watchers/source/feed"
	"github.com/chokepoint-bot/chokepoint/watchers/source/permit"
	"github.com/chokepoint-bot/chokepoint/watchers/source/quote"
	"github.com/chokepoint-bot/chokepoint/watchers/source/sec"
	thesisjudge "github.com/chokepoint-bot/chokepoint/watchers/thesis"
)

// plan is what a configuration says is to be done. It never changes: a reload
// makes a new one, or none.
type plan struct {
	cfg     config.Config
	thesis  *thesis.Thesis
	sources []watchers.SourceSpec
	watch   []watchers.WatcherSpec
	topics  []chokepoint.Topic
	rules   []chokepoint.Rule
	client  *fetch.Client
	runner  *watchers.Runner
	render  *render.Renderer
	handler *commands.Handler
}

// newPlan makes the plan of a configuration. Its errors are mistakes of the
// configuration or the thesis, all of them at once.
func (a *App) newPlan(c config.Config) (*plan, error) {
	p, err := readPlan(a.env, c)
	if err != nil {
		return nil, err
	}
	p.runner = a.runner(p)
	p.render = render.New(p.thesis, a.words)
	p.render.Condition = func(s chokepoint.Symbol, text string, lang chokepoint.Language) string {
		cond, err := price.ParseCondition(s, text, time.Time{})
		if err != nil { // a rule of a date that is past
			return text
		}
		return cond.In(a.words, lang)
	}
	p.render.Chart = a.chart
	next := func(s watchers.Schedule) func(time.Time) time.Time { return s.Next }
	var topics []commands.Topic
	for _, w := range p.watch {
		topics = append(topics, commands.Topic{Name: w.Name, Kind: c.Watchers[string(w.Name)].Kind, Next: next(w.Schedule)})
	}
	p.handler = commands.New(commands.Config{
		Desk: a.store, Thesis: p.thesis, Words: a.words, Render: p.render, Now: a.env.Now, Log: a.log, Version: a.env.Version,
		Watch: p.symbols(), Topics: topics, Sources: p.names(), Language: c.Language, Zone: c.Timezone,
	})
	return p, nil
}

// runner runs what a plan says.
func (a *App) runner(p *plan) *watchers.Runner {
	return watchers.NewRunner(watchers.RunnerConfig{
		Store: a.store, Sources: p.sources, Watchers: p.watch, AwaitJournal: await(a.store, store.Journaled),
		Holder: a.holder, Now: a.env.Now, Log: a.log, Metrics: a.metrics,
	})
}

// plan is what the configuration means, for commands that need no store. Close
// its client.
func (e Env) plan() (*plan, error) {
	cfg, err := e.load()
	if err != nil {
		return nil, err
	}
	return readPlan(e, cfg)
}

// readPlan reads what a configuration means, without a store.
func readPlan(env Env, c config.Config) (*plan, error) {
	p := &plan{cfg: c}
	var errs []error
	ref := c.Thesis
	if !strings.HasPrefix(ref, "builtin:") && !filepath.IsAbs(ref) {
		ref = filepath.Join(c.Dir, ref)
	}
	var err error
	if p.thesis, err = thesis.Load(ref); err != nil {
		return nil, mistake{err}
	}
	p.client = fetch.New(fetch.Config{
		Version: env.Version, Contact: c.Contact, Homepage: Homepage, UserAgents: c.HTTP.UserAgents, AllowPrivate: c.HTTP.AllowPrivate, Timeout: c.HTTP.Timeout.Std(),
	})
	zone := func(tz string) string {
		if tz == "" {
			return c.Timezone
		}
		return tz
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		s := c.Sources[name]
		if !s.Enabled {
			continue
		}
		schedule, err := watchers.ParseSchedule(s.Cron, zone(s.TZ))
		if err != nil {
			errs = append(errs, fmt.Errorf("sources.%s.cron: %w", name, err))
			continue
		}
		src, err := p.source(name, s)
		if err != nil {
			errs = append(errs, fmt.Errorf("sources.%s: %w", name, err))
			continue
		}
		spec := watchers.SourceSpec{Source: src, Kind: s.Kind, Schedule: schedule, Jitter: s.Jitter.Std(), Timeout: s.Timeout.Std()}
		if s.Kind == "quotes" && s.OnlyInSession {
			symbols := s.Symbols
			spec.OnlyWhen = func(now time.Time) bool { return quote.Open(now, symbols...) }
		}
		p.sources = append(p.sources, spec)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Watchers)) {
		w := c.Watchers[name]
		if !w.Enabled {
			continue
		}
		topic := chokepoint.Topic(name)
		schedule, err := watchers.ParseSchedule(w.Cron, zone(w.TZ))
		if err != nil {
			errs = append(errs, fmt.Errorf("watchers.%s.cron: %w", name, err))
			continue
		}
		var judge watchers.Judge
		switch w.Kind {
		case "expansion":
			judge, err = expansion.New(p.thesis, topic, w.Site)
		case "lta":
			judge, err = lta.New(p.thesis, topic)
		case "thesis":
			judge, err = thesisjudge.New(p.thesis, topic)
		case "price":
			judge = price.New(topic)
			var rules []chokepoint.Rule
			rules, err = price.Configured(w.Rules, env.Now())
			p.rules = append(p.rules, rules...)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("watchers.%s: %w", name, err))
			continue
		}
		p.watch = append(p.watch, watchers.WatcherSpec{Name: topic, Judge: judge, Schedule: schedule, Rules: w.Kind == "price"})
		p.topics = append(p.topics, topic)
	}
	if len(errs) > 0 {
		return nil, mistake{errors.Join(errs...)}
	}
	return p, nil
}

// source builds one source.
func (p *plan) source(name string, s config.Source) (watchers.Source, error) {
	switch s.Kind {
	case "edgar":
		return sec.New(sec.Config{Name: name, CIKs: s.CIKs, Forms: s.Forms, DataURL: s.BaseURL, ArchiveURL: s.ArchiveURL, Fetch: p.client})
	case "permits":
		return permit.New(permit.Config{Name: name, Lists: s.Lists, Match: s.Match, Fetch: p.client}), nil
	case "quotes":
		var providers []quote.Provider
		for _, q := range s.Providers {
			providers = append(providers, quote.Provider{Name: q.Name, URL: q.URL, Key: q.Key.Reveal()})
		}
		return quote.New(quote.Config{Name: name, Symbols: s.Symbols, Providers: providers, OnlyInSession: s.OnlyInSession, Fetch: p.client})
	default:
		return feed.New(feed.Config{Name: name, URLs: s.URLs, Publisher: s.Publisher, Primary: s.Primary, Language: s.Language, Match: s.Match, Fetch: p.client}), nil
	}
}

// mistake is an error that a person mends in a file: exit code 2.
type mistake struct{ error }

func (m mistake) Unwrap() error { return m.error }

// names are the names of the sources that are asked.
func (p *plan) names() []string {
	var out []string
	for _, s := range p.sources {
		out = append(out, s.Source.Name())
	}
	return out
}

// symbols are those that quotes are asked for.
func (p *plan) symbols() []chokepoint.Symbol {
	var out []chokepoint.Symbol
	for _, name := range slices.Sorted(maps.Keys(p.cfg.Sources)) {
		if s := p.cfg.Sources[name]; s.Enabled && s.Kind == "quotes" {
			for _, sym := range s.Symbols {
				if !slices.Contains(out, sym) {
					out = append(out, sym)
				}
			}
		}
	}
	return out
}

// next is when some source is asked next, after now.
func (p *plan) next(now time.Time) (at time.Time) {
	for _, s := range p.sources {
		if n := s.Schedule.Next(now); at.IsZero() || !n.IsZero() && n.Before(at) {
			at = n
		}
	}
	return at
}

// planned answers from the plan in force.
type planned struct{ a *App }

func (p planned) Alert(a *chokepoint.Alert, lang chokepoint.Language, zone *time.Location, sent time.Time, again bool) bot.Message {
	return p.a.plan.Load().render.Alert(a, lang, zone, sent, again)
}
func (p planned) Menu() []bot.CommandSpec { return p.a.plan.Load().handler.Menu() }
func (p planned) Handle(ctx context.Context, in bot.Inbound) bot.Answer {
	return p.a.plan.Load().handler.Handle(ctx, in)
}

// chart draws the picture of a price alert from what the store has.
func (a *App) chart(alert *chokepoint.Alert, lang chokepoint.Language) ([]byte, string) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	symbol := chokepoint.Symbol(alert.Facts["symbol"])
	bars, err := a.store.Bars(ctx, symbol, alert.At.AddDate(0, -6, 0).Format(time.DateOnly))
	if err != nil || len(bars) < 5 {
		return nil, ""
	}
	c := chart.Price{Title: a.plan.Load().render.Headline(alert, lang), Symbol: symbol, Currency: alert.Facts["currency"], Bars: bars, Mark: alert.At, Lang: lang, Dark: true}
	if level, err := chokepoint.ParseDecimal(alert.Facts["level"]); err == nil {
		c.Levels = []chart.Level{{Price: level}}
	}
	if last, err := chokepoint.ParseDecimal(alert.Facts["price"]); err == nil {
		c.Quote = &chokepoint.Quote{Symbol: symbol, Price: last, Currency: alert.Facts["currency"], At: alert.At}
	}
	var png bytes.Buffer
	if err := c.WritePNG(&png, 800, 450); err != nil {
		a.log.Warn("a chart could not be drawn", "symbol", symbol, "err", err)
		return nil, ""
	}
	return png.Bytes(), a.words.T(lang, "app.chart.alt", i18n.Args{"Symbol": string(symbol)})
}

// banner says on the console what is watched, and when it is asked next.
func (a *App) banner(ctx context.Context, p *plan) {
	lang := p.cfg.Language
	zone, err := time.LoadLocation(p.cfg.Timezone)
	if err != nil {
		zone = time.UTC
	}
	now := a.env.Now()
	a.log.Info("started", "version", a.env.Version, "thesis", p.thesis.ID, "store", storeName(p.cfg), "sources", len(p.sources), "watchers", len(p.watch), "platforms", len(a.adapters))
	t := func(key string, args ...i18n.Args) string { return a.words.T(lang, key, args...) }
	var watched, signals []string
	for _, topic := range p.topics {
		watched = append(watched, string(topic))
	}
	for _, s := range p.thesis.Signals {
		signals = append(signals, s.Title.In(lang))
	}
	m := bot.Message{Title: t("app.banner.title", i18n.Args{"Version": a.env.Version, "Thesis": p.thesis.Title.In(lang)}), Lines: []bot.Line{
		bot.Labelled(t("app.banner.watches"), strings.Join(watched, ", ")),
		bot.Labelled(t("app.banner.thesis"), strings.Join(signals, " · ")),
		bot.Labelled(t("app.banner.asks"), t("app.banner.sources", i18n.Args{"Count": len(p.sources), "Next": p.next(now).In(zone).Format("15:04:05 MST")})),
		bot.Labelled(t("app.banner.store"), storeName(p.cfg)),
	}}
	if _, sec := p.cfg.Sources["sec"]; sec && p.cfg.Contact == "" {
		m.Lines = append(m.Lines, bot.Text(t("app.banner.contact")))
	}
	m.Lines = append(m.Lines, bot.Text(t("app.banner.help")))
	a.say(ctx, m)
}

// firstRound says on the console which sources answered, once all were asked.
func (a *App) firstRound(ctx context.Context, p *plan) {
	select {
	case <-ctx.Done():
		return
	case <-p.runner.FirstRound():
	}
	health, err := a.store.Health(ctx)
	if err != nil {
		return
	}
	lang := p.cfg.Language
	t := func(key string, args ...i18n.Args) string { return a.words.T(lang, key, args...) }
	asked, good := 0, 0
	var lines []bot.Line
	for _, h := range health {
		if !slices.Contains(p.names(), h.Source) {
			continue
		}
		asked++
		if h.Class.Good() {
			good++
			continue
		}
		why := plainly(h)
		if h.Class == chokepoint.NotAsked {
			why = t("app.round.notasked", i18n.Args{"Why": why})
		}
		lines = append(lines, bot.Text(t("app.round.source", i18n.Args{"Name": h.Source, "Why": why})))
	}
	if len(lines) == 0 {
		a.say(ctx, bot.Message{Tone: bot.Good, Lines: []bot.Line{bot.Text(t("app.round.all", i18n.Args{"Count": asked}))}})
		return
	}
	lines = append([]bot.Line{bot.Text(t("app.round.some", i18n.Args{"Good": good, "Count": asked}))}, lines...)
	a.say(ctx, bot.Message{Tone: bot.Warn, Lines: append(lines, bot.Text(t("app.round.goeson")))})
}

// plainly is why a source did not answer, in a few words.
func plainly(h chokepoint.Health) string {
	host, reason, dial := strings.Cut(h.Err, ": dial tcp: ")
	switch {
	case h.Err == "":
		return string(h.Class)
	case dial && strings.Contains(reason, "no such host"):
		host, _, _ = strings.Cut(host, "/")
		return host + ": no such host, or no network"
	}
	return firstLine(h.Err)
}

// firstLine is the first line of s, at most 160 runes of it.
func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > 160 {
		return string(r[:159]) + "…"
	}
	return s
}
