package price

import (
	"regexp"
	"strings"
	"time"

	"golang.org/x/text/width"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/near"
)

// exampleSymbol stands where a person left the symbol out.
const exampleSymbol chokepoint.Symbol = "AAOI"

// A meaning is what a word of the language stands for.
type meaning struct {
	is  word
	way chokepoint.Direction // of wayWord
	day time.Weekday         // of weekdayWord
	n   int                  // of relativeDay: days from today
}

type word uint8

const (
	filler word = iota + 1
	aboveWord
	belowWord
	crossesWord
	movesWord
	swingsWord
	wayWord
	onceWord
	everyWord
	cooldownWord
	untilWord
	urgentWord
	weekdayWord
	relativeDay
)

// vocabulary is folded: half width, lower case, simplified.
var vocabulary = func() map[string]meaning {
	v := map[string]meaning{}
	add := func(m meaning, words string) {
		for _, w := range strings.Fields(words) {
			v[w] = m
		}
	}
	add(meaning{is: filler}, `a an the price of to by at in within is goes than more less least it its and if when alert me
		usd sek twd jpy krw eur dollars 的 了 内 之内 以内 在 价格 股价 元 美元 幅度 达 达到 至少 如果 当 时 就 提醒 我 或 之间`)
	add(meaning{is: aboveWord}, "above over exceeds > >= 涨破 突破 高于 超过 大于 上破 升破 涨到 涨至 升至 以上")
	add(meaning{is: belowWord}, "below under < <= 跌破 低于 小于 下破 跌到 跌至 降至 以下")
	add(meaning{is: crossesWord}, "crosses cross crossing 穿越 穿过 上下穿越")
	add(meaning{is: movesWord}, "moves move moved moving changes change 涨跌 涨跌幅 变动 波动 涨或跌")
	add(meaning{is: swingsWord}, "swings swing ranges range 振幅 震幅")
	add(meaning{is: wayWord, way: chokepoint.Positive}, "up rises rise gains gain 上涨 涨 上升 涨幅 升")
	add(meaning{is: wayWord, way: chokepoint.Negative}, "down falls fall drops drop loses lose 下跌 跌 下降 跌幅 降")
	add(meaning{is: onceWord}, "once 一次 仅一次 只一次 一次性 仅限一次")
	add(meaning{is: everyWord}, "every each 每 每隔")
	add(meaning{is: cooldownWord}, "cooldown cooling pause 冷却 静默 冷却时间")
	add(meaning{is: untilWord}, "until till 直到 直至 截至 截止")
	add(meaning{is: urgentWord}, "urgent urgently 紧急")
	for i, w := range strings.Fields("today,今天,今日 tomorrow,明天,明日") {
		add(meaning{is: relativeDay, n: i}, strings.ReplaceAll(w, ",", " "))
	}
	for i, w := range strings.Fields("sunday,sun,周日,周天,星期日,星期天 monday,mon,周一,星期一 tuesday,tue,周二,星期二 wednesday,wed,周三,星期三 thursday,thu,周四,星期四 friday,fri,周五,星期五 saturday,sat,周六,星期六") {
		add(meaning{is: weekdayWord, day: time.Weekday(i)}, strings.ReplaceAll(w, ",", " "))
	}
	return v
}()

// longest is the longest Chinese word of the vocabulary, in runes.
var longest = func() (n int) {
	for w := range vocabulary {
		if w[0] >= 0x80 {
			n = max(n, len([]rune(w)))
		}
	}
	return n
}()

var simplify = strings.NewReplacer("漲", "涨", "內", "内", "週", "周", "時", "时", "鐘", "钟", "個", "个", "緊", "紧",
	"動", "动", "於", "于", "僅", "仅", "過", "过", "卻", "却", "達", "达", "當", "当", "價", "价", "變", "变",
	"天內", "天内", "兩", "两", "礼拜", "星期", "禮拜", "星期", "號", "号")

// fold brings what people type to one form: half width, simplified, one space
// between words.
func fold(s string) string {
	if len(s) > 4*maxText {
		s = s[:4*maxText]
	}
	s = simplify.Replace(width.Fold.String(strings.ToValidUTF8(s, " ")))
	return strings.Join(strings.Fields(s), " ")
}

var symbolForm = regexp.MustCompile(`^\$?(\^?[A-Za-z0-9][A-Za-z0-9.=-]{0,15})`)

// cutSymbol takes the symbol off the front of a folded line; "" if there is
// none.
func cutSymbol(line string) (symbol, rest string) {
	m := symbolForm.FindStringSubmatch(line)
	if m == nil || !strings.ContainsFunc(m[1], func(r rune) bool { return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' }) {
		return "", line
	}
	if strings.HasSuffix(m[1], ".") || strings.HasSuffix(m[1], "-") {
		return "", line
	}
	rest = line[len(m[0]):]
	if rest != "" && rest[0] < 0x80 && rest[0] != ' ' && rest[0] != ',' && rest[0] != ':' && rest[0] != '<' && rest[0] != '>' {
		return "", line
	}
	return m[1], strings.TrimSpace(rest)
}

const number = `(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)`

var (
	dateForm    = regexp.MustCompile(`^(\d{4})[-/年](\d{1,2})[-/月](\d{1,2})[日号]?`)
	percentForm = regexp.MustCompile(`^([+-]?)` + number + ` ?(?:%|percent\b|per cent\b|pct\b)`)
	spanForm    = regexp.MustCompile(`^(` + number + ` ?|[一二两三四五六七八九十半] ?)?个?(?:(minutes|minute|mins|min|m|hours|hour|hrs|hr|h|days|day|d|weeks|week|w)\b|(分钟|小时|钟头|交易日|天|日|周|星期))`)
	numberForm  = regexp.MustCompile(`^[$€£¥]?` + number)
	letters     = regexp.MustCompile(`^[a-z][a-z']*`)
	opForm      = regexp.MustCompile(`^[<>]=?`)
)

var numerals = map[string]string{"一": "1", "二": "2", "两": "2", "三": "3", "四": "4", "五": "5", "六": "6", "七": "7", "八": "8", "九": "9", "十": "10", "半": "0.5"}

// A span as it was typed: how many of minutes, hours, days or weeks.
type span struct {
	n    chokepoint.Decimal
	unit time.Duration // Minute, Hour, day, week
	text string
}

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// of is the span's length in whole minutes; 0 if it has none or is absurd.
func (s span) of() time.Duration {
	if s.n <= 0 || s.n > 100_000*chokepoint.Unit {
		return 0
	}
	d := time.Duration(s.n) * (s.unit / time.Minute) / time.Duration(chokepoint.Unit)
	return d * time.Minute
}

// A draft is what was found in a text, before it is known to be a rule.
type draft struct {
	symbol   chokepoint.Symbol
	is       []word // of the condition: aboveWord … swingsWord, without repeats
	way      chokepoint.Direction
	level    []chokepoint.Decimal
	percent  []chokepoint.Decimal
	number   string // the last number that could not be read exactly
	span     *span
	once     bool
	every    *span
	cooldown *span
	dangling word // every, cooldown or until with nothing behind it
	date     string
	weekday  *time.Weekday
	relative *int
	urgent   bool
	unknown  []string
}

// ops counts the words that could make a condition.
func (d *draft) ops() int { return len(d.is) + int(d.way*d.way) }

// read finds the words, numbers and spans of a folded text.
func read(text string) *draft {
	d := &draft{}
	s := strings.ToLower(text)
	pending := word(0) // every, cooldown or until waits for its argument
	for s != "" {
		var n int
		switch {
		case strings.ContainsRune(" ,;:.!?()\"'", rune(s[0])) && !(s[0] == '.' && numberForm.MatchString(s)):
			s = s[1:]
			continue
		case s[0] >= 0x80 && known(s) > 0: // before spans: "周五" is not "周"
			n = known(s)
			pending = d.word(s[:n], pending)
		case match(dateForm, s, &n):
			m := dateForm.FindStringSubmatch(s)
			d.date = m[1] + "-" + pad(m[2]) + "-" + pad(m[3])
			pending = 0
		case match(percentForm, s, &n):
			m := percentForm.FindStringSubmatch(s)
			d.percent = d.decimal(d.percent, m[2])
			if m[1] == "-" {
				d.way = chokepoint.Negative
			}
		case match(spanForm, s, &n):
			sp := readSpan(s)
			switch pending {
			case everyWord:
				d.every = &sp
			case cooldownWord:
				d.cooldown = &sp
			default:
				d.span = &sp
			}
			pending = 0
		case match(numberForm, s, &n):
			d.level = d.decimal(d.level, numberForm.FindStringSubmatch(s)[1])
		case match(opForm, s, &n), match(letters, s, &n):
			pending = d.word(s[:n], pending)
		default:
			n = unknown(s)
			pending = d.word(s[:n], pending)
		}
		s = s[n:]
	}
	d.dangling = pending
	return d
}

func match(re *regexp.Regexp, s string, n *int) bool {
	loc := re.FindStringIndex(s)
	if loc != nil {
		*n = loc[1]
	}
	return loc != nil
}

func pad(s string) string {
	if len(s) == 1 {
		return "0" + s
	}
	return s
}

func readSpan(s string) span {
	m := spanForm.FindStringSubmatch(s)
	sp := span{text: strings.TrimSpace(m[0]), unit: time.Minute}
	n := strings.TrimSpace(m[1])
	if zh, ok := numerals[n]; ok {
		n = zh
	} else if n == "" {
		n = "1"
	}
	sp.n, _ = chokepoint.ParseDecimal(strings.ReplaceAll(n, ",", ""))
	switch unit := m[3] + m[4]; {
	case strings.HasPrefix(unit, "h"), unit == "小时", unit == "钟头":
		sp.unit = time.Hour
	case strings.HasPrefix(unit, "d"), unit == "天", unit == "日", unit == "交易日":
		sp.unit = day
	case strings.HasPrefix(unit, "w"), unit == "周", unit == "星期":
		sp.unit = week
	}
	return sp
}

// decimal appends a number unless it is not exact, which finish then tells.
func (d *draft) decimal(to []chokepoint.Decimal, s string) []chokepoint.Decimal {
	n, err := chokepoint.ParseDecimal(strings.ReplaceAll(s, ",", ""))
	if err != nil {
		d.number = clip(s)
		return to
	}
	for _, have := range to {
		if have == n {
			return to
		}
	}
	return append(to, n)
}

// known is the length of the longest Chinese word of the vocabulary at the
// front of s; 0 if there is none.
func known(s string) (best int) {
	runes := 0
	for i := range s + " " {
		if runes > longest {
			break
		}
		if runes > 0 && vocabulary[s[:i]].is != 0 {
			best = i
		}
		runes++
	}
	return best
}

// unknown is the length of what stands at the front of s and is no word.
func unknown(s string) int {
	for i, r := range s {
		if i > 0 && (r < 0x80 || known(s[i:]) > 0) {
			return i
		}
	}
	return len(s)
}

// word takes one word in, and says what now waits for its argument.
func (d *draft) word(w string, pending word) word {
	m := vocabulary[w]
	switch m.is {
	case 0:
		d.unknown = append(d.unknown, w)
	case aboveWord, belowWord, crossesWord, movesWord, swingsWord:
		d.add(m.is)
	case wayWord:
		d.way = m.way
	case onceWord:
		d.once = true
	case urgentWord:
		d.urgent = true
	case everyWord, cooldownWord, untilWord:
		return m.is
	case weekdayWord, relativeDay:
		switch {
		case pending == untilWord && m.is == weekdayWord:
			d.weekday = &m.day
		case pending == untilWord:
			d.relative = &m.n
		case m.is == relativeDay && m.n == 0: // "moves 8% today"
		default:
			d.unknown = append(d.unknown, w)
		}
		if pending == untilWord {
			return 0
		}
	}
	return pending
}

func (d *draft) add(w word) {
	for _, have := range d.is {
		if have == w {
			return
		}
	}
	d.is = append(d.is, w)
}

func (d *draft) has(w word) bool {
	for _, have := range d.is {
		if have == w {
			return true
		}
	}
	return false
}

// finish makes the condition, or names the first thing that is wrong with it.
func (d *draft) finish(now time.Time) (c Condition, key, about string) {
	c = Condition{Symbol: d.symbol, Once: d.once, Urgent: d.urgent}
	if len(d.unknown) > 0 {
		return c, "price.err.word", clip(d.unknown[0])
	}
	if d.number != "" {
		return c, "price.err.number", d.number
	}

	is := d.is
	if len(is) == 0 && d.way != 0 {
		is = []word{movesWord}
	}
	if d.has(movesWord) || d.has(swingsWord) || d.way != 0 && len(d.percent) > 0 {
		// "moves more than 8%" and "涨幅超过 8%" say "above" of the percentage.
		is = nil
		for _, w := range d.is {
			if w != aboveWord {
				is = append(is, w)
			}
		}
		if len(is) == 0 {
			is = []word{movesWord}
		}
	}
	switch {
	case len(is) == 0:
		return c, "price.err.no-condition", ""
	case len(is) > 1:
		return c, "price.err.two-conditions", ""
	}
	c.Op = map[word]Op{aboveWord: Above, belowWord: Below, crossesWord: Crosses, movesWord: Moves, swingsWord: Swings}[is[0]]

	numbers, key := d.level, "price.err.no-level"
	if c.Op == Moves || c.Op == Swings {
		numbers, key = d.percent, "price.err.no-percent"
		if len(d.level) > 0 && len(d.percent) > 0 {
			return c, "price.err.two-numbers", ""
		}
	} else if len(d.percent) > 0 {
		return c, "price.err.percent-level", ""
	}
	switch {
	case len(numbers) == 0:
		return c, key, ""
	case len(numbers) > 1:
		return c, "price.err.two-numbers", ""
	}
	c.Level = numbers[0]

	switch c.Op {
	case Moves, Swings:
		if c.Level < chokepoint.Unit/10 || c.Level > 1000*chokepoint.Unit {
			return c, "price.err.percent-range", c.Level.String()
		}
	default:
		if c.Level <= 0 || c.Level > 100_000_000*chokepoint.Unit {
			return c, "price.err.level-range", c.Level.String()
		}
	}
	if c.Op == Moves {
		c.Way, c.Days = d.way, 1
		if c.Way == chokepoint.Negative && c.Level >= 100*chokepoint.Unit {
			return c, "price.err.percent-range", c.Level.String()
		}
		if d.span != nil && !c.over(*d.span) {
			return c, "price.err.span-range", clip(d.span.text)
		}
	} else if d.span != nil && !(c.Op == Swings && d.span.n == chokepoint.Unit && d.span.unit == day) {
		return c, "price.err.span-unwanted", clip(d.span.text)
	}

	if d.dangling == everyWord || d.dangling == cooldownWord {
		return c, "price.err.no-time", ""
	}
	if d.once && d.every != nil {
		return c, "price.err.once-every", ""
	}
	for _, r := range []struct {
		from *span
		to   *time.Duration
	}{{d.every, &c.Every}, {d.cooldown, &c.Cooldown}} {
		if r.from == nil {
			continue
		}
		if *r.to = r.from.of(); *r.to < time.Minute || *r.to > maxRepeat {
			return c, "price.err.repeat-range", clip(r.from.text)
		}
	}
	if key, about := d.until(&c, now); key != "" {
		return c, key, about
	}
	return c, "", ""
}

// over sets what a move is measured over; false if it is out of bounds.
func (c *Condition) over(s span) bool {
	if s.unit < day {
		c.Days, c.Span = 0, s.of()
		return c.Span >= time.Minute && c.Span <= maxSpan
	}
	if s.n%chokepoint.Unit != 0 || s.n <= 0 || s.n > maxDays*chokepoint.Unit {
		return false
	}
	c.Days = int(s.n / chokepoint.Unit)
	if s.unit == week {
		c.Days *= 5 // trading days
	}
	return c.Days <= maxDays
}

// until sets the last day.
func (d *draft) until(c *Condition, now time.Time) (key, about string) {
	switch {
	case d.date != "":
		c.Until = d.date
	case d.weekday != nil && !now.IsZero():
		c.Until = now.AddDate(0, 0, int(*d.weekday-now.Weekday()+7)%7).Format(time.DateOnly)
	case d.relative != nil && !now.IsZero():
		c.Until = now.AddDate(0, 0, *d.relative).Format(time.DateOnly)
	case d.weekday != nil || d.relative != nil || d.dangling == untilWord:
		return "price.err.no-date", ""
	default:
		return "", ""
	}
	if _, err := time.Parse(time.DateOnly, c.Until); err != nil {
		return "price.err.date", c.Until
	}
	if !now.IsZero() && c.Until < now.Format(time.DateOnly) {
		return "price.err.past", c.Until
	}
	return "", ""
}

// misread makes the error, with the nearest rule that would be read: what was
// understood, misspelt words put right, and examples where something lacks.
func (d *draft) misread(key, about string, now time.Time) *ParseError {
	near := *d
	near.unknown, near.number = nil, ""
	pending := word(0)
	near.is = append([]word(nil), d.is...)
	for _, w := range d.unknown {
		if right := nearestWord(w); right != "" {
			pending = near.word(right, pending)
		}
	}
	c, wrong, _ := near.finish(now)
	for tries := 0; wrong != "" && tries < 12; tries++ {
		near.mend(wrong, now)
		c, wrong, _ = near.finish(now)
	}
	if wrong != "" { // what lies beyond mending is replaced by an example
		c = Condition{Symbol: near.symbol, Op: Below, Level: 20 * chokepoint.Unit}
	}
	return &ParseError{Key: key, Word: about, Nearest: c}
}

// mend changes the draft so that finish does not find the same thing wrong
// again.
func (d *draft) mend(wrong string, now time.Time) {
	ten := 10 * chokepoint.Unit
	switch wrong {
	case "price.err.no-condition":
		if len(d.percent) > 0 || d.span != nil {
			d.is = []word{movesWord}
		} else {
			d.is = []word{belowWord}
		}
	case "price.err.two-conditions":
		d.is = d.is[:1]
	case "price.err.no-level":
		d.level = []chokepoint.Decimal{20 * chokepoint.Unit}
	case "price.err.no-percent":
		d.percent, d.level = d.level, nil
		if len(d.percent) == 0 {
			d.percent = []chokepoint.Decimal{8 * chokepoint.Unit}
		}
	case "price.err.percent-level":
		if d.has(aboveWord) {
			d.way = chokepoint.Positive
		} else if d.has(belowWord) {
			d.way = chokepoint.Negative
		}
		d.is, d.level = []word{movesWord}, nil
	case "price.err.two-numbers":
		if len(d.percent) > 0 {
			d.percent, d.level = d.percent[:1], nil
		} else {
			d.level = d.level[:1]
		}
	case "price.err.percent-range":
		d.percent = []chokepoint.Decimal{min(max(d.percent[0], chokepoint.Unit), 5*ten)}
	case "price.err.level-range":
		d.level = []chokepoint.Decimal{20 * chokepoint.Unit}
	case "price.err.span-range":
		d.span = &span{n: chokepoint.Unit, unit: day}
	case "price.err.span-unwanted":
		d.span = nil
	case "price.err.no-time":
		d.dangling = 0
	case "price.err.once-every":
		d.every = nil
	case "price.err.repeat-range":
		hour := span{n: chokepoint.Unit, unit: time.Hour}
		if d.every != nil {
			d.every = &hour
		}
		if d.cooldown != nil {
			d.cooldown = &hour
		}
	default: // the day
		d.date, d.weekday, d.relative = "", nil, nil
		d.dangling = 0
		if !now.IsZero() {
			d.date = now.AddDate(0, 0, 7).Format(time.DateOnly)
		}
	}
}

// nearestWord is the word of the vocabulary that an English word was probably
// meant to be; "" if none is near.
func nearestWord(w string) string {
	best, at := "", 3
	if len(w) <= 4 {
		at = 2
	}
	if len(w) < 3 || len(w) > 12 || w[0] >= 0x80 {
		return ""
	}
	for v, m := range vocabulary {
		if v[0] >= 0x80 || len(v) < 3 || m.is == filler {
			continue
		}
		if n := near.Distance(w, v); n < at || n == at && best != "" && v < best {
			best, at = v, n
		}
	}
	return best
}

// clip bounds what is shown again of what a person typed.
func clip(s string) string {
	r := []rune(s)
	if len(r) > 24 {
		return string(r[:23]) + "…"
	}
	return s
}
