package bench

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"
)

// board collects what was measured, to be printed when all is done.
var board scores

// scores is safe for concurrent use.
type scores struct {
	mu   sync.Mutex
	list []score
}

// score is one target and what was measured for it: the value must not exceed
// the limit.
type score struct {
	name   string
	value  float64
	limit  float64
	unit   string // of both; "x" for a ratio
	detail string
}

func (s *scores) add(b *testing.B, sc score) {
	b.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, sc)
	b.ReportMetric(sc.value, sc.unit)
	b.ReportMetric(0, "ns/op") // a whole run is no operation
}

// print writes one line per target and returns how many were missed.
func (s *scores) print(w io.Writer) (missed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sc := range s.list {
		verdict := "pass"
		if sc.value > sc.limit {
			verdict = "FAIL"
			missed++
		}
		fmt.Fprintf(w, "%s  %-44s %8.2f %-9s target <= %.2f   %s\n",
			verdict, sc.name, sc.value, sc.unit, sc.limit, sc.detail)
	}
	return missed
}

// sample is the same figure from several rounds.
type sample []float64

func (s sample) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func (s sample) mean() float64 {
	sum := 0.0
	for _, v := range s {
		sum += v
	}
	return sum / float64(len(s))
}

// String is the median and the range, without a unit.
func (s sample) String() string {
	return fmt.Sprintf("%.2f [%.2f, %.2f]", s.median(), slices.Min(s), slices.Max(s))
}

// over returns the ratio to other, round by round.
func (s sample) over(other sample) sample {
	ratios := make(sample, len(s))
	for i := range s {
		ratios[i] = s[i] / other[i]
	}
	return ratios
}

// beyond returns the difference to other, round by round.
func (s sample) beyond(other sample) sample {
	differences := make(sample, len(s))
	for i := range s {
		differences[i] = s[i] - other[i]
	}
	return differences
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
