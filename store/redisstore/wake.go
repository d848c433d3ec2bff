package redisstore

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/chokepoint-bot/chokepoint/store"
)

// wakes counts what happened here and, once somebody waits, elsewhere.
type wakes struct {
	name    string // of this process among those that write to the stream of changes
	mu      sync.Mutex
	n       [store.Whats]int64         // from 1
	next    [store.Whats]chan struct{} // closed when n grows
	closed  chan struct{}
	listen  sync.Once
	pending sync.WaitGroup // the listener
}

func (w *wakes) init(name string) {
	w.name, w.closed = name, make(chan struct{})
	for i := range w.n {
		w.n[i], w.next[i] = 1, make(chan struct{})
	}
}

func (w *wakes) now(what store.What) (int64, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n[what], w.next[what]
}

// bits are things that happened, as one bit each.
func bits(whats ...store.What) int64 {
	var b int64
	for _, what := range whats {
		b |= 1 << what
	}
	return b
}

// tell wakes those who wait in this process.
func (w *wakes) tell(happened int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.n {
		if happened&(1<<i) != 0 {
			w.n[i]++
			close(w.next[i])
			w.next[i] = make(chan struct{})
		}
	}
}

// close ends all waiting, and waits for the listener.
func (w *wakes) close() {
	w.listen.Do(func() {}) // none is started from here on
	close(w.closed)
	w.pending.Wait()
}

// Await waits for what this process did, and for what others did, which it
// hears of from the stream of changes.
func (s *Store) Await(ctx context.Context, what store.What, seen int64) (int64, error) {
	if err := ctx.Err(); err != nil {
		return seen, err
	}
	s.wake.listen.Do(func() {
		// From here on nothing is missed, so before the first number is told.
		after, err := s.lastChange(ctx)
		if err != nil {
			after = ""
		}
		s.wake.pending.Add(1)
		go s.hear(after)
	})
	n, next := s.wake.now(what)
	if n != seen {
		return n, nil
	}
	t := time.NewTimer(2 * time.Second)
	defer t.Stop()
	select {
	case <-next:
		n, _ = s.wake.now(what)
		return n, nil
	case <-t.C:
		return seen, nil
	case <-ctx.Done():
		return seen, ctx.Err()
	case <-s.wake.closed:
		return seen, wrap(errClosed, "waiting")
	}
}

// lastChange is where the stream of changes ends.
func (s *Store) lastChange(ctx context.Context) (string, error) {
	last, err := s.rdb.XRevRangeN(ctx, s.coreKey("changes"), "+", "-", 1).Result()
	if err != nil {
		return "", err
	}
	if len(last) == 0 {
		return "0-0", nil
	}
	return last[0].ID, nil
}

// hear tells those who wait here of what other processes did after a place in
// the stream of changes, until the store is closed. While Redis is away they
// wake by themselves every two seconds.
func (s *Store) hear(after string) {
	defer s.wake.pending.Done()
	ctx := context.Background() // Close ends a read by closing its connection
	for {
		var happened int64
		var err error
		if after == "" {
			// Nobody knows what happened meanwhile: it may be anything.
			after, err = s.lastChange(ctx)
			happened = 1<<store.Whats - 1
		} else {
			happened, after, err = s.changes(ctx, after)
		}
		if err == nil {
			s.wake.tell(happened)
		} else {
			after = ""
			select {
			case <-s.wake.closed:
			case <-time.After(time.Second):
			}
		}
		select {
		case <-s.wake.closed:
			return
		default:
		}
	}
}

// changes waits up to a second for what others did after a place, and returns
// it as bits, with the place to go on from.
func (s *Store) changes(ctx context.Context, after string) (happened int64, last string, err error) {
	streams, err := s.rdb.XRead(ctx, &redis.XReadArgs{Streams: []string{s.coreKey("changes"), after}, Count: 1000, Block: time.Second}).Result()
	if errors.Is(err, redis.Nil) {
		return 0, after, nil
	}
	if err != nil {
		return 0, "", err
	}
	for _, m := range streams[0].Messages {
		after = m.ID
		w, _ := m.Values["w"].(string)
		n, _ := strconv.ParseInt(w, 10, 64) // what can not be read is nothing that is known here
		if m.Values["by"] != s.wake.name {
			happened |= n
		}
	}
	return happened, after, nil
}
