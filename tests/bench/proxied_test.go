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
// everything on, against a minimal reverse proxy.
func BenchmarkProxied(b *testing.B) {
	for _, kib := range []int{1, 16} {
		b.Run(fmt.Sprintf("%dKiB", kib), func(b *testing.B) {
			for b.Loop() {
				benchProxied(b, kib)
			}
		})
	}
}

func benchProxied(b *testing.B, kib int) {
	up := newDeployment(b, whole(1<<10))
	contestants := []*child{
		startSpillway(b, up.base, "pass"), startRole(b, roleProxy, up.base), startRole(b, rolePooled, up.base),
	}
	runs := make([]func() float64, len(contestants))
	spent := make([]sample, len(contestants))
	for i, c := range contestants {
		runs[i] = proxiedRound(b, c, kib<<10)
		runs[i]() // warms up
	}
	for range proxiedRounds {
		for i, run := range runs {
			spent[i] = append(spent[i], run())
		}
	}
	b.ReportMetric(spent[0].median(), "cpu-µs/req")
	board.add(b, score{
		name:  fmt.Sprintf("proxied, %d KiB: CPU / ReverseProxy's", kib),
		value: spent[0].median() / spent[1].median(), limit: 1.1, unit: "x",
		detail: fmt.Sprintf("µs per request: spillway %v, proxy %v, proxy with a buffer pool %v; pairwise %v",
			spent[0], spent[1], spent[2], spent[0].over(spent[1])),
	})
}

// proxiedRound returns a function that sends c the requests of one round and
// returns the CPU time that c spent on each, in microseconds.
func proxiedRound(b *testing.B, c *child, size int) func() float64 {
	req := request(c.addr, size, false)
	clients := dial(b, c.addr, proxiedClients)
	return func() float64 {
		before := c.cpu(b)
		err := each(clients, func(cl *client) error {
			for range proxiedRequests / proxiedClients {
				if err := cl.exchange(req); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatalf("%s: %v", c.name, err)
		}
		return micros(c.cpu(b)-before) / proxiedRequests
	}
}
