package discord

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/bwmarrin/discordgo"
	"github.com/gorilla/websocket"
	"golang.org/x/sync/errgroup"

	"github.com/chokepoint-bot/chokepoint/bot"
)

const (
	// openWithin is how long the library may take to open a session before it
	// is left to itself. All that it waits for ends before.
	openWithin = 90 * time.Second
	// closeWithin is how long it may take to notice that a connection is over:
	// it sleeps for a second.
	closeWithin = 10 * time.Second
	// steady is how long a connection must last for the past to be forgotten.
	steady = time.Minute
	// publishWithin bounds the first try to publish the menu, which receiving
	// waits for.
	publishWithin = 10 * time.Second

	// Discord resets the token of a bot that identifies 1000 times in 24 h, and
	// takes one Identify in 5 s.
	// https://discord.com/developers/docs/events/gateway#rate-limiting
	identifiesMost  = 300
	identifiesSpan  = 24 * time.Hour
	identifiesEvery = 5 * time.Second
)

// Run publishes menu and receives until ctx is done. A menu that cannot be
// published now is tried again, while commands are received already. See
// bot.Adapter.
func (a *Adapter) Run(ctx context.Context, menu []bot.CommandSpec, got func(context.Context, bot.Inbound)) error {
	r := newReceiver(a, menu, got)
	g, ctx := errgroup.WithContext(ctx)
	first, cancel := context.WithTimeout(ctx, publishWithin)
	failed := a.publish(first, menu)
	cancel()
	g.Go(func() error { return a.republish(ctx, menu, failed) })
	g.Go(func() error { return a.receive(ctx, r) })
	err := g.Wait()
	r.finish()
	if own, ok := a.wire.next.(*http.Transport); ok {
		own.CloseIdleConnections()
	}
	return err
}

// republish tries to publish until it succeeds or cannot.
func (a *Adapter) republish(ctx context.Context, menu []bot.CommandSpec, failed *bot.SendError) error {
	for n := 0; failed != nil; n++ {
		switch failed.Class {
		case bot.Unauthorized:
			return fmt.Errorf("discord: publishing the menu: %w: %w", bot.ErrStopped, failed)
		case bot.Transient, bot.Unknown, bot.RateLimited:
		default:
			a.log.Error("the menu cannot be published", "err", failed)
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		a.log.Warn("the menu is not published yet", "err", failed)
		if a.sleep(ctx, max(backoff(n, false), failed.Wait)) != nil {
			return nil
		}
		failed = a.publish(ctx, menu)
	}
	return nil
}

// session is one of the library's, with the connection that it is on.
type session struct {
	*discordgo.Session
	ended chan struct{} // the library says that it has noticed

	mu          sync.Mutex
	link        *link // the last one
	established bool  // READY came: it can be resumed
}

func (a *Adapter) newSession(ctx context.Context, r *receiver) (*session, error) {
	lib, err := a.library(&bound{ctx, a})
	if err != nil {
		return nil, err
	}
	s := &session{Session: lib, ended: make(chan struct{}, 1)}
	via, ok := a.wire.next.(*http.Transport)
	if !ok {
		via = http.DefaultTransport.(*http.Transport)
	}
	connect := func(secure bool) func(context.Context, string, string) (net.Conn, error) {
		return func(_ context.Context, _, addr string) (net.Conn, error) {
			c, err := dial(ctx, via, addr, secure)
			if err != nil {
				return nil, err
			}
			l, err := newLink(ctx, c, a.ready)
			if err != nil {
				return nil, err
			}
			s.mu.Lock()
			s.link = l
			s.mu.Unlock()
			return l, nil
		}
	}
	lib.Dialer = &websocket.Dialer{NetDialContext: connect(false), NetDialTLSContext: connect(true)}
	lib.AddHandler(func(_ *discordgo.Session, e *discordgo.Event) {
		if e != nil && e.Type == "READY" {
			s.mu.Lock()
			s.established = true
			s.mu.Unlock()
		}
		r.event(ctx, e)
	})
	lib.AddHandler(func(*discordgo.Session, *discordgo.Disconnect) {
		select {
		case s.ended <- struct{}{}:
		default:
		}
	})
	return s, nil
}

// bound ends the library's own requests with a context: it passes none. It asks
// for the gateway's address in no other way, so that this too keeps to pace.
type bound struct {
	ctx context.Context
	a   *Adapter
}

func (b *bound) RoundTrip(r *http.Request) (*http.Response, error) {
	q := request{method: r.Method, route: "/gateway"}
	if wait, _, why := b.a.pace.admit(q); wait > 0 {
		return nil, heldBack{wait, why}
	}
	ctx, cancel := context.WithTimeout(b.ctx, answerWithin)
	defer cancel()
	x := &exchange{}
	resp, err := b.a.wire.RoundTrip(r.WithContext(context.WithValue(ctx, exchangeKey{}, x)))
	if failed := b.a.judge(q, x, err); failed != nil && failed.Class == bot.RateLimited {
		return nil, heldBack{failed.Wait, failed.Error()}
	}
	return resp, err
}

// heldBack is a request that was not made, or refused, over a rate limit.
type heldBack struct {
	wait time.Duration
	why  string
}

func (e heldBack) Error() string { return "held back: " + e.why }

// receive keeps a session until ctx is done or Discord will not have us.
func (a *Adapter) receive(ctx context.Context, r *receiver) error {
	var s *session
	for failures := 0; ; failures++ {
		if s == nil {
			if a.sleep(ctx, a.identifies.next(a.now())) != nil {
				return nil
			}
			var err error
			if s, err = a.newSession(ctx, r); err != nil {
				return err
			}
			a.identifies.add(a.now())
		}
		began := a.now()
		ready, clean, err := a.hold(ctx, s)
		if ctx.Err() != nil {
			return nil
		}
		var closed closedWith
		if errors.As(err, &closed) && final(closed.code) {
			return fmt.Errorf("discord: %w: %w", bot.ErrStopped, err)
		}
		if ready && a.now().Sub(began) >= steady {
			failures = 0
		}
		wait := backoff(failures, ready)
		var held heldBack
		if errors.As(err, &held) {
			wait = max(wait, held.wait)
		}
		var invalid invalidSession
		if errors.As(err, &invalid) {
			wait = max(wait, time.Second+rand.N(4*time.Second)) // as Discord asks
		}
		resume := s.resumable(err) && clean
		a.log.Warn("gateway lost; connecting anew", "err", a.plain(err), "resume", resume, "wait", wait)
		if !resume {
			s = nil
		}
		if a.sleep(ctx, wait) != nil {
			return nil
		}
	}
}

// hold opens a session and stays until its connection ends. ready says whether
// it got as far as READY or RESUMED; clean whether the library let go of it.
func (a *Adapter) hold(ctx context.Context, s *session) (ready, clean bool, err error) {
	s.mu.Lock()
	s.link = nil
	s.mu.Unlock()
	select {
	case <-s.ended: // of a connection before
	default:
	}
	opened := make(chan error, 1)
	go func() { opened <- s.Open() }()
	stuck := time.NewTimer(openWithin)
	defer stuck.Stop()
	select {
	case err = <-opened:
	case <-stuck.C:
		s.mu.Lock()
		defer s.mu.Unlock()
		err := errors.New("the library did not open a session in time")
		if s.link != nil {
			s.link.end(err)
		}
		return false, false, err
	}
	s.mu.Lock()
	l := s.link
	s.mu.Unlock()
	if err != nil {
		if l != nil {
			select {
			case <-l.over: // it knows better
				err = l.cause
			default:
				l.end(err)
			}
		}
		return false, true, err
	}
	l.opened()
	a.log.Info("gateway open")
	<-l.over // also when ctx is done
	gone := time.NewTimer(closeWithin)
	defer gone.Stop()
	select {
	case <-s.ended:
		return true, true, l.cause
	case <-gone.C:
		return true, false, l.cause
	}
}

// resumable says whether a session can go on after what ended its connection.
func (s *session) resumable(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.established {
		return false
	}
	var invalid invalidSession
	if errors.As(err, &invalid) {
		return invalid.resumable
	}
	var closed closedWith
	if errors.As(err, &closed) {
		switch closed.code {
		case 4003, 4007, 4009: // not authenticated, wrong sequence, timed out
			return false
		}
	}
	return true
}

// final says whether a close code means that Discord will not have us: the
// token (4004), the shards (4010, 4011), the version (4012), the intents (4013,
// 4014).
func final(code int) bool { return code == 4004 || code >= 4010 && code <= 4014 }

// backoff is how long to wait after the n-th failure in a row, from 0: a second,
// doubled each time, to five minutes; a minute if Discord was there and went
// away again. The later half of it is left to chance.
func backoff(n int, ready bool) time.Duration {
	most := 5 * time.Minute
	if ready {
		most = time.Minute
	}
	d := most
	if n < 9 {
		d = min(most, time.Second<<n)
	}
	return d/2 + rand.N(d/2)
}

// identifies counts how often we identified.
type identifies struct {
	mu sync.Mutex
	at []time.Time // oldest first
}

// next is how long to wait before the next one.
func (i *identifies) next(now time.Time) time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	for len(i.at) > 0 && now.Sub(i.at[0]) >= identifiesSpan {
		i.at = i.at[1:]
	}
	switch {
	case len(i.at) == 0:
		return 0
	case len(i.at) >= identifiesMost:
		return i.at[0].Add(identifiesSpan).Sub(now)
	}
	return max(0, i.at[len(i.at)-1].Add(identifiesEvery).Sub(now))
}

func (i *identifies) add(now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.at = append(i.at, now)
}
