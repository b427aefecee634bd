package chart

import (
	"math"
	"strconv"
)

// span is a point with where it starts: the end of what it stands on.
type span struct {
	x0, y0, x, y float64
	*Point
}

// spans returns the points of each series, stacked, and what the axes have to
// cover.
func (n *Panel) spans() (all [][]span, xs, ys []float64) {
	base := map[float64]float64{}
	for _, s := range n.Series {
		stack := func(at, v float64) (from, to float64) {
			from = base[at]
			if n.Stacked {
				base[at] += v
			}
			return from, from + v
		}
		spans := make([]span, len(s.Points))
		for i := range s.Points {
			q := &s.Points[i]
			v := span{q.X, q.Y, q.X, q.Y, q}
			switch {
			case s.Mark == Bars && n.Y.Names != nil:
				v.x0, v.x = stack(q.Y, q.X)
			case s.Mark == Bars:
				v.x = q.X1
				v.y0, v.y = stack(q.X, q.Y)
			case s.Mark == Area:
				v.y0, v.y = stack(q.X, q.Y)
			case s.Mark == Cells:
				v.x, v.y = q.X1, q.Y1
			}
			spans[i] = v
			xs, ys = append(xs, v.x0, v.x), append(ys, v.y0, v.y)
		}
		all = append(all, spans)
	}
	return all, xs, ys
}

// marks draws the series, the later ones above the earlier ones, and then the
// labels.
func (f *frame) marks(p *picture, n *Panel, all [][]span) {
	for i := range n.Series {
		switch s := &n.Series[i]; s.Mark {
		case Line, Area, Range:
			f.line(p, s, all[i], n.Stacked)
		case Bars, Cells:
			f.boxes(p, s, all[i], n.Y.Names != nil)
		case Dots:
			for _, q := range all[i] {
				f.dot(p, s, q, n.Y.Names != nil)
			}
		}
	}
	f.labels.draw(p)
}

// line draws a line, with an area below it where that is asked for. Its points
// are marked where they are few.
func (f *frame) line(p *picture, s *Series, spans []span, stacked bool) {
	if len(spans) == 0 {
		return
	}
	xy := make([]float64, 0, 4*len(spans))
	for _, q := range spans {
		xy = append(xy, f.x.at(q.x), f.y.at(q.y))
	}
	color := string(s.Color)
	switch s.Mark {
	case Range:
		p.path("range "+color, xy, false)
		return
	case Area:
		outline := xy
		for i := len(spans) - 1; i >= 0; i-- {
			outline = append(outline, f.x.at(spans[i].x0), f.y.at(spans[i].y0))
		}
		class := "area "
		if stacked {
			class = "fill "
		}
		p.path(class+color, outline, true)
	}
	p.path("line "+color, xy, false)
	f.labels.along(xy)
	few := len(spans) <= max(int(f.right-f.left)/24, 1)
	for _, q := range spans {
		if few || q.Size > 0 {
			f.dot(p, s, q, false)
		}
	}
}

// dot draws a point or a bubble. In rows its label is right of it.
func (f *frame) dot(p *picture, s *Series, q span, rows bool) {
	x, y, radius := f.x.at(q.x), f.y.at(q.y), 4.0
	if q.Size > 0 {
		radius = 3 + 15*math.Sqrt(q.Size)*min((f.right-f.left)/600, 1)
		p.tag("circle", "bubble "+string(s.Color), hintOf(q.Hint), "cx cy r", x, y, radius)
	} else {
		p.point(x, y, radius, s.Color, q.Hint)
	}
	if rows {
		p.text(x+10, y+4, "value", q.Label)
	} else {
		f.labels.spots = append(f.labels.spots, spot{x, y, radius, q.Label, s.Mark == Dots})
	}
}

// boxes draws bars, and the cells of a heat map in four depths of color. The
// label of a bar in a row is right of it.
func (f *frame) boxes(p *picture, s *Series, spans []span, rows bool) {
	class := "fill " + string(s.Color)
	for _, q := range spans {
		x0, x, y0, y := f.x.at(q.x0), f.x.at(q.x), f.y.at(q.y0), f.y.at(q.y)
		b := box{min(x0, x), min(y0, y), max(x0, x), max(y0, y)}
		switch {
		case rows:
			if q.X > 0 {
				b.right = max(b.right, b.left+1.5) // a little is not nothing
			}
			b.top, b.bottom = y-barHeight/2, y+barHeight/2
			p.text(b.right+6, y+4, "value", q.Label)
		case s.Mark == Bars:
			b.right = max(b.right-0.5, b.left+0.5)
		}
		if s.Mark == Cells || q.Size > 0 {
			p.rect(b, class+" depth"+strconv.Itoa(min(1+int(4*q.Size), 4)), q.Hint)
			continue
		}
		p.rect(b, class, q.Hint)
	}
}
