package watchers

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// poisonAfter is how often a batch may fail before its observations are judged
// one by one, and the one that fails is set aside.
const poisonAfter = 3

// ticker is a watcher at work under its lease: what it has read, and what its
// judge remembers.
type ticker struct {
	spec   WatcherSpec
	store  Store
	tenure *tenure
	log    *slog.Logger
	batch  int

	at      chokepoint.Checkpoint
	first   bool              // nothing was ever committed
	rules   []chokepoint.Rule // as the judge left them
	places  map[ruleKey]int   // in rules
	version int64             // of rules; -1 if they must be read

	failures int       // ticks in a row
	told     time.Time // when operators were told that it fails; zero while they need not be
}

func (t *ticker) resume(ctx context.Context) error {
	at, err := t.store.Checkpoint(ctx, string(t.spec.Name))
	if err != nil {
		return fmt.Errorf("watchers: read the checkpoint of %s: %w", t.spec.Name, err)
	}
	t.at, t.version = at, -1
	t.first = at.Position == "" && at.State == nil
	return nil
}

// ticked is what one tick did.
type ticked struct {
	committed bool
	more      bool // there may be more to read
	judged    int
	alerts    []chokepoint.Alert
	err       error // of the judge; the step was committed all the same
}

// tick reads on and judges what it finds, or, if due, whether there is
// something or not; and commits that as one step. A first tick reads all there
// is, as history. An error is the store's: nothing is known to have happened.
func (t *ticker) tick(ctx context.Context, now, next time.Time, due bool) (ticked, error) {
	began := time.Now()
	observations, at, more, err := t.read(ctx)
	if err != nil {
		return ticked{}, err
	}
	if len(observations) == 0 && !due && !t.first {
		t.at.Position = at // what was passed over need not be written down each time
		return ticked{more: more}, nil
	}
	if err := t.loadRules(ctx); err != nil {
		return ticked{}, err
	}
	in := Input{Now: now, State: t.at.State, Observations: observations, Rules: t.rules}

	var v Verdict
	var aside []chokepoint.Alert
	var judgeErr error
	judged := 0
	switch {
	case t.first:
		for {
			markHistory(in.Observations)
			var part Verdict
			if part, judgeErr = t.judge(in); judgeErr != nil {
				if part, aside, judgeErr = t.oneByOne(in, aside); judgeErr != nil {
					break
				}
			}
			judged += len(in.Observations)
			v = v.then(part)
			t.patch(part.Rules)
			in.State = orState(v.State, t.at.State)
			if !more {
				break
			}
			if err := t.tenure.keep(ctx); err != nil {
				return ticked{}, err
			}
			if in.Observations, at, more, err = t.readFrom(ctx, at); err != nil {
				return ticked{}, err
			}
		}
	default:
		if v, judgeErr = t.judge(in); judgeErr != nil && len(observations) > 0 && t.failures+1 >= poisonAfter {
			v, aside, judgeErr = t.oneByOne(in, nil)
		}
		judged = len(observations)
	}

	step := chokepoint.Step{Lease: t.tenure.lease, Watcher: string(t.spec.Name), Position: t.at.Position}
	step.Report = chokepoint.TickReport{Watcher: string(t.spec.Name), Began: now, Next: next, Judged: judged}
	failures, told := 0, time.Time{}
	if judgeErr != nil {
		t.version = -1 // the judge may have changed some before it failed
		failures, told, more = t.failures+1, t.told, true
		step.Report.Err, step.Report.Judged = cut(judgeErr.Error(), 500), 0
		if failures >= poisonAfter && told.IsZero() {
			told = now
			step.Alerts = []chokepoint.Alert{opsAlert("watcher", string(t.spec.Name), "failing", "", told, time.Time{}, now, step.Report.Err)}
		}
	} else {
		step.Position, step.State, step.Cards, step.Rules = at, v.State, v.Cards, v.Rules
		if step.Alerts, err = t.annotated(ctx, v); err != nil {
			return ticked{}, err
		}
		step.Report.Alerts = len(step.Alerts)
		step.Alerts = append(step.Alerts, aside...)
		if !t.told.IsZero() {
			step.Alerts = append(step.Alerts, opsAlert("watcher", string(t.spec.Name), "recovered", "", t.told, time.Time{}, now, ""))
		}
	}
	step.Report.Failures, step.Report.Took = failures, time.Since(began)
	if err := t.store.Commit(ctx, now, step); err != nil {
		return ticked{}, fmt.Errorf("watchers: commit a tick of %s: %w", t.spec.Name, err)
	}
	t.at = chokepoint.Checkpoint{Position: step.Position, State: orState(step.State, t.at.State)}
	t.patch(step.Rules)
	t.failures, t.told = failures, told
	if judgeErr == nil {
		t.first = false
	}
	return ticked{committed: true, more: more, judged: step.Report.Judged, alerts: step.Alerts, err: judgeErr}, nil
}

func (t *ticker) read(ctx context.Context) ([]chokepoint.Observation, chokepoint.Position, bool, error) {
	return t.readFrom(ctx, t.at.Position)
}

func (t *ticker) readFrom(ctx context.Context, after chokepoint.Position) ([]chokepoint.Observation, chokepoint.Position, bool, error) {
	entries, at, err := t.store.Read(ctx, after, t.spec.Judge.Kinds(), t.batch)
	if err != nil {
		return nil, "", false, fmt.Errorf("watchers: read the journal for %s: %w", t.spec.Name, err)
	}
	observations := make([]chokepoint.Observation, len(entries))
	for i, e := range entries {
		observations[i] = e.Observation
	}
	// What was examined may be less than there is, even if nothing matched.
	return observations, at, at != after, nil
}

func (t *ticker) loadRules(ctx context.Context) error {
	if !t.spec.Rules {
		return nil
	}
	rules, version, err := t.store.AllRules(ctx, t.version)
	if err != nil {
		return fmt.Errorf("watchers: read the rules for %s: %w", t.spec.Name, err)
	}
	if version == t.version {
		return nil
	}
	t.rules, t.version = rules, version
	t.places = make(map[ruleKey]int, len(rules))
	for i, r := range rules {
		t.places[keyOf(r)] = i
	}
	return nil
}

// patch brings rules up to date with a verdict's. If that is not committed
// after all, they must be read again.
func (t *ticker) patch(changed []chokepoint.Rule) {
	for _, r := range changed {
		if i, ok := t.places[keyOf(r)]; ok {
			t.rules[i] = r
		}
	}
}

// judge is the judge's verdict; a panic is an error.
func (t *ticker) judge(in Input) (v Verdict, err error) {
	defer func() {
		if p := recover(); p != nil {
			t.log.Error("a judge panicked", "watcher", t.spec.Name, "panic", p, "stack", string(debug.Stack()))
			v, err = Verdict{}, fmt.Errorf("%s: panic: %v", t.spec.Name, p)
		}
	}()
	v, err = t.spec.Judge.Judge(in)
	if err != nil {
		return Verdict{}, fmt.Errorf("%s: %w", t.spec.Name, err)
	}
	return v, nil
}

// oneByOne judges what could not be judged together, and sets aside what
// cannot be judged at all, with an alert to operators for each. It fails if
// the judge fails over nothing.
func (t *ticker) oneByOne(in Input, aside []chokepoint.Alert) (Verdict, []chokepoint.Alert, error) {
	var all Verdict
	base := in.State
	step := func(observations []chokepoint.Observation) error {
		v, err := t.judge(Input{Now: in.Now, State: orState(all.State, base), Observations: observations, Rules: in.Rules})
		if err != nil {
			return err
		}
		t.patch(v.Rules)
		all = all.then(v)
		return nil
	}
	if err := step(nil); err != nil {
		return Verdict{}, aside, err
	}
	for i, o := range in.Observations {
		if err := step(in.Observations[i : i+1]); err != nil {
			t.log.Error("an observation cannot be judged and was set aside", "watcher", t.spec.Name, "source", o.Source, "observation", o.ID, "err", err)
			a := opsAlert("watcher", string(t.spec.Name), "failing", "", o.Seen, time.Time{}, in.Now, cut(fmt.Sprintf("set aside %s of %s: %v", o.ID, o.Source, err), 500))
			a.Story = chokepoint.NewStoryID(string(chokepoint.TopicOps), string(t.spec.Name), string(o.ID))
			a.ID, a.From = a.Story.Alert(0), []chokepoint.ObservationID{o.ID}
			aside = append(aside, a)
		}
	}
	return all, aside, nil
}

// annotated are v's alerts with how their risks stand.
func (t *ticker) annotated(ctx context.Context, v Verdict) ([]chokepoint.Alert, error) {
	if !slices.ContainsFunc(v.Alerts, func(a chokepoint.Alert) bool { return len(a.Risks) > 0 || a.Direction == chokepoint.Positive }) {
		return v.Alerts, nil
	}
	board, err := t.store.Board(ctx)
	if err != nil {
		return nil, fmt.Errorf("watchers: read the board for %s: %w", t.spec.Name, err)
	}
	board = append(slices.Clone(v.Cards), board...) // this verdict's are newer
	for i, a := range v.Alerts {
		var ok bool
		if v.Alerts[i], ok = annotate(a, board); !ok {
			t.log.Error("a bullish alert came without a risk", "watcher", t.spec.Name, "alert", a.ID, "risks", len(v.Alerts[i].Risks))
		}
	}
	return v.Alerts, nil
}

// annotate fills in how a's risks stand on the board. A positive alert that
// names no risk gets the one that stands worst, and ok is false; if the board
// has none either it is told as neutral, for good news is told with what
// stands against it or not as good news.
func annotate(a chokepoint.Alert, board []chokepoint.Card) (_ chokepoint.Alert, ok bool) {
	ok = true
	a.Risks = slices.Clone(a.Risks)
	if a.Direction == chokepoint.Positive && len(a.Risks) == 0 {
		ok = false
		worst := -1
		var id string
		for _, c := range board {
			if rank := slices.Index(chokepoint.RiskStates, c.State); c.Kind == chokepoint.CardRisk && (rank > worst || rank == worst && c.ID < id) {
				worst, id = rank, c.ID
			}
		}
		if id == "" {
			a.Direction = chokepoint.Neutral
			return a, ok
		}
		a.Risks = []chokepoint.RiskNote{{ID: id}}
	}
	for i, r := range a.Risks {
		if at := slices.IndexFunc(board, func(c chokepoint.Card) bool { return c.Kind == chokepoint.CardRisk && c.ID == r.ID }); at >= 0 {
			a.Risks[i].State, a.Risks[i].Facts = board[at].State, board[at].Facts
		}
	}
	return a, ok
}

// then is v followed by w, as one verdict.
func (v Verdict) then(w Verdict) Verdict {
	v.State = orState(w.State, v.State)
	v.Alerts = append(v.Alerts, w.Alerts...)
	for _, c := range w.Cards {
		if at := slices.IndexFunc(v.Cards, func(o chokepoint.Card) bool { return o.Kind == c.Kind && o.ID == c.ID }); at >= 0 {
			v.Cards[at] = c
		} else {
			v.Cards = append(v.Cards, c)
		}
	}
	for _, r := range w.Rules {
		if at := slices.IndexFunc(v.Rules, func(o chokepoint.Rule) bool { return keyOf(o) == keyOf(r) }); at >= 0 {
			v.Rules[at] = r
		} else {
			v.Rules = append(v.Rules, r)
		}
	}
	return v
}

func orState(state, old []byte) []byte {
	if state == nil {
		return old
	}
	return state
}

// ruleKey names a rule: a person may make another of the same ID.
type ruleKey struct {
	chat   chokepoint.ChatID
	id     string
	symbol chokepoint.Symbol
	text   string
}

func keyOf(r chokepoint.Rule) ruleKey { return ruleKey{r.Chat, r.ID, r.Symbol, r.Text} }

// markHistory marks what was there before its reader.
func markHistory(observations []chokepoint.Observation) {
	for i := range observations {
		observations[i].Backfill = true
	}
}
