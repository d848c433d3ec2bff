package htmltext

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, want string }{
		"plain text stays":                 {"  one\n\n two ", "one two"},
		"blocks are lines":                 {"<p>one</p><p>two<br>three</p>", "one\ntwo\nthree"},
		"cells are apart":                  {"<table><tr><td>Revenue</td><td>1.2</td></tr><tr><td>Cost</td><td>0.3</td></tr></table>", "Revenue 1.2\nCost 0.3"},
		"entities are characters":          {"AT&amp;T&nbsp;&mdash; 5&#8239;% &#146;s &bogus;", "AT&T — 5 % ’s &bogus;"},
		"scripts and styles say nothing":   {"a<script>alert('<b>')</script><style>p{}</style><svg><text>x</text></svg>b", "ab"},
		"nested silent elements end right": {"<object><object>x</object>y</object>z", "z"},
		"comments say nothing":             {"a<!-- b -->c", "ac"},
		"a document's head says nothing":   {"<html><head><title>T</title></head><body>x</body></html>", "x"},
		"foreign elements are transparent": {"<ix:nonNumeric name='x'>Sugar</ix:nonNumeric> <o:p>Land</o:p>", "Sugar Land"},
		"what XBRL hides is not read":      {"<div><ix:header><ix:hidden><ix:nonNumeric>0001158114</ix:nonNumeric></ix:hidden></ix:header></div><p>Item 1.01</p>", "Item 1.01"},
		"markup cut short":                 {"one <b", "one"},
		"inline markup joins":              {"Sugar <b>La</b>nd", "Sugar Land"},
	} {
		if got := Text(tc.in, 1000); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"AOI <b>breaks</b> ground<br/>today":       "AOI breaks ground today",
		"Margin &lt; 20 %":                         "Margin < 20 %",
		"Margin < 20 % & falling":                  "Margin < 20 % & falling",
		"News <AAOI> up":                           "News <AAOI> up",
		"<script>alert(1)</script>Hello @everyone": "Hello @everyone",
		"台灣\u3000華星光":                              "台灣 華星光",
		"a\x00b":                                   "a b",
		"<![CDATA[left over]]>":                    "",
	} {
		if got := Line(in); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("<p>a&amp;b</p>\xff", 5)
	f.Add("<table><td>華</td>", 4)
	f.Fuzz(func(t *testing.T, src string, limit int) {
		limit = max(0, min(limit, 1000))
		got := Text(src, limit)
		if len(got) > limit || !utf8.ValidString(got) || strings.Contains(got, "\n\n") || got != strings.TrimSpace(got) {
			t.Errorf("Text(%q, %d) = %q", src, limit, got)
		}
		if line := Line(src); !utf8.ValidString(line) || strings.Contains(line, "\n") {
			t.Errorf("Line(%q) = %q", src, line)
		}
	})
}
