package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/bot/render"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/config"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
	"github.com/chokepoint-bot/chokepoint/internal/thesis"
	"github.com/chokepoint-bot/chokepoint/store/sqlitestore"
	"github.com/chokepoint-bot/chokepoint/watchers"
	"github.com/chokepoint-bot/chokepoint/watchers/reading"
)

// Run is the bot, until ctx ends or the person at the console leaves.
func Run(ctx context.Context, env Env) error {
	cfg, err := env.load()
	if err != nil {
		return err
	}
	log := env.logger(cfg)
	a, err := New(ctx, env, cfg, log)
	if err != nil {
		return err
	}
	err = a.Run(ctx)
	log.Info("stopped")
	return errors.Join(err, a.Close())
}

// Check says whether the configuration, the thesis and the price rules are
// right: all mistakes at once. With online it asks the store, the tokens and
// the sources too.
func Check(ctx context.Context, env Env, online bool) error {
	p, err := env.plan()
	if err != nil {
		return err
	}
	defer p.client.Close()
	cfg := p.cfg
	if err := errors.Join(reading.Check(p.thesis)...); err != nil {
		return mistake{err}
	}
	fmt.Fprintf(env.Out, "configuration: right · thesis %s · %d sources · %d watchers · %d price rules\n", p.thesis.ID, len(p.sources), len(p.watch), len(p.rules))
	if cfg.Contact == "" {
		fmt.Fprintln(env.Out, "note: contact is empty, so SEC filings are not asked for")
	}
	if !online {
		return nil
	}
	var failed []string
	say := func(name string, took time.Duration, err error, ok string) {
		if err != nil {
			failed = append(failed, name)
			fmt.Fprintf(env.Out, "  %-22s FAILED  %s\n", name, firstLine(err.Error()))
			return
		}
		fmt.Fprintf(env.Out, "  %-22s ok      %s (%d ms)\n", name, ok, took.Milliseconds())
	}
	log := env.logger(cfg)
	began := time.Now()
	call, cancel := context.WithTimeout(ctx, 5*time.Second)
	s, err := openStore(call, cfg, log)
	if err == nil {
		err = s.Ping(call)
	}
	say("store", time.Since(began), err, storeName(cfg))
	cancel()
	if s == nil {
		return fmt.Errorf("check: %s failed", strings.Join(failed, ", "))
	}
	defer s.Close()
	a := &App{env: env, log: log, store: s}
	if err := a.connect(cfg); err != nil {
		return err
	}
	for _, ad := range a.adapters {
		prober, ok := ad.(bot.Prober)
		if !ok {
			continue
		}
		began := time.Now()
		call, cancel := context.WithTimeout(ctx, 15*time.Second)
		name, err := prober.Probe(call)
		cancel()
		say(string(ad.Platform()), time.Since(began), err, name)
	}
	for _, spec := range p.sources {
		v := watchers.VisitSource(ctx, spec.Source, env.Now().UTC(), "", spec.Timeout, log)
		var err error
		if v.Failure != nil {
			err = v.Failure
		}
		say(spec.Source.Name(), v.Took, err, fmt.Sprintf("%s, %d items", v.Class, len(v.Observations)))
	}
	if len(failed) > 0 {
		return fmt.Errorf("check: %s failed", strings.Join(failed, ", "))
	}
	return nil
}

// TestAlert sends one marked test alert to every chat of the configuration,
// and says what each platform answered.
func TestAlert(ctx context.Context, env Env) error {
	p, err := env.plan()
	if err != nil {
		return err
	}
	defer p.client.Close()
	cfg := p.cfg
	// The embedded store may be in use by the running bot, and a drill needs
	// none: it goes straight to the platforms.
	a := &App{env: env, log: env.logger(cfg), store: nil, quit: make(chan struct{})}
	if err := a.connect(cfg); err != nil {
		return err
	}
	r := render.New(p.thesis, i18n.Must())
	type target struct {
		adapter bot.Adapter
		chat    chokepoint.ChatID
		lang    chokepoint.Language
		zone    string
	}
	var targets []target
	for _, ad := range a.adapters {
		var chats []config.Chat
		switch ad.Platform() {
		case chokepoint.Discord:
			chats = cfg.Discord.Chats
		case chokepoint.Telegram:
			chats = cfg.Telegram.Chats
		case chokepoint.Console:
			chats = []config.Chat{{ID: "local"}}
		}
		for _, c := range chats {
			t := target{ad, chokepoint.ChatID{Platform: ad.Platform(), ID: c.ID}, c.Language, c.Timezone}
			if t.lang == "" {
				t.lang = cfg.Language
			}
			if t.zone == "" {
				t.zone = cfg.Timezone
			}
			targets = append(targets, t)
		}
	}
	if len(targets) == 0 {
		return UsageError("no chats are configured: put their numbers under discord.chats or telegram.chats")
	}
	now := env.Now().UTC()
	story := chokepoint.NewStoryID("test", now.Format(time.RFC3339Nano))
	alert := chokepoint.Alert{ID: story.Alert(0), Story: story, Kind: chokepoint.AlertTest, Topic: chokepoint.TopicOps, Drill: true, Seen: now, At: now}
	failed := 0
	for _, t := range targets {
		zone, err := time.LoadLocation(t.zone)
		if err != nil {
			zone = time.UTC
		}
		call, cancel := context.WithTimeout(ctx, 30*time.Second)
		began := time.Now()
		posted, err := t.adapter.Send(call, bot.Target{Chat: t.chat}, r.Alert(&alert, t.lang, zone, now, false), chokepoint.ShortHash(25, string(alert.ID), t.chat.String()))
		cancel()
		if err != nil {
			failed++
			fmt.Fprintf(env.Out, "%-36s FAILED  %s\n", t.chat, firstLine(err.Error()))
			continue
		}
		fmt.Fprintf(env.Out, "%-36s shown   message %s (%d ms)\n", t.chat, posted.Message, time.Since(began).Milliseconds())
	}
	if failed > 0 {
		return fmt.Errorf("test-alert: %d of %d chats were not reached", failed, len(targets))
	}
	return nil
}

// Sources lists the sources and how each is, from the store if it can be read.
func Sources(ctx context.Context, env Env) error {
	p, err := env.plan()
	if err != nil {
		return err
	}
	defer p.client.Close()
	cfg := p.cfg
	now := env.Now()
	state := map[string]chokepoint.Health{}
	call, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if s, err := openStore(call, cfg, env.logger(cfg)); err != nil {
		fmt.Fprintf(env.Err, "how they are cannot be told: %s\n", firstLine(err.Error()))
	} else {
		health, err := s.Health(call)
		if err != nil {
			fmt.Fprintf(env.Err, "how they are cannot be told: %s\n", firstLine(err.Error()))
		}
		for _, h := range health {
			state[h.Source] = h
		}
		defer s.Close()
	}
	w := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SOURCE\tKIND\tSTATE\tLAST GOOD\tITEMS\tNEXT\tERROR")
	for _, spec := range p.sources {
		name := spec.Source.Name()
		h, asked := state[name]
		class, good := "never asked", "-"
		if asked {
			class = string(h.Class)
			if !h.Good.IsZero() {
				good = now.Sub(h.Good).Round(time.Second).String() + " ago"
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", name, spec.Kind, class, good, h.Items, spec.Schedule.Next(now).UTC().Format("2006-01-02 15:04Z"), firstLine(h.Err))
	}
	return w.Flush()
}

// TestSource asks one source now, as on a first visit, and shows what it would
// record. Nothing is kept.
func TestSource(ctx context.Context, env Env, name string) error {
	p, err := env.plan()
	if err != nil {
		return err
	}
	defer p.client.Close()
	cfg := p.cfg
	for _, spec := range p.sources {
		if spec.Source.Name() != name {
			continue
		}
		v := watchers.VisitSource(ctx, spec.Source, env.Now().UTC(), "", spec.Timeout, env.logger(cfg))
		for _, o := range v.Observations {
			fmt.Fprintln(env.Out, describe(o))
		}
		fmt.Fprintf(env.Out, "%s: %s, %d items in %s\n", name, v.Class, len(v.Observations), v.Took.Round(time.Millisecond))
		if v.Failure != nil {
			return fmt.Errorf("%s: %w", name, v.Failure)
		}
		return nil
	}
	return UsageError(fmt.Sprintf("there is no source %q; there are %s", name, strings.Join(p.names(), ", ")))
}

// describe is an observation in one line.
func describe(o chokepoint.Observation) string {
	at := "undated         "
	if !o.At.IsZero() {
		at = o.At.UTC().Format("2006-01-02 15:04")
	}
	switch {
	case o.News != nil:
		return at + "  " + bot.Neutral(o.News.Evidence.Title) + "  " + o.News.Evidence.URL
	case o.Filing != nil:
		return at + "  " + string(o.Filing.Symbol) + " " + o.Filing.Form + " " + strings.Join(o.Filing.Items, ",") + "  " + o.Filing.Evidence.URL
	case o.Permit != nil:
		return at + "  " + o.Permit.List + " " + o.Permit.Number + "  " + bot.Neutral(o.Permit.Applicant+" · "+o.Permit.Facility+" · "+o.Permit.Status)
	case o.Quote != nil:
		return at + "  " + string(o.Quote.Symbol) + " " + o.Quote.Price.String() + " " + o.Quote.Currency + "  " + o.Quote.Provider
	case o.Bar != nil:
		return at + "  " + string(o.Bar.Symbol) + " " + o.Bar.Day + " close " + o.Bar.Close.String() + " " + o.Bar.Currency
	}
	return at + "  " + string(o.Kind)
}

// Thesis prints the built-in thesis.
func Thesis(env Env) error {
	_, err := env.Out.Write(thesis.BuiltinSource())
	return err
}

// Backup copies the embedded store to file, which must not exist. The bot may
// be running: the copy is of one moment.
func Backup(ctx context.Context, env Env, file string) error {
	cfg, err := env.load()
	if err != nil {
		return err
	}
	path, ok := sqlitePath(cfg.Store.URL.Reveal())
	if !ok {
		return UsageError("only the embedded store is backed up here; for Redis copy its append-only files or an RDB snapshot")
	}
	if err := sqlitestore.Copy(ctx, path, file); err != nil {
		return err
	}
	fmt.Fprintf(env.Out, "%s is a copy of %s\n", file, path)
	return nil
}

// Healthcheck asks the running bot's /healthz.
func Healthcheck(ctx context.Context, env Env) error {
	cfg, err := env.load()
	if err != nil {
		return err
	}
	if cfg.HTTP.Listen == "" {
		return errors.New("healthcheck: http.listen is off, so the bot cannot be asked")
	}
	host, port, err := net.SplitHostPort(cfg.HTTP.Listen)
	if err != nil {
		return err
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("healthcheck: the bot does not answer: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("healthcheck: the bot answers %s", res.Status)
	}
	fmt.Fprintln(env.Out, "ok")
	return nil
}
