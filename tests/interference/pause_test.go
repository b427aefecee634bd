package interference

import (
	"fmt"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy"
)

// single is a pool of one deployment.
func single() layout {
	d := spillway.Deployment{Name: "a", Model: "gpt-4o-mini", TPM: 400_000_000}
	return layout{"1 deployment", []member{{0, d, 1}}}
}

// pause is a time in which a deployment refuses everything.
type pause struct {
	lasts time.Duration
	told  time.Duration // the retry-after of every refusal; 0 is what is left of the pause
	// resumes is how long after it requests may wait to be served again, if there are any.
	resumes time.Duration
}

func (p pause) String() string {
	if p.told == 0 {
		return p.lasts.String()
	}
	return fmt.Sprintf("%v, said to be %v", p.lasts, p.told)
}

// TestPause: the only deployment of a pool refuses the requests of the only caller for a
// while, which its retry-after may overstate. Requests are served soon after it. Finding
// that out takes few attempts, and fails no request that would be served without it.
func TestPause(t *testing.T) {
	const second, minute = time.Second, time.Minute
	for _, p := range []pause{
		{3 * second, minute, second},
		{10 * second, minute, 3 * second},
		{25 * second, minute, 5 * second},
		{3 * second, 25 * second, second},
		{3 * second, 10 * second, second},
		{second / 2, 0, second / 2},
		{2 * second, 0, second / 2},
		{5 * second, 0, second / 2},
		{10 * second, 0, second / 2},
		{25 * second, 0, second / 2},
		{minute, 0, second / 2},
	} {
		for _, rate := range []float64{0.5, 2, 20} {
			t.Run(fmt.Sprintf("%v/%v per second", p, rate), func(t *testing.T) {
				t.Parallel()
				p.check(t, rate)
			})
		}
	}
}

func (p pause) check(t *testing.T, rate float64) {
	const from, watched = 20 * time.Second, 2 * time.Minute
	until := from + p.lasts
	s := scenario{layout: single(), crowd: crowds()[1], healthy: int(rate * watched.Seconds()), seed: 1, rate: rate, change: quiet}
	next, first := forever, forever // request after the pause, and success
	failed, early := 0, 0
	s.ended = func(c *call) {
		rec := c.flight.Record()
		switch at := c.at + rec.TTFT; {
		case rec.Status == 200 && at >= until:
			first = min(first, at)
		case rec.Status == 200:
		case c.at+policy.DefaultMaxWait < until:
			early++ // it may not wait for the end of the pause
		default:
			failed++
		}
		if c.at >= until {
			next = min(next, c.at)
		}
	}
	r := s.run(t, func(w *world) {
		a := w.peer("a")
		w.at(from, func() { a.isSick, a.sick = true, refuses(429, p.told) })
		if p.told == 0 {
			a.heals = until
		}
		w.at(until, func() { a.isSick = false })
	})
	const slowest = time.Second / 2 // first token
	if limit := max(next, until+p.resumes) + slowest; first > limit {
		t.Errorf("the first token came %v after the pause, want %v at most", first-until, limit-until)
	}
	attempts := len(within(r.world.peer("a").arrivals, from, until))
	if most := 4 + int(p.lasts/(5*time.Second)); attempts > most {
		t.Errorf("%d attempts during the pause, want %d at most", attempts, most)
	}
	// The first request is told more than it may wait for.
	if p.told > policy.DefaultMaxWait {
		failed--
	}
	if failed > 0 {
		t.Errorf("%d requests failed, and %d that may not wait so long", failed, early)
	}
}
