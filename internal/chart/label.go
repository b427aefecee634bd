package chart

import "math"

// box is the place that a text or a mark takes.
type box struct{ left, top, right, bottom float64 }

// overlap returns the area that two boxes share.
func (b box) overlap(o box) float64 {
	width := min(b.right, o.right) - max(b.left, o.left)
	height := min(b.bottom, o.bottom) - max(b.top, o.top)
	return max(width, 0) * max(height, 0)
}

// spot is a point on the picture that may have a label.
type spot struct {
	x, y, radius float64
	label        string
	strong       bool
}

// labels collects what is drawn between the axes, so that the labels of points
// can keep off it.
type labels struct {
	frame box
	spots []spot
	lines []box
}

// along covers a line through points with small boxes.
func (l *labels) along(xy []float64) {
	const step = 6.0
	for i := 0; i+3 < len(xy); i += 2 {
		dx, dy := xy[i+2]-xy[i], xy[i+3]-xy[i+1]
		n := math.Ceil(math.Hypot(dx, dy) / step)
		for k := range int(n) {
			x, y := xy[i]+dx*float64(k)/n, xy[i+1]+dy*float64(k)/n
			l.lines = append(l.lines, box{x - step/2, y - step/2, x + step/2, y + step/2})
		}
	}
}

// draw writes each label where it covers the least of what is there; the
// strong ones first. A label that would cover another one is left out: its
// point still has a hint.
func (l *labels) draw(p *picture) {
	taken := l.lines
	for _, s := range l.spots {
		r := 0.8 * s.radius
		taken = append(taken, box{s.x - r, s.y - r, s.x + r, s.y + r})
	}
	marks := len(taken)
	for _, strong := range [...]bool{true, false} {
		for _, s := range l.spots {
			if s.label == "" || s.strong != strong {
				continue
			}
			best, least := box{}, math.Inf(1)
			for _, b := range l.places(s) {
				cost := 0.0
				for i, t := range taken {
					if shared := b.overlap(t); shared > 0 && i >= marks {
						cost = math.Inf(1)
					} else {
						cost += shared
					}
				}
				if cost < least {
					best, least = b, cost
				}
			}
			if math.IsInf(least, 1) {
				continue
			}
			taken = append(taken, best)
			class := "note"
			if strong {
				class = "note strong"
			}
			p.text(best.left, best.bottom-3, class, s.label)
		}
	}
}

// places lists where in the frame a spot's label may be, the best first.
func (l *labels) places(s spot) []box {
	width, height := widthOf(s.label), 14.0
	var all []box
	for _, far := range [...]float64{3, 14, 28} {
		r := s.radius + far
		for _, at := range [...][2]float64{{1, 0}, {-1, 0}, {0, -1}, {0, 1}, {0.75, -0.75}, {0.75, 0.75}, {-0.75, -0.75}, {-0.75, 0.75}} {
			x, y := s.x+at[0]*(r+width/2), s.y+at[1]*(r+height/2)
			b := box{x - width/2, y - height/2, x + width/2, y + height/2}
			if b.left >= l.frame.left && b.right <= l.frame.right && b.top >= l.frame.top && b.bottom <= l.frame.bottom {
				all = append(all, b)
			}
		}
	}
	return all
}
