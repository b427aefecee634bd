package bench

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// streams is a load of streams: how many, how often each gets a token, and for
// how long they are watched at a time.
type streams struct {
	count    int
	interval time.Duration
	window   time.Duration
	settle   time.Duration // from when all have begun to the first window
	rounds   int           // of windows
	single   bool          // a stream's token comes only once the client has the one before
	swept    bool          // a sweep reads what most clients get
	whole    bool          // clients ask for an answer that is not streamed
	shared   bool          // clients share connections over HTTP/2
}

// settleTime is what contestants get to put in order what a burst of streams has
// left behind: the gateway gives memory back two to four seconds after it, once.
const settleTime = 4500 * time.Millisecond

// drainTime is what a contestant gets to pass on what has been written to it.
const drainTime = 100 * time.Millisecond

// flow is what a load of streams came to, within a window.
type flow struct {
	tokens float64
	cpu    float64 // µs per token, of the contestant
	writes float64 // its system calls that write, per token
	rate   float64 // tokens per second, of all streams
	grown  float64 // KiB resident per stream, beyond what was at rest
	peak   float64 // the same at its highest
}

// underWay is a load that runs through a contestant.
type underWay struct {
	load  streams
	c     *child
	pace  *pacer
	idle  memory // of the contestant, before
	in    *inbox
	late  error // some streams have not begun
	ended chan error
}

// begin opens the streams through c, whose deployment writes at pace, and
// returns when all have begun.
func (s streams) begin(b testing.TB, c *child, pace *pacer) *underWay {
	b.Helper()
	u := &underWay{load: s, c: c, pace: pace, idle: c.memory(b), in: &inbox{pace: pace}, ended: make(chan error, 1)}
	req := request(c.addr, 1<<10, !s.whole)
	connect := dial
	if s.shared {
		connect = dialShared
	}
	clients := connect(b, c.addr, s.count)
	for i, cl := range clients {
		cl.swept = s.swept && i%promptEvery != 0
	}
	pace.set(pouring)
	var failed atomic.Int64
	go func() {
		u.ended <- each(clients, func(cl *client) (err error) {
			defer cl.close()
			switch {
			case s.whole:
				err = cl.exchange(req)
			case cl.swept:
				err = pace.sweep.receive(cl, req)
			default:
				err = u.in.receive(cl, req)
			}
			if err != nil {
				failed.Add(1)
			}
			return err
		})
	}()
	u.late = pace.awaitStreams(s.count, &failed)
	return u
}

// watch has the deployment write for a window, and returns what it came to. The
// deployment is paused then.
func (u *underWay) watch(b testing.TB) flow {
	b.Helper()
	cpu, writes, written, began := u.c.cpu(b), u.c.writes(b), u.pace.written.Load(), time.Now()
	u.in.open.Store(true)
	u.pace.set(pouring)
	<-time.After(u.load.window)
	now := u.c.memory(b)
	u.pace.set(paused)
	lasted := time.Since(began)
	<-time.After(drainTime)
	u.in.open.Store(false)
	tokens := float64(u.pace.written.Load() - written)
	perStream := func(bytes int) float64 { return float64(bytes-u.idle.resident) / float64(u.load.count) / (1 << 10) }
	return flow{
		tokens: tokens,
		cpu:    micros(u.c.cpu(b)-cpu) / tokens, writes: float64(u.c.writes(b)-writes) / tokens, rate: tokens / lasted.Seconds(),
		grown: perStream(now.resident), peak: perStream(now.peak),
	}
}

// end ends the streams. The gateway must not have failed one; what the others
// have failed is only told.
func (u *underWay) end(b testing.TB) {
	b.Helper()
	u.c.profileHeap()
	u.pace.set(ending)
	if err := errors.Join(u.late, <-u.ended); err != nil {
		b.Logf("%s: %v", u.c.name, err)
		if u.c.name == roleSpillway {
			b.Fail()
		}
	}
}

// run takes the load through c for one window.
func (s streams) run(b testing.TB, c *child, pace *pacer) (flow, *underWay) {
	b.Helper()
	u := s.begin(b, c, pace)
	<-time.After(s.settle)
	f := u.watch(b)
	u.end(b)
	return f, u
}

// turns lets contestants take turns with the load. The streams of all are open
// for as long as it lasts, and only one's have something to carry at a time: so
// the windows that are held against each other are close together, and short
// enough to be many. It returns what each came to, by round.
func (s streams) turns(b *testing.B, start ...func(up *deployment) *child) (flows [][]flow, ends []*underWay) {
	b.Helper()
	flows = make([][]flow, len(start))
	for _, start := range start {
		pace := newPacer(b, s.interval)
		pace.single = s.single
		up := newDeployment(b, pace.stream)
		ends = append(ends, s.begin(b, start(up), pace))
		pace.set(paused)
	}
	<-time.After(s.settle)
	for range s.rounds {
		for i, u := range ends {
			flows[i] = append(flows[i], u.watch(b))
		}
	}
	for _, u := range ends {
		u.end(b)
	}
	return flows, ends
}

// starts is how often the contestants of starting are started: where a process
// happens to lie in memory makes more difference than all its windows.
const starts = 4

// outcome is what a contestant came to.
type outcome struct {
	flows  []flow // by round, of all its starts
	delays sample // the 99th percentile by start, in ms
}

// starting takes turns after turns, each with contestants that have just been
// started.
func (s streams) starting(b *testing.B, start ...func(up *deployment) *child) []outcome {
	b.Helper()
	list := make([]outcome, len(start))
	for range starts {
		b.Run("Start", func(b *testing.B) { // by itself, so that its processes end
			for b.Loop() {
				flows, ends := s.turns(b, start...)
				for i := range list {
					list[i].flows = append(list[i].flows, flows[i]...)
					list[i].delays = append(list[i].delays, millis(ends[i].in.quantile(0.99)))
				}
				b.ReportMetric(perToken(flows[0]), "µs/chunk")
				b.ReportMetric(perToken(flows[0])/perToken(flows[1]), "x")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
	return list
}

// BenchmarkAssemble holds the CPU that a request which is not streamed costs
// per chunk of the stream that is asked for in its place, against that of
// reading such a stream and throwing it away.
func BenchmarkAssemble(b *testing.B) {
	load := streams{
		count: 128, interval: 10 * time.Millisecond, window: 500 * time.Millisecond, settle: settleTime, rounds: 20, whole: true,
	}
	came := load.starting(b,
		func(up *deployment) *child { return startSpillway(b, up, "stream") },
		func(up *deployment) *child { return startRole(b, roleReader, up) })
	mine, reader := figures(came[0].flows, cpu), figures(came[1].flows, cpu)
	board.add(b, score{
		name:  "non-streaming, assembled: CPU beyond reading",
		value: mine.beyond(reader).median(), limit: 3, unit: "µs/chunk",
		detail: fmt.Sprintf("µs per chunk: spillway %v, reader %v; pairwise %v", mine, reader, mine.beyond(reader)),
	})
}

// BenchmarkStreams holds the CPU per chunk of a thousand streams against
// ReverseProxy's. Its clients and deployments are as cheap as they can be, and
// still two processors may not carry all that is asked for: what was reached
// is told.
//
// Paced, chunks are written at their time, whatever has arrived. What has piled
// up before a contestant goes on in one write.
//
// Singly, a stream's chunk is written once its client has the one before. So
// every chunk takes a write of its own, and one that is held back stops its
// stream.
func BenchmarkStreams(b *testing.B) {
	for _, way := range streamWays {
		b.Run(way.name, func(b *testing.B) {
			came := way.starting(b,
				func(up *deployment) *child { return startSpillway(b, up, "stream") },
				func(up *deployment) *child { return startRole(b, roleProxy, up) })
			board.add(b, score{
				name:  "1,000 streams " + strings.ToLower(way.name) + ": CPU / ReverseProxy's",
				value: perToken(came[0].flows) / perToken(came[1].flows), limit: 1, unit: "x",
				detail: fmt.Sprintf("spillway %v; proxy %v; %.0f chunks/s offered", came[0], came[1], way.asked()),
			})
		})
	}
}

// String tells the CPU per chunk, the writes, the rate that was reached, and how
// late chunks came.
func (o outcome) String() string {
	return fmt.Sprintf("%.2f µs per chunk, windows %v, %.2f writes per chunk, %.0f chunks/s, p99 delay %.1f ms", perToken(o.flows),
		figures(o.flows, cpu), figures(o.flows, writes).median(), figures(o.flows, rate).median(), o.delays.median())
}

// streamWays are the loads of BenchmarkStreams.
var streamWays = []struct {
	name string
	streams
}{
	{"Paced", streams{
		count: 1000, interval: 20 * time.Millisecond, window: 500 * time.Millisecond, settle: settleTime, rounds: 60, swept: true,
	}},
	{"Singly", streams{
		count: 1000, interval: 20 * time.Millisecond, window: 500 * time.Millisecond, settle: settleTime, rounds: 20, single: true,
	}},
}

// BenchmarkHandicap tells what the loads of BenchmarkStreams make of a handicap
// of known size: it holds a ReverseProxy that has it against one without. That
// shows in a quarter of the rounds.
func BenchmarkHandicap(b *testing.B) {
	for _, way := range streamWays {
		way.rounds /= 4
		b.Run(way.name, func(b *testing.B) {
			came := way.starting(b,
				func(up *deployment) *child { return startRole(b, roleSlowed, up) },
				func(up *deployment) *child { return startRole(b, roleProxy, up) })
			b.Logf("%v wasted per read: %.3f x; %v; without %v", handicap, perToken(came[0].flows)/perToken(came[1].flows), came[0], came[1])
		})
	}
}

// asked returns the tokens per second that the deployments are to write.
func (s streams) asked() float64 { return float64(s.count) / s.interval.Seconds() }

// perToken returns the CPU per token of all rounds together, in µs.
func perToken(flows []flow) float64 {
	var used, tokens float64
	for _, f := range flows {
		used, tokens = used+f.cpu*f.tokens, tokens+f.tokens
	}
	return used / tokens
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
				flows[role], _ = load.run(b, startContestant(b, role, up), pace)
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
		name: "5,000 streams, deployment with " + proto + ": memory per stream", value: mine.grown, limit: 40, unit: "KiB/stream",
		detail: fmt.Sprintf("peak %.1f; proxy %.1f, peak %.1f; bare copy loop %.1f; no errors; %.0f chunks/s",
			mine.peak, theirs.grown, theirs.peak, least.grown, mine.rate),
	})
}

func cpu(f flow) float64    { return f.cpu }
func writes(f flow) float64 { return f.writes }
func rate(f flow) float64   { return f.rate }

// figures returns one figure of every round.
func figures(flows []flow, figure func(flow) float64) sample {
	s := make(sample, len(flows))
	for i, f := range flows {
		s[i] = figure(f)
	}
	return s
}
