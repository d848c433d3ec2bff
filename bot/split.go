package bot

import (
	"strings"
	"unicode"
)

// split cuts m into messages that l can carry: between lines where it can,
// between words where a line is too long, and never inside a character. The
// title stays with the first part; footer, picture and buttons with the last.
// The texts of the parts' lines, joined, are those of m. A picture that l cannot
// carry is left out.
func split(m Message, l Limits) []Message {
	if len(m.Image) > l.Image {
		m.Image, m.Alt = nil, ""
	}
	fits := func(m Message) bool { return l.Measure == nil || l.Text <= 0 || l.Measure(m) <= l.Text }
	if fits(m) {
		return []Message{m}
	}
	var parts []Message
	part := Message{Tone: m.Tone, Title: m.Title, URL: m.URL, Silent: m.Silent}
	if !fits(part) {
		part.Title = cutTo(m.Title, func(t string) bool { return fits(Message{Title: t, URL: m.URL}) })
	}
	flush := func() {
		parts = append(parts, part)
		part = Message{Tone: m.Tone, Silent: m.Silent}
	}
	for _, line := range m.Lines {
		for {
			next := part
			next.Lines = append(append([]Line(nil), part.Lines...), line)
			if fits(next) {
				part = next
				break
			}
			if len(part.Lines) > 0 {
				flush()
				continue
			}
			// The line alone is too long.
			head, tail, ok := splitLine(line, func(head Line) bool {
				p := part
				p.Lines = []Line{head}
				return fits(p)
			})
			if !ok {
				if part.Title == "" {
					break // not even one character fits: nothing can be done
				}
				flush()
				continue
			}
			part.Lines = []Line{head}
			flush()
			line = tail
		}
	}
	end := part
	end.Footer, end.Image, end.Alt, end.Actions = m.Footer, m.Image, m.Alt, m.Actions
	if !fits(end) {
		flush()
		end = Message{Tone: m.Tone, Silent: m.Silent, Footer: m.Footer, Image: m.Image, Alt: m.Alt, Actions: m.Actions}
	}
	return append(parts, end)
}

// splitLine cuts a line in two so that the head fits: after a blank if there
// is one in its latter half, else between characters.
func splitLine(l Line, fits func(Line) bool) (head, tail Line, ok bool) {
	text := ""
	for _, s := range l.Spans {
		text += s.Text
	}
	// take is the line with its first n bytes of text.
	take := func(n int) Line {
		out := Line{Label: l.Label, Mono: l.Mono}
		for _, s := range l.Spans {
			k := min(n, len(s.Text))
			n -= k
			if k > 0 {
				s.Text = s.Text[:k]
				out.Spans = append(out.Spans, s)
			}
		}
		return out
	}
	cuts := borders(text)
	lo, hi := 0, len(cuts)-1 // cuts[lo] fits, or nothing does
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if fits(take(cuts[mid])) {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	at := cuts[lo]
	if at == 0 || at == len(text) {
		return l, Line{}, false
	}
	if blank := strings.LastIndexByte(text[:at], ' '); blank > at/2 {
		at = blank + 1
	}
	head = take(at)
	rest := Line{Mono: l.Mono}
	skip := at
	for _, s := range l.Spans {
		k := min(skip, len(s.Text))
		skip -= k
		if k < len(s.Text) {
			s.Text = s.Text[k:]
			rest.Spans = append(rest.Spans, s)
		}
	}
	return head, rest, true
}

// borders are the byte offsets at which text may be cut, from 0 to its length:
// between characters as people see them.
func borders(text string) []int {
	cuts := []int{0}
	var before rune
	flags := 0 // regional indicators in a row up to before: two make a flag
	for i, r := range text {
		if i > 0 && !joined(before, r, flags) {
			cuts = append(cuts, i)
		}
		if flags++; !flagLetter(r) {
			flags = 0
		}
		before = r
	}
	if len(text) > 0 {
		cuts = append(cuts, len(text))
	}
	return cuts
}

// joined says whether r belongs to the character that before is of: the rules
// of Unicode UAX #29 on grapheme clusters, those that text of our languages and
// emoji need.
func joined(before, r rune, flags int) bool {
	const joiner = 0x200d
	switch {
	case before == '\r' && r == '\n',
		before == joiner, r == joiner, r == 0x200c,
		unicode.Is(unicode.M, r),      // combining marks, variation selectors
		r >= 0x1f3fb && r <= 0x1f3ff,  // skin tones
		r >= 0xe0020 && r <= 0xe007f,  // tags
		flagLetter(r) && flags%2 == 1: // the second half of a flag
		return true
	}
	// Syllables written letter by letter.
	lead, vowel, tail := func(r rune) bool { return r >= 0x1100 && r <= 0x115f }, func(r rune) bool { return r >= 0x1160 && r <= 0x11a7 }, func(r rune) bool { return r >= 0x11a8 && r <= 0x11ff }
	switch whole := before >= 0xac00 && before <= 0xd7a3; {
	case lead(before):
		return lead(r) || vowel(r) || r >= 0xac00 && r <= 0xd7a3
	case vowel(before), whole && (before-0xac00)%28 == 0:
		return vowel(r) || tail(r)
	case tail(before), whole:
		return tail(r)
	}
	return false
}

// flagLetter is one of the letters that spell a flag in pairs.
func flagLetter(r rune) bool { return r >= 0x1f1e6 && r <= 0x1f1ff }

// cutTo is the longest beginning of s, with an ellipsis, that fits.
func cutTo(s string, fits func(string) bool) string {
	cuts := borders(s)
	for i := len(cuts) - 1; i > 0; i-- {
		if t := s[:cuts[i]] + "…"; fits(t) {
			return t
		}
	}
	return ""
}
