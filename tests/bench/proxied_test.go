package bench

import (
	"fmt"
	"testing"
)

// The load of BenchmarkProxied: as many clients as keep two processors busy,
// each asking again as soon as it has its answer. The contestants take turns,
// and a round is short, so that what else the machine does meets them alike;
// it is long enough for several garbage collections.
const (
	proxiedClients  = 16
	proxiedRequests = 800 // per round and contestant
	proxiedRounds   = 21
)

// BenchmarkProxied holds the CPU of one request that is not streamed, with
// everything on, against a minimal reverse proxy. TLS is what production has:
// the contestants speak HTTP/2 over TLS with the deployment.
func BenchmarkProxied(b *testing.B) {
	for _, way := range []struct {
		name string
		kib  int
		up   func(testing.TB) *deployment
	}{
		{"1KiB", 1, func(tb testing.TB) *deployment { return newDeployment(tb, whole(1<<10)) }},
		{"16KiB", 16, func(tb testing.TB) *deployment { return newDeployment(tb, whole(1<<10)) }},
		{"1KiB/TLS", 1, func(tb testing.TB) *deployment { return newSharedDeployment(tb, wholeHandler(1<<10)) }},
	} {
		b.Run(way.name, func(b *testing.B) {
			for b.Loop() {
				benchProxied(b, way.name, way.kib<<10, way.up(b))
			}
		})
	}
}

func benchProxied(b *testing.B, name string, size int, up *deployment) {
	contestants := []*child{startSpillway(b, up, "pass"), startRole(b, roleProxy, up), startRole(b, rolePooled, up)}
	rounds := make([]func() float64, len(contestants))
	for i, c := range contestants {
		rounds[i] = closedLoop(b, c, request(c.addr, size, false), proxiedClients, proxiedRequests)
	}
	spent := takeTurns(proxiedRounds, rounds)
	b.ReportMetric(spent[0].median(), "cpu-µs/req")
	board.add(b, score{
		name:  fmt.Sprintf("proxied, %s: CPU / ReverseProxy's", name),
		value: spent[0].median() / spent[1].median(), limit: 1.1, unit: "x",
		detail: fmt.Sprintf("µs per request: spillway %v, proxy %v, proxy with a buffer pool %v; pairwise %v",
			spent[0], spent[1], spent[2], spent[0].over(spent[1])),
	})
}

// closedLoop returns a function that has so many clients send c the requests of
// one round, each its next as soon as it has its answer, and returns the CPU
// time that c spent on each request, in microseconds. The gateway must not fail
// one.
func closedLoop(b *testing.B, c *child, req []byte, clients, requests int) func() float64 {
	list := dial(b, c.addr, clients)
	return func() float64 {
		before := c.cpu(b)
		err := each(list, func(cl *client) error {
			for range requests / clients {
				err := cl.exchange(req)
				if err != nil && c.name != roleSpillway {
					err = cl.redial() // see firstWait; its CPU counts, and it is rare
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatalf("%s: %v", c.name, err)
		}
		return micros(c.cpu(b)-before) / float64(requests)
	}
}

// takeTurns runs each contestant's round in turn, after one that warms up, and
// returns what each came to, by round.
func takeTurns(count int, rounds []func() float64) []sample {
	spent := make([]sample, len(rounds))
	for _, round := range rounds {
		round()
	}
	for range count {
		for i, round := range rounds {
			spent[i] = append(spent[i], round())
		}
	}
	return spent
}
