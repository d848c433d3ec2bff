package sec

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html/charset"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/fetch"
	"github.com/chokepoint-bot/chokepoint/watchers"
)

var accession = regexp.MustCompile(`^\d{10}-\d{2}-\d{6}$`)

// list is a filer's list of filings, newest first as EDGAR has them, each once;
// nil rows if it has not changed. Where the JSON list is broken or out of
// reach, the older Atom feed of the same filings is asked.
func (v *visit) list(f filer, m memory) (company string, rows []row, sha string, err error) {
	page, err := v.get(v.cfg.DataURL+"/submissions/CIK"+f.cik+".json", fetch.Validators{SHA256: m.SHA256})
	if err == nil && page.Unchanged {
		return "", nil, m.SHA256, nil
	}
	if err == nil {
		if company, rows, err = submissions(page.Body, f.cik); err == nil {
			return company, rows, page.Validators.SHA256, nil
		}
	}
	switch watchers.AsFailure(err).Class {
	case chokepoint.Gone:
		return "", nil, "", fmt.Errorf("EDGAR knows no filer %s: %w", f.cik, err)
	case chokepoint.NotTheFormat, chokepoint.Transport:
	default:
		return "", nil, "", err // both are refused alike
	}
	if v.ctx.Err() != nil {
		return "", nil, "", err
	}
	page, err2 := v.get(v.cfg.ArchiveURL+"/cgi-bin/browse-edgar?action=getcompany&CIK="+f.cik+"&type=&dateb=&owner=exclude&start=0&count=100&output=atom", fetch.Validators{})
	if err2 == nil {
		company, rows, err2 = atom(page.Body)
	}
	if err2 != nil {
		f := watchers.AsFailure(err)
		f.Err = errors.Join(err, err2)
		return "", nil, "", f
	}
	return company, rows, "", nil
}

func notTheFormat(format string, args ...any) error {
	return &watchers.Failure{Class: chokepoint.NotTheFormat, Err: fmt.Errorf(format, args...)}
}

// submissions reads a filer's JSON list: columns side by side, which must be
// of one length. Columns that are not needed may be missing, and new ones
// appear.
func submissions(body []byte, cik string) (company string, rows []row, err error) {
	var doc struct {
		CIK     string
		Name    string
		Filings struct {
			Recent struct {
				AccessionNumber, FilingDate, AcceptanceDateTime, Form, Items, PrimaryDocument, PrimaryDocDescription []string
			}
		}
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return "", nil, notTheFormat("the list of filings is not the JSON that was due: %w", err)
	}
	c := doc.Filings.Recent
	if doc.Name == "" || strings.TrimLeft(doc.CIK, "0") != strings.TrimLeft(cik, "0") {
		return "", nil, notTheFormat("the list of filings is of %q, CIK %q", doc.Name, doc.CIK)
	}
	n := len(c.AccessionNumber)
	for name, column := range map[string][]string{"form": c.Form, "primaryDocument": c.PrimaryDocument} {
		if len(column) != n {
			return "", nil, notTheFormat("the list of filings has %d accession numbers and %d of %s", n, len(column), name)
		}
	}
	for name, column := range map[string][]string{"filingDate": c.FilingDate, "acceptanceDateTime": c.AcceptanceDateTime, "items": c.Items, "primaryDocDescription": c.PrimaryDocDescription} {
		if len(column) != n && len(column) != 0 {
			return "", nil, notTheFormat("the list of filings has %d accession numbers and %d of %s", n, len(column), name)
		}
	}
	at := func(column []string, i int) string {
		if i >= len(column) {
			return ""
		}
		return column[i]
	}
	rows = make([]row, 0, n)
	seen := map[string]bool{}
	for i, acc := range c.AccessionNumber {
		if !accession.MatchString(acc) {
			return "", nil, notTheFormat("the list of filings has an accession number %q", acc)
		}
		if seen[acc] {
			continue
		}
		seen[acc] = true
		r := row{accession: acc, form: c.Form[i], date: at(c.FilingDate, i), document: c.PrimaryDocument[i], description: at(c.PrimaryDocDescription, i), items: splitItems(at(c.Items, i))}
		if t, err := time.Parse(time.RFC3339, at(c.AcceptanceDateTime, i)); err == nil {
			r.accepted = t.UTC()
		}
		rows = append(rows, r)
	}
	return doc.Name, rows, nil
}

func splitItems(s string) []string {
	return slices.DeleteFunc(strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' }), func(it string) bool { return !itemNumber.MatchString(it) })
}

var itemNumber = regexp.MustCompile(`^\d\.\d{2}$`)

// atom reads a filer's Atom feed. Its times carry their offset.
func atom(body []byte) (company string, rows []row, err error) {
	var doc struct {
		XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
		Company string   `xml:"company-info>conformed-name"`
		Entries []struct {
			Accession string    `xml:"content>accession-number"`
			Date      string    `xml:"content>filing-date"`
			Form      string    `xml:"content>filing-type"`
			Name      string    `xml:"content>form-name"`
			Items     string    `xml:"content>items-desc"`
			Updated   time.Time `xml:"updated"`
		} `xml:"entry"`
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = charset.NewReaderLabel // ISO-8859-1
	if err := d.Decode(&doc); err != nil {
		return "", nil, notTheFormat("the feed of filings is not the XML that was due: %w", err)
	}
	rows = []row{}
	seen := map[string]bool{}
	for _, e := range doc.Entries {
		if !accession.MatchString(e.Accession) {
			return "", nil, notTheFormat("the feed of filings has an accession number %q", e.Accession)
		}
		if seen[e.Accession] {
			continue
		}
		seen[e.Accession] = true
		rows = append(rows, row{accession: e.Accession, form: e.Form, date: e.Date, accepted: e.Updated.UTC(), items: splitItems(e.Items)})
	}
	return doc.Company, rows, nil
}
