package permit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/fetch"
	"github.com/chokepoint-bot/chokepoint/internal/upstreamtest"
	"github.com/chokepoint-bot/chokepoint/watchers"
	"github.com/chokepoint-bot/chokepoint/watchers/watchertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var morning = time.Date(2026, 11, 24, 13, 5, 0, 0, time.UTC)

func client(t *testing.T) *fetch.Client {
	c := fetch.New(fetch.Config{AllowPrivate: true, Timeout: 5 * time.Second})
	t.Cleanup(c.Close)
	return c
}

// others are rows of no interest: lists are long.
func others(n int) []upstreamtest.PermitRow {
	var rows []upstreamtest.PermitRow
	for i := range n {
		rows = append(rows, upstreamtest.PermitRow{Applicant: fmt.Sprintf("%c READY-MIX LLC", 'A'+i%26), Facility: fmt.Sprint("PLANT ", i), Number: fmt.Sprint(160000 + i), Received: "01/06/2026", Status: "Technically Complete Application"})
	}
	return rows
}

func aoi(status string) upstreamtest.PermitRow {
	return upstreamtest.PermitRow{Applicant: "Applied Optoelectronics Inc", Facility: "WAFER FABRICATION, SUGAR LAND", Number: "181234, GHGPSDTX263, PSDTX1700", Received: "11/18/2026", Status: status}
}

const (
	administrative = "Administrative Complete Application"
	technical      = "Technically Complete Application"
)

func TestConformance(t *testing.T) {
	watchertest.Source(t, func(t *testing.T) watchertest.SourceCase {
		up := upstreamtest.Start(t)
		nsr, notice := up.Permits("nsr"), up.Permits("notice")
		rows := append(others(30), aoi(administrative))
		nsr.Set(rows...)
		notice.Set(upstreamtest.PermitRow{Applicant: "COHERENT CORP", Facility: "New Draft Operating Permit", Number: "O4849", Received: "04/09/2026", Status: "Draft Permit", County: "GRAYSON"})
		c := client(t)
		n := 0
		both := func(f upstreamtest.Fault) func() { return func() { up.Fail("www.tceq.texas.gov", f) } }
		return watchertest.SourceCase{
			New: func() watchers.Source {
				return New(Config{Name: "tceq", Lists: map[string]string{"nsr": nsr.URL(), "notice": notice.URL()}, Match: []string{"APPLIED OPTOELECTRONICS", "coherent"}, Fetch: c})
			},
			Now: morning,
			Tell: func() {
				n++
				row := aoi(administrative)
				row.Number, row.Received = fmt.Sprint(190000+n), "11/24/2026"
				rows = append(rows, row)
				nsr.Set(rows...)
			},
			Break: both(upstreamtest.Fault{Status: 401}),
			Class: chokepoint.Blocked,
			Mend: func() {
				both(upstreamtest.Fault{})()
				up.Fail("www.tceq.texas.gov/nsr", upstreamtest.Fault{})
			},
			BreakPart: func() { up.Fail("www.tceq.texas.gov/nsr", upstreamtest.Missing) },
			Flood:     both(upstreamtest.Bombed),
			Unconditional: func() int {
				n := 0
				for _, r := range up.Requests("www.tceq.texas.gov") {
					if r.Header.Get("If-None-Match") == "" {
						n++
					}
				}
				return n
			},
		}
	})
}

// visits makes one visit after the other, half a day apart.
type visits struct {
	t      *testing.T
	cfg    Config
	now    time.Time
	cursor string
}

func begin(t *testing.T, up *upstreamtest.Server) *visits {
	return &visits{t: t, now: morning, cfg: Config{Name: "tceq", Lists: map[string]string{"nsr": up.Permits("nsr").URL()}, Match: []string{"applied optoelectronics", "Sugar Land"}, Fetch: client(t)}}
}

func (v *visits) try() ([]string, error) {
	v.t.Helper()
	v.now = v.now.Add(12 * time.Hour)
	r, err := New(v.cfg).Observe(v.t.Context(), v.now, v.cursor)
	v.cursor = r.Cursor
	var out []string
	for _, o := range r.Observations {
		line := o.Permit.Number + ": " + o.Permit.Status
		if o.Permit.Was != "" {
			line = o.Permit.Number + ": " + o.Permit.Was + " → " + o.Permit.Status
		}
		if o.Permit.Gone {
			line = o.Permit.Number + ": gone"
		}
		if o.Backfill {
			line += " (history)"
		}
		out = append(out, line)
	}
	return out, err
}

func (v *visits) want(what string, want ...string) {
	v.t.Helper()
	got, err := v.try()
	if err != nil || !slices.Equal(got, want) {
		v.t.Errorf("%s: got %q, %v; want %q", what, got, err, want)
	}
}

func (v *visits) wantNotTheFormat(what string) {
	v.t.Helper()
	got, err := v.try()
	if f := watchers.AsFailure(err); f == nil || f.Class != chokepoint.NotTheFormat || len(got) != 0 {
		v.t.Errorf("%s: got %q, %v", what, got, err)
	}
}

func TestARowsLifeIsTold(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	nsr := up.Permits("nsr")
	nsr.Set(others(30)...)
	v := begin(t, up)
	v.want("a list without the row")
	nsr.Set(append(others(30), aoi(administrative))...)
	v.want("new", "181234: "+administrative)
	nsr.Set(append(others(31), aoi(technical))...)
	v.want("another status", "181234: "+administrative+" → "+technical)
	nsr.Set(others(31)...)
	v.want("missing once")
	nsr.Set(append(others(31), aoi(technical))...)
	v.want("back")
	nsr.Set(others(31)...)
	v.want("missing once again")
	v.want("missing twice, on a page that has not changed", "181234: gone")
	v.want("afterwards")
}

func TestAListThatIsNoneKeepsTheOldState(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	nsr := up.Permits("nsr")
	nsr.Set(append(others(30), aoi(administrative))...)
	v := begin(t, up)
	v.want("first", "181234: "+administrative+" (history)")
	nsr.SetRaw("<html><body><h1>Scheduled maintenance</h1></body></html>")
	v.wantNotTheFormat("no table")
	nsr.SetRaw("<html><body><table><tr><th>Applicant Name</th><th>County</th></tr><tr><td>AOI</td><td>X</td></tr></table></body></html>")
	v.wantNotTheFormat("another table")
	nsr.Set(append(others(15), aoi(technical))...)
	v.wantNotTheFormat("half the rows")
	nsr.Set(append(others(30), aoi(technical))...)
	v.want("it is back", "181234: "+administrative+" → "+technical)

	nsr.Set(append(others(10), aoi(technical))...)
	for range persists - 1 {
		v.wantNotTheFormat("a third of the rows")
	}
	v.want("it stays so short, and is believed")
	nsr.Set(others(10)...)
	v.want("and counts from then on")
}

func TestColumnsAreFoundByTheirNames(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	nsr := up.Permits("nsr")
	nsr.Set(append(others(3), aoi(administrative))...)
	v := begin(t, up)
	v.want("first", "181234: "+administrative+" (history)")
	nsr.SetColumns("Region", "Permit Number", "Received Date", "Facility Name", "Notes", "Application Link", "Applicant Name")
	v.want("in another order, with others between")
}

func TestARowBecomesEvidence(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	notice := up.Permits("notice")
	notice.Set(upstreamtest.PermitRow{Applicant: "Applied Optoelectronics <Texas>", Facility: "New Draft Operating Permit", Number: "O4849", Received: "04/09/2026", Status: "Draft Permit", County: "FORT BEND"})
	cfg := Config{Name: "tceq", Lists: map[string]string{"notice": notice.URL()}, Fetch: client(t)}
	r, err := New(cfg).Observe(t.Context(), morning, "")
	if err != nil || len(r.Observations) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	o := r.Observations[0]
	p := o.Permit
	if p.Applicant != "Applied Optoelectronics <Texas>" || p.Facility != "New Draft Operating Permit" || p.County != "FORT BEND" || p.Received != "2026-04-09" || p.List != "notice" || p.Status != "Draft Permit" {
		t.Errorf("%+v", p)
	}
	if e := p.Evidence; !strings.HasSuffix(e.URL, "/assets/0.pdf") || e.Publisher != "TCEQ" || !e.Primary || e.Title != "Applied Optoelectronics <Texas> · New Draft Operating Permit · O4849" {
		t.Errorf("%+v", e)
	}
	if want := time.Date(2026, 4, 9, 0, 0, 0, 0, time.UTC); !o.At.Equal(want) {
		t.Errorf("at %v", o.At)
	}
}

func TestWhatIsOfInterestNoMoreDoesNotLeave(t *testing.T) {
	t.Parallel()
	up := upstreamtest.Start(t)
	up.Permits("nsr").Set(append(others(3), aoi(administrative))...)
	v := begin(t, up)
	v.want("first", "181234: "+administrative+" (history)")
	v.cfg.Match = []string{"coherent"}
	v.want("another match")
	v.want("and later")
}

func TestListsOfTheWildAreRead(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("CHOKEPOINT_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared")
	}
	for name, want := range map[string][]string{
		"nsr-pending-permits_shape.html":    {"30198", "181234", "162351L005"},
		"titlev-pending-permits_shape.html": {"3860", "4252"},
		"pnwebrpt_shape.htm":                {"O4849"},
	} {
		page, err := os.ReadFile(filepath.Join(dir, "samples", "tceq", name))
		if err != nil {
			t.Skipf("no collection of permit lists at %s: set CHOKEPOINT_SHARED", dir)
		}
		rows, err := table(page, "text/html", "https://www.tceq.texas.gov/list.html")
		var got []string
		for _, r := range rows {
			got = append(got, r.number)
			if r.Applicant == "" || r.Facility == "" || r.Received == "" || strings.Contains(r.Applicant, "Plain Language") {
				t.Errorf("%s: %+v", name, r)
			}
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add([]byte("<table><tr><th>Applicant Name<th>Facility Name<th>Permit Number<tr><td>A Corp<td>B<td>1, 2</table>"))
	f.Fuzz(func(t *testing.T, page []byte) {
		rows, err := table(page, "text/html", "https://a.example/")
		if err != nil && len(rows) > 0 {
			t.Error("rows with an error")
		}
		for _, r := range rows {
			if r.number == "" || strings.ContainsAny(r.number, ", \n") || r.link != "" && !strings.HasPrefix(r.link, "http") {
				t.Errorf("%+v", r)
			}
		}
	})
}
