package bench

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// streams is a load of streams: how many, how often each gets a token, for how
// long they are watched once all have begun, and how often each contestant
// takes them.
type streams struct {
	count    int
	interval time.Duration
	window   time.Duration
	settle   time.Duration // from when all have begun to the window
	rounds   int
	whole    bool // clients ask for an answer that is not streamed
	shared   bool // clients share connections over HTTP/2
}

// settleTime is what contestants get to put in order what a burst of streams has
// left behind: the gateway gives memory back a second or two after it.
const settleTime = 2500 * time.Millisecond

// flow is what a load of streams came to, within its window.
type flow struct {
	cpu   float64       // µs per token, of the contestant
	rate  float64       // tokens per second, of all streams
	p99   time.Duration // from the deployment's writing to the client's reading
	grown float64       // KiB resident per stream, beyond what was at rest
	peak  float64       // the same at its highest
}

// run sends the load through c, whose deployment writes at pace. The gateway
// must not fail a stream; what the others fail is only told.
func (s streams) run(b testing.TB, c *child, pace *pacer) flow {
	b.Helper()
	in := &inbox{started: pace.started}
	req := request(c.addr, 1<<10, !s.whole)
	idle := c.memory(b)
	connect := dial
	if s.shared {
		connect = dialShared
	}
	clients := connect(b, c.addr, s.count)
	pace.setEnding(false)
	ended := make(chan error, 1)
	var failed atomic.Int64
	go func() {
		ended <- each(clients, func(cl *client) (err error) {
			defer cl.close()
			if s.whole {
				err = cl.exchange(req)
			} else {
				err = in.receive(cl, req)
			}
			if err != nil {
				failed.Add(1)
			}
			return err
		})
	}()
	late := pace.awaitStreams(s.count, &failed)
	<-time.After(s.interval + 300*time.Millisecond + s.settle) // what setting up has left behind

	cpu, written, began := c.cpu(b), pace.written.Load(), time.Now()
	in.open.Store(true)
	<-time.After(s.window)
	in.open.Store(false)
	tokens := float64(pace.written.Load() - written)
	now := c.memory(b)
	perStream := func(bytes int) float64 { return float64(bytes-idle.resident) / float64(s.count) / (1 << 10) }
	f := flow{
		cpu: micros(c.cpu(b)-cpu) / tokens, rate: tokens / time.Since(began).Seconds(),
		grown: perStream(now.resident), peak: perStream(now.peak),
	}
	c.profileHeap()
	pace.setEnding(true)
	if err := errors.Join(late, <-ended); err != nil {
		b.Logf("%s: %v", c.name, err)
		if c.name == roleSpillway {
			b.Fail()
		}
	}
	f.p99 = in.quantile(0.99)
	return f
}

// BenchmarkAssemble holds the CPU that a request which is not streamed costs
// per chunk of the stream that is asked for in its place, against that of
// reading such a stream and throwing it away.
func BenchmarkAssemble(b *testing.B) {
	load := streams{count: 128, interval: 10 * time.Millisecond, window: time.Second, rounds: 9, whole: true}
	for b.Loop() {
		pace := newPacer(b, load.interval)
		up := newDeployment(b, pace.stream)
		contestants := []*child{startSpillway(b, up.base, "stream"), startRole(b, roleReader, up.base)}
		spent, _ := turns(b, load, contestants, pace)
		b.ReportMetric(spent[0].median(), "cpu-µs/chunk")
		board.add(b, score{
			name:  "sync as stream: CPU beyond reading",
			value: spent[0].beyond(spent[1]).median(), limit: 3, unit: "µs/chunk",
			detail: fmt.Sprintf("µs per chunk: spillway %v, reader %v; pairwise %v", spent[0], spent[1], spent[0].beyond(spent[1])),
		})
	}
}

// BenchmarkStreams holds the CPU per chunk of a thousand streams against
// ReverseProxy's. It asks for more than two processors may be able to do
// together with the clients; what was reached is told.
func BenchmarkStreams(b *testing.B) {
	load := streams{count: 1000, interval: 20 * time.Millisecond, window: 2 * time.Second, settle: settleTime, rounds: 5}
	for b.Loop() {
		pace := newPacer(b, load.interval)
		up := newDeployment(b, pace.stream)
		contestants := []*child{startSpillway(b, up.base, "stream"), startRole(b, roleProxy, up.base)}
		spent, flows := turns(b, load, contestants, pace)
		b.ReportMetric(spent[0].median(), "cpu-µs/chunk")
		board.add(b, score{
			name:  "1,000 streams: CPU per chunk / ReverseProxy's",
			value: spent[0].over(spent[1]).median(), limit: 1, unit: "x",
			detail: fmt.Sprintf("µs per chunk: spillway %v, proxy %v; pairwise %v; %.0f chunks/s of %.0f; p99 delay %.1f ms, proxy %.1f ms",
				spent[0], spent[1], spent[0].over(spent[1]), figures(flows[0], rate).median(),
				float64(load.count)/load.interval.Seconds(), figures(flows[0], p99).median(), figures(flows[1], p99).median()),
		})
	}
}

// BenchmarkManyStreams holds the memory of five thousand streams that begin
// together, from deployments of either protocol. Each of them must end well.
// The pump tells how much of it is net/http's.
func BenchmarkManyStreams(b *testing.B) {
	load := streams{count: 5000, interval: 500 * time.Millisecond, window: 3 * time.Second, settle: settleTime}
	b.Run("HTTP1", func(b *testing.B) { benchManyStreams(b, "HTTP/1.1", load) })
	b.Run("HTTP2", func(b *testing.B) { benchManyStreams(b, "HTTP/2", load) })
	load.shared = true
	b.Run("HTTP2Clients", func(b *testing.B) { benchManyStreams(b, "HTTP/2", load) })
}

// benchManyStreams is BenchmarkManyStreams with deployments that speak proto.
func benchManyStreams(b *testing.B, proto string, load streams) {
	flows := make(map[string]flow)
	for _, role := range []string{roleProxy, rolePump, roleSpillway} {
		b.Run(role, func(b *testing.B) { // by itself, so that its files are closed again
			for b.Loop() {
				pace := newPacer(b, load.interval)
				up := (*deployment)(nil)
				if proto == "HTTP/2" {
					up = newSharedDeployment(b, pace)
				} else {
					up = newDeployment(b, pace.stream)
				}
				c := (*child)(nil)
				if role == roleSpillway {
					c = startSpillway(b, up.base, "stream")
				} else {
					c = startRole(b, role, up.base)
				}
				flows[role] = load.run(b, c, pace)
				b.ReportMetric(flows[role].grown, "KiB/stream")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
	mine, theirs, least := flows[roleSpillway], flows[roleProxy], flows[rolePump]
	if load.shared {
		proto += ", clients too"
	}
	board.add(b, score{
		name: "5,000 streams, deployment with " + proto + ": memory of each", value: mine.grown, limit: 40, unit: "KiB/stream",
		detail: fmt.Sprintf("at its highest %.1f; proxy %.1f, at its highest %.1f; a mere pump %.1f; no errors; %.0f chunks/s",
			mine.peak, theirs.grown, theirs.peak, least.grown, mine.rate),
	})
}

func rate(f flow) float64 { return f.rate }
func p99(f flow) float64  { return millis(f.p99) }

// turns lets the contestants take turns with the load. It returns the CPU per
// chunk and all else, by contestant and round.
func turns(b *testing.B, load streams, contestants []*child, pace *pacer) ([]sample, [][]flow) {
	b.Helper()
	spent, flows := make([]sample, len(contestants)), make([][]flow, len(contestants))
	for range load.rounds {
		for i, c := range contestants {
			f := load.run(b, c, pace)
			spent[i] = append(spent[i], f.cpu)
			flows[i] = append(flows[i], f)
		}
	}
	return spent, flows
}

// figures returns one figure of every round.
func figures(flows []flow, figure func(flow) float64) sample {
	s := make(sample, len(flows))
	for i, f := range flows {
		s[i] = figure(f)
	}
	return s
}
