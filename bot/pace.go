package bot

import (
	"sync"
	"time"
)

// spend takes one message from an allowance of one per every, burst at once:
// the generic cell rate algorithm (ITU-T I.371, as a virtual scheduling
// algorithm). tat is the theoretical arrival time, zero at first. If wait is
// positive nothing was taken.
func spend(now, tat time.Time, every time.Duration, burst int) (next time.Time, wait time.Duration) {
	if every <= 0 {
		return tat, 0
	}
	if tat.Before(now) {
		tat = now
	}
	if early := tat.Add(-time.Duration(max(burst, 1)-1) * every); now.Before(early) {
		return tat, early.Sub(now)
	}
	return tat.Add(every), 0
}

// meter is the allowance of a whole platform in this process.
type meter struct {
	mu   sync.Mutex
	tat  time.Time
	hold time.Time // nothing before this moment
}

// take takes one message, or says how long to wait.
func (m *meter) take(now time.Time, every time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w := m.hold.Sub(now); w > 0 {
		return w
	}
	tat, w := spend(now, m.tat, every, 1)
	m.tat = tat
	return w
}

// stop holds the platform until a moment.
func (m *meter) stop(until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if until.After(m.hold) {
		m.hold = until
	}
}
