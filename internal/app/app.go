package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/bot/console"
	"github.com/chokepoint-bot/chokepoint/bot/discord"
	"github.com/chokepoint-bot/chokepoint/bot/telegram"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/config"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
	"github.com/chokepoint-bot/chokepoint/internal/web"
	"github.com/chokepoint-bot/chokepoint/store"
	"github.com/chokepoint-bot/chokepoint/watchers"
)

// App is the program, built and not yet running.
type App struct {
	env      Env
	log      *slog.Logger
	words    *i18n.Catalog
	store    whole
	registry *prometheus.Registry
	metrics  *watchers.Metrics
	holder   string

	adapters []bot.Adapter
	console  *console.Adapter // nil without a terminal
	bot      *bot.Bot
	quit     chan struct{} // closed when the person at the console leaves

	// plan is what a reload replaces.
	plan atomic.Pointer[plan]
}

// New opens the store and builds everything over it. It waits for a Redis that
// is away, until ctx ends.
func New(ctx context.Context, env Env, cfg config.Config, log *slog.Logger) (*App, error) {
	s, err := waitForStore(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	return build(env, cfg, log, s)
}

// build builds everything over an open store, which it closes if it fails.
func build(env Env, cfg config.Config, log *slog.Logger, s whole) (*App, error) {
	a := &App{env: env, log: log, store: s, words: i18n.Must(), registry: prometheus.NewRegistry(), holder: holder(), quit: make(chan struct{})}
	fail := func(err error) (*App, error) { return nil, errors.Join(err, s.Close()) }

	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a.metrics = watchers.NewMetrics(a.registry)
	p, err := a.newPlan(cfg)
	if err != nil {
		return fail(err)
	}
	a.plan.Store(p)
	if err := a.connect(cfg); err != nil {
		return fail(err)
	}
	a.bot = bot.New(bot.Config{
		Outbox: s, Leaser: s, Chat: s.Chat, Render: planned{a}, Handler: planned{a}, Adapters: a.adapters,
		AwaitCommitted: await(s, store.Committed), AwaitOwed: await(s, store.Owed),
		Holder: a.holder, Now: env.Now, Log: log, Registry: a.registry, Words: a.words, Language: cfg.Language,
	})
	a.registry.MustRegister(web.NewCollector(reader{a}, env.Now))
	return a, nil
}

// connect makes the adapters of the platforms that the configuration turns on.
func (a *App) connect(c config.Config) error {
	if t := c.Discord.Token.Reveal(); t != "" {
		d, err := discord.New(discord.Config{Token: t, APIURL: c.Discord.APIURL, Now: a.env.Now, Log: a.log.With("platform", "discord")})
		if err != nil {
			return err
		}
		a.adapters = append(a.adapters, d)
	}
	if t := c.Telegram.Token.Reveal(); t != "" {
		g, err := telegram.New(telegram.Config{
			Token: t, APIURL: c.Telegram.APIURL, Offsets: a.store, Now: a.env.Now, Log: a.log.With("platform", "telegram"),
			Moved: func(ctx context.Context, from, to chokepoint.ChatID) {
				if err := a.store.MoveChat(ctx, a.env.Now(), from, to); err != nil {
					a.log.Error("a group moved and could not be followed yet", "chat", from.String(), "to", to.String(), "err", err)
				}
			},
		})
		if err != nil {
			return err
		}
		a.adapters = append(a.adapters, g)
	}
	if on := c.Console.Enabled; on == "true" || on == "auto" && len(a.adapters) == 0 {
		a.console = console.New(console.Config{
			In: a.env.In, Out: a.env.Out, Interactive: isTerminal(a.env.In) && isTerminal(a.env.Out), Color: isTerminal(a.env.Out) && !a.env.noColor(),
			Quit: func() { close(a.quit) }, Now: a.env.Now, Log: a.log,
		})
		a.adapters = append(a.adapters, a.console)
	}
	return nil
}

// Run runs the program until ctx ends, the person at the console leaves, or a
// part fails that it cannot do without.
func (a *App) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	p := a.plan.Load()
	if err := a.enrol(ctx, p); err != nil {
		return err
	}
	if p.cfg.HTTP.Listen != "" {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.cfg.HTTP.Listen)
		if err != nil {
			// Another copy on the same machine has the port: alerts matter more.
			a.log.Warn("the web pages are off: set http.listen to a free address, or \"\"", "err", err)
		} else {
			g.Go(func() error { return a.serve(ctx, l) })
		}
	}
	g.Go(func() error { return a.bot.Run(ctx) })
	g.Go(func() error {
		select {
		case <-a.quit:
			stop()
		case <-ctx.Done():
		}
		return nil
	})
	g.Go(func() error { return a.watch(ctx) })
	g.Go(func() error { return a.trim(ctx) })
	a.banner(ctx, p)
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// Close closes the store, after Run.
func (a *App) Close() error { return a.store.Close() }

// watch runs the sources and watchers of the plan in force, and takes over a
// changed configuration: on SIGHUP, or when its file changes.
func (a *App) watch(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	poke := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)

	g, ctx := errgroup.WithContext(ctx)
	if a.env.Config != "" {
		g.Go(func() error {
			if err := config.Watch(ctx, a.env.Config, poke); err != nil {
				a.log.Warn("the configuration is not watched for changes: send SIGHUP instead", "err", err)
			}
			return nil
		})
	}
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-hup:
				poke()
			}
		}
	})
	g.Go(func() error {
		for {
			p := a.plan.Load()
			run, cancel := context.WithCancel(ctx)
			done := make(chan error, 1)
			go func() { done <- p.runner.Run(run) }()
			if a.console != nil {
				go a.firstRound(run, p)
			}
			next := p
			var err error
			for next == p && err == nil {
				select {
				case err = <-done:
					if err == nil {
						err = ctx.Err()
						if err == nil {
							err = errors.New("watchers: stopped by themselves")
						}
					}
				case <-changed:
					next = a.reload(ctx, p)
				}
			}
			cancel()
			if err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
			if err := <-done; err != nil {
				return err
			}
		}
	})
	return g.Wait()
}

// reload reads the configuration again and puts it in force: whole, or not at
// all.
func (a *App) reload(ctx context.Context, old *plan) *plan {
	refuse := func(err error) *plan {
		a.log.Error("the changed configuration was refused; the old one stays in force", "err", err)
		a.say(ctx, bot.Message{Tone: bot.Bad, Title: a.words.T(old.cfg.Language, "app.reload.refused"), Lines: []bot.Line{bot.Text(err.Error())}})
		return old
	}
	cfg, err := a.env.load()
	if err != nil {
		return refuse(err)
	}
	if cfg.Store.URL != old.cfg.Store.URL || cfg.HTTP.Listen != old.cfg.HTTP.Listen || cfg.Console != old.cfg.Console ||
		cfg.Discord.Token != old.cfg.Discord.Token || cfg.Telegram.Token != old.cfg.Telegram.Token ||
		cfg.Discord.APIURL != old.cfg.Discord.APIURL || cfg.Telegram.APIURL != old.cfg.Telegram.APIURL {
		a.log.Warn("store, http.listen, console, tokens and api_url take effect at the next start; the rest does now")
	}
	p, err := a.newPlan(cfg)
	if err != nil {
		return refuse(err)
	}
	if err := a.enrol(ctx, p); err != nil {
		return refuse(err)
	}
	a.plan.Store(p)
	a.log.Info("the changed configuration is in force", "sources", len(p.sources), "watchers", len(p.topics))
	a.say(ctx, bot.Message{Tone: bot.Quiet, Title: a.words.T(cfg.Language, "app.reload.done")})
	return p
}

// enrol makes the chats of the configuration known, and its price rules. What
// people have set in a chat stays as it is.
func (a *App) enrol(ctx context.Context, p *plan) error {
	add := func(platform chokepoint.Platform, c config.Chat) error {
		id := chokepoint.ChatID{Platform: platform, ID: c.ID}
		have, err := a.store.Chat(ctx, id)
		switch {
		case err == nil && have.Gone != "":
			// It stands in the configuration: somebody may have let us in again.
			have.Gone = ""
			return a.store.PutChat(ctx, have)
		case err == nil:
			return nil
		case !errors.Is(err, chokepoint.ErrNotFound):
			return err
		}
		chat := chokepoint.Chat{ID: id, Language: c.Language, Zone: c.Timezone, Topics: c.Topics, Changed: a.env.Now().UTC()}
		if chat.Language == "" {
			chat.Language = p.cfg.Language
		}
		if chat.Zone == "" {
			chat.Zone = p.cfg.Timezone
		}
		if len(chat.Topics) == 0 {
			chat.Topics = append(chat.Topics, p.topics...)
		}
		if c.Ops {
			chat.Topics = append(chat.Topics, chokepoint.TopicOps)
		}
		return a.store.PutChat(ctx, chat)
	}
	for platform, chats := range map[chokepoint.Platform][]config.Chat{chokepoint.Discord: p.cfg.Discord.Chats, chokepoint.Telegram: p.cfg.Telegram.Chats} {
		for _, c := range chats {
			if err := add(platform, c); err != nil {
				return fmt.Errorf("app: enrolling %s:%s: %w", platform, c.ID, err)
			}
		}
	}
	if a.console != nil {
		if err := add(chokepoint.Console, config.Chat{ID: console.Chat.ID, Ops: true}); err != nil {
			return fmt.Errorf("app: enrolling the console: %w", err)
		}
	}
	if err := a.store.SetRules(ctx, p.rules); err != nil {
		return fmt.Errorf("app: setting the configured price rules: %w", err)
	}
	return nil
}

// say shows m on the console, if there is one.
func (a *App) say(ctx context.Context, m bot.Message) {
	if a.console == nil {
		return
	}
	if _, err := a.console.Send(ctx, bot.Target{Chat: console.Chat}, m, ""); err != nil {
		a.log.Warn("the console cannot be written", "err", err)
	}
}

// serve answers on l until ctx ends.
func (a *App) serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           web.New(reader{a}, a.registry, a.env.Now),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 15 * time.Second, MaxHeaderBytes: 16 << 10,
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		_ = srv.Shutdown(end)
	})
	a.log.Info("web pages", "address", "http://"+l.Addr().String())
	err := srv.Serve(l)
	wait.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// trim drops what is older than the configuration keeps, once an hour.
func (a *App) trim(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Hour):
		}
		keep := a.plan.Load().cfg.Store
		for more := true; more && ctx.Err() == nil; {
			var err error
			more, err = a.store.Trim(ctx, a.env.Now(), store.Keep{Journal: keep.Keep.Std(), Quotes: keep.KeepQuotes.Std()}, 1000)
			if err != nil && ctx.Err() == nil {
				a.log.Warn("old entries could not be dropped; trying again in an hour", "err", err)
				break
			}
		}
	}
}

// reader is what the web pages see.
type reader struct{ a *App }

func (r reader) Ping(ctx context.Context) error { return r.a.store.Ping(ctx) }
func (r reader) Depth(ctx context.Context, now time.Time) (chokepoint.Depth, error) {
	return r.a.store.Depth(ctx, now)
}
func (r reader) Health(ctx context.Context) ([]chokepoint.Health, error) {
	return r.a.store.Health(ctx)
}
func (r reader) Ticks(ctx context.Context) ([]chokepoint.TickReport, error) {
	return r.a.store.Ticks(ctx)
}
func (r reader) Stopped() map[chokepoint.Platform]string { return r.a.bot.Stopped() }

// await binds a wait on the store to what is waited for.
func await(w store.Waker, what store.What) func(context.Context, int64) (int64, error) {
	return func(ctx context.Context, seen int64) (int64, error) { return w.Await(ctx, what, seen) }
}

// holder names this process among replicas.
func holder() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), chokepoint.ShortHash(6, host, fmt.Sprint(os.Getpid(), time.Now().UnixNano())))
}
