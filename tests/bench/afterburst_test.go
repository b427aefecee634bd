package bench

import (
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// The load of BenchmarkAfterBurst: the requests are those of BenchmarkProxied.
const (
	burstStreams = 5000
	burstRounds  = 42
	// burstCalm is how long the contestants are left alone after the burst.
	burstCalm = 5 * time.Second
)

// BenchmarkAfterBurst holds the CPU of one request of 1 KiB in a gateway that has
// served a burst of streams, all of which have ended, against that of a gateway
// that has not: what a burst has left behind must not slow down what follows.
// The two take turns, so that what else the machine does meets them alike. The
// CPU of all rounds counts, because few of them have a garbage collection.
func BenchmarkAfterBurst(b *testing.B) {
	for b.Loop() {
		benchAfterBurst(b)
	}
}

func benchAfterBurst(b *testing.B) {
	pace := newPacer(b, 500*time.Millisecond)
	var bursting atomic.Bool
	answerWhole := whole(1 << 10)
	up := newDeployment(b, func(conn net.Conn) error {
		if bursting.Load() {
			return pace.stream(conn)
		}
		return answerWhole(conn)
	})
	contestants := []*child{
		startSpillway(b, up, "pass"), startSpillway(b, up, "pass"),
		startRole(b, roleProxy, up), startRole(b, roleProxy, up),
	}
	runs := make([]func() float64, len(contestants))
	for i, c := range contestants {
		runs[i] = closedLoop(b, c, request(c.addr, 1<<10, false), proxiedClients, proxiedRequests)
		runs[i]() // warms up
	}
	bursting.Store(true)
	load := streams{count: burstStreams, interval: pace.interval, window: time.Second, settle: settleTime}
	load.run(b, contestants[0], pace)
	load.run(b, contestants[2], pace)
	bursting.Store(false)
	<-time.After(burstCalm)
	held := contestants[0].memory(b)
	spent := make([]sample, len(contestants))
	order := []int{0, 1, 2, 3}
	for range burstRounds {
		for _, i := range order {
			spent[i] = append(spent[i], runs[i]())
		}
		slices.Reverse(order) // who follows a pause or another contestant pays for it
	}
	board.add(b, score{
		name: "1 KiB after a burst: CPU / fresh gateway", value: spent[0].mean() / spent[1].mean(), limit: 1.1, unit: "x",
		detail: fmt.Sprintf("µs per request: %.1f, fresh %.1f; ReverseProxy %.1f, fresh %.1f; resident after the burst %d MiB of %d",
			spent[0].mean(), spent[1].mean(), spent[2].mean(), spent[3].mean(), held.resident>>20, held.peak>>20),
	})
}
