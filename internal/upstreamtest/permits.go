package upstreamtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Permits is one of TCEQ's lists of pending air permits.
type Permits struct {
	s    *Server
	list string

	// all guarded by s.mu
	columns []string
	rows    []PermitRow
	raw     string
}

// PermitRow is a row of such a list.
type PermitRow struct {
	Applicant, Facility string
	Number              string // one or more, separated by commas
	Received            string // MM/DD/YYYY
	Status              string // the link's text
	County              string // of the list "notice" alone
}

// Columns of the lists, as TCEQ has them.
var (
	PendingColumns = []string{"Applicant Name", "Facility Name", "Permit Number", "Received Date", "Application Link"}
	TitleVColumns  = []string{"Applicant Name", "Area Name", "Permit Number", "Received Date", "Application Link"}
	NoticeColumns  = []string{"Applicant Name", "Project Description", "Permit Number", "Project Documents", "County Name", "Publication of Notice Authorized"}
)

// Permits is the list "nsr", "titlev" or "notice"; it is empty at first.
func (s *Server) Permits(list string) *Permits {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.permits[list]
	if p == nil {
		p = &Permits{s: s, list: list, columns: PendingColumns}
		switch list {
		case "titlev":
			p.columns = TitleVColumns
		case "notice":
			p.columns = NoticeColumns
		}
		s.permits[list] = p
	}
	return p
}

// URL is the list's address.
func (p *Permits) URL() string { return p.s.URL("www.tceq.texas.gov/" + p.list + ".html") }

// Set replaces the rows.
func (p *Permits) Set(rows ...PermitRow) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.raw, p.rows = "", slices.Clone(rows)
}

// SetColumns replaces the columns: those above in another order, and any other
// names for columns that hold nothing.
func (p *Permits) SetColumns(columns ...string) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.columns = columns
}

// SetRaw makes the page what it is told, until rows are set.
func (p *Permits) SetRaw(page string) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.raw = page
}

func (s *Server) servePermits(w *recorder, r *http.Request, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.permits[strings.TrimSuffix(path, ".html")]
	if p == nil {
		w.say(http.StatusNotFound, "text/html", "<html><body>Not Found</body></html>")
		return
	}
	page := p.raw
	if page == "" {
		page = p.page()
	}
	w.validated(r, "text/html", []byte(page))
}

func (p *Permits) page() string {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\n<html><head><title>Pending Applications</title></head><body>\n<table><tr><td><a href=\"#A\">A</a></td></tr></table>\n<table border=\"1\">\n<tr>")
	for _, c := range p.columns {
		fmt.Fprintf(&b, "<th>%s</th>", c)
	}
	b.WriteString("</tr>\n")
	row := func(cell func(column string) string) {
		b.WriteString("<tr>")
		for _, c := range p.columns {
			fmt.Fprintf(&b, "<td>%s</td>", cell(c))
		}
		b.WriteString("</tr>\n")
	}
	row(func(c string) string {
		if c == "Applicant Name" {
			return "<b>** Air Permits **</b>"
		}
		return ""
	})
	letter := byte(0)
	for i, pr := range p.rows {
		if pr.Applicant != "" && pr.Applicant[0] != letter {
			letter = pr.Applicant[0]
			row(func(c string) string {
				switch c {
				case "Applicant Name":
					return fmt.Sprintf("<a name=\"%c\">%c</a>", letter, letter)
				case p.columns[len(p.columns)-1]:
					return `<a href="#top">Back to top</a>`
				}
				return ""
			})
		}
		row(func(c string) string {
			switch c {
			case "Applicant Name":
				return esc(pr.Applicant) + "<br><a href=\"/downloads/pls.pdf\">Plain Language Notice</a>"
			case "Facility Name", "Area Name", "Project Description":
				return esc(pr.Facility)
			case "Permit Number":
				return esc(pr.Number)
			case "Received Date", "Publication of Notice Authorized":
				return pr.Received
			case "County Name":
				return esc(pr.County)
			case "Application Link", "Project Documents":
				if pr.Status == "" {
					return "&#160;"
				}
				return fmt.Sprintf("<a href=\"/assets/%d.pdf\">%s</a>", i, esc(pr.Status))
			}
			return ""
		})
	}
	b.WriteString("</table>\n</body></html>\n")
	return b.String()
}
