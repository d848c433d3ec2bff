package lexicon

import (
	"slices"
	"testing"
	"unicode/utf8"
)

func texts(l *Lexicon, s string) []string {
	var out []string
	for _, m := range l.Find(Fold(s)) {
		out = append(out, s[m.Start:m.End])
	}
	return out
}

func TestFind(t *testing.T) {
	l := New([]Entry{{"co-packaged optic*", "a"}, {"AOI", "b"}, {"英伟达", "c"}, {"Sugar Land", "d"}, {"糖城", "d"}, {"inp基板", "e"}, {"Meta Materials", "f"}, {"Meta", "g"}})
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"a stem takes the rest of the word, and hyphens are spaces": {"Co-Packaged Optics now", []string{"Co-Packaged Optics"}},
		"a Latin name is a whole word":                              {"AOIS and XAOI, but AOI", []string{"AOI"}},
		"a Latin name may stand between Chinese characters":         {"买AOI股", []string{"AOI"}},
		"Chinese matches anywhere":                                  {"在糖城建厂", []string{"糖城"}},
		"full width matches half width":                             {"ＩｎＰ基板の増産", []string{"ＩｎＰ基板"}},
		"white space runs match one space":                          {"Sugar\n  Land", []string{"Sugar\n  Land"}},
		"overlapping names are all found, the longer first":         {"Meta Materials", []string{"Meta Materials", "Meta"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := texts(l, tc.text); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestFindFoldsTraditionalOnBothSides(t *testing.T) {
	for _, word := range []string{"华星光", "華星光"} {
		if got := texts(New([]Entry{{word, "x"}}), "華星光、华星光"); !slices.Equal(got, []string{"華星光", "华星光"}) {
			t.Errorf("%s: got %q", word, got)
		}
	}
}

func TestLongestLeavesOutWhatLiesWithin(t *testing.T) {
	l := New([]Entry{{"Meta Materials", "f"}, {"Meta", "g"}})
	if got := Longest(l.Find(Fold("Meta Materials and Meta"))); len(got) != 2 || got[0].Class != "f" || got[1].Class != "g" {
		t.Errorf("got %v", got)
	}
}

func TestMoneys(t *testing.T) {
	for text, want := range map[string]string{
		"up to $4 billion of purchases":        "4000000000 USD",
		"to $300M as work":                     "300000000 USD",
		"最高40亿美元采购":                            "4000000000 USD",
		"投资增至3亿美元":                             "300000000 USD",
		"最多3,500万美元":                           "35000000 USD",
		"a $1.1bn offering":                    "1100000000 USD",
		"豪擲 40 億美元":                            "4000000000 USD",
		"約33億円":                                "3300000000 JPY",
		"from $150 million to $300 million by": "150000000 USD",
	} {
		if got := Moneys(Fold(text)); len(got) == 0 || got[0].String() != want {
			t.Errorf("%q: got %v, want %s", text, got, want)
		}
	}
}

func TestQuantities(t *testing.T) {
	for text, want := range map[string]string{
		"a five-year agreement": "5y", "over ten years": "10y", "multiyear agreements": "multiyear", "未来十年最高": "10y", "多年采购协议": "multiyear", "in 2030": "", "十年期协议": "10y",
	} {
		if got := Term(Fold(text)); got != want {
			t.Errorf("Term(%q) = %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]int{"a 210,000 square foot plant": 210000, "210,000-square-foot": 210000, "21万平方英尺": 210000, "210k sq ft": 210000, "no room": 0} {
		if got := Area(Fold(text)); got != want {
			t.Errorf("Area(%q) = %d, want %d", text, got, want)
		}
	}
	for text, want := range map[string]int{"with 500 jobs": 500, "500 new local jobs": 500, "新增500个岗位": 500, "約500個職位": 500} {
		if got := Jobs(Fold(text)); got != want {
			t.Errorf("Jobs(%q) = %d, want %d", text, got, want)
		}
	}
	if p := Percents(Fold("fell 12.5% and 3 percent")); len(p) != 2 || p[0].Value != 12.5 || p[1].Value != 3 {
		t.Errorf("got %v", p)
	}
}

// Whatever the text, a mention lies in it, on the borders of characters, and
// reads as the entry does when both are folded.
func FuzzFind(f *testing.F) {
	f.Add("AOI糖城 Sugar-Land", "AOI")
	f.Add("ＡＯＩ\xff", "糖城")
	f.Fuzz(func(t *testing.T, text, word string) {
		for _, m := range New([]Entry{{word, "x"}}).Find(Fold(text)) {
			if m.Start < 0 || m.End > len(text) || m.Start >= m.End || (utf8.ValidString(text) && !utf8.ValidString(text[m.Start:m.End])) {
				t.Fatalf("%q in %q: %v", word, text, m)
			}
		}
		Moneys(Fold(text))
		Term(Fold(text))
	})
}

func BenchmarkFind(b *testing.B) {
	l := New([]Entry{{"Applied Optoelectronics", "a"}, {"Lumentum", "b"}, {"Sugar Land", "c"}, {"英伟达", "d"}})
	for b.Loop() {
		l.Find(Fold("Applied Optoelectronics breaks ground on new Sugar Land facility"))
	}
}
