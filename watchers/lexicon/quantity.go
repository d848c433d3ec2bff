package lexicon

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Money is an amount in a currency, and where it stands.
type Money struct {
	Amount     chokepoint.Decimal
	Currency   string // ISO 4217
	UpTo       bool   // "up to", 最多
	Start, End int
}

// String is as facts write money: "300000000 USD".
func (m Money) String() string { return m.Amount.String() + " " + m.Currency }

var (
	money = regexp.MustCompile(`(up to |as much as |最多|最高|上限)?(?:` +
		`(us\$|nt\$|\$|€|£)\s?(\d[\d,]*(?:\.\d+)?)\s?(trillion|billion|million|bn|mn|b|m|tn|k|t)?\b` +
		`|(\d[\d,]*(?:\.\d+)?)\s?(trillion|billion|million)?(亿|万|億)?\s?(dollars|usd|美元|ドル|元|円|日元|sek|kronor|долл\p{L}*)` +
		`)`)
	term  = regexp.MustCompile(`\b(\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen) ?(?:years?|yr)\b|(\d{1,2}|[一二两三四五六七八九十]+)年期?(?:协议|合约|合同|长约|期|内|采购|供应)|未来(\d{1,2}|[一二两三四五六七八九十]+)年|\b(multi ?years?)\b|(多年)`)
	area  = regexp.MustCompile(`(\d[\d,]*(?:\.\d+)?)(k| thousand| million| тыс\.?)? ?(?:sq\.? ?ft|square foot|square feet|sf\b|кв)|(\d+(?:\.\d+)?)(万)?平方(?:英尺|フィート|呎)`)
	jobs  = regexp.MustCompile(`(\d[\d,]*) (?:new |local |additional |full time )*jobs|(\d[\d,]*)个?(?:工作)?(?:岗位|职位|就业)|雇用(\d[\d,]*)`)
	parts = regexp.MustCompile(`(\d+(?:\.\d+)?) ?(?:%|per ?cent\b|percent\b|％)`)
)

var words = map[string]int{"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twelve": 12, "fifteen": 15,
	"一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "十": 10}

var scales = map[string]float64{"trillion": 1e12, "tn": 1e12, "t": 1e12, "billion": 1e9, "bn": 1e9, "b": 1e9, "million": 1e6, "mn": 1e6, "m": 1e6, "k": 1e3, " thousand": 1e3, " million": 1e6, " тыс": 1e3, " тыс.": 1e3, "万": 1e4, "亿": 1e8, "億": 1e8}

var currencies = map[string]string{"us$": "USD", "nt$": "TWD", "$": "USD", "€": "EUR", "£": "GBP", "dollars": "USD", "usd": "USD", "美元": "USD", "ドル": "USD", "元": "CNY", "円": "JPY", "日元": "JPY", "sek": "SEK", "kronor": "SEK"}

func number(digits string, scale ...string) (float64, bool) {
	f, err := strconv.ParseFloat(strings.ReplaceAll(digits, ",", ""), 64)
	for _, s := range scale {
		if k, ok := scales[s]; ok {
			f *= k
		}
	}
	return f, err == nil
}

// group is submatch n of m, which FindStringSubmatchIndex gave; "" if absent.
func group(s string, m []int, n int) string {
	if m[2*n] < 0 {
		return ""
	}
	return s[m[2*n]:m[2*n+1]]
}

// Moneys finds amounts of money: "$4 billion", "up to $300M", 40亿美元. One
// that a Decimal cannot hold is left out.
func Moneys(f Folded) []Money {
	var out []Money
	for _, m := range money.FindAllStringSubmatchIndex(f.Text, -1) {
		g := func(n int) string { return group(f.Text, m, n) }
		v, ok := number(g(3), g(4))
		currency := currencies[g(2)]
		if g(5) != "" {
			v, ok = number(g(5), g(6), g(7))
			if currency = currencies[g(8)]; currency == "" {
				currency = "USD"
			}
		}
		d, fits := chokepoint.DecimalFromFloat(v, 2)
		if !ok || !fits {
			continue
		}
		start, end := f.Span(m[0], m[1])
		out = append(out, Money{d, currency, g(1) != "", start, end})
	}
	return out
}

// Term is the first term of an agreement in f: "5y"; "multiyear" where it says
// no more than that; "" if there is none.
func Term(f Folded) string {
	vague := ""
	for _, m := range term.FindAllStringSubmatchIndex(f.Text, -1) {
		for n := 1; n <= 3; n++ {
			g := group(f.Text, m, n)
			if g == "" {
				continue
			}
			years, ok := words[g]
			if !ok {
				years, _ = strconv.Atoi(g)
			}
			if years > 0 && years <= 30 {
				return strconv.Itoa(years) + "y"
			}
		}
		if group(f.Text, m, 4)+group(f.Text, m, 5) != "" {
			vague = "multiyear"
		}
	}
	return vague
}

// Area is the first floor space in f, in square feet; 0 if there is none.
func Area(f Folded) int {
	m := area.FindStringSubmatchIndex(f.Text)
	if m == nil {
		return 0
	}
	v, _ := number(group(f.Text, m, 1), group(f.Text, m, 2))
	if group(f.Text, m, 3) != "" {
		v, _ = number(group(f.Text, m, 3), group(f.Text, m, 4))
	}
	return int(v + 0.5)
}

// Jobs is the first number of jobs in f; 0 if there is none.
func Jobs(f Folded) int {
	m := jobs.FindStringSubmatchIndex(f.Text)
	if m == nil {
		return 0
	}
	v, _ := number(group(f.Text, m, 1) + group(f.Text, m, 2) + group(f.Text, m, 3))
	return int(v)
}

// Percent is a percentage and where it stands.
type Percent struct {
	Value      float64
	Start, End int
}

// Percents finds percentages.
func Percents(f Folded) []Percent {
	var out []Percent
	for _, m := range parts.FindAllStringSubmatchIndex(f.Text, -1) {
		if v, ok := number(group(f.Text, m, 1)); ok {
			start, end := f.Span(m[0], m[1])
			out = append(out, Percent{v, start, end})
		}
	}
	return out
}
