package sec

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"go.uber.org/goleak"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/fetch"
	"github.com/chokepoint-bot/chokepoint/internal/upstreamtest"
	"github.com/chokepoint-bot/chokepoint/watchers"
	"github.com/chokepoint-bot/chokepoint/watchers/watchertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	noon = time.Date(2026, 11, 24, 17, 0, 0, 0, time.UTC)
	aaoi = "0001158114"
	lite = "0001633978"
)

func world(t *testing.T) *upstreamtest.Server {
	up := upstreamtest.Start(t)
	up.SEC().Company(aaoi, "APPLIED OPTOELECTRONICS, INC.", "AAOI")
	up.SEC().Company(lite, "Lumentum Holdings Inc.", "LITE")
	up.SEC().File(aaoi, filing(1, "10-Q"), filing(2, "4"), filing(3, "8-K", "2.02", "9.01"))
	up.SEC().File(lite, filing(4, "8-K", "1.01"))
	return up
}

// filing is the n-th, accepted n minutes after eleven.
func filing(n int, form string, items ...string) upstreamtest.Filing {
	return upstreamtest.Filing{
		Accession: fmt.Sprintf("0001158114-26-%06d", n), Form: form, Items: items, Accepted: noon.Add(-time.Hour + time.Duration(n)*time.Minute),
		Document: "<html><head><title>x</title></head><body><p>UNITED STATES SECURITIES AND EXCHANGE COMMISSION</p><p>Item&nbsp;" + strings.Join(items, "</p><p>Item ") + " What was filed as number " + fmt.Sprint(n) + "</p></body></html>",
	}
}

func config(t *testing.T, up *upstreamtest.Server) Config {
	c := fetch.New(fetch.Config{AllowPrivate: true, Contact: "you@example.org", Timeout: 5 * time.Second})
	t.Cleanup(c.Close)
	return Config{Name: "sec", CIKs: map[chokepoint.Symbol]string{"AAOI": aaoi, "LITE": "1633978"}, DataURL: up.SEC().DataURL(), ArchiveURL: up.SEC().ArchiveURL(), Fetch: c}
}

func source(t *testing.T, cfg Config) *Source {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	watchertest.Source(t, func(t *testing.T) watchertest.SourceCase {
		up := world(t)
		cfg := config(t, up)
		n := 10
		all := func(f upstreamtest.Fault) func() {
			return func() {
				up.Fail("data.sec.gov", f)
				up.Fail("www.sec.gov", f)
			}
		}
		return watchertest.SourceCase{
			New:   func() watchers.Source { return source(t, cfg) },
			Now:   noon,
			Tell:  func() { n++; up.SEC().File(aaoi, filing(n, "8-K", "8.01")) },
			Break: all(upstreamtest.Fault{Status: 401}),
			Class: chokepoint.Blocked,
			Mend: func() {
				all(upstreamtest.Fault{})()
				up.Fail("data.sec.gov/submissions/CIK"+lite, upstreamtest.Fault{})
			},
			BreakPart: func() { up.Fail("data.sec.gov/submissions/CIK"+lite, upstreamtest.Missing) },
			Flood:     all(upstreamtest.Bombed),
		}
	})
}

// visits makes one visit after the other, a minute apart.
type visits struct {
	t      *testing.T
	cfg    Config
	now    time.Time
	cursor string
}

func (v *visits) next() ([]*chokepoint.Observation, error) {
	v.t.Helper()
	v.now = v.now.Add(time.Minute)
	r, err := source(v.t, v.cfg).Observe(v.t.Context(), v.now, v.cursor)
	v.cursor = r.Cursor
	var out []*chokepoint.Observation
	for _, o := range r.Observations {
		out = append(out, &o)
	}
	return out, err
}

func (v *visits) good() []*chokepoint.Observation {
	v.t.Helper()
	out, err := v.next()
	if err != nil {
		v.t.Fatal(err)
	}
	return out
}

func numbers(observations []*chokepoint.Observation) []string {
	var out []string
	for _, o := range observations {
		out = append(out, strings.TrimLeft(o.Filing.Accession[len("0001158114-26-"):], "0"))
	}
	return out
}

func want(t *testing.T, what string, got []*chokepoint.Observation, accessions ...string) {
	t.Helper()
	if !slices.Equal(numbers(got), accessions) {
		t.Errorf("%s: got %v, want %v", what, numbers(got), accessions)
	}
}

func TestAFirstVisitReadsListsAlone(t *testing.T) {
	t.Parallel()
	up := world(t)
	for n := range 20 {
		up.SEC().File(aaoi, filing(10+n, "8-K", "8.01"))
	}
	v := &visits{t: t, cfg: config(t, up), now: noon}
	got := v.good()
	want(t, "the newest of each", got, "4", "25", "26", "27", "28", "29")
	if n := len(up.Requests("www.sec.gov")); n != 0 {
		t.Errorf("%d documents were asked for", n)
	}
	if f := got[0].Filing; f.Symbol != "LITE" || f.Company != "Lumentum Holdings Inc." || f.CIK != lite || f.Evidence.Title != "8-K Lumentum Holdings Inc.: 1.01 Entry into a Material Definitive Agreement" ||
		f.Evidence.URL != "https://www.sec.gov/Archives/edgar/data/1633978/000115811426000004/d000115811426000004.htm" || !f.Evidence.Primary {
		t.Errorf("%+v", f)
	}
}

func TestANewFilingComesWithItsDocuments(t *testing.T) {
	t.Parallel()
	up := world(t)
	v := &visits{t: t, cfg: config(t, up), now: noon}
	v.good()
	f := filing(20, "8-K", "1.01", "9.01")
	f.WallTime = true // the list's time is five hours off
	f.Exhibits = []upstreamtest.Exhibit{
		{Type: "EX-3.1", Name: "ex3.htm", Body: "<p>Bylaws</p>"},
		{Type: "EX-10.1", Name: "ex10.htm", Body: "<p>" + strings.Repeat("WHEREAS the parties agree. ", 2000) + "</p>"},
		{Type: "EX-99.1", Name: "ex99.htm", Body: "<p>AOI Announces a Supply Agreement</p>"},
		{Type: "EX-99.2", Name: "slides.pdf", Body: "%PDF"},
	}
	up.SEC().File(aaoi, f)
	got := v.good()
	want(t, "new", got, "20")
	o := got[0]
	if !o.At.Equal(f.Accepted) || !o.Seen.Equal(v.now) || o.Backfill {
		t.Errorf("at %v, seen %v; accepted %v", o.At, o.Seen, f.Accepted)
	}
	x := o.Filing
	if !slices.Equal(x.Exhibits, []string{"EX-10.1", "EX-99.1"}) || !slices.Equal(x.Items, []string{"1.01", "9.01"}) {
		t.Errorf("exhibits %v, items %v", x.Exhibits, x.Items)
	}
	if !strings.HasPrefix(x.Text, "Item 1.01") || !strings.Contains(x.Text, "WHEREAS") || !strings.HasSuffix(x.Text, "AOI Announces a Supply Agreement") || len(x.Text) > 16_000 || strings.Contains(x.Text, "Bylaws") {
		t.Errorf("text of %d bytes: %.80q … %q", len(x.Text), x.Text, x.Text[max(0, len(x.Text)-80):])
	}
	if x.Evidence.Excerpt != "AOI Announces a Supply Agreement" || len(x.Evidence.SHA256) != 64 {
		t.Errorf("evidence %+v", x.Evidence)
	}
	want(t, "again", v.good())
}

func TestOnlyWantedFormsAreTold(t *testing.T) {
	t.Parallel()
	up := world(t)
	v := &visits{t: t, cfg: config(t, up), now: noon}
	v.cfg.Forms = []string{"8-K", "S-3*", "424B*"}
	v.good()
	for i, form := range []string{"4", "8-K/A", "S-3ASR", "10-Q", "424B5", "8-K12B", "SC 13G"} {
		up.SEC().File(aaoi, filing(30+i, form))
	}
	want(t, "forms", v.good(), "31", "32", "34")
}

func TestAFilingThatAppearsLateIsNotMissed(t *testing.T) {
	t.Parallel()
	up := world(t)
	v := &visits{t: t, cfg: config(t, up), now: noon}
	v.good()
	up.SEC().File(aaoi, filing(20, "8-K", "8.01"))
	want(t, "first", v.good(), "20")
	up.SEC().FileLate(aaoi, filing(19, "8-K", "8.01"))
	want(t, "out of order", v.good(), "19")
	up.SEC().File(aaoi, filing(20, "8-K", "8.01"))
	want(t, "one accession listed twice", v.good())
}

func TestTheOlderFeedStandsInForABrokenList(t *testing.T) {
	t.Parallel()
	up := world(t)
	v := &visits{t: t, cfg: config(t, up), now: noon}
	v.good()
	f := filing(20, "8-K", "1.01")
	up.SEC().File(aaoi, f)
	up.SEC().Ragged(aaoi, true)
	got := v.good()
	want(t, "columns of unequal length", got, "20")
	if o := got[0]; !o.At.Equal(f.Accepted) || !slices.Equal(o.Filing.Items, []string{"1.01"}) || !strings.Contains(o.Filing.Text, "number 20") || !strings.HasSuffix(o.Filing.Evidence.URL, "/d000115811426000020.htm") {
		t.Errorf("%+v", o.Filing)
	}
	up.SEC().Ragged(aaoi, false)
	want(t, "the list is back", v.good())
	up.Fail("data.sec.gov", upstreamtest.Down)
	up.SEC().File(lite, filing(21, "8-K", "8.01"))
	want(t, "the list is out of reach", v.good(), "21")
	up.Fail("www.sec.gov/cgi-bin", upstreamtest.Challenged)
	_, err := v.next()
	if f := watchers.AsFailure(err); f == nil || f.Class != chokepoint.Transport || f.Partial {
		t.Errorf("both are: %v", err)
	}
}

func TestARefusalEndsTheVisitAndIsNotRepeated(t *testing.T) {
	t.Parallel()
	up := world(t)
	v := &visits{t: t, cfg: config(t, up), now: noon}
	v.good()
	up.Fail("data.sec.gov", upstreamtest.RefusedBySEC)
	before := len(up.Requests(""))
	_, err := v.next()
	f := watchers.AsFailure(err)
	if f == nil || f.Class != chokepoint.Blocked || f.Wait < 10*time.Minute {
		t.Fatalf("%v, wait %v", err, f.Wait)
	}
	if n := len(up.Requests("")) - before; n != 1 {
		t.Errorf("%d requests", n)
	}
	if _, err := v.next(); watchers.AsFailure(err).Class != chokepoint.Blocked || len(up.Requests(""))-before != 1 {
		t.Errorf("it was asked again while shut: %v", err)
	}
}

func TestWithoutAContactNothingIsAsked(t *testing.T) {
	t.Parallel()
	up := world(t)
	cfg := config(t, up)
	c := fetch.New(fetch.Config{AllowPrivate: true})
	t.Cleanup(c.Close)
	cfg.Fetch = c
	_, err := source(t, cfg).Observe(t.Context(), noon, "")
	if f := watchers.AsFailure(err); f == nil || f.Class != chokepoint.NotAsked || !strings.Contains(f.Error(), "set contact") {
		t.Errorf("%v", err)
	}
	if n := len(up.Requests("")); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestAnArchiveThatLagsIsWaitedForAFewVisits(t *testing.T) {
	t.Parallel()
	up := world(t)
	v := &visits{t: t, cfg: config(t, up), now: noon}
	v.good()
	up.SEC().File(aaoi, filing(20, "8-K", "8.01"))
	folder := "www.sec.gov/Archives/edgar/data/1158114/000115811426000020"
	lag := upstreamtest.Fault{Status: 403, Body: `<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>`}
	up.Fail(folder, lag)
	want(t, "not there yet", v.good())
	up.Fail(folder, upstreamtest.Fault{})
	got := v.good()
	want(t, "there", got, "20")
	if !strings.Contains(got[0].Filing.Text, "number 20") {
		t.Errorf("text %q", got[0].Filing.Text)
	}

	up.SEC().File(aaoi, filing(21, "8-K", "8.01"))
	up.Fail("www.sec.gov/Archives/edgar/data/1158114/000115811426000021", lag)
	want(t, "never there, first", v.good())
	want(t, "never there, second", v.good())
	got = v.good()
	want(t, "never there, told without", got, "21")
	if f := got[0].Filing; f.Text != "" || !got[0].At.Equal(v.now) {
		t.Errorf("%+v", f)
	}
	want(t, "and once", v.good())
}

func TestTheIndexOfNamesStandsInForTheIndexOfTypes(t *testing.T) {
	t.Parallel()
	up := world(t)
	v := &visits{t: t, cfg: config(t, up), now: noon}
	v.good()
	f := filing(20, "8-K", "8.01")
	f.Exhibits = []upstreamtest.Exhibit{{Type: "EX-99.1", Name: "ea1ex99-1_aoi.htm", Body: "<p>Press release</p>"}}
	up.SEC().File(aaoi, f)
	up.Fail("www.sec.gov/Archives/edgar/data/1158114/000115811426000020/"+f.Accession+"-index-headers.html", upstreamtest.Fault{Status: 502})
	var got []*chokepoint.Observation
	for range triesToTell {
		got, _ = v.next()
	}
	want(t, "told", got, "20")
	if x := got[0].Filing; !slices.Equal(x.Exhibits, []string{"EX-99.1"}) || !strings.Contains(x.Text, "Press release") {
		t.Errorf("%+v", x)
	}
}

func TestManyFilingsAtOnceComeOverSeveralVisits(t *testing.T) {
	t.Parallel()
	up := world(t)
	v := &visits{t: t, cfg: config(t, up), now: noon}
	v.good()
	for n := range 45 {
		up.SEC().File(aaoi, filing(100+n, "8-K", "8.01"))
	}
	first := v.good()
	if len(first) == 0 || len(first) == 45 {
		t.Fatalf("the first brings %d", len(first))
	}
	second := v.good()
	if got := append(numbers(first), numbers(second)...); len(got) != 45 || got[0] != "100" || got[44] != "144" {
		t.Errorf("%v", got)
	}
	want(t, "afterwards", v.good())
}

func TestAFilerThatIsAddedLaterIsHistoryFirst(t *testing.T) {
	t.Parallel()
	up := world(t)
	v := &visits{t: t, cfg: config(t, up), now: noon}
	all := v.cfg.CIKs
	v.cfg.CIKs = map[chokepoint.Symbol]string{"AAOI": aaoi}
	v.good()
	v.cfg.CIKs = all
	got := v.good()
	want(t, "added", got, "4")
	if !got[0].Backfill {
		t.Error("it is not marked as history")
	}
}

func TestACIKThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, cik := range []string{"", "0", "AAOI", "12345678901", "-1"} {
		if _, err := New(Config{CIKs: map[chokepoint.Symbol]string{"X": cik}}); err == nil {
			t.Errorf("%q is taken", cik)
		}
	}
}

func TestShareGivesEachItsPart(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("wörd ", 10_000)
	for _, tc := range []struct {
		main     string
		exhibits []string
		least    []int // bytes of each exhibit that must be there
	}{
		{long, nil, nil}, {long, []string{long}, []int{10_900}}, {"short", []string{"short", long, long}, []int{5, 7_900, 7_900}}, {"", []string{long}, []int{15_900}},
	} {
		got := share(tc.main, tc.exhibits)
		if len(got) > textLimit || !strings.HasPrefix(tc.main+"\n\n", cutBytes(got, min(len(tc.main), mainLimit-10))) && tc.main != "" {
			t.Errorf("%d bytes", len(got))
		}
		parts := strings.Split(got, "\n\n")
		parts = parts[len(parts)-len(tc.exhibits):]
		for i, least := range tc.least {
			if len(parts[i]) < least {
				t.Errorf("exhibit %d of %d has %d bytes, want %d", i, len(tc.exhibits), len(parts[i]), least)
			}
		}
	}
}

func TestListsOfTheWildAreRead(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("CHOKEPOINT_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared")
	}
	dir = filepath.Join(dir, "samples", "sec")
	read := func(name string) []byte {
		body, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Skipf("no collection of EDGAR's answers at %s: set CHOKEPOINT_SHARED", dir)
		}
		return body
	}
	for name, cik := range map[string]string{"submissions_AAOI_shape.json": aaoi, "submissions_CIK0000320193_2026.json": "0000320193", "submissions_CIK0001318605_2022.json": "0001318605", "submissions_CIK0001800903.json": "0001800903"} {
		company, rows, err := submissions(read(name), cik)
		if err != nil || company == "" || len(rows) == 0 || rows[0].form == "" {
			t.Errorf("%s: %q, %d rows, %v", name, company, len(rows), err)
		}
	}
	for _, name := range []string{"getcompany_AAPL_2021.atom", "getcompany_AAPL_10-K_2021.atom"} {
		company, rows, err := atom(read(name))
		if err != nil || company != "Apple Inc." || len(rows) < 20 || rows[0].accepted.IsZero() {
			t.Errorf("%s: %q, %d rows, %v", name, company, len(rows), err)
		}
	}
	accepted, items, list, err := headers(string(read("filing_index-headers.html")))
	if err != nil || accepted.Format(time.RFC3339) != "2024-06-03T20:08:21Z" || !slices.Equal(items, []string{"5.07"}) || len(list) == 0 || list[0] != (paper{"8-K", "choice8k_060324.htm"}) {
		t.Errorf("headers: %v, %v, %v, %v", accepted, items, list, err)
	}
	var names []string
	for _, d := range directory(read("filing_index.json")) {
		if readable(d.name) {
			names = append(names, d.kind)
		}
	}
	if !slices.Equal(names, []string{"EX-99.1", "EX-99.2", "EX-99.3"}) {
		t.Errorf("directory: %v", names)
	}
	for _, name := range []string{"error_403_rate_threshold.html", "error_404_data_sec_gov.xml", "efts_search_2021.json"} {
		if _, _, err := submissions(read(name), aaoi); watchers.AsFailure(err) == nil || watchers.AsFailure(err).Class != chokepoint.NotTheFormat {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzHeaders(f *testing.F) {
	f.Add("<ACCEPTANCE-DATETIME>20240603160821\n<ITEMS>5.07\n&lt;DOCUMENT&gt;\n&lt;TYPE&gt;8-K\n&lt;FILENAME&gt;a.htm\n")
	f.Fuzz(func(t *testing.T, page string) {
		_, _, list, err := headers(page)
		for _, d := range list {
			if err != nil || strings.ContainsAny(d.name, "/\n") {
				t.Errorf("%+v, %v", d, err)
			}
		}
	})
}
