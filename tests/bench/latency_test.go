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
	latencyRequests = 400                  // per round and contestant
	latencyRounds   = 10
	// latencyClients is how many requests may be under way at one time; one that
	// is due when all are waits, which counts.
	latencyClients = 16
)

// BenchmarkLatency holds what a contestant adds to the 99th percentile of the
// time of a request, at a load that leaves the machine mostly idle. The target
// is in milliseconds and so for an idle machine; ReverseProxy's figure, of the
// same run, tells what else the machine does.
func BenchmarkLatency(b *testing.B) {
	for b.Loop() {
		up := newDeployment(b, whole(1<<10))
		mine, theirs := startSpillway(b, up, "pass"), startRole(b, roleProxy, up)
		direct := &child{name: "direct", addr: up.addr()}
		contestants := []*child{direct, theirs, mine}
		took := make([][]time.Duration, len(contestants))
		lanes := make([]*openLoop, len(contestants))
		for i, c := range contestants {
			lanes[i] = newOpenLoop(b, c)
			lanes[i].round(b) // warms up
		}
		for range latencyRounds {
			for i, lane := range lanes {
				took[i] = append(took[i], lane.round(b)...)
			}
		}
		for i := range took {
			slices.Sort(took[i])
		}
		at := func(i int, q float64) float64 { return millis(took[i][int(q*float64(len(took[i])-1))]) }
		board.add(b, score{
			name: "200 requests per second: added p99", value: at(2, 0.99) - at(0, 0.99), limit: 1.3, unit: "ms",
			detail: fmt.Sprintf("p50 and p99 in ms: direct %.2f, %.2f; proxy %.2f, %.2f; spillway %.2f, %.2f; proxy adds %.2f",
				at(0, 0.5), at(0, 0.99), at(1, 0.5), at(1, 0.99), at(2, 0.5), at(2, 0.99), at(1, 0.99)-at(0, 0.99)),
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

// round sends the requests of one round, and returns how long each took from
// when it was due.
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
	return took
}
