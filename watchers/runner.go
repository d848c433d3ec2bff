package watchers

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Store is the part of the store that observing and judging need. See package
// store for what its methods promise.
type Store interface {
	Acquire(ctx context.Context, now time.Time, name, holder string, ttl time.Duration) (chokepoint.Lease, error)
	Renew(ctx context.Context, now time.Time, l chokepoint.Lease, ttl time.Duration) (chokepoint.Lease, error)
	Release(ctx context.Context, l chokepoint.Lease) error

	Cursor(ctx context.Context, source string) (string, error)
	Record(ctx context.Context, now time.Time, s chokepoint.SourceStep) (fresh int, err error)
	Read(ctx context.Context, after chokepoint.Position, kinds []chokepoint.Kind, n int) ([]chokepoint.Entry, chokepoint.Position, error)
	Health(ctx context.Context) ([]chokepoint.Health, error)

	Checkpoint(ctx context.Context, watcher string) (chokepoint.Checkpoint, error)
	Commit(ctx context.Context, now time.Time, s chokepoint.Step) error
	Board(ctx context.Context) ([]chokepoint.Card, error)
	AllRules(ctx context.Context, known int64) (rules []chokepoint.Rule, version int64, err error)
}

// SourceSpec is a source with its schedule.
type SourceSpec struct {
	Source   Source
	Kind     string // as configured: "feed", "edgar", "permits", "quotes"
	Schedule Schedule
	Jitter   time.Duration // each visit starts up to this much late
	Timeout  time.Duration // of one visit; zero is a minute

	// OnlyWhen, if set, says whether there is anything to ask for at a moment
	// that is due. The first visit is made whatever it says.
	OnlyWhen func(now time.Time) bool
}

// WatcherSpec is a judge with its name and schedule.
type WatcherSpec struct {
	Name     chokepoint.Topic
	Judge    Judge
	Schedule Schedule // when it looks by time alone; the journal wakes it at once
	Rules    bool     // the judge wants the price rules
}

// RunnerConfig is what a Runner runs.
type RunnerConfig struct {
	Store    Store
	Sources  []SourceSpec // names are unique
	Watchers []WatcherSpec

	// AwaitJournal returns when something was recorded after the moment that
	// seen stands for, or after a while, with the number to pass next time.
	AwaitJournal func(ctx context.Context, seen int64) (int64, error)

	Holder  string           // of leases; unique among the processes on one store
	Workers int              // visits at a time; zero is 16
	Batch   int              // observations to judge at a time; zero is 500
	Now     func() time.Time // nil is time.Now
	Log     *slog.Logger
	Metrics *Metrics // nil counts nothing
}

const (
	defaultWorkers = 16
	defaultBatch   = 500
	watcherTTL     = 15 * time.Second // of a watcher's lease; kept while it runs
	leaseMargin    = 30 * time.Second // of a source's lease beyond its visit's timeout
	startSpread    = 2 * time.Second  // over which the visits of a start are spread
	storeAway      = 5 * time.Second  // before a store that failed is tried again
	clockCheck     = 30 * time.Second // at most between looks at the clock, which may be set or stand still
	settleTime     = 5 * time.Second  // to record what was read when we are told to stop
)

// Runner asks sources and runs watchers, on their schedules, and each in one
// replica at a time.
type Runner struct {
	cfg RunnerConfig
	now func() time.Time // UTC, without a monotonic part: clocks may be set
	log *slog.Logger

	firstRound chan struct{}

	mu      sync.Mutex
	unasked int                          // sources that have had no turn yet
	health  map[string]chokepoint.Health // of sources, as read from the store
	read    time.Time                    // when health was
}

// NewRunner makes a runner; Run starts it.
func NewRunner(cfg RunnerConfig) *Runner {
	if cfg.Workers <= 0 {
		cfg.Workers = defaultWorkers
	}
	if cfg.Batch <= 0 {
		cfg.Batch = defaultBatch
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Runner{
		cfg:        cfg,
		now:        func() time.Time { return cfg.Now().UTC().Round(0) },
		log:        cfg.Log,
		firstRound: make(chan struct{}),
		unasked:    len(cfg.Sources),
	}
	if r.unasked == 0 {
		close(r.firstRound)
	}
	return r
}

// FirstRound is closed when every source has had its first turn: it was asked,
// or it was asked so recently that it need not be, or another replica has it.
func (r *Runner) FirstRound() <-chan struct{} { return r.firstRound }

// Run asks and judges until ctx ends, and returns nil once all is put down. A
// visit under way is cut short; what it read whole is recorded.
func (r *Runner) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		r.ask(ctx)
		return nil
	})
	var wakes []chan struct{}
	for _, spec := range r.cfg.Watchers {
		wake := make(chan struct{}, 1)
		wakes = append(wakes, wake)
		g.Go(func() error {
			r.watch(ctx, spec, wake)
			return nil
		})
	}
	if len(wakes) > 0 && r.cfg.AwaitJournal != nil {
		g.Go(func() error {
			r.pulse(ctx, wakes)
			return nil
		})
	}
	return g.Wait()
}

// RunOnce asks every source once, whatever its schedule says, and then lets
// every watcher judge all there is, and what is due by time alone.
func (r *Runner) RunOnce(ctx context.Context) error {
	if err := r.readHealth(ctx); err != nil {
		return err
	}
	health := r.health
	g, visits := errgroup.WithContext(ctx)
	g.SetLimit(r.cfg.Workers)
	for _, spec := range r.cfg.Sources {
		spec.OnlyWhen = nil
		g.Go(func() error {
			v := &visitor{spec: spec, health: health[spec.Source.Name()], mine: true}
			defer r.release(v.lease)
			return r.visit(visits, v)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, spec := range r.cfg.Watchers {
		if err := r.hold(ctx, spec, nil); err != nil {
			return err
		}
	}
	return nil
}

// visitor is a source with what is known of it. It belongs to the queue, or to
// the one visit under way.
type visitor struct {
	spec   SourceSpec
	due    time.Time
	turned bool              // had its first turn
	health chokepoint.Health // of the last visit, if mine
	mine   bool              // the last visit was this process's
	lease  chokepoint.Lease  // zero if there never was one
}

// queue orders visitors by when they are due.
type queue []*visitor

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(v any)        { *q = append(*q, v.(*visitor)) }
func (q *queue) Pop() any {
	old := *q
	v := old[len(old)-1]
	*q = old[:len(old)-1]
	return v
}

// ask makes the visits that are due, a few at a time. Leases are not given
// back between visits: replicas are due at the same moment, and the second
// must find the lease held. They run out soon if this process dies.
func (r *Runner) ask(ctx context.Context) {
	for {
		err := r.readHealth(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		r.log.Warn("sources are not asked while the store is away", "err", err)
		if !sleep(ctx, storeAway) {
			return
		}
	}
	var q queue
	now := r.now()
	for _, spec := range r.cfg.Sources {
		v := &visitor{spec: spec, health: r.health[spec.Source.Name()]}
		v.due = firstDue(now, v.health, spec)
		if v.due.After(now.Add(startSpread)) {
			r.turn(v)
		}
		q = append(q, v)
	}
	heap.Init(&q)
	if len(q) > 0 && !q[0].due.After(now.Add(startSpread)) {
		q[0].due = now // whoever starts it sees something happen at once
	}

	back := make(chan *visitor)
	free := r.cfg.Workers
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		now := r.now()
		for free > 0 && len(q) > 0 && !q[0].due.After(now) {
			v := heap.Pop(&q).(*visitor)
			free--
			go func() {
				if err := r.visit(ctx, v); err != nil && ctx.Err() == nil {
					r.log.Warn("a source could not be asked, or its answer not be kept", "source", v.spec.Source.Name(), "err", err)
				}
				r.turn(v)
				back <- v
			}()
		}
		wait := clockCheck
		if free > 0 && len(q) > 0 {
			wait = min(wait, q[0].due.Sub(now))
		}
		timer.Reset(wait)
		select {
		case v := <-back:
			free++
			heap.Push(&q, v)
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	for ; free < r.cfg.Workers; free++ {
		heap.Push(&q, <-back)
	}
	for _, v := range q {
		if v.lease.Expires.After(r.now()) {
			r.release(v.lease)
		}
	}
}

// turn counts v's first turn.
func (r *Runner) turn(v *visitor) {
	if v.turned {
		return
	}
	v.turned = true
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unasked--; r.unasked == 0 {
		close(r.firstRound)
	}
}

// visit asks a source and records what it says, and sets when it is due again.
// Another replica's turn is no error.
func (r *Runner) visit(ctx context.Context, v *visitor) (err error) {
	name, now := v.spec.Source.Name(), r.now()
	v.due = nextDue(now, v.spec, 0)
	if v.spec.OnlyWhen != nil && !v.health.Tried.IsZero() && !v.spec.OnlyWhen(now) {
		return nil
	}
	defer func() {
		if err != nil {
			v.mine, v.due = false, now.Add(storeAway+jitter(name, now, storeAway))
		}
	}()
	timeout := v.spec.Timeout
	if timeout <= 0 {
		timeout = time.Minute
	}
	lease, err := r.cfg.Store.Acquire(ctx, now, "source:"+name, r.cfg.Holder, timeout+leaseMargin)
	if errors.Is(err, chokepoint.ErrLeaseHeld) {
		// Another replica has it, or a process that died: then the lease runs
		// out soon.
		v.mine = false
		if again := now.Add(timeout + leaseMargin + jitter(name, now, startSpread)); again.Before(v.due) {
			v.due = again
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("watchers: acquire source %s: %w", name, err)
	}
	v.lease = lease
	if !v.mine {
		if v.health, err = r.healthOf(ctx, name, now); err != nil {
			return err
		}
		if at := firstDue(now, v.health, v.spec); at.After(now.Add(startSpread)) {
			v.due = at // another replica has asked it
			r.release(lease)
			v.lease = chokepoint.Lease{}
			return nil
		}
	}
	cursor, err := r.cfg.Store.Cursor(ctx, name)
	if err != nil {
		return fmt.Errorf("watchers: read the cursor of %s: %w", name, err)
	}
	visit := VisitSource(ctx, v.spec.Source, now, cursor, timeout, r.log)
	if visit.Failure != nil && ctx.Err() != nil {
		return ctx.Err() // it was cut short, which says nothing of the source
	}
	failures := 0
	if visit.Failure != nil {
		failures = v.health.Failures + 1
	}
	next := nextDue(r.now(), v.spec, backoff(visit.Failure, failures))
	health, alerts := assess(v.health, name, v.spec.Kind, visit, next)

	keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	_, err = r.cfg.Store.Record(keep, r.now(), chokepoint.SourceStep{
		Lease: lease, Source: name, Cursor: visit.Cursor, Observations: visit.Observations, Health: health, Alerts: alerts,
	})
	if err != nil {
		return fmt.Errorf("watchers: record a visit to %s: %w", name, err)
	}
	r.note(v.health, health, visit)
	r.cfg.Metrics.visited(name, visit, alerts)
	v.health, v.mine, v.due = health, true, next
	return nil
}

// note logs how a visit ended: aloud where something changed.
func (r *Runner) note(old, h chokepoint.Health, v Visit) {
	args := []any{"source", h.Source, "class", h.Class, "observations", len(v.Observations), "took", v.Took}
	switch {
	case h.Err != "" && (old.Err == "" || old.Class != h.Class):
		r.log.Warn("a source did not answer as it should", append(args, "err", h.Err, "next", h.Next)...)
	case h.Err == "" && old.Err != "":
		r.log.Info("a source answers again", args...)
	default:
		r.log.Debug("asked a source", append(args, "err", h.Err)...)
	}
}

// firstDue is when a source is due after a start: at once if it never was
// asked, if a tick was missed, or if something had to be configured first; else
// when its schedule says, and not while it said to be left alone.
func firstDue(now time.Time, h chokepoint.Health, spec SourceSpec) time.Time {
	soon := now.Add(jitter(spec.Source.Name(), now, startSpread))
	if h.Tried.IsZero() || h.Class == chokepoint.NotAsked || h.Tried.After(now) { // the clock was wrong then, or is now
		return soon
	}
	due := nextDue(h.Tried, spec, 0)
	if wait := h.Next; !h.Class.Good() && wait.After(due) && wait.Before(now.Add(maxRest)) {
		due = wait
	}
	if due.After(now) {
		return due
	}
	return soon
}

// maxRest is longer than any source may ask to be left alone.
const maxRest = 7 * time.Hour

// nextDue is the first tick that is at least rest from now, with its jitter.
func nextDue(now time.Time, spec SourceSpec, rest time.Duration) time.Time {
	next := spec.Schedule.Next(now.Add(rest))
	if next.IsZero() {
		return now.Add(365 * 24 * time.Hour)
	}
	return next.Add(jitter(spec.Source.Name(), next, spec.Jitter))
}

func (r *Runner) readHealth(ctx context.Context) error {
	all, err := r.cfg.Store.Health(ctx)
	if err != nil {
		return fmt.Errorf("watchers: read the sources' health: %w", err)
	}
	health := make(map[string]chokepoint.Health, len(all))
	for _, h := range all {
		health[h.Source] = h
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.health, r.read = health, r.now()
	return nil
}

// healthOf is what the store knows of a source, at most a few seconds old: it
// is asked when a source is taken over from another replica, and then all are.
func (r *Runner) healthOf(ctx context.Context, name string, now time.Time) (chokepoint.Health, error) {
	r.mu.Lock()
	stale := now.Sub(r.read).Abs() > storeAway
	r.mu.Unlock()
	if stale {
		if err := r.readHealth(ctx); err != nil {
			return chokepoint.Health{}, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.health[name], nil
}

func (r *Runner) release(l chokepoint.Lease) {
	if l.Token == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	if err := r.cfg.Store.Release(ctx, l); err != nil {
		r.log.Debug("a lease was not given back, and will run out", "lease", l.Name, "err", err)
	}
}

// pulse wakes the watchers when the journal has grown.
func (r *Runner) pulse(ctx context.Context, wakes []chan struct{}) {
	var seen int64
	for ctx.Err() == nil {
		n, err := r.cfg.AwaitJournal(ctx, seen)
		if err != nil {
			if ctx.Err() == nil {
				r.log.Debug("the journal cannot be waited for", "err", err)
			}
			if !sleep(ctx, time.Second) {
				return
			}
			continue // watchers still look when something is due
		}
		seen = n
		for _, wake := range wakes {
			select {
			case wake <- struct{}{}:
			default:
			}
		}
	}
}

// watch runs a watcher whenever this process has its lease.
func (r *Runner) watch(ctx context.Context, spec WatcherSpec, wake <-chan struct{}) {
	for ctx.Err() == nil {
		err := r.hold(ctx, spec, wake)
		pause := storeAway
		switch {
		case err == nil || ctx.Err() != nil:
			continue
		case errors.Is(err, chokepoint.ErrLeaseHeld):
			pause = watcherTTL / 3
		case errors.Is(err, chokepoint.ErrLeaseLost):
			r.log.Info("another replica took a watcher over", "watcher", spec.Name)
			pause = time.Second
		default:
			r.log.Warn("a watcher stopped, and starts again from what was committed", "watcher", spec.Name, "err", err)
		}
		sleep(ctx, pause)
	}
}

// hold takes the watcher's lease and ticks until ctx ends or the lease or the
// store is lost. Without a wake it ticks until all is judged, and returns.
func (r *Runner) hold(ctx context.Context, spec WatcherSpec, wake <-chan struct{}) error {
	lease, err := r.cfg.Store.Acquire(ctx, r.now(), "watcher:"+string(spec.Name), r.cfg.Holder, watcherTTL)
	if err != nil {
		return fmt.Errorf("watchers: acquire watcher %s: %w", spec.Name, err)
	}
	ten := &tenure{store: r.cfg.Store, now: r.now, lease: lease}
	defer func() { r.release(ten.lease) }()
	t := &ticker{spec: spec, store: r.cfg.Store, tenure: ten, log: r.log, batch: r.cfg.Batch}
	if err := t.resume(ctx); err != nil {
		return err
	}

	due := r.now() // once at the start
	var retry time.Time
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if err := ten.keep(ctx); err != nil {
			return err
		}
		now := r.now()
		if !retry.After(now) {
			isDue := !due.IsZero() && !due.After(now)
			var next time.Time
			if spec.Schedule != nil {
				next = spec.Schedule.Next(now)
			}
			began := time.Now()
			did, err := t.tick(ctx, now, next, isDue)
			if err != nil {
				return err
			}
			if did.committed {
				r.cfg.Metrics.ticked(spec.Name, time.Since(began), did.alerts)
				r.log.Debug("a watcher ticked", "watcher", spec.Name, "judged", did.judged, "alerts", len(did.alerts), "took", time.Since(began))
			}
			switch {
			case did.err != nil:
				r.log.Error("a watcher could not judge", "watcher", spec.Name, "failures", t.failures, "err", did.err)
				if wake == nil && t.failures > poisonAfter {
					return did.err
				}
				retry = now.Add(min(time.Duration(t.failures)*time.Second, time.Minute))
			case isDue:
				due, retry = next, time.Time{}
			}
			if did.more && did.err == nil {
				continue
			}
			if wake == nil && did.err == nil {
				return nil
			}
		}
		wait := min(clockCheck, ten.renewIn())
		switch {
		case retry.After(now):
			wait = min(wait, retry.Sub(now))
		case !due.IsZero():
			wait = min(wait, due.Sub(now))
		}
		timer.Reset(max(wait, 0))
		select {
		case <-wake:
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// tenure is a watcher's lease, kept.
type tenure struct {
	store Store
	now   func() time.Time
	lease chokepoint.Lease
}

// renewIn is how long the lease need not be renewed.
func (t *tenure) renewIn() time.Duration { return t.lease.Expires.Sub(t.now()) - watcherTTL*2/3 }

// keep renews the lease when a third of it has passed.
func (t *tenure) keep(ctx context.Context) error {
	if t.renewIn() > 0 {
		return nil
	}
	lease, err := t.store.Renew(ctx, t.now(), t.lease, watcherTTL)
	if err != nil {
		return fmt.Errorf("watchers: renew %s: %w", t.lease.Name, err)
	}
	t.lease = lease
	return nil
}

// sleep waits for d; false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
