package main

import (
	"cmp"
	"fmt"
	"image"
	"image/color"
	stddraw "image/draw"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chart"
)

// Lengths are in pixels, twice what a chat shows at its usual density.
const (
	width  = 1640 // of the picture
	margin = 36
	gutter = 32 // between the posts
	tall   = 2000
	pad    = 28 // inside a card
	bar    = 8  // the coloured edge of a card
	radius = 10
)

var (
	paper  = rgb(0x313338)
	sheet  = rgb(0x2b2d31)
	ink    = rgb(0xe3e5e8)
	dim    = rgb(0x9ba1aa)
	link   = rgb(0x58b0ff)
	button = rgb(0x4e5058)
	white  = rgb(0xffffff)
	brand  = rgb(0x5865f2)
	tones  = map[bot.Tone]color.RGBA{
		bot.Plain: rgb(0x80848e), bot.Good: rgb(0x2ebd85), bot.Bad: rgb(0xf6525d), bot.Warn: rgb(0xf0b13c), bot.Quiet: rgb(0x80848e),
	}
)

func rgb(v uint32) color.RGBA { return color.RGBA{uint8(v >> 16), uint8(v >> 8), uint8(v), 255} }

// draw shows the posts side by side, the picture as tall as the tallest.
func draw(posts []post) (image.Image, error) {
	p, err := newPen(image.Rect(0, 0, width, tall))
	if err != nil {
		return nil, err
	}
	each := (width - 2*margin - gutter*(len(posts)-1)) / len(posts)
	bottom := 0
	for i, it := range posts {
		bottom = max(bottom, p.post(it, margin+i*(each+gutter), margin, each))
	}
	if p.missing != "" {
		return nil, fmt.Errorf("no font has the characters %q", p.missing)
	}
	return paletted(p.img, image.Rect(0, 0, width, bottom+margin)), nil
}

// paletted is the area of img in its 256 commonest colours, others in the
// nearest of these: a third of the bytes, and the same to the eye.
func paletted(img *image.RGBA, area image.Rectangle) *image.Paletted {
	count := map[color.RGBA]int{}
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			count[img.RGBAAt(x, y)]++
		}
	}
	number := func(c color.RGBA) int { return int(c.R)<<16 | int(c.G)<<8 | int(c.B) }
	colours := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(number(a), number(b)))
	})
	var palette color.Palette
	for _, c := range colours[:min(256, len(colours))] {
		palette = append(palette, c)
	}
	index := map[color.RGBA]uint8{}
	for _, c := range colours {
		index[c] = uint8(palette.Index(c))
	}
	out := image.NewPaletted(area, palette)
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			out.SetColorIndex(x, y, index[img.RGBAAt(x, y)])
		}
	}
	return out
}

// post draws a post whose top left corner is (x, y) and gives its bottom.
func (p *pen) post(it post, x, y, w int) int {
	// Who says it: a disc with a narrowing, the name, a tag, the time.
	const disc = 60
	p.round(image.Rect(x, y, x+disc, y+disc), disc/2, brand)
	cx, cy := float32(x)+disc/2, float32(y)+disc/2
	p.shape(white, [][2]float32{{cx - 14, cy - 16}, {cx + 14, cy - 16}, {cx + 3, cy}, {cx + 14, cy + 16}, {cx - 14, cy + 16}, {cx - 3, cy}})
	base := y + 40
	at := x + disc + 18
	at = p.run(at, base, piece{text: "chokepoint", style: style{size: body, bold: true, colour: white}}) + 12
	tag := piece{text: "BOT", style: style{size: fine, bold: true, colour: white}}
	p.round(image.Rect(at, base-23, at+p.width(tag)+16, base+6), 6, brand)
	at = p.run(at+8, base-2, tag) + 8 + 14
	p.run(at, base, piece{text: it.clock, style: style{size: fine, colour: dim}})

	// The card is drawn twice: once to learn its height, once on its sheet.
	top := y + disc + 18
	blind := *p
	blind.img = image.NewRGBA(image.Rectangle{})
	bottom := blind.card(it.message, x+bar+pad, top+pad-4, w-bar-2*pad) + pad - 4
	p.round(image.Rect(x, top, x+w/2, bottom), radius, tones[it.message.Tone])
	p.round(image.Rect(x+bar, top, x+w, bottom), radius, sheet)
	stddraw.Draw(p.img, image.Rect(x+bar, top, x+bar+radius, bottom), image.NewUniform(sheet), image.Point{}, stddraw.Src)
	p.card(it.message, x+bar+pad, top+pad-4, w-bar-2*pad)
	return p.buttons(it.message.Actions, x, bottom+14, w)
}

// card draws a message's text in w pixels and gives its bottom.
func (p *pen) card(m bot.Message, x, y, w int) int {
	head := style{size: title, bold: true, colour: white}
	if m.URL != "" {
		head.colour = link
	}
	y = p.flow([]piece{{m.Title, head}}, x, y, w)
	for _, l := range m.Lines {
		var row []piece
		if l.Label != "" {
			row = append(row, piece{l.Label + "  ", style{size: body, bold: true, colour: white}})
		}
		for _, s := range l.Spans {
			st := style{size: body, bold: s.Bold, colour: ink}
			if s.URL != "" {
				st.colour = link
			}
			row = append(row, piece{s.Text, st})
		}
		y = p.flow(row, x, y+10, w)
	}
	return p.flow([]piece{{m.Footer, style{size: fine, colour: dim}}}, x, y+16, w)
}

// buttons draws rows of boxes and gives their bottom.
func (p *pen) buttons(actions []bot.Action, x, y, w int) int {
	const high, gap, side = 56, 12, 24
	at := x
	for _, a := range actions {
		t := piece{a.Label, style{size: label, bold: true, colour: white}}
		wide := p.width(t) + 2*side
		if at > x && at+wide > x+w {
			at, y = x, y+high+gap
		}
		p.round(image.Rect(at, y, at+wide, y+high), radius, button)
		p.run(at+side, y+high/2+9, t)
		at += wide + gap
	}
	return y + high
}

// A size is one of those in which a post is lettered, in pixels.
type size int

const (
	fine  size = 21
	label size = 24
	body  size = 27
	title size = 31
)

// A style is how a piece of text looks.
type style struct {
	size   size
	bold   bool
	colour color.RGBA
}

// A piece is text in one style.
type piece struct {
	text string
	style
}

// A pen draws on a picture. What no font has is drawn by shape, or else noted
// as missing.
type pen struct {
	img     *image.RGBA
	faces   map[style][]font.Face // by size and weight, colour left out; Latin first
	fonts   map[bool][]*sfnt.Font
	missing string
}

func newPen(area image.Rectangle) (*pen, error) {
	p := &pen{img: image.NewRGBA(area), faces: map[style][]font.Face{}, fonts: map[bool][]*sfnt.Font{}}
	stddraw.Draw(p.img, area, image.NewUniform(paper), image.Point{}, stddraw.Src)
	for bold, latin := range map[bool][]byte{false: goregular.TTF, true: gobold.TTF} {
		for _, ttf := range [][]byte{latin, chart.CJK()} {
			f, err := opentype.Parse(ttf)
			if err != nil {
				return nil, fmt.Errorf("reading a font: %w", err)
			}
			p.fonts[bold] = append(p.fonts[bold], f)
			for _, s := range []size{fine, label, body, title} {
				face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: float64(s), DPI: 72})
				if err != nil {
					return nil, fmt.Errorf("sizing a font: %w", err)
				}
				key := style{size: s, bold: bold}
				p.faces[key] = append(p.faces[key], face)
			}
		}
	}
	return p, nil
}

// shapes are the characters that are drawn by shape, with their advance in
// ems.
var shapes = map[rune]float64{'🟢': 1, '★': 1, '▸': 0.6, '·': 0.3}

// face is the first that has r, and whether it is the one without a bold cut.
func (p *pen) face(r rune, st style) (f font.Face, thin bool) {
	st.colour = color.RGBA{}
	var buf sfnt.Buffer
	for i, f := range p.fonts[st.bold] {
		if g, err := f.GlyphIndex(&buf, r); err == nil && g != 0 {
			return p.faces[st][i], st.bold && i > 0
		}
	}
	if !strings.ContainsRune(p.missing, r) {
		p.missing += string(r)
	}
	return p.faces[st][0], false
}

func (p *pen) advance(r rune, st style) fixed.Int26_6 {
	if ems, ok := shapes[r]; ok {
		return fixed.Int26_6(ems * float64(st.size) * 64)
	}
	f, _ := p.face(r, st)
	a, _ := f.GlyphAdvance(r)
	return a
}

func (p *pen) width(t piece) int {
	var w fixed.Int26_6
	for _, r := range t.text {
		w += p.advance(r, t.style)
	}
	return w.Ceil()
}

// run draws t from x on the baseline y and gives where it ends.
func (p *pen) run(x, y int, t piece) int {
	dot := fixed.P(x, y)
	for _, r := range t.text {
		if _, ok := shapes[r]; ok {
			p.symbol(r, dot, t.style)
		} else {
			f, thin := p.face(r, t.style)
			d := font.Drawer{Dst: p.img, Src: image.NewUniform(t.colour), Face: f, Dot: dot}
			d.DrawString(string(r))
			if thin { // a second stroke beside the first stands in for bold
				d.Dot = dot.Add(fixed.Point26_6{X: 64})
				d.DrawString(string(r))
			}
		}
		dot.X += p.advance(r, t.style)
	}
	return dot.X.Ceil()
}

// symbol draws one of shapes.
func (p *pen) symbol(r rune, dot fixed.Point26_6, st style) {
	em := float32(st.size)
	x, y := float32(dot.X)/64, float32(dot.Y)/64-0.36*em // the middle of a capital
	switch r {
	case '🟢':
		c := image.Pt(int(x+0.45*em), int(y))
		half := int(0.4 * em)
		p.round(image.Rect(c.X-half, c.Y-half, c.X+half, c.Y+half), half, tones[bot.Good])
	case '★':
		var star [][2]float32
		for i := range 10 {
			long := 0.46 * float64(em)
			if i%2 == 1 {
				long *= 0.4
			}
			turn := float64(i)*math.Pi/5 - math.Pi/2
			star = append(star, [2]float32{x + 0.48*em + float32(long*math.Cos(turn)), y + float32(long*math.Sin(turn))})
		}
		p.shape(st.colour, star)
	case '·': // that of the Go fonts stands too high between words
		half := max(2, int(em/13))
		c := image.Pt(int(x+0.15*em), int(y+0.02*em))
		p.round(image.Rect(c.X-half, c.Y-half, c.X+half, c.Y+half), half, st.colour)
	case '▸':
		p.shape(st.colour, [][2]float32{{x + 0.1*em, y - 0.22*em}, {x + 0.48*em, y}, {x + 0.1*em, y + 0.22*em}})
	}
}

// flow draws pieces from the top y in lines of at most w pixels and gives the
// bottom of the last.
func (p *pen) flow(pieces []piece, x, y, w int) int {
	high := int(pieces[0].size) * 27 / 20
	base, at := y+high*3/4, x
	for _, t := range pieces {
		for _, a := range atoms(t.text) {
			a := piece{a, t.style}
			bare := piece{strings.TrimRight(a.text, " "), t.style}
			if at > x && at+p.width(bare) > x+w {
				at, base = x, base+high
			}
			if at == x && base > y+high*3/4 {
				a.text = strings.TrimLeft(a.text, " ")
			}
			at = p.run(at, base, a)
		}
	}
	return base + high/4
}

// atoms cuts text where a line may break: after a space, and beside a wide
// character, unless a mark would begin a line that must not, or an opening one
// end it.
func atoms(s string) []string {
	const closing, opening = "，。、；：）」』”·,.;:!?)%", "（「『“("
	var out []string
	var last rune
	for _, r := range s {
		wide := func(r rune) bool {
			return unicode.Is(unicode.Han, r) || strings.ContainsRune(closing+opening, r) && r > 0xff
		}
		breaks := last == ' ' && r != ' ' || last != 0 && r != ' ' && (wide(last) || wide(r)) &&
			!strings.ContainsRune(closing, r) && !strings.ContainsRune(opening, last)
		if len(out) == 0 || breaks {
			out = append(out, "")
		}
		out[len(out)-1] += string(r)
		last = r
	}
	return out
}

// shape fills a polygon.
func (p *pen) shape(c color.RGBA, points [][2]float32) {
	lo, hi := points[0], points[0]
	for _, pt := range points {
		lo = [2]float32{min(lo[0], pt[0]), min(lo[1], pt[1])}
		hi = [2]float32{max(hi[0], pt[0]), max(hi[1], pt[1])}
	}
	box := image.Rect(int(lo[0]), int(lo[1]), int(hi[0])+1, int(hi[1])+1)
	x, y := float32(box.Min.X), float32(box.Min.Y)
	p.fill(c, box, func(v *vector.Rasterizer) {
		v.MoveTo(points[0][0]-x, points[0][1]-y)
		for _, pt := range points[1:] {
			v.LineTo(pt[0]-x, pt[1]-y)
		}
	})
}

// round fills a box with rounded corners.
func (p *pen) round(box image.Rectangle, radius int, c color.RGBA) {
	const bend = 0.5523 // of a radius: a cubic that passes for a quarter circle
	w, h, r := float32(box.Dx()), float32(box.Dy()), float32(radius)
	k := r * (1 - bend)
	p.fill(c, box, func(v *vector.Rasterizer) {
		v.MoveTo(r, 0)
		v.LineTo(w-r, 0)
		v.CubeTo(w-k, 0, w, k, w, r)
		v.LineTo(w, h-r)
		v.CubeTo(w, h-k, w-k, h, w-r, h)
		v.LineTo(r, h)
		v.CubeTo(k, h, 0, h-k, 0, h-r)
		v.LineTo(0, r)
		v.CubeTo(0, k, k, 0, r, 0)
	})
}

// fill fills a path within box, told from the box's corner.
func (p *pen) fill(c color.RGBA, box image.Rectangle, path func(*vector.Rasterizer)) {
	if p.img.Rect.Empty() {
		return
	}
	v := vector.NewRasterizer(box.Dx(), box.Dy())
	path(v)
	v.ClosePath()
	v.Draw(p.img, box, image.NewUniform(c), image.Point{})
}
