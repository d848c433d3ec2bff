package feed

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

var (
	root      = regexp.MustCompile(`(?i)<(?:\?xml\b|rss\b|feed\b|(?:[a-z0-9]+:)?rdf\b|[a-z0-9]+:feed\b)`)
	prolog    = regexp.MustCompile(`^\s*(?:<\?xml[^>]*\?>\s*)+`)
	itemEnd   = regexp.MustCompile(`(?i)</(?:[a-z0-9]+:)?(item|entry)\s*>`)
	rootStart = regexp.MustCompile(`(?i)<((?:[a-z0-9]+:)?(rss|feed|rdf))[\s>]`)
	stray     = regexp.MustCompile(`<([^A-Za-z_/!?])`)
	channel   = regexp.MustCompile(`(?i)<(channel)[\s>]`)
)

// tidy takes out of a document what no parser can read and no reader misses:
// what stands before its beginning, the declaration (it tells of an encoding
// that it no longer has), and characters that XML forbids.
func tidy(doc string) string {
	doc = strings.TrimLeft(doc, "\ufeff \t\r\n")
	if !strings.HasPrefix(doc, "{") {
		if at := root.FindStringIndex(doc); at != nil && !isHTML(doc[:at[0]]) {
			doc = doc[at[0]:]
		}
		doc = doc[len(prolog.FindString(doc)):]
	}
	return strings.Map(func(r rune) rune {
		if r >= 0x80 && r < 0xa0 {
			// Windows' quotation marks under Latin-1's numbers.
			return charmap.Windows1252.DecodeByte(byte(r))
		}
		// https://www.w3.org/TR/xml/#charsets
		if r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r < utf8.RuneError || r >= 0x10000 {
			return r
		}
		if r == utf8.RuneError { // damage that is already marked stays visible
			return r
		}
		return -1
	}, doc)
}

// isHTML says whether a document begins as a page does.
func isHTML(doc string) bool {
	head := strings.ToLower(doc[:min(len(doc), 1024)])
	return strings.Contains(head, "<html") || strings.Contains(head, "<!doctype html")
}

// salvage closes a document that was cut off, after its last whole item; false
// if it has none, or is not cut off there.
func salvage(doc string) (string, bool) {
	ends := itemEnd.FindAllStringIndex(doc, -1)
	start := rootStart.FindStringSubmatch(doc)
	if len(ends) == 0 || start == nil {
		return "", false
	}
	whole := doc[:ends[len(ends)-1][1]]
	if name := strings.ToLower(start[2]); name == "rss" {
		if c := channel.FindStringSubmatch(doc); c != nil {
			whole += "</" + c[1] + ">"
		}
	}
	return whole + "</" + start[1] + ">", true
}
