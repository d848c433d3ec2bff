package chart

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

var update = flag.Bool("update", false, "rewrite the golden pictures")

// bars is an invented year of AAOI: a wave that climbs, some days violent.
func bars(n int) []chokepoint.Bar {
	var out []chokepoint.Bar
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	seed := uint32(7)
	next := func(n uint32) int64 {
		seed = seed*1664525 + 1013904223
		return int64((seed >> 16) % n)
	}
	price := int64(118_000_000)
	for len(out) < n {
		if wd := day.Weekday(); wd != time.Saturday && wd != time.Sunday {
			open := price + (next(41)-20)*price/1000
			top, low := max(open, price)+next(25)*price/1000, min(open, price)-next(25)*price/1000
			out = append(out, chokepoint.Bar{
				Symbol: "AAOI", Day: day.Format(time.DateOnly), Open: chokepoint.Decimal(open), High: chokepoint.Decimal(top),
				Low: chokepoint.Decimal(low), Close: chokepoint.Decimal(price), Volume: 3_000_000 + next(6000)*1000, Currency: "USD",
			})
			price = open - (next(31)-14)*price/1000
		}
		day = day.AddDate(0, 0, -1)
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

func dec(s string) chokepoint.Decimal {
	d, err := chokepoint.ParseDecimal(s)
	if err != nil {
		panic(err)
	}
	return d
}

func quote(price, prev string) *chokepoint.Quote {
	return &chokepoint.Quote{
		Symbol: "AAOI", Price: dec(price), Prev: dec(prev), Open: dec("117"), High: dec("121.4"), Low: dec("112.8"), Volume: 8_200_000,
		Currency: "USD", At: time.Date(2026, 11, 23, 20, 41, 0, 0, time.UTC), Zone: "America/New_York",
	}
}

// pictures are what people are sent.
func pictures() map[string]Price {
	base := Price{
		Symbol: "AAOI", Currency: "USD", Bars: bars(126), Quote: quote("113.9", "118"),
		Mark: time.Date(2026, 9, 14, 0, 0, 0, 0, time.UTC),
	}
	en, zh := base, base
	en.Title, en.Lang, en.Note = "AAOI · Applied Optoelectronics · 6mo", chokepoint.English, "quoted 15:41 EST · Yahoo · 15 min late"
	en.Levels = []Level{{dec("105"), "below 105"}, {dec("400"), "above 400"}}
	zh.Title, zh.Lang, zh.Dark, zh.Note = "AAOI · 应用光电 · 6 个月", chokepoint.Chinese, true, "报价 15:41 EST · Yahoo · 延迟 15 分钟"
	zh.Levels = []Level{{dec("105"), "跌破 105"}, {dec("130"), "涨破 130"}}
	year := base
	year.Title, year.Bars, year.Quote, year.Mark = "SOX · 1y", bars(252), nil, time.Time{}
	few := base
	few.Title, few.Bars, few.Lang, few.Mark = "Sivers · 5d", bars(5), chokepoint.English, time.Time{}
	few.Currency, few.Dark = "SEK", true
	return map[string]Price{"light-en": en, "dark-zh": zh, "year-index": year, "few-days": few}
}

func TestPicturesAreAsTheyWereLookedAt(t *testing.T) {
	for name, p := range pictures() {
		t.Run(name, func(t *testing.T) {
			var b, again bytes.Buffer
			if err := p.WritePNG(&b, 800, 450); err != nil {
				t.Fatal(err)
			}
			if err := p.WritePNG(&again, 800, 450); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
				t.Errorf("the same chart gave other bytes (%v)", err)
			}
			file := filepath.Join("testdata", name+".png")
			if *update {
				if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !samePixels(t, want, b.Bytes()) {
				t.Errorf("%s differs; look at what -update writes", file)
			}
		})
	}
}

// samePixels compares pictures, and not their compression, which a new Go may
// change. Another processor may round the edge of a letter to the next of its
// eight steps.
func samePixels(t *testing.T, a, b []byte) bool {
	t.Helper()
	x, err := png.Decode(bytes.NewReader(a))
	if err != nil {
		t.Fatal(err)
	}
	y, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if x.Bounds() != y.Bounds() {
		return false
	}
	near := func(a, b uint32) bool { return max(a, b)-min(a, b) <= 40*0x101 }
	r := x.Bounds()
	for py := r.Min.Y; py < r.Max.Y; py++ {
		for px := r.Min.X; px < r.Max.X; px++ {
			r1, g1, b1, _ := x.At(px, py).RGBA()
			r2, g2, b2, _ := y.At(px, py).RGBA()
			if !near(r1, r2) || !near(g1, g2) || !near(b1, b2) {
				return false
			}
		}
	}
	return true
}

func TestAnyPricesCanBeDrawn(t *testing.T) {
	flat := chokepoint.Bar{Day: "2026-11-20", Close: dec("100")}
	for name, p := range map[string]Price{
		"one quote and no bars":         {Quote: quote("113.9", "118")},
		"one bar that knows its close":  {Bars: []chokepoint.Bar{flat}},
		"a price of a millionth":        {Bars: []chokepoint.Bar{{Day: "2026-11-20", Close: 1}}},
		"the largest price":             {Bars: []chokepoint.Bar{{Day: "2026-11-20", Close: dec("9000000000000")}}},
		"ten years":                     {Bars: bars(2520)},
		"a day that is none":            {Bars: []chokepoint.Bar{{Day: "", Close: dec("1")}, {Day: "x", Close: dec("2")}}},
		"a quote of an unknown zone":    {Bars: bars(3), Quote: &chokepoint.Quote{Price: dec("1"), Zone: "Nowhere/Land"}},
		"a title that is far too long":  {Title: strings.Repeat("光电 optics ", 50), Bars: bars(30), Note: strings.Repeat("晚", 300)},
		"levels above, below and alike": {Bars: bars(30), Levels: []Level{{dec("1"), ""}, {dec("2"), "x"}, {dec("9999"), ""}, {dec("118"), "a"}, {dec("118"), "b"}}},
	} {
		for _, size := range [][2]int{{800, 450}, {320, 180}, {0, 0}, {5000, 100}} {
			var b bytes.Buffer
			if err := p.WritePNG(&b, size[0], size[1]); err != nil {
				t.Errorf("%s, %v: %v", name, size, err)
				continue
			}
			if _, err := png.Decode(&b); err != nil {
				t.Errorf("%s, %v: %v", name, size, err)
			}
		}
	}
}

func TestNoPricesAreAnError(t *testing.T) {
	if err := (Price{Symbol: "AAOI"}).WritePNG(&bytes.Buffer{}, 800, 450); err == nil || !strings.Contains(err.Error(), "AAOI") {
		t.Errorf("got %v", err)
	}
}

type broken struct{}

var errFull = errors.New("disk full")

func (broken) Write([]byte) (int, error) { return 0, errFull }

func TestAWriterThatFailsIsReported(t *testing.T) {
	if err := pictures()["light-en"].WritePNG(broken{}, 800, 450); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

func TestTheQuoteIsTheLastDay(t *testing.T) {
	day := func(p Price) (got []string) {
		for _, c := range p.candles() {
			got = append(got, fmt.Sprintf("%s %g", c.day, c.close))
		}
		return got
	}
	bar := func(day, close string) chokepoint.Bar { return chokepoint.Bar{Day: day, Close: dec(close)} }
	q := quote("113.9", "118") // of Monday 23 November in New York
	for name, tc := range map[string]struct {
		bars []chokepoint.Bar
		want string
	}{
		"a new day is added":             {[]chokepoint.Bar{bar("2026-11-20", "118")}, "[2026-11-20 118 2026-11-23 113.9]"},
		"its own day is brought up":      {[]chokepoint.Bar{bar("2026-11-23", "115")}, "[2026-11-23 113.9]"},
		"an older quote changes nothing": {[]chokepoint.Bar{bar("2026-11-24", "115")}, "[2026-11-24 115]"},
	} {
		if got := fmt.Sprint(day(Price{Bars: tc.bars, Quote: q})); got != tc.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func BenchmarkWritePNG(b *testing.B) {
	p := pictures()["light-en"]
	b.ReportAllocs()
	var buf bytes.Buffer
	for range b.N {
		buf.Reset()
		if err := p.WritePNG(&buf, 800, 450); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(buf.Len()), "png-bytes")
}
