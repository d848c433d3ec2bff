package watchers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/fetch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// paper is a source that tells what was put into it since the last visit.
type paper struct {
	name string

	mu     sync.Mutex
	items  []string
	fail   error // of the next visits
	panics bool
	hang   bool // until ctx ends
	visits []time.Time
}

func (p *paper) Name() string { return p.name }

func (p *paper) print(items ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.items = append(p.items, items...)
}

func (p *paper) break_(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
}

func (p *paper) asked() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.visits)
}

func (p *paper) Observe(ctx context.Context, now time.Time, cursor string) (Result, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.visits = append(p.visits, now)
	switch {
	case p.hang:
		<-ctx.Done()
		return Result{}, ctx.Err()
	case p.panics:
		panic("torn page")
	case p.fail != nil:
		return Result{Cursor: cursor}, p.fail
	}
	var from int
	fmt.Sscanf(cursor, "%d", &from)
	r := Result{Cursor: fmt.Sprint(len(p.items))}
	for _, title := range p.items[from:] {
		r.Observations = append(r.Observations, news(p.name, title, now))
	}
	return r, nil
}

func news(source, title string, seen time.Time) chokepoint.Observation {
	return chokepoint.Observation{ID: chokepoint.NewObservationID(source, title), Source: source, Kind: chokepoint.KindNews, At: seen, Seen: seen,
		News: &chokepoint.News{Evidence: chokepoint.Evidence{Title: title}}}
}

// echo is a judge that alerts each title, panics at "poison", fails while
// told to, and remembers how many it has seen.
type echo struct {
	topic chokepoint.Topic
	mu    sync.Mutex
	fail  error
	calls int
}

func (e *echo) Kinds() []chokepoint.Kind { return []chokepoint.Kind{chokepoint.KindNews} }

func (e *echo) Judge(in Input) (Verdict, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls++
	if e.fail != nil {
		return Verdict{}, e.fail
	}
	var mem struct{ Seen []string }
	if in.State != nil {
		if err := json.Unmarshal(in.State, &mem); err != nil {
			return Verdict{}, err
		}
	}
	var v Verdict
	for _, o := range in.Observations {
		title := o.News.Evidence.Title
		if title == "poison" {
			panic("cannot stomach it")
		}
		mem.Seen = append(mem.Seen, title)
		if !o.Backfill {
			s := chokepoint.NewStoryID(string(e.topic), title)
			v.Alerts = append(v.Alerts, chokepoint.Alert{ID: s.Alert(0), Story: s, Topic: e.topic, Headline: title, At: in.Now})
		}
	}
	v.State, _ = json.Marshal(mem)
	return v, nil
}

func (e *echo) called() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls
}

func headlines(alerts []chokepoint.Alert) []string {
	var out []string
	for _, a := range alerts {
		if a.Kind == chokepoint.AlertOps {
			out = append(out, fmt.Sprintf("%s %s %s %s", a.Facts["what"], a.Facts["name"], a.Facts["state"], a.Facts["class"]))
		} else {
			out = append(out, a.Headline)
		}
	}
	return out
}

func want(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// start runs a runner inside a bubble; stop ends it and waits.
func start(t *testing.T, cfg RunnerConfig) (r *Runner, stop func()) {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = quiet()
	}
	if cfg.Holder == "" {
		cfg.Holder = "a"
	}
	if m, ok := cfg.Store.(*memory); ok && cfg.AwaitJournal == nil {
		cfg.AwaitJournal = m.await
	}
	r = NewRunner(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return r, stop
}

func everyMinute(t *testing.T) Schedule { return mustSchedule(t, "* * * * *", "UTC") }

func TestHistoryIsLearntAndNewsIsAnnounced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, p := newMemory(), &paper{name: "gazette", items: []string{"old 1", "old 2"}}
		r, stop := start(t, RunnerConfig{Store: m,
			Sources:  []SourceSpec{{Source: p, Kind: "feed", Schedule: everyMinute(t)}},
			Watchers: []WatcherSpec{{Name: "w", Judge: &echo{topic: "w"}, Schedule: everyMinute(t)}},
		})
		began := time.Now()
		<-r.FirstRound()
		if took := time.Since(began); took > startSpread {
			t.Errorf("the first round took %v", took)
		}
		synctest.Wait()
		want(t, "after the first visit", headlines(m.heard()))

		p.print("fresh")
		time.Sleep(61 * time.Second)
		want(t, "after the second", headlines(m.heard()), "fresh")
		stop()
		seen := m.checkpoints["w"].State
		if string(seen) != `{"Seen":["old 1","old 2","fresh"]}` {
			t.Errorf("the judge remembers %s", seen)
		}
		h := m.health["gazette"]
		if h.Class != chokepoint.OKUnchanged && h.Class != chokepoint.OKNew || h.Kind != "feed" || h.Items != 3 || h.Good.IsZero() || !h.Next.After(h.Tried) {
			t.Errorf("health: %+v", h)
		}
		for name := range m.leases {
			t.Errorf("lease %s was not given back", name)
		}
	})
}

func TestAWatcherThatIsNewToAnOldJournalLearnsItAllInSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		for i := range 25 {
			m.journal = append(m.journal, chokepoint.Entry{Position: position(i + 1), Observation: news("s", fmt.Sprint("old ", i), time.Now())})
		}
		_, stop := start(t, RunnerConfig{Store: m, Batch: 10, Watchers: []WatcherSpec{{Name: "w", Judge: &echo{topic: "w"}, Schedule: everyMinute(t)}}})
		synctest.Wait()
		want(t, "alerts", headlines(m.heard()))
		stop()
		if len(m.reports) != 1 || m.reports[0].Judged != 25 || m.checkpoints["w"].Position != "25" {
			t.Errorf("reports %+v, checkpoint %+v", m.reports, m.checkpoints["w"])
		}
		if m.journal[0].Observation.Backfill {
			t.Error("the journal itself was changed")
		}
	})
}

func TestTheJournalWakesAWatcherAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		hourly := mustSchedule(t, "0 * * * *", "UTC")
		start(t, RunnerConfig{Store: m, Watchers: []WatcherSpec{{Name: "w", Judge: &echo{topic: "w"}, Schedule: hourly}}})
		synctest.Wait()
		l, _ := m.Acquire(t.Context(), time.Now(), "source:s", "elsewhere", time.Minute)
		before := time.Now()
		if _, err := m.Record(t.Context(), time.Now(), chokepoint.SourceStep{Lease: l, Source: "s", Observations: []chokepoint.Observation{news("s", "now", time.Now())}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want(t, "alerts", headlines(m.heard()), "now")
		if took := time.Since(before); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

func TestOperatorsAreToldOnceThatASourceFailsAndOnceThatItRecovers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		err  error
		told int // after which visit
	}{
		{"transport is told at the third", errors.New("connection reset"), 3},
		{"a block is told at the second", &fetch.Error{Class: chokepoint.Blocked, Err: errors.New("HTTP status 403")}, 2},
		{"a wrong format is told at the second", &Failure{Class: chokepoint.NotTheFormat, Err: errors.New("HTML")}, 2},
		{"what must be configured first is never told", &fetch.Error{Class: chokepoint.NotAsked, Err: errors.New("set contact")}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
			var h chokepoint.Health
			var alerts []chokepoint.Alert
			step := func(err error) []chokepoint.Alert {
				now = now.Add(time.Minute)
				v := Visit{Began: now, Failure: AsFailure(err), Result: Result{Class: chokepoint.OKUnchanged}}
				if v.Failure != nil {
					v.Class = v.Failure.Class
				}
				var said []chokepoint.Alert
				h, said = assess(h, "gazette", "feed", v, now.Add(time.Minute))
				alerts = append(alerts, said...)
				return said
			}
			step(nil)
			for i := 1; i <= 6; i++ {
				if said := step(tc.err); (len(said) == 1) != (i == tc.told) {
					t.Fatalf("failure %d: %v", i, headlines(said))
				}
			}
			if h.Failures != 6 || h.Err == "" || h.Good.IsZero() || h.Good.Equal(h.Tried) {
				t.Errorf("health: %+v", h)
			}
			recovered := step(nil)
			step(nil)
			if tc.told == 0 {
				want(t, "alerts", headlines(alerts))
				return
			}
			class := string(AsFailure(tc.err).Class)
			want(t, "alerts", headlines(alerts), "source gazette failing "+class, "source gazette recovered ok-unchanged")
			if recovered[0].Story != alerts[0].Story || recovered[0].ID == alerts[0].ID || recovered[0].Update != 1 || h.Failures != 0 || h.Err != "" {
				t.Errorf("recovered as %+v, health %+v", recovered[0], h)
			}
			if since := alerts[0].Facts["since"]; since != "2026-11-24T09:01:00Z" {
				t.Errorf("failing since %q", since)
			}
		})
	}
}

func TestAFailingSourceIsLeftAloneLongerAndLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, p := newMemory(), &paper{name: "gazette", fail: errors.New("no route")}
		_, stop := start(t, RunnerConfig{Store: m, Sources: []SourceSpec{{Source: p, Schedule: everyMinute(t)}}})
		time.Sleep(4 * time.Hour)
		stop()
		visits := p.asked()
		if len(visits) < 8 || len(visits) > 14 {
			t.Errorf("asked %d times in four hours", len(visits))
		}
		if last := visits[len(visits)-1].Sub(visits[len(visits)-2]); last < time.Hour || last > time.Hour+time.Minute {
			t.Errorf("the last pause was %v", last)
		}
		want(t, "alerts", headlines(m.heard()), "source gazette failing transport")

		// The pause outlives the process.
		before := len(visits)
		_, stop = start(t, RunnerConfig{Store: m, Sources: []SourceSpec{{Source: p, Schedule: everyMinute(t)}}})
		time.Sleep(time.Minute)
		if n := len(p.asked()); n != before {
			t.Errorf("asked again %d times after a restart", n-before)
		}
		stop()
	})
}

func TestAHostsWaitIsKeptOverARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, p := newMemory(), &paper{name: "gazette", fail: &fetch.Error{Class: chokepoint.RateLimited, Wait: 40 * time.Minute, Err: errors.New("429")}}
		_, stop := start(t, RunnerConfig{Store: m, Sources: []SourceSpec{{Source: p, Schedule: everyMinute(t)}}})
		time.Sleep(10 * time.Second)
		stop()
		p.break_(nil)
		r, stop := start(t, RunnerConfig{Store: m, Sources: []SourceSpec{{Source: p, Schedule: everyMinute(t)}}})
		<-r.FirstRound()
		time.Sleep(39 * time.Minute)
		if n := len(p.asked()); n != 1 {
			t.Errorf("asked %d times within the wait", n)
		}
		time.Sleep(3 * time.Minute)
		if n := len(p.asked()); n < 2 {
			t.Error("not asked after the wait")
		}
		stop()
	})
}

func TestMissedTicksAreCaughtUpWithOnce(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 9, 30, 30, 0, time.UTC)
	p := &paper{name: "gazette"}
	minutely := SourceSpec{Source: p, Schedule: everyMinute(t), Jitter: 10 * time.Second}
	twiceADay := SourceSpec{Source: p, Schedule: mustSchedule(t, "0 7,15 * * *", "UTC")}
	soon := func(at time.Time) bool { return !at.Before(now) && at.Before(now.Add(startSpread)) }
	for _, tc := range []struct {
		name string
		h    chokepoint.Health
		spec SourceSpec
		ok   func(time.Time) bool
	}{
		{"never asked: at once", chokepoint.Health{}, twiceADay, soon},
		{"asleep for six hours: once, at once", chokepoint.Health{Tried: now.Add(-6 * time.Hour), Class: chokepoint.OKNew}, minutely, soon},
		{"asked since the last tick: at the next", chokepoint.Health{Tried: now.Add(-2 * time.Hour), Class: chokepoint.OKNew}, twiceADay,
			func(at time.Time) bool { return at.Equal(time.Date(2026, 11, 24, 15, 0, 0, 0, time.UTC)) }},
		{"told to wait: no sooner", chokepoint.Health{Tried: now.Add(-10 * time.Minute), Class: chokepoint.Blocked, Next: now.Add(5 * time.Hour)}, minutely,
			func(at time.Time) bool { return at.Equal(now.Add(5 * time.Hour)) }},
		{"a wait beyond reason is not believed", chokepoint.Health{Tried: now.Add(-10 * time.Minute), Class: chokepoint.Blocked, Next: now.AddDate(10, 0, 0)}, minutely, soon},
		{"a visit in the future is not believed", chokepoint.Health{Tried: now.AddDate(10, 0, 0), Class: chokepoint.OKNew}, minutely, soon},
		{"something may have been configured: at once", chokepoint.Health{Tried: now.Add(-time.Second), Class: chokepoint.NotAsked}, twiceADay, soon},
	} {
		if at := firstDue(now, tc.h, tc.spec); !tc.ok(at) {
			t.Errorf("%s: due at %v, now is %v", tc.name, at, now)
		}
	}
}

func TestAPanicOrAHangOfOneSourceIsItsOwnFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		bad, stuck, good := &paper{name: "bad", panics: true}, &paper{name: "stuck", hang: true}, &paper{name: "good"}
		_, stop := start(t, RunnerConfig{Store: m, Workers: 2, Sources: []SourceSpec{
			{Source: bad, Schedule: everyMinute(t)}, {Source: stuck, Schedule: everyMinute(t), Timeout: 10 * time.Second}, {Source: good, Schedule: everyMinute(t)}}})
		time.Sleep(3 * time.Minute)
		stop()
		if h := m.health["bad"]; h.Class != chokepoint.Transport || !strings.Contains(h.Err, "torn page") {
			t.Errorf("bad: %+v", h)
		}
		if h := m.health["stuck"]; h.Class != chokepoint.Transport || !strings.Contains(h.Err, "deadline") {
			t.Errorf("stuck: %+v", h)
		}
		if h := m.health["good"]; !h.Class.Good() || len(good.asked()) < 3 {
			t.Errorf("good: %+v", h)
		}
	})
}

func TestAVisitCutShortByAStopSaysNothingOfTheSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, p := newMemory(), &paper{name: "gazette", hang: true}
		_, stop := start(t, RunnerConfig{Store: m, Sources: []SourceSpec{{Source: p, Schedule: everyMinute(t)}}})
		time.Sleep(5 * time.Second)
		began := time.Now()
		stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("stopping took %v", took)
		}
		if len(m.health) != 0 {
			t.Errorf("health: %+v", m.health)
		}
	})
}

func TestSourcesAreNotAskedWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, p := newMemory(), &paper{name: "gazette", items: []string{"old"}}
		r, _ := start(t, RunnerConfig{Store: m,
			Sources:  []SourceSpec{{Source: p, Schedule: everyMinute(t)}},
			Watchers: []WatcherSpec{{Name: "w", Judge: &echo{topic: "w"}, Schedule: everyMinute(t)}}})
		<-r.FirstRound()
		time.Sleep(10 * time.Second)
		m.setAway(errors.New("connection refused"))
		p.print("while away")
		time.Sleep(10 * time.Minute)
		if n := len(p.asked()); n != 1 {
			t.Errorf("asked %d times while nothing could be kept", n-1)
		}
		m.setAway(nil)
		time.Sleep(time.Minute)
		want(t, "alerts", headlines(m.heard()), "while away")
	})
}

func TestTwoReplicasShareTheWorkAndOneTakesOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, p := newMemory(), &paper{name: "gazette", items: []string{"old"}}
		judges := []*echo{{topic: "w"}, {topic: "w"}}
		config := func(holder string, j *echo) RunnerConfig {
			return RunnerConfig{Store: m, Holder: holder,
				Sources:  []SourceSpec{{Source: p, Schedule: everyMinute(t), Jitter: 5 * time.Second}},
				Watchers: []WatcherSpec{{Name: "w", Judge: j, Schedule: everyMinute(t)}}}
		}
		_, stopA := start(t, config("a", judges[0]))
		_, stopB := start(t, config("b", judges[1]))
		time.Sleep(10*time.Minute + 30*time.Second)
		synctest.Wait()
		if n := len(p.asked()); n != 11 {
			t.Errorf("asked %d times in ten minutes", n)
		}
		if a, b := judges[0].called(), judges[1].called(); (a > 0) == (b > 0) {
			t.Errorf("the judges were called %d and %d times", a, b)
		}
		p.print("between")
		time.Sleep(time.Minute)
		stopA()
		p.print("after")
		time.Sleep(2 * time.Minute)
		stopB()
		want(t, "alerts", headlines(m.heard()), "between", "after")
	})
}

func TestWhatADeadProcessHeldIsAskedSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, p := newMemory(), &paper{name: "gazette", items: []string{"old"}}
		if _, err := m.Acquire(t.Context(), time.Now(), "source:gazette", "the dead", 90*time.Second); err != nil {
			t.Fatal(err)
		}
		_, stop := start(t, RunnerConfig{Store: m, Sources: []SourceSpec{{Source: p, Schedule: mustSchedule(t, "0 7,15 * * *", "UTC")}}})
		time.Sleep(2 * time.Minute)
		if n := len(p.asked()); n != 1 {
			t.Errorf("asked %d times in two minutes", n)
		}
		time.Sleep(time.Hour)
		stop()
		if n := len(p.asked()); n != 1 {
			t.Errorf("asked %d times in an hour", n)
		}
	})
}

func TestReplicasAskASeldomSourceOnceEachTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, p := newMemory(), &paper{name: "gazette"}
		spec := SourceSpec{Source: p, Schedule: mustSchedule(t, "0 * * * *", "UTC"), Jitter: time.Minute}
		for _, holder := range []string{"a", "b", "c"} {
			start(t, RunnerConfig{Store: m, Holder: holder, Sources: []SourceSpec{spec}})
		}
		time.Sleep(10*time.Hour + 2*time.Minute)
		if n := len(p.asked()); n != 11 {
			t.Errorf("asked %d times in ten hours", n)
		}
	})
}

func TestAReplicaThatWasOvertakenDropsItsWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, p := newMemory(), &paper{name: "gazette", items: []string{"old"}}
		var once sync.Once
		m.beforeRec = func() {
			once.Do(func() { // as if this process had slept past its lease
				m.mu.Lock()
				defer m.mu.Unlock()
				l := m.leases["source:gazette"]
				l.Token++
				m.leases["source:gazette"] = l
			})
		}
		r, _ := start(t, RunnerConfig{Store: m, Sources: []SourceSpec{{Source: p, Schedule: everyMinute(t)}}})
		<-r.FirstRound()
		m.look(func() {
			if m.cursors["gazette"] != "" || len(m.journal) != 0 {
				t.Error("recorded without the lease")
			}
		})
		time.Sleep(30 * time.Second)
		m.look(func() {
			if m.cursors["gazette"] != "1" || len(m.journal) != 1 {
				t.Error("not asked again with a new lease")
			}
		})
	})
}

func TestPoisonIsSetAsideAndTheRestIsJudged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, p := newMemory(), &paper{name: "gazette", items: []string{"old"}}
		judge := &echo{topic: "w"}
		r, stop := start(t, RunnerConfig{Store: m,
			Sources:  []SourceSpec{{Source: p, Schedule: everyMinute(t)}},
			Watchers: []WatcherSpec{{Name: "w", Judge: judge, Schedule: mustSchedule(t, "0 * * * *", "UTC")}}})
		<-r.FirstRound()
		p.print("one", "poison", "two")
		time.Sleep(90 * time.Second)
		want(t, "alerts", headlines(m.heard()), "one", "two", "watcher w failing ")
		ops := m.heard()[2]
		if !strings.Contains(ops.Facts["detail"], "cannot stomach it") || !strings.Contains(ops.Facts["detail"], "gazette") || ops.Topic != chokepoint.TopicOps {
			t.Errorf("operators hear %+v", ops)
		}
		p.print("three")
		time.Sleep(time.Minute)
		want(t, "alerts", headlines(m.heard()), "one", "two", "watcher w failing ", "three")
		stop()
		var failures []int
		for _, rep := range m.reports {
			failures = append(failures, rep.Failures)
		}
		if !slices.Contains(failures, 1) || !slices.Contains(failures, 2) || failures[len(failures)-1] != 0 {
			t.Errorf("failures in the reports: %v", failures)
		}
	})
}

func TestAJudgeThatFailsOverNothingIsToldOnceAndRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		judge := &echo{topic: "w", fail: errors.New("state of a newer version")}
		start(t, RunnerConfig{Store: m, Watchers: []WatcherSpec{{Name: "w", Judge: judge, Schedule: everyMinute(t)}}})
		time.Sleep(10 * time.Minute)
		judge.mu.Lock()
		judge.fail = nil
		if judge.calls > 200 {
			t.Errorf("it was called %d times in ten minutes", judge.calls)
		}
		judge.mu.Unlock()
		time.Sleep(2 * time.Minute)
		want(t, "alerts", headlines(m.heard()), "watcher w failing ", "watcher w recovered ")
	})
}

// ruler fires each rule once, and says which it was given.
type ruler struct{ given [][]string }

func (*ruler) Kinds() []chokepoint.Kind { return []chokepoint.Kind{chokepoint.KindQuote} }

func (r *ruler) Judge(in Input) (Verdict, error) {
	v := Verdict{State: []byte("{}")}
	var ids []string
	for _, rule := range in.Rules {
		ids = append(ids, rule.ID+string(rule.State))
		if rule.State == nil {
			rule.State = []byte("!")
			v.Rules = append(v.Rules, rule)
		}
	}
	r.given = append(r.given, ids)
	return v, nil
}

func TestAJudgeSeesTheRulesAsItLeftThemAndAsPeopleChangeThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, judge := newMemory(), &ruler{}
		m.rules, m.version = []chokepoint.Rule{{ID: "a"}}, 1
		_, stop := start(t, RunnerConfig{Store: m, Watchers: []WatcherSpec{{Name: "w", Judge: judge, Schedule: everyMinute(t), Rules: true}}})
		time.Sleep(90 * time.Second)
		m.mu.Lock()
		m.rules, m.version = append(m.rules, chokepoint.Rule{ID: "b"}), 2
		m.mu.Unlock()
		time.Sleep(2 * time.Minute)
		stop()
		got := fmt.Sprint(judge.given)
		if !strings.HasPrefix(got, "[[a] [a!]") || !strings.HasSuffix(got, "[a! b] [a! b!]]") {
			t.Errorf("it was given %v", got)
		}
	})
}

func TestGoodNewsIsToldWithWhatStandsAgainstIt(t *testing.T) {
	t.Parallel()
	board := []chokepoint.Card{
		{Kind: chokepoint.CardRisk, ID: "swings", State: "high", Facts: chokepoint.Facts{"reading": "swings"}},
		{Kind: chokepoint.CardRisk, ID: "runup", State: "high"},
		{Kind: chokepoint.CardRisk, ID: "lpo", State: "normal"},
		{Kind: chokepoint.CardCatalyst, ID: "swings", State: "done"},
	}
	named := chokepoint.Alert{Direction: chokepoint.Positive, Risks: []chokepoint.RiskNote{{ID: "lpo"}, {ID: "unknown"}}}
	if a, ok := annotate(named, board); !ok || a.Risks[0].State != "normal" || a.Risks[1].State != "" || named.Risks[0].State != "" {
		t.Errorf("named: %+v, %v", a, ok)
	}
	if a, ok := annotate(chokepoint.Alert{Direction: chokepoint.Positive}, board); ok || len(a.Risks) != 1 || a.Risks[0].ID != "runup" || a.Risks[0].State != "high" {
		t.Errorf("unnamed: %+v, %v", a, ok)
	}
	if a, ok := annotate(chokepoint.Alert{Direction: chokepoint.Positive}, nil); ok || a.Direction != chokepoint.Neutral {
		t.Errorf("no risk is known: %+v, %v", a, ok)
	}
	if a, ok := annotate(chokepoint.Alert{Direction: chokepoint.Negative}, board); !ok || len(a.Risks) != 0 {
		t.Errorf("bad news: %+v, %v", a, ok)
	}
}

func TestNothingIsAskedOutOfHoursButTheFirstTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, p := newMemory(), &paper{name: "quotes"}
		open := false
		start(t, RunnerConfig{Store: m, Sources: []SourceSpec{{Source: p, Schedule: everyMinute(t), OnlyWhen: func(time.Time) bool { return open }}}})
		time.Sleep(10 * time.Minute)
		if n := len(p.asked()); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestVisitsAndAlertsAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		m, p := newMemory(), &paper{name: "gazette", items: []string{"old"}}
		metrics := NewMetrics(reg)
		_, stop := start(t, RunnerConfig{Store: m, Metrics: metrics,
			Sources:  []SourceSpec{{Source: p, Schedule: everyMinute(t)}},
			Watchers: []WatcherSpec{{Name: "w", Judge: &echo{topic: "w"}, Schedule: everyMinute(t)}}})
		time.Sleep(10 * time.Second)
		p.print("fresh")
		time.Sleep(time.Minute)
		stop()
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range families {
			for _, metric := range f.GetMetric() {
				if c := metric.GetCounter(); c != nil {
					line := f.GetName()
					for _, l := range metric.GetLabel() {
						line += " " + l.GetValue()
					}
					got = append(got, fmt.Sprint(line, " ", c.GetValue()))
				}
			}
		}
		want(t, "counters", got, "chokepoint_alerts_total w 1", "chokepoint_observations_total news 2", "chokepoint_source_visits_total ok-new gazette 2")
	})
}

func TestTenThousandSourcesKeepTheirSchedules(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var specs []SourceSpec
		var papers []*paper
		for i := range 10_000 {
			p := &paper{name: fmt.Sprint("s", i)}
			papers = append(papers, p)
			specs = append(specs, SourceSpec{Source: p, Schedule: mustSchedule(t, "*/10 * * * *", "UTC"), Jitter: time.Minute})
		}
		_, stop := start(t, RunnerConfig{Store: m, Sources: specs})
		time.Sleep(21 * time.Minute)
		stop()
		for _, p := range papers {
			if n := len(p.asked()); n < 2 || n > 4 {
				t.Fatalf("%s was asked %d times", p.name, n)
			}
		}
	})
}
