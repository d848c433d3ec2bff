// Package htmltext turns HTML, whole documents or fragments, into readable
// text.
package htmltext

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Text is the readable text of src, at most limit bytes: blocks on lines of
// their own, table cells apart, entities as characters, no scripts, styles or
// comments.
func Text(src string, limit int) string { return render(src, limit, true) }

// Line is the readable text of a fragment such as a headline, on one line. What
// looks like a tag and is none of HTML's is text.
func Line(src string) string { return render(src, len(src)*3, false) }

func render(src string, limit int, blocks bool) string {
	w := writer{limit: limit, blocks: blocks}
	if !strings.ContainsAny(src, "<&") {
		w.text(src)
		return w.String()
	}
	z := html.NewTokenizer(strings.NewReader(src))
	skip, depth := "", 0
	for !w.over {
		kind := z.Next()
		switch kind {
		case html.ErrorToken: // the end: a reader of a string has no other error
			return w.String()
		case html.TextToken:
			if depth == 0 {
				w.text(html.UnescapeString(string(z.Raw())))
			}
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			raw := string(z.Raw())
			name, _ := z.TagName()
			tag := atom.Lookup(name)
			switch {
			case depth > 0:
				if string(name) == skip && kind == html.StartTagToken {
					depth++
				} else if string(name) == skip && kind == html.EndTagToken {
					depth--
				}
			case silent(tag, name) && kind == html.StartTagToken:
				skip, depth = string(name), 1
			case tag == 0 && !blocks:
				w.text(raw)
			case tag == atom.Td || tag == atom.Th:
				w.space()
			case breaks(tag):
				w.newline()
			}
		}
	}
	return w.String()
}

// silent elements hold nothing to read; ix:header is where filings in inline
// XBRL keep what machines read.
func silent(a atom.Atom, name []byte) bool {
	switch a {
	case 0:
		return string(name) == "ix:header"
	case atom.Script, atom.Style, atom.Noscript, atom.Template, atom.Svg, atom.Head, atom.Iframe, atom.Object, atom.Select, atom.Textarea:
		return true
	}
	return false
}

// breaks says whether an element begins and ends a line.
func breaks(a atom.Atom) bool {
	switch a {
	case atom.P, atom.Div, atom.Br, atom.Hr, atom.Li, atom.Ul, atom.Ol, atom.Dl, atom.Dt, atom.Dd, atom.Table, atom.Tr,
		atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Blockquote, atom.Pre, atom.Section, atom.Article,
		atom.Header, atom.Footer, atom.Aside, atom.Nav, atom.Main, atom.Figure, atom.Figcaption, atom.Address, atom.Caption,
		atom.Form, atom.Fieldset, atom.Body, atom.Title, atom.Center:
		return true
	}
	return false
}

// writer collapses white space, of which it owes at most one piece.
type writer struct {
	b      strings.Builder
	limit  int
	blocks bool
	owed   byte // 0, ' ' or '\n'
	over   bool
}

func (w *writer) space() {
	if w.owed == 0 {
		w.owed = ' '
	}
}

func (w *writer) newline() {
	if !w.blocks {
		w.space()
		return
	}
	w.owed = '\n'
}

func (w *writer) text(s string) {
	for _, r := range s {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			w.space()
			continue
		}
		n := utf8.RuneLen(r)
		if n < 0 { // not UTF-8
			r, n = utf8.RuneError, 3
		}
		pays := 0
		if w.owed != 0 && w.b.Len() > 0 {
			pays = 1
		}
		if w.b.Len()+pays+n > w.limit {
			w.over = true
			return
		}
		if pays > 0 {
			w.b.WriteByte(w.owed)
		}
		w.owed = 0
		w.b.WriteRune(r)
	}
}

func (w *writer) String() string { return w.b.String() }
