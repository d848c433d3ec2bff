package bot

import (
	"testing"
	"unicode/utf8"
)

func TestNeutralTextCannotStyleHideOrTurnWhatIsShown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"plain text stays":                  {"AAOI breaks ground: 210,000 sq ft", "AAOI breaks ground: 210,000 sq ft"},
		"Chinese stays":                     {"应用光电糖城新厂动土,投资增至3亿美元", "应用光电糖城新厂动土,投资增至3亿美元"},
		"an emoji of several runes":         {"👩‍🔬 ok", "👩‍🔬 ok"},
		"combining marks stay":              {"e\u0301", "e\u0301"},
		"line breaks become blanks":         {"a\r\nb\u2028c", "a  b c"},
		"escape sequences lose their sting": {"\x1b[2Jboo\x07", "[2Jboo"},
		"bidirectional overrides go":        {"a\u202etxt.exe\u202c\u2066b\u2069", "atxt.exeb"},
		"zero-width characters go":          {"@\u200beveryone\ufeff", "@everyone"},
		"hidden tags go":                    {"a\U000e0041b", "ab"},
		"invalid UTF-8 goes":                {"a\xff\xfeb", "ab"},
	} {
		if got := Neutral(c.in); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func FuzzNeutral(f *testing.F) {
	f.Add("a\u202eb\x00")
	f.Fuzz(func(t *testing.T, s string) {
		got := Neutral(s)
		if !utf8.ValidString(got) || needsNeutral(got) || Neutral(got) != got {
			t.Errorf("Neutral(%q) = %q", s, got)
		}
	})
}
