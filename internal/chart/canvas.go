package chart

import (
	_ "embed"
	"image"
	"image/color"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// droid is Droid Sans Fallback, cut to GB 2312 by font/subset.sh. Apache-2.0.
//
//go:embed font/droid-gb2312.ttf
var droid []byte

// CJK is a TrueType font with the characters of GB 2312 and no Latin letters.
// It is not to be changed.
func CJK() []byte { return droid }

// The fonts in the order in which they are asked for a character.
type fonts [2]*sfnt.Font

var loadFonts = sync.OnceValues(func() (fs fonts, err error) {
	for i, ttf := range [][]byte{gomedium.TTF, droid} {
		if fs[i], err = opentype.Parse(ttf); err != nil {
			return fs, err
		}
	}
	return fs, nil
})

// A size is one of two in which a chart is lettered.
type size int

const (
	small size = iota
	large
	sizes
)

// A shade is a colour of the palette; text is blended from paper to it, or for
// text on a tag, from the tag to white, in so many steps.
type shade int

const (
	paper shade = iota
	grid
	upPale
	downPale
	up
	down
	level
	dim
	ink
	onUp
	onDown
	shades
)

const steps = 8

// backs are the shades behind text where it is not paper.
var backs = map[shade]shade{onUp: up, onDown: down}

func onTag(s shade) shade {
	if s == down {
		return onDown
	}
	return onUp
}

func themes(dark bool) [shades]color.RGBA {
	rgb := func(v uint32) color.RGBA { return color.RGBA{uint8(v >> 16), uint8(v >> 8), uint8(v), 255} }
	if dark {
		return [shades]color.RGBA{
			paper: rgb(0x14181f), grid: rgb(0x262c36), upPale: rgb(0x1f5a48), downPale: rgb(0x6a2f33),
			up: rgb(0x2ebd85), down: rgb(0xf6525d), level: rgb(0xf0b13c), dim: rgb(0x9aa4b2), ink: rgb(0xeef1f5),
			onUp: rgb(0xffffff), onDown: rgb(0xffffff),
		}
	}
	return [shades]color.RGBA{
		paper: rgb(0xffffff), grid: rgb(0xe6e9ee), upPale: rgb(0xa9d9c4), downPale: rgb(0xf1b8bb),
		up: rgb(0x0f8a5f), down: rgb(0xd0303b), level: rgb(0xb26a00), dim: rgb(0x5c6573), ink: rgb(0x16191f),
		onUp: rgb(0xffffff), onDown: rgb(0xffffff),
	}
}

// A canvas is a picture of few colours: each shade in steps from its back.
// Index shade*steps + step; step steps-1 is the full colour.
type canvas struct {
	img   *image.Paletted
	faces [sizes][len(fonts{})]font.Face
	fonts fonts
	buf   sfnt.Buffer
}

func newCanvas(w, h int, fs fonts, dark bool) (*canvas, error) {
	theme := themes(dark)
	palette := make(color.Palette, 0, int(shades)*steps)
	for s := range shades {
		back := theme[backs[s]] // paper, if not named
		for i := 1; i <= steps; i++ {
			mix := func(a, b uint8) uint8 { return uint8((int(a)*(steps-i) + int(b)*i) / steps) }
			palette = append(palette, color.RGBA{mix(back.R, theme[s].R), mix(back.G, theme[s].G), mix(back.B, theme[s].B), 255})
		}
	}
	c := &canvas{img: image.NewPaletted(image.Rect(0, 0, w, h), palette), fonts: fs}
	c.fill(c.img.Rect, paper)
	unit := float64(min(h, w*9/16)) / 100
	for s, points := range [sizes]float64{small: 4.6 * unit, large: 6.2 * unit} {
		for i := range fs {
			face, err := opentype.NewFace(fs[i], &opentype.FaceOptions{Size: points, DPI: 72, Hinting: font.HintingNone})
			if err != nil {
				return nil, err
			}
			c.faces[s][i] = face
		}
	}
	return c, nil
}

// fill paints r in s's full colour.
func (c *canvas) fill(r image.Rectangle, s shade) {
	r = r.Intersect(c.img.Rect)
	index := uint8(int(s)*steps + steps - 1)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := c.img.Pix[y*c.img.Stride+r.Min.X : y*c.img.Stride+r.Max.X]
		for x := range row {
			row[x] = index
		}
	}
}

// dashes paints a broken horizontal line, thick pixels high.
func (c *canvas) dashes(from, to, y, dash, gap, thick int, s shade) {
	dash, gap = max(dash, 1), max(gap, 1)
	for x := from; x < to; x += dash + gap {
		c.fill(image.Rect(x, y-thick/2, min(x+dash, to), y-thick/2+thick), s)
	}
}

// face is the one that has r; the first, with its sign for a missing
// character, if none has.
func (c *canvas) face(sz size, r rune) font.Face {
	for i := range c.fonts {
		if g, err := c.fonts[i].GlyphIndex(&c.buf, r); err == nil && g != 0 {
			return c.faces[sz][i]
		}
	}
	return c.faces[sz][0]
}

// text writes s with its baseline at y.
func (c *canvas) text(sz size, sh shade, x, y int, s string) {
	dot := fixed.P(x, y)
	for _, r := range s {
		face := c.face(sz, r)
		area, mask, at, advance, ok := face.Glyph(dot, r)
		if ok {
			if alpha, isAlpha := mask.(*image.Alpha); isAlpha {
				c.stamp(area, alpha, at, sh)
			}
		}
		dot.X += advance
	}
}

// stamp blends a glyph's mask in.
func (c *canvas) stamp(area image.Rectangle, mask *image.Alpha, at image.Point, s shade) {
	clipped := area.Intersect(c.img.Rect)
	for y := clipped.Min.Y; y < clipped.Max.Y; y++ {
		for x := clipped.Min.X; x < clipped.Max.X; x++ {
			a := mask.AlphaAt(at.X+x-area.Min.X, at.Y+y-area.Min.Y).A
			if step := (int(a)*steps + 127) / 255; step > 0 {
				c.img.SetColorIndex(x, y, uint8(int(s)*steps+step-1))
			}
		}
	}
}

// width is that of s in pixels, rounded up.
func (c *canvas) width(sz size, s string) int {
	var w fixed.Int26_6
	for _, r := range s {
		a, _ := c.face(sz, r).GlyphAdvance(r)
		w += a
	}
	return w.Ceil()
}

// rise is the height of a digit.
func (c *canvas) rise(sz size) int { return c.faces[sz][0].Metrics().CapHeight.Round() }

// cut is s, shortened with an ellipsis to at most w pixels.
func (c *canvas) cut(sz size, s string, w int) string {
	if c.width(sz, s) <= w {
		return s
	}
	runes := []rune(s)
	for len(runes) > 0 && c.width(sz, string(runes)+"…") > w {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}
