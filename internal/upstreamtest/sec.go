package upstreamtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SEC is EDGAR: data.sec.gov and www.sec.gov.
type SEC struct {
	s *Server

	// all guarded by s.mu
	companies map[string]*company // by CIK of ten digits
	limit     int                 // requests in a second; 0 is none
	recent    []time.Time
	shut      time.Time
}

type company struct {
	cik, name string
	tickers   []string
	filings   []Filing // newest first
	ragged    bool
}

// Filing is a submission.
type Filing struct {
	Accession string // with dashes
	Form      string
	Items     []string
	Accepted  time.Time
	Document  string // HTML
	Exhibits  []Exhibit

	// WallTime serves acceptanceDateTime as Eastern wall time with a Z, as EDGAR
	// does with some fresh filings.
	WallTime bool
}

// Exhibit is a document of a filing beside the main one.
type Exhibit struct {
	Type string // "EX-99.1"
	Name string // of the file
	Body string // HTML
}

func newSEC(s *Server) *SEC { return &SEC{s: s, companies: map[string]*company{}} }

// SEC is the world's EDGAR.
func (s *Server) SEC() *SEC { return s.sec }

// DataURL and ArchiveURL are where data.sec.gov and www.sec.gov are found.
func (e *SEC) DataURL() string { return e.s.URL("data.sec.gov") }

// ArchiveURL is where www.sec.gov is found.
func (e *SEC) ArchiveURL() string { return e.s.URL("www.sec.gov") }

// Company registers a filer.
func (e *SEC) Company(cik, name string, tickers ...string) {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	e.companies[pad(cik)] = &company{cik: pad(cik), name: name, tickers: tickers}
}

// File adds filings of a registered filer, the last the newest. It panics if
// the filer is unknown.
func (e *SEC) File(cik string, filings ...Filing) {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	c := e.companies[pad(cik)]
	for _, f := range filings {
		c.filings = slices.Insert(c.filings, 0, f)
	}
}

// FileLate adds a filing below the newest one: it appears out of order.
func (e *SEC) FileLate(cik string, f Filing) {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	c := e.companies[pad(cik)]
	c.filings = slices.Insert(c.filings, min(1, len(c.filings)), f)
}

// Ragged serves a filer's columns in unequal lengths, or no longer.
func (e *SEC) Ragged(cik string, ragged bool) {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	e.companies[pad(cik)].ragged = ragged
}

// Limit allows n requests in a second; after more, EDGAR refuses for ten
// minutes, which start anew with each request.
func (e *SEC) Limit(n int) {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	e.limit = n
}

func pad(cik string) string { return strings.Repeat("0", max(0, 10-len(cik))) + cik }

const (
	secUndeclared = `<!DOCTYPE html><html><head><title>SEC.gov | Your Request Originates from an Undeclared Automated Tool</title></head><body><h1>Your Request Originates from an Undeclared Automated Tool</h1></body></html>`
	secThreshold  = `<!DOCTYPE html><html><head><title>SEC.gov | Request Rate Threshold Exceeded</title></head><body><h1>Request Rate Threshold Exceeded</h1></body></html>`
	xmlHead       = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
)

func (e *SEC) serve(w *recorder, r *http.Request, host, path string) {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	agent := r.Header.Get("User-Agent")
	if !strings.Contains(agent, "@") || strings.Contains(agent, "(") {
		w.say(http.StatusForbidden, "text/html", secUndeclared)
		return
	}
	now := e.s.now()
	if e.limit > 0 {
		e.recent = slices.DeleteFunc(append(e.recent, now), func(t time.Time) bool { return now.Sub(t) >= time.Second })
		if len(e.recent) > e.limit || now.Before(e.shut) {
			e.shut = now.Add(10 * time.Minute)
			w.say(http.StatusForbidden, "text/html", secThreshold)
			return
		}
	}
	switch {
	case host == "data.sec.gov" && strings.HasPrefix(path, "submissions/CIK"):
		c := e.companies[strings.TrimSuffix(strings.TrimPrefix(path, "submissions/CIK"), ".json")]
		if c == nil {
			w.say(http.StatusNotFound, "application/xml", xmlHead+`<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>`)
			return
		}
		w.say(http.StatusOK, "application/json", c.submissions())
	case host == "www.sec.gov" && path == "cgi-bin/browse-edgar":
		c := e.companies[pad(r.URL.Query().Get("CIK"))]
		if c == nil {
			w.say(http.StatusOK, "text/html", "<html><body>No matching CIK.</body></html>")
			return
		}
		w.say(http.StatusOK, "application/atom+xml", c.atom(r.URL.Query().Get("type")))
	case host == "www.sec.gov" && strings.HasPrefix(path, "Archives/edgar/data/"):
		e.archive(w, strings.TrimPrefix(path, "Archives/edgar/data/"))
	default:
		w.say(http.StatusNotFound, "text/html", "<html><body>Not Found</body></html>")
	}
}

func (e *SEC) archive(w *recorder, path string) {
	missing := func() {
		w.say(http.StatusForbidden, "application/xml", xmlHead+`<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`)
	}
	parts := strings.Split(path, "/")
	if len(parts) != 3 {
		missing()
		return
	}
	c := e.companies[pad(parts[0])]
	if c == nil || strings.HasPrefix(parts[0], "0") {
		missing()
		return
	}
	i := slices.IndexFunc(c.filings, func(f Filing) bool { return strings.ReplaceAll(f.Accession, "-", "") == parts[1] })
	if i < 0 {
		missing()
		return
	}
	f := c.filings[i]
	switch parts[2] {
	case f.Accession + "-index-headers.html":
		w.say(http.StatusOK, "text/html", f.headers(c))
	case "index.json":
		w.say(http.StatusOK, "application/json", f.index())
	case f.primary():
		w.say(http.StatusOK, "text/html", f.Document)
	default:
		for _, x := range f.Exhibits {
			if x.Name == parts[2] {
				w.say(http.StatusOK, "text/html", x.Body)
				return
			}
		}
		missing()
	}
}

func (f Filing) primary() string { return "d" + strings.ReplaceAll(f.Accession, "-", "") + ".htm" }

// eastern is New York's, without a zone database: EDT from April to October is
// near enough for invented filings.
func eastern(t time.Time) time.Time {
	offset := -5 * 3600
	if m := t.UTC().Month(); m >= time.April && m <= time.October {
		offset = -4 * 3600
	}
	return t.In(time.FixedZone("ET", offset))
}

func (c *company) submissions() string {
	n := len(c.filings)
	col := func(of func(Filing) string) []string {
		out := make([]string, n)
		for i, f := range c.filings {
			out[i] = of(f)
		}
		return out
	}
	forms := col(func(f Filing) string { return f.Form })
	if c.ragged && n > 0 {
		forms = forms[:n-1]
	}
	doc := map[string]any{
		"cik": c.cik, "name": c.name, "tickers": c.tickers, "exchanges": []string{"Nasdaq"}, "lei": nil,
		"filings": map[string]any{
			"files": []any{},
			"recent": map[string]any{
				"accessionNumber": col(func(f Filing) string { return f.Accession }),
				"filingDate":      col(func(f Filing) string { return eastern(f.Accepted).Format("2006-01-02") }),
				"reportDate":      col(func(Filing) string { return "" }),
				"acceptanceDateTime": col(func(f Filing) string {
					if f.WallTime {
						return eastern(f.Accepted).Format("2006-01-02T15:04:05.000Z")
					}
					return f.Accepted.UTC().Format("2006-01-02T15:04:05.000Z")
				}),
				"form":                  forms,
				"items":                 col(func(f Filing) string { return strings.Join(f.Items, ",") }),
				"primaryDocument":       col(Filing.primary),
				"primaryDocDescription": col(func(f Filing) string { return f.Form }),
			},
		},
	}
	body, err := json.Marshal(doc)
	if err != nil { // strings and maps of them always marshal
		panic(err)
	}
	return string(body)
}

func (c *company) atom(form string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="ISO-8859-1" ?><feed xmlns="http://www.w3.org/2005/Atom"><company-info><cik>%s</cik><conformed-name>%s</conformed-name></company-info><title>%s  (%s)</title>`, c.cik, esc(c.name), esc(c.name), c.cik)
	for _, f := range c.filings {
		if !strings.HasPrefix(f.Form, form) {
			continue
		}
		n, _ := strconv.Atoi(c.cik)
		items := ""
		if len(f.Items) > 0 {
			items = "<items-desc>items " + strings.Join(f.Items, " and ") + "</items-desc>"
		}
		fmt.Fprintf(&b, `<entry><category label="form type" scheme="https://www.sec.gov/" term="%s"/><content type="text/xml"><accession-number>%s</accession-number><filing-date>%s</filing-date><filing-href>https://www.sec.gov/Archives/edgar/data/%d/%s/%s-index.htm</filing-href><filing-type>%s</filing-type>%s</content><id>urn:tag:sec.gov,2008:accession-number=%s</id><title>%s</title><updated>%s</updated></entry>`,
			esc(f.Form), f.Accession, eastern(f.Accepted).Format("2006-01-02"), n, strings.ReplaceAll(f.Accession, "-", ""), f.Accession, esc(f.Form), items, f.Accession, esc(f.Form), eastern(f.Accepted).Format(time.RFC3339))
	}
	b.WriteString("</feed>")
	return b.String()
}

func (f Filing) headers(c *company) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<HTML><HEAD><TITLE>SEC EDGAR Submission %s</TITLE>\n<!--\n<SEC-HEADER>%s.hdr.sgml\n<ACCEPTANCE-DATETIME>%s\n<ACCESSION-NUMBER>%s\n<TYPE>%s\n", f.Accession, f.Accession, eastern(f.Accepted).Format("20060102150405"), f.Accession, f.Form)
	for _, it := range f.Items {
		fmt.Fprintf(&b, "<ITEMS>%s\n", it)
	}
	fmt.Fprintf(&b, "<FILER>\n<COMPANY-DATA>\n<CONFORMED-NAME>%s\n<CIK>%s\n</COMPANY-DATA>\n</FILER>\n</SEC-HEADER>\n-->\n</HEAD><BODY>\n<PRE>", esc(c.name), c.cik)
	docs := append([]Exhibit{{Type: f.Form, Name: f.primary()}}, f.Exhibits...)
	for i, d := range docs {
		fmt.Fprintf(&b, "&lt;DOCUMENT&gt;\n&lt;TYPE&gt;%s\n&lt;SEQUENCE&gt;%d\n&lt;FILENAME&gt;%s\n&lt;TEXT&gt;\n<a href=%q>Document %d - file: %s</a><br>\n&lt;/DOCUMENT&gt;\n", d.Type, i+1, d.Name, d.Name, i+1, d.Name)
	}
	b.WriteString("</PRE></BODY></HTML>\n")
	return b.String()
}

func (f Filing) index() string {
	type item struct {
		Name string `json:"name"`
		Type string `json:"type"`
		Size string `json:"size"`
	}
	items := []item{{f.Accession + "-index-headers.html", "text.gif", ""}, {f.primary(), "text.gif", strconv.Itoa(len(f.Document))}}
	for _, x := range f.Exhibits {
		items = append(items, item{x.Name, "text.gif", strconv.Itoa(len(x.Body))})
	}
	body, err := json.Marshal(map[string]any{"directory": map[string]any{"item": items, "name": "/Archives/edgar/data"}})
	if err != nil { // as above
		panic(err)
	}
	return string(body)
}
