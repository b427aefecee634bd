// Package svg writes the charts of pages. Styling is by class; the page's style
// sheet defines the classes for light, dark and print.
package svg

import (
	"html"
	"strconv"
	"strings"
)

// Drawing gathers the elements of one SVG picture. Looks are classes, so that
// the page's style decides colors for light, dark and paper.
type Drawing struct{ b strings.Builder }

// New begins a picture of that size. What it shows is said to those who do not
// see it: id must be unique in the page.
func New(width, height float64, id, title, desc string) *Drawing {
	d := &Drawing{}
	d.b.WriteString(`<svg viewBox="0 0 ` + px(width) + " " + px(height) + `" role="img" aria-labelledby="` + id + `-t ` + id + `-d">` +
		`<title id="` + id + `-t">` + html.EscapeString(title) + `</title><desc id="` + id + `-d">` + html.EscapeString(desc) + "</desc>\n")
	return d
}

// End returns the whole picture.
func (d *Drawing) End() string { return d.b.String() + "</svg>\n" }

// Line draws from one point to the other.
func (d *Drawing) Line(x1, y1, x2, y2 float64, class string) {
	d.b.WriteString(`<line x1="` + px(x1) + `" y1="` + px(y1) + `" x2="` + px(x2) + `" y2="` + px(y2) + `" class="` + class + "\"/>\n")
}

// Rect draws a box; one without width is not drawn.
func (d *Drawing) Rect(x, y, width, height float64, class string) {
	if width > 0 {
		d.b.WriteString(`<rect x="` + px(x) + `" y="` + px(y) + `" width="` + px(width) + `" height="` + px(height) + `" rx="1.5" class="` + class + "\"/>\n")
	}
}

// Circle draws a circle that says hint to a pointer.
func (d *Drawing) Circle(x, y, radius float64, class, hint string) {
	d.b.WriteString(`<circle cx="` + px(x) + `" cy="` + px(y) + `" r="` + px(radius) + `" class="` + class + `">`)
	if hint != "" {
		d.b.WriteString("<title>" + html.EscapeString(hint) + "</title>")
	}
	d.b.WriteString("</circle>\n")
}

// Text writes from x on, or as the classes mid and end say.
func (d *Drawing) Text(x, y float64, class, s string) {
	d.b.WriteString(`<text x="` + px(x) + `" y="` + px(y) + `" class="` + class + `">` + html.EscapeString(s) + "</text>\n")
}

// Polyline draws through points given as x, y, x, y.
func (d *Drawing) Polyline(class string, xy []float64) {
	d.b.WriteString(`<polyline class="` + class + `" points="`)
	for i := 0; i+1 < len(xy); i += 2 {
		if i > 0 {
			d.b.WriteByte(' ')
		}
		d.b.WriteString(px(xy[i]) + "," + px(xy[i+1]))
	}
	d.b.WriteString("\"/>\n")
}

// Upright writes a text that is read from below, centered on the point.
func (d *Drawing) Upright(x, y float64, class, s string) {
	d.b.WriteString(`<text transform="translate(` + px(x) + " " + px(y) + `) rotate(-90)" class="` + class + `">` + html.EscapeString(s) + "</text>\n")
}

// px writes a coordinate to a tenth.
func px(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}
