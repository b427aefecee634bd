package chart

import (
	"math"
	"strconv"
)

// maxMarked is the number of points up to which a line's are marked, for each
// pixel of the axis.
const maxMarked = 1.0 / 24

// marks draws the series, the later ones above the earlier ones, and then the
// labels.
func (f *frame) marks(p *picture, n *Panel) {
	sums := map[float64]float64{}
	for i := range n.Series {
		s := &n.Series[i]
		switch s.Mark {
		case Line, Area:
			f.line(p, s, n.Stacked, sums)
		case Bars:
			f.bars(p, n, s, sums)
		case Dots:
			f.dots(p, n, s)
		case Range:
			p.path("range "+string(s.Color), f.place(s.Points), false, "")
		case Cells:
			f.cells(p, s)
		}
	}
	f.labels.draw(p)
}

// place returns the pixels of points.
func (f *frame) place(points []Point) []float64 {
	xy := make([]float64, 0, 2*len(points))
	for _, q := range points {
		xy = append(xy, f.x.at(q.X), f.y.at(q.Y))
	}
	return xy
}

// line draws a line or an area, which stands on the areas before it when they
// are stacked.
func (f *frame) line(p *picture, s *Series, stacked bool, sums map[float64]float64) {
	points := s.Points
	if len(points) == 0 {
		return
	}
	if s.Mark == Area {
		var below, above []float64
		for i := range points {
			q := &points[i]
			base := 0.0
			if stacked {
				base = sums[q.X]
				sums[q.X] += q.Y
			}
			above = append(above, f.x.at(q.X), f.y.at(base+q.Y))
			below = append(below, f.y.at(base), f.x.at(q.X))
		}
		outline := append([]float64(nil), above...)
		for i := len(below) - 1; i >= 0; i-- {
			outline = append(outline, below[i])
		}
		class := "area "
		if stacked {
			class = "fill "
		}
		p.path(class+string(s.Color), outline, true, "")
		p.path("line "+string(s.Color), above, false, "")
		return
	}
	xy := f.place(points)
	p.path("line "+string(s.Color), xy, false, "")
	f.labels.along(xy)
	marked := float64(len(points)) <= max((f.right-f.left)*maxMarked, 1)
	for i, q := range points {
		radius := 3.6
		switch {
		case q.Size > 0:
			radius = 3 + 15*math.Sqrt(q.Size)*min((f.right-f.left)/600, 1)
			p.circle(xy[2*i], xy[2*i+1], radius, "bubble "+string(s.Color), q.Hint)
		case marked:
			p.point(xy[2*i], xy[2*i+1], radius, s.Color, q.Hint)
		}
		f.labels.spots = append(f.labels.spots, spot{x: xy[2*i], y: xy[2*i+1], radius: radius, label: q.Label})
	}
}

// bars draws bars from zero, or from the end of those before them.
func (f *frame) bars(p *picture, n *Panel, s *Series, sums map[float64]float64) {
	class := "fill " + string(s.Color)
	for _, q := range s.Points {
		if n.Y.Names != nil {
			base := sums[q.Y]
			if n.Stacked {
				sums[q.Y] += q.X
			}
			from, to, y := f.x.at(base), f.x.at(base+q.X), f.y.at(q.Y)
			if q.X > 0 {
				to = max(to, from+1.5) // a little is not nothing
			}
			p.rect(box{min(from, to), y - barHeight/2, max(from, to), y + barHeight/2}, class, q.Hint)
			p.text(max(from, to)+6, y+4, "value", q.Label)
			continue
		}
		base := sums[q.X]
		if n.Stacked {
			sums[q.X] += q.Y
		}
		from, to := f.y.at(base), f.y.at(base+q.Y)
		x, end := f.x.at(q.X), f.x.at(q.X1)
		p.rect(box{x, min(from, to), max(end-0.5, x+0.5), max(from, to)}, class, q.Hint)
	}
}

// dots draws points: in rows with the label beside them.
func (f *frame) dots(p *picture, n *Panel, s *Series) {
	for _, q := range s.Points {
		x, y := f.x.at(q.X), f.y.at(q.Y)
		p.point(x, y, 4.5, s.Color, q.Hint)
		if n.Y.Names != nil {
			p.text(x+10, y+4, "value", q.Label)
			continue
		}
		f.labels.spots = append(f.labels.spots, spot{x: x, y: y, radius: 4.5, label: q.Label, strong: true})
	}
}

// cells draws the fields of a heat map, in four depths of color.
func (f *frame) cells(p *picture, s *Series) {
	for _, q := range s.Points {
		x, y, end, top := f.x.at(q.X), f.y.at(q.Y), f.x.at(q.X1), f.y.at(q.Y1)
		depth := min(1+int(4*q.Size), 4)
		p.rect(box{x, top, end, y}, "fill depth"+strconv.Itoa(depth)+" "+string(s.Color), q.Hint)
	}
}
