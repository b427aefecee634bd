package foreign

import (
	"math"
	"math/rand/v2"
)

// A call is one request that a client wants answered. All of its draws are made
// before the simulation, so that another policy meets the same calls.
type call struct {
	at     float64
	app    *caller
	prompt int
	cached int
	want   int // tokens of the whole answer
	limit  int // its max_tokens; 0: none
	stream bool
	pace   float64 // how fast it is generated, relative to its deployment
	leave  float64 // seconds after which its user leaves; 0: never
	code   int     // 400 and the like, where the request is itself wrong; else 0
}

func (c *call) out() int {
	if c.limit > 0 {
		return min(c.want, c.limit)
	}
	return c.want
}

// The ways in which a deployment admits requests.
type admission int

const (
	bucket      admission = iota // provisioned: Azure's published leaky bucket
	concurrency                  // provisioned: so many requests at a time
	perMinute                    // standard: token and request counters, reset each minute
	per10s                       // standard: a sixth of both, reset every 10 s
)

// A fault makes a share of requests fail from a time to a time.
type fault struct {
	from, to float64
	share    float64
	code     int
}

type deployment struct {
	name, resource, region, model string

	kind  admission
	ptu   int
	ratio float64 // input tokens that one output token counts for
	tpmPU float64 // input tokens per minute and PTU
	depth float64 // seconds of capacity that fill the bucket
	guess int     // output reserved for requests without max_tokens
	slots int     // concurrency
	tpm   int
	rpm   int
	phase float64 // seconds by which its minutes are not the clock's

	window  float64 // seconds until the service's 408 for requests that do not stream; 0: none
	base    float64 // seconds to the first token of an empty prompt
	reads   float64 // prompt tokens per second
	tau     float64 // seconds per output token
	spread  float64 // coefficient of variation of single requests' speeds
	faults  []fault
	silent  bool // nobody exports its metric
	prefill *server
	decode  *server

	e        *engine
	r        *rand.Rand
	level    float64
	leveled  float64
	inFlight int
	counter  float64
	requests int
	period   float64

	used, peak []float64 // by minute: work done, highest level, as shares of capacity
	log        []attempt
}

// An attempt is a request as the service saw it.
type attempt struct {
	at, took, ttft float64
	c              *call
	d              *deployment
	code           int
	generated      int
}

type outcome struct {
	code       int
	took, ttft float64
	generated  int
	retryAfter float64
	level      float64 // utilization; -1: not provisioned
}

func (d *deployment) provisioned() bool { return d.kind == bucket || d.kind == concurrency }

// rate is its capacity in input tokens per second.
func (d *deployment) rate() float64 { return float64(d.ptu) * d.tpmPU / 60 }

func (d *deployment) open(e *engine, r *rand.Rand) {
	d.e, d.r = e, r
	for _, s := range []**server{&d.prefill, &d.decode} {
		if *s == nil {
			*s = &server{}
		}
		(*s).e = e
	}
}

// cost is a request's work in input tokens.
func (d *deployment) cost(c *call, out int) float64 {
	return float64(c.prompt-c.cached) + d.ratio*float64(out)
}

func (d *deployment) drain() {
	d.level = math.Max(0, d.level-(d.e.now-d.leveled)*d.rate())
	d.leveled = d.e.now
}

// full is how full the deployment is, 0–1 and above.
func (d *deployment) full() float64 {
	switch d.kind {
	case bucket:
		d.drain()
		return d.level / (d.depth * d.rate())
	case concurrency:
		return float64(d.inFlight) / float64(d.slots)
	}
	return -1
}

// reserve is the output that a request is admitted for.
func (d *deployment) reserve(c *call) int {
	if c.limit > 0 {
		return c.limit
	}
	return d.guess
}

// admit reports whether the deployment accepts a request, or else in how many
// seconds it may.
func (d *deployment) admit(c *call) (bool, float64) {
	switch d.kind {
	case bucket:
		if f := d.full(); f > 1 {
			return false, (f-1)*d.depth + 0.01
		}
		d.level += d.cost(c, d.reserve(c))
	case concurrency:
		if d.inFlight >= d.slots {
			return false, 1
		}
	case perMinute, per10s:
		return d.count(c)
	}
	return true, 0
}

// count keeps the counters of a standard deployment. Refused requests count
// toward the requests, and not toward the tokens. The requests are limited over
// ten seconds in both kinds.
func (d *deployment) count(c *call) (bool, float64) {
	span, share := 60.0, 1.0
	if d.kind == per10s {
		span, share = 10, 6
	}
	now := d.e.now + d.phase
	if p := math.Floor(now / span); p != d.period {
		d.period, d.counter = p, 0
	}
	if p := math.Floor(now / 10); p != d.leveled {
		d.leveled, d.requests = p, 0
	}
	d.requests++
	if d.rpm > 0 && d.requests > d.rpm/6 {
		return false, (d.leveled+1)*10 - now
	}
	if d.tpm > 0 && d.counter >= float64(d.tpm)/share {
		return false, (d.period+1)*span - now
	}
	d.counter += float64(c.prompt + d.reserve(c))
	return true, 0
}

func (d *deployment) minute() int {
	m := int(d.e.now / 60)
	for len(d.used) <= m {
		d.used, d.peak = append(d.used, 0), append(d.peak, 0)
	}
	return m
}

// work enters what was done into the metric.
func (d *deployment) work(tokens float64) {
	if d.kind == bucket {
		m := d.minute()
		d.used[m] += tokens / (d.rate() * 60)
	}
}

func (d *deployment) mark() {
	if d.provisioned() {
		m := d.minute()
		d.peak[m] = math.Max(d.peak[m], d.full())
	}
}

// serve answers a request, once. The result cancels it.
func (d *deployment) serve(c *call, done func(outcome)) (cancel func()) {
	start := d.e.now
	s := &serving{d: d, c: c, start: start, done: done}
	for _, f := range d.faults {
		if start >= f.from && start < f.to && d.r.Float64() < f.share {
			s.quick(f.code, 0.02+2*d.r.Float64(), 0)
			return s.cancel
		}
	}
	if c.code != 0 {
		s.quick(c.code, 0.1+0.3*d.r.Float64(), 0)
		return s.cancel
	}
	ok, wait := d.admit(c)
	d.mark()
	if !ok {
		s.quick(429, 0.004+0.01*d.r.Float64(), wait)
		return s.cancel
	}
	d.inFlight++
	s.admitted = true
	d.work(float64(c.prompt - c.cached))
	s.job = d.prefill.start(d.base*(0.7+0.6*d.r.Float64())+float64(c.prompt-c.cached)/d.reads, func() {
		s.ttft = d.e.now - start
		s.server = d.decode
		s.decoding = true
		s.job = d.decode.start(float64(c.out())*d.tau*c.pace, func() { s.end(200) })
	})
	s.server = d.prefill
	if d.window > 0 && !c.stream {
		d.e.after(d.window, func() { s.end(408) })
	}
	return s.cancel
}

// A serving is a request that a deployment is busy with.
type serving struct {
	d        *deployment
	c        *call
	start    float64
	ttft     float64
	server   *server
	job      *job
	decoding bool
	admitted bool
	over     bool
	done     func(outcome)
}

func (s *serving) quick(code int, took, wait float64) {
	s.d.e.after(took, func() { s.finish(code, wait) })
}

func (s *serving) cancel() { s.end(499) }

func (s *serving) end(code int) { s.finish(code, 0) }

func (s *serving) finish(code int, wait float64) {
	if s.over {
		return
	}
	s.over = true
	generated := 0
	if s.job != nil {
		share := s.server.stop(s.job)
		if s.decoding {
			generated = int(math.Round(share * float64(s.c.out())))
		}
	}
	d := s.d
	if s.admitted {
		if d.kind == concurrency { // the mean number of busy slots
			m := d.minute()
			d.used[m] += (d.e.now - s.start) / 60 / float64(d.slots)
		}
		d.inFlight--
		d.work(d.ratio * float64(generated))
		if d.kind == bucket {
			d.drain()
			d.level = math.Max(0, d.level-d.ratio*float64(d.reserve(s.c)-generated))
		}
	}
	o := outcome{code: code, took: d.e.now - s.start, ttft: s.ttft, generated: generated, retryAfter: wait, level: d.full()}
	d.log = append(d.log, attempt{at: s.start, took: o.took, ttft: s.ttft, c: s.c, d: d, code: code, generated: generated})
	s.done(o)
}
