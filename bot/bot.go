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

	// Tuning; zero takes what stands beside each.
	SendTimeout time.Duration // of one attempt: 30 s
	StopTimeout time.Duration // for sends in flight when the program stops: 8 s
	GrantTTL    time.Duration // of a grant: 2 min
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
	stopped map[chokepoint.Platform]string
}

// New makes a Bot; Run starts it.
func New(cfg Config) *Bot {
	or := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	or(&cfg.SendTimeout, 30*time.Second)
	or(&cfg.StopTimeout, 8*time.Second)
	or(&cfg.GrantTTL, 2*time.Minute)
	if cfg.Workers <= 0 {
		cfg.Workers = 64
	}
	if cfg.Language == "" {
		cfg.Language = chokepoint.English
	}
	return &Bot{cfg: cfg, metrics: newMetrics(cfg.Registry), flood: newFlood(), cards: newCards(cfg.Render), stopped: map[chokepoint.Platform]string{}}
}

// Stopped is the platforms that will not have us, with the reason.
func (b *Bot) Stopped() map[chokepoint.Platform]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[chokepoint.Platform]string, len(b.stopped))
	for p, why := range b.stopped {
		out[p] = why
	}
	return out
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
	name := "platform:" + string(p)
	rest := time.Second
	for ctx.Err() == nil {
		run, cancel := context.WithCancel(ctx)
		var lease chokepoint.Lease
		if p != chokepoint.Console {
			var err error
			lease, err = b.cfg.Leaser.Acquire(ctx, b.cfg.Now(), name, b.cfg.Holder, platformTTL)
			if err != nil {
				cancel()
				if !errors.Is(err, chokepoint.ErrLeaseHeld) {
					b.away(ctx, "taking the lease "+name, err)
				}
				pause(ctx, platformTTL/3)
				continue
			}
		}
		var keep sync.WaitGroup
		if p != chokepoint.Console {
			keep.Go(func() {
				defer cancel()
				b.keep(run, &lease)
			})
		}
		began := b.cfg.Now()
		err := a.Run(run, b.cfg.Handler.Menu(), func(ctx context.Context, in Inbound) { b.answer(ctx, a, in) })
		cancel()
		keep.Wait()
		if p != chokepoint.Console {
			end, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			_ = b.cfg.Leaser.Release(end, lease) // it runs out by itself
			done()
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrStopped):
			log.Error("the platform will not have us: mend it and start again", "err", err)
			b.refused(ctx, p, err)
			return
		case err != nil:
			log.Warn("receiving broke off: trying again", "err", err, "pause", rest)
		}
		if b.cfg.Now().Sub(began) > time.Minute {
			rest = time.Second
		}
		pause(ctx, rest)
		rest = min(2*rest, time.Minute)
	}
}

// keep renews a lease until ctx ends or the lease is lost, or could not be
// renewed for two thirds of its time: then another may have it soon.
func (b *Bot) keep(ctx context.Context, l *chokepoint.Lease) {
	good := time.Now()
	for {
		pause(ctx, platformTTL/5)
		if ctx.Err() != nil {
			return
		}
		call, done := context.WithTimeout(ctx, platformTTL/5)
		next, err := b.cfg.Leaser.Renew(call, b.cfg.Now(), *l, platformTTL)
		done()
		switch {
		case err == nil:
			*l, good = next, time.Now()
		case errors.Is(err, chokepoint.ErrLeaseLost), time.Since(good) > platformTTL*2/3:
			if ctx.Err() == nil {
				b.cfg.Log.Warn("the lease was lost: another process receives, or will", "lease", l.Name, "err", err)
			}
			return
		}
	}
}

// refused notes that a platform will not have us, and tells operators through
// the others, once.
func (b *Bot) refused(ctx context.Context, p chokepoint.Platform, err error) {
	b.mu.Lock()
	_, known := b.stopped[p]
	b.stopped[p] = err.Error()
	b.mu.Unlock()
	if known {
		return
	}
	now := b.cfg.Now().UTC()
	story := chokepoint.NewStoryID("bot", "platform", string(p), now.Format("2006-01-02"))
	alert := chokepoint.Alert{
		ID: story.Alert(0), Story: story, Kind: chokepoint.AlertOps, Topic: chokepoint.TopicOps, Severity: chokepoint.Urgent, Direction: chokepoint.Negative,
		Seen: now, At: now, Facts: chokepoint.Facts{"what": "platform", "name": string(p), "state": "failing", "detail": err.Error(), "since": now.Format(time.RFC3339)},
	}
	if err := b.cfg.Outbox.Publish(ctx, now, []chokepoint.Alert{alert}); err != nil {
		b.cfg.Log.Error("operators could not be told", "about", p, "err", err)
	}
}

// welcome notes that a platform that refused us has accepted a message.
func (b *Bot) welcome(p chokepoint.Platform) {
	b.mu.Lock()
	delete(b.stopped, p)
	b.mu.Unlock()
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
