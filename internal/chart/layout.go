package chart

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
	spans, xs, ys := n.spans()
	if n.Y.Names != nil {
		f.top += 8
		f.bottom = f.top + rowHeight*float64(len(n.Y.Names))
		for i, name := range n.Y.Names {
			if named {
				p.text(f.left-10, f.top+rowHeight*(float64(i)+0.5)+4, "name end", clip(name, f.left-12))
			}
		}
		f.y = scale{hi: float64(len(n.Y.Names) - 1)}.over(f.top+rowHeight/2, f.bottom-rowHeight/2)
		f.right -= f.room
		f.x = n.X.scale(xs, ticksIn(f.right-f.left, 80)).over(f.left, f.right)
	} else {
		f.heading(p, n.Y.Label, "unit")
		f.top += 8
		height := n.Height
		if height == 0 {
			height = 230
		}
		f.bottom = f.top + height
		inset, apart := 16.0, 70.0
		if n.X.Kind == Time {
			inset, apart = 0, 60
		}
		f.y = n.Y.scale(ys, ticksIn(height, 48)).over(f.bottom-inset, f.top+inset)
		room := 22.0
		for _, v := range f.y.ticks {
			room = max(room, widthOf(f.y.format(v))+15)
		}
		f.left += room
		f.right -= margin
		f.x = n.X.scale(xs, ticksIn(f.right-f.left, apart)).over(f.left+inset, f.right-inset)
		f.horizontals(p)
	}
	f.labels.frame = box{f.left + 4, f.top, f.right, f.bottom}
	bottom = f.verticals(p, n.X)
	f.marks(p, n, spans)
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

// verticals draws the lines of the horizontal axis and returns where the panel
// ends.
func (f *frame) verticals(p *picture, axis Axis) (bottom float64) {
	reached := f.least
	for _, v := range f.x.ticks {
		x, top, class := f.x.at(v), f.top-2, "grid"
		if axis.Kind == Time {
			top, class = f.bottom-4, "axis"
		} else if v == 0 {
			class = "axis"
		}
		p.path(class, []float64{x, top, x, f.bottom}, false)
		text := f.x.format(v)
		half := widthOf(text) / 2
		if x-half > reached && x+half < f.most {
			p.text(x, f.bottom+16, "tick mid", text)
			reached = x + half + 6
		}
	}
	if axis.Label == "" {
		return f.bottom + 22
	}
	label := clip(axis.Label, f.most-f.head)
	half := widthOf(label) / 2
	p.text(min(max((f.left+f.right)/2, f.head+half), f.most-half), f.bottom+36, "unit mid", label)
	return f.bottom + 42
}

// horizontals draws the lines of the vertical axis.
func (f *frame) horizontals(p *picture) {
	for _, v := range f.y.ticks {
		class, y := "grid", f.y.at(v)
		if v == 0 {
			class = "axis"
		}
		p.path(class, []float64{f.left, y, f.right, y}, false)
		p.text(f.left-8, y+4, "tick end", f.y.format(v))
	}
	if f.y.zero > 0 {
		p.text(f.left-12, (f.y.at(0)+f.y.at(f.y.lo))/2+4, "tick end", "⋮")
	}
}
