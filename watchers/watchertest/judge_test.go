package watchertest

import (
	"encoding/json"
	"flag"
	"testing"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/watchers"
)

var _ = flag.Bool("update", false, "rewrite golden files")

// second alerts every second item it is told.
type second struct{}

func (second) Kinds() []chokepoint.Kind { return []chokepoint.Kind{chokepoint.KindNews} }

func (second) Judge(in watchers.Input) (watchers.Verdict, error) {
	var n int
	if in.State != nil {
		if err := json.Unmarshal(in.State, &n); err != nil {
			return watchers.Verdict{}, err
		}
	}
	var v watchers.Verdict
	for _, o := range in.Observations {
		if n++; n%2 == 0 && !o.Backfill {
			s := chokepoint.NewStoryID("second", string(o.ID))
			v.Alerts = append(v.Alerts, chokepoint.Alert{ID: s.Alert(0), Story: s, Topic: "second", Seen: o.Seen, At: in.Now, Headline: o.News.Evidence.Title})
		}
	}
	v.State, _ = json.Marshal(n)
	return v, nil
}

func TestJudgeRunsADay(t *testing.T) {
	Judge(t, func() watchers.Judge { return second{} })
}
