package lta

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/thesis"
	"github.com/chokepoint-bot/chokepoint/watchers"
	"github.com/chokepoint-bot/chokepoint/watchers/story/storytest"
)

func judge(t *testing.T) func() watchers.Judge {
	th, err := thesis.Builtin("cw-laser")
	if err != nil {
		t.Fatal(err)
	}
	return func() watchers.Judge {
		j, err := New(th, "hyperscaler-lta")
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
}

// spoken is what people are told: first tellings and escalations.
func spoken(alerts []chokepoint.Alert) []string {
	var out []string
	for _, a := range alerts {
		if a.Update == 0 || a.Escalate {
			out = append(out, fmt.Sprintf("%s×%s %s %s", a.Facts["buyer"], a.Facts["supplier"], a.Facts["sure"], a.Facts["amount"]))
		}
	}
	return out
}

func TestAYearHasTwoAgreements(t *testing.T) {
	got := storytest.Alike(t, judge(t), storytest.Year())
	want := []string{"AMZN×AAOI filed 4000000000 USD", "NVDA×COHR,LITE reported 2000000000 USD", "NVDA×COHR,LITE filed 2000000000 USD"}
	if !slices.Equal(spoken(got), want) {
		t.Errorf("told %q, want %q", spoken(got), want)
	}
	stories := map[chokepoint.StoryID]int{}
	for _, a := range got {
		stories[a.Story]++
		if a.Kind != chokepoint.AlertAgreement || len(a.Risks) == 0 {
			t.Errorf("%+v", a)
		}
	}
	if len(stories) != 2 || stories[got[0].Story] != 3 || len(got) != 7 {
		t.Errorf("%d alerts in %v", len(got), stories)
	}
	if got[0].Catalyst != "aaoi-texas" || got[2].Owners != 3 || got[2].Facts["term"] != "10y" || got[2].Facts["product"] != "transceiver" {
		t.Errorf("Amazon's: %+v", got[2])
	}
}

func TestWhatSpeaksAgain(t *testing.T) {
	rumour := storytest.News("2026-04-01T10:00:00Z", "Gossip", "Microsoft reportedly in talks on supply agreement with Lumentum for lasers", "")
	for name, tc := range map[string]struct {
		next []chokepoint.Observation
		want []string
	}{
		"a rumour that another outlet hears too is reported": {
			[]chokepoint.Observation{storytest.News("2026-04-02T10:00:00Z", "Other", "Microsoft is in talks with Lumentum on a long-term agreement", "")},
			[]string{"MSFT×LITE rumour ", "MSFT×LITE reported "},
		},
		"a denial": {
			[]chokepoint.Observation{storytest.News("2026-04-02T10:00:00Z", "Other", "Lumentum denies supply agreement with Microsoft", "")},
			[]string{"MSFT×LITE rumour ", "MSFT×LITE denied "},
		},
		"a party confirms, then a third outlet repeats it": {
			[]chokepoint.Observation{
				storytest.News("2026-04-03T10:00:00Z", "Lumentum", "Lumentum signs supply agreement with Microsoft", ""),
				storytest.News("2026-04-04T10:00:00Z", "Third", "Lumentum and Microsoft sign a supply agreement", ""),
			},
			[]string{"MSFT×LITE rumour ", "MSFT×LITE confirmed "},
		},
		"an amount made known": {
			[]chokepoint.Observation{
				storytest.News("2026-04-02T10:00:00Z", "Gossip", "Microsoft's supply agreement talks with Lumentum are on $3 billion, reportedly", ""),
			},
			[]string{"MSFT×LITE rumour ", "MSFT×LITE rumour 3000000000 USD"},
		},
		"the same again is not told": {
			[]chokepoint.Observation{storytest.News("2026-04-02T10:00:00Z", "Gossip", "Microsoft reportedly in talks with Lumentum on supply agreement", "")},
			[]string{"MSFT×LITE rumour "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := storytest.Alike(t, judge(t), append([]chokepoint.Observation{rumour}, tc.next...))
			if !slices.Equal(spoken(got), tc.want) {
				t.Errorf("told %q, want %q", spoken(got), tc.want)
			}
		})
	}
}

func TestWhatIsOnRecordIsNotNew(t *testing.T) {
	for name, tc := range map[string]struct {
		title string
		want  int
	}{
		"a late telling of the record": {"Nvidia's multiyear agreement with Lumentum secures lasers", 0},
		"a second agreement":           {"Nvidia signs second multiyear agreement with Lumentum for lasers", 1},
		"another buyer":                {"Google signs multiyear agreement with Lumentum for lasers", 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := storytest.Alike(t, judge(t), []chokepoint.Observation{storytest.News("2026-07-20T10:00:00Z", "Newswire", tc.title, "")})
			if len(got) != tc.want {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestCancelledOrdersSpeakAgainst(t *testing.T) {
	got := storytest.Alike(t, judge(t), []chokepoint.Observation{
		storytest.News("2026-04-27T10:00:00Z", "Newswire", "POET Technologies shares fall 20% after Marvell cancels purchase orders", "POET says Marvell cancelled all orders for optical engines."),
	})
	if len(got) != 1 || got[0].Direction != chokepoint.Negative || got[0].Facts["buyer"] != "MRVL" || got[0].Facts["supplier"] != "POET" || got[0].Facts["sure"] != "denied" {
		t.Errorf("got %+v", got)
	}
}

func TestTheCardsHoldTheRecord(t *testing.T) {
	v, err := judge(t)().Judge(watchers.Input{Now: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range v.Cards {
		ids = append(ids, string(c.Kind)+" "+c.ID+" "+c.State)
	}
	want := []string{"agreement MSFT×AAOI filed", "agreement AMZN×AAOI filed", "agreement NVDA×LITE filed", "agreement NVDA×COHR filed", "signal next-lta "}
	if !slices.Equal(ids, want) {
		t.Errorf("got %q, want %q", ids, want)
	}
}

func TestTheStateStaysBounded(t *testing.T) {
	j := judge(t)()
	var state []byte
	buyers, suppliers := []string{"Microsoft", "Google", "Nvidia", "AMD"}, []string{"Lumentum", "MACOM", "Luxnet", "AAOI", "Sivers"}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 600 {
		at := start.Add(time.Duration(i) * 24 * time.Hour)
		o := storytest.News(at.Format(time.RFC3339), "Wire", fmt.Sprintf("%s signs new supply agreement number %d with %s for lasers", buyers[i%4], i, suppliers[i%5]), "Lasers.")
		v, err := j.Judge(watchers.Input{Now: at, State: state, Observations: []chokepoint.Observation{o}})
		if err != nil {
			t.Fatal(err)
		}
		state = v.State
	}
	if !json.Valid(state) || len(state) > 600_000 {
		t.Errorf("%d bytes", len(state))
	}
}
