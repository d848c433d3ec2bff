package telegramtest

import (
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// tags are the HTML tags that Telegram knows, and those in which no other may
// be. https://core.telegram.org/bots/api#html-style
var (
	tags  = []string{"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "span", "tg-spoiler", "a", "tg-emoji", "code", "pre", "blockquote"}
	alone = []string{"code", "pre"}
)

var (
	tagName   = regexp.MustCompile(`^[a-zA-Z0-9-]*`)
	attribute = regexp.MustCompile(`^\s+([a-zA-Z-]+)\s*=\s*"([^"]*)"`)
	entity    = regexp.MustCompile(`&(lt|gt|amp|quot|#[0-9]+|#x[0-9a-fA-F]+);`)
	mentioned = regexp.MustCompile(`(?:^|[^A-Za-z0-9_])@([A-Za-z][A-Za-z0-9_]{2,31})`)
)

// seen is a text as a person sees it.
type seen struct {
	text     string
	links    []Link
	mentions []string
}

// unescape decodes the entities that Telegram knows; others stay as they are.
func unescape(s string) string {
	return entity.ReplaceAllStringFunc(s, html.UnescapeString)
}

// parse reads HTML as Telegram does, and refuses what it refuses in its words.
func parse(source string) (seen, error) {
	type open struct {
		name, href string
		at         int // in text
	}
	var stack []open
	var text strings.Builder
	var s seen
	var quiet [][2]int // where Telegram looks for no mentions
	for i := 0; i < len(source); {
		if source[i] != '<' {
			next := strings.IndexByte(source[i:], '<')
			if next < 0 {
				next = len(source) - i
			}
			text.WriteString(unescape(source[i : i+next]))
			i += next
			continue
		}
		begin := i
		if strings.HasPrefix(source[i:], "</") {
			end := strings.IndexByte(source[i:], '>')
			if end < 0 {
				return seen{}, fmt.Errorf("Unclosed end tag at byte offset %d", begin)
			}
			name := strings.ToLower(strings.TrimSpace(source[i+2 : i+end]))
			i += end + 1
			if len(stack) == 0 {
				return seen{}, fmt.Errorf("Unexpected end tag at byte offset %d", begin)
			}
			top := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if name != "" && name != top.name {
				return seen{}, fmt.Errorf("Unmatched end tag at byte offset %d, expected \"</%s>\", found \"</%s>\"", begin, top.name, name)
			}
			inside := text.String()[top.at:]
			if top.name == "a" {
				to := top.href
				if to == "" {
					to = inside
				}
				// An address that is none loses its link silently.
				if u, err := url.Parse(to); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && inside != "" {
					s.links = append(s.links, Link{inside, to})
				}
			}
			if top.name == "a" || slices.Contains(alone, top.name) {
				quiet = append(quiet, [2]int{top.at, text.Len()})
			}
			continue
		}
		i++
		name := strings.ToLower(tagName.FindString(source[i:]))
		i += len(name)
		if !slices.Contains(tags, name) {
			return seen{}, fmt.Errorf("Unsupported start tag %q at byte offset %d", name, begin)
		}
		o := open{name: name, at: text.Len()}
		for {
			m := attribute.FindStringSubmatch(source[i:])
			if m == nil {
				break
			}
			if name == "a" && m[1] == "href" {
				o.href = unescape(m[2])
			}
			i += len(m[0])
		}
		rest := strings.TrimLeft(source[i:], " ")
		if !strings.HasPrefix(rest, ">") {
			return seen{}, fmt.Errorf("Unclosed start tag at byte offset %d", begin)
		}
		i = len(source) - len(rest) + 1
		for _, outer := range stack {
			if slices.Contains(alone, outer.name) {
				return seen{}, fmt.Errorf("Nested entities in %q at byte offset %d", outer.name, begin)
			}
		}
		stack = append(stack, o)
	}
	if len(stack) > 0 {
		return seen{}, fmt.Errorf("Can't find end tag corresponding to start tag %q", stack[len(stack)-1].name)
	}
	s.text = text.String()
	s.mentions = mentions(s.text, quiet)
	s.text = strings.TrimSpace(s.text)
	return s, nil
}

// mentions are the names in text that Telegram notifies, but for those in
// certain parts of it.
func mentions(text string, quiet [][2]int) []string {
	var names []string
	for _, m := range mentioned.FindAllStringSubmatchIndex(text, -1) {
		if !slices.ContainsFunc(quiet, func(q [2]int) bool { return m[2] >= q[0] && m[3] <= q[1] }) {
			names = append(names, text[m[2]:m[3]])
		}
	}
	return names
}
