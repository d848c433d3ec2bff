package watchers

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing/synctest"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// memory is a store in memory, for tests inside a synctest bubble. It keeps
// what package store promises of the methods it has.
type memory struct {
	mu          sync.Mutex
	away        error // what every method answers, if set
	leases      map[string]chokepoint.Lease
	token       int64
	cursors     map[string]string
	journal     []chokepoint.Entry
	health      map[string]chokepoint.Health
	checkpoints map[string]chokepoint.Checkpoint
	board       []chokepoint.Card
	rules       []chokepoint.Rule
	version     int64
	alerts      []chokepoint.Alert
	reports     []chokepoint.TickReport
	recorded    chan struct{} // closed and replaced at each Record
	beforeRec   func()        // runs unlocked before a Record
}

func newMemory() *memory {
	return &memory{leases: map[string]chokepoint.Lease{}, cursors: map[string]string{}, health: map[string]chokepoint.Health{},
		checkpoints: map[string]chokepoint.Checkpoint{}, recorded: make(chan struct{})}
}

func (m *memory) lock() (unlock func(), err error) {
	m.mu.Lock()
	return m.mu.Unlock, m.away
}

func (m *memory) Acquire(_ context.Context, now time.Time, name, holder string, ttl time.Duration) (chokepoint.Lease, error) {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return chokepoint.Lease{}, err
	}
	if l := m.leases[name]; l.Holder != "" && l.Holder != holder && l.Expires.After(now) {
		return chokepoint.Lease{}, fmt.Errorf("memory: %s: %w", name, chokepoint.ErrLeaseHeld)
	}
	m.token++
	m.leases[name] = chokepoint.Lease{Name: name, Holder: holder, Token: m.token, Expires: now.Add(ttl)}
	return m.leases[name], nil
}

func (m *memory) holds(now time.Time, l chokepoint.Lease) error {
	if have := m.leases[l.Name]; have.Token != l.Token || have.Holder == "" || !have.Expires.After(now) {
		return fmt.Errorf("memory: %s: %w", l.Name, chokepoint.ErrLeaseLost)
	}
	return nil
}

func (m *memory) Renew(_ context.Context, now time.Time, l chokepoint.Lease, ttl time.Duration) (chokepoint.Lease, error) {
	unlock, err := m.lock()
	defer unlock()
	if err == nil {
		err = m.holds(now, l)
	}
	if err != nil {
		return chokepoint.Lease{}, err
	}
	l.Expires = now.Add(ttl)
	m.leases[l.Name] = l
	return l, nil
}

func (m *memory) Release(_ context.Context, l chokepoint.Lease) error {
	unlock, err := m.lock()
	defer unlock()
	if err == nil && m.leases[l.Name].Token == l.Token {
		delete(m.leases, l.Name)
	}
	return err
}

func (m *memory) Cursor(_ context.Context, source string) (string, error) {
	unlock, err := m.lock()
	defer unlock()
	return m.cursors[source], err
}

func (m *memory) Record(_ context.Context, now time.Time, s chokepoint.SourceStep) (int, error) {
	if m.beforeRec != nil {
		m.beforeRec()
	}
	unlock, err := m.lock()
	defer unlock()
	if err == nil {
		err = m.holds(now, s.Lease)
	}
	if err != nil {
		return 0, err
	}
	fresh := 0
	for _, o := range s.Observations {
		if !slices.ContainsFunc(m.journal, func(e chokepoint.Entry) bool { return e.Observation.ID == o.ID }) {
			fresh++
			m.journal = append(m.journal, chokepoint.Entry{Position: position(len(m.journal) + 1), Observation: o})
		}
	}
	m.cursors[s.Source] = s.Cursor
	s.Health.Items = m.health[s.Source].Items + int64(fresh)
	m.health[s.Source] = s.Health
	m.alerts = append(m.alerts, s.Alerts...)
	if fresh > 0 {
		close(m.recorded)
		m.recorded = make(chan struct{})
	}
	return fresh, nil
}

func position(n int) chokepoint.Position { return chokepoint.Position(strconv.Itoa(n)) }

func (m *memory) Read(_ context.Context, after chokepoint.Position, kinds []chokepoint.Kind, n int) ([]chokepoint.Entry, chokepoint.Position, error) {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return nil, "", err
	}
	at, _ := strconv.Atoi(string(after))
	var entries []chokepoint.Entry
	for ; at < len(m.journal) && len(entries) < n; at++ {
		if e := m.journal[at]; len(kinds) == 0 || slices.Contains(kinds, e.Observation.Kind) {
			entries = append(entries, e)
		}
		after = position(at + 1)
	}
	return entries, after, nil
}

func (m *memory) Health(context.Context) ([]chokepoint.Health, error) {
	unlock, err := m.lock()
	defer unlock()
	var all []chokepoint.Health
	for _, h := range m.health {
		all = append(all, h)
	}
	return all, err
}

func (m *memory) Checkpoint(_ context.Context, watcher string) (chokepoint.Checkpoint, error) {
	unlock, err := m.lock()
	defer unlock()
	return m.checkpoints[watcher], err
}

func (m *memory) Commit(_ context.Context, now time.Time, s chokepoint.Step) error {
	unlock, err := m.lock()
	defer unlock()
	if err == nil {
		err = m.holds(now, s.Lease)
	}
	if err != nil {
		return err
	}
	cp := m.checkpoints[s.Watcher]
	cp.Position = s.Position
	if s.State != nil {
		cp.State = s.State
	}
	m.checkpoints[s.Watcher] = cp
	for _, r := range s.Rules {
		for i := range m.rules {
			if keyOf(m.rules[i]) == keyOf(r) {
				m.rules[i] = r
			}
		}
	}
	m.board = append(slices.Clone(s.Cards), m.board...)
	for _, a := range s.Alerts {
		if !slices.ContainsFunc(m.alerts, func(b chokepoint.Alert) bool { return b.ID == a.ID }) {
			m.alerts = append(m.alerts, a)
		}
	}
	m.reports = append(m.reports, s.Report)
	return nil
}

func (m *memory) Board(context.Context) ([]chokepoint.Card, error) {
	unlock, err := m.lock()
	defer unlock()
	return slices.Clone(m.board), err
}

func (m *memory) AllRules(_ context.Context, known int64) ([]chokepoint.Rule, int64, error) {
	unlock, err := m.lock()
	defer unlock()
	if err != nil || known == m.version {
		return nil, m.version, err
	}
	return slices.Clone(m.rules), m.version, nil
}

// await is AwaitJournal.
func (m *memory) await(ctx context.Context, seen int64) (int64, error) {
	m.mu.Lock()
	n, recorded := int64(len(m.journal))+1, m.recorded
	m.mu.Unlock()
	if n > seen {
		return n, nil
	}
	select {
	case <-recorded:
	case <-ctx.Done():
	case <-time.After(2 * time.Second):
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(len(m.journal)) + 1, nil
}

func (m *memory) heard() []chokepoint.Alert {
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.alerts)
}

func (m *memory) setAway(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = err
}

// look runs f while the store stands still.
func (m *memory) look(f func()) {
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}
