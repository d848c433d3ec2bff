package feed

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	textunicode "golang.org/x/text/encoding/unicode"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/fetch"
	"github.com/chokepoint-bot/chokepoint/internal/upstreamtest"
	"github.com/chokepoint-bot/chokepoint/watchers"
	"github.com/chokepoint-bot/chokepoint/watchers/watchertest"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func client(t testing.TB) *fetch.Client {
	c := fetch.New(fetch.Config{AllowPrivate: true, Contact: "you@example.org", Timeout: 5 * time.Second})
	t.Cleanup(c.Close)
	return c
}

func entry(n int) upstreamtest.Item {
	return upstreamtest.Item{
		GUID: fmt.Sprint("guid-", n), Title: fmt.Sprint("Headline ", n), Link: fmt.Sprintf("https://ir.example/news/%d?utm_source=rss", n),
		Description: fmt.Sprintf("<p>Body <b>%d</b></p>", n), Published: noon.Add(time.Duration(n-100) * time.Hour),
	}
}

func TestConformance(t *testing.T) {
	for _, format := range []string{"rss", "atom", "rdf", "json"} {
		t.Run(format, func(t *testing.T) {
			watchertest.Source(t, func(t *testing.T) watchertest.SourceCase {
				up := upstreamtest.Start(t)
				one, two := up.Feed("one"), up.Feed("two")
				for _, f := range []*upstreamtest.Feed{one, two} {
					f.SetFormat(format)
				}
				one.Add(entry(1), entry(2))
				two.Add(entry(3), entry(4))
				c := client(t)
				n := 10
				all := func(f upstreamtest.Fault) func() {
					return func() { up.Fail("feeds", f) }
				}
				return watchertest.SourceCase{
					New: func() watchers.Source {
						return New(Config{Name: "ir", URLs: []string{one.URL(), two.URL()}, Fetch: c})
					},
					Now:  noon,
					Tell: func() { n++; one.Add(entry(n)) },
					// 401 does not close the host, so that Mend mends at once.
					Break: all(upstreamtest.Fault{Status: 401}),
					Class: chokepoint.Blocked,
					Mend: func() {
						up.Fail("feeds", upstreamtest.Fault{})
						up.Fail("feeds/two", upstreamtest.Fault{})
					},
					BreakPart: func() { up.Fail("feeds/two", upstreamtest.Missing) },
					Flood:     all(upstreamtest.Bombed),
					Unconditional: func() int {
						n := 0
						for _, r := range up.Requests("feeds") {
							if r.Header.Get("If-None-Match") == "" {
								n++
							}
						}
						return n
					},
				}
			})
		})
	}
}

// visit makes visits to one feed one after the other.
func visit(t *testing.T, up *upstreamtest.Server, cfg Config) func() []string {
	t.Helper()
	if cfg.Fetch == nil {
		cfg.Fetch = client(t)
	}
	cfg.Name = "ir"
	cursor, now := "", noon
	return func() []string {
		t.Helper()
		now = now.Add(time.Minute)
		r, err := New(cfg).Observe(t.Context(), now, cursor)
		if err != nil {
			t.Fatal(err)
		}
		cursor = r.Cursor
		var titles []string
		for _, o := range r.Observations {
			titles = append(titles, o.News.Evidence.Title)
		}
		return titles
	}
}

func wantTitles(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestWhatIsNewIsKnownByGuidAndByLink(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	f := up.Feed("ir")
	f.Add(entry(1), entry(2))
	next := visit(t, up, Config{URLs: []string{f.URL()}})
	wantTitles(t, "first", next(), "Headline 1", "Headline 2")

	edited := entry(2)
	edited.Title = "Headline 2 (corrected)"
	f.SetItems(edited, entry(1))
	wantTitles(t, "an edited title", next())

	renumbered := entry(2)
	renumbered.GUID, renumbered.Link = "another-guid", "http://www.ir.example/news/2/"
	f.SetItems(renumbered, entry(1))
	wantTitles(t, "another guid for the same page", next())

	f.SetItems(entry(1), entry(2))
	wantTitles(t, "another order", next())

	f.SetItems(entry(4), entry(3), entry(2), entry(1))
	wantTitles(t, "two new ones", next(), "Headline 3", "Headline 4")

	f.SetItems()
	wantTitles(t, "an empty feed", next())
	f.SetItems(entry(4), entry(3), entry(2), entry(1))
	wantTitles(t, "the old ones come back", next())

	f.Forget(true)
	f.SetItems(entry(5), entry(4))
	wantTitles(t, "validators are lost", next(), "Headline 5")
}

func TestIdentitiesThatAreNone(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	f := up.Feed("ir")
	same := func(guid, link string, n int) upstreamtest.Item {
		it := entry(n)
		it.GUID, it.Link = guid, link
		return it
	}
	next := visit(t, up, Config{URLs: []string{f.URL()}})
	f.SetItems(same("0", "https://ir.example/2", 2), same("0", "https://ir.example/1", 1))
	wantTitles(t, "one guid for all", next(), "Headline 1", "Headline 2")
	f.SetItems(same("0", "https://ir.example/3", 3), same("0", "https://ir.example/2", 2))
	wantTitles(t, "one guid for all, later", next(), "Headline 3")

	home := "https://ir.example/"
	f.SetItems(same("a", home, 11), same("b", home, 10))
	wantTitles(t, "one link for all", next(), "Headline 10", "Headline 11")
	f.SetItems(same("c", home, 12))
	wantTitles(t, "the feed's home as a link", next(), "Headline 12")

	f.SetItems(same("", "", 21), same("", "", 20))
	wantTitles(t, "neither guid nor link", next(), "Headline 20", "Headline 21")
	f.SetItems(same("", "", 22), same("", "", 21), same("", "", 20))
	wantTitles(t, "neither guid nor link, later", next(), "Headline 22")
}

func TestAFeedThatIsAddedLaterIsHistoryToo(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	one, two := up.Feed("one"), up.Feed("two")
	one.Add(entry(1))
	two.Add(entry(1), entry(2))
	c := client(t)
	first, err := New(Config{Name: "ir", URLs: []string{one.URL()}, Fetch: c}).Observe(t.Context(), noon, "")
	if err != nil {
		t.Fatal(err)
	}
	one.Add(entry(3))
	r, err := New(Config{Name: "ir", URLs: []string{one.URL(), two.URL()}, Fetch: c}).Observe(t.Context(), noon, first.Cursor)
	if err != nil || len(r.Observations) != 2 {
		t.Fatalf("%d observations, %v; one item is in both feeds", len(r.Observations), err)
	}
	for _, o := range r.Observations {
		if history := o.News.Evidence.Title == "Headline 2"; o.Backfill != history {
			t.Errorf("%s: history: %v", o.News.Evidence.Title, o.Backfill)
		}
	}
}

func TestAFirstVisitTellsTheNewestAndALaterOneTellsAll(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	f := up.Feed("ir")
	var items []upstreamtest.Item
	for n := 300; n > 0; n-- {
		it := entry(n)
		it.Published = noon.Add(time.Duration(n-400) * time.Minute)
		items = append(items, it)
	}
	f.SetItems(items[150:]...)
	next := visit(t, up, Config{URLs: []string{f.URL()}})
	if got := next(); len(got) != firstItems || got[0] != "Headline 51" || got[99] != "Headline 150" {
		t.Errorf("first: %d items from %s on", len(got), got[0])
	}
	f.SetItems(items...)
	if got := next(); len(got) != 150 || got[0] != "Headline 151" || got[149] != "Headline 300" {
		t.Errorf("later: %d items from %s on", len(got), got[0])
	}
}

func TestOnlyWhatMatchesIsTold(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	f := up.Feed("ir")
	fund := entry(1)
	fund.Title = "Governor announces SEMICONDUCTOR innovation fund grant"
	body := entry(2)
	body.Description = "… in Sugar <b>Land</b>, Texas"
	f.Add(fund, body, entry(3))
	next := visit(t, up, Config{URLs: []string{f.URL()}, Match: []string{"Semiconductor Innovation Fund", "sugar land"}})
	wantTitles(t, "first", next(), fund.Title, body.Title)
}

func TestAnItemBecomesEvidence(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	f := up.Feed("ir")
	f.SetTitle("AOI &amp; friends")
	f.Add(upstreamtest.Item{GUID: "g", Title: "AOI <i>breaks</i> ground", Link: "/news/1", Description: "<p>" + strings.Repeat("word ", 4000) + "</p>",
		Published: noon.Add(48 * time.Hour), Categories: []string{"Nasdaq:AAOI", "First North : SIVE", "Earnings: Q3"}})
	r, err := New(Config{Name: "ir", URLs: []string{f.URL()}, Primary: true, Language: "en", Fetch: client(t)}).Observe(t.Context(), noon, "")
	if err != nil || len(r.Observations) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	n := r.Observations[0].News
	e := n.Evidence
	if e.Title != "AOI breaks ground" || e.URL != "https://ir.example/news/1" || e.Publisher != "AOI & friends" || !e.Primary || !e.Published.Equal(noon) || len(e.SHA256) != 64 {
		t.Errorf("evidence: %+v", e)
	}
	if len(n.Text) > 16_000 || utf8.RuneCountInString(e.Excerpt) != 600 || n.Language != "en" || !slices.Equal(n.Symbols, []chokepoint.Symbol{"AAOI", "SIVE.ST"}) {
		t.Errorf("text of %d, excerpt of %d, %q, %v", len(n.Text), utf8.RuneCountInString(e.Excerpt), n.Language, n.Symbols)
	}
}

func TestWhatIsNotAFeedIsNotAnEmptyFeed(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	f := up.Feed("ir")
	f.Add(entry(1))
	c := client(t)
	s := New(Config{Name: "ir", URLs: []string{f.URL()}, Fetch: c})
	first, err := s.Observe(t.Context(), noon, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"a login page":         "<!DOCTYPE html><html><body>Sign in</body></html>",
		"a page before a feed": "<html><body>Oops</body></html><rss><channel></channel></rss>",
		"nothing":              "",
		"an empty object":      "{}",
		"an error in JSON":     `{"error":"rate limited","items":[]}`,
		"text":                 "Please limit requests to one every 5 seconds",
		"another XML":          `<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>`,
		"a sitemap":            `<urlset><url><loc>https://a.example</loc></url></urlset>`,
		"a feed cut off early": `<?xml version="1.0"?><rss version="2.0"><channel><title>x</title><item><title>One`,
	} {
		f.SetRaw([]byte(body), "application/rss+xml")
		r, err := s.Observe(t.Context(), noon, first.Cursor)
		if f := watchers.AsFailure(err); f == nil || f.Class != chokepoint.NotTheFormat || r.Cursor != first.Cursor {
			t.Errorf("%s: %v, cursor kept: %v", name, err, r.Cursor == first.Cursor)
		}
	}
	f.SetRaw([]byte(`<rss version="2.0"><channel><title>x</title></channel></rss>`), "text/xml")
	if r, err := s.Observe(t.Context(), noon, first.Cursor); err != nil || r.Class != chokepoint.EmptyValid {
		t.Errorf("an empty feed: %+v, %v", r, err)
	}
}

func TestAFeedThatIsCutOffGivesItsWholeItemsAndIsReadAgain(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	f := up.Feed("ir")
	whole := `<?xml version="1.0"?><rss version="2.0"><channel><title>x</title><item><title>One</title><guid>1</guid></item><item><title>Two</title><guid>2</guid></item></channel></rss>`
	f.SetRaw([]byte(whole[:strings.Index(whole, "Two")]), "text/xml")
	s := New(Config{Name: "ir", URLs: []string{f.URL()}, Fetch: client(t)})
	r, err := s.Observe(t.Context(), noon, "")
	if fail := watchers.AsFailure(err); fail == nil || fail.Class != chokepoint.NotTheFormat || !fail.Partial || len(r.Observations) != 1 {
		t.Fatalf("%d observations, %v", len(r.Observations), err)
	}
	f.SetRaw([]byte(whole), "text/xml")
	r, err = s.Observe(t.Context(), noon, r.Cursor)
	if err != nil || len(r.Observations) != 1 || r.Observations[0].News.Evidence.Title != "Two" {
		t.Errorf("%+v, %v", r.Observations, err)
	}
	if n := len(up.Requests("feeds")); up.Requests("feeds")[n-1].Header.Get("If-None-Match") != "" {
		t.Error("it was asked on condition that it changed")
	}
}

func TestSeenIsBounded(t *testing.T) {
	t.Parallel()
	var s seen
	for n := range 50 {
		doc := document{}
		for i := range 100 {
			doc.items = append(doc.items, item2(n*100+i))
		}
		s = s.with(&doc)
	}
	if len(s) > 2*200+seenMargin {
		t.Errorf("%d keys", len(s))
	}
	if !slices.Contains(s, keyOf("guid 4999")) || !slices.Contains(s, keyOf("guid 4900")) {
		t.Error("the last seen are not kept")
	}
	text, err := s.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var back seen
	if err := back.UnmarshalText(text); err != nil || !slices.Equal(back, s) {
		t.Errorf("it reads back otherwise: %v", err)
	}
	if err := back.UnmarshalText([]byte("AAAA")); err == nil {
		t.Error("a torn one is read")
	}
}

func item2(n int) (it item) {
	it.guid, it.link, it.title = fmt.Sprint(n), fmt.Sprintf("https://a.example/%d", n), "x"
	return it
}

func TestDates(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Fri, 20 Nov 2026 13:06 EST":            "2026-11-20T18:06:00Z",
		"Fri, 20 Nov 2026 18:06 GMT":            "2026-11-20T18:06:00Z",
		"Fri, 20 Nov 2026 18:06:07 +0000":       "2026-11-20T18:06:07Z",
		"Fri, 20 Nov 2026 13:06:07 -0500 (EST)": "2026-11-20T18:06:07Z",
		"Friday, 20 November 2026 13:06:07 EDT": "2026-11-20T17:06:07Z",
		"20 Nov 26 18:06 UT":                    "2026-11-20T18:06:00Z",
		"Fri, 20 Nov 2026 23:59:60 GMT":         "2026-11-20T23:59:59Z",
		"Fri, 20 Nov 2026 10:06:00 PST":         "2026-11-20T18:06:00Z",
		"Sat, 21 Nov 2026 03:06:00 JST":         "2026-11-20T18:06:00Z",
		"2026-11-20T18:06:07Z":                  "2026-11-20T18:06:07Z",
		"2026-11-20T18:06:07.123+08:00":         "2026-11-20T10:06:07Z",
		"2026-11-20T18:06+0800":                 "",
		"2026-11-20T18:06:07+0800":              "2026-11-20T10:06:07Z",
		"2026-11-20T18:06+08:00":                "2026-11-20T10:06:00Z",
		"2026-11-20 18:06:07 +0800":             "2026-11-20T10:06:07Z",
		"2026-11-20 18:06":                      "2026-11-20T18:06:00Z",
		"2026/11/20 18:06:07":                   "2026-11-20T18:06:07Z",
		"2026-11-20":                            "2026-11-20T00:00:00Z",
		"20261120T180607Z":                      "2026-11-20T18:06:07Z",
		"Nov 20, 2026 1:06 PM ET":               "2026-11-20T18:06:00Z",
		"November 20, 2026 at 1:06 p.m. EST":    "2026-11-20T18:06:00Z",
		"November 20, 2026":                     "2026-11-20T00:00:00Z",
		"11/20/2026 1:06:07 PM":                 "2026-11-20T13:06:07Z",
		"Fri Nov 20 18:06:07 UTC 2026":          "",
		"fre, 20 nov 2026 19:06:00 +0100":       "2026-11-20T18:06:00Z",
		"2026年11月20日 18:06":                     "2026-11-20T10:06:00Z",
		"2026年11月20日 下午6:06":                    "2026-11-20T10:06:00Z",
		"2026年11月20日18時06分":                     "2026-11-20T10:06:00Z",
		"115年11月20日":                            "2026-11-19T16:00:00Z",
		"星期五, 20 Nov 2026 18:06:07 +0800":       "2026-11-20T10:06:07Z",
		"":                                      "",
		"soon":                                  "",
		"Thu, 01 Jan 1970 00:00:00 GMT":         "",
		"2026年13月40日":                           "",
		"Fri, 32 Nov 2026 18:06:07 GMT":         "",
		"0001-01-01T00:00:00Z":                  "",
		strings.Repeat("Fri, 20 Nov 2026 ", 20): "",
	} {
		got := ""
		if at, ok := parseDate(in, false); ok {
			got = at.Truncate(time.Second).Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if at, ok := parseDate("2026年11月20日 15時30分", true); !ok || at.Format(time.RFC3339) != "2026-11-20T06:30:00Z" {
		t.Errorf("of Tokyo: %v", at)
	}
}

func TestEveryCommonEncodingIsRead(t *testing.T) {
	t.Parallel()
	texts := map[string]string{
		"zh-Hans": "光模块需求上升，公司宣布与客户签订长期供货协议",
		"zh-Hant": "華星光公告本公司董事會通過取得設備，擴充雷射晶片產能",
		"ja":      "住友電工は光デバイスの生産能力を増強すると発表した",
		"ko":      "광통신 레이저 수요가 증가하고 있다고 회사가 밝혔다",
		"ru":      "Компания объявила о долгосрочном договоре поставки лазеров",
		"sv":      "Sivers tecknar avtal – årets största, säger bolagets vd på “fredagen”",
	}
	for _, tc := range []struct {
		lang, label string
		enc         encoding.Encoding
	}{
		{"zh-Hans", "gb2312", simplifiedchinese.GB18030}, {"zh-Hans", "gbk", simplifiedchinese.GBK}, {"zh-Hant", "big5", traditionalchinese.Big5},
		{"ja", "Shift_JIS", japanese.ShiftJIS}, {"ja", "EUC-JP", japanese.EUCJP}, {"ko", "euc-kr", korean.EUCKR},
		{"ru", "koi8-r", charmap.KOI8R}, {"ru", "windows-1251", charmap.Windows1251}, {"sv", "windows-1252", charmap.Windows1252},
		{"zh-Hant", "utf-16", textunicode.UTF16(textunicode.LittleEndian, textunicode.UseBOM)},
		{"ja", "utf-16", textunicode.UTF16(textunicode.BigEndian, textunicode.UseBOM)}, {"sv", "utf-8", textunicode.UTF8BOM},
	} {
		doc := func(decl string) []byte {
			body, err := tc.enc.NewEncoder().Bytes([]byte(`<?xml version="1.0"` + decl + `?><rss version="2.0"><channel><title>t</title><item><title>` + texts[tc.lang] + `</title></item></channel></rss>`))
			if err != nil {
				t.Fatal(err)
			}
			return body
		}
		declared := doc(` encoding="` + tc.label + `"`)
		for how, try := range map[string]struct {
			body []byte
			mime string
		}{
			"declared":                      {declared, "text/xml"},
			"told by the header":            {doc(""), "text/xml; charset=" + tc.label},
			"not told at all":               {doc(""), "text/xml"},
			"declared as UTF-8, and is not": {doc(` encoding="utf-8"`), "text/xml"},
			"told as ASCII, and is not":     {declared, "text/xml;charset = us-ascii"},
		} {
			if how == "told as ASCII, and is not" && tc.label != "utf-8" && !strings.HasPrefix(tc.label, "utf") {
				continue // a header that can be so is believed
			}
			d, err := parse(try.body, try.mime, "https://a.example/")
			if err != nil || len(d.items) != 1 || d.items[0].title != texts[tc.lang] {
				t.Errorf("%s in %s, %s: %+v, %v", tc.lang, tc.label, how, d.items, err)
			}
		}
	}
}

// Feeds as the world sends them: testdata/NAME.in, and what is read off them.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.in")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		doc, err := parse(body, "", "https://base.example/feed.xml")
		if err != nil {
			fmt.Fprintf(&out, "error: %v\n", err)
		}
		fmt.Fprintf(&out, "title: %q language: %q cut off: %v\n", doc.title, doc.language, doc.cutOff)
		for _, it := range doc.items {
			line, _ := json.Marshal(map[string]any{"guid": it.guid, "link": it.link, "shared": it.shared, "title": it.title, "text": it.text, "published": it.published, "categories": it.categories})
			fmt.Fprintf(&out, "%s\n", line)
		}
		golden := strings.TrimSuffix(path, ".in") + ".golden"
		if *update {
			if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil || out.String() != string(want) {
			t.Errorf("%s: got\n%swant\n%s(%v)", path, out.String(), want, err)
		}
	}
}

func shared(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CHOKEPOINT_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no collection of real feeds at %s: set CHOKEPOINT_SHARED", dir)
	}
	return filepath.Join(dir, "samples")
}

// Every file of the collection of damaged feeds, against what its index says.
func TestDamagedFeedsOfTheWild(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(shared(t), "illformed")
	index, err := os.ReadFile(filepath.Join(dir, "INDEX.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	damaged := func(d document, err error) bool { return err != nil || len(d.items) == 0 }
	one := func(title string) func(document, error) bool {
		return func(d document, err error) bool {
			return err == nil && len(d.items) == 1 && d.items[0].title == title
		}
	}
	at := func(d document, err error) bool {
		return err == nil && len(d.items) == 1 && d.items[0].published.Format(time.RFC3339) == "2026-11-20T18:06:00Z"
	}
	feedTitle := func(title string) func(document, error) bool {
		return func(d document, err error) bool { return err == nil && d.title == title }
	}
	readable := func(d document, err error) bool { return err == nil }
	want := map[string]func(document, error) bool{
		"illformed_aaa_illformed.xml":                            func(_ document, err error) bool { return err != nil },
		"illformed_rss_incomplete_cdata.xml":                     damaged,
		"illformed_undeclared_namespace.xml":                     readable,
		"illformed_http_high_bit_date.xml":                       readable,
		"illformed_chardet_big5.xml":                             func(d document, err error) bool { return err == nil && strings.Contains(d.title, "我希望") },
		"illformed_chardet_shiftjis.xml":                         one("DrecomRSSに記事投稿が反映されない…"),
		"illformed_chardet_koi8r.xml":                            one("Как пережить новогоднюю ночь"),
		"encoding_demoronize-1.xml":                              func(d document, err error) bool { return err == nil && d.items[0].text == "don’t" },
		"encoding_euc-kr.xml":                                    feedTitle("년"),
		"entities_nbsp.xml":                                      feedTitle("testing entity"),
		"entities_eacute.xml":                                    feedTitle("testing é entity"),
		"entities_mdash.xml":                                     feedTitle("testing — entity"),
		"wellformed_base_entry_content_xml_base.xml":             func(d document, err error) bool { return err == nil && d.items[0].text == "Example test" },
		"encoding_bozo_bogus_encoding.xml":                       readable,
		"encoding_bozo_http_text_plain.xml":                      readable,
		"encoding_http_application_atom_xml_gb2312_encoding.xml": readable,
		"encoding_http_text_xml_default.xml":                     readable,
		"encoding_http_text_xml_charset_overrides_encoding.xml":  readable,
		"encoding_utf-16le-bom.xml":                              readable,
		"encoding_utf-8-bom.xml":                                 readable,
		"encoding_no_content_type_encoding.xml":                  readable,
		"truncated_mid_item.rss":                                 func(d document, err error) bool { return err == nil && len(d.items) == 1 && d.cutOff },
		"undeclared_entities.rss":                                one("A B — C © D &unknown; AT&T"),
		"wrong_encoding_utf8_declared.rss":                       one("Résultats"),
		"control_chars.rss":                                      one("ab"),
		"html_instead.html":                                      func(_ document, err error) bool { return err != nil && strings.Contains(err.Error(), "not a feed") },
		"empty.xml":                                              func(_ document, err error) bool { return err != nil && strings.Contains(err.Error(), "empty") },
		"leading_blank_lines.rss":                                one("one"),
		"bom_twice.rss":                                          one("one"),
		"guid_reused.rss": func(d document, err error) bool {
			return len(d.items) == 2 && d.items[0].guid == "" && d.items[1].guid == ""
		},
		"no_dates_no_guid.rss":   func(d document, err error) bool { return len(d.items) == 2 && d.items[0].published.IsZero() },
		"pubdate_no_seconds.rss": at,
		"pubdate_est.rss":        at,
		"script_in_title.rss":    one("AOI @everyone"),
		"entity_bomb_small.xml":  func(d document, err error) bool { return len(d.title) < 100 },
	}
	checked := 0
	for line := range strings.Lines(string(index)) {
		cells := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
		if cells[0] == "file" {
			continue
		}
		checked++
		mime := ""
		if _, v, ok := strings.Cut(cells[1], ":"); ok {
			mime = strings.TrimSpace(v)
		}
		body, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(cells[0])))
		if err != nil {
			t.Fatal(err)
		}
		d, err := parse(body, mime, "https://base.example/")
		is, ok := want[filepath.Base(cells[0])]
		if !ok {
			t.Errorf("%s: nothing is expected of it", cells[0])
		} else if !is(d, err) {
			t.Errorf("%s (%s): %+v, %v", cells[0], cells[3], d, err)
		}
	}
	if checked < 35 {
		t.Errorf("only %d files", checked)
	}
}

func TestRealFeedsAreRead(t *testing.T) {
	t.Parallel()
	dir := shared(t)
	for glob, least := range map[string]int{
		"feeds/*": 1, "globenewswire/*.xml": 1, "ir/gcs*.xml": 1, "mops/*.xml": 2, "gov-texas/*.xml": 1, "trendforce/*.xml": 1, "google-news/*.xml": 1, "reddit/*.atom": 1, "encodings/rss_[begsw]*.xml": 1,
	} {
		files, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(glob)))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			d, err := parse(body, "", "https://base.example/")
			if err != nil || len(d.items) < least || d.title == "" {
				t.Errorf("%s: %d items, title %q, %v", path, len(d.items), d.title, err)
			}
			for _, it := range d.items {
				if it.link == "" && it.guid == "" || strings.ContainsRune(it.title, utf8.RuneError) {
					t.Errorf("%s: %+v", path, it)
				}
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.in")
	for _, path := range files {
		body, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body, "text/xml")
	}
	f.Add([]byte("\xff\xfe<\x00"), "text/xml; charset=utf-16")
	f.Fuzz(func(t *testing.T, body []byte, mime string) {
		d, err := parse(body, mime, "https://base.example/")
		if err != nil && len(d.items) > 0 {
			t.Errorf("items with an error: %v", err)
		}
		for _, it := range d.items {
			if !utf8.ValidString(it.title+it.text+it.guid+it.link) || len(it.text) > textLimit || strings.Contains(it.title, "\n") {
				t.Errorf("%+v", it)
			}
			if it.link != "" && !strings.HasPrefix(it.link, "http") {
				t.Errorf("link %q", it.link)
			}
			if len(it.identities()) == 0 {
				t.Error("an item without identity")
			}
		}
	})
}

func TestNestingAndBulkAreBounded(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"200 000 levels":     `<rss version="2.0"><channel>` + strings.Repeat("<a>", 200_000) + strings.Repeat("</a>", 200_000) + `</channel></rss>`,
		"deep in an item":    `<rss version="2.0"><channel><item><title>x</title>` + strings.Repeat("<x:a>", 100_000) + `</item></channel></rss>`,
		"300 000 attributes": `<rss version="2.0"><channel ` + strings.Repeat(`a="b" `, 300_000) + `></channel></rss>`,
		"an entity bomb":     `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><rss version="2.0"><channel><title>&b;</title></channel></rss>`,
	} {
		began := time.Now()
		d, err := parse([]byte(body), "text/xml", "")
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s took %v (%v)", name, took, err)
		}
		if len(d.title) > 1000 {
			t.Errorf("%s: a title of %d bytes", name, len(d.title))
		}
	}
}

func BenchmarkParse(b *testing.B) {
	var doc strings.Builder
	doc.WriteString(`<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>t</title>`)
	for n := range 50 {
		fmt.Fprintf(&doc, `<item><title>Headline %d &amp; more</title><link>https://a.example/%d</link><guid>%d</guid><pubDate>Fri, 20 Nov 2026 18:06 GMT</pubDate><description>&lt;p&gt;%s&lt;/p&gt;</description></item>`, n, n, n, strings.Repeat("word ", 150))
	}
	doc.WriteString(`</channel></rss>`)
	body := []byte(doc.String())
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if d, err := parse(body, "text/xml", "https://a.example/"); err != nil || len(d.items) != 50 {
			b.Fatal(err)
		}
	}
}
