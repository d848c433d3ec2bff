package upstreamtest

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Feed is a feed of the world.
type Feed struct {
	s    *Server
	name string

	// all guarded by s.mu
	title  string
	format string
	items  []Item // newest first
	raw    []byte
	mime   string
	bare   bool
}

// Item is an item of a feed.
type Item struct {
	GUID        string // "" has none
	Title, Link string
	Description string    // HTML
	Published   time.Time // zero has none
	Categories  []string
}

// Feed is the feed called name; it is made when it is first asked for.
func (s *Server) Feed(name string) *Feed {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.feeds[name]
	if f == nil {
		f = &Feed{s: s, name: name, title: name, format: "rss"}
		s.feeds[name] = f
	}
	return f
}

// URL is the feed's address.
func (f *Feed) URL() string { return f.s.URL("feeds/" + f.name) }

// Add puts items at the feed's head, the last of them first. It keeps twenty,
// as newswires do.
func (f *Feed) Add(items ...Item) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	f.raw = nil
	for _, it := range items {
		f.items = slices.Insert(f.items, 0, it)
	}
	f.items = f.items[:min(len(f.items), 20)]
}

// SetItems replaces all items, as they are to stand in the document.
func (f *Feed) SetItems(items ...Item) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	f.raw, f.items = nil, slices.Clone(items)
}

// SetTitle names the feed.
func (f *Feed) SetTitle(title string) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	f.title = title
}

// SetFormat is "rss", "atom", "rdf" or "json".
func (f *Feed) SetFormat(format string) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	f.format = format
}

// SetRaw makes the feed a document as it is, until items are added.
func (f *Feed) SetRaw(body []byte, contentType string) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	f.raw, f.mime = body, contentType
}

// Forget makes the feed give no validators, or give them again.
func (f *Feed) Forget(bare bool) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	f.bare = bare
}

func (s *Server) serveFeed(w *recorder, r *http.Request, name string) {
	s.mu.Lock()
	f := s.feeds[name]
	if f == nil {
		s.mu.Unlock()
		w.say(http.StatusNotFound, "text/html", "<html><body>Not Found</body></html>")
		return
	}
	body, mime := f.document()
	bare := f.bare
	s.mu.Unlock()
	if bare {
		w.say(http.StatusOK, mime, string(body))
		return
	}
	w.validated(r, mime, body)
}

func (f *Feed) document() (body []byte, contentType string) {
	if f.raw != nil {
		return f.raw, f.mime
	}
	var b strings.Builder
	home := "https://" + f.name + ".example/"
	switch f.format {
	case "json":
		type jsonItem struct {
			ID        string   `json:"id,omitempty"`
			URL       string   `json:"url,omitempty"`
			Title     string   `json:"title"`
			HTML      string   `json:"content_html"`
			Published string   `json:"date_published,omitempty"`
			Tags      []string `json:"tags,omitempty"`
		}
		doc := struct {
			Version string     `json:"version"`
			Title   string     `json:"title"`
			Home    string     `json:"home_page_url"`
			Items   []jsonItem `json:"items"`
		}{"https://jsonfeed.org/version/1.1", f.title, home, []jsonItem{}}
		for _, it := range f.items {
			ji := jsonItem{ID: it.GUID, URL: it.Link, Title: it.Title, HTML: it.Description, Tags: it.Categories}
			if !it.Published.IsZero() {
				ji.Published = it.Published.Format(time.RFC3339)
			}
			doc.Items = append(doc.Items, ji)
		}
		body, err := json.Marshal(doc)
		if err != nil { // strings and slices always marshal
			panic(err)
		}
		return body, "application/feed+json"
	case "atom":
		fmt.Fprintf(&b, `<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom"><title>%s</title><id>%s</id>`, esc(f.title), esc(home))
		for _, it := range f.items {
			fmt.Fprintf(&b, `<entry><id>%s</id><title>%s</title><link rel="alternate" href="%s"/><summary type="html">%s</summary>`, esc(it.GUID), esc(it.Title), esc(it.Link), esc(it.Description))
			if !it.Published.IsZero() {
				fmt.Fprintf(&b, `<updated>%s</updated>`, it.Published.Format(time.RFC3339))
			}
			for _, c := range it.Categories {
				fmt.Fprintf(&b, `<category term="%s"/>`, esc(c))
			}
			b.WriteString("</entry>")
		}
		b.WriteString("</feed>")
		return []byte(b.String()), "application/atom+xml"
	case "rdf":
		fmt.Fprintf(&b, `<?xml version="1.0"?><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="%s"><title>%s</title><link>%s</link></channel>`, esc(home), esc(f.title), esc(home))
		for _, it := range f.items {
			fmt.Fprintf(&b, `<item rdf:about="%s"><title>%s</title><link>%s</link><description>%s</description>`, esc(it.GUID), esc(it.Title), esc(it.Link), esc(it.Description))
			if !it.Published.IsZero() {
				fmt.Fprintf(&b, `<dc:date>%s</dc:date>`, it.Published.Format(time.RFC3339))
			}
			b.WriteString("</item>")
		}
		b.WriteString("</rdf:RDF>")
		return []byte(b.String()), "application/rdf+xml"
	}
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>%s</title><link>%s</link>`, esc(f.title), esc(home))
	for _, it := range f.items {
		fmt.Fprintf(&b, `<item><title>%s</title><link>%s</link><description>%s</description>`, esc(it.Title), esc(it.Link), esc(it.Description))
		if it.GUID != "" {
			fmt.Fprintf(&b, `<guid isPermaLink="false">%s</guid>`, esc(it.GUID))
		}
		if !it.Published.IsZero() {
			fmt.Fprintf(&b, `<pubDate>%s</pubDate>`, it.Published.UTC().Format("Mon, 02 Jan 2006 15:04 GMT"))
		}
		for _, c := range it.Categories {
			fmt.Fprintf(&b, `<category>%s</category>`, esc(c))
		}
		b.WriteString("</item>")
	}
	b.WriteString("</channel></rss>")
	return []byte(b.String()), "application/rss+xml"
}

func esc(s string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil { // a Builder takes everything
		panic(err)
	}
	return b.String()
}
