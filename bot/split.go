package bot

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// split cuts m into messages that l can carry: between lines where it can,
// between words where a line is too long, and never inside a character. The
// title stays with the first part; footer, picture and buttons with the last.
// The texts of the parts' lines, joined, are those of m.
func split(m Message, l Limits) []Message {
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
// between characters as people see them, combining marks and joined emoji kept
// together as far as normalisation borders and joiners tell.
func borders(text string) []int {
	cuts := []int{0}
	for i := 0; i < len(text); {
		n := norm.NFC.NextBoundaryInString(text[i:], true)
		if n <= 0 {
			_, n = utf8.DecodeRuneInString(text[i:])
		}
		i += n
		r, _ := utf8.DecodeRuneInString(text[i:])
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		if i < len(text) && (r == 0x200d || before == 0x200d || r >= 0xfe00 && r <= 0xfe0f || r >= 0x1f3fb && r <= 0x1f3ff) {
			continue // inside an emoji of several runes
		}
		cuts = append(cuts, i)
	}
	return cuts
}

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
