package workload

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

//go:embed marginals.csv
var marginals string

// guideCells is the number of equal parts of the shares for which a sampler
// remembers where to look.
const guideCells = 512

// sampler draws numbers of tokens. It does not change.
type sampler struct {
	// shares and values are the points of an inverse distribution function;
	// guide[i] is the last point whose share is at most i/guideCells.
	shares, values []float64
	guide          []uint16
	mu, sigma      float64 // of a lognormal distribution, where there are no points
	low, high      float64
}

// newSampler returns the sampler of l, which has been checked; side is input
// or output.
func newSampler(l *Lengths, side string) (*sampler, error) {
	s := &sampler{low: float64(max(l.Min, 1)), high: math.Inf(1)}
	if l.Max > 0 {
		s.high = float64(l.Max)
	}
	switch {
	case l.Table != "":
		var err error
		if s.shares, s.values, err = table(l.Table, side); err != nil {
			return nil, err
		}
	case len(l.CDF) > 0:
		for _, p := range l.CDF {
			s.shares, s.values = append(s.shares, p[0]), append(s.values, p[1])
		}
	case l.Median > 0:
		s.mu, s.sigma = math.Log(l.Median), l.Sigma
		return s, nil
	default:
		// Rounding gives every number from min to max the same share.
		s.shares, s.values = []float64{0, 1}, []float64{float64(l.Min) - 0.5, float64(l.Max) + 0.5}
	}
	s.guide = make([]uint16, guideCells)
	at := 0
	for i := range s.guide {
		for s.shares[at+1] <= float64(i)/guideCells {
			at++
		}
		s.guide[i] = uint16(min(at, math.MaxUint16))
	}
	return s, nil
}

// draw returns a number of tokens, at least 1.
func (s *sampler) draw(rng *rand.Rand) int {
	var v float64
	if s.shares == nil {
		v = math.Exp(s.mu + s.sigma*rng.NormFloat64())
	} else {
		u := rng.Float64()
		i := int(s.guide[int(u*guideCells)])
		for s.shares[i+1] <= u {
			i++
		}
		v = s.values[i] + (s.values[i+1]-s.values[i])*(u-s.shares[i])/(s.shares[i+1]-s.shares[i])
	}
	return int(min(max(math.Floor(v+0.5), s.low), s.high, maxTokens))
}

// Tables lists the built-in distributions.
func Tables() []string {
	var names []string
	for column := range strings.SplitSeq(header(), ",") {
		if name, ok := strings.CutSuffix(column, ".input"); ok {
			names = append(names, name)
		}
	}
	return names
}

// header is the line of marginals that names the columns.
func header() string {
	for line := range strings.Lines(marginals) {
		if !strings.HasPrefix(line, "#") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// table returns the points of a built-in distribution.
func table(name, side string) (shares, values []float64, err error) {
	column := slices.Index(strings.Split(header(), ","), name+"."+side)
	if column < 0 {
		return nil, nil, fmt.Errorf("unknown table %q: use one of %s", name, strings.Join(Tables(), ", "))
	}
	r := csv.NewReader(strings.NewReader(marginals))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil {
		return nil, nil, fmt.Errorf("read the built-in tables: %w", err)
	}
	for _, row := range rows[1:] {
		share, err := strconv.ParseFloat(row[0], 64)
		if err != nil {
			return nil, nil, fmt.Errorf("read the built-in tables: %w", err)
		}
		value, err := strconv.ParseFloat(row[column], 64)
		if err != nil {
			return nil, nil, fmt.Errorf("read the built-in tables: %w", err)
		}
		shares, values = append(shares, share), append(values, value)
	}
	return shares, values, nil
}
