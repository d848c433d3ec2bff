package feed

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mmcdole/gofeed"

	"github.com/chokepoint-bot/chokepoint/internal/htmltext"
)

// document is a feed as it was read.
type document struct {
	title    string
	language string // "" if it does not say
	items    []item // as they stand
	cutOff   bool   // it ended too early; items are those that were whole
}

// item is one item, its texts without markup.
type item struct {
	guid       string
	link       string // absolute, http or https; "" if there is none
	shared     bool   // link is no identity: others have it too
	title      string
	text       string // the longest of its bodies, at most textLimit bytes
	published  time.Time
	categories []string
}

const textLimit = 16_000

var errNotAFeed = errors.New("not a feed: neither RSS, RDF, Atom nor JSON Feed")

// parse reads a feed. base is the address that it came from. An error says
// that it is none, or has no item that can be read though it should.
func parse(body []byte, contentType, base string) (doc document, err error) {
	defer func() {
		if p := recover(); p != nil { // of the parser, over what no one foresaw
			doc, err = document{}, fmt.Errorf("the parser gave up: %v", p)
		}
	}()
	text := tidy(decode(body, contentType))
	switch {
	case strings.TrimSpace(text) == "":
		return document{}, errors.New("not a feed: the document is empty")
	case isHTML(text):
		return document{}, errors.New("not a feed: an HTML page")
	case strings.HasPrefix(text, "{") && !jsonFeed(text):
		return document{}, errors.New("not a feed: JSON of another kind")
	}
	f, err := gofeed.NewParser().Parse(strings.NewReader(text))
	if err != nil {
		if errors.Is(err, gofeed.ErrFeedTypeNotDetected) {
			return document{}, errNotAFeed
		}
		if f, doc.cutOff = mend(text); f == nil {
			return document{}, fmt.Errorf("a damaged feed: %w", err)
		}
	}
	doc.title, doc.language = htmltext.Line(f.Title), strings.TrimSpace(f.Language)
	if f.DublinCoreExt != nil && doc.language == "" && len(f.DublinCoreExt.Language) > 0 {
		doc.language = strings.TrimSpace(f.DublinCoreExt.Language[0])
	}
	home := resolve(base, f.Link)
	for _, it := range f.Items {
		doc.items = append(doc.items, adapt(it, cmp.Or(home, base), strings.HasPrefix(strings.ToLower(doc.language), "ja")))
	}
	doc.distrust(home)
	return doc, nil
}

// mend reads what the parser refused: with signs that begin no tag taken as
// text, or without an end that was cut off. Nil if neither helps.
func mend(text string) (f *gofeed.Feed, cutOff bool) {
	text = stray.ReplaceAllString(text, "&lt;$1")
	if f, err := gofeed.NewParser().Parse(strings.NewReader(text)); err == nil {
		return f, false
	}
	whole, ok := salvage(text)
	if !ok {
		return nil, false
	}
	f, err := gofeed.NewParser().Parse(strings.NewReader(whole))
	if err != nil || len(f.Items) == 0 {
		return nil, false
	}
	return f, true
}

// jsonFeed says whether a JSON document is of that format, and not an error or
// an answer of some other kind. https://www.jsonfeed.org/version/1.1/
func jsonFeed(text string) bool {
	var head struct {
		Version string          `json:"version"`
		Items   json.RawMessage `json:"items"`
	}
	return json.Unmarshal([]byte(text), &head) == nil && strings.Contains(head.Version, "jsonfeed.org") && len(head.Items) > 0
}

func adapt(it *gofeed.Item, base string, japanese bool) item {
	out := item{guid: strings.TrimSpace(it.GUID), title: htmltext.Line(it.Title)}
	links := append([]string{it.Link}, it.Links...)
	if strings.HasPrefix(it.GUID, "http://") || strings.HasPrefix(it.GUID, "https://") {
		links = append(links, it.GUID) // a permalink
	}
	for _, l := range links {
		if out.link = resolve(base, l); out.link != "" {
			break
		}
	}
	for _, body := range []string{it.Content, it.Description} {
		if t := htmltext.Text(body, textLimit); len(t) > len(out.text) {
			out.text = t
		}
	}
	dates := []string{it.Published, it.Updated}
	if it.DublinCoreExt != nil {
		dates = append(dates, it.DublinCoreExt.Date...)
	}
	for _, d := range dates {
		if at, ok := parseDate(d, japanese); ok {
			out.published = at
			break
		}
	}
	for _, c := range it.Categories {
		out.categories = append(out.categories, strings.TrimSpace(c))
	}
	return out
}

// resolve is ref as an absolute http or https address; "" if it is none.
func resolve(base, ref string) string {
	ref = strings.TrimSpace(ref)
	if ref == "" {
		return ""
	}
	u, err := url.Parse(ref)
	if err != nil {
		return ""
	}
	if b, err := url.Parse(base); err == nil {
		u = b.ResolveReference(u)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return ""
	}
	u.User = nil
	return u.String()
}

// distrust takes identities away that are none: a guid that items with
// different links share, and a link that items with different guids share, or
// that leads to the feed's home. Some generators number or link all items alike.
func (d *document) distrust(home string) {
	byGUID, byLink := map[string][]string{}, map[string][]string{}
	for _, it := range d.items {
		byGUID[it.guid] = appendNew(byGUID[it.guid], canonical(it.link))
		byLink[canonical(it.link)] = appendNew(byLink[canonical(it.link)], it.guid)
	}
	for i := range d.items {
		it := &d.items[i]
		if len(byGUID[it.guid]) > 1 {
			it.guid = ""
		}
	}
	for i := range d.items {
		it := &d.items[i]
		if it.guid != "" && (len(byLink[canonical(it.link)]) > 1 || canonical(it.link) == canonical(home)) {
			it.shared = true
		}
	}
}

// identities are what the item is known by from one visit to the next; the
// first is what it is called. An item is new if none of them was seen: the
// title of an item may be edited, and an item be given another guid.
func (it item) identities() []string {
	var out []string
	if it.guid != "" {
		out = append(out, "guid "+it.guid)
	}
	if it.link != "" && !it.shared {
		out = append(out, "link "+canonical(it.link))
	}
	if len(out) == 0 {
		out = append(out, "item "+it.title+"\x00"+it.published.Format(time.RFC3339)+"\x00"+it.link)
	}
	return out
}

// canonical is an address without what changes while the page stays the same:
// scheme, www, fragment, campaign parameters, a slash at the end.
func canonical(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	query := strings.FieldsFunc(u.RawQuery, func(r rune) bool { return r == '&' })
	query = slices.DeleteFunc(query, func(pair string) bool {
		key, _, _ := strings.Cut(strings.ToLower(pair), "=")
		return strings.HasPrefix(key, "utm_") || strings.HasPrefix(key, "wt_") || slices.Contains([]string{"gclid", "fbclid", "mc_cid", "mc_eid", "ref", "cmpid", "src"}, key)
	})
	out := strings.TrimPrefix(strings.ToLower(u.Host), "www.") + strings.TrimSuffix(u.EscapedPath(), "/")
	if len(query) > 0 {
		out += "?" + strings.Join(query, "&")
	}
	return out
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
