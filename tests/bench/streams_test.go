package bench

import (
	"errors"
	"fmt"
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
	whole    bool          // clients ask for an answer that is not streamed
	shared   bool          // clients share connections over HTTP/2
}

// settleTime is what contestants get to put in order what a burst of streams has
// left behind: the gateway gives memory back a second or two after it.
const settleTime = 2500 * time.Millisecond

// drainTime is what a contestant gets to pass on what has been written to it.
const drainTime = 100 * time.Millisecond

// flow is what a load of streams came to, within a window.
type flow struct {
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
	pace.set(pouring)
	var failed atomic.Int64
	go func() {
		u.ended <- each(clients, func(cl *client) (err error) {
			defer cl.close()
			if s.whole {
				err = cl.exchange(req)
			} else {
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
		cpu: micros(u.c.cpu(b)-cpu) / tokens, writes: float64(u.c.writes(b)-writes) / tokens, rate: tokens / lasted.Seconds(),
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
func (s streams) turns(b *testing.B, start ...func(upstream string) *child) (flows [][]flow, ends []*underWay) {
	b.Helper()
	flows = make([][]flow, len(start))
	for _, start := range start {
		pace := newPacer(b, s.interval)
		pace.single = s.single
		up := newDeployment(b, pace.stream)
		ends = append(ends, s.begin(b, start(up.base), pace))
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

// assembleStarts is how often BenchmarkAssemble starts its contestants: where a
// process happens to lie in memory makes more difference than all its windows.
const assembleStarts = 4

// BenchmarkAssemble holds the CPU that a request which is not streamed costs
// per chunk of the stream that is asked for in its place, against that of
// reading such a stream and throwing it away.
func BenchmarkAssemble(b *testing.B) {
	load := streams{
		count: 128, interval: 10 * time.Millisecond, window: 500 * time.Millisecond, settle: settleTime, rounds: 20, whole: true,
	}
	var mine, reader sample
	for range assembleStarts {
		b.Run("Start", func(b *testing.B) { // by itself, so that its processes end
			for b.Loop() {
				flows, _ := load.turns(b,
					func(upstream string) *child { return startSpillway(b, upstream, "stream") },
					func(upstream string) *child { return startRole(b, roleReader, upstream) })
				mine = append(mine, figures(flows[0], cpu)...)
				reader = append(reader, figures(flows[1], cpu)...)
				b.ReportMetric(figures(flows[0], cpu).beyond(figures(flows[1], cpu)).median(), "µs/chunk")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
	board.add(b, score{
		name:  "sync as stream: CPU beyond reading",
		value: mine.beyond(reader).median(), limit: 3, unit: "µs/chunk",
		detail: fmt.Sprintf("µs per chunk: spillway %v, reader %v; pairwise %v", mine, reader, mine.beyond(reader)),
	})
}

// BenchmarkStreams holds the CPU per chunk of a thousand streams against
// ReverseProxy's. It asks for more than two processors may be able to do
// together with the clients; what was reached is told.
//
// Singly, a stream's chunk is written once its client has the one before. So
// every chunk takes a write of its own, whoever passes it on, and one that is
// held back stops its stream.
//
// PiledUp, they are written no matter what has arrived, and what has piled up
// before a contestant goes on in one write: it is the cheaper the further it is
// behind. Where no processor is idle all use what CPU the others leave, and
// differ in how late chunks are. The target is the same, and says less. What
// either load makes of a handicap of known size is told with it.
func BenchmarkStreams(b *testing.B) {
	load := streams{count: 1000, interval: 20 * time.Millisecond, window: 500 * time.Millisecond, settle: settleTime, rounds: 80}
	load.single = true
	b.Run("Singly", func(b *testing.B) {
		for b.Loop() {
			ratio, detail := load.race(b)
			board.add(b, score{name: "1,000 streams: CPU per chunk / ReverseProxy's", value: ratio, limit: 1, unit: "x", detail: detail})
		}
	})
	load.single = false
	b.Run("PiledUp", func(b *testing.B) {
		for b.Loop() {
			ratio, detail := load.race(b)
			board.add(b, score{name: "1,000 streams, chunks piled up: the same", value: ratio, limit: 1, unit: "x", detail: detail})
		}
	})
}

// race takes the load through the gateway, ReverseProxy, and a slower one, by
// turns. It returns how what they use per chunk relates, and what that is made
// of.
func (s streams) race(b *testing.B) (ratio float64, detail string) {
	b.Helper()
	flows, ends := s.turns(b,
		func(upstream string) *child { return startSpillway(b, upstream, "stream") },
		func(upstream string) *child { return startRole(b, roleProxy, upstream) },
		func(upstream string) *child { return startRole(b, roleSlowed, upstream) })
	mine, theirs, slower := figures(flows[0], cpu), figures(flows[1], cpu), figures(flows[2], cpu)
	told := func(i int) string {
		return fmt.Sprintf("%v µs, %.2f writes per chunk, %.0f chunks/s, p99 delay %.1f ms", figures(flows[i], cpu),
			figures(flows[i], writes).median(), figures(flows[i], rate).median(), millis(ends[i].in.quantile(0.99)))
	}
	b.ReportMetric(mine.median(), "cpu-µs/chunk")
	return mine.over(theirs).median(), fmt.Sprintf("spillway %s; proxy %s; pairwise %v; a proxy slowed by %v per read %.2f; %.0f chunks/s asked for",
		told(0), told(1), mine.over(theirs), handicap, slower.over(theirs).median(), float64(s.count)/s.interval.Seconds())
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
				flows[role], _ = load.run(b, c, pace)
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
