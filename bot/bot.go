package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
)

// Config is what a Bot is built of.
type Config struct {
	Outbox   Outbox
	Leaser   Leaser
	Render   Renderer
	Handler  Handler
	Adapters []Adapter

	// AwaitCommitted and AwaitOwed return when something was left to spread,
	// or fell due, after the moment that seen stands for; or after a while.
	AwaitCommitted, AwaitOwed func(ctx context.Context, seen int64) (int64, error)

	Holder   string // of leases and grants; unique among the processes on one store
	Now      func() time.Time
	Log      *slog.Logger
	Words    *i18n.Catalog
	Language chokepoint.Language   // of what is said to chats that have none
	Registry prometheus.Registerer // nil counts nothing

	// Chat is a chat's settings, for the language of the few words that Bot
	// itself says; nil, or an error, falls back to the person's own.
	Chat func(ctx context.Context, id chokepoint.ChatID) (chokepoint.Chat, error)

	// Tuning; zero takes what stands beside each.
	SendTimeout time.Duration // of one attempt: 10 s, at most half of GrantTTL
	StopTimeout time.Duration // for sends in flight when the program stops: 8 s
	GrantTTL    time.Duration // of a grant, and so until another has what a killed process held: 20 s
	Workers     int           // sends at a time and platform: 64
}

const (
	spreadPage  = 1000
	platformTTL = 15 * time.Second // of the lease to receive from a platform
)

// Bot is what every platform shares: it spreads alerts to lanes, sends what is
// due, settles it, and carries commands to the handler and answers back.
type Bot struct {
	cfg     Config
	metrics *metrics
	flood   *flood
	cards   *cards

	mu      sync.Mutex
	refusal map[chokepoint.Platform]map[way]refusal
}

// way is what a platform can refuse.
type way string

const (
	sending   way = "sending"
	receiving way = "receiving"
)

// refusal is what operators were told of a platform that will not have us.
type refusal struct {
	story chokepoint.StoryID
	since time.Time
	why   string
}

// New makes a Bot; Run starts it.
func New(cfg Config) *Bot {
	or := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	or(&cfg.SendTimeout, 10*time.Second)
	or(&cfg.StopTimeout, 8*time.Second)
	or(&cfg.GrantTTL, 20*time.Second)
	cfg.SendTimeout = min(cfg.SendTimeout, cfg.GrantTTL/2) // an attempt must fit into its grant
	if cfg.Workers <= 0 {
		cfg.Workers = 64
	}
	if cfg.Language == "" {
		cfg.Language = chokepoint.English
	}
	return &Bot{cfg: cfg, metrics: newMetrics(cfg.Registry), flood: newFlood(), cards: newCards(cfg.Render), refusal: map[chokepoint.Platform]map[way]refusal{}}
}

// Stopped is the platforms that will not have us, with the reason.
func (b *Bot) Stopped() map[chokepoint.Platform]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[chokepoint.Platform]string{}
	for p, ways := range b.refusal {
		for _, r := range ways {
			out[p] = r.why
		}
	}
	return out
}

// language is what a chat is spoken to in.
func (b *Bot) language(c chokepoint.Chat) chokepoint.Language {
	if c.Language == "" {
		return b.cfg.Language
	}
	return c.Language
}

// Run spreads, sends and receives until ctx ends. Sends under way are given
// StopTimeout, and what became of them is settled before it returns.
func (b *Bot) Run(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error { b.spread(ctx); return nil })
	for _, a := range b.cfg.Adapters {
		g.Go(func() error { b.dispatch(ctx, a); return nil })
		g.Go(func() error { b.receive(ctx, a); return nil })
	}
	return g.Wait()
}

// spread carries alerts to lanes, as soon as they are committed.
func (b *Bot) spread(ctx context.Context) {
	var seen int64
	for ctx.Err() == nil {
		more, err := b.cfg.Outbox.Spread(ctx, b.cfg.Now(), spreadPage)
		if err != nil {
			b.away(ctx, "spreading alerts", err)
			continue
		}
		if more {
			continue
		}
		next, err := b.cfg.AwaitCommitted(ctx, seen)
		if err != nil {
			b.away(ctx, "waiting for alerts", err)
			continue
		}
		seen = next
	}
}

// away logs that the store could not do something, and waits before it is
// tried again.
func (b *Bot) away(ctx context.Context, doing string, err error) {
	if ctx.Err() != nil {
		return
	}
	b.cfg.Log.Error("the store is away: trying again", "doing", doing, "err", err)
	pause(ctx, time.Second)
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// receive carries commands in, in one process at a time. A terminal is each
// process's own.
func (b *Bot) receive(ctx context.Context, a Adapter) {
	p := a.Platform()
	log := b.cfg.Log.With("platform", p)
	rest := time.Second
	for ctx.Err() == nil {
		began := time.Now()
		ours, err := b.run(ctx, a)
		switch {
		case ctx.Err() != nil:
			return
		case !ours:
			pause(ctx, platformTTL/3)
			continue
		case errors.Is(err, ErrStopped):
			log.Error("the platform will not have us: mend it and start again", "err", err)
			b.refused(ctx, p, receiving, err)
			return
		case err != nil:
			log.Warn("receiving broke off: trying again", "err", err, "pause", rest)
		}
		if time.Since(began) > time.Minute {
			rest = time.Second
		}
		pause(ctx, rest)
		rest = min(2*rest, time.Minute)
	}
}

// run receives until ctx ends, the adapter gives up, or the platform's lease is
// lost. ours is false if this process did not get the lease.
func (b *Bot) run(ctx context.Context, a Adapter) (ours bool, err error) {
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	if a.Platform() != chokepoint.Console {
		name := "platform:" + string(a.Platform())
		asked := time.Now()
		lease, err := b.cfg.Leaser.Acquire(ctx, b.cfg.Now(), name, b.cfg.Holder, platformTTL)
		if err != nil {
			if !errors.Is(err, chokepoint.ErrLeaseHeld) {
				b.away(ctx, "taking the lease "+name, err)
			}
			return false, nil
		}
		var keeper sync.WaitGroup
		keeper.Go(func() {
			defer cancel()
			b.keep(run, &lease, asked)
		})
		defer func() {
			cancel()
			keeper.Wait()
			end, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer done()
			_ = b.cfg.Leaser.Release(end, lease) // it runs out by itself
		}()
	}
	err = guard(func() error {
		return a.Run(run, b.cfg.Handler.Menu(), func(ctx context.Context, in Inbound) { b.answer(ctx, a, in) })
	})
	if errors.Is(err, errPanic) {
		b.metrics.panicked("receive")
	}
	return true, err
}

// keep renews a lease, asked for at a moment, until ctx ends or the lease is
// lost. One that could not be renewed is let go when two thirds of its time
// are over, while nobody else can have it.
func (b *Bot) keep(ctx context.Context, l *chokepoint.Lease, asked time.Time) {
	const every = platformTTL / 5
	letGo := asked.Add(platformTTL * 2 / 3)
	for {
		pause(ctx, min(every, time.Until(letGo)))
		if ctx.Err() != nil {
			return
		}
		asked = time.Now()
		call, done := context.WithDeadline(ctx, earlier(letGo, asked.Add(every)))
		next, err := b.cfg.Leaser.Renew(call, b.cfg.Now(), *l, platformTTL)
		done()
		switch {
		case err == nil:
			*l, letGo = next, asked.Add(platformTTL*2/3)
		case ctx.Err() != nil:
			return
		case errors.Is(err, chokepoint.ErrLeaseLost), !time.Now().Before(letGo):
			b.cfg.Log.Warn("the lease is lost: another process receives, or will", "lease", l.Name, "err", err)
			return
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// refused notes that a platform will not have us, and tells operators through
// the others, once.
func (b *Bot) refused(ctx context.Context, p chokepoint.Platform, w way, err error) {
	now := b.cfg.Now().UTC()
	b.mu.Lock()
	if b.refusal[p] == nil {
		b.refusal[p] = map[way]refusal{}
	}
	_, known := b.refusal[p][w]
	r := refusal{chokepoint.NewStoryID("bot", string(p), string(w), now.Format("2006-01-02T15")), now, err.Error()}
	if !known {
		b.refusal[p][w] = r
	}
	b.mu.Unlock()
	if !known {
		b.tell(ctx, p, r, now, chokepoint.Alert{ID: r.story.Alert(0), Severity: chokepoint.Urgent, Direction: chokepoint.Negative}, "failing")
	}
}

// welcome notes that a platform has accepted a message, and tells operators if
// it had refused us.
func (b *Bot) welcome(ctx context.Context, p chokepoint.Platform) {
	b.mu.Lock()
	r, known := b.refusal[p][sending]
	delete(b.refusal[p], sending)
	b.mu.Unlock()
	if known {
		b.tell(ctx, p, r, b.cfg.Now().UTC(), chokepoint.Alert{ID: r.story.Alert(1), Update: 1, Escalate: true, Severity: chokepoint.Notice}, "recovered")
	}
}

// tell publishes news of a platform to operators. It is of no use after a day.
func (b *Bot) tell(ctx context.Context, p chokepoint.Platform, r refusal, now time.Time, a chokepoint.Alert, state string) {
	a.Story, a.Kind, a.Topic = r.story, chokepoint.AlertOps, chokepoint.TopicOps
	a.Seen, a.At, a.Expires = now, now, now.Add(24*time.Hour)
	a.Facts = chokepoint.Facts{"what": "platform", "name": string(p), "state": state, "detail": r.why, "since": r.since.Format(time.RFC3339)}
	if err := b.cfg.Outbox.Publish(ctx, now, []chokepoint.Alert{a}); err != nil {
		b.cfg.Log.Error("operators could not be told", "platform", p, "state", state, "err", err)
	}
}

// guard runs f and turns a panic into an error that wraps errPanic.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errPanic, r)
		}
	}()
	return f()
}
