package price

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
)

// tuesday is the moment at which the tests' people type.
var tuesday = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

func TestPeopleSayTheSameInManyWays(t *testing.T) {
	for line, want := range map[string]string{
		"AAOI below 20":                         "AAOI below 20",
		"aaoi BELOW $20":                        "AAOI below 20",
		"AAOI falls below 20.50":                "AAOI below 20.5",
		"$AAOI < 1,234.5":                       "AAOI below 1234.5",
		"AAOI, above 40":                        "AAOI above 40",
		"AAOI>40":                               "AAOI above 40",
		"AAOI crosses 30":                       "AAOI crosses 30",
		"AAOI moves 8%":                         "AAOI moves 8% in 1d",
		"AAOI moves 8 percent in a day":         "AAOI moves 8% in 1d",
		"AAOI moves more than 8% within 5 days": "AAOI moves 8% in 5d",
		"AAOI moves 10% in 2 weeks":             "AAOI moves 10% in 10d",
		"AAOI moves up 5% in 30m":               "AAOI moves up 5% in 30m",
		"AAOI moves -5% in 90 min":              "AAOI moves down 5% in 90m",
		"AAOI rises 5% in 1.5h":                 "AAOI moves up 5% in 90m",
		"AAOI moves 8% today":                   "AAOI moves 8% in 1d",
		"AAOI swings 12%":                       "AAOI swings 12%",
		"AAOI swings 12% in 1d":                 "AAOI swings 12%",
		"^sox above 9000":                       "^SOX above 9000",
		"sive.st below 90":                      "SIVE.ST below 90",
		"4979.two above 500":                    "4979.TWO above 500",
		"BRK-B above 500":                       "BRK-B above 500",
		"A above 100":                           "A above 100",
		"AAOI below 20 once":                    "AAOI below 20 once",
		"AAOI once below 20":                    "AAOI below 20 once",
		"AAOI below 20 every hour":              "AAOI below 20 every 1h",
		"AAOI below 20 every 90 minutes":        "AAOI below 20 every 90m",
		"AAOI below 20 cooldown 30m":            "AAOI below 20 cooldown 30m",
		"AAOI below 20 until Friday":            "AAOI below 20 until 2026-11-27",
		"AAOI below 20 until tuesday":           "AAOI below 20 until 2026-11-24",
		"AAOI below 20 until tomorrow":          "AAOI below 20 until 2026-11-25",
		"AAOI below 20 until 2026-12-01":        "AAOI below 20 until 2026-12-01",
		"AAOI below 20 until 2026/12/1 urgent":  "AAOI below 20 until 2026-12-01 urgent",
		"AAOI moves up 5% in 30m every 1h cooldown 2h until 2026-12-01 urgent": "AAOI moves up 5% in 30m every 1h cooldown 2h until 2026-12-01 urgent",

		"AAOI 跌破 20": "AAOI below 20",
		"AAOI跌破20":   "AAOI below 20",
		"\uff21\uff21\uff2f\uff29\u3000跌破\uff12\uff10\uff0e\uff15": "AAOI below 20.5", // full width
		"AAOI 低于20元":                 "AAOI below 20",
		"AAOI 20 以下":                 "AAOI below 20",
		"AAOI 涨破 40":                 "AAOI above 40",
		"AAOI 漲破 40":                 "AAOI above 40",
		"AAOI 突破 40":                 "AAOI above 40",
		"AAOI 高于 40":                 "AAOI above 40",
		"AAOI 穿越 30":                 "AAOI crosses 30",
		"AAOI 一天内涨跌 8%":              "AAOI moves 8% in 1d",
		"AAOI 涨跌8%":                  "AAOI moves 8% in 1d",
		"AAOI 今天涨跌 8%":               "AAOI moves 8% in 1d",
		"AAOI 涨跌超过 8%":               "AAOI moves 8% in 1d",
		"AAOI 30分钟内上涨 5%":            "AAOI moves up 5% in 30m",
		"AAOI 半小时内下跌5%":              "AAOI moves down 5% in 30m",
		"AAOI 两周内跌幅达 15%":            "AAOI moves down 15% in 10d",
		"AAOI 5天内涨 10%":              "AAOI moves up 10% in 5d",
		"AAOI 振幅 12%":                "AAOI swings 12%",
		"AAOI 跌破 20 一次":              "AAOI below 20 once",
		"AAOI跌破20仅一次":                "AAOI below 20 once",
		"AAOI 跌破 20 每 1小时":           "AAOI below 20 every 1h",
		"AAOI 跌破 20 每小时":             "AAOI below 20 every 1h",
		"AAOI 跌破 20 冷却30分钟":          "AAOI below 20 cooldown 30m",
		"AAOI 跌破 20 直到周五":            "AAOI below 20 until 2026-11-27",
		"AAOI 跌破 20 直到2026年12月1日 紧急": "AAOI below 20 until 2026-12-01 urgent",
	} {
		c, err := ParseRule(line, tuesday)
		if err != nil {
			t.Errorf("%q: %v", line, err)
		} else if c.String() != want {
			t.Errorf("%q is read as %q, want %q", line, c, want)
		}
	}
}

func TestMisreadRulesAreAnsweredWithTheNearestThatWorks(t *testing.T) {
	for _, tc := range []struct{ line, key, word, nearest string }{
		{"", "no-symbol", "", "AAOI below 20"},
		{"below 25", "no-symbol", "", "AAOI below 25"},
		{"跌破 25", "no-symbol", "", "AAOI below 25"},
		{"20 below", "no-symbol", "", "AAOI below 20"},
		{"moves 5%", "no-symbol", "", "AAOI moves 5% in 1d"},
		{"AAOI", "no-condition", "", "AAOI below 20"},
		{"AAOI 25", "no-condition", "", "AAOI below 25"},
		{"AAOI 8%", "no-condition", "", "AAOI moves 8% in 1d"},
		{"AAOI bellow 25", "word", "bellow", "AAOI below 25"},
		{"AAOI abvoe 25", "word", "abvoe", "AAOI above 25"},
		{"AAOI corsses 25 once", "word", "corsses", "AAOI crosses 25 once"},
		{"AAOI 狂跌 25", "word", "狂", "AAOI moves down 25% in 1d"},
		{"AAOI below", "no-level", "", "AAOI below 20"},
		{"AAOI below 20%", "percent-level", "", "AAOI moves down 20% in 1d"},
		{"AAOI moves 8", "no-percent", "", "AAOI moves 8% in 1d"},
		{"AAOI swings", "no-percent", "", "AAOI swings 8%"},
		{"AAOI above 40 below 20", "two-conditions", "", "AAOI above 40"},
		{"AAOI below 20 30", "two-numbers", "", "AAOI below 20"},
		{"AAOI below 0", "level-range", "0", "AAOI below 20"},
		{"AAOI moves 0%", "percent-range", "0", "AAOI moves 1% in 1d"},
		{"AAOI moves down 100%", "percent-range", "100", "AAOI moves down 50% in 1d"},
		{"AAOI moves 8% in 24h", "span-range", "24h", "AAOI moves 8% in 1d"},
		{"AAOI moves 8% in 90d", "span-range", "90d", "AAOI moves 8% in 1d"},
		{"AAOI moves 8% in 1.5d", "span-range", "1.5d", "AAOI moves 8% in 1d"},
		{"AAOI below 20 in 1h", "span-unwanted", "1h", "AAOI below 20"},
		{"AAOI below 20 once every 1h", "once-every", "", "AAOI below 20 once"},
		{"AAOI below 20 every", "no-time", "", "AAOI below 20"},
		{"AAOI below 20 every 0m", "repeat-range", "0m", "AAOI below 20 every 1h"},
		{"AAOI below 20 cooldown 99d", "repeat-range", "99d", "AAOI below 20 cooldown 1h"},
		{"AAOI below 20 until", "no-date", "", "AAOI below 20 until 2026-12-01"},
		{"AAOI below 20 until 2026-02-30", "date", "2026-02-30", "AAOI below 20 until 2026-12-01"},
		{"AAOI below 20 until 2026-11-23", "past", "2026-11-23", "AAOI below 20 until 2026-12-01"},
		{"AAOI below 20 Friday", "word", "friday", "AAOI below 20"},
		{"AAOI below 20.1234567", "number", "20.1234567", "AAOI below 20"},
		{"AAOI below 99999999999999999999", "number", "99999999999999999999", "AAOI below 20"},
		{"AAOI below 20 " + strings.Repeat("once ", 60), "long", "", "AAOI below 20 once"},
	} {
		_, err := ParseRule(tc.line, tuesday)
		var pe *ParseError
		if !errors.As(err, &pe) {
			t.Errorf("%q: no *ParseError but %v", tc.line, err)
			continue
		}
		got := []string{strings.TrimPrefix(pe.Key, "price.err."), pe.Word, pe.Nearest.String()}
		if d := cmp.Diff([]string{tc.key, tc.word, tc.nearest}, got); d != "" {
			t.Errorf("%q: %s", tc.line, d)
		}
		if again, err := ParseRule(pe.Nearest.String(), tuesday); err != nil || again != pe.Nearest {
			t.Errorf("%q: the nearest, %q, does not work itself: %v", tc.line, pe.Nearest, err)
		}
		for _, lang := range i18n.Languages {
			if s := pe.In(words, lang); strings.Contains(s, "[price.") || strings.Contains(s, "<no value>") {
				t.Errorf("%q in %s: %s", tc.line, lang, s)
			}
		}
	}
}

func TestAMistakeIsToldInBothLanguages(t *testing.T) {
	_, err := ParseRule("AAOI bellow 25", tuesday)
	var pe *ParseError
	errors.As(err, &pe)
	for lang, want := range map[chokepoint.Language]string{
		"en": "I do not understand “bellow”. The nearest that works: AAOI below 25",
		"zh": "看不懂“bellow”。最接近的写法：AAOI 跌破 25",
	} {
		if got := pe.In(words, lang); got != want {
			t.Errorf("%s: %s", lang, got)
		}
	}
}

func TestAConfigurationNamesDatesAndAllItsMistakes(t *testing.T) {
	rules, err := Configured([]string{"AAOI below 20", "SIVE.ST moves 8% in 1d"}, tuesday)
	if err != nil || len(rules) != 2 || rules[1].Symbol != "SIVE.ST" || rules[1].Text != "moves 8% in 1d" || rules[0].ID == rules[1].ID {
		t.Errorf("%+v %v", rules, err)
	}
	_, err = Configured([]string{"AAOI bellow 20", "AAOI above 40", "AAOI above 40 until Friday"}, tuesday)
	if err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), "rule 3") {
		t.Errorf("%v", err)
	}
}

var words = i18n.Must()

// conditions draws any condition that the language can say.
func conditions() *rapid.Generator[Condition] {
	return rapid.Custom(func(t *rapid.T) Condition {
		c := Condition{
			Symbol: chokepoint.Symbol(rapid.SampledFrom([]string{"AAOI", "SIVE.ST", "4979.TWO", "^SOX", "BRK-B"}).Draw(t, "symbol")),
			Op:     Op(rapid.IntRange(int(Above), int(Swings)).Draw(t, "op")),
			Level:  chokepoint.Decimal(rapid.Int64Range(100_000, 99_999_999).Draw(t, "level")),
			Once:   rapid.Bool().Draw(t, "once"),
			Urgent: rapid.Bool().Draw(t, "urgent"),
		}
		minutes := func(name string, most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(1, int64(most/time.Minute)).Draw(t, name)) * time.Minute
		}
		if c.Op == Moves {
			c.Way = chokepoint.Direction(rapid.IntRange(-1, 1).Draw(t, "way"))
			if rapid.Bool().Draw(t, "days") {
				c.Days = rapid.IntRange(1, maxDays).Draw(t, "n")
			} else {
				c.Span = minutes("span", maxSpan)
			}
		}
		if !c.Once && rapid.Bool().Draw(t, "repeats") {
			c.Every = minutes("every", maxRepeat)
		}
		if rapid.Bool().Draw(t, "cools") {
			c.Cooldown = minutes("cooldown", maxRepeat)
		}
		if rapid.Bool().Draw(t, "ends") {
			c.Until = tuesday.AddDate(0, 0, rapid.IntRange(0, 400).Draw(t, "until")).Format(time.DateOnly)
		}
		return c
	})
}

func TestEveryConditionReadsBackInBothLanguages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := conditions().Draw(t, "condition")
		for _, text := range []string{c.Text(), c.In(words, "en"), c.In(words, "zh")} {
			got, err := ParseCondition(c.Symbol, text, tuesday)
			if err != nil || got != c {
				t.Fatalf("%q reads back as %+v, %v; want %+v", text, got, err, c)
			}
		}
		if en := c.In(words, "en"); en != c.Text() {
			t.Fatalf("in English %q, canonical %q", en, c.Text())
		}
	})
}

func FuzzParseRule(f *testing.F) {
	for _, s := range []string{"AAOI below 20", "AAOI 一天内涨跌 8%", "AAOI > , .5 until 2026-13-99", "^ % 每", "\xff\xfe 跌破", "AAOI moves 8% in 9999999999999w", "a a a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := ParseRule(line, tuesday)
		var pe *ParseError
		if err != nil {
			if !errors.As(err, &pe) {
				t.Fatalf("%q: %v", line, err)
			}
			c = pe.Nearest
		}
		if again, err := ParseRule(c.String(), tuesday); err != nil || again != c {
			t.Fatalf("%q: %q reads back as %+v, %v", line, c, again, err)
		}
	})
}
