package discord

import (
	"encoding/json"
	"flag"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/bot/discord/discordtest"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestAnAlertAsItIsSent(t *testing.T) {
	t.Parallel()
	m := bot.Message{
		Tone: bot.Good, Title: "Permit issued: *Sugar Land* [phase 2]", URL: "https://example.com/permit?id=7_(a)",
		Lines: []bot.Line{
			bot.Labelled("What", "a clean room of 4,200 m², @everyone"),
			{Label: "Sources", Spans: []bot.Span{{Text: "city of Sugar Land", URL: "https://example.org/1"}, {Text: " · "}, {Text: "news", URL: "https://example.org/2", Bold: true}, {Text: " today", Bold: true}}},
			{},
			{Mono: true, Spans: []bot.Span{{Text: "AAOI   135.76  +3.1%"}}},
			{Mono: true, Spans: []bot.Span{{Text: "^SOX  11000.0   0.0%"}}},
			bot.Text("- not a list"),
		},
		Image: []byte("png"), Alt: "a line that rises", Footer: "k7f3q2ma · not advice", Silent: true,
		Actions: []bot.Action{{Label: "Why", Command: "/why k7f3q2ma"}, {Label: "Mute", Command: "/mute k7f3q2ma 1d"}, {Label: "Again", Command: "/why k7f3q2ma"}},
	}
	got, err := json.MarshalIndent(newPayload(m), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const path = "testdata/alert.golden"
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(got)+"\n" {
		t.Errorf("sent as\n%s\nwant\n%s", got, want)
	}
}

func TestLinksStandWhereClientsTakeThem(t *testing.T) {
	t.Parallel()
	const to = "https://example.com/1"
	for name, c := range map[string]struct {
		spans []bot.Span
		want  []discordtest.Link
		text  string
	}{
		"a text":                         {[]bot.Span{{Text: "a"}, {Text: "b", URL: to}}, []discordtest.Link{{Text: "b", URL: to}}, "ab"},
		"brackets in a pair":             {[]bot.Span{{Text: "[Update] AAOI", URL: to}}, []discordtest.Link{{Text: "[Update] AAOI", URL: to}}, "[Update] AAOI"},
		"a bracket alone":                {[]bot.Span{{Text: "a [ b", URL: to}, {Text: " c"}}, []discordtest.Link{{Text: "↗", URL: to}}, "a [ b c ↗"},
		"two links":                      {[]bot.Span{{Text: "a", URL: to}, {Text: " "}, {Text: "b", URL: to + "2"}}, []discordtest.Link{{Text: "a", URL: to}, {Text: "b", URL: to + "2"}}, "a b"},
		"text that would take a link":    {[]bot.Span{{Text: "a", URL: to}, {Text: " b](https://evil.example/) c"}}, []discordtest.Link{{Text: "a", URL: to}}, "a b](https://evil.example/) c"},
		"text over two spans that would": {[]bot.Span{{Text: "a", URL: to}, {Text: " b]"}, {Text: "(https://evil.example/) c"}}, []discordtest.Link{{Text: "a", URL: to}}, "a b](https://evil.example/) c"},
	} {
		r := discordtest.Render(describe([]bot.Line{{Spans: c.spans}}), true)
		if !slices.Equal(r.Links, c.want) || strings.ReplaceAll(r.Text, guard, "") != c.text || len(r.Wild) > 0 {
			t.Errorf("%s: rendered as %+v", name, r)
		}
	}
}

func FuzzNothingFromOutsideIsMarkup(f *testing.F) {
	for _, s := range []string{"", "*a* _b_ ~~c~~ ||d|| `e`", "# a", "1. a", "-# a", "> a", "@everyone <@1> <#2> </a:3> <t:4:R>", "[a](https://evil.example)", "](https://evil.example)", `\`, `\\*a*`, "```", "a [ b ] c", "https://a_b_c.example/*d*", "<https://evil.example>", "10) a", "+ a", " - a", "**", "https:", "//evil.example"} {
		f.Add(s, "x")
		f.Add("x", s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		const to = "https://example.com/1"
		m := bot.Message{
			Title: a,
			Lines: []bot.Line{
				{Label: a, Spans: []bot.Span{{Text: b}, {Text: a, Bold: true}}},
				{Spans: []bot.Span{{Text: a}, {Text: b}}},
				{Spans: []bot.Span{{Text: b, URL: to}, {Text: a}, {Text: b, Bold: true, URL: to}, {Text: a, Bold: true}}},
				{Mono: true, Spans: []bot.Span{{Text: a}}},
				{Spans: []bot.Span{{Text: b}}},
			},
		}
		e := newEmbed(m)
		read := func(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), guard, "") }
		title := discordtest.Render(e.Title, false)
		if e.Title != "" && read(title.Text) != read(bot.Neutral(a)) || len(title.Wild)+len(title.Links) > 0 {
			t.Errorf("title %q rendered as %+v", e.Title, title)
		}
		r := discordtest.Render(e.Description, true)
		if len(r.Wild) > 0 {
			t.Errorf("%q holds %q", e.Description, r.Wild)
		}
		for _, l := range r.Links {
			if l.URL != to {
				t.Errorf("%q links %+v", e.Description, l)
			}
		}
		if len(r.Mono) > 1 {
			t.Errorf("%q has %d blocks", e.Description, len(r.Mono))
		}
	})
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"https://example.com/a_(b)*?q=<1>#\"", "http://user:pass@example.com", "https://例子.测试/路径", "javascript:alert(1)", "https://[::1]/", "https://a b/", "https://example.com:99/%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := address(s)
		if got == "" {
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Hostname() == "" {
			t.Errorf("%q became %q (%v)", s, got, err)
		}
		if strings.ContainsAny(got, "()<>[]\"'`\\|* \n") || len(got) > urlMost {
			t.Errorf("%q became %q", s, got)
		}
		if again := address(got); again != got {
			t.Errorf("%q became %q, then %q", s, got, again)
		}
	})
}

func TestMeasureHoldsEveryLimit(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]bot.Message{
		"a long title":          {Title: strings.Repeat("a*", 300), URL: "https://example.com/"},
		"a long footer":         {Footer: strings.Repeat("字", 3000)},
		"long everything":       {Title: strings.Repeat("a", 256), Lines: []bot.Line{bot.Text(strings.Repeat("b", 1700))}, Footer: strings.Repeat("c", 2048)},
		"a long alt and label":  {Title: "a", Image: []byte("png"), Alt: strings.Repeat("👍", 900), Actions: []bot.Action{{Label: strings.Repeat("👍", 90), Command: "/why"}}},
		"no text at all":        {},
		"only a picture":        {Image: []byte("png")},
		"more than ten buttons": {Title: "a", Actions: slices.Repeat([]bot.Action{{Label: "a", Command: "/a"}, {Label: "b", Command: "/b"}}, 20)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			if n := measure(m); n > descriptionMost {
				t.Fatalf("%d characters: not a case for Discord", n)
			}
			if _, err := newAdapter(t, s).Send(t.Context(), bot.Target{Chat: chat(channel)}, m, "k"); err != nil {
				t.Error(err)
			}
		})
	}
}
