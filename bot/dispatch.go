package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
)

const (
	// editEvery is how often a story's card is changed in one chat at most:
	// platforms count edits like messages.
	editEvery = 30 * time.Second
	// ahead is how many grants are taken for each send that can run.
	ahead = 8
	// settleBatch is how many outcomes are written at once at most, and
	// settleEvery how long the first of them waits for others: a commit costs
	// as much as dozens of outcomes in it.
	settleBatch = 512
	settleEvery = 2 * time.Millisecond
	// settleStop is how long outcomes are still written after the last send,
	// when the program stops.
	settleStop = 1500 * time.Millisecond
)

// dispatch sends what is due on one platform until ctx ends.
func (b *Bot) dispatch(ctx context.Context, a Adapter) {
	d := &dispatcher{b: b, a: a, limits: a.Limits(), done: make(chan chokepoint.Settlement, b.cfg.Workers), room: make(chan struct{}, 1)}
	// Sends under way outlive ctx, and what became of them outlives the sends.
	sending, cancel := outlive(ctx, b.cfg.StopTimeout)
	defer cancel()
	settling, cancel := outlive(ctx, b.cfg.StopTimeout+settleStop)
	defer cancel()

	todo := make(chan chokepoint.Grant, ahead*b.cfg.Workers)
	var workers, settler sync.WaitGroup
	for range b.cfg.Workers {
		workers.Go(func() {
			for g := range todo {
				d.done <- chokepoint.Settlement{Grant: g, Outcome: d.handle(ctx, sending, g)}
			}
		})
	}
	settler.Go(func() { d.settle(settling) })
	d.take(ctx, todo)
	close(todo)
	workers.Wait()
	close(d.done)
	settler.Wait()
}

// dispatcher is one platform's sending.
type dispatcher struct {
	b      *Bot
	a      Adapter
	limits Limits
	meter  meter

	done chan chokepoint.Settlement

	mu    sync.Mutex
	open  int           // grants taken and not yet settled
	stuck bool          // what became of some cannot be written
	room  chan struct{} // poked when some were settled
}

// outlive is a context that ends d after ctx has ended, or when it is
// cancelled.
func outlive(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(d, cancel)
		context.AfterFunc(out, func() { t.Stop() })
	})
	return out, func() { stop(); cancel() }
}

// take grants lanes and hands them on, as fast as there is room.
func (d *dispatcher) take(ctx context.Context, todo chan<- chokepoint.Grant) {
	wake := make(chan struct{}, 1)
	var waiter sync.WaitGroup
	defer waiter.Wait()
	waiter.Go(func() {
		var seen int64
		for ctx.Err() == nil {
			next, err := d.b.cfg.AwaitOwed(ctx, seen)
			if err != nil {
				d.b.away(ctx, "waiting for what is owed", err)
			}
			seen = next
			select {
			case wake <- struct{}{}:
			default:
			}
		}
	})
	for ctx.Err() == nil {
		d.mu.Lock()
		free, stuck := cap(todo)-d.open, d.stuck
		d.mu.Unlock()
		// While outcomes cannot be written nothing is taken: a grant that ran
		// out meanwhile would be taken again and sent twice.
		if stuck || free < cap(todo)/4 {
			select {
			case <-ctx.Done():
			case <-d.room:
			}
			continue
		}
		now := d.b.cfg.Now()
		grants, err := d.b.cfg.Outbox.Grants(ctx, now, d.a.Platform(), d.b.cfg.Holder, d.b.cfg.GrantTTL, free)
		if err != nil {
			d.b.away(ctx, "taking what is owed", err)
			continue
		}
		if len(grants) > 0 {
			d.mu.Lock()
			d.open += len(grants)
			d.mu.Unlock()
			for _, g := range grants {
				todo <- g
			}
			continue
		}
		// Nothing is due: until something falls due, or is owed anew.
		sleep := 2 * time.Second
		if due, err := d.b.cfg.Outbox.Due(ctx, d.a.Platform()); err == nil && !due.IsZero() {
			sleep = min(max(due.Sub(now), time.Millisecond), sleep)
		}
		t := time.NewTimer(sleep)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-t.C:
		}
		t.Stop()
	}
}

// settle writes outcomes, as many at once as come in a short while.
func (d *dispatcher) settle(ctx context.Context) {
	for first := range d.done {
		batch := []chokepoint.Settlement{first}
		enough := time.After(settleEvery)
	gather:
		for len(batch) < settleBatch {
			select {
			case s, ok := <-d.done:
				if !ok {
					break gather
				}
				batch = append(batch, s)
			case <-enough:
				break gather
			}
		}
		d.write(ctx, batch)
	}
}

// write settles a batch. A store that is away is waited for: what was sent and
// is not settled is sent again when its grant has run out.
func (d *dispatcher) write(ctx context.Context, batch []chokepoint.Settlement) {
	log := d.b.cfg.Log.With("platform", d.a.Platform())
	for try := 1; ; try++ {
		call, done := context.WithTimeout(ctx, 5*time.Second)
		lost, err := d.b.cfg.Outbox.Settle(call, d.b.cfg.Now(), batch)
		done()
		if err == nil {
			if len(lost) > 0 {
				log.Warn("grants had run out before they were settled", "n", len(lost))
				d.b.metrics.lost(d.a.Platform(), len(lost))
			}
			break
		}
		if try == 1 {
			log.Error("what became of sends cannot be written: trying on", "n", len(batch), "err", err)
		}
		if ctx.Err() != nil || d.hopeless(ctx, batch) {
			log.Error("what became of sends was not written: they may be sent again", "n", len(batch), "tries", try, "err", err)
			break
		}
		d.mu.Lock()
		d.stuck = true
		d.mu.Unlock()
		pause(ctx, min(time.Duration(try)*200*time.Millisecond, time.Second))
	}
	d.mu.Lock()
	d.open -= len(batch)
	d.stuck = false
	d.mu.Unlock()
	select {
	case d.room <- struct{}{}:
	default:
	}
}

// hopeless says that a batch is refused by a store that is there, and that its
// grants have run out.
func (d *dispatcher) hopeless(ctx context.Context, batch []chokepoint.Settlement) bool {
	now := d.b.cfg.Now()
	for _, s := range batch {
		if now.Before(s.Grant.Expires) {
			return false
		}
	}
	call, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	_, err := d.b.cfg.Outbox.Due(call, d.a.Platform())
	return err == nil
}

// handle decides on one grant, sends it if it is wanted, and says what became
// of it. Once ctx has ended nothing more is begun; what is under way may go on
// until sending ends.
func (d *dispatcher) handle(ctx, sending context.Context, g chokepoint.Grant) chokepoint.Outcome {
	now := d.b.cfg.Now()
	back := func(until time.Time, hold bool, reason string) chokepoint.Outcome {
		return chokepoint.Outcome{Kind: chokepoint.Snooze, NotBefore: until, Hold: hold, Reason: reason, Pace: g.Pace}
	}
	if ctx.Err() != nil {
		return back(now, true, "stopping")
	}
	p := d.a.Platform()
	switch dec := gate(now, g.Chat, g.Alert); dec.verdict {
	case wait:
		d.b.metrics.gated(p, dec.reason)
		return back(dec.until, false, dec.reason)
	case drop:
		d.b.metrics.gated(p, dec.reason)
		return chokepoint.Outcome{Kind: chokepoint.Dropped, Reason: dec.reason, Pace: g.Pace}
	}

	to, alert, out := d.place(ctx, now, g)
	if out != nil {
		return *out
	}
	tat, pauseFor := spend(now, g.Pace.TAT, d.limits.Every, d.limits.Burst)
	if pauseFor > 0 {
		return back(now.Add(pauseFor), true, "pace")
	}
	if w := d.meter.take(now, d.limits.Global); w > 0 {
		if w > 5*time.Second {
			return back(now.Add(w), true, "platform holds")
		}
		for w > 0 {
			pause(ctx, w)
			if ctx.Err() != nil {
				return back(now, true, "stopping")
			}
			w = d.meter.take(d.b.cfg.Now(), d.limits.Global)
		}
	}
	// An attempt that could outlast the grant could be made twice.
	if now = d.b.cfg.Now(); g.Expires.Sub(now) < d.b.cfg.SendTimeout {
		return back(now, true, "late")
	}
	limits := d.limits
	if to.Edit != "" {
		limits.Dedups = true // a card that is changed twice is changed once
	}
	posting, err := d.send(sending, g, alert, to, limits)
	now = d.b.cfg.Now()
	became := settle(now, g, limits, posting, chokepoint.Pace{TAT: tat}, err)
	d.account(sending, g, became, err, now)
	return became
}

// place says where an alert goes in its chat: anew, as a change of the story's
// card, or after it. An update that does not speak becomes the latest one of
// its story, so that many of them cost one edit.
func (d *dispatcher) place(ctx context.Context, now time.Time, g chokepoint.Grant) (Target, *chokepoint.Alert, *chokepoint.Outcome) {
	to := Target{Chat: g.Chat.ID}
	a := g.Alert
	if !follows(g) {
		return to, a, nil
	}
	if a.Escalate {
		to.Thread = g.Posting.Thread
		if to.Thread == "" {
			to.Answer = g.Posting.Message
		}
		return to, a, nil
	}
	if !d.limits.Edits {
		return to, nil, &chokepoint.Outcome{Kind: chokepoint.Dropped, Reason: "no-edits", Pace: g.Pace}
	}
	if telling(g.Posting.Alert) >= a.Update {
		return to, nil, &chokepoint.Outcome{Kind: chokepoint.Dropped, Reason: "superseded", Pace: g.Pace}
	}
	if next := g.Posting.Edited.Add(editEvery); now.Before(next) {
		return to, nil, &chokepoint.Outcome{Kind: chokepoint.Snooze, NotBefore: next, Reason: "edited lately", Pace: g.Pace}
	}
	to.Edit = g.Posting.Message
	if newest, err := d.b.cfg.Outbox.Alerts(ctx, chokepoint.AlertQuery{Story: a.Story, Chat: g.Chat.ID, N: 1}); err == nil && len(newest) == 1 && newest[0].Update > a.Update {
		a = &newest[0]
	}
	return to, a, nil
}

// follows says whether the alert is told under what its chat was told before.
func follows(g chokepoint.Grant) bool {
	return g.Alert.Update > 0 && g.Posting != nil && !strings.HasPrefix(g.Delivery.LastErr, MessageGone.String())
}

// telling is which telling of its story an alert is, by its ID.
func telling(id chokepoint.AlertID) int {
	_, n, ok := strings.Cut(string(id), "-")
	if !ok {
		return 0
	}
	i, _ := strconv.Atoi(n)
	return i
}

// send shows an alert, and says where its story stands then.
func (d *dispatcher) send(ctx context.Context, g chokepoint.Grant, a *chokepoint.Alert, to Target, limits Limits) (*chokepoint.Posting, error) {
	ctx, cancel := context.WithTimeout(ctx, d.b.cfg.SendTimeout)
	defer cancel()
	began := time.Now()
	var at Posted
	err := guard(func() error {
		for i, part := range split(d.word(g, a, limits), limits) {
			t := to
			if i > 0 {
				t.Edit = ""
			}
			posted, err := d.a.Send(ctx, t, part, partKey(g.Delivery.ID, strconv.Itoa(i)))
			if err != nil {
				return err
			}
			if i == 0 {
				at = posted
			}
		}
		return nil
	})
	d.b.metrics.send(d.a.Platform(), time.Since(began), err)
	if err != nil {
		return nil, err
	}
	if !follows(g) {
		return &chokepoint.Posting{Chat: g.Chat.ID, Story: a.Story, Alert: a.ID, Message: at.Message}, nil
	}
	p := *g.Posting
	if to.Edit != "" {
		p.Alert, p.Edited = a.ID, d.b.cfg.Now().UTC()
	}
	if at.Elsewhere { // the thread is gone: follow-ups answer the message from now on
		p.Thread = ""
	}
	return &p, nil
}

// word words an alert for one attempt at showing it.
func (d *dispatcher) word(g chokepoint.Grant, a *chokepoint.Alert, limits Limits) Message {
	m := d.b.cards.get(a, d.b.language(g.Chat), g.Chat.Zone, d.b.cfg.Now(), g.Delivery.Unknown > 0 && !limits.Dedups)
	switch {
	case formOf(g.Delivery) == asPlain:
		return plainly(m)
	case follows(g) && !limits.Edits:
		// What was said stands above, unchanged: the news alone is enough.
		return Message{Tone: m.Tone, Title: m.Title, URL: m.URL, Footer: m.Footer, Silent: m.Silent}
	}
	return m
}

// plainly is m without anything that a platform could refuse: text in rows.
func plainly(m Message) Message {
	out := Message{Silent: m.Silent}
	for row := range strings.SplitSeq(m.PlainText(), "\n") {
		out.Lines = append(out.Lines, Text(row))
	}
	return out
}

// partKey is the key of a message's part: the same on every attempt, and never
// shared by two texts. Discord takes 25 characters.
func partKey(d chokepoint.DeliveryID, part string) string {
	return chokepoint.ShortHash(25, string(d), part)
}

// account logs and counts what became of a send, and does what an answer means
// for the platform as a whole.
func (d *dispatcher) account(ctx context.Context, g chokepoint.Grant, out chokepoint.Outcome, err error, now time.Time) {
	p := d.a.Platform()
	d.b.metrics.outcome(p, out)
	if err == nil {
		d.b.metrics.delivered(p, now.Sub(g.Delivery.Queued))
		d.b.welcome(ctx, p)
		if d.b.cfg.Log.Enabled(ctx, slog.LevelDebug) {
			d.log(g).Debug("sent", "owed_for", now.Sub(g.Delivery.Queued))
		}
		return
	}
	log := d.log(g)
	var e *SendError
	if errors.As(err, &e) {
		switch {
		case e.Class == RateLimited && e.Global:
			d.meter.stop(now.Add(max(e.Wait, time.Second)))
		case e.Class == Unauthorized:
			d.meter.stop(now.Add(refusedPause))
			d.b.refused(ctx, p, sending, err)
		}
	}
	if errors.Is(err, errPanic) {
		d.b.metrics.panicked("send")
	}
	switch out.Kind {
	case chokepoint.Dead:
		log.Error("given up: /dead shows it, /requeue owes it again", "reason", out.Reason)
		if !out.Gone && !out.Unknown {
			d.notice(ctx, g)
		}
	case chokepoint.Dropped:
		log.Warn("not sent again, since it may have been shown", "reason", out.Reason)
	default:
		log.Warn("not sent yet", "reason", out.Reason, "not_before", out.NotBefore)
	}
}

func (d *dispatcher) log(g chokepoint.Grant) *slog.Logger {
	return d.b.cfg.Log.With("platform", d.a.Platform(), "chat", g.Chat.ID.ID, "alert", g.Delivery.Alert, "delivery", g.Delivery.ID, "attempt", g.Delivery.Attempts+1)
}

// notice stands in the place of a message that a platform will not show.
func (d *dispatcher) notice(ctx context.Context, g chokepoint.Grant) {
	m := Message{Tone: Warn, Lines: []Line{Text(d.b.cfg.Words.T(d.b.language(g.Chat), "bot.notice", i18n.Args{"Alert": string(g.Delivery.Alert)}))}}
	ctx, cancel := context.WithTimeout(ctx, d.b.cfg.SendTimeout)
	defer cancel()
	err := guard(func() error {
		_, err := d.a.Send(ctx, Target{Chat: g.Chat.ID}, m, partKey(g.Delivery.ID, "notice"))
		return err
	})
	if err != nil {
		d.log(g).Warn("not even a notice could be shown", "err", err)
	}
}

// cards words alerts, each once for all chats of one language and zone.
type cards struct {
	r      Renderer
	mu     sync.Mutex
	by     map[cardKey]Message
	flight singleflight.Group
}

type cardKey struct {
	alert  chokepoint.AlertID
	lang   chokepoint.Language
	zone   string
	second int64 // the card says when it was sent
	again  bool
}

// mostCards bounds what is remembered; a burst of alerts to many chats is of a
// few at a time.
const mostCards = 64

func newCards(r Renderer) *cards { return &cards{r: r, by: map[cardKey]Message{}} }

func (c *cards) get(a *chokepoint.Alert, lang chokepoint.Language, zone string, now time.Time, again bool) Message {
	key := cardKey{a.ID, lang, zone, now.Unix(), again}
	c.mu.Lock()
	m, ok := c.by[key]
	c.mu.Unlock()
	if ok {
		return m
	}
	// A chart may ask the store: only those who wait for this very card wait.
	worded, _, _ := c.flight.Do(fmt.Sprint(key), func() (any, error) {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			loc = time.UTC
		}
		return c.r.Alert(a, lang, loc, now, again), nil
	})
	m, _ = worded.(Message)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.by) >= mostCards {
		clear(c.by)
	}
	c.by[key] = m
	return m
}
