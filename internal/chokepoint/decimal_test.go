package chokepoint

import (
	"math"
	"testing"
)

func TestParseDecimalKeepsWhatItReads(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "20": "20", "135.76": "135.76", "-0.5": "-0.5", ".5": "0.5", "7.": "7",
		"+1.10": "1.1", "0.000001": "0.000001", "1.1000000000": "1.1", "9000000000000": "9000000000000",
	} {
		d, err := ParseDecimal(in)
		if err != nil || d.String() != want {
			t.Errorf("ParseDecimal(%q) = %s, %v; want %s", in, d, err, want)
		}
	}
	for _, in := range []string{"", ".", "-", "1,000", "1e5", "0.0000001", "12a", "--1", "99999999999999", "٣"} {
		if d, err := ParseDecimal(in); err == nil {
			t.Errorf("ParseDecimal(%q) = %s, want an error", in, d)
		}
	}
}

func TestDecimalFromFloatRoundsProviderNoise(t *testing.T) {
	if d, ok := DecimalFromFloat(135.75999450683594, 2); !ok || d.String() != "135.76" {
		t.Errorf("got %s, %v", d, ok)
	}
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e13} {
		if d, ok := DecimalFromFloat(f, 2); ok {
			t.Errorf("DecimalFromFloat(%v) = %s, want not ok", f, d)
		}
	}
}

func TestFixedRoundsHalfAwayFromZero(t *testing.T) {
	for _, c := range []struct {
		d      Decimal
		places int
		want   string
	}{{135_765_000, 2, "135.77"}, {-135_765_000, 2, "-135.77"}, {500_000, 0, "1"}, {20_000_000, 2, "20.00"}, {1, 6, "0.000001"}} {
		if got := c.d.Fixed(c.places); got != c.want {
			t.Errorf("Decimal(%d).Fixed(%d) = %s, want %s", c.d, c.places, got, c.want)
		}
	}
}
