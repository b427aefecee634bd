package bench

import (
	"fmt"
	"strconv"
	"testing"
	"time"
)

// slowRounds is how often each contestant of BenchmarkSlowStreams is started.
const slowRounds = 3

// BenchmarkSlowStreams holds the CPU per chunk of streams whose chunks are far
// apart, which is what most streams are: a chunk then finds nothing of its
// stream in the processor's caches, and a processor that sleeps. Contestants
// take turns with all of their streams, because two of five thousand have more
// connections than a process may have files.
//
// The target is 45 µs per chunk on a machine on which ReverseProxy takes 40, with
// a thousand streams. With five thousand, chunks are due so often that several
// are there each time the process wakes up, which makes each cheaper.
func BenchmarkSlowStreams(b *testing.B) {
	for _, count := range []int{1000, 5000} {
		load := streams{count: count, interval: 500 * time.Millisecond, window: 3 * time.Second, settle: settleTime}
		b.Run(strconv.Itoa(count), func(b *testing.B) {
			flows := make(map[string][]flow)
			for range slowRounds {
				for _, role := range []string{roleProxy, roleSpillway} {
					b.Run(role, func(b *testing.B) { // by itself, so that its files are closed again
						for b.Loop() {
							pace := newPacer(b, load.interval)
							f, _ := load.run(b, startContestant(b, role, newDeployment(b, pace.stream)), pace)
							flows[role] = append(flows[role], f)
							b.ReportMetric(f.cpu, "µs/chunk")
							b.ReportMetric(0, "ns/op")
						}
					})
				}
			}
			mine, theirs := flows[roleSpillway], flows[roleProxy]
			board.add(b, score{
				name:  fmt.Sprintf("%d slow streams: CPU per chunk / ReverseProxy's", count),
				value: perToken(mine) / perToken(theirs), limit: 45. / 40, unit: "x",
				detail: fmt.Sprintf("µs per chunk: spillway %v, proxy %v; %.2f and %.2f writes per chunk", figures(mine, cpu), figures(theirs, cpu),
					figures(mine, writes).median(), figures(theirs, writes).median()),
			})
		})
	}
}
