// Package storytest makes streams of news for the tests of judges.
package storytest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/watchers"
	"github.com/chokepoint-bot/chokepoint/watchers/watchertest"
)

// at reads "2026-02-10T18:00:00Z".
func at(moment string) time.Time {
	t, err := time.Parse(time.RFC3339, moment)
	if err != nil {
		panic(err)
	}
	return t
}

// News is an item that a publisher carried at that moment (RFC 3339).
func News(moment, publisher, title, text string) chokepoint.Observation {
	t := at(moment)
	return chokepoint.Observation{
		ID: chokepoint.NewObservationID("news", publisher, title), Source: "news", Kind: chokepoint.KindNews, At: t, Seen: t,
		News: &chokepoint.News{Evidence: chokepoint.Evidence{URL: "https://example.com/" + chokepoint.ShortHash(6, title), Publisher: publisher, Title: title, Excerpt: text, Published: t}, Text: text},
	}
}

// Filing is an 8-K of that company.
func Filing(moment string, symbol chokepoint.Symbol, company, text string) chokepoint.Observation {
	t := at(moment)
	return chokepoint.Observation{
		ID: chokepoint.NewObservationID("sec", string(symbol), moment), Source: "sec", Kind: chokepoint.KindFiling, At: t, Seen: t,
		Filing: &chokepoint.Filing{
			Evidence: chokepoint.Evidence{URL: "https://www.sec.gov/" + moment, Publisher: "SEC", Title: "8-K " + company, Published: t, Primary: true},
			Company:  company, Symbol: symbol, Form: "8-K", Items: []string{"1.01", "9.01"}, Text: text,
		},
	}
}

// Permit is a row of a permit list.
func Permit(moment, number, applicant, was, status string) chokepoint.Observation {
	t := at(moment)
	return chokepoint.Observation{
		ID: chokepoint.NewObservationID("tceq", number, status), Source: "tceq", Kind: chokepoint.KindPermit, At: t, Seen: t,
		Permit: &chokepoint.Permit{Evidence: chokepoint.Evidence{Publisher: "TCEQ", Title: "Permit " + number, Published: t}, List: "nsr", Number: number, Applicant: applicant, Facility: "Plant", Status: status, Was: was},
	}
}

// Year is sixteen months of news as it reached people, with what must stay
// silent among it: columns, other meanings of AOI, other companies in Texas, a
// recap, and words that look like names.
func Year() []chokepoint.Observation {
	city := News("2026-02-10T18:00:00Z", "City of Sugar Land", "Applied Optoelectronics breaks ground on new Sugar Land manufacturing facility", "City leaders joined Applied Optoelectronics on February 10 to break ground on a 210,000 square foot plant. The investment may grow from $150 million to $300 million, with 500 jobs expected by the end of next year.")
	city.News.Evidence.Primary = true
	return []chokepoint.Observation{
		News("2025-03-11T12:00:00Z", "Columns", "Three AI stocks to own for ten years", "A columnist likes NVIDIA, Amazon and Applied Optoelectronics for the long run."),
		News("2025-03-12T12:00:00Z", "快讯", "AOI检测设备需求升温", "自动光学检测(AOI)设备厂商称面板客户订单回升。"),
		Filing("2025-03-13T12:31:00Z", "AAOI", "APPLIED OPTOELECTRONICS, INC.", "Item 1.01 Entry into a Material Definitive Agreement. On March 13, 2025, Applied Optoelectronics, Inc. entered into a transaction agreement with Amazon.com, Inc. under which a subsidiary of Amazon received a warrant to acquire up to 7,945,399 shares of common stock at an exercise price of $23.6954. Part of the warrant vested at signing; the rest vests as Amazon and its affiliates purchase products from the company, up to $4 billion of discretionary purchases over ten years."),
		News("2025-03-13T13:05:00Z", "Newswire", "Amazon gets warrant on Applied Optoelectronics tied to up to $4 billion of purchases", "A filing shows that Amazon may buy about 7.9 million AAOI shares, vesting as Amazon buys up to $4 billion of optical transceivers over ten years."),
		News("2025-03-13T14:20:00Z", "快讯", "亚马逊获AAOI认股权证,与最高40亿美元采购挂钩", "应用光电公告显示,亚马逊可认购约795万股,随未来十年最高40亿美元的光模块采购逐步归属。"),
		News("2025-04-02T15:00:00Z", "Columns", "Why the Amazon warrant of last month matters for Applied Optoelectronics", "A column looks back at the agreement announced in March and asks whether it is time to buy."),
		News("2025-08-06T12:00:00Z", "Newswire", "Coherent expands its Sherman, Texas laser plant", "Coherent adds indium phosphide wafer capacity at its plant in Sherman, Texas."),
		News("2025-10-09T02:00:00Z", "快讯", "德州仪器扩建谢尔曼晶圆厂", "德州仪器称其位于得州谢尔曼的新晶圆厂进展顺利。"),
		city,
		News("2026-02-10T21:10:00Z", "Newswire", "Applied Optoelectronics doubles planned Sugar Land investment to $300M as work begins", "The optics maker broke ground in Sugar Land, Texas, on a 210,000-square-foot transceiver plant and may invest up to $300 million."),
		News("2026-02-11T01:30:00Z", "快讯", "应用光电糖城新厂动土,投资或增至3亿美元", "AAOI在美国德州糖城为21万平方英尺新厂举行动土仪式,投资由1.5亿美元增至最多3亿美元,预计新增500个岗位。"),
		Filing("2026-02-13T12:45:00Z", "AAOI", "APPLIED OPTOELECTRONICS, INC.", "Item 7.01 Regulation FD Disclosure. Applied Optoelectronics, Inc. announced that it held a groundbreaking ceremony on February 10, 2026 for its new 210,000 square foot manufacturing facility in Sugar Land, Texas. The company's investment in the facility and headquarters may increase from $150 million to $300 million by the end of next year."),
		News("2026-03-02T12:05:00Z", "Newswire", "NVIDIA signs multiyear agreements with Lumentum and Coherent, invests $2 billion in each", "NVIDIA will invest $2 billion each in Lumentum and Coherent. The nonexclusive multiyear agreements include multibillion-dollar purchase commitments and future access to capacity for advanced laser components."),
		News("2026-03-02T12:40:00Z", "Trade paper", "Laser makers Lumentum and Coherent sell capacity to NVIDIA in multibillion supply deals", "Both agreements run several years and carry purchase commitments and capacity rights for lasers used in optical interconnects."),
		News("2026-03-02T13:10:00Z", "快讯", "英伟达与Lumentum、Coherent签署多年采购协议,各投资20亿美元", "英伟达宣布对Lumentum和Coherent各投资20亿美元,协议包含数十亿美元采购承诺及先进激光器产能使用权。"),
		Filing("2026-03-02T13:12:00Z", "LITE", "LUMENTUM HOLDINGS INC.", "Item 1.01 Entry into a Material Definitive Agreement. On March 2, 2026 Lumentum Holdings Inc. and NVIDIA Corporation entered into a multiyear strategic agreement that includes a multibillion-dollar purchase commitment by NVIDIA and future access rights to capacity for advanced laser components. NVIDIA will invest $2 billion in Lumentum."),
		News("2026-03-10T15:00:00Z", "Columns", "Meta analysis: are AI stocks expensive?", "A meta-analysis of valuation studies finds coherent evidence that investors overpay for stories."),
		News("2026-06-15T06:30:00Z", "TrendForce", "AMD accelerates laser procurement as CPO market heads for $39 billion in 2030, says TrendForce", "AMD is negotiating large purchase agreements for high-power CW laser chips. CW capacity of Lumentum and Coherent is booked through 2028, and the market for co-packaged and near-packaged optics is seen rising from about $100 million in 2025 to over $39 billion by 2030."),
		News("2026-06-15T07:20:00Z", "快讯", "集邦咨询:AMD加速采购CW激光器,洽谈大额长约", "TrendForce称AMD正与供应商洽谈高功率CW激光芯片大额采购协议,Lumentum与Coherent产能已被预订至2028年。"),
	}
}

// Alike judges a stream one by one, one by one with a new judge each time, and
// in one batch, fails unless the alerts are the same, by ID, and fails if the
// stream as history gives any. It returns the alerts.
func Alike(t *testing.T, fresh func() watchers.Judge, stream []chokepoint.Observation) []chokepoint.Alert {
	t.Helper()
	one := fresh()
	got := watchertest.Run(t, func() watchers.Judge { return one }, stream, nil, 1)
	ids := func(alerts []chokepoint.Alert) string {
		var b bytes.Buffer
		for _, a := range alerts {
			fmt.Fprintln(&b, a.ID, a.Escalate, a.Headline)
		}
		return b.String()
	}
	for name, other := range map[string][]chokepoint.Alert{
		"a new judge each time": watchertest.Run(t, fresh, stream, nil, 1),
		"one batch":             watchertest.Run(t, fresh, stream, nil, len(stream)),
	} {
		if ids(other) != ids(got) {
			t.Errorf("%s gives\n%sand one by one\n%s", name, ids(other), ids(got))
		}
	}
	var history []chokepoint.Observation
	for _, o := range stream {
		o.Backfill = true
		history = append(history, o)
	}
	if a := watchertest.Run(t, fresh, history, nil, 1); len(a) > 0 {
		t.Errorf("as history it gives\n%s", ids(a))
	}
	for _, a := range got {
		if a.Direction == chokepoint.Positive && len(a.Risks) == 0 {
			t.Errorf("%q is bullish and names no risk", a.Headline)
		}
	}
	return got
}
