package bot

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Neutral is outside text made harmless on one line: without control
// characters (line breaks become blanks), zero-width characters other than the
// joiners that emoji and Indic scripts need, marks that turn the direction of
// writing (U+202A–E, U+2066–9, U+200E–F, U+061C), and invalid UTF-8. What is
// left can still be markup of a platform: its adapter escapes that.
func Neutral(s string) string {
	if !needsNeutral(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\v' || r == '\f' || r == 0x85 || r == 0x2028 || r == 0x2029:
			b.WriteByte(' ')
		case r == utf8.RuneError || harmful(r):
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func needsNeutral(s string) bool {
	for _, r := range s {
		if r < 0x20 || r > 0x7e && (r == utf8.RuneError || r == 0x85 || r == 0x2028 || r == 0x2029 || harmful(r)) {
			return true
		}
	}
	return false
}

func harmful(r rune) bool {
	switch {
	case unicode.Is(unicode.Cc, r):
		return true
	case r == 0x200c || r == 0x200d: // zero-width non-joiner and joiner
		return false
	case r == 0xad, r == 0x61c, r == 0x180e, r == 0xfeff, r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true
	case r >= 0xe0000 && r <= 0xe007f: // tags, which hide text
		return true
	}
	return false
}
