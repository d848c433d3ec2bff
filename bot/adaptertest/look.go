package adaptertest

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/chokepoint-bot/chokepoint/bot"
)

// shows says what is wrong with s as a picture of m: every text of m must be
// there, neutralised and otherwise unchanged, in m's order, a line in one row,
// and between them nothing that can be read.
func shows(s Sent, m bot.Message, links bool) error {
	type piece struct {
		text string
		row  bool // exactly one row
	}
	var pieces []piece
	var ours []string // what an adapter may show beside: addresses and commands
	add := func(text string, row bool) {
		if text = strings.TrimSpace(bot.Neutral(text)); text != "" {
			pieces = append(pieces, piece{text, row})
		}
	}
	add(m.Title, false)
	ours = append(ours, m.URL)
	for _, l := range m.Lines {
		var line strings.Builder
		for _, span := range l.Spans {
			line.WriteString(span.Text)
			ours = append(ours, span.URL)
		}
		add(l.Label, false)
		add(line.String(), l.Mono)
	}
	add(m.Footer, false)

	// Guards that cannot be seen are the adapter's own affair.
	rows := strings.Split(s.Text, "\n")
	for i := range rows {
		rows[i] = bot.Neutral(rows[i])
	}
	rest := strings.Join(rows, "\n")
	var between strings.Builder
	at := 0
	for _, p := range pieces {
		i := strings.Index(rest[at:], p.text)
		if i < 0 {
			return fmt.Errorf("%q is not to be seen, or not in its place, in %q", p.text, s.Text)
		}
		begin, end := at+i, at+i+len(p.text)
		row := rest[strings.LastIndexByte(rest[:begin], '\n')+1 : end]
		if after, _, _ := strings.Cut(rest[end:], "\n"); p.row && strings.TrimSpace(row+after) != p.text {
			return fmt.Errorf("%q does not stand in a row of its own in %q", p.text, s.Text)
		}
		between.WriteString(rest[at:begin] + " ")
		at = end
	}
	between.WriteString(rest[at:])
	extra := between.String()
	for _, a := range m.Actions {
		ours = append(ours, a.Command, a.Label)
	}
	for _, known := range append(ours, m.Alt) {
		if known != "" {
			extra = strings.ReplaceAll(extra, bot.Neutral(known), " ")
		}
	}
	if strings.IndexFunc(extra, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) >= 0 {
		return fmt.Errorf("%q was added in %q", strings.TrimSpace(extra), s.Text)
	}
	if len(s.Mentions) > 0 {
		return fmt.Errorf("%q notifies %q", s.Text, s.Mentions)
	}
	if bad := strings.IndexFunc(s.Text, turns); bad >= 0 {
		return fmt.Errorf("%q holds a character that turns or commands: %U", s.Text, []rune(s.Text[bad:])[0])
	}
	if links {
		return linked(s, m)
	}
	return nil
}

// turns is true of control characters but the end of a row, and of those that
// turn the direction of writing: no platform needs them.
func turns(r rune) bool {
	return r != '\n' && unicode.IsControl(r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x61c
}

// linked says what is wrong with the links of s: those of m that lead to the
// web must be there, and no others, but for an address that a platform makes a
// link of because it can be read. Where a text's brackets do not pair, which
// Discord's links cannot hold, a sign beside it may carry the link.
func linked(s Sent, m bot.Message) error {
	want := map[string]string{} // text by address
	note := func(text, address string) {
		if u, err := url.Parse(address); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.User == nil && strings.TrimSpace(text) != "" {
			want[plainURL(address)] = strings.TrimSpace(bot.Neutral(text))
		}
	}
	note(m.Title, m.URL)
	for _, l := range m.Lines {
		for _, span := range l.Spans {
			note(span.Text, span.URL)
		}
	}
	for _, l := range s.Links {
		to := plainURL(l.URL)
		shown := strings.TrimSpace(bot.Neutral(l.Text))
		if text, ok := want[to]; ok && (shown == text || strings.ContainsAny(text, "[]") && shown == "↗") {
			delete(want, to)
			continue
		}
		if readable := strings.TrimSpace(l.Text); strings.HasSuffix(strings.TrimSuffix(to, "/"), strings.TrimSuffix(plainURL(readable), "/")) {
			continue
		}
		return fmt.Errorf("%q leads to %q, which was not asked for", l.Text, l.URL)
	}
	for address, text := range want {
		return fmt.Errorf("%q does not lead to %q; links: %+v", text, address, s.Links)
	}
	return nil
}

// plainURL is an address without percent encoding, to compare by.
func plainURL(s string) string {
	if p, err := url.PathUnescape(s); err == nil {
		return p
	}
	return s
}
