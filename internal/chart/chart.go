// Package chart draws price charts as PNG: candles, volume, levels and the
// last price, large enough to be read on a phone.
//
// It draws rectangles and text on a picture of few colours itself, which takes
// a quarter of the time and bytes of a drawing library.
package chart

import (
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Price is a chart of one symbol.
type Price struct {
	Title    string // heads the chart, in any of the program's languages
	Symbol   chokepoint.Symbol
	Currency string // "" for points
	Note     string // small print below, such as how old the last price is

	Bars   []chokepoint.Bar  // oldest first
	Quote  *chokepoint.Quote // the last price; nil for the last bar's close
	Levels []Level
	Mark   time.Time // a day to point at; zero for none

	Lang chokepoint.Language // of dates
	Dark bool
}

// Level is a horizontal line at a price.
type Level struct {
	Price chokepoint.Decimal
	Label string
}

// The sizes that WritePNG draws; others are brought into them.
const (
	minWidth, minHeight = 320, 180
	maxWidth, maxHeight = 2000, 2000
)

// WritePNG draws the chart, width × height pixels: 800 × 450 suits a phone.
// The same chart gives the same bytes. It fails if there is no price to draw,
// or w fails.
func (p Price) WritePNG(w io.Writer, width, height int) error {
	candles := p.candles()
	if len(candles) == 0 {
		return fmt.Errorf("chart: %s has no prices", p.Symbol)
	}
	width, height = min(max(width, minWidth), maxWidth), min(max(height, minHeight), maxHeight)
	fonts, err := loadFonts()
	if err != nil {
		return fmt.Errorf("chart: read the fonts: %w", err)
	}
	c, err := newCanvas(width, height, fonts, p.Dark)
	if err != nil {
		return fmt.Errorf("chart: prepare the fonts: %w", err)
	}
	p.draw(c, candles)
	enc := png.Encoder{CompressionLevel: png.DefaultCompression}
	if err := enc.Encode(w, c.img); err != nil {
		return fmt.Errorf("chart: write %s: %w", p.Symbol, err)
	}
	return nil
}

// A candle is a bar, or several as one, for drawing.
type candle struct {
	day                    string
	open, high, low, close float64
	volume                 float64
}

// candles are the bars with the quote's day, without what cannot be drawn.
func (p Price) candles() []candle {
	var cs []candle
	for _, b := range p.Bars {
		if b.Close <= 0 {
			continue
		}
		c := candle{b.Day, b.Open.Float(), b.High.Float(), b.Low.Float(), b.Close.Float(), float64(b.Volume)}
		cs = append(cs, c.whole())
	}
	q := p.Quote
	if q == nil || q.Price <= 0 {
		return cs
	}
	zone, err := time.LoadLocation(q.Zone)
	if err != nil {
		zone = time.UTC
	}
	last := candle{q.At.In(zone).Format(time.DateOnly), q.Open.Float(), q.High.Float(), q.Low.Float(), q.Price.Float(), float64(q.Volume)}
	last = last.whole()
	if n := len(cs); n > 0 && cs[n-1].day >= last.day {
		if cs[n-1].day == last.day {
			last.volume = max(last.volume, cs[n-1].volume)
			last.high, last.low = max(last.high, cs[n-1].high), min(last.low, cs[n-1].low)
			if q.Open <= 0 {
				last.open = cs[n-1].open
			}
			cs[n-1] = last
		}
		return cs
	}
	return append(cs, last)
}

// whole fills in what a source left out.
func (c candle) whole() candle {
	if c.open <= 0 {
		c.open = c.close
	}
	if c.low <= 0 {
		c.low = c.close
	}
	c.high = max(c.high, c.open, c.close)
	c.low = min(c.low, c.open, c.close)
	return c
}

// merge makes each n candles one.
func merge(cs []candle, n int) []candle {
	if n <= 1 {
		return cs
	}
	var out []candle
	// From the end, so that the last candle is a whole one.
	for end := len(cs); end > 0; end -= n {
		group := cs[max(0, end-n):end]
		m := group[0]
		for _, c := range group[1:] {
			m.high, m.low, m.close, m.volume = max(m.high, c.high), min(m.low, c.low), c.close, m.volume+c.volume
		}
		m.day = group[len(group)-1].day
		out = append(out, m)
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// A frame maps prices to rows and candles to columns.
type frame struct {
	area   image.Rectangle // of the prices
	lo, hi float64
	pitch  float64
}

func (f frame) y(price float64) int {
	return f.area.Max.Y - 1 - int(math.Round((price-f.lo)/(f.hi-f.lo)*float64(f.area.Dy()-1)))
}

// x is the middle of a candle.
func (f frame) x(i int) int { return f.area.Min.X + int((float64(i)+0.5)*f.pitch) }

// draw lays the chart out. Lengths are in hundredths of the height where
// people must read, so that a larger picture has larger letters.
func (p Price) draw(c *canvas, cs []candle) {
	w, h := c.img.Rect.Dx(), c.img.Rect.Dy()
	unit := float64(min(h, w*9/16)) / 100
	px := func(n float64) int { return int(math.Round(n * unit)) }

	now := p.last(cs)
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, k := range cs {
		lo, hi = min(lo, k.low), max(hi, k.high)
	}
	reach := max((hi-lo)*0.5, hi*0.02)
	inside := func(v float64) bool { return v >= lo-reach && v <= hi+reach }
	low, high := lo, hi
	for _, l := range p.Levels {
		if v := l.Price.Float(); inside(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	room := max((high-low)*0.06, high*0.002)
	low, high = low-room, high+room

	ticks, places := scale(low, high, 5)
	tag := format(now.price, max(places, 2))
	if now.price >= 1000 {
		tag = format(now.price, places)
	}
	axis := c.width(small, tag)
	for _, t := range ticks {
		axis = max(axis, c.width(small, format(t, places)))
	}
	axis += px(4)

	head, foot := px(13), px(8)
	if p.Note != "" {
		foot += px(6)
	}
	plot := image.Rect(px(3), head, w-axis, h-foot)
	f := frame{area: plot, lo: low, hi: high}
	volumes := false
	for _, k := range cs {
		volumes = volumes || k.volume > 0
	}
	if volumes {
		f.area.Max.Y -= plot.Dy() / 5
	}
	const narrowest = 3.0 // pixels from one candle to the next
	layout := dateLayout(cs, p.Lang)
	cs = merge(cs, int(math.Ceil(float64(len(cs))*narrowest/float64(plot.Dx()))))
	f.pitch = float64(plot.Dx()) / float64(len(cs))

	// The grid, with its prices and dates.
	for _, t := range ticks {
		y := f.y(t)
		c.fill(image.Rect(plot.Min.X, y, plot.Max.X, y+1), grid)
		if away := y - f.y(now.price); max(away, -away) > px(6) { // else the tag hides it
			c.text(small, dim, plot.Max.X+px(1.5), y+c.rise(small)/2, format(t, places))
		}
	}
	end := -1
	for _, i := range dates(cs, 6) {
		label := dateLabel(cs[i].day, layout)
		half := c.width(small, label) / 2
		x := f.x(i)
		if x-half < max(end, 0) || x+half > plot.Max.X+px(4) {
			continue
		}
		c.fill(image.Rect(x, plot.Min.Y, x+1, plot.Max.Y), grid)
		c.text(small, dim, x-half, plot.Max.Y+px(2)+c.rise(small), label)
		end = x + half + px(3)
	}
	c.fill(image.Rect(plot.Min.X, plot.Max.Y, plot.Max.X, plot.Max.Y+1), dim)

	p.drawMark(c, f, cs, plot, px)
	p.drawCandles(c, f, cs, plot, px(5))
	p.drawLevels(c, f, inside, px)
	drawTag(c, f, now, tag, px)
	p.drawHead(c, now, px)
	if p.Note != "" {
		c.text(small, dim, plot.Min.X, h-px(2.5), c.cut(small, p.Note, w-2*plot.Min.X))
	}
}

func (p Price) drawCandles(c *canvas, f frame, cs []candle, plot image.Rectangle, widest int) {
	most := 0.0
	for _, k := range cs {
		most = max(most, k.volume)
	}
	body := min(max(1, int(f.pitch*0.7)), widest)
	if body > 1 && body%2 == 0 {
		body-- // odd, so that the wick is in the middle
	}
	for i, k := range cs {
		ink, pale := up, upPale
		if k.close < k.open {
			ink, pale = down, downPale
		}
		x := f.x(i)
		left := x - body/2
		wick := max(1, body/7)
		c.fill(image.Rect(x-wick/2, f.y(k.high), x-wick/2+wick, f.y(k.low)+1), ink)
		top, bottom := f.y(max(k.open, k.close)), f.y(min(k.open, k.close))
		c.fill(image.Rect(left, top, left+body, max(bottom, top+1)), ink)
		if most > 0 {
			room := plot.Max.Y - f.area.Max.Y - plot.Dy()/40
			c.fill(image.Rect(left, plot.Max.Y-int(k.volume/most*float64(room)), left+body, plot.Max.Y), pale)
		}
	}
}

func (p Price) drawLevels(c *canvas, f frame, inside func(float64) bool, px func(float64) int) {
	rows := map[int]bool{}
	for _, l := range p.Levels {
		v := l.Price.Float()
		label := l.Label
		if label == "" {
			label = l.Price.String()
		}
		y := f.area.Min.Y + c.rise(small)
		switch {
		case inside(v):
			y = f.y(v)
			c.dashes(f.area.Min.X, f.area.Max.X, y, px(1.6), px(1), max(1, px(0.4)), level)
		case v > f.hi:
			label = "↑ " + label
		default:
			y = f.area.Max.Y - c.rise(small)
			label = "↓ " + label
		}
		// Lines that are close would write over each other.
		row := y / (c.rise(small) + px(2))
		if rows[row] {
			continue
		}
		rows[row] = true
		label = c.cut(small, label, f.area.Dx()*2/3)
		box := image.Rect(f.area.Min.X, y-c.rise(small)/2-px(1), f.area.Min.X+c.width(small, label)+px(2), y+c.rise(small)/2+px(1.2))
		c.fill(box, paper)
		c.text(small, level, f.area.Min.X+px(1), y+c.rise(small)/2, label)
	}
}

// drawTag points at the last price on the axis.
func drawTag(c *canvas, f frame, now last, label string, px func(float64) int) {
	y := f.y(now.price)
	c.dashes(f.area.Min.X, f.area.Max.X, y, px(0.4), px(0.8), 1, now.shade())
	box := image.Rect(f.area.Max.X+px(0.4), y-c.rise(small)/2-px(1.3), c.img.Rect.Dx(), y+c.rise(small)/2+px(1.5))
	c.fill(box, now.shade())
	c.text(small, onTag(now.shade()), f.area.Max.X+px(1.5), y+c.rise(small)/2, label)
}

func (p Price) drawMark(c *canvas, f frame, cs []candle, plot image.Rectangle, px func(float64) int) {
	if p.Mark.IsZero() {
		return
	}
	want := p.Mark.Format(time.DateOnly)
	for i, k := range cs {
		if k.day >= want {
			x := f.x(i)
			for y := plot.Min.Y; y < plot.Max.Y; y += px(1) * 2 {
				c.fill(image.Rect(x, y, x+max(1, px(0.3)), min(y+px(1), plot.Max.Y)), level)
			}
			for n := range px(2) { // a small triangle on top
				c.fill(image.Rect(x-n, plot.Min.Y-n, x+n+1, plot.Min.Y-n+1), level)
			}
			return
		}
	}
}

// drawHead writes the title on the left and the last price on the right.
func (p Price) drawHead(c *canvas, now last, px func(float64) int) {
	base := px(4) + c.rise(large)
	right := c.img.Rect.Dx() - px(3)
	if now.known {
		s := "+" + format(now.change, 1) + "%"
		if now.change < 0 {
			s = "−" + format(-now.change, 1) + "%"
		}
		right -= c.width(large, s)
		c.text(large, now.shade(), right, base, s)
		right -= px(3)
	}
	price := format(now.price, 2)
	if p.Currency != "" {
		price += " " + p.Currency
	}
	right -= c.width(large, price)
	c.text(large, ink, right, base, price)
	title := p.Title
	if title == "" {
		title = string(p.Symbol)
	}
	c.text(large, ink, px(3), base, c.cut(large, title, right-px(6)))
}

// last is the newest price, with its change from the previous close in per
// cent.
type last struct {
	price, change float64
	known         bool // change is
}

func (l last) shade() shade {
	if l.change < 0 {
		return down
	}
	return up
}

func (p Price) last(cs []candle) last {
	l := last{price: cs[len(cs)-1].close}
	before := 0.0
	if p.Quote != nil && p.Quote.Prev > 0 {
		before = p.Quote.Prev.Float()
	} else if len(cs) > 1 {
		before = cs[len(cs)-2].close
	}
	if before > 0 {
		l.change, l.known = (l.price/before-1)*100, true
	}
	return l
}

// scale is about n round prices from low to high, and how many digits after
// the point they need.
func scale(low, high float64, n int) (ticks []float64, places int) {
	raw := (high - low) / float64(n)
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5, 10} {
		if step*m >= raw {
			step *= m
			break
		}
	}
	places = max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	for k := math.Ceil(low / step); k*step <= high; k++ {
		ticks = append(ticks, k*step)
	}
	return ticks, places
}

func format(v float64, places int) string { return strconv.FormatFloat(v, 'f', places, 64) }

// dates picks the candles that are labelled, at most n: the first of each
// month where there are some, else every k-th.
func dates(cs []candle, n int) []int {
	var months []int
	for i := 1; i < len(cs); i++ {
		if cs[i].day[:min(7, len(cs[i].day))] != cs[i-1].day[:min(7, len(cs[i-1].day))] {
			months = append(months, i)
		}
	}
	if len(months) >= 3 {
		return thin(months, n)
	}
	all := make([]int, len(cs))
	for i := range all {
		all[i] = i
	}
	return thin(all, n)
}

func thin(is []int, n int) []int {
	step := (len(is) + n - 1) / n
	var out []int
	for i := 0; i < len(is); i += max(step, 1) {
		out = append(out, is[i])
	}
	return out
}

// dateLayout is how the language writes a day short, or a month where the
// chart covers most of a year.
func dateLayout(cs []candle, lang chokepoint.Language) string {
	first, err1 := time.Parse(time.DateOnly, cs[0].day)
	end, err2 := time.Parse(time.DateOnly, cs[len(cs)-1].day)
	long := err1 == nil && err2 == nil && end.Sub(first) > 300*24*time.Hour
	switch {
	case long:
		return "2006-01"
	case lang == chokepoint.Chinese:
		return "1月2日"
	}
	return "2 Jan"
}

func dateLabel(day, layout string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return t.Format(layout)
}
