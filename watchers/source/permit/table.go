package permit

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"
)

// row is one row of a list.
type row struct {
	kept
	number string
	link   string // of its application or documents, absolute; "" if there is none
}

// columns are where the cells of a table are; -1 for those it lacks.
type columns struct{ applicant, facility, number, received, status, county int }

// names are how the lists call their columns.
var names = map[string]func(*columns) *int{
	"applicant":             func(c *columns) *int { return &c.applicant },
	"facility":              func(c *columns) *int { return &c.facility },
	"area name":             func(c *columns) *int { return &c.facility },
	"project description":   func(c *columns) *int { return &c.facility },
	"permit number":         func(c *columns) *int { return &c.number },
	"received":              func(c *columns) *int { return &c.received },
	"publication of notice": func(c *columns) *int { return &c.received },
	"application link":      func(c *columns) *int { return &c.status },
	"project documents":     func(c *columns) *int { return &c.status },
	"county":                func(c *columns) *int { return &c.county },
}

// table reads the list out of a page: the table whose header names applicant,
// facility and permit number, wherever on the page and in whatever order.
func table(page []byte, contentType, base string) ([]row, error) {
	r, err := charset.NewReader(bytes.NewReader(page), contentType)
	if err != nil {
		return nil, fmt.Errorf("the page's encoding: %w", err)
	}
	doc, err := html.Parse(r)
	if err != nil {
		return nil, fmt.Errorf("the page is not HTML: %w", err)
	}
	for n := range doc.Descendants() {
		if n.DataAtom != atom.Table {
			continue
		}
		lines := tableRows(n)
		for i, line := range lines {
			if cols, ok := header(line); ok {
				return body(lines[i+1:], cols, base), nil
			}
		}
	}
	return nil, errors.New("the page has no table with applicant, facility and permit number")
}

// tableRows are a table's own rows, each with its cells; not those of tables
// inside it.
func tableRows(table *html.Node) (lines [][]*html.Node) {
	var within func(n *html.Node)
	within = func(n *html.Node) {
		for c := range n.ChildNodes() {
			switch c.DataAtom {
			case atom.Thead, atom.Tbody, atom.Tfoot:
				within(c)
			case atom.Tr:
				var cells []*html.Node
				for cell := range c.ChildNodes() {
					if cell.DataAtom == atom.Td || cell.DataAtom == atom.Th {
						cells = append(cells, cell)
					}
				}
				lines = append(lines, cells)
			}
		}
	}
	within(table)
	return lines
}

// header says where columns are, if a row names them.
func header(cells []*html.Node) (columns, bool) {
	cols := columns{-1, -1, -1, -1, -1, -1}
	for i, cell := range cells {
		text := strings.ToLower(textOf(cell))
		for name, column := range names {
			if strings.Contains(text, name) && *column(&cols) < 0 && len(text) < 80 {
				*column(&cols) = i
			}
		}
	}
	return cols, cols.applicant >= 0 && cols.facility >= 0 && cols.number >= 0
}

var (
	notice = regexp.MustCompile(`(?i)\s*plain language (?:notice|summary)\s*$`)
	noise  = regexp.MustCompile(`(?i)^(?:[a-z]|back to top|\*\*.*)?$`)
)

func body(lines [][]*html.Node, cols columns, base string) []row {
	var out []row
	for _, cells := range lines {
		text := func(i int) string {
			if i < 0 || i >= len(cells) {
				return ""
			}
			return textOf(cells[i])
		}
		r := row{kept: kept{
			Applicant: notice.ReplaceAllString(text(cols.applicant), ""),
			Facility:  text(cols.facility),
			County:    text(cols.county),
			Received:  date(text(cols.received)),
			Status:    text(cols.status),
		}}
		// The cell lists every permit of the application; the first is the key.
		if tokens := strings.FieldsFunc(text(cols.number), func(c rune) bool { return c == ',' || c == ';' || c == ' ' }); len(tokens) > 0 {
			r.number = tokens[0]
		}
		if r.number == "" || noise.MatchString(r.Applicant) {
			continue
		}
		if cols.status >= 0 && cols.status < len(cells) {
			r.link = linkOf(cells[cols.status], base)
		}
		out = append(out, r)
	}
	return out
}

// textOf is a cell's text on one line.
func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		switch {
		case d.Type == html.TextNode:
			b.WriteString(d.Data)
		case d.DataAtom == atom.Br || d.DataAtom == atom.P || d.DataAtom == atom.Div || d.DataAtom == atom.A:
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// linkOf is the first address in a cell that leads to another page.
func linkOf(n *html.Node, base string) string {
	for d := range n.Descendants() {
		if d.DataAtom != atom.A {
			continue
		}
		for _, a := range d.Attr {
			if a.Key != "href" || strings.HasPrefix(a.Val, "#") {
				continue
			}
			b, err := url.Parse(base)
			if err != nil {
				return ""
			}
			u, err := b.Parse(strings.TrimSpace(a.Val))
			if err == nil && (u.Scheme == "http" || u.Scheme == "https") {
				return u.String()
			}
		}
	}
	return ""
}

// date reads MM/DD/YYYY, as the lists have it, into YYYY-MM-DD; "" for what is
// none.
func date(s string) string {
	for _, layout := range []string{"01/02/2006", "1/2/2006", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.Format(time.DateOnly)
		}
	}
	return ""
}
