package app

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/bot/console"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/config"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
	"github.com/chokepoint-bot/chokepoint/internal/upstreamtest"
	"github.com/chokepoint-bot/chokepoint/watchers"
)

//go:embed demo/script.json
var demoScript []byte

// script is a recorded stretch of events.
type script struct {
	Note  string    `json:"note"`
	Start time.Time `json:"start"`
	Feeds map[string]struct {
		Publisher string `json:"publisher"`
		Primary   bool   `json:"primary"`
		Language  string `json:"language"`
		Title     string `json:"title"`
	} `json:"feeds"`
	// Bars are made up: a year of days that wanders from one price to another.
	Bars map[string]struct {
		From     float64 `json:"from"`
		To       float64 `json:"to"`
		Swing    float64 `json:"swing"` // daily range, per cent
		Currency *string `json:"currency"`
	} `json:"bars"`
	Before []scriptEvent `json:"before"`
	Events []scriptEvent `json:"events"`
}

type scriptEvent struct {
	At     time.Time         `json:"at"`
	Feed   string            `json:"feed"`
	Title  string            `json:"title"`
	Text   string            `json:"text"`
	Quotes map[string]string `json:"quotes"`
	Filing *struct {
		Symbol    chokepoint.Symbol `json:"symbol"`
		CIK       string            `json:"cik"`
		Company   string            `json:"company"`
		Accession string            `json:"accession"`
		Form      string            `json:"form"`
		Items     string            `json:"items"`
		Exhibit   string            `json:"exhibit"`
		Text      string            `json:"text"`
	} `json:"filing"`
}

// DemoOptions say how the demonstration is played.
type DemoOptions struct {
	Speed    float64 // 1 is about a minute
	Language string
}

// demoLength is how long the demonstration takes at speed 1.
const demoLength = 50 * time.Second

// stage is a clock that stands where the play is, and goes on from there.
type stage struct {
	mu   sync.Mutex
	at   time.Time
	from time.Time
}

func (s *stage) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at.Add(time.Since(s.from))
}

func (s *stage) set(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.from = t, time.Now()
}

// Demo plays a recorded stretch of real, dated events, offline, through the
// whole program: sources served on loopback, journal, judges, outbox, console.
// It ends with /status and /risks.
func Demo(ctx context.Context, env Env, opt DemoOptions) error {
	lang, ok := i18n.Match(opt.Language)
	if !ok {
		return UsageError(fmt.Sprintf("-lang %q: write en or zh", opt.Language))
	}
	if opt.Speed <= 0 || opt.Speed > 1000 {
		return UsageError("-speed: a number above 0, at most 1000")
	}
	var play script
	if err := json.Unmarshal(demoScript, &play); err != nil {
		return fmt.Errorf("demo: reading the script: %w", err)
	}
	up, err := upstreamtest.New()
	if err != nil {
		return fmt.Errorf("demo: serving the sources on loopback: %w", err)
	}
	defer up.Close()
	dir, err := os.MkdirTemp("", "chokepoint-demo")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer os.RemoveAll(dir)

	clock := &stage{}
	clock.set(play.Start)
	up.SetNow(clock.now)
	env.Now, env.Config = clock.now, ""
	cfg := play.config(up, filepath.Join(dir, "demo.db"))
	cfg.Language = lang
	log := slog.New(slog.DiscardHandler)
	store, err := waitForStore(ctx, cfg, log)
	if err != nil {
		return err
	}
	env.In = strings.NewReader("")
	a, err := build(env, cfg, log, store)
	if err != nil {
		return err
	}
	defer a.Close()
	// The plan's own runner asks on its schedules; here each scene is played
	// once, and prices are marked as made up.
	p := a.plan.Load()
	for i, s := range p.sources {
		p.sources[i].Source = madeUp{s.Source}
		p.sources[i].OnlyWhen = nil
	}
	runner := watchers.NewRunner(watchers.RunnerConfig{Store: store, Sources: p.sources, Watchers: p.watch, Holder: a.holder, Now: clock.now, Log: log})
	if err := a.enrol(ctx, p); err != nil {
		return err
	}

	run, stop := context.WithCancel(ctx)
	defer stop()
	g, run := errgroup.WithContext(run)
	g.Go(func() error { return a.bot.Run(run) })
	g.Go(func() error {
		defer stop()
		return a.play(run, env.Out, play, clock, up, runner, opt.Speed)
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// play plays the scenes one by one.
func (a *App) play(ctx context.Context, out io.Writer, play script, clock *stage, up *upstreamtest.Server, runner *watchers.Runner, speed float64) error {
	lang := a.plan.Load().cfg.Language
	a.say(ctx, bot.Message{Tone: bot.Quiet, Title: a.words.T(lang, "app.demo.title")})
	market := newMarket(play, up)
	market.open(play.Start)
	for _, e := range play.Before {
		play.put(up, e)
	}
	if err := runner.RunOnce(ctx); err != nil { // the first visit learns in silence
		return err
	}
	for i, e := range play.Events {
		began := time.Now()
		clock.set(e.At.Add(time.Minute))
		play.put(up, e)
		market.move(e.At, e.Quotes)
		a.console.Print(progress(i+1, len(play.Events), e.At))
		if err := runner.RunOnce(ctx); err != nil {
			return err
		}
		if err := a.drained(ctx, clock); err != nil {
			return err
		}
		pause := time.Duration(float64(demoLength)/float64(len(play.Events))/speed) - time.Since(began)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
	day := clock.now().Format(time.DateOnly)
	a.say(ctx, bot.Message{Tone: bot.Quiet, Title: a.words.T(lang, "app.demo.end", i18n.Args{"Day": day})})
	for _, command := range []string{"/status", "/risks"} {
		a.console.Print("\n› " + command)
		ans := a.plan.Load().handler.Handle(ctx, bot.Inbound{ID: command, Chat: console.Chat, User: "console", Text: command, At: clock.now(), Admin: func(context.Context) (bool, error) { return true, nil }})
		a.say(ctx, ans.Message)
	}
	return nil
}

// drained waits until all that is owed was sent, for as long as a person would
// wait.
func (a *App) drained(ctx context.Context, clock *stage) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		d, err := a.store.Depth(ctx, clock.now())
		if err != nil {
			return err
		}
		// An edit of a card waits its half minute; a terminal has none.
		if d.Spreads == 0 && d.Pending == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("demo: %d alerts were not sent in time", d.Pending)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// progress is a line that says how far the play is.
func progress(i, n int, at time.Time) string {
	const width = 24
	done := i * width / n
	return fmt.Sprintf("\n── %s  [%s%s] %d/%d", at.Format("2 Jan 2006"), strings.Repeat("█", done), strings.Repeat("·", width-done), i, n)
}

// config is a configuration whose sources are served by up.
func (s script) config(up *upstreamtest.Server, db string) config.Config {
	c := config.Default()
	c.Contact = "demo@example.org"
	c.Store.URL = config.Secret("sqlite:" + db)
	c.HTTP.Listen, c.HTTP.AllowPrivate = "", true
	c.Console.Enabled = "true"
	c.Discord.Token, c.Telegram.Token = "", ""
	sec, quotes, tceq := c.Sources["sec"], c.Sources["quotes"], c.Sources["tceq"]
	sec.BaseURL, sec.ArchiveURL = up.SEC().DataURL(), up.SEC().ArchiveURL()
	quotes.OnlyInSession = false
	quotes.Symbols = nil
	for _, sym := range config.Default().Sources["quotes"].Symbols {
		if _, listed := s.Bars[string(sym)]; listed {
			quotes.Symbols = append(quotes.Symbols, sym)
		}
	}
	quotes.Providers = []config.Provider{{Name: "yahoo-spark", URL: up.Quotes().YahooURL()}, {Name: "yahoo-chart", URL: up.Quotes().YahooURL()}}
	lists := map[string]string{}
	for name := range tceq.Lists {
		lists[name] = up.Permits(name).URL()
	}
	tceq.Lists = lists
	c.Sources = map[string]config.Source{"sec": sec, "quotes": quotes, "tceq": tceq}
	for name, f := range s.Feeds {
		c.Sources[name] = config.Source{Kind: "feed", Enabled: true, Cron: "* * * * *", URLs: []string{up.Feed(name).URL()}, Publisher: f.Publisher, Primary: f.Primary, Language: f.Language, Timeout: config.Duration(20 * time.Second)}
		up.Feed(name).SetTitle(f.Title)
	}
	for sym, cik := range sec.CIKs {
		up.SEC().Company(cik, string(sym), string(sym))
	}
	return c
}

// put makes an event known to the world.
func (s script) put(up *upstreamtest.Server, e scriptEvent) {
	switch {
	case e.Feed != "":
		slug := chokepoint.ShortHash(10, e.Feed, e.Title)
		up.Feed(e.Feed).Add(upstreamtest.Item{GUID: slug, Title: e.Title, Link: "https://example.com/" + e.Feed + "/" + slug, Description: e.Text, Published: e.At})
	case e.Filing != nil:
		f := e.Filing
		body := "<html><body><p>" + html.EscapeString(f.Text) + "</p></body></html>"
		up.SEC().File(f.CIK, upstreamtest.Filing{
			Accession: f.Accession, Form: f.Form, Items: strings.Split(f.Items, ","), Accepted: e.At, Document: body,
			Exhibits: []upstreamtest.Exhibit{{Type: f.Exhibit, Name: "ex991.htm", Body: body}},
		})
	}
}

// market makes prices up.
type market struct {
	play script
	up   *upstreamtest.Server
	last map[string]float64
	day  time.Time // up to which there are bars
	bars map[string][]upstreamtest.DayBar
}

func newMarket(play script, up *upstreamtest.Server) *market {
	return &market{play: play, up: up, last: map[string]float64{}, bars: map[string][]upstreamtest.DayBar{}}
}

// open lists every symbol with a year of days before start.
func (m *market) open(start time.Time) {
	m.day = start.AddDate(-1, 0, 0)
	for sym, b := range m.play.Bars {
		m.last[sym] = b.From
	}
	to := map[string]string{}
	for sym, b := range m.play.Bars {
		to[sym] = fmt.Sprintf("%.2f", b.To)
	}
	m.move(start, to)
}

// move gives symbols their prices at a moment, and all of them the days since
// the last.
func (m *market) move(at time.Time, prices map[string]string) {
	days := 0
	for d := m.day; d.Before(at.Truncate(24 * time.Hour)); d = d.AddDate(0, 0, 1) {
		days++
	}
	for sym, b := range m.play.Bars {
		from := m.last[sym]
		to := m.on(sym, at, prices[sym])
		prev := from
		for i, d := 0, m.day; i < days; i, d = i+1, d.AddDate(0, 0, 1) {
			if wd := d.Weekday(); wd == time.Saturday || wd == time.Sunday {
				continue
			}
			// It wanders towards the new price, a little up and down each day.
			share := float64(i) / float64(max(days, 1))
			mid := from * math.Pow(to/from, share)
			wave := math.Sin(float64(d.YearDay())*1.7+float64(len(sym))) * b.Swing / 200
			closeAt := mid * (1 + wave)
			m.bars[sym] = append(m.bars[sym], upstreamtest.DayBar{
				Day: d.Format(time.DateOnly), Open: fmt.Sprintf("%.2f", prev), Close: fmt.Sprintf("%.2f", closeAt),
				High: fmt.Sprintf("%.2f", math.Max(prev, closeAt)*(1+b.Swing/400)), Low: fmt.Sprintf("%.2f", math.Min(prev, closeAt)*(1-b.Swing/400)), Volume: 1_000_000 + int64(d.YearDay())*1000,
			})
			prev = closeAt
		}
		m.last[sym] = to
		m.up.Quotes().Edit(sym, func(l *upstreamtest.Listing) {
			l.Price, l.Prev, l.At = fmt.Sprintf("%.2f", to), fmt.Sprintf("%.2f", prev), at
			l.High, l.Low = fmt.Sprintf("%.2f", math.Max(prev, to)), fmt.Sprintf("%.2f", math.Min(prev, to))
			l.RegularStart, l.RegularEnd = at.Add(-2*time.Hour), at.Add(2*time.Hour)
			if b.Currency != nil {
				l.Currency = *b.Currency
			}
			l.Bars = m.bars[sym][max(0, len(m.bars[sym])-260):]
		})
	}
	m.day = at.Truncate(24 * time.Hour)
}

// on is a symbol's price at a moment: the one given, or on the way from the last
// to the next that the script gives.
func (m *market) on(sym string, at time.Time, given string) float64 {
	last := m.last[sym]
	if p, err := strconv.ParseFloat(given, 64); err == nil {
		return p
	}
	for _, e := range m.play.Events {
		if next, err := strconv.ParseFloat(e.Quotes[sym], 64); err == nil && e.At.After(at) {
			return last * math.Pow(next/last, at.Sub(m.day).Hours()/e.At.Sub(m.day).Hours())
		}
	}
	return last
}

// madeUp marks the prices of a source as made up.
type madeUp struct{ watchers.Source }

func (m madeUp) Observe(ctx context.Context, now time.Time, cursor string) (watchers.Result, error) {
	r, err := m.Source.Observe(ctx, now, cursor)
	for i := range r.Observations {
		if q := r.Observations[i].Quote; q != nil {
			q.MadeUp = true
		}
		if b := r.Observations[i].Bar; b != nil {
			b.MadeUp = true
		}
	}
	return r, err
}
