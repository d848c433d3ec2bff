//go:build unix

package redisstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/redistest"
	"github.com/chokepoint-bot/chokepoint/store"
)

// proxy stands between a store and a server, and can lose answers.
type proxy struct {
	net.Listener
	server string
	wg     sync.WaitGroup

	mu    sync.Mutex
	left  int // round trips until an answer is lost; 0 loses none
	lost  bool
	conns []net.Conn
}

func startProxy(t *testing.T, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, server: server}
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

// lose loses the answer of the n-th round trip from now, and closes the
// connection that waits for it. What was asked is executed all the same.
func (p *proxy) lose(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left, p.lost = n, false
}

// didLose says whether it has come to that.
func (p *proxy) didLose() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

// loses is called once for each round trip.
func (p *proxy) loses() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left == 0 {
		return false
	}
	p.left--
	p.lost = p.left == 0
	return p.lost
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	up, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	server := up.(*net.TCPConn)
	defer server.Close()
	p.mu.Lock()
	p.conns = append(p.conns, client, server)
	p.mu.Unlock()
	// A round trip begins with what the client says after the server spoke.
	var mu sync.Mutex
	spoke, dropped := true, false
	p.wg.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := client.Read(buf)
			mu.Lock()
			if n > 0 && spoke {
				spoke = false
				dropped = dropped || p.loses()
			}
			mu.Unlock()
			if n > 0 {
				if _, err := server.Write(buf[:n]); err != nil {
					return
				}
			}
			if err != nil {
				server.CloseWrite() // the server executes what it got, and then ends too
				return
			}
		}
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		mu.Lock()
		spoke = true
		drop := dropped
		mu.Unlock()
		if drop {
			// It has begun to answer, so it has all that was asked: see it out.
			client.Close()
			_, _ = io.Copy(io.Discard, server)
			return
		}
		if n > 0 {
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// world is a store with something of everything in it.
type world struct {
	t            *testing.T
	s            *Store
	source, tick chokepoint.Lease
	grants       []chokepoint.Grant // of alert aaaaaaaa, to chats 0 to 5
	sent         map[string][]chokepoint.AlertID
}

const longTime = 1000 * time.Hour

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func chat(i int) chokepoint.ChatID { return follower(i).ID }

func news(id string) chokepoint.Observation {
	return chokepoint.Observation{
		ID: chokepoint.NewObservationID("feed", id), Source: "feed", Kind: chokepoint.KindNews, At: begin, Seen: begin,
		News: &chokepoint.News{Evidence: chokepoint.Evidence{Title: id}},
	}
}

func newWorld(t *testing.T, url string) *world {
	w := &world{t: t, s: open(t, url), sent: map[string][]chokepoint.AlertID{}}
	s, ctx := w.s, t.Context()
	for i := range 6 {
		w.ok(s.PutChat(ctx, follower(i)))
		w.ok(s.PutRule(ctx, chokepoint.Rule{Chat: chat(i), ID: "r1", Symbol: "AAOI", Text: "below 20", Made: begin}))
	}
	var err error
	w.source, err = s.Acquire(ctx, begin, "source/feed", "me", longTime)
	w.ok(err)
	w.tick, err = s.Acquire(ctx, begin, "watcher/x", "me", longTime)
	w.ok(err)
	_, err = s.Record(ctx, begin, store.SourceStep{Lease: w.source, Source: "feed", Cursor: "1", Observations: []chokepoint.Observation{news("old")}, Health: chokepoint.Health{Source: "feed"}})
	w.ok(err)
	w.ok(s.Publish(ctx, begin, []chokepoint.Alert{alert("aaaaaaaa"), alert("bbbbbbbb"), alert("cccccccc")}))
	for range 3 { // the third is left unspread
		if more, err := s.Spread(ctx, begin, 4); err != nil || !more {
			t.Fatal(more, err)
		}
	}
	w.grants, err = s.Grants(ctx, begin, chokepoint.Telegram, "me", time.Minute, 10)
	w.ok(err)
	if len(w.grants) != 6 {
		t.Fatalf("%d grants, want 6", len(w.grants))
	}
	_, err = s.Settle(ctx, begin, []chokepoint.Settlement{{Grant: w.grant(5), Outcome: chokepoint.Outcome{Kind: chokepoint.Dead, Reason: "rejected"}}})
	w.ok(err)
	return w
}

func (w *world) grant(i int) chokepoint.Grant {
	for _, g := range w.grants {
		if g.Chat.ID == chat(i) {
			return g
		}
	}
	w.t.Fatalf("chat %d has no grant", i)
	return chokepoint.Grant{}
}

// end is all that people and platforms will ever see of a world.
type end struct {
	Sent    map[string][]chokepoint.AlertID // to each chat, in order
	Chats   []chokepoint.Chat
	Rules   []chokepoint.Rule
	Health  []chokepoint.Health
	Journal []chokepoint.Entry
	Point   chokepoint.Checkpoint
	Ticks   []chokepoint.TickReport
	Board   []chokepoint.Card
	Alerts  []chokepoint.Alert
	Dead    map[string]int
	Told    map[string]string // chat's message of story aaaaaaaa
	Cursor  string
	Mark    string
	Depth   chokepoint.Depth
}

// deliver sends all that is in the lanes, on a platform where chat 0 is gone,
// or chat 1 has another ID.
func (w *world) deliver(now time.Time, gone, moved bool) {
	w.t.Helper()
	for {
		gs, err := w.s.Grants(w.t.Context(), now, chokepoint.Telegram, "end", time.Minute, 100)
		w.ok(err)
		if len(gs) == 0 {
			return
		}
		for _, g := range gs {
			o := chokepoint.Outcome{Kind: chokepoint.Sent}
			switch {
			case gone && g.Delivery.Chat == chat(0):
				o = chokepoint.Outcome{Kind: chokepoint.Dead, Gone: true, Reason: "kicked"}
			case moved && g.Delivery.Chat == chat(1):
				o = chokepoint.Outcome{Kind: chokepoint.Retry, Moved: chat(101), Reason: "moved"}
			default:
				w.sent[g.Delivery.Chat.ID] = append(w.sent[g.Delivery.Chat.ID], g.Delivery.Alert)
			}
			lost, err := w.s.Settle(w.t.Context(), now, []chokepoint.Settlement{{Grant: g, Outcome: o}})
			w.ok(err)
			if len(lost) > 0 {
				w.t.Fatalf("lost %v", lost)
			}
		}
	}
}

// see lives a world to its end, with deliver's platform.
func (w *world) see(gone, moved bool) end {
	t, s, ctx := w.t, w.s, w.t.Context()
	t.Helper()
	e := end{Sent: w.sent, Dead: map[string]int{}, Told: map[string]string{}}
	now := begin.Add(time.Hour) // no grant lasts until then
	for more := true; more; {
		var err error
		more, err = s.Spread(ctx, now, 100)
		w.ok(err)
	}
	w.deliver(now, gone, moved)
	var err error
	e.Chats, err = s.Chats(ctx)
	w.ok(err)
	e.Rules, _, err = s.AllRules(ctx, 0)
	w.ok(err)
	e.Health, err = s.Health(ctx)
	w.ok(err)
	e.Journal, _, err = s.Read(ctx, "", nil, 100)
	w.ok(err)
	e.Point, err = s.Checkpoint(ctx, "x")
	w.ok(err)
	e.Ticks, err = s.Ticks(ctx)
	w.ok(err)
	e.Board, err = s.Board(ctx)
	w.ok(err)
	e.Alerts, err = s.Alerts(ctx, store.AlertQuery{N: 100})
	w.ok(err)
	dead, err := s.DeadLetters(ctx, 100)
	w.ok(err)
	for _, d := range dead {
		e.Dead[string(d.Alert)+" to "+d.Chat.ID]++
	}
	for _, c := range e.Chats {
		p, err := s.Posting(ctx, c.ID, "aaaaaaaa")
		if err == nil {
			e.Told[c.ID.ID] = p.Message
		} else if !errors.Is(err, chokepoint.ErrNotFound) {
			t.Fatal(err)
		}
	}
	e.Cursor, err = s.Cursor(ctx, "feed")
	w.ok(err)
	e.Mark, err = s.Mark(ctx, "m")
	w.ok(err)
	e.Depth, err = s.Depth(ctx, now)
	w.ok(err)
	return e
}

// TestALostAnswerIsAsGoodAsNone runs every write once undisturbed; and again
// for each of its round trips, whose answer is lost, and then, if that was an
// error, once more, as its caller would. It must all come to the same end.
func TestALostAnswerIsAsGoodAsNone(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	settle := func(i int, o chokepoint.Outcome) func(context.Context, *Store, *world) error {
		return func(ctx context.Context, s *Store, w *world) error {
			_, err := s.Settle(ctx, begin, []chokepoint.Settlement{{Grant: w.grant(i), Outcome: o}})
			return err
		}
	}
	p := chokepoint.Posting{Chat: chat(2), Story: "aaaaaaaa", Alert: "aaaaaaaa", Message: "7", Edited: begin}
	later := begin.Add(time.Minute)
	for _, tc := range []struct {
		name        string
		gone, moved bool
		do          func(context.Context, *Store, *world) error
	}{
		{name: "acquire", do: func(ctx context.Context, s *Store, w *world) error {
			_, err := s.Acquire(ctx, begin, "other", "me", time.Minute)
			return err
		}},
		{name: "renew", do: func(ctx context.Context, s *Store, w *world) error {
			_, err := s.Renew(ctx, begin, w.tick, time.Minute)
			return err
		}},
		{name: "release", do: func(ctx context.Context, s *Store, w *world) error { return s.Release(ctx, w.tick) }},
		{name: "record", do: func(ctx context.Context, s *Store, w *world) error {
			_, err := s.Record(ctx, later, store.SourceStep{
				Lease: w.source, Source: "feed", Cursor: "2", Observations: []chokepoint.Observation{news("old"), news("new")},
				Health: chokepoint.Health{Source: "feed", Class: chokepoint.OKNew}, Alerts: []chokepoint.Alert{alert("dddddddd")},
			})
			return err
		}},
		{name: "commit", do: func(ctx context.Context, s *Store, w *world) error {
			return s.Commit(ctx, later, store.Step{
				Lease: w.tick, Watcher: "x", Position: "1", State: []byte("state"), Report: chokepoint.TickReport{Watcher: "x"},
				Cards:  []chokepoint.Card{{Kind: chokepoint.CardRisk, ID: "runup", State: "high"}},
				Rules:  []chokepoint.Rule{{Chat: chat(1), ID: "r1", Symbol: "AAOI", Text: "below 20", Firings: 1}},
				Alerts: []chokepoint.Alert{alert("dddddddd"), alert("eeeeeeee")},
			})
		}},
		{name: "publish", do: func(ctx context.Context, s *Store, w *world) error {
			return s.Publish(ctx, later, []chokepoint.Alert{alert("dddddddd")})
		}},
		{name: "spread", do: func(ctx context.Context, s *Store, w *world) error { _, err := s.Spread(ctx, later, 3); return err }},
		{name: "grants", do: func(ctx context.Context, s *Store, w *world) error {
			_, err := s.Grants(ctx, begin.Add(2*time.Minute), chokepoint.Telegram, "me", time.Minute, 3)
			return err
		}},
		{name: "settle as sent", do: settle(2, chokepoint.Outcome{Kind: chokepoint.Sent, Posting: &p})},
		{name: "settle as to be retried", do: settle(2, chokepoint.Outcome{Kind: chokepoint.Retry, NotBefore: later, Reason: "busy"})},
		{name: "settle as snoozed", do: settle(2, chokepoint.Outcome{Kind: chokepoint.Snooze, NotBefore: later})},
		{name: "settle as held", do: settle(2, chokepoint.Outcome{Kind: chokepoint.Snooze, NotBefore: later, Hold: true})},
		{name: "settle as dropped", do: settle(2, chokepoint.Outcome{Kind: chokepoint.Dropped})},
		{name: "settle as dead", do: settle(2, chokepoint.Outcome{Kind: chokepoint.Dead, Reason: "x"})},
		{name: "settle as gone", gone: true, do: settle(0, chokepoint.Outcome{Kind: chokepoint.Dead, Gone: true, Reason: "kicked"})},
		{name: "settle as moved", moved: true, do: settle(1, chokepoint.Outcome{Kind: chokepoint.Retry, Moved: chat(101), Reason: "moved"})},
		{name: "requeue", do: func(ctx context.Context, s *Store, w *world) error {
			err := s.Requeue(ctx, later, chokepoint.NewDeliveryID("aaaaaaaa", chat(5)))
			if errors.Is(err, chokepoint.ErrNotFound) {
				return nil // it was requeued
			}
			return err
		}},
		{name: "put a chat", do: func(ctx context.Context, s *Store, w *world) error { return s.PutChat(ctx, follower(7)) }},
		{name: "move a chat", do: func(ctx context.Context, s *Store, w *world) error { return s.MoveChat(ctx, later, chat(1), chat(101)) }},
		{name: "move a chat to one that is known", do: func(ctx context.Context, s *Store, w *world) error {
			return s.MoveChat(ctx, later, chat(5), chat(2))
		}},
		{name: "put a rule", do: func(ctx context.Context, s *Store, w *world) error {
			return s.PutRule(ctx, chokepoint.Rule{Chat: chat(2), ID: "r2", Symbol: "LITE", Text: "above 90"})
		}},
		{name: "delete a rule", do: func(ctx context.Context, s *Store, w *world) error {
			err := s.DeleteRule(ctx, chat(2), "r1")
			if errors.Is(err, chokepoint.ErrNotFound) {
				return nil // it was deleted
			}
			return err
		}},
		{name: "set rules", do: func(ctx context.Context, s *Store, w *world) error {
			return s.SetRules(ctx, []chokepoint.Rule{{ID: "c", Symbol: "AAOI", Text: "below 20"}})
		}},
		{name: "put a posting", do: func(ctx context.Context, s *Store, w *world) error { return s.PutPosting(ctx, p) }},
		{name: "put a mark", do: func(ctx context.Context, s *Store, w *world) error { return s.PutMark(ctx, "m", "1") }},
		{name: "trim", do: func(ctx context.Context, s *Store, w *world) error {
			for more := true; more; {
				var err error
				if more, err = s.Trim(ctx, begin.Add(longTime), store.Keep{Journal: time.Hour, Quotes: time.Hour}, 2); err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			control := newWorld(t, apart(server.URL()))
			control.ok(tc.do(t.Context(), control.s, control))
			want := control.see(tc.gone, tc.moved)
			via := startProxy(t, server.Addr())
			for n := 1; ; n++ {
				url := apart("redis://" + via.Addr().String())
				w := newWorld(t, url)
				via.lose(n)
				err := tc.do(t.Context(), w.s, w)
				if !via.didLose() {
					w.ok(err)
					if n == 1 {
						t.Fatal("it made no round trip")
					}
					return
				}
				if err != nil {
					w.ok(tc.do(t.Context(), w.s, w))
				}
				if d := cmp.Diff(want, w.see(tc.gone, tc.moved), cmpopts.EquateEmpty()); d != "" {
					t.Fatalf("round trip %d lost its answer, and then the end differs (-want +got):\n%s", n, d)
				}
				w.ok(w.s.Close())
			}
		})
	}
}

// TestAnyoneFinishesAMoveThatWasCutShort stops a move after each of its steps,
// has another replica send all that is owed, and then goes on with it.
func TestAnyoneFinishesAMoveThatWasCutShort(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	whole := newWorld(t, apart(server.URL()))
	whole.ok(whole.s.MoveChat(t.Context(), begin, chat(1), chat(101)))
	want := whole.see(false, false)
	for steps := range 4 {
		t.Run(fmt.Sprintf("after %d of its steps", steps+1), func(t *testing.T) {
			url := apart(server.URL())
			w := newWorld(t, url)
			ctx, m := t.Context(), move{0, chat(1).String(), chat(101).String()}
			r, err := w.s.run(ctx, beginMove, args{"x", m.from, m.to, 0})
			w.ok(err)
			r.next()
			r.next()
			m.number = r.int()
			w.ok(r.err)
			from, to := groupOf(m.from), groupOf(m.to)
			packed := w.s.lane(packLane, from.part, from.platform, args{m.number, m.from})
			var rest []*call
			if steps > 0 {
				w.ok(w.s.runAll(ctx, []*call{packed}))
				a, err := unpackArgs(begin, m, &packed.reply)
				w.ok(err)
				rest = []*call{
					w.s.lane(unpackLane, to.part, to.platform, a),
					w.s.lane(dropParcel, from.part, from.platform, args{m.number}),
				}
				w.ok(w.s.runAll(ctx, rest[:steps-1]))
			}
			slow := w.s
			w.s = open(t, url)
			w.deliver(begin.Add(time.Hour), false, false)
			// And the first goes on where it was, which changes nothing.
			w.ok(slow.runAll(ctx, rest[max(0, steps-1):]))
			if d := cmp.Diff(want, w.see(false, false), cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("the end differs (-want +got):\n%s", d)
			}
		})
	}
}

// TestWhatWasAcknowledgedSurvivesACrash kills Redis again and again while two
// replicas record, publish, spread and settle.
func TestWhatWasAcknowledgedSurvivesACrash(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	url := server.URL()
	s := open(t, url)
	ctx := t.Context()
	const chats, crashes = 12, 3
	for i := range chats {
		if err := s.PutChat(ctx, follower(i)); err != nil {
			t.Fatal(err)
		}
	}
	// again repeats a call until it succeeds, as callers do.
	again := func(call func() error) {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			err := call()
			if err == nil || ctx.Err() != nil {
				return
			}
			if time.Now().After(deadline) {
				t.Errorf("still failing: %v", err)
				return
			}
		}
	}
	stop := make(chan struct{})
	var wg, publisher sync.WaitGroup
	var published []chokepoint.AlertID
	publisher.Go(func() {
		var l chokepoint.Lease
		again(func() (err error) { l, err = s.Acquire(ctx, begin, "source/feed", "me", longTime); return err })
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			a := alert(fmt.Sprintf("a%07d", i))
			again(func() error {
				_, err := s.Record(ctx, begin, store.SourceStep{
					Lease: l, Source: "feed", Cursor: fmt.Sprint(i), Observations: []chokepoint.Observation{news(string(a.ID))},
					Health: chokepoint.Health{Source: "feed"}, Alerts: []chokepoint.Alert{a},
				})
				return err
			})
			published = append(published, a.ID)
		}
	})
	// The two workers' time goes on when nothing is left: then the grants of
	// lost answers have run out.
	var mu sync.Mutex
	sent := map[chokepoint.ChatID][]chokepoint.AlertID{}
	now, done := begin, false
	for _, other := range []*Store{s, open(t, url)} {
		wg.Go(func() {
			for {
				mu.Lock()
				at, finished := now, done
				mu.Unlock()
				if finished {
					return
				}
				again(func() error { _, err := other.Spread(ctx, at, 5); return err })
				var gs []chokepoint.Grant
				again(func() (err error) {
					gs, err = other.Grants(ctx, at, chokepoint.Telegram, "w", time.Second, 4)
					return err
				})
				var list []chokepoint.Settlement
				mu.Lock()
				for _, g := range gs {
					if n := len(sent[g.Chat.ID]); n == 0 || sent[g.Chat.ID][n-1] != g.Alert.ID { // sent again, perhaps
						sent[g.Chat.ID] = append(sent[g.Chat.ID], g.Alert.ID)
					}
					list = append(list, chokepoint.Settlement{Grant: g})
				}
				mu.Unlock()
				again(func() error { _, err := other.Settle(ctx, at, list); return err })
			}
		})
	}
	for range crashes {
		before := len(mustJournal(t, ctx, s))
		for len(mustJournal(t, ctx, s)) < before+10 {
			time.Sleep(time.Millisecond)
		}
		server.Restart()
	}
	close(stop)
	publisher.Wait() // what it has in hand is owed too
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		d, err := s.Depth(ctx, begin)
		if err == nil && d.Pending == 0 && d.Spreads == 0 {
			break
		}
		mu.Lock()
		now = now.Add(100 * time.Millisecond)
		mu.Unlock()
		if time.Now().After(deadline) {
			t.Errorf("not all was settled: %+v, %v", d, err)
			break
		}
	}
	mu.Lock()
	done = true
	mu.Unlock()
	wg.Wait()
	if got := len(mustJournal(t, ctx, s)); got != len(published) {
		t.Errorf("the journal has %d observations, want the %d that were acknowledged", got, len(published))
	}
	for i := range chats {
		if d := cmp.Diff(published, sent[chat(i)]); d != "" {
			t.Errorf("chat %d was not sent all in order (-want +got):\n%s", i, d)
		}
	}
}

// mustJournal reads the whole journal, once Redis is there.
func mustJournal(t *testing.T, ctx context.Context, s *Store) []chokepoint.Entry {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		es, _, err := s.Read(ctx, "", nil, 1_000_000)
		if err == nil {
			return es
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// TestAStoreFollowsAFailOver has the replica take over, without the scripts
// that the master had been sent.
func TestAStoreFollowsAFailOver(t *testing.T) {
	t.Parallel()
	want := newWorld(t, apart(redistest.Start(t).URL())).see(false, false)
	pair := redistest.Sentinel(t)
	w := newWorld(t, apart(pair.URL()))
	pair.FailOver()
	for deadline := time.Now().Add(time.Minute); w.s.Ping(t.Context()) != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(w.s.Ping(t.Context()))
		}
	}
	if d := cmp.Diff(want, w.see(false, false), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("the end differs (-want +got):\n%s", d)
	}
}

func TestAFullRedisStillSettlesAndTrims(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := newWorld(t, apart(server.URL()))
	ctx := t.Context()
	server.Conf("maxmemory", "1")
	err := w.s.Publish(ctx, begin, []chokepoint.Alert{alert("dddddddd")})
	if err == nil {
		t.Fatal("a full Redis took an alert")
	}
	has(t, err.Error(), "out of memory", "raise maxmemory")
	if err := w.s.Ping(ctx); err == nil {
		t.Error("ping succeeded")
	}
	var list []chokepoint.Settlement
	for i := range 5 {
		list = append(list, chokepoint.Settlement{Grant: w.grant(i)})
	}
	lost, err := w.s.Settle(ctx, begin, list)
	w.ok(err)
	if len(lost) > 0 {
		t.Errorf("lost %v", lost)
	}
	_, err = w.s.Trim(ctx, begin.Add(longTime), store.Keep{Journal: time.Hour, Quotes: time.Hour}, 100)
	w.ok(err)
	if es := mustJournal(t, ctx, w.s); len(es) > 0 {
		t.Errorf("%d entries are left", len(es))
	}
	server.Conf("maxmemory", "0")
	if e := w.see(false, false); len(e.Sent[chat(0).ID]) != 2 || e.Depth.Pending != 0 {
		t.Errorf("after it has room: %+v, %+v", e.Sent, e.Depth)
	}
}

func TestADeliveryWhoseAlertIsLostIsDropped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, apart(redistest.Start(t).URL()))
	w.ok(w.s.rdb.HDel(t.Context(), w.s.coreKey("alerts"), "bbbbbbbb").Err())
	e := w.see(false, false)
	if d := cmp.Diff([]chokepoint.AlertID{"aaaaaaaa", "cccccccc"}, e.Sent[chat(0).ID]); d != "" || e.Depth.Pending != 0 {
		t.Errorf("depth is %+v, sent (-want +got):\n%s", e.Depth, d)
	}
}
