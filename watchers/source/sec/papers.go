package sec

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/html/charset"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/fetch"
	"github.com/chokepoint-bot/chokepoint/internal/htmltext"
	"github.com/chokepoint-bot/chokepoint/watchers"
)

// papers are a filing's documents, as read.
type papers struct {
	accepted time.Time // zero if the index does not say
	items    []string
	document string // name of the main one
	sha256   string // of the main one
	text     string
	excerpt  string
	exhibits []string // types, in the order of text
}

// paper is a document that an index names.
type paper struct{ kind, name string }

// papers reads a filing's index and the documents that matter. If last, what
// cannot be had is left out; an error then says that nothing could.
func (v *visit) papers(f filer, r row, last bool) (papers, error) {
	n, _ := strconv.ParseUint(f.cik, 10, 64) // New has seen to it
	folder := fmt.Sprintf("%s/Archives/edgar/data/%d/%s/", v.cfg.ArchiveURL, n, strings.ReplaceAll(r.accession, "-", ""))

	var p papers
	var list []paper
	page, err := v.get(folder+r.accession+"-index-headers.html", fetch.Validators{})
	if err == nil {
		p.accepted, p.items, list, err = headers(string(page.Body))
	}
	if err != nil {
		if !last || refuses(err) {
			return papers{}, err
		}
		if page, err2 := v.get(folder+"index.json", fetch.Validators{}); err2 == nil {
			list = directory(page.Body)
		}
	}
	main := r.document
	if main == "" {
		for _, d := range list {
			if d.kind == r.form || strings.TrimSuffix(d.kind, "/A") == strings.TrimSuffix(r.form, "/A") {
				main = d.name
				break
			}
		}
	}
	if main == "" {
		return p, &watchers.Failure{Class: chokepoint.Gone, Err: errNoDocument}
	}
	p.document = main

	var exhibits []paper
	for _, d := range list {
		if (strings.HasPrefix(d.kind, "EX-10.") || strings.HasPrefix(d.kind, "EX-99") || d.kind == "EX-10") && readable(d.name) && d.name != main && len(exhibits) < maxExhibits {
			exhibits = append(exhibits, d)
		}
	}
	read := func(name string) (text, sha string, err error) {
		page, err := v.get(folder+name, fetch.Validators{})
		if err != nil {
			return "", "", err
		}
		return plain(page), page.Validators.SHA256, nil
	}
	var mainText string
	if readable(main) {
		if mainText, p.sha256, err = read(main); err != nil && (!last || refuses(err)) {
			return papers{}, err
		}
	}
	var texts []string
	for _, d := range exhibits {
		text, _, err := read(d.name)
		if err != nil {
			if !last || refuses(err) {
				return papers{}, err
			}
			continue
		}
		p.exhibits, texts = append(p.exhibits, d.kind), append(texts, text)
	}
	items := r.items
	if len(items) == 0 {
		items = p.items
	}
	mainText = fromItems(mainText, items)
	p.text = share(mainText, texts)
	p.excerpt = mainText
	for i, kind := range p.exhibits {
		if strings.HasPrefix(kind, "EX-99") {
			p.excerpt = texts[i]
			break
		}
	}
	p.excerpt = strings.Join(strings.Fields(cutBytes(p.excerpt, 4000)), " ")
	return p, nil
}

func refuses(err error) bool {
	class := watchers.AsFailure(err).Class
	return class == chokepoint.Blocked || class == chokepoint.RateLimited
}

// readable says whether a document is text by its name.
func readable(name string) bool {
	return slices.Contains([]string{".htm", ".html", ".txt"}, strings.ToLower(path.Ext(name)))
}

// plain is a document's text.
func plain(page *fetch.Page) string {
	enc, _, _ := charset.DetermineEncoding(page.Body[:min(len(page.Body), 1024)], page.ContentType)
	body, err := enc.NewDecoder().Bytes(page.Body)
	if err != nil {
		body = page.Body
	}
	return htmltext.Text(strings.ToValidUTF8(string(body), "\uFFFD"), 400_000)
}

// fromItems is an 8-K's text from its first item on: before it stands the
// cover, which is the same on all.
func fromItems(text string, items []string) string {
	for _, it := range items {
		at := regexp.MustCompile(`(?i)\bitem[\s\x{a0}]+` + regexp.QuoteMeta(it)).FindStringIndex(text)
		if at != nil {
			return text[at[0]:]
		}
	}
	return text
}

// share gives the main document and its exhibits their parts of textLimit: to
// each the same, and what the short ones leave to those after them.
func share(main string, exhibits []string) string {
	limit := textLimit
	if len(exhibits) > 0 {
		limit = mainLimit
	}
	out := cutBytes(main, limit)
	for i, x := range exhibits {
		left := textLimit - len(out) - 2
		if left <= 0 {
			break
		}
		if out != "" {
			out += "\n\n"
		}
		out += cutBytes(x, left/(len(exhibits)-i))
	}
	return out
}

func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return strings.TrimSpace(s[:n])
}

var (
	acceptedTag = regexp.MustCompile(`<ACCEPTANCE-DATETIME>(\d{14})`)
	itemsTag    = regexp.MustCompile(`<ITEMS>(\d\.\d{2})`)
	documentTag = regexp.MustCompile(`(?s)<DOCUMENT>\s*<TYPE>([^\r\n<]+).*?<FILENAME>([^\r\n<]+)`)
)

// headers reads a filing's -index-headers.html: a copy of the submission's
// header, where times are Eastern, and the list of its documents with their
// types.
func headers(page string) (accepted time.Time, items []string, list []paper, err error) {
	text := html.UnescapeString(page)
	m := acceptedTag.FindStringSubmatch(text)
	if m == nil {
		return time.Time{}, nil, nil, notTheFormat("the index has no acceptance time")
	}
	loc, err := time.LoadLocation("America/New_York")
	if err != nil {
		return time.Time{}, nil, nil, fmt.Errorf("sec: the zone of EDGAR's times: %w", err)
	}
	accepted, err = time.ParseInLocation("20060102150405", m[1], loc)
	if err != nil {
		return time.Time{}, nil, nil, notTheFormat("the index's acceptance time: %w", err)
	}
	for _, m := range itemsTag.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(items, m[1]) {
			items = append(items, m[1])
		}
	}
	for _, m := range documentTag.FindAllStringSubmatch(text, -1) {
		if name := strings.TrimSpace(m[2]); name == path.Base(name) && name != ".." {
			list = append(list, paper{strings.TrimSpace(m[1]), name})
		}
	}
	return accepted.UTC(), items, list, nil
}

// exhibitName is how filing agents name exhibits: "ea191807ex99-1_x.htm",
// "d123dex991.htm", "aaoi-ex101_7.htm".
var exhibitName = regexp.MustCompile(`(?i)ex(?:hibit)?[-_]?(10|99)[-_.]?(\d{0,2})`)

// directory reads a filing's index.json, which names documents without their
// types: exhibits are told by how they are named.
func directory(body []byte) []paper {
	var doc struct {
		Directory struct{ Item []struct{ Name string } }
	}
	if json.Unmarshal(body, &doc) != nil {
		return nil
	}
	var list []paper
	for _, it := range doc.Directory.Item {
		m := exhibitName.FindStringSubmatch(it.Name)
		if m == nil || it.Name != path.Base(it.Name) {
			continue
		}
		list = append(list, paper{"EX-" + m[1] + "." + cmp.Or(m[2], "1"), it.Name})
	}
	return list
}
