package telegram

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/chokepoint-bot/chokepoint/bot"
)

// Telegram's limits on what we use.
// https://core.telegram.org/bots/api#sendmessage, #sendphoto, #inlinekeyboardbutton
const (
	textMost     = 4096     // of a message, in characters after entities parsing
	captionMost  = 1024     // of a picture's caption, the same
	rawMost      = 32 << 10 // of a message with its markup, in bytes
	callbackMost = 64       // of a button's callback_data, in bytes
	imageMost    = 10 << 20 // of a photo, in bytes
	altMost      = 300      // of what a picture shows, in UTF-16 units: room is left for the rest
)

// How buttons are laid out: a phone shows about this many characters in a row.
const (
	rowMost      = 4
	rowCharsMost = 30
)

// text is a message as Telegram takes it, and as a person sees it.
type text struct{ html, plain string }

// compose words m, its picture and buttons left out; what the picture shows is
// said before the footer, since Telegram has no alt texts. Labels and the title are
// bold, the footer is in italics, and lines of columns that follow each other
// are one block. Tones have no colour here.
func compose(m bot.Message) text {
	if alt := short(strings.TrimSpace(bot.Neutral(m.Alt)), altMost); alt != "" && len(m.Image) > 0 {
		m.Lines = append(slices.Clip(m.Lines), bot.Text(alt))
	}
	var b builder
	if title := clean(m.Title); title != "" {
		b.line()
		b.tag("b", func() { b.link(m.URL, title) })
	}
	for i := 0; i < len(m.Lines); {
		n := 0
		for i+n < len(m.Lines) && m.Lines[i+n].Mono {
			n++
		}
		b.line()
		if n == 0 {
			b.row(m.Lines[i])
			i++
			continue
		}
		b.tag("pre", func() {
			for j, l := range m.Lines[i : i+n] {
				if j > 0 {
					b.put("\n")
				}
				b.put(column(l))
			}
		})
		i += n
	}
	if foot := clean(m.Footer); foot != "" {
		b.line()
		b.tag("i", func() { b.put(foot) })
	}
	return b.text()
}

// measure is the length of m's text as Telegram counts it after parsing, in
// UTF-16 units, which are never fewer than its characters. A caption may be a
// quarter as long as a text, so its units count four times. Markup counts by
// its share of rawMost.
func measure(m bot.Message) int {
	t := compose(m)
	n := units(t.plain)
	if len(m.Image) > 0 {
		n *= textMost / captionMost
	}
	return max(n, (len(t.html)*textMost+rawMost-1)/rawMost)
}

// orEllipsis is t, or an ellipsis if there is nothing to see: Telegram refuses
// an empty message.
func (t text) orEllipsis() text {
	if strings.TrimSpace(t.plain) == "" {
		return text{"…", "…"}
	}
	return t
}

type builder struct {
	html, plain strings.Builder
	begun       bool
}

func (b *builder) text() text { return text{b.html.String(), b.plain.String()} }

func (b *builder) line() {
	if b.begun {
		b.put("\n")
	}
	b.begun = true
}

// put adds text that is not markup.
func (b *builder) put(s string) {
	b.html.WriteString(escaper.Replace(s))
	b.plain.WriteString(s)
}

func (b *builder) tag(name string, in func()) {
	b.html.WriteString("<" + name + ">")
	in()
	b.html.WriteString("</" + name + ">")
}

func (b *builder) link(address, s string) {
	to := webAddress(address)
	if to == "" {
		b.put(s)
		return
	}
	b.html.WriteString(`<a href="` + escaper.Replace(to) + `">`)
	b.put(s)
	b.html.WriteString("</a>")
}

func (b *builder) row(l bot.Line) {
	if label := clean(l.Label); label != "" {
		b.tag("b", func() { b.put(label) })
		b.put("  ")
	}
	for _, s := range l.Spans {
		said := clean(s.Text)
		switch {
		case said == "":
		case s.Bold:
			b.tag("b", func() { b.link(s.URL, said) })
		default:
			b.link(s.URL, said)
		}
	}
}

// column is a line inside a block, where no other markup may be.
func column(l bot.Line) string {
	s := ""
	if l.Label != "" {
		s = l.Label + "  "
	}
	for _, span := range l.Spans {
		s += span.Text
	}
	return clean(s)
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// wordJoiner takes no room; after an "@" it keeps a name from being notified.
const wordJoiner = "\u2060"

// clean is outside text on one line that notifies nobody.
func clean(s string) string {
	s = bot.Neutral(s)
	if !strings.Contains(s, "@") {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(s[i])
		if s[i] == '@' && i+1 < len(s) && isNameByte(s[i+1]) {
			b.WriteString(wordJoiner)
		}
	}
	return b.String()
}

// isNameByte says whether c may be in a user's or bot's name.
func isNameByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// webAddress is address if a link may go there, else "".
func webAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}

// units is the length of s in UTF-16 code units.
func units(s string) int {
	n := 0
	for _, r := range s {
		if n++; r > 0xffff {
			n++
		}
	}
	return n
}

// short is the first n UTF-16 units of s, whole characters only.
func short(s string, n int) string {
	for i, r := range s {
		if n -= units(string(r)); n < 0 {
			return s[:i]
		}
	}
	return s
}

type button struct {
	Text string `json:"text"`
	Data string `json:"callback_data"`
}

// keyboard lays m's buttons out in rows, as the JSON of an inline keyboard. A
// command too long for a button makes none. The keyboard without buttons is
// sent too: in an edit it takes the old ones away.
func keyboard(actions []bot.Action) string {
	rows := [][]button{}
	room := 0
	for _, a := range actions {
		label := strings.TrimSpace(bot.Neutral(a.Label))
		if label == "" {
			label = a.Command
		}
		if a.Command == "" || len(a.Command) > callbackMost {
			continue
		}
		n := utf8.RuneCountInString(label)
		if len(rows) == 0 || n > room || len(rows[len(rows)-1]) == rowMost {
			rows = append(rows, nil)
			room = rowCharsMost
		}
		room -= n
		rows[len(rows)-1] = append(rows[len(rows)-1], button{label, a.Command})
	}
	body, err := json.Marshal(map[string]any{"inline_keyboard": rows})
	if err != nil {
		panic(err) // strings only
	}
	return string(body)
}
