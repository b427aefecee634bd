package bench

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// The load of BenchmarkLatency: requests at fixed times, whatever has been
// answered.
const (
	latencyEvery    = 5 * time.Millisecond // 200 requests per second
	latencyRequests = 200                  // per round and contestant
	latencyRounds   = 20
	// latencyClients is how many requests may be under way at one time; one that
	// is due when all are waits, which counts.
	latencyClients = 16
)

// BenchmarkLatency holds what a contestant adds to the 99th percentile of the
// time of a request, at a load that leaves the machine mostly idle. The value is
// the median over rounds, each beside one that asks the deployment directly. The
// target is in milliseconds, and so for a machine that does nothing else:
// ReverseProxy's figure and the direct one, of the same run, tell whether that
// is so.
func BenchmarkLatency(b *testing.B) {
	for b.Loop() {
		up := newDeployment(b, whole(1<<10))
		mine, theirs := startSpillway(b, up, "pass"), startRole(b, roleProxy, up)
		direct := &child{name: "direct", addr: up.addr()}
		half, most := make([]sample, 3), make([]sample, 3) // by contestant and round
		loops := []*openLoop{newOpenLoop(b, direct), newOpenLoop(b, theirs), newOpenLoop(b, mine)}
		for round := range latencyRounds + 1 {
			for i, loop := range loops {
				took := loop.round(b)
				if round == 0 {
					continue // warms up
				}
				half[i] = append(half[i], millis(took[len(took)/2]))
				most[i] = append(most[i], millis(took[len(took)*99/100]))
			}
		}
		board.add(b, score{
			name: "200 requests per second: added p99", value: most[2].beyond(most[0]).median(), limit: 1.3, unit: "ms",
			detail: fmt.Sprintf("proxy adds %.2f; p50 in ms: direct %.2f, proxy %.2f, spillway %.2f; p99: direct %v, proxy %v, spillway %v",
				most[1].beyond(most[0]).median(), half[0].median(), half[1].median(), half[2].median(), most[0], most[1], most[2]),
		})
	}
}

// openLoop sends requests to one contestant at fixed times.
type openLoop struct {
	c    *child
	req  []byte
	free chan *client
}

func newOpenLoop(b *testing.B, c *child) *openLoop {
	l := &openLoop{c: c, req: request(c.addr, 1<<10, false), free: make(chan *client, latencyClients)}
	for _, cl := range dial(b, c.addr, latencyClients) {
		l.free <- cl
	}
	return l
}

// round sends the requests of one round, and returns how long they took from
// when they were due, in order.
func (l *openLoop) round(b *testing.B) []time.Duration {
	b.Helper()
	took := make([]time.Duration, latencyRequests)
	errs := make([]error, latencyRequests)
	ended := make(chan struct{}, latencyRequests)
	began := time.Now()
	for i := range took {
		due := began.Add(time.Duration(i) * latencyEvery)
		<-time.After(time.Until(due))
		go func() {
			cl := <-l.free
			errs[i] = cl.exchange(l.req)
			took[i] = time.Since(due)
			l.free <- cl
			ended <- struct{}{}
		}()
	}
	for range took {
		<-ended
	}
	if err := errors.Join(errs...); err != nil {
		b.Fatalf("%s: %v", l.c.name, err)
	}
	slices.Sort(took)
	return took
}
