package thesis

import (
	"fmt"
	"slices"
	"testing"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/watchers"
	"github.com/chokepoint-bot/chokepoint/watchers/story/storytest"
)

func TestAYearHasOneCatalystThatNoOtherWatcherTells(t *testing.T) {
	got := storytest.Alike(t, func() watchers.Judge { return judge(t) }, storytest.Year())
	var told []string
	for _, a := range got {
		told = append(told, fmt.Sprint(a.Update, " ", a.Facts["card"], " ", a.Facts["event"]))
	}
	if want := []string{"0 amd-lta catalyst_amd", "1 amd-lta catalyst_amd"}; !slices.Equal(told, want) {
		t.Fatalf("told %q, want %q", told, want)
	}
	if a := got[1]; a.Owners != 2 || a.Escalate || a.Direction != chokepoint.Positive || a.Risks[0].ID != "timeline" {
		t.Errorf("got %+v", a)
	}
}
