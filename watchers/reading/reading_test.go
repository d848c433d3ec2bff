package reading

import (
	"slices"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/thesis"
)

func builtin(t *testing.T) *Reader {
	t.Helper()
	th, err := thesis.Builtin("cw-laser")
	if err != nil {
		t.Fatal(err)
	}
	return NewReader(th)
}

func TestTheBuiltinThesisKeepsItsSentences(t *testing.T) {
	for _, err := range Check(builtin(t).th) {
		t.Error(err)
	}
}

func TestCheckNamesASentenceThatIsNotKept(t *testing.T) {
	th, err := thesis.Builtin("cw-laser")
	if err != nil {
		t.Fatal(err)
	}
	th.Companies[0].Must = append(th.Companies[0].Must, "nobody is named here")
	if errs := Check(th); len(errs) != 1 {
		t.Errorf("got %v", errs)
	}
}

func TestRead(t *testing.T) {
	r := builtin(t)
	on := func(day string) time.Time {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		return at.Add(12 * time.Hour)
	}
	for name, tc := range map[string]struct {
		title, text, day string
		kinds            []string
	}{
		"a groundbreaking":                           {"Applied Optoelectronics breaks ground on Sugar Land plant", "A 210,000 square foot plant; $300 million; 500 jobs.", "2026-02-10", []string{KindSite}},
		"a groundbreaking in traditional Chinese":    {"應用光電糖城新廠動土", "投資增至3億美元。", "2026-02-11", []string{KindSite}},
		"another company's Texas plant":              {"Coherent expands its Sherman, Texas laser plant", "It adds indium phosphide wafer capacity.", "2025-08-06", nil},
		"德州仪器 is Texas Instruments":                  {"德州仪器扩建谢尔曼晶圆厂", "位于得州谢尔曼的新晶圆厂进展顺利。", "2025-10-09", nil},
		"a headquarters is no expansion":             {"Applied Optoelectronics hires a lawyer", "The company, headquartered in Sugar Land, is expanding its team.", "2026-01-05", nil},
		"inspection machines":                        {"AOI检测设备需求升温", "自动光学检测(AOI)设备厂商称订单回升。", "2025-03-07", nil},
		"an agreement with its terms":                {"NVIDIA signs multiyear agreements with Lumentum and Coherent", "Purchase commitments and access rights to laser capacity.", "2026-03-02", []string{KindAgreement}},
		"an order whose buyer is not named":          {"AAOI wins first volume order for 800G transceivers", "The buyer is a major hyperscale customer.", "2025-12-18", []string{KindAgreement}},
		"an agreement of half a year ago":            {"The Amazon agreement of Applied Optoelectronics", "The warrant of March 13, 2025 is tied to purchases.", "2025-10-01", nil},
		"a purchase agreement for notes is no order": {"Lumentum signs purchase agreement for convertible notes with Amazon as holder", "$1.1 billion.", "2025-09-03", []string{"risk_runup"}},
		"a column that names everybody":              {"Three AI stocks to own for ten years", "NVIDIA, Amazon and Applied Optoelectronics have supply agreements.", "2025-03-06", nil},
		"negotiations with nobody named":             {"AMD accelerates laser procurement", "AMD is negotiating large purchase agreements for high-power CW laser chips.", "2026-06-15", []string{"catalyst_amd"}},
		"a fall of 12 per cent":                      {"Lumentum shares fall 12%", "", "2026-01-05", []string{"risk_volatility"}},
		"a fall of 5 per cent however loud":          {"Lumentum plunges 5%", "", "2026-01-05", nil},
		"a rise over a year is no swing":             {"Lumentum up 172% this year", "", "2026-05-18", nil},
		"nothing at all":                             {"", "", "2026-05-18", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := r.Read(Item{Title: tc.title, Text: tc.text, Published: on(tc.day)})
			if !slices.Equal(got.Kinds, tc.kinds) {
				t.Errorf("got %v (%+v), want %v", got.Kinds, got.Reasons, tc.kinds)
			}
		})
	}
}

func TestReadFillsTheSlots(t *testing.T) {
	r := builtin(t)
	at := time.Date(2026, 2, 10, 18, 0, 0, 0, time.UTC)
	m := r.Read(Item{Title: "Applied Optoelectronics breaks ground on Sugar Land plant", Text: "The 210,000 square foot plant may cost $150 million to $300 million and bring 500 jobs.", Published: at}).Milestone
	if want := (Milestone{Site: "aaoi-texas", Milestone: "groundbreaking", Status: "done", Jobs: 500, Area: 210000, Invest: "300000000 USD"}); m == nil || *m != want {
		t.Errorf("got %+v, want %+v", m, want)
	}
	a := r.Read(Item{Title: "Amazon gets warrant on Applied Optoelectronics tied to up to $4 billion of purchases", Text: "It vests over ten years as Amazon buys optical transceivers.", Published: at}).Agreement
	if a == nil || a.Buyer != "AMZN" || !slices.Equal(a.Suppliers, []string{"AAOI"}) || a.Amount != "4000000000 USD" || a.Term != "10y" || a.Product != "transceiver" || a.Sure != "reported" {
		t.Errorf("got %+v", a)
	}
	if a := r.Read(Item{Title: "Amazon reportedly in talks on supply agreement with Lumentum for lasers", Published: at}).Agreement; a == nil || a.Sure != "rumour" {
		t.Errorf("talks: got %+v", a)
	}
	f := Item{Title: "8-K APPLIED OPTOELECTRONICS, INC.", Text: "Item 1.01 Entry into a Material Definitive Agreement. Applied Optoelectronics, Inc. entered into a five-year supply agreement with Oracle Corporation under which Oracle commits to purchase up to $2 billion of optical transceivers.", Filing: true, Form: "8-K", Filer: "AAOI", Published: at}
	if a := r.Read(f).Agreement; a == nil || a.Buyer != "ORCL" || a.Sure != "filed" || a.Term != "5y" || a.Amount != "2000000000 USD" {
		t.Errorf("a filing: got %+v", a)
	}
	f.Form = "10-Q"
	if got := r.Read(f); len(got.Kinds) > 0 {
		t.Errorf("a quarterly report tells %v", got.Kinds)
	}
	if a := r.Read(Item{Title: "Lumentum denies supply agreement with Amazon for lasers", Published: at}); a.Agreement == nil || a.Agreement.Sure != "denied" || a.Polarity != chokepoint.Negative {
		t.Errorf("denial: got %+v", a.Agreement)
	}
}

func TestMilestonesAsTheNewsTellsThem(t *testing.T) {
	r := builtin(t)
	for title, want := range map[string]string{
		"Applied Optoelectronics leases second building in Pearland, Texas":                       "lease done",
		"Sugar Land council approves tax abatement for Applied Optoelectronics":                   "incentive done",
		"AAOI awards cleanroom contract for its Sugar Land plant":                                 "construction done",
		"Applied Optoelectronics halts construction of Sugar Land, Texas plant":                   "construction delayed",
		"Applied Optoelectronics delays equipment at its Sugar Land, Texas plant":                 "equipment delayed",
		"TCEQ denies permit for Applied Optoelectronics plant in Sugar Land: air permit rejected": "permit denied",
		"Applied Optoelectronics files air permit application for Sugar Land":                     "permit planned",
		"Applied Optoelectronics starts production at its Sugar Land factory: production begins":  "production done",
		"Applied Optoelectronics to break ground in Sugar Land next month":                        "groundbreaking planned",
		"应用光电糖城新厂投产":                                                                              "production done",
		"应用光电德州工厂推迟设备进场":                                                                          "equipment delayed",
		"應用光電計劃在德州休斯頓擴產":                                                                          "announced planned",
		"AAOI wins an order for 800G":                                                             "",
	} {
		got := ""
		if m := r.Read(Item{Title: title, Published: time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)}).Milestone; m != nil {
			got = m.Milestone + " " + m.Status
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", title, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	th, err := thesis.Builtin("cw-laser")
	if err != nil {
		f.Fatal(err)
	}
	r := NewReader(th)
	f.Add("AAOI up 12%", "糖城 $3 2月30日 英伟达.")
	f.Add("輝達\xff", "x，、8%")
	f.Fuzz(func(t *testing.T, title, text string) {
		it := Item{Title: title, Text: text, Published: time.Date(2026, 2, 10, 0, 0, 0, 0, time.UTC)}
		a, b := r.Read(it), r.Read(it)
		if !slices.Equal(a.Kinds, b.Kinds) || !slices.Equal(a.Companies, b.Companies) {
			t.Fatalf("read twice: %v, %v", a, b)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	th, err := thesis.Builtin("cw-laser")
	if err != nil {
		b.Fatal(err)
	}
	r := NewReader(th)
	it := Item{Title: "NVIDIA signs multiyear agreements with Lumentum and Coherent, invests $2 billion in each", Text: "NVIDIA will invest $2 billion each in Lumentum and Coherent. The nonexclusive multiyear agreements include multibillion-dollar purchase commitments and future access to capacity for advanced laser components.", Published: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)}
	for b.Loop() {
		r.Read(it)
	}
}
