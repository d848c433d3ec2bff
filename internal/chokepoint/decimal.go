package chokepoint

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Decimal is an exact number in millionths, from about −9.2 to +9.2 million
// million. Comparisons of prices with thresholds are exact. Its text, and its
// JSON, is a plain decimal such as "135.76".
type Decimal int64

// Unit is the Decimal 1.
const Unit Decimal = 1_000_000

// ParseDecimal reads a plain decimal: an optional sign, digits, and at most
// six digits after a point that are not zeros. It accepts thousands
// separators nowhere: whoever reads foreign text strips them first.
func ParseDecimal(s string) (Decimal, error) {
	body, neg := s, false
	if body != "" && (body[0] == '-' || body[0] == '+') {
		neg, body = body[0] == '-', body[1:]
	}
	whole, frac, point := strings.Cut(body, ".")
	if whole == "" && frac == "" || point && frac == "" && whole == "" {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	frac = strings.TrimRight(frac, "0")
	if len(frac) > 6 {
		return 0, fmt.Errorf("%q has more than six digits after the point", s)
	}
	var n int64
	for _, c := range []byte(whole + frac + "000000"[len(frac):]) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%q is not a number", s)
		}
		if n > (math.MaxInt64-9)/10 {
			return 0, fmt.Errorf("%q is too large", s)
		}
		n = n*10 + int64(c-'0')
	}
	if neg {
		n = -n
	}
	return Decimal(n), nil
}

// DecimalFromFloat rounds f to places digits after the point (0 to 6). It is
// for figures that providers send as binary floats, such as
// 135.75999450683594. ok is false for NaN, infinities and what is too large.
func DecimalFromFloat(f float64, places int) (d Decimal, ok bool) {
	if math.IsNaN(f) || math.Abs(f) > 9e12 {
		return 0, false
	}
	d, err := ParseDecimal(strconv.FormatFloat(f, 'f', min(max(places, 0), 6), 64))
	return d, err == nil
}

// String is the shortest plain decimal: "20", "135.76", "-0.5".
func (d Decimal) String() string {
	s := d.fixed()
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// Fixed is d with exactly places digits after the point (0 to 6), rounded half
// away from zero.
func (d Decimal) Fixed(places int) string {
	unit := Unit
	for range places {
		unit /= 10
	}
	half := unit / 2
	if d < 0 {
		half = -half
	}
	s := ((d + half) / unit * unit).fixed()
	if places == 0 {
		return s[:len(s)-7]
	}
	return s[:len(s)-6+places]
}

func (d Decimal) fixed() string {
	sign, u := "", uint64(d)
	if d < 0 {
		sign, u = "-", -u
	}
	return fmt.Sprintf("%s%d.%06d", sign, u/1e6, u%1e6)
}

// Float is d as a binary float: for drawing and statistics, never for
// comparison with a threshold.
func (d Decimal) Float() float64 { return float64(d) / 1e6 }

// MarshalText gives String.
func (d Decimal) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDecimal reads; empty text is zero.
func (d *Decimal) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = 0
		return nil
	}
	v, err := ParseDecimal(string(b))
	if err != nil {
		return err
	}
	*d = v
	return nil
}

// Money is an amount in a currency (ISO 4217; "" for points of an index).
type Money struct {
	Amount   Decimal `json:"amount"`
	Currency string  `json:"currency,omitempty"`
}
