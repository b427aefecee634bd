package interference

import (
	"fmt"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// TestShortWindows: responses take two fifths of a short window at a deployment of pace 1.
// Whether the first deployment is healthy, silent for a while, or slower than before once
// it serves again, a response that can be complete in time is.
func TestShortWindows(t *testing.T) {
	const from, until, watched, rate = 20 * time.Second, 60 * time.Second, 100, 20
	for _, l := range []layout{pair(), layouts()[1]} {
		for _, window := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second} {
			for _, tc := range []struct {
				name   string
				silent bool
				after  float64 // pace, times the former one
			}{{"healthy", false, 1}, {"silent", true, 1}, {"silent, then slow", true, 1.3}} {
				t.Run(fmt.Sprintf("%s/%v/%s", l.name, window, tc.name), func(t *testing.T) {
					t.Parallel()
					c := crowds()[0]
					c.class = &spillway.Class{Name: "short", Window: window}
					s := scenario{layout: l, crowd: c, healthy: rate * watched, seed: 1, rate: rate}
					s.change = func(c *call) {
						quiet(c)
						unstreamed(c)
						c.ttft = time.Duration(float64(c.ttft) * window.Seconds() / 3)
						total := time.Duration(0.4 * float64(window))
						c.tokens = max(int((total-c.ttft)/(22*time.Millisecond*time.Duration(len(l.tiers())))), 1)
					}
					attempts, complete := 0, 0
					s.ended = func(c *call) {
						attempts += len(c.attempts)
						if c.flight.Record().Outcome == spillway.OutcomeOK {
							complete++
						}
					}
					s.run(t, func(w *world) {
						a := w.peer("a")
						w.at(from, func() { a.isSick, a.sick = tc.silent, silent() })
						w.at(until, func() { a.isSick, a.pace = false, a.pace*tc.after })
					})
					least := s.healthy
					if tc.silent {
						// Less than a second of silence is not blamed, and the retry budget
						// limits how many requests are sent twice.
						least = int(0.985 * float64(s.healthy))
					}
					if complete < least {
						t.Errorf("%d of %d responses were complete, want %d", complete, s.healthy, least)
					}
					if most := s.healthy * 102 / 100; !tc.silent && attempts > most {
						t.Errorf("%d attempts for %d requests, want %d at most", attempts, s.healthy, most)
					}
				})
			}
		}
	}
}

// TestColdSilence: a deployment answers nothing from the start. It gets the requests of the
// first two seconds, after which its silence is unusual, or fewer once others have
// answered; then one per second at most.
func TestColdSilence(t *testing.T) {
	const watched = 30 * time.Second
	for _, l := range append(layouts(), pair()) {
		for _, rate := range []float64{5, 20} {
			t.Run(fmt.Sprintf("%s/%v per second", l.name, rate), func(t *testing.T) {
				t.Parallel()
				s := scenario{layout: l, crowd: crowds()[0], healthy: int(rate * watched.Seconds()), seed: 1, rate: rate, change: quiet}
				r := s.run(t, func(w *world) { w.peer("a").isSick, w.peer("a").sick = true, silent() })
				most := 20
				if l.name == "2 tiers" {
					most += int(2 * rate) // nothing else has answered
				}
				if n := len(r.world.peer("a").arrivals); n > most {
					t.Errorf("%d attempts at the silent deployment, want %d at most", n, most)
				}
				if r.success() < 100 {
					t.Errorf("%.2f%% of the requests succeeded", r.success())
				}
			})
		}
	}
}

// TestColdStart: two hundred requests come at once to a pool that has served none. Each
// is sent once, in the first tier, as if the deployments were known.
func TestColdStart(t *testing.T) {
	for _, l := range append(layouts(), pair()) {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := scenario{layout: l, crowd: crowds()[0], healthy: 200, seed: 1, rate: 1e6, change: quiet}
			r := s.run(t, func(*world) {})
			first := 0
			for _, m := range l.deployments {
				if n := len(r.world.peer(m.deployment.Name).arrivals); m.tier == 0 {
					first += n
				} else if n > 0 {
					t.Errorf("%d attempts in tier %d", n, m.tier)
				}
			}
			if first != s.healthy || r.success() < 100 {
				t.Errorf("%d attempts for %d requests, of which %.2f%% succeeded", first, s.healthy, r.success())
			}
		})
	}
}
