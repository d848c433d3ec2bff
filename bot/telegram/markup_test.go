package telegram

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/chokepoint-bot/chokepoint/bot"
)

func TestAMessageIsWordedInTelegramsHTML(t *testing.T) {
	t.Parallel()
	m := bot.Message{
		Tone: bot.Good, Title: "AAOI breaks <ground>", URL: `https://example.com/a?b=1&c="d"`,
		Lines: []bot.Line{
			bot.Labelled("Why", "a & b"),
			{Spans: []bot.Span{{Text: "see "}, {Text: "8-K", URL: "https://example.org/8k"}, {Text: " of "}, {Text: "@sec", Bold: true}}},
			{},
			{Label: "AAOI", Mono: true, Spans: []bot.Span{{Text: " 20.1", URL: "https://example.com", Bold: true}}},
			{Mono: true, Spans: []bot.Span{{Text: "SIVE  4.2"}}},
			{Spans: []bot.Span{{Text: "no link", URL: "javascript:x"}}},
		},
		Footer: "not advice",
	}
	want := text{
		html: `<b><a href="https://example.com/a?b=1&amp;c=&quot;d&quot;">AAOI breaks &lt;ground&gt;</a></b>` + "\n" +
			`<b>Why</b>  a &amp; b` + "\n" +
			`see <a href="https://example.org/8k">8-K</a> of <b>@` + wordJoiner + `sec</b>` + "\n\n" +
			"<pre>AAOI   20.1\nSIVE  4.2</pre>\nno link\n<i>not advice</i>",
		plain: "AAOI breaks <ground>\nWhy  a & b\nsee 8-K of @" + wordJoiner + "sec\n\nAAOI   20.1\nSIVE  4.2\nno link\nnot advice",
	}
	if got := compose(m); got != want {
		t.Errorf("got\n%s\n%s\nwant\n%s\n%s", got.html, got.plain, want.html, want.plain)
	}
	if got := measure(m); got != units(want.plain) {
		t.Errorf("measures %d, want %d", got, units(want.plain))
	}
}

func TestLengthsAreInUTF16Units(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{"": 0, "abc": 3, "字": 1, "👍": 2, "e\u0301": 2} {
		if got := measure(line(s)); got != want {
			t.Errorf("%q measures %d, want %d", s, got, want)
		}
	}
	if got := short("a👍b", 2); got != "a" {
		t.Errorf("cut inside a character: %q", got)
	}
}

func TestManyLongAddressesCountThoughNobodySeesThem(t *testing.T) {
	t.Parallel()
	var m bot.Message
	for range 20 {
		m.Lines = append(m.Lines, bot.Line{Spans: []bot.Span{{Text: "x", URL: "https://example.com/" + strings.Repeat("a", 2000)}}})
	}
	if got := measure(m); got <= textMost {
		t.Errorf("measures %d: Telegram refuses more than %d bytes with markup", got, rawMost)
	}
}

func TestAButtonWhoseCommandIsTooLongIsLeftOut(t *testing.T) {
	t.Parallel()
	got := keyboard([]bot.Action{{Label: "a", Command: strings.Repeat("x", 65)}, {Label: "b", Command: strings.Repeat("y", 64)}, {Label: "c"}, {Command: "/z"}})
	want := `{"inline_keyboard":[[{"text":"b","callback_data":"` + strings.Repeat("y", 64) + `"},{"text":"/z","callback_data":"/z"}]]}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Whatever a message holds, Telegram can read its markup, shows all of it, and
// notifies nobody.
func FuzzMarkupIsAlwaysReadable(f *testing.F) {
	for _, s := range []string{"<b>", "a</a>", "&lt;&#60;", `"><x y="`, "@durov", "@@a@_b", "\x00\xff", "https://a.b/?c=<d>", "  ", "\u2060@\u2060x"} {
		f.Add(s, s, true)
		f.Add(s, "https://example.com/"+s, false)
	}
	f.Fuzz(func(t *testing.T, s, address string, mono bool) {
		m := bot.Message{Title: s, URL: address, Footer: s, Lines: []bot.Line{{Label: s, Mono: mono, Spans: []bot.Span{{Text: s, URL: address, Bold: true}, {Text: s}}}}}
		if measure(m) > textMost {
			t.Skip("too long")
		}
		srv := fresh(t)
		if _, err := newAdapter(t, srv, nil).Send(t.Context(), bot.Target{Chat: chatID(group, 0)}, m, ""); err != nil {
			t.Fatal(err)
		}
		if srv.Calls("sendMessage") != 1 {
			t.Error("Telegram could not read the markup at first")
		}
		got := srv.Messages(group)[0]
		want := strings.TrimSpace(compose(m).orEllipsis().plain)
		if got.Text != want || !utf8.ValidString(got.Text) {
			t.Errorf("shown as %q, want %q", got.Text, want)
		}
		if len(got.Mentions) > 0 {
			t.Errorf("%q notifies %q", got.Text, got.Mentions)
		}
	})
}
