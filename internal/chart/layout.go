package chart

import "math"

// Distances in the drawings.
const (
	rowHeight = 27.0
	barHeight = 15.0
	gap       = 28.0 // between panels
	margin    = 14.0 // right of an axis, for the half of its last value
	roomy     = 700  // width from which panels are beside each other
)

// frame is the place between a panel's axes.
type frame struct {
	left, right, top, bottom float64
	head                     float64 // where headings begin
	least, most              float64 // the ends of the values' texts
	room                     float64 // right of the axes, for labels
	x, y                     scale
	labels                   labels
}

// draw draws all panels and returns the height that they take.
func (c *Chart) draw(p *picture, width float64) (height float64) {
	columns := 1
	if width >= roomy {
		columns = max(c.Columns, 1)
	}
	for i := 0; i < len(c.Panels); i += columns {
		panels := c.Panels[i:min(i+columns, len(c.Panels))]
		names, labels := panels[0].nameRoom(width), 0.0
		for k := range c.Panels {
			labels = max(labels, c.Panels[k].labelRoom()) // alike, so that axes are alike
		}
		each := (width - names - gap*float64(columns-1)) / float64(columns)
		if i > 0 {
			height += gap - 8
		}
		bottom := height
		for k := range panels {
			f := frame{left: names + float64(k)*(each+gap), top: height, room: labels}
			f.right, f.head = f.left+each, f.left
			f.least, f.most = f.left-gap/2+3, f.right+gap/2-3
			if k == 0 {
				f.least = 0
			}
			if k == columns-1 {
				f.most = width
			}
			if columns == 1 {
				f.head = 0
			}
			bottom = max(bottom, panels[k].draw(p, f, k == 0))
		}
		height = bottom
	}
	return height
}

// nameRoom is what the names of rows take, at most a third of the width.
func (n *Panel) nameRoom(width float64) float64 {
	room := 0.0
	for _, name := range n.Y.Names {
		room = max(room, widthOf(name)+14)
	}
	return min(room, width/3)
}

// draw draws one panel in f, whose bottom is open, and returns where it ends.
// Names of rows are written left of it when named is set.
func (n *Panel) draw(p *picture, f frame, named bool) (bottom float64) {
	f.heading(p, n.Title, "panel")
	if n.Y.Names == nil {
		f.heading(p, n.Y.Label, "unit")
	}
	f.top += 8
	xs, ys := n.values()
	if n.Y.Names != nil {
		f.bottom = f.top + rowHeight*float64(len(n.Y.Names))
		if named {
			for i, name := range n.Y.Names {
				p.text(f.left-10, f.top+rowHeight*(float64(i)+0.5)+4, "name end", clip(name, f.left-12))
			}
		}
		f.y = scale{hi: float64(len(n.Y.Names) - 1)}.over(f.top+rowHeight/2, f.bottom-rowHeight/2)
		f.right -= f.room
		f.x = n.X.scale(xs, ticksIn(f.right-f.left, 80)).over(f.left, f.right)
	} else {
		height := n.Height
		if height == 0 {
			height = 230
		}
		f.bottom = f.top + height
		inset := n.inset()
		f.y = n.Y.scale(ys, ticksIn(height, 48)).over(f.bottom-inset, f.top+inset)
		room := 22.0
		for _, v := range f.y.ticks {
			room = max(room, widthOf(f.y.format(v))+10)
		}
		f.left += room
		f.right -= margin
		apart := 80.0
		if n.X.Kind == Time {
			apart = 92
		}
		f.x = n.X.scale(xs, ticksIn(f.right-f.left, apart)).over(f.left+inset, f.right-inset)
	}
	f.labels.frame = box{f.left + 4, f.top, f.right, f.bottom}
	bottom = f.axes(p, n)
	f.marks(p, n)
	return bottom
}

// heading writes a line above the axes.
func (f *frame) heading(p *picture, text, class string) {
	if text != "" {
		p.text(f.head, f.top+15, class, clip(text, f.right-f.head))
		f.top += 20
	}
}

func ticksIn(length, apart float64) int { return max(int(length/apart), 2) }

// inset keeps what is drawn at the ends of the axes between them.
func (n *Panel) inset() float64 {
	inset := 0.0
	for _, s := range n.Series {
		for _, q := range s.Points {
			if q.Size > 0 && s.Mark != Cells {
				return 26
			}
		}
		if s.Mark == Dots || n.Y.Kind == LogZero || n.X.Kind == LogZero {
			inset = 10
		}
	}
	return inset
}

// labelRoom is what the labels of rows take at the right.
func (n *Panel) labelRoom() float64 {
	room := margin
	for _, s := range n.Series {
		for _, q := range s.Points {
			room = max(room, widthOf(q.Label)+12)
		}
	}
	return room
}

// values returns what the axes have to cover.
func (n *Panel) values() (xs, ys []float64) {
	sums := map[float64]float64{}
	for _, s := range n.Series {
		for _, q := range s.Points {
			x, y := q.X, q.Y
			switch {
			case !n.Stacked || s.Mark != Bars && s.Mark != Area:
			case n.Y.Names != nil:
				sums[q.Y] += q.X
				x = sums[q.Y]
			default:
				sums[q.X] += q.Y
				y = sums[q.X]
			}
			xs, ys = append(xs, x), append(ys, y)
			if s.Mark == Cells || s.Mark == Bars && n.Y.Names == nil {
				xs = append(xs, q.X1)
			}
			if s.Mark == Cells {
				ys = append(ys, q.Y1)
			}
		}
	}
	return xs, ys
}

// axes draws the grid with its values and returns where the panel ends.
func (f *frame) axes(p *picture, n *Panel) (bottom float64) {
	if n.Y.Names == nil {
		f.horizontals(p, n)
	}
	reached := math.Inf(-1)
	for _, v := range f.x.ticks {
		x := f.x.at(v)
		if x < f.left-0.5 || x > f.right+0.5 {
			continue
		}
		switch {
		case n.X.Kind == Time:
			p.tag("line", "axis", "", "x1 y1 x2 y2", x, f.bottom, x, f.bottom+4)
		case v == 0:
			p.tag("line", "axis", "", "x1 y1 x2 y2", x, f.top-2, x, f.bottom)
		default:
			p.tag("line", "grid", "", "x1 y1 x2 y2", x, f.top-2, x, f.bottom)
		}
		text := f.x.format(v)
		half := widthOf(text) / 2
		if x-half > max(reached+6, f.least) && x+half < f.most {
			p.text(x, f.bottom+16, "tick mid", text)
			reached = x + half
		}
	}
	bottom = f.bottom + 22
	if n.X.Label != "" {
		label := clip(n.X.Label, f.most-f.head)
		half := widthOf(label) / 2
		p.text(min(max((f.left+f.right)/2, f.head+half), f.most-half), f.bottom+36, "unit mid", label)
		bottom += 20
	}
	return bottom
}

// horizontals draws the lines of the vertical axis.
func (f *frame) horizontals(p *picture, n *Panel) {
	for _, v := range f.y.ticks {
		class, y := "grid", f.y.at(v)
		if v == 0 {
			class = "axis"
		}
		p.tag("line", class, "", "x1 y1 x2 y2", f.left, y, f.right, y)
		p.text(f.left-8, y+4, "tick end", f.y.format(v))
	}
	if n.Y.Kind == LogZero {
		p.text(f.left-12, (f.y.at(0)+f.y.at(f.y.lo))/2+4, "tick end", "⋮")
	}
	if n.Y.Limit != 0 {
		y := f.y.at(n.Y.Limit)
		p.tag("line", "limit", "", "x1 y1 x2 y2", f.left, y, f.right, y)
	}
}
