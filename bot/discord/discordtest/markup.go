package discordtest

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// Rendered is a text with its markup done.
type Rendered struct {
	Text  string // as read
	Links []Link
	Bold  []string
	Mono  []string
	Wild  []string // other markup, by kind
}

var (
	// linkTail is what follows the bracket that ends a link's text.
	linkTail   = regexp.MustCompile(`^\]\(\s*<?((?:\([^)]*\)|[^\s\\]|\\.)*?)>?(?:\s+['"][\s\S]*?['"])?\s*\)`)
	bareLink   = regexp.MustCompile(`^(?:https?|steam|discord)://[^\s<]+[^<.,:;"'\]\s]`)
	angleLink  = regexp.MustCompile(`^<((?:https?|steam|discord)://[^\s>]+)>`)
	mention    = regexp.MustCompile(`^<(?:@[!&]?|#)[0-9]+>|^<a?:\w+:[0-9]+>|^</[^>]+:[0-9]+>|^<t:-?[0-9]+(?::[a-zA-Z])?>|^<id:[a-z]+>|^<(?:mailto:|tel:|sms:)?[^\s<>]+@[^\s<>]+>|^<(?:tel|sms):?[^\s<>]+>|^@(?:everyone|here)`)
	codeBlock  = regexp.MustCompile("^```(?:[a-zA-Z0-9_+.#-]+\n)?\n*([\\s\\S]*?[^\n])\n*```")
	codeInline = regexp.MustCompile("^(`+)([\\s\\S]*?[^`])`+")
	lineMarkup = regexp.MustCompile(`^(?:#{1,3} +|-# +|>>> |> | *[-*+] +| *[0-9]+[.)] +)`)
)

var pairs = []struct{ mark, kind string }{
	{"***", "bold italic"}, {"**", "bold"}, {"__", "underline"}, {"~~", "strike"}, {"||", "spoiler"}, {"*", "italic"}, {"_", "italic"},
}

// Render does the markup of a message, or of the title of a card (which has
// no links and no blocks), as Discord's clients do. Where they differ from
// each other it is the keener of them: whatever any would take as markup is.
func Render(source string, blocks bool) Rendered {
	var r Rendered
	r.Text = strings.TrimSpace(r.run(source, blocks, true))
	return r
}

func (r *Rendered) run(s string, blocks, lineStart bool) string {
	var out strings.Builder
	for s != "" {
		if lineStart {
			if m := lineMarkup.FindString(s); m != "" {
				r.Wild = append(r.Wild, "line "+strings.TrimSpace(m))
				s, lineStart = s[len(m):], false
				continue
			}
		}
		if s[0] == '\\' && len(s) > 1 {
			// An escape holds before anything that is neither letter, digit
			// nor white space.
			c, n := utf8.DecodeRuneInString(s[1:])
			if !strings.ContainsRune(" \t\n", c) && !isWord(c) {
				out.WriteRune(c)
				s, lineStart = s[1+n:], false
				continue
			}
		}
		if !strings.ContainsRune("`[<@*_~|hsd", rune(s[0])) {
			// Nothing begins with it; the patterns below are slow.
			_, n := utf8.DecodeRuneInString(s)
			out.WriteString(s[:n])
			s, lineStart = s[n:], s[0] == '\n'
			continue
		}
		if m := codeBlock.FindStringSubmatch(s); m != nil {
			if !blocks {
				r.Wild = append(r.Wild, "code")
			}
			r.Mono = append(r.Mono, m[1])
			out.WriteString(m[1] + "\n")
			s, lineStart = strings.TrimPrefix(s[len(m[0]):], "\n"), true
			continue
		}
		if m := codeInline.FindStringSubmatch(s); m != nil {
			r.Wild = append(r.Wild, "code")
			out.WriteString(m[2])
			s, lineStart = s[len(m[0]):], false
			continue
		}
		if blocks {
			if source, address, size := maskedLink(s); size > 0 {
				inner := Rendered{}
				text := inner.run(source, false, false)
				r.Wild = append(r.Wild, inner.Wild...)
				if len(inner.Links) > 0 || strings.Contains(text, "://") {
					r.Wild = append(r.Wild, "link in a link")
				}
				r.Links = append(r.Links, Link{text, address})
				out.WriteString(text)
				s, lineStart = s[size:], false
				continue
			}
		}
		if m := angleLink.FindStringSubmatch(s); m != nil {
			r.Links = append(r.Links, Link{m[1], m[1]})
			out.WriteString(m[1])
			s, lineStart = s[len(m[0]):], false
			continue
		}
		if m := bareLink.FindString(s); m != "" {
			r.Links = append(r.Links, Link{m, m})
			out.WriteString(m)
			s, lineStart = s[len(m):], false
			continue
		}
		if m := mention.FindString(s); m != "" {
			r.Wild = append(r.Wild, "mention "+m)
			out.WriteString(m)
			s, lineStart = s[len(m):], false
			continue
		}
		if rest, ok := r.pair(&out, s, blocks); ok {
			s, lineStart = rest, false
			continue
		}
		c, n := utf8.DecodeRuneInString(s)
		out.WriteString(s[:n])
		s, lineStart = s[n:], c == '\n'
	}
	return out.String()
}

// maskedLink is the link with a text that s begins with; size is 0 if there is
// none. The clients' pattern for the text is
//
//	(?:\[[^\]]*\]|[^\[\]]|\](?=[^\[]*\]))*
//
// It heeds no escapes, is greedy, and so may reach past what looks like the end
// of the link to a later one.
func maskedLink(s string) (text, address string, size int) {
	if !strings.HasPrefix(s, "[") {
		return "", "", 0
	}
	for i := 1; i < len(s); {
		if s[i] == ']' {
			if m := linkTail.FindStringSubmatch(s[i:]); m != nil && m[1] != "" && strings.TrimSpace(s[1:i]) != "" {
				text, address, size = s[1:i], m[1], i+len(m[0]) // the longest so far
			}
		}
		switch rest := s[i+1:]; s[i] {
		case '[':
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return text, address, size
			}
			i += end + 2
		case ']':
			next := strings.IndexAny(rest, "[]")
			if next < 0 || rest[next] == '[' {
				return text, address, size
			}
			i++
		default:
			i++
		}
	}
	return text, address, size
}

// pair does markup that stands on both sides of a text.
func (r *Rendered) pair(out *strings.Builder, s string, blocks bool) (rest string, ok bool) {
	for _, p := range pairs {
		if !strings.HasPrefix(s, p.mark) {
			continue
		}
		end := closing(s[len(p.mark):], p.mark)
		if end <= 0 {
			continue
		}
		inner := r.run(s[len(p.mark):len(p.mark)+end], blocks, false)
		if p.kind == "bold" {
			r.Bold = append(r.Bold, inner)
		} else {
			r.Wild = append(r.Wild, p.kind)
		}
		out.WriteString(inner)
		return s[2*len(p.mark)+end:], true
	}
	return "", false
}

// closing is where mark stands next in s unescaped, or -1. A bold's end is not
// one that a further star follows.
func closing(s, mark string) int {
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
			continue
		}
		if strings.HasPrefix(s[i:], mark) {
			if mark == "**" && strings.HasPrefix(s[i:], "***") {
				continue
			}
			return i
		}
	}
	return -1
}

func isWord(c rune) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}
