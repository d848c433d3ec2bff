package adaptertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// texts are what a headline may hold.
var texts = map[string]string{
	"plain text":                    "AAOI breaks ground in Sugar Land: 210,000 sq ft, $150M",
	"Chinese":                       "应用光电糖城新厂动土,投资增至3亿美元(传)——下一步:设备",
	"emoji":                         "👩‍🔬 🇹🇼 👍🏽 🏗️ done",
	"combining marks":               "Zu\u0308rich e\u0301cole n\u0303 \u1112\u1161\u11ab Z\u0351\u036b\u0343",
	"Arabic and Hebrew":             "שלום مرحبا AAOI",
	"HTML":                          `<b>bold</b> & <script>alert("1")</script> &lt; &amp; &#x41; <br> a < b > c <a href="https://evil.example/">x</a>`,
	"an end tag":                    "</b></a></pre></code> & so on",
	"Markdown":                      "*a* _b_ __c__ **d** ~~e~~ ||f|| `g` ``h`` [i](https://evil.example/) ![j](k) ~l~",
	"a heading":                     "# heading",
	"a quote":                       "> quote",
	"small print":                   "-# small",
	"a list":                        "- item",
	"a numbered list":               "1. item",
	"a code block":                  "```go func main() {} ```",
	"backslashes":                   `C:\new\table \* \_ \`,
	"open brackets":                 "[ ( { < [a](",
	"mentions of Discord":           "@everyone @here <@123456789012345678> <@!123> <@&456> <#789> </why:1> <id:guide>",
	"mentions of Telegram":          "@durov @some_channel_name tg://user?id=1001 t.me/durov /start",
	"times and emoji of Discord":    "<t:1700000000:R> :smile: <:name:123456789012345678>",
	"tags":                          "#AAOI $AAOI +1 555 010 0199 ir@example.com",
	"bare addresses":                "see https://example.com/a_b_c?d=*e*&f=<g> or http://example.org/(h) now",
	"quotes":                        `"a" 'b' “c” «d» ` + "´",
	"blanks within":                 "a  b   c",
	"terminal commands":             "\x1b[2J\x1b[1;1Hgone\a\b\x00 and \u009b31m",
	"a line break":                  "first\nsecond\r\nthird\u2028fourth",
	"characters that turn writing":  "a\u202etxt.exe\u202c \u2066b\u2069 \u200fc\u200e \u061cd",
	"a mention behind a zero width": "@\u200beveryone <\u2060@123> @\ufeffhere",
	"hidden tags":                   "a\U000e0041\U000e0042\U000e007f b",
	"invalid UTF-8":                 "a\xff\xfeb",
	"math letters and wide forms":   "𝐀𝐀𝐎𝐈 ＡＡＯＩ ﬁ ½",
	"a formula that a sheet obeys":  "=HYPERLINK(\"https://evil.example\")",
	"only punctuation":              "*** --- ___ ```",
	"what templates obey":           "null undefined NaN %s %d {{.Title}} ${TOKEN} $(id)",
}

var sendTests = []test{
	{"a message arrives unchanged, whatever it holds", func(c *client) {
		_, plain := c.Lacks[Links]
		n := 0
		for name, s := range texts {
			n++
			m := bot.Message{
				Title: s, URL: fmt.Sprintf("https://example.com/title/%d", n), Footer: s,
				Lines: []bot.Line{
					{Label: s, Spans: []bot.Span{{Text: s}}},
					{Spans: []bot.Span{{Text: s, Bold: true}}},
					{Spans: []bot.Span{{Text: "before "}, {Text: s, URL: fmt.Sprintf("https://example.com/span/%d?a=1&b=2", n)}, {Text: " after"}}},
					{},
					{Mono: true, Spans: []bot.Span{{Text: strings.ReplaceAll(s, "`", "'")}}},
				},
			}
			at := c.send(c.target(), m, fmt.Sprint("key", n))
			all := c.shown(n)
			last := all[n-1]
			if last.Message != at.Message || last.Chat != c.Chat || last.Thread != "" || last.Answer != "" || at.Elsewhere {
				c.Errorf("%s: posted as %+v, shown as %+v", name, at, last)
			}
			if err := shows(last, m, !plain); err != nil {
				c.Errorf("%s: %v", name, err)
			}
		}
	}},
	{"a message may lack any of its parts", func(c *client) {
		for i, m := range []bot.Message{
			{Title: "only a title"},
			{Footer: "only a footer"},
			text("only a line"),
			{Lines: []bot.Line{{Label: "only a label"}}},
			{Lines: []bot.Line{{Mono: true, Spans: []bot.Span{{Text: "only a column"}}}}},
			{Title: "a title and", Lines: []bot.Line{{}, bot.Text("a line, with blank ones about"), {}}, Footer: "a footer"},
			{Tone: bot.Bad, Lines: []bot.Line{bot.Labelled("", "only a toned line")}},
		} {
			c.send(c.target(), m, fmt.Sprint("key", i))
			if err := shows(c.shown(i + 1)[i], m, false); err != nil {
				c.Error(err)
			}
		}
	}},
	{"columns line up", func(c *client) {
		rows := []string{"AAOI      135.76  +3.1%", "  SIVE.ST   4.20  -0.5%", "", "^SOX     11000.0   0.0%"}
		m := bot.Message{Title: "prices"}
		for _, r := range rows {
			m.Lines = append(m.Lines, bot.Line{Mono: true, Spans: []bot.Span{{Text: r}}})
		}
		c.send(c.target(), m, "k")
		if got := c.shown(1)[0].Text; !strings.Contains(got, strings.Join(rows, "\n")) {
			c.Errorf("columns are shown as %q", got)
		}
	}},
	{"only addresses of the web become links", func(c *client) {
		c.needs(Links)
		for i, bad := range []string{"javascript:alert(1)", "tg://user?id=1001", "tg://resolve?domain=x", "https://user:pass@example.com/", "ftp://example.com/", "//example.com/", "data:text/html,x", "discord://x", "mailto:a@example.com", "https://", "https://exa mple.com/", "https://[::1", "\x00"} {
			m := bot.Message{Title: "title", URL: bad, Lines: []bot.Line{{Spans: []bot.Span{{Text: "text", URL: bad}}}}}
			c.send(c.target(), m, fmt.Sprint("key", i))
			s := c.shown(i + 1)[i]
			if len(s.Links) > 0 {
				c.Errorf("%q is linked: %+v", bad, s.Links)
			}
			m.URL, m.Lines[0].Spans[0].URL = "", ""
			if err := shows(s, m, true); err != nil {
				c.Errorf("%q: %v", bad, err)
			}
		}
		for i, good := range []string{"https://example.com/a_(b)?q=1&r=%22x%22#s", "https://例子.测试/路径?词=值", "http://example.com:8080/a*b_c~d'e\"f", "https://example.com/<a>&amp;"} {
			m := bot.Message{Lines: []bot.Line{{Spans: []bot.Span{{Text: "text", URL: good}}}}}
			at := c.send(c.target(), m, fmt.Sprint("good", i))
			all := c.Peer.Sent()
			s := all[len(all)-1]
			if len(s.Links) != 1 || s.Links[0].Text != "text" || s.Message != at.Message {
				c.Errorf("%q: links are %+v", good, s.Links)
			}
		}
	}},
	{"as much as Limits.Text by Measure is shown, and more is refused", func(c *client) {
		l := c.Adapter.Limits()
		pictures := [][]byte{nil}
		if l.Image > 0 {
			pictures = append(pictures, picture(1))
		}
		n := 0
		for _, unit := range []string{"x", "字", "👍", "&", "<", "*", "_", "\\", "e\u0301"} {
			for _, img := range pictures {
				fill := func(k int) bot.Message {
					m := bot.Message{Title: "title", Lines: []bot.Line{bot.Labelled("label", strings.Repeat(unit, k))}, Footer: "footer", Image: img}
					if img != nil {
						m.Alt = "chart"
					}
					return m
				}
				lo, hi := 0, l.Text+1 // lo fits, hi does not
				for lo+1 < hi {
					if mid := (lo + hi) / 2; l.Measure(fill(mid)) <= l.Text {
						lo = mid
					} else {
						hi = mid
					}
				}
				if lo < 100 {
					c.Fatalf("of %q not even 100 fit into one message", unit)
				}
				c.send(c.target(), fill(lo), fmt.Sprint("fits", n))
				n++
				if err := shows(c.shown(n)[n-1], fill(lo), false); err != nil {
					c.Errorf("%d times %q: %v", lo, unit, err)
				}
				_, err := c.Adapter.Send(c.ctx, c.target(), fill(hi), fmt.Sprint("over", n))
				c.refused(err, bot.Rejected)
				c.shown(n)
			}
		}
	}},
	{"a headline of 20 kB is refused, not cut", func(c *client) {
		_, err := c.Adapter.Send(c.ctx, c.target(), bot.Message{Title: strings.Repeat("headline ", 20<<10/9)}, "k")
		c.refused(err, bot.Rejected)
		c.shown(0)
	}},
	{"a picture comes with its words", func(c *client) {
		if c.Adapter.Limits().Image == 0 {
			c.Skipf("%s shows no pictures", c.Adapter.Platform())
		}
		m := bot.Message{Title: "AAOI <30 days>", URL: "https://example.com/1", Lines: []bot.Line{bot.Labelled("last", "135.76 & up")}, Footer: "not advice", Alt: "a line that rises from 90 to 135 & falls <again>"}
		for i, img := range [][]byte{picture(1), picture(2), picture(1), picture(1)} {
			m.Image = img
			c.send(c.target(), m, fmt.Sprint("key", i))
			s := c.shown(i + 1)[i]
			if err := shows(s, m, true); err != nil {
				c.Error(err)
			}
			if !bytes.Equal(s.Image, img) {
				c.Errorf("picture %d is not the one sent", i)
			}
			if s.Alt != m.Alt && !strings.Contains(s.Text, m.Alt) {
				c.Errorf("what the picture shows is nowhere: %+v", s)
			}
		}
		big := m
		big.Image = make([]byte, c.Adapter.Limits().Image+1)
		copy(big.Image, picture(1))
		_, err := c.Adapter.Send(c.ctx, c.target(), big, "big")
		c.refused(err, bot.Rejected)
		c.shown(4)
	}},
	{"a picture may come without a word", func(c *client) {
		if c.Adapter.Limits().Image == 0 {
			c.Skipf("%s shows no pictures", c.Adapter.Platform())
		}
		c.send(c.target(), bot.Message{Image: picture(1)}, "k")
		if s := c.shown(1)[0]; !bytes.Equal(s.Image, picture(1)) {
			c.Errorf("shown as %+v", s)
		}
	}},
	{"a silent message makes no sound", func(c *client) {
		c.needs(Silence)
		loud, silent := text("loud"), text("silent")
		silent.Silent = true
		c.send(c.target(), loud, "1")
		c.send(c.target(), silent, "2")
		if all := c.shown(2); all[0].Silent || !all[1].Silent {
			c.Errorf("shown as %+v", all)
		}
	}},
	{"buttons are in their order", func(c *client) {
		c.needs(Buttons)
		m := text("press")
		var want []string
		for i := range 10 {
			label := fmt.Sprintf("%d 静音 & <b>", i)
			want = append(want, label)
			m.Actions = append(m.Actions, bot.Action{Label: label, Command: fmt.Sprintf("/why %055d", i)})
		}
		c.send(c.target(), m, "k")
		if s := c.shown(1)[0]; !slices.Equal(s.Buttons, want) {
			c.Errorf("buttons are %q, want %q", s.Buttons, want)
		}
	}},
	{"every failure has its class, and is not repeated", func(c *client) {
		c.needs(Failing)
		to := c.target()
		wantWait := 7 * time.Second
		moved := chokepoint.ChatID{Platform: c.Chat.Platform, ID: "-1009998887776"}
		for i, class := range c.CanFail {
			before := c.Peer.Sent()
			edit := class == bot.MessageGone
			if edit {
				at := c.send(to, text("to be changed"), fmt.Sprint("edit", i))
				to.Edit = at.Message
				before = c.Peer.Sent()
			}
			c.Peer.Fail(1, Failure{Class: class, Wait: wantWait, To: moved})
			_, err := c.Adapter.Send(c.ctx, to, text("refused"), fmt.Sprint("key", i))
			to.Edit = ""
			e := c.refused(err, class)
			if class == bot.RateLimited && (e.Wait < wantWait || e.Wait > wantWait+2*time.Second) {
				c.Errorf("told to wait %s, says %s", wantWait, e.Wait)
			}
			if class == bot.Moved && e.To != moved {
				c.Errorf("moved to %s, says %s", moved, e.To)
			}
			if after := c.Peer.Sent(); class != bot.Unknown && !slices.EqualFunc(before, after, same) {
				c.Errorf("%s: the message was shown all the same: %+v", class, after)
			}
		}
	}},
	{"after a failure the next message is shown", func(c *client) {
		c.needs(Failing)
		if !slices.Contains(c.CanFail, bot.Rejected) {
			c.Skip("the peer rejects nothing")
		}
		c.Peer.Fail(1, Failure{Class: bot.Rejected})
		_, err := c.Adapter.Send(c.ctx, c.target(), text("refused"), "1")
		c.refused(err, bot.Rejected)
		c.send(c.target(), text("shown"), "2")
		c.shown(1)
	}},
	{"an answer that is lost leaves it unknown", func(c *client) {
		c.needs(Failing)
		c.Peer.DropAnswer(1)
		_, err := c.Adapter.Send(c.ctx, c.target(), text("once"), "k")
		c.refused(err, bot.Unknown)
		c.shown(1)
	}},
	{"a key that comes again is shown once", func(c *client) {
		if !c.Adapter.Limits().Dedups {
			c.Skipf("%s does not drop repeats", c.Adapter.Platform())
		}
		first := c.send(c.target(), text("once"), "k1")
		again := c.send(c.target(), text("once"), "k1")
		if first.Message != again.Message {
			c.Errorf("posted as %s and %s", first.Message, again.Message)
		}
		c.Peer.DropAnswer(1)
		_, err := c.Adapter.Send(c.ctx, c.target(), text("twice"), "k2")
		c.refused(err, bot.Unknown)
		c.send(c.target(), text("twice"), "k2")
		all := c.shown(2)
		if all[0].Key == "" || all[0].Key == all[1].Key {
			c.Errorf("keys are %q and %q", all[0].Key, all[1].Key)
		}
	}},
	{"nothing is sent once the context has ended", func(c *client) {
		ctx, cancel := context.WithCancel(c.ctx)
		cancel()
		_, err := c.Adapter.Send(ctx, c.target(), text("late"), "k")
		var e *bot.SendError
		if !errors.As(err, &e) {
			c.Fatalf("got %v, want a *bot.SendError", err)
		}
		c.secret(err)
		if e.Class != bot.Transient && e.Class != bot.Unknown {
			c.Errorf("class %s would not be tried again", e.Class)
		}
		c.shown(0)
	}},
	{"a send under way returns when its context ends", func(c *client) {
		c.needs(Failing)
		ctx, cancel := context.WithCancel(c.ctx)
		defer cancel()
		arrived := c.Peer.Stall()
		result := make(chan error, 1)
		go func() {
			_, err := c.Adapter.Send(ctx, c.target(), text("stalled"), "k")
			result <- err
		}()
		c.within("the peer", func() { <-arrived })
		cancel()
		c.within("Send", func() { c.refused(<-result, bot.Unknown) })
		c.send(c.target(), text("next"), "k2")
	}},
	{"sends at the same time do not mix", func(c *client) {
		const n = 24
		var wg sync.WaitGroup
		ids := make([]string, n)
		errs := make([]error, n)
		for i := range n {
			wg.Go(func() {
				p, err := c.Adapter.Send(c.ctx, c.target(), text(fmt.Sprintf("message number %d.", i)), fmt.Sprint("key", i))
				ids[i], errs[i] = p.Message, err
			})
		}
		wg.Wait()
		byID := map[string]Sent{}
		for _, s := range c.shown(n) {
			byID[s.Message] = s
		}
		for i := range n {
			if errs[i] != nil {
				c.Fatal(errs[i])
			}
			if err := shows(byID[ids[i]], text(fmt.Sprintf("message number %d.", i)), false); err != nil {
				c.Errorf("message %d has the ID of another: %v", i, err)
			}
		}
	}},
	{"an edit changes the message in its place, buttons too", func(c *client) {
		c.edits()
		why, mute := bot.Action{Label: "why", Command: "/why k7f3q2ma"}, bot.Action{Label: "mute", Command: "/mute k7f3q2ma 1d"}
		m := bot.Message{Title: "first", URL: "https://example.com/1", Lines: []bot.Line{bot.Text("permit <filed>")}, Actions: []bot.Action{why, mute}}
		at := c.send(c.target(), m, "1")
		other := c.send(c.target(), text("other"), "2")
		for i, next := range []bot.Message{
			{Title: "second", URL: "https://example.com/2", Lines: []bot.Line{bot.Text("permit & issued")}, Actions: []bot.Action{why, mute}},
			{Title: "third", Lines: []bot.Line{bot.Text("ground broken")}, Actions: []bot.Action{mute}},
			{Title: "fourth", Lines: []bot.Line{bot.Text("done")}},
		} {
			to := c.target()
			to.Edit = at.Message
			p := c.send(to, next, fmt.Sprint("edit", i))
			all := c.shown(2)
			if p.Message != at.Message || all[0].Message != at.Message || all[1].Message != other.Message || all[0].Edits != i+1 {
				c.Errorf("edit %d: posted as %+v, shown as %+v", i, p, all)
			}
			if err := shows(all[0], next, true); err != nil {
				c.Error(err)
			}
			var want []string
			for _, a := range next.Actions {
				want = append(want, a.Label)
			}
			if _, lacks := c.Lacks[Buttons]; !lacks && !slices.Equal(all[0].Buttons, want) {
				c.Errorf("edit %d: buttons are %q, want %q", i, all[0].Buttons, want)
			}
		}
	}},
	{"an edit that changes nothing is well", func(c *client) {
		c.edits()
		m := bot.Message{Title: "same", Lines: []bot.Line{bot.Text("as ever")}, Actions: []bot.Action{{Label: "why", Command: "/why k7f3q2ma"}}}
		to := c.target()
		to.Edit = c.send(to, m, "1").Message
		for i := range 2 {
			if p := c.send(to, m, fmt.Sprint("edit", i)); p.Message != to.Edit {
				c.Errorf("posted as %+v", p)
			}
		}
		if err := shows(c.shown(1)[0], m, false); err != nil {
			c.Error(err)
		}
	}},
	{"an edit may come with a picture, and without", func(c *client) {
		c.edits()
		if c.Adapter.Limits().Image == 0 {
			c.Skipf("%s shows no pictures", c.Adapter.Platform())
		}
		with := func(title string, img []byte) bot.Message {
			m := bot.Message{Title: title, Lines: []bot.Line{bot.Text("line of " + title)}, Image: img, Actions: []bot.Action{{Label: "why", Command: "/why k7f3q2ma"}}}
			if img != nil {
				m.Alt = "chart of " + title
			}
			return m
		}
		for i, steps := range [][]bot.Message{
			{with("one", picture(1)), with("two", picture(2)), with("three", picture(2))},
			{with("one", nil), with("two", picture(1)), with("three", picture(2))},
			{with("one", picture(1)), with("two", nil), with("three", nil)},
		} {
			to := c.target()
			for j, m := range steps {
				p := c.send(to, m, fmt.Sprintf("key%d-%d", i, j))
				to.Edit = p.Message
				s := c.shown(i + 1)[i]
				if err := shows(s, m, true); err != nil {
					c.Errorf("step %d of %d: %v", j, i, err)
				}
				if m.Image != nil && !bytes.Equal(s.Image, m.Image) {
					c.Errorf("step %d of %d: the picture is not the new one", j, i)
				}
				if _, lacks := c.Lacks[Buttons]; !lacks && len(s.Buttons) != 1 {
					c.Errorf("step %d of %d: buttons are %q", j, i, s.Buttons)
				}
			}
		}
	}},
	{"an edit of a message that is gone says so", func(c *client) {
		c.edits()
		c.needs(Deleting)
		to := c.target()
		to.Edit = c.send(to, text("first"), "1").Message
		c.Peer.Delete(c.Chat, to.Edit)
		_, err := c.Adapter.Send(c.ctx, to, text("second"), "2")
		c.refused(err, bot.MessageGone)
		c.shown(0)
	}},
	{"an edit that is too long is refused", func(c *client) {
		c.edits()
		to := c.target()
		to.Edit = c.send(to, text("first"), "1").Message
		_, err := c.Adapter.Send(c.ctx, to, text(strings.Repeat("x", c.Adapter.Limits().Text+1)), "2")
		c.refused(err, bot.Rejected)
		if err := shows(c.shown(1)[0], text("first"), false); err != nil {
			c.Error(err)
		}
	}},
	{"an answer shows what it answers, while that is there", func(c *client) {
		c.needs(Answers)
		first := c.send(c.target(), text("first"), "1")
		to := c.target()
		to.Answer = first.Message
		c.send(to, text("second"), "2")
		if s := c.shown(2)[1]; s.Answer != first.Message {
			c.Errorf("shown as %+v", s)
		}
		c.needs(Deleting)
		c.Peer.Delete(c.Chat, first.Message)
		c.send(to, text("third"), "3")
		if s := c.shown(2)[1]; s.Answer != "" {
			c.Errorf("shown as %+v", s)
		}
		if c.Adapter.Limits().Image > 0 {
			c.send(to, bot.Message{Title: "fourth", Image: picture(1)}, "4")
			c.shown(3)
		}
	}},
	{"what goes to a thread is shown there", func(c *client) {
		c.needs(Threads)
		to := c.target()
		to.Thread = c.Thread
		p := c.send(to, text("in the thread"), "1")
		if s := c.shown(1)[0]; s.Thread != c.Thread || s.Chat != c.Chat || p.Elsewhere {
			c.Errorf("posted as %+v, shown as %+v", p, s)
		}
		if !c.Adapter.Limits().Edits {
			return
		}
		to.Edit = p.Message
		c.send(to, text("changed there"), "2")
		if err := shows(c.shown(1)[0], text("changed there"), false); err != nil {
			c.Error(err)
		}
	}},
	{"what goes to a closed thread is shown in the chat", func(c *client) {
		c.needs(Threads)
		c.Peer.CloseThread(c.Chat, c.Thread)
		c.elsewhere()
	}},
	{"what goes to a thread that is gone is shown in the chat", func(c *client) {
		c.needs(Threads)
		c.Peer.DeleteThread(c.Chat, c.Thread)
		c.elsewhere()
	}},
	{"a thread is opened once under a message", func(c *client) {
		th, ok := c.Adapter.(bot.Threader)
		if !ok {
			c.Skipf("%s has no threads under messages", c.Adapter.Platform())
		}
		to := c.target()
		to.Edit = c.send(to, text("story"), "1").Message
		first, err := th.OpenThread(c.ctx, to, strings.Repeat("a long name 长 ", 40))
		if err != nil || first == "" {
			c.Fatalf("thread %q: %v", first, err)
		}
		again, err := th.OpenThread(c.ctx, to, "another name")
		if err != nil || again != first {
			c.Fatalf("opened %q, then %q: %v", first, again, err)
		}
		c.send(bot.Target{Chat: c.Chat, Thread: first}, text("follow-up"), "2")
		if s := c.shown(2)[1]; s.Thread != first {
			c.Errorf("shown as %+v", s)
		}
		c.needs(Deleting)
		gone := c.send(c.target(), text("other"), "3").Message
		c.Peer.Delete(c.Chat, gone)
		_, err = th.OpenThread(c.ctx, bot.Target{Chat: c.Chat, Edit: gone}, "name")
		c.refused(err, bot.MessageGone)
	}},
	{"a chat that is not there is gone", func(c *client) {
		_, err := c.Adapter.Send(c.ctx, bot.Target{Chat: chokepoint.ChatID{Platform: c.Chat.Platform, ID: "404404404"}}, text("hello?"), "k")
		c.refused(err, bot.ChatGone)
		_, err = c.Adapter.Send(c.ctx, bot.Target{Chat: chokepoint.ChatID{Platform: c.Chat.Platform, ID: "no such ID"}}, text("hello?"), "k2")
		c.refused(err, bot.ChatGone)
		c.shown(0)
	}},
	{"a probe says the bot's name", func(c *client) {
		p, ok := c.Adapter.(bot.Prober)
		if !ok {
			c.Skipf("%s has nothing to probe", c.Adapter.Platform())
		}
		if name, err := p.Probe(c.ctx); err != nil || name == "" {
			c.Errorf("name %q: %v", name, err)
		}
		c.needs(Revoking)
		c.Peer.Revoke()
		_, err := p.Probe(c.ctx)
		c.refused(err, bot.Unauthorized)
		_, err = c.Adapter.Send(c.ctx, c.target(), text("no"), "k")
		c.refused(err, bot.Unauthorized)
	}},
}

// edits skips a test of edits where there are none.
func (c *client) edits() {
	c.Helper()
	if !c.Adapter.Limits().Edits {
		c.Skipf("%s cannot change messages", c.Adapter.Platform())
	}
}

// elsewhere sends to a thread that takes nothing.
func (c *client) elsewhere() {
	c.Helper()
	to := c.target()
	to.Thread = c.Thread
	p := c.send(to, text("follow-up"), "1")
	if s := c.shown(1)[0]; s.Thread != "" || s.Chat != c.Chat || !p.Elsewhere || s.Message != p.Message {
		c.Errorf("posted as %+v, shown as %+v", p, s)
	}
}

// same says whether nobody would see a difference.
func same(a, b Sent) bool { return a.Message == b.Message && a.Text == b.Text && a.Edits == b.Edits }

// picture is a small PNG, another for another n.
func picture(n int) []byte {
	img := image.NewRGBA(image.Rect(0, 0, 64, 48))
	for x := range 64 {
		img.Set(x, (x*n)%48, color.RGBA{R: uint8(40 * n), G: 120, B: 200, A: 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err) // an image in memory can be written to memory
	}
	return b.Bytes()
}
