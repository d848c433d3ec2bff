package sqlitestore

import (
	"context"
	"sync"
	"time"

	"github.com/chokepoint-bot/chokepoint/store"
)

// signal counts what happened, and tells those who wait.
type signal struct {
	mu   sync.Mutex
	n    int64 // from 1
	next chan struct{}
}

func (s *signal) init() { s.n, s.next = 1, make(chan struct{}) }

func (s *signal) now() (int64, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n, s.next
}

func (s *signal) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	close(s.next)
	s.next = make(chan struct{})
}

// broadcast tells those who wait for what was just committed.
func (s *Store) broadcast(woke [store.Whats]bool) {
	for what, yes := range woke {
		if yes {
			s.wake[what].tell()
		}
	}
}

// Await waits for what, within this process: there is no other.
func (s *Store) Await(ctx context.Context, what store.What, seen int64) (int64, error) {
	n, next := s.wake[what].now()
	if n != seen {
		return n, nil
	}
	t := time.NewTimer(2 * time.Second)
	defer t.Stop()
	select {
	case <-next:
		n, _ = s.wake[what].now()
		return n, nil
	case <-t.C:
		return seen, nil
	case <-ctx.Done():
		return seen, ctx.Err()
	}
}
