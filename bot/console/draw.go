package console

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/chokepoint-bot/chokepoint/bot"
)

// Select Graphic Rendition codes, ECMA-48 8.3.117.
const (
	reset = "\x1b[0m"
	bold  = "\x1b[1m"
	dim   = "\x1b[2m"
	green = "\x1b[32m"
	red   = "\x1b[31m"
	amber = "\x1b[33m"
	cyan  = "\x1b[36m"
)

// draw is m as the terminal shows it. Every text that m holds is neutralised:
// a headline must not move the cursor.
func (a *Adapter) draw(m bot.Message) string {
	style := func(code, s string) string {
		if !a.cfg.Color || s == "" {
			return s
		}
		return code + s + reset
	}
	var b strings.Builder
	b.WriteString("\n")
	if m.Title != "" {
		tone := map[bot.Tone]string{bot.Good: bold + green, bot.Bad: bold + red, bot.Warn: bold + amber, bot.Quiet: dim, bot.Plain: bold}[m.Tone]
		b.WriteString(style(tone, bot.Neutral(m.Title)) + "\n")
		if m.URL != "" {
			b.WriteString(style(dim, link(m.URL)) + "\n")
		}
	}
	pad := 0
	for _, l := range m.Lines {
		if w := columns(bot.Neutral(l.Label)); w > pad && w <= 14 {
			pad = w
		}
	}
	under := false // a line with a label
	for _, l := range m.Lines {
		label := bot.Neutral(l.Label)
		switch under = under || label != ""; {
		case label != "":
			b.WriteString(style(cyan, label) + strings.Repeat(" ", max(pad-columns(label), 0)+2))
		case under && !l.Mono && len(l.Spans) > 0:
			b.WriteString(strings.Repeat(" ", pad+2))
		}
		var links []string
		for _, s := range l.Spans {
			text := bot.Neutral(s.Text)
			if s.Bold {
				text = style(bold, text)
			}
			b.WriteString(text)
			if s.URL != "" {
				links = append(links, link(s.URL))
			}
		}
		b.WriteString("\n")
		for _, u := range links {
			indent := 2
			if under && !l.Mono {
				indent = pad + 2
			}
			b.WriteString(strings.Repeat(" ", indent) + style(dim, u) + "\n")
		}
	}
	if m.Alt != "" && len(m.Image) > 0 {
		b.WriteString(style(dim, bot.Neutral(m.Alt)) + "\n")
	}
	if m.Footer != "" {
		b.WriteString(style(dim, bot.Neutral(m.Footer)) + "\n")
	}
	if len(m.Actions) > 0 {
		hints := make([]string, len(m.Actions))
		for i, act := range m.Actions {
			hints[i] = bot.Neutral(act.Command)
		}
		b.WriteString(style(dim, strings.Join(hints, " · ")) + "\n")
	}
	return b.String()
}

// link is an address that holds no blanks, so that a terminal makes all of it
// clickable and nothing else.
func link(u string) string { return strings.ReplaceAll(bot.Neutral(u), " ", "%20") }

// columns is how many cells s takes on a terminal: East Asian wide and
// full-width characters take two (Unicode UAX #11), marks and joiners none.
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch kind := width.LookupRune(r).Kind(); {
		case unicode.In(r, unicode.M, unicode.Cf):
		case kind == width.EastAsianWide, kind == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}
