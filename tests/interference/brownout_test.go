package interference

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// pair is a pool of two equal deployments.
func pair() layout {
	standard := func(name string) spillway.Deployment {
		return spillway.Deployment{Name: name, Model: "gpt-4o-mini", TPM: 400_000_000}
	}
	return layout{"2 in one tier", []member{{0, standard("a"), 1}, {0, standard("b"), 1}}}
}

// quiet leaves out the occasional 500s of healthy traffic.
func quiet(c *call) { c.noisy = false }

// TestBrownOut: both deployments of a pool refuse a part of the requests at random with
// 503. A request that is tried at both fails with the square of that probability.
// Breakers, probes and the retry budget may cost a tenth of the rest.
func TestBrownOut(t *testing.T) {
	const lasts = 2 * time.Minute
	for _, c := range crowds()[:2] {
		for _, rate := range []float64{5, 20, 100} {
			for _, p := range []float64{0.3, 0.5, 0.6, 0.7} {
				t.Run(fmt.Sprintf("%s/%v per second/%v%%", c.name, rate, 100*p), func(t *testing.T) {
					t.Parallel()
					s := scenario{layout: pair(), crowd: c, healthy: int(rate * lasts.Seconds()), seed: 1, rate: rate, change: quiet}
					most := 0
					s.ended = func(c *call) { most = max(most, len(c.attempts)) }
					r := s.run(t, func(w *world) {
						for i, peer := range w.peers {
							peer.refuses, peer.draw = p, rand.New(rand.NewPCG(s.seed, uint64(i)))
						}
					})
					if want := 100 * 0.9 * (1 - p*p); r.success() < want {
						t.Errorf("%.1f%% of the requests succeeded, want %.1f%%", r.success(), want)
					}
					if most > 2 {
						t.Errorf("%d attempts for one request, want two at most", most)
					}
				})
			}
		}
	}
}

// TestRecovery: every deployment refuses everything for a while. It gets no more than
// the retry budget allows: 20% more attempts than requests, and ten per second. Once they
// work again, the first request succeeds soon, and then nearly all do.
func TestRecovery(t *testing.T) {
	const from, until, watched = 20 * time.Second, 58 * time.Second, 80 * time.Second
	for _, c := range crowds()[:2] {
		for _, rate := range []float64{5, 20, 100, 500} {
			t.Run(fmt.Sprintf("%s/%v per second", c.name, rate), func(t *testing.T) {
				t.Parallel()
				s := scenario{layout: pair(), crowd: c, healthy: int(rate * watched.Seconds()), seed: 1, rate: rate, change: quiet}
				first := forever // token after the recovery
				during, after, served := 0, 0, 0
				s.ended = func(c *call) {
					rec := c.flight.Record()
					if at := c.at + rec.TTFT; rec.Status == 200 && at > until {
						first = min(first, at)
					}
					switch {
					case c.at >= from && c.at < until:
						during++
					case c.at >= until && c.at < until+10*time.Second:
						after++
						if rec.Status == 200 {
							served++
						}
					}
				}
				r := s.run(t, func(w *world) {
					for _, p := range w.peers {
						w.at(from, func() { p.isSick, p.sick = true, status(503, 30*time.Millisecond) })
						w.at(until, func() { p.isSick = false })
					}
				})
				if float64(served) < 0.99*float64(after) {
					t.Errorf("%d of %d requests within 10 s of the recovery succeeded, want 99%%", served, after)
				}
				if first > until+2*time.Second {
					t.Errorf("the first token came %v after the recovery, want 2 s at most", first-until)
				}
				budget := 1.2*float64(during) + 10*(until-from).Seconds()
				if attempts := len(r.world.all(from, until)); float64(attempts) > budget {
					t.Errorf("%d attempts for %d requests during the outage, want %v at most", attempts, during, budget)
				}
			})
		}
	}
}
