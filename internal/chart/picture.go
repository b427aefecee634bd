package chart

import (
	"html"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// picture gathers SVG elements.
type picture struct{ b strings.Builder }

// tag writes an element with numbers as attributes and an escaped content.
func (p *picture) tag(name, class, inner, attributes string, values ...float64) {
	p.b.WriteString("<" + name)
	if class != "" {
		p.b.WriteString(` class="` + class + `"`)
	}
	for i, attribute := range strings.Fields(attributes) {
		p.b.WriteString(" " + attribute + `="` + px(values[i]) + `"`)
	}
	if inner == "" {
		p.b.WriteString("/>\n")
		return
	}
	p.b.WriteString(">" + inner + "</" + name + ">\n")
}

func (p *picture) text(x, y float64, class, s string) {
	if s != "" {
		p.tag("text", class, escape(s), "x y", x, y)
	}
}

// path draws through points given as x, y, x, y; closed joins the last to the
// first.
func (p *picture) path(class string, xy []float64, closed bool) {
	p.b.WriteString(`<path class="` + class + `" d="M`)
	for i, v := range xy {
		if i > 0 {
			p.b.WriteByte(' ')
		}
		p.b.WriteString(px(v))
	}
	if closed {
		p.b.WriteByte('Z')
	}
	p.b.WriteString("\"/>\n")
}

// rect draws a box that is not empty.
func (p *picture) rect(b box, class, hint string) {
	if width, height := b.right-b.left, b.bottom-b.top; width > 0 && height > 0 {
		p.tag("rect", class, hintOf(hint), "x y width height", b.left, b.top, width, height)
	}
}

// corners are those of the shapes after the circle: a square, a diamond, and
// triangles that point up, down and right. They are as large as it.
var corners = [hues][]float64{
	1: {-.88, -.88, .88, -.88, .88, .88, -.88, .88},
	2: {0, -1.25, 1.25, 0, 0, 1.25, -1.25, 0},
	3: {0, -1.2, 1.15, .9, -1.15, .9},
	4: {0, 1.2, 1.15, -.9, -1.15, -.9},
	5: {1.2, 0, -.9, 1.15, -.9, -1.15},
}

// point draws a point in its color's shape.
func (p *picture) point(x, y, radius float64, c Color, hint string) {
	shape := corners[c.shape()]
	p.b.WriteString("<g>" + hintOf(hint))
	if shape == nil {
		p.tag("circle", "point "+string(c), "", "cx cy r", x, y, radius)
	} else {
		xy := make([]float64, len(shape))
		for i, v := range shape {
			xy[i] = [2]float64{x, y}[i%2] + radius*v
		}
		p.path("point "+string(c), xy, true)
	}
	p.b.WriteString("</g>")
}

func hintOf(s string) string {
	if s == "" {
		return ""
	}
	return "<title>" + escape(s) + "</title>"
}

// escape makes a text part of a document: control characters, which none may
// have, become spaces.
func escape(s string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return ' '
		}
		return r
	}, s))
}

// px writes a coordinate to a tenth.
func px(v float64) string {
	return strconv.FormatFloat(math.Round(10*v)/10, 'f', -1, 64)
}

// widthOf is about the width of a text in the charts' letters.
func widthOf(s string) float64 { return 6.9 * float64(utf8.RuneCountInString(s)) }

// clip shortens a text to a width.
func clip(s string, width float64) string {
	most := int(width / 6.9)
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:max(most-1, 0)]) + "…"
}
