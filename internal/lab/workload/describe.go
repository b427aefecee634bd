package workload

import (
	"cmp"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"time"
)

// Bounds of what Describe remembers.
const (
	maxClients = 100_000 // distinct clients
	maxClasses = 64      // distinct classes; others count as one
)

// longOutput is the output above which a call counts as long: what fits into
// 60 s at the slowest hundredth of speeds, 33 tokens per second.
const longOutput = 2000

// otherClass is the row of the classes beyond maxClasses.
const otherClass = "(others)"

// Description is the statistics of a workload. docs/WORKLOADS.md defines them.
type Description struct {
	Calls       int     `json:"calls"`
	SpanSeconds float64 `json:"span_seconds"` // first call to last
	RatePerS    float64 `json:"rate_per_second"`
	// CV is the coefficient of variation of the gaps between calls; ClientCV
	// that of each client's own gaps, weighted by its calls.
	CV       float64 `json:"cv"`
	ClientCV float64 `json:"client_cv"`
	// Bursts describes the counts of calls in windows of one and ten seconds.
	Bursts []Burstiness `json:"bursts"`

	InputTokens  Tokens `json:"input_tokens"`
	OutputTokens Tokens `json:"output_tokens"`
	// MaxTokens describes the calls that set a limit, Limited of their share.
	MaxTokens Tokens  `json:"max_tokens"`
	Limited   float64 `json:"limited_share"`

	// LongCalls is the share of calls with more than 2,000 output tokens,
	// LongTokens their share of all output tokens.
	LongCalls  float64 `json:"long_calls_share"`
	LongTokens float64 `json:"long_tokens_share"`

	Stream    float64 `json:"stream_share"`
	CanStream float64 `json:"can_stream_share"`
	Prefixed  float64 `json:"prefix_share"` // calls whose prompt has cacheable blocks

	Clients Clients   `json:"clients"`
	Classes []Segment `json:"classes"`
	Models  []Segment `json:"models"`
}

// Burstiness is how far counts of calls in a window exceed their mean.
type Burstiness struct {
	WindowSeconds int     `json:"window_seconds"`
	P99           float64 `json:"p99"` // over the mean
	Max           float64 `json:"max"` // over the mean
}

// Tokens summarizes a number of tokens.
type Tokens struct {
	Mean float64 `json:"mean"`
	P50  int     `json:"p50"`
	P90  int     `json:"p90"`
	P95  int     `json:"p95"`
	P99  int     `json:"p99"`
	Max  int     `json:"max"`
}

// Clients describes the callers. Shares are of the calls.
type Clients struct {
	Count int     `json:"count"` // at least, where More
	Top1  float64 `json:"top1_share"`
	Top10 float64 `json:"top10_share"`
	// Zipf is the exponent that fits the shares, 0 for fewer than 3 clients.
	Zipf float64 `json:"zipf"`
	More bool    `json:"more,omitempty"` // more clients than the maximum
}

// Segment is one class or one model of a workload.
type Segment struct {
	Name       string  `json:"name"` // "" where the trace does not say
	Calls      int     `json:"calls"`
	Share      float64 `json:"share"`
	InputMean  float64 `json:"input_tokens_mean"`
	OutputMean float64 `json:"output_tokens_mean"`
	OutputP99  int     `json:"output_tokens_p99"`
	MaxTokens  int     `json:"max_tokens"` // largest limit set
	Stream     float64 `json:"stream_share"`
	CanStream  float64 `json:"can_stream_share"`
}

// Describe reads src to its end in bounded memory. A workload without calls is
// ErrEmpty.
func Describe(src Source) (Description, error) {
	s := survey{
		clients: map[string]*client{}, classes: map[string]*segment{}, models: map[string]*segment{},
		windows: []window{{width: time.Second, counts: newDistribution()}, {width: 10 * time.Second, counts: newDistribution()}},
		input:   newDistribution(), output: newDistribution(), limits: newDistribution(),
	}
	for {
		c, err := src.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Description{}, err
		}
		s.add(&c)
	}
	if s.calls == 0 {
		return Description{}, ErrEmpty
	}
	return s.description(), nil
}

// survey gathers the statistics of a workload.
type survey struct {
	calls                       int
	first                       time.Duration
	gaps                        gaps
	windows                     []window
	input, output, limits       distribution
	long, stream, can, prefixed int
	longTokens                  float64
	clients                     map[string]*client
	strangers                   int // calls of clients beyond the maximum
	classes, models             map[string]*segment
}

type client struct {
	calls int
	gaps  gaps
}

type segment struct {
	input       float64 // sum of the tokens
	outputs     distribution
	limit       int
	stream, can int
}

func (s *survey) add(c *Call) {
	if s.calls == 0 {
		s.first = c.At
	}
	s.calls++
	s.gaps.add(c.At)
	for i := range s.windows {
		s.windows[i].add(c.At - s.first)
	}
	s.input.add(c.PromptTokens, 1)
	s.output.add(c.OutputTokens, 1)
	if c.MaxTokens > 0 {
		s.limits.add(c.MaxTokens, 1)
	}
	if c.OutputTokens > longOutput {
		s.long++
		s.longTokens += float64(c.OutputTokens)
	}
	s.stream += count(c.Stream)
	s.can += count(c.CanStream)
	s.prefixed += count(len(c.Prefix) > 0)
	who := s.clients[c.Client]
	if who == nil && len(s.clients) < maxClients {
		who = &client{}
		s.clients[c.Client] = who
	}
	if who == nil {
		s.strangers++
	} else {
		who.calls++
		who.gaps.add(c.At)
	}
	addTo(s.classes, c.Class, c)
	addTo(s.models, c.Model, c)
}

func count(set bool) int {
	if set {
		return 1
	}
	return 0
}

// addTo counts c in its segment.
func addTo(segments map[string]*segment, name string, c *Call) {
	g := segments[name]
	if g == nil {
		if len(segments) >= maxClasses {
			name = otherClass
		}
		if g = segments[name]; g == nil {
			g = &segment{outputs: newDistribution()}
			segments[name] = g
		}
	}
	g.input += float64(c.PromptTokens)
	g.outputs.add(c.OutputTokens, 1)
	g.limit = max(g.limit, c.MaxTokens)
	g.stream += count(c.Stream)
	g.can += count(c.CanStream)
}

func (s *survey) description() Description {
	n := float64(s.calls)
	span := (s.gaps.last - s.first).Seconds()
	d := Description{
		Calls: s.calls, SpanSeconds: span, CV: s.gaps.cv(),
		InputTokens: s.input.tokens(), OutputTokens: s.output.tokens(),
		MaxTokens: s.limits.tokens(), Limited: float64(s.limits.Count()) / n,
		LongCalls: float64(s.long) / n, Stream: float64(s.stream) / n,
		CanStream: float64(s.can) / n, Prefixed: float64(s.prefixed) / n,
		Clients: s.who(), Classes: segmentRows(s.classes, s.calls), Models: segmentRows(s.models, s.calls),
	}
	if span > 0 {
		d.RatePerS = (n - 1) / span
	}
	if s.output.sum > 0 {
		d.LongTokens = s.longTokens / s.output.sum
	}
	d.ClientCV = s.clientCV()
	for i := range s.windows {
		d.Bursts = append(d.Bursts, s.windows[i].burstiness())
	}
	return d
}

// clientCV adds in the order of names, so that equal workloads give equal
// digits.
func (s *survey) clientCV() float64 {
	var weight, sum float64
	for _, name := range slices.Sorted(maps.Keys(s.clients)) {
		if c := s.clients[name]; c.gaps.n > 1 {
			weight += float64(c.calls)
			sum += float64(c.calls) * c.gaps.cv()
		}
	}
	if weight == 0 {
		return 0
	}
	return sum / weight
}

// who summarizes the clients.
func (s *survey) who() Clients {
	if _, unnamed := s.clients[""]; unnamed && len(s.clients) == 1 {
		return Clients{}
	}
	shares := make([]int, 0, len(s.clients))
	for _, c := range s.clients {
		shares = append(shares, c.calls)
	}
	slices.SortFunc(shares, func(a, b int) int { return cmp.Compare(b, a) })
	out := Clients{Count: len(shares), More: s.strangers > 0, Zipf: zipfExponent(shares)}
	for i, n := range shares[:min(10, len(shares))] {
		if i == 0 {
			out.Top1 = float64(n) / float64(s.calls)
		}
		out.Top10 += float64(n) / float64(s.calls)
	}
	return out
}

// zipfExponent fits log share against log rank by least squares, each rank
// weighted by its calls.
func zipfExponent(calls []int) float64 {
	if len(calls) < 3 {
		return 0
	}
	var w, x, y, xx, xy float64
	for i, n := range calls {
		a, b, weight := math.Log(float64(i+1)), math.Log(float64(n)), float64(n)
		w += weight
		x += weight * a
		y += weight * b
		xx += weight * a * a
		xy += weight * a * b
	}
	return (x*y - w*xy) / (w*xx - x*x)
}

// segmentRows lists segments, the largest first.
func segmentRows(segments map[string]*segment, calls int) []Segment {
	rows := make([]Segment, 0, len(segments))
	for name, g := range segments {
		n := float64(g.outputs.Count())
		rows = append(rows, Segment{
			Name: name, Calls: g.outputs.Count(), Share: n / float64(calls),
			InputMean: g.input / n, OutputMean: g.outputs.mean(), OutputP99: g.outputs.WholeQuantile(.99),
			MaxTokens: g.limit, Stream: float64(g.stream) / n, CanStream: float64(g.can) / n,
		})
	}
	slices.SortFunc(rows, func(a, b Segment) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Name, b.Name))
	})
	return rows
}
