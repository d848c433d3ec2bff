package reading

import (
	"slices"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Item is what is read: one telling, wherever it came from.
type Item struct {
	Title     string
	Text      string // summary or body; only its lead is read
	URL       string
	Publisher string
	Published time.Time // zero if unknown
	Primary   bool
	Filing    bool              // an SEC submission
	Form      string            // of a filing: "8-K"
	Items     []string          // of an 8-K: "1.01"
	Filer     chokepoint.Symbol // of a filing
	Symbols   []chokepoint.Symbol
}

// Of is the item that an observation of news or of a filing tells. ok is false
// for other kinds.
func Of(o chokepoint.Observation) (it Item, ok bool) {
	switch {
	case o.Kind == chokepoint.KindNews && o.News != nil:
		n, e := o.News, o.News.Evidence
		it = Item{Title: e.Title, Text: n.Text, URL: e.URL, Publisher: e.Publisher, Published: e.Published, Primary: e.Primary, Symbols: n.Symbols}
		if it.Text == "" {
			it.Text = e.Excerpt
		}
	case o.Kind == chokepoint.KindFiling && o.Filing != nil:
		f, e := o.Filing, o.Filing.Evidence
		it = Item{
			Title: e.Title, Text: f.Text, URL: e.URL, Publisher: e.Publisher, Published: e.Published, Primary: true,
			Filing: true, Form: f.Form, Items: f.Items, Filer: f.Symbol,
		}
		if !strings.Contains(strings.ToLower(it.Title), strings.ToLower(f.Company)) {
			it.Title = strings.TrimSpace(f.Form + " " + f.Company + ": " + e.Title)
		}
		if it.Text == "" {
			it.Text = e.Excerpt
		}
	default:
		return Item{}, false
	}
	if it.Published.IsZero() {
		it.Published = o.At
	}
	if it.Published.IsZero() {
		it.Published = o.Seen
	}
	return it, true
}

// lead is the part of the text that tells the news: 600 characters of an
// article, 3,000 of a filing, whose first pages are form.
func (it *Item) lead() string {
	n := 600
	if it.Filing {
		n = 3000
	}
	for i := range it.Text {
		if n == 0 {
			return it.Text[:i]
		}
		n--
	}
	return it.Text
}

// told reports whether a filing's form tells news: an 8-K or 6-K, or the
// prospectus of an offering. Quarterly and ownership forms do not.
func (it *Item) told() bool {
	return !it.Filing || slices.ContainsFunc([]string{"8-K", "6-K", "424B", "SUPPL"}, func(p string) bool { return strings.HasPrefix(it.Form, p) })
}
