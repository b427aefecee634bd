package diagnose

// The heat map's grid: a quarter octave on both axes.
const (
	heatColumns = 40 // output tokens from 16 on
	heatRows    = 36 // seconds from 1/4 on
)

// plotData is what pictures need besides the cells.
type plotData struct {
	heat [heatRows][heatColumns]uint32
	late [heatRows][heatColumns]uint32
	out  float64
	n    float64
}

func (p *plotData) add(o *Observation) {
	if o.complete() {
		p.out += float64(o.CompletionTokens)
		p.n++
	}
	tokens, took := o.CompletionTokens, o.E2E.Seconds()
	if tokens < 1 || took <= 0 {
		return
	}
	x := min(max(int(4*log2(float64(tokens)/8)), 0), heatColumns-1)
	y := min(max(int(4*log2(took*8)), 0), heatRows-1)
	if o.late() {
		p.late[y][x]++
	} else {
		p.heat[y][x]++
	}
}

// meanOutput is of complete answers so far.
func (p *plotData) meanOutput() float64 { return share(p.out, p.n) }
