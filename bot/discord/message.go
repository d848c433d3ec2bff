package discord

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/bwmarrin/discordgo"
	"golang.org/x/net/idna"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Discord's limits on what we use, in characters.
// https://discord.com/developers/docs/resources/message#embed-object-embed-limits
// https://discord.com/developers/docs/components/reference#button
const (
	titleMost       = 256
	descriptionMost = 4096 // 6000 over all texts of the embeds, which this implies, see Measure
	footerMost      = 2048
	altMost         = 1024
	urlMost         = 2048
	rowMost         = 5
	labelMost       = 80
	customIDMost    = 100
	nonceMost       = 25
	threadNameMost  = 100
	imageMost       = 10 << 20 // bytes, of an attachment in a guild without boosts
)

// secondary is the grey style of buttons.
const secondary = 2

// Message flags and component types.
const (
	suppressNotifications = 1 << 12
	actionRow             = 1
	buttonComponent       = 2
)

const imageName = "chart.png"

// payload is the body of a message. The library's own has no nonce and no alt
// text. https://discord.com/developers/docs/resources/message#create-message
type payload struct {
	Embeds          []embed      `json:"embeds"`
	Components      []row        `json:"components"`
	Attachments     []attachment `json:"attachments"`
	AllowedMentions mentions     `json:"allowed_mentions"`
	Flags           int          `json:"flags,omitempty"`
	Nonce           string       `json:"nonce,omitempty"`
	EnforceNonce    bool         `json:"enforce_nonce,omitempty"`
	Reference       *reference   `json:"message_reference,omitempty"`

	image []byte
}

type embed struct {
	Title       string  `json:"title,omitempty"`
	URL         string  `json:"url,omitempty"`
	Description string  `json:"description,omitempty"`
	Color       int     `json:"color,omitempty"`
	Footer      *footer `json:"footer,omitempty"`
	Image       *image  `json:"image,omitempty"`
}

type footer struct {
	Text string `json:"text"`
}

type image struct {
	URL string `json:"url"`
}

type row struct {
	Type       int      `json:"type"`
	Components []button `json:"components"`
}

type button struct {
	Type     int    `json:"type"`
	Style    int    `json:"style"`
	Label    string `json:"label"`
	CustomID string `json:"custom_id"`
}

type attachment struct {
	ID          string `json:"id"` // n of the part files[n]
	Filename    string `json:"filename"`
	Description string `json:"description,omitempty"`
}

// mentions says who may be notified by a message's text: nobody.
type mentions struct {
	Parse []string `json:"parse"`
}

type reference struct {
	MessageID       string `json:"message_id"`
	FailIfNotExists bool   `json:"fail_if_not_exists"`
}

// tones are the colours of the bar beside a card.
var tones = map[bot.Tone]int{bot.Good: 0x2e8b57, bot.Bad: 0xc0392b, bot.Warn: 0xe67e22, bot.Quiet: 0x7f8c8d}

// newPayload shows m as one embed. All lists are set, so that as an edit it
// replaces everything.
func newPayload(m bot.Message) payload {
	p := payload{Embeds: []embed{}, Components: []row{}, Attachments: []attachment{}, AllowedMentions: mentions{Parse: []string{}}}
	e := newEmbed(m)
	if len(m.Image) > 0 {
		p.image = m.Image
		p.Attachments = append(p.Attachments, attachment{ID: "0", Filename: imageName, Description: short(bot.Neutral(m.Alt), altMost)})
		e.Image = &image{URL: "attachment://" + imageName}
	}
	p.Embeds = append(p.Embeds, e)
	p.Components = rows(m.Actions)
	if m.Silent {
		p.Flags = suppressNotifications
	}
	return p
}

func newEmbed(m bot.Message) embed {
	e := embed{Color: tones[m.Tone], URL: address(m.URL)}
	lines := m.Lines
	if title := strings.ReplaceAll(escape(bot.Neutral(m.Title), true), guard, ""); length(title) <= titleMost {
		e.Title = title
	} else {
		// Too long for a title: the first line then, bold and with its link.
		lines = append([]bot.Line{{Spans: []bot.Span{{Text: m.Title, URL: m.URL, Bold: true}}}}, lines...)
	}
	if e.Title == "" {
		e.URL = "" // nothing to be behind
	}
	if f := strings.TrimSpace(bot.Neutral(m.Footer)); length(f) > footerMost {
		lines = append(slices.Clip(lines), bot.Text(f)) // too long for a footer
	} else if f != "" {
		e.Footer = &footer{f} // plain text: no markup there, and no escapes
	}
	e.Description = describe(lines)
	if e.Title == "" && e.Description == "" && e.Footer == nil && len(m.Image) == 0 {
		e.Description = "\u2026" // Discord refuses an empty message
	}
	return e
}

// measure is the length of m's texts as Discord adds them up. Counted in UTF-16
// units, which are never fewer than the characters Discord counts. With the sum
// held to descriptionMost neither the description nor the embed can be too long.
func measure(m bot.Message) int {
	e := newEmbed(m)
	n := length(e.Title) + length(e.Description)
	if e.Footer != nil {
		n += length(e.Footer.Text)
	}
	return n
}

// encode is the body to send and its content type: multipart with an image.
func (p payload) encode() (kind string, body []byte, err error) {
	if len(p.image) == 0 {
		body, err = json.Marshal(p)
		return "application/json", body, err
	}
	return discordgo.MultipartBodyWithJSON(p, []*discordgo.File{{Name: imageName, ContentType: "image/png", Reader: bytes.NewReader(p.image)}})
}

// nonce is the platform's form of a key: itself if it is short ASCII, else a
// hash of it.
func nonce(key string) string {
	if len(key) > nonceMost {
		return chokepoint.ShortHash(nonceMost, key)
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return chokepoint.ShortHash(nonceMost, key)
		}
	}
	return key
}

// rows lays buttons out, five to a row. A command that is there twice makes one
// button: Discord takes a custom_id once per message.
func rows(actions []bot.Action) []row {
	all := []row{}
	seen := map[string]bool{}
	for _, a := range actions {
		if a.Command == "" || length(a.Command) > customIDMost || seen[a.Command] || len(seen) == 5*rowMost {
			continue
		}
		if len(seen)%rowMost == 0 {
			all = append(all, row{Type: actionRow})
		}
		seen[a.Command] = true
		label := short(bot.Neutral(a.Label), labelMost)
		if label == "" {
			label = short(bot.Neutral(a.Command), labelMost)
		}
		last := &all[len(all)-1]
		last.Components = append(last.Components, button{buttonComponent, secondary, label, a.Command})
	}
	return all
}

// describe is the lines in Discord's markdown.
func describe(lines []bot.Line) string {
	var rows []string
	for i := 0; i < len(lines); i++ {
		if !lines[i].Mono {
			rows = append(rows, describeLine(lines[i]))
			continue
		}
		var block []string
		for ; i < len(lines) && lines[i].Mono; i++ {
			// In a block nothing is escaped; only its end must not be in it.
			block = append(block, strings.ReplaceAll(bot.Neutral(lines[i].PlainText()), "`", "ˋ"))
		}
		i--
		if text := strings.Join(block, "\n"); strings.TrimSpace(text) != "" {
			rows = append(rows, "```\n"+text+"\n```")
		}
	}
	return strings.Trim(strings.Join(rows, "\n"), "\n")
}

// describeLine is one line: its label bold, its spans with their links.
func describeLine(l bot.Line) string {
	var b strings.Builder
	bold := false
	set := func(on bool) {
		if on != bold {
			b.WriteString("**")
			bold = on
		}
	}
	if label := bot.Neutral(l.Label); strings.TrimSpace(label) != "" {
		set(true)
		b.WriteString(escape(label, true))
		set(false)
		b.WriteString("  ")
	}
	var behind []string // links that their text cannot carry
	for _, s := range l.Spans {
		text := bot.Neutral(s.Text)
		// Lists begin after blanks and digits, whichever span they are of.
		start := strings.Trim(b.String(), " 0123456789") == ""
		if strings.TrimSpace(text) == "" {
			b.WriteString(text)
			continue
		}
		set(s.Bold)
		u := address(s.URL)
		switch {
		case u == "":
			b.WriteString(escape(text, start))
		case linkable(text):
			// Text that looks like an address is not taken as a link's.
			b.WriteString("[" + strings.ReplaceAll(escape(text, false), `\://`, ":"+guard+"//") + "](<" + u + ">)")
		default:
			b.WriteString(escape(text, start))
			behind = append(behind, " [\u2197](<"+u+">)")
		}
	}
	set(false)
	b.WriteString(strings.Join(behind, ""))
	return b.String()
}

// guard is a word joiner: it cannot be seen, and keeps apart what would be
// markup together.
const guard = "\u2060"

// linkable says whether a link can stand behind text. The clients' pattern for
// what is between the brackets is
//
//	(?:\[[^\]]*\]|[^\[\]]|\](?=[^\[]*\]))*
//
// to which an escaped bracket is a bracket like any other.
func linkable(text string) bool {
	for text != "" {
		i := strings.IndexAny(text, "[]")
		if i < 0 {
			return true
		}
		rest := text[i+1:]
		next := strings.IndexAny(rest, "[]")
		switch {
		case text[i] == '[':
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return false
			}
			text = rest[end+1:]
		case next >= 0 && rest[next] == '[':
			return false
		default:
			text = rest
		}
	}
	return true
}

// escape makes text of one line harmless: none of it is markup, a mention or a
// link. An escape holds before any ASCII punctuation. lineStart says that the
// text begins a line, where lists, headings and quotes are.
func escape(s string, lineStart bool) string {
	var b strings.Builder
	digits := true // all so far at the line's start are spaces or digits
	for i := range len(s) {
		c := s[i]
		switch c {
		case '\\', '`', '*', '_', '~', '|', '<', '>', '[', ']', '@':
			b.WriteByte('\\')
		case ':':
			if strings.HasPrefix(s[i:], "://") {
				b.WriteByte('\\')
			}
		case '#', '-', '+', '.', ')':
			if lineStart && digits {
				b.WriteByte('\\')
			}
		}
		digits = digits && (c == ' ' || c >= '0' && c <= '9')
		b.WriteByte(c)
		if c == ']' && (i+1 == len(s) || s[i+1] == '(') {
			// The clients' pattern for links heeds no escape: with a link of
			// ours before it, "](" would end that one anew, at an address of
			// the text's choosing.
			b.WriteString(guard)
		}
	}
	return b.String()
}

// address is an address fit to stand in (<…>), or "" for one that is not to be
// linked: only http and https, and no name or password before the host.
func address(s string) string {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Contains(u.Host, "[") {
		return ""
	}
	host, err := idna.Lookup.ToASCII(u.Hostname())
	if err != nil || !utf8.ValidString(u.Hostname()) {
		return ""
	}
	if port := u.Port(); port != "" {
		host += ":" + port
	}
	u.Host = host
	var b strings.Builder
	for _, c := range []byte(u.String()) {
		if c <= ' ' || c > '~' || strings.IndexByte("()<>[]\"'`\\|*", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	if b.Len() > urlMost {
		return ""
	}
	return b.String()
}

// length is in UTF-16 units.
func length(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// short is plain text cut to n UTF-16 units, with an ellipsis if anything is
// missing.
func short(s string, n int) string {
	s = strings.TrimSpace(s)
	if length(s) <= n {
		return s
	}
	used := 0
	for i, r := range s {
		if used += utf16.RuneLen(r); used > n-1 {
			return strings.TrimRight(s[:i], " ") + "…"
		}
	}
	return s
}
