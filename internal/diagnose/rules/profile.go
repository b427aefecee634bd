package rules

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

// Profiles returns the profiles of all deployments, by pool, tier and name.
func (c *Collector) Profiles() []diagnose.Profile {
	var all []diagnose.Profile
	for _, d := range c.deployments {
		if d.name == unknownDeployment {
			continue
		}
		s := diagnose.Profile{Name: d.name, Pool: d.pool, Model: d.model, Region: d.region, Kind: d.kind, Tier: d.tier, Known: d.known}
		s.FirstMedian, s.FirstSigma = spread(&d.ttft)
		s.PaceMedian, s.PaceSigma = spread(&d.pace)
		s.WorkPerSecond, s.TokensPerMinute = c.limits(d)
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b diagnose.Profile) int {
		return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Tier, b.Tier), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// spread is the median of values in ms, and the sigma of their logarithms.
func spread(s *sketch) (median time.Duration, sigma float64) {
	p50, p84 := s.quantile(0.5), s.quantile(0.8413)
	if p50 <= 0 {
		return 0, 0
	}
	return time.Duration(p50 * float64(time.Millisecond)), math.Log(p84 / p50)
}

// limits are the work per second and the tokens per minute that a deployment
// bears, as far as it has shown them.
func (c *Collector) limits(d *deployment) (work, tokens float64) {
	length := c.bucket.Seconds()
	most, full, reserved, n := 0.0, 0.0, 0.0, 0.0
	for _, x := range d.byBucket {
		most = max(most, x.work/length)
		if x.refused >= 3 && x.refused >= pressedBucket*x.tries {
			n++
			full += x.work / length
			reserved += x.reserved / length * 60
		}
	}
	if n == 0 {
		return 1.5 * most, 0
	}
	return full / n, reserved / n
}

// Span is the part of the time, of at most so many tries, in which most
// requests failed. A bucket of time with more tries counts whole.
func (c *Collector) Span(maxTries int) (from, to time.Time) {
	numbers := make([]int64, 0, len(c.total.retryBuckets))
	for n := range c.total.retryBuckets {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	begin := func(n int64) time.Time { return time.Unix(n*int64(c.bucket/time.Second), 0).UTC() }
	best, tries, failed, first := -1.0, 0.0, 0.0, 0
	for i, n := range numbers {
		tries += c.total.retryBuckets[n].tries
		failed += c.total.retryBuckets[n].failed
		for first < i && tries > float64(maxTries) {
			tries -= c.total.retryBuckets[numbers[first]].tries
			failed -= c.total.retryBuckets[numbers[first]].failed
			first++
		}
		if failed > best {
			best, from, to = failed, begin(numbers[first]), begin(n+1)
		}
	}
	return from, to
}
