package replay

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/chokepoint-bot/chokepoint/internal/thesis"
)

const sample = `{"id":"b","title":"应用光电糖城新厂动土","summary":"投资增至3亿美元","source":"x","published":"2026-02-11","lang":"zh-Hans","kinds":["aaoi_texas"],"companies":["AAOI"],"story":"s"}
{"id":"a","title":"Applied Optoelectronics breaks ground in Sugar Land","summary":"","source":"y","published":"2026-02-10","lang":"en","kinds":["aaoi_texas"],"companies":["AAOI"],"story":"s"}

{"id":"c","title":"AOI检测设备需求升温","summary":"自动光学检测","source":"z","published":"2026-02-12T10:00:00Z","lang":"zh-Hans","kinds":["none"],"companies":[],"story":"single-c","hard":true}
{"id":"d","title":"Microsoft signs multiyear supply agreement with Lumentum for lasers","summary":"","source":"z","published":"2026-02-13","lang":"en","kinds":["lta"],"companies":["MSFT","LITE"],"buyer":["MSFT"],"supplier":["LITE"],"story":"m"}
`

func builtin(t *testing.T) *thesis.Thesis {
	th, err := thesis.Builtin("cw-laser")
	if err != nil {
		t.Fatal(err)
	}
	return th
}

func TestJudgeWritesAVerdictALineInOrder(t *testing.T) {
	var out bytes.Buffer
	if err := Judge(strings.NewReader(sample), &out, builtin(t)); err != nil {
		t.Fatal(err)
	}
	var vs []Verdict
	for dec := json.NewDecoder(&out); dec.More(); {
		var v Verdict
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		vs = append(vs, v)
	}
	if len(vs) != 4 || vs[0].ID != "a" || vs[1].ID != "b" || vs[0].Story == "" || vs[0].Story != vs[1].Story || vs[0].Update || !vs[1].Update {
		t.Fatalf("got %+v", vs)
	}
	if vs[2].Alert || vs[2].Kinds[0] != "none" || vs[3].Buyer[0] != "MSFT" || vs[3].Supplier[0] != "LITE" || vs[3].Polarity != "positive" {
		t.Errorf("got %+v and %+v", vs[2], vs[3])
	}
}

func TestScorePrintsTheMeasures(t *testing.T) {
	var out bytes.Buffer
	if err := Score(strings.NewReader(sample), &out, builtin(t)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"alert or not        precision 1.00  recall 1.00", "(3 right, 0 false, 0 missed)", "false alarms on hard items: 0", "both parties right  1.00 of 1 agreements", "1.00 messages for each of 2 stories told"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
}

func TestALineThatIsNoItemIsNamed(t *testing.T) {
	for _, bad := range []string{"{", `{"id":"a","published":"soon"}`} {
		if err := Judge(strings.NewReader("\n"+bad+"\n"), &bytes.Buffer{}, builtin(t)); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestBCubed(t *testing.T) {
	p, r := bcubed([]pair{{"1", "x"}, {"1", "x"}, {"1", "y"}, {"2", "y"}})
	if math.Abs(p-(2.0/3+2.0/3+1.0/3+1)/4) > 1e-9 || math.Abs(r-(1+1+0.5+0.5)/4) > 1e-9 {
		t.Errorf("precision %v, recall %v", p, r)
	}
}
