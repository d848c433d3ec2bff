package near

import (
	"testing"

	"pgregory.net/rapid"
)

func TestDistanceCountsWhatASlipOfTheHandDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"status", "status", 0}, {"statsu", "status", 1}, {"below", "bellow", 1}, {"risks", "rosks", 1},
		{"", "why", 3}, {"跌破", "跌坡", 1}, {"mute", "alert", 5},
	} {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestDistanceIsTheSameBothWays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.StringN(0, 12, -1).Draw(t, "a"), rapid.StringN(0, 12, -1).Draw(t, "b")
		if Distance(a, b) != Distance(b, a) || (Distance(a, b) == 0) != (string([]rune(a)) == string([]rune(b))) {
			t.Fatalf("Distance(%q, %q) = %d and %d", a, b, Distance(a, b), Distance(b, a))
		}
	})
}
