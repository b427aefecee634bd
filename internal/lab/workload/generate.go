package workload

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"time"
)

// Generate returns the workload that spec says, the same for the same seed.
// It takes memory in proportion to the clients. Arrivals, bursts and lengths
// draw from sequences of their own: another distribution of lengths leaves the
// arrivals as they are.
func Generate(spec Spec, seed uint64) (Source, error) {
	if err := spec.Check(); err != nil {
		return nil, fmt.Errorf("workload specification: %w", err)
	}
	g := &generator{
		model: spec.Model, end: spec.Duration.Seconds(),
		renewal: newRenewal(spec.Arrivals), curve: newCurve(spec.Curve),
		arrivals: rand.New(rand.NewPCG(seed, 1)), lengths: rand.New(rand.NewPCG(seed, 2)),
	}
	needed := 0.0
	g.pace, needed = newPace(spec.Bursts, rand.New(rand.NewPCG(seed, 3)))
	if err := g.addClasses(spec.Classes); err != nil {
		return nil, fmt.Errorf("workload specification: %w", err)
	}
	g.addClients(max(spec.Clients, 1), spec.Zipf, spec.Rate*needed)
	return g, nil
}

// generator is a Source that merges the arrivals of clients.
type generator struct {
	model    string
	end      float64 // s
	renewal  renewal
	curve    curve
	pace     pace
	arrivals *rand.Rand
	lengths  *rand.Rand
	names    []string  // of clients
	means    []float64 // of their gaps in even time, s
	next     []arrival // heap: each client's next arrival
	classes  []class
	done     bool
}

// arrival is when a client comes next, in even time.
type arrival struct {
	at     float64 // s
	client int
}

// class is a class ready to draw from.
type class struct {
	below          float64 // sum of the shares up to and with this one
	call           Call    // what its calls have in common
	input, output  *sampler
	stream, canRun float64
}

func (g *generator) addClasses(specs []Class) error {
	total := 0.0
	for i := range specs {
		total += specs[i].Share
	}
	sum := 0.0
	for i := range specs {
		s := &specs[i]
		share := s.Share / total
		if total == 0 {
			share = 1 / float64(len(specs))
		}
		sum += share
		input, err := newSampler(&s.Input, "input")
		if err != nil {
			return fmt.Errorf("classes[%d].input: %w", i, err)
		}
		output, err := newSampler(&s.Output, "output")
		if err != nil {
			return fmt.Errorf("classes[%d].output: %w", i, err)
		}
		g.classes = append(g.classes, class{
			below: sum, call: Call{Class: s.Name, Model: g.model, MaxTokens: s.MaxTokens},
			input: input, output: output, stream: s.Stream, canRun: s.CanStream,
		})
	}
	g.classes[len(g.classes)-1].below = 2 // whatever rounding has lost
	return nil
}

// addClients shares rate, in arrivals per second, among n clients.
func (g *generator) addClients(n int, zipf, rate float64) {
	total := 0.0
	for k := 1; k <= n; k++ {
		total += math.Pow(float64(k), -zipf)
	}
	digits := max(len(fmt.Sprint(n-1)), 2)
	for k := range n {
		share := math.Pow(float64(k+1), -zipf) / total
		g.names = append(g.names, fmt.Sprintf("c%0*d", digits, k))
		g.means = append(g.means, 1/(rate*share))
		g.next = append(g.next, arrival{g.means[k] * g.renewal.first(g.arrivals), k})
	}
	for i := n/2 - 1; i >= 0; i-- {
		g.sink(i)
	}
}

// Next returns the next call.
func (g *generator) Next() (Call, error) {
	for !g.done {
		a := &g.next[0]
		client := a.client
		t := g.curve.when(a.at)
		if t >= g.end {
			g.done = true
			break
		}
		a.at += g.means[client] * g.renewal.gap(g.arrivals)
		g.sink(0)
		if keep := g.pace.keep(t); keep < 1 && g.arrivals.Float64() >= keep {
			continue
		}
		return g.call(t, client), nil
	}
	return Call{}, io.EOF
}

// call draws what is called for.
func (g *generator) call(t float64, client int) Call {
	k := 0
	if len(g.classes) > 1 {
		for u := g.lengths.Float64(); u >= g.classes[k].below; {
			k++
		}
	}
	class := &g.classes[k]
	c := class.call
	c.At = time.Duration(t*1e6) * time.Microsecond
	c.Client = g.names[client]
	c.PromptTokens = class.input.draw(g.lengths)
	c.OutputTokens = class.output.draw(g.lengths)
	c.Stream = class.stream > 0 && g.lengths.Float64() < class.stream
	c.CanStream = !c.Stream && class.canRun > 0 && g.lengths.Float64() < class.canRun
	return c
}

// sink restores the heap's order below i. Among equal instants the lower
// client is first.
func (g *generator) sink(i int) {
	h := g.next
	x := h[i]
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if right := child + 1; right < len(h) && h[right].before(h[child]) {
			child = right
		}
		if !h[child].before(x) {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = x
}

func (a arrival) before(b arrival) bool {
	return a.at < b.at || a.at == b.at && a.client < b.client
}
