package story

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

var start = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func telling(n int, title, owner string, after time.Duration, keys ...string) Telling {
	at := start.Add(after)
	return Telling{
		Observation: chokepoint.Observation{ID: chokepoint.ObservationID(fmt.Sprint(n)), Seen: at},
		Evidence:    chokepoint.Evidence{Title: title, Publisher: owner, Published: at},
		Owner:       owner, At: at, Keys: keys, Window: 5 * 24 * time.Hour, Group: "g", Parties: []string{"LITE"},
	}
}

func TestJoin(t *testing.T) {
	first := telling(1, "NVIDIA invests in Lumentum", "a", 0, "NVDA×LITE")
	for name, tc := range map[string]struct {
		next Telling
		same bool
	}{
		"a key in common, in another language":  {telling(2, "英伟达投资Lumentum", "b", time.Hour, "NVDA×LITE"), true},
		"a key in common, after the window":     {telling(2, "NVIDIA invests in Lumentum", "b", 30*24*time.Hour, "NVDA×LITE"), false},
		"no key in common, but the same words":  {telling(2, "Nvidia invests in Lumentum", "b", time.Hour, "other"), true},
		"no key in common, and other words":     {telling(2, "Lumentum names a new board", "b", time.Hour, "other"), false},
		"a telling that came earlier but later": {telling(2, "英伟达投资", "b", -time.Hour, "NVDA×LITE"), true},
	} {
		t.Run(name, func(t *testing.T) {
			var b Book
			s, isFirst, _ := b.Join("t", first, false)
			if !isFirst {
				t.Fatal("the first telling begins no story")
			}
			next, isFirst, _ := b.Join("t", tc.next, false)
			if (next == s) != tc.same || isFirst == tc.same {
				t.Errorf("same story %v, first %v", next == s, isFirst)
			}
		})
	}
}

func TestJoinCountsOwnersOnceAndPutsThePrimaryFirst(t *testing.T) {
	var b Book
	b.Join("t", telling(1, "one", "a", 0, "k"), false)
	b.Join("t", telling(2, "two", "a", time.Hour, "k"), false)
	p := telling(3, "three", "issuer", 2*time.Hour, "k")
	p.Primary = true
	s, _, _ := b.Join("t", p, false)
	if s.Sources != 3 || len(s.Owners) != 2 || s.Evidence[0].Title != "three" || s.Evidence[1].Title != "one" {
		t.Errorf("got %+v", s)
	}
	if _, _, again := b.Join("t", p, false); !again || s.Sources != 3 {
		t.Errorf("again %v, sources %d", again, s.Sources)
	}
}

func TestAlertNumbersTellingsAndKeepsHistorySilent(t *testing.T) {
	var b Book
	s, _, _ := b.Join("t", telling(1, "one", "a", 0, "k"), false)
	a, _ := s.Alert("t", start, 80, false, true)
	u, _ := s.Alert("t", start, 80, false, true)
	if a.ID != chokepoint.AlertID(s.ID) || a.Escalate || u.Update != 1 || !u.Escalate {
		t.Errorf("got %+v, then %+v", a, u)
	}
	old, _, _ := b.Join("t", telling(2, "quite another matter", "a", 0, "other"), true)
	if _, ok := old.Alert("t", start, 80, false, true); ok {
		t.Error("history is announced")
	}
}

func TestScoreRisesWithOwnersAndThePrimary(t *testing.T) {
	one, _ := (&Story{Owners: []string{"a"}}).Score(80, false)
	three, _ := (&Story{Owners: []string{"a", "b", "c"}}).Score(80, false)
	rumour, _ := (&Story{Owners: []string{"a"}}).Score(80, true)
	issuer, parts := (&Story{Owners: []string{"a"}, Primary: true}).Score(80, false)
	if !(rumour < one && one < three && one < issuer) || parts.Credibility != 95 {
		t.Errorf("rumour %d, one %d, three %d, issuer %d", rumour, one, three, issuer)
	}
}

func TestABookStaysBounded(t *testing.T) {
	var b Book
	for i := range 2000 {
		tl := telling(i, fmt.Sprintf("event %d of %d", i, i*7), "a", time.Duration(i)*time.Minute, fmt.Sprint("k", i))
		tl.Parties = []string{fmt.Sprint("p", i)}
		b.Join("t", tl, false)
	}
	raw, err := json.Marshal(b)
	if err != nil || len(b.Stories) != maxStories || len(raw) > 400_000 {
		t.Errorf("%d stories, %d bytes, %v", len(b.Stories), len(raw), err)
	}
}

func TestASavedStoryTakesFacts(t *testing.T) {
	var b, saved Book
	b.Join("t", telling(1, "one", "a", 0, "k"), false)
	raw, err := json.Marshal(b)
	if err == nil {
		err = json.Unmarshal(raw, &saved)
	}
	if err != nil {
		t.Fatal(err)
	}
	s, first, _ := saved.Join("t", telling(2, "two", "b", time.Hour, "k"), false)
	if s.Facts["primary"] = "yes"; first {
		t.Error("the saved story was not found")
	}
}
