package watchertest

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/watchers"
)

// Judge runs every testdata/*.day of the calling package through judges that
// fresh makes. A day is a file of sections that begin with "-- name --":
//
//	-- observations --  one observation a line, as JSON, in the order of Seen
//	-- rules --         price rules, one a line, as JSON; may be left out
//	-- alerts --        the alerts that must come of it, one a line, as JSON;
//	                    rewritten when the test is run with -update
//
// Text above the first section is a comment. Each day is judged one by one, one
// by one by a new judge each time, and in one batch: the same alerts must come
// of it, by ID. The observations that are marked as history must give none.
func Judge(t *testing.T, fresh func() watchers.Judge) {
	days, err := filepath.Glob("testdata/*.day")
	if err != nil || len(days) == 0 {
		t.Fatalf("no days under testdata (%v)", err)
	}
	for _, path := range days {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".day"), func(t *testing.T) { day(t, path, fresh) })
	}
}

func day(t *testing.T, path string, fresh func() watchers.Judge) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, sections := split(string(text))
	observations := lines[chokepoint.Observation](t, sections["observations"])
	rules := lines[chokepoint.Rule](t, sections["rules"])

	judge := fresh()
	got := Run(t, func() watchers.Judge { return judge }, observations, rules, 1)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	for _, a := range got {
		if err := enc.Encode(a); err != nil {
			t.Fatal(err)
		}
	}
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		body := head + "-- observations --\n" + sections["observations"]
		if sections["rules"] != "" {
			body += "-- rules --\n" + sections["rules"]
		}
		if err := os.WriteFile(path, []byte(body+"-- alerts --\n"+out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if out.String() != sections["alerts"] {
		t.Errorf("got\n%swant\n%s", out.String(), sections["alerts"])
	}
	if restarted := Run(t, fresh, observations, rules, 1); !slices.Equal(alertIDs(restarted), alertIDs(got)) {
		t.Errorf("with a new judge each time: %v, want %v", alertIDs(restarted), alertIDs(got))
	}
	if batch := Run(t, fresh, observations, rules, len(observations)); !slices.Equal(alertIDs(batch), alertIDs(got)) {
		t.Errorf("in one batch: %v, want %v", alertIDs(batch), alertIDs(got))
	}
	var history []chokepoint.Observation
	for _, o := range observations {
		o.Backfill = true
		history = append(history, o)
	}
	if a := Run(t, fresh, history, rules, 1); len(a) > 0 {
		t.Errorf("as history it gives %v, want nothing", alertIDs(a))
	}
}

// Run judges observations n at a time, each time with what judge returns, as
// a watcher would: after a first tick over an empty journal, now being the
// moment at which the last of them was seen. State and rules are carried over
// as a store would keep them.
func Run(t *testing.T, judge func() watchers.Judge, observations []chokepoint.Observation, rules []chokepoint.Rule, n int) []chokepoint.Alert {
	t.Helper()
	var alerts []chokepoint.Alert
	var state []byte
	rules = slices.Clone(rules)
	step := func(now time.Time, part []chokepoint.Observation) {
		v, err := judge().Judge(watchers.Input{Now: now, State: bytes.Clone(state), Observations: part, Rules: slices.Clone(rules)})
		if err != nil {
			t.Fatalf("Judge: %v", err)
		}
		if v.State != nil {
			state = v.State
		}
		for _, r := range v.Rules {
			for i := range rules {
				if rules[i].Chat == r.Chat && rules[i].ID == r.ID {
					rules[i] = r
				}
			}
		}
		alerts = append(alerts, v.Alerts...)
	}
	if len(observations) > 0 {
		step(observations[0].Seen.Add(-time.Second), nil)
	}
	kinds := judge().Kinds()
	for part := range slices.Chunk(observations, max(n, 1)) {
		wanted := slices.DeleteFunc(slices.Clone(part), func(o chokepoint.Observation) bool { return !slices.Contains(kinds, o.Kind) })
		step(part[len(part)-1].Seen, wanted)
	}
	return alerts
}

func alertIDs(alerts []chokepoint.Alert) []chokepoint.AlertID {
	out := make([]chokepoint.AlertID, len(alerts))
	for i, a := range alerts {
		out[i] = a.ID
	}
	return out
}

// split cuts a day into its head and its sections.
func split(text string) (head string, sections map[string]string) {
	sections = map[string]string{}
	name := ""
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "-- "); ok && strings.HasSuffix(rest, " --") {
			name = strings.TrimSuffix(rest, " --")
			sections[name] = ""
			continue
		}
		if name == "" {
			head += line
		} else {
			sections[name] += line
		}
	}
	return head, sections
}

func lines[T any](t *testing.T, text string) []T {
	t.Helper()
	var out []T
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		var v T
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&v); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out = append(out, v)
	}
	return out
}
