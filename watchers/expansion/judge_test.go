package expansion

import (
	"errors"
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
		j, err := New(th, "aaoi-texas", "aaoi-texas")
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
}

func TestAYearHasOneGroundbreaking(t *testing.T) {
	got := storytest.Alike(t, judge(t), storytest.Year())
	if len(got) != 4 {
		t.Fatalf("%d alerts, want one story told four times: %+v", len(got), got)
	}
	a := got[0]
	if a.Update != 0 || a.Kind != chokepoint.AlertMilestone || a.Severity != chokepoint.Urgent || a.Catalyst != "aaoi-texas" || a.Direction != chokepoint.Positive {
		t.Errorf("first telling: %+v", a)
	}
	want := chokepoint.Facts{"site": "aaoi-texas", "company": "AAOI", "milestone": "groundbreaking", "status": "done", "jobs": "500", "area": "210000", "invest": "300000000 USD", "next": "construction"}
	for k, v := range want {
		if a.Facts[k] != v {
			t.Errorf("fact %s = %q, want %q", k, a.Facts[k], v)
		}
	}
	for i, u := range got[1:] {
		if u.Story != a.Story || u.Update != i+1 || u.Escalate {
			t.Errorf("update %d: %+v", i+1, u)
		}
	}
	if last := got[3]; last.Owners != 4 || last.Sources != 4 || !last.Evidence[0].Primary || !last.Evidence[1].Primary {
		t.Errorf("the last telling has %d owners, %d sources, %+v", last.Owners, last.Sources, last.Evidence)
	}
}

func TestWhatSpeaksAgain(t *testing.T) {
	wire := storytest.News("2026-02-10T18:00:00Z", "Newswire", "Applied Optoelectronics breaks ground in Sugar Land", "A new plant.")
	for name, tc := range map[string]struct {
		next     chokepoint.Observation
		escalate bool
	}{
		"another outlet does not":            {storytest.News("2026-02-11T18:00:00Z", "Other", "AAOI broke ground on a Sugar Land plant", ""), false},
		"an investment made known does":      {storytest.News("2026-02-11T18:00:00Z", "Other", "AAOI broke ground on a Sugar Land plant for $300 million", ""), true},
		"the issuer's own word does":         {storytest.News("2026-02-11T18:00:00Z", "Applied Optoelectronics", "Applied Optoelectronics breaks ground on Sugar Land plant", ""), true},
		"a delay of the same step does":      {storytest.News("2026-02-12T18:00:00Z", "Other", "AAOI groundbreaking in Sugar Land delayed", ""), true},
		"a figure from the same outlet does": {storytest.News("2026-02-12T18:00:00Z", "Newswire", "AAOI breaks ground at Sugar Land", "It cost $200 million."), true},
	} {
		t.Run(name, func(t *testing.T) {
			got := storytest.Alike(t, judge(t), []chokepoint.Observation{wire, tc.next})
			if len(got) != 2 || got[1].Story != got[0].Story || got[1].Escalate != tc.escalate {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestAPermitIsFollowedByItsNumber(t *testing.T) {
	got := storytest.Alike(t, judge(t), []chokepoint.Observation{
		storytest.Permit("2026-04-01T10:00:00Z", "181234", "TEXAS INSTRUMENTS INCORPORATED", "", "PENDING"),
		storytest.Permit("2026-04-01T11:00:00Z", "181235", "APPLIED OPTOELECTRONICS INC", "", "ADMIN REVIEW"),
		storytest.Permit("2026-05-01T11:00:00Z", "181235", "APPLIED OPTOELECTRONICS INC", "ADMIN REVIEW", "TECHNICAL REVIEW"),
		storytest.Permit("2026-07-01T11:00:00Z", "181235", "APPLIED OPTOELECTRONICS INC", "TECHNICAL REVIEW", "DENIED"),
	})
	var told []string
	for _, a := range got {
		told = append(told, a.Facts["milestone"]+" "+a.Facts["status"]+" "+a.Facts["permit"])
	}
	if want := []string{"permit planned 181235", "permit planned 181235", "permit denied 181235"}; !slices.Equal(told, want) {
		t.Fatalf("told %q, want %q", told, want)
	}
	if got[2].Direction != chokepoint.Negative || !got[2].Escalate || got[2].Story != got[0].Story {
		t.Errorf("the denial: %+v", got[2])
	}
}

func TestTheCardsShowTheFurthestStep(t *testing.T) {
	j := judge(t)()
	v, err := j.Judge(watchers.Input{Now: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	v, err = j.Judge(watchers.Input{Now: time.Date(2026, 2, 14, 0, 0, 0, 0, time.UTC), State: v.State, Observations: storytest.Year()})
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Cards) != 2 || v.Cards[0].Kind != chokepoint.CardSite || v.Cards[1].Kind != chokepoint.CardSignal || v.Cards[1].ID != "texas" {
		t.Fatalf("cards %+v", v.Cards)
	}
	for _, c := range v.Cards {
		if c.State != "groundbreaking" || c.Count != 4 || len(c.Evidence) != 4 || c.Evidence[0].Publisher != "SEC" {
			t.Errorf("card %+v", c)
		}
	}
}

func TestWithoutAStateItLearns(t *testing.T) {
	j := judge(t)()
	v, err := j.Judge(watchers.Input{Now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Observations: storytest.Year()})
	if err != nil || len(v.Alerts) > 0 || v.Cards[0].State != "groundbreaking" {
		t.Errorf("alerts %v, card %+v, %v", v.Alerts, v.Cards[0], err)
	}
}

func TestAnUnknownSiteIsNotFound(t *testing.T) {
	th, err := thesis.Builtin("cw-laser")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(th, "x", "nowhere"); !errors.Is(err, chokepoint.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
