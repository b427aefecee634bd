package foreign

import (
	"math"
	"math/rand/v2"
)

// An sdk is how a client library waits and retries.
type sdk struct {
	name    string
	retries int
	timeout float64 // of a try; 0: none
	tells   bool    // sends x-stainless headers
	wait    func(r *rand.Rand, n int, after float64) float64
}

// heeds waits what the server asks for, up to most, and else doubles.
func heeds(most, cap float64) func(r *rand.Rand, n int, after float64) float64 {
	return func(r *rand.Rand, n int, after float64) float64 {
		if after > 0 && after <= most {
			return after
		}
		return math.Min(cap, 0.5*math.Pow(2, float64(n))) * (1 - 0.25*r.Float64())
	}
}

func python() *sdk {
	return &sdk{name: "python", retries: 2, timeout: 600, tells: true, wait: heeds(120, 8)}
}

func node() *sdk {
	return &sdk{name: "node", retries: 2, timeout: 600, tells: true, wait: heeds(60, 8)}
}

func dotnet() *sdk {
	return &sdk{name: "dotnet", retries: 3, timeout: 100, wait: func(r *rand.Rand, n int, _ float64) float64 {
		return 0.8 * math.Pow(2, float64(n)) * (0.9 + 0.2*r.Float64())
	}}
}

func once() *sdk { return &sdk{name: "none"} }

// hasty retries at once, many times.
func hasty(n int) *sdk {
	return &sdk{name: "hasty", retries: n, timeout: 600, tells: true, wait: func(r *rand.Rand, _ int, _ float64) float64 { return 0.1 + 0.5*r.Float64() }}
}

// A caller is one application with its traffic.
type caller struct {
	name     string
	arrive   arrivals
	prompts  draw
	lengths  draw
	asks     func(r *rand.Rand, want int) int // max_tokens
	cached   func(t float64) float64          // share of a prompt
	stream   float64                          // share of calls
	leaves   float64                          // share of users that leave before the end
	wrong    float64                          // share of requests that get a 400
	sdk      *sdk
	route    *route
	embeds   bool
	fixedCap int // a cap on the answers that do not stream; 0: none
}

// calls draws the app's calls.
func (a *caller) calls(r *rand.Rand, until float64) (all []*call) {
	for _, t := range a.arrive(r, until) {
		c := &call{at: t, app: a, prompt: int(max(5, a.prompts(r))), pace: 1}
		if !a.embeds {
			c.want = int(max(1, a.lengths(r)))
			c.pace = gamma(r, a.route.backends[0].spread)
		}
		if a.asks != nil {
			c.limit = a.asks(r, c.want)
		}
		c.stream = r.Float64() < a.stream
		if share := 0.0; a.cached != nil && c.prompt >= 1024 {
			share = a.cached(t) * (0.8 + 0.4*r.Float64())
			c.cached = min(c.prompt, int(share*float64(c.prompt))/128*128)
		}
		if x := r.Float64(); x < a.leaves {
			c.leave = 0.5 + 9*r.Float64()*r.Float64()
		} else if x < a.leaves+a.wrong {
			c.code = 400
		}
		if a.fixedCap > 0 && !c.stream {
			if c.limit == 0 || c.limit > a.fixedCap {
				c.limit = a.fixedCap
			}
		}
		all = append(all, c)
	}
	return all
}

// A route is what API Management does with requests: backends by priority, which
// it skips for trip seconds after a refusal, and retries of its own.
type route struct {
	backends []*deployment
	retries  int
	trip     float64
	timeout  float64 // forward-request, to the response's headers; 0: none
	tripped  map[*deployment]float64
}

// A row is a line of the gateway's log.
type row struct {
	at, took, backendTook float64
	c                     *call
	d                     *deployment // of the last attempt; nil: none
	code, backendCode     int
	reason                string
	retry                 int
	level                 float64
	generated             int
	ttft                  float64
	last                  bool // of its call
}

// pick is the first backend that is not skipped.
func (o *route) pick(now float64) *deployment {
	for _, d := range o.backends {
		if o.tripped[d] <= now {
			return d
		}
	}
	return o.backends[0]
}

// try sends one try of a client through the gateway.
func (w *world) try(c *call, n int) {
	e, x := w.e, c.app.sdk
	b := &row{at: e.now, c: c, retry: n, level: -1}
	var cancel func()
	over := false
	end := func(code int, reason string) {
		if over {
			return
		}
		over = true
		b.code, b.reason, b.took = code, reason, e.now-b.at+0.002+0.004*w.r.Float64()
		w.rows = append(w.rows, b)
	}
	leave := func() {
		if !over {
			end(499, "ClientConnectionFailure")
			cancel()
			b.backendCode = 0
			w.again(b, n, 0)
		}
	}
	if x.timeout > 0 && !c.stream {
		e.after(x.timeout, leave)
	}
	if c.leave > 0 {
		e.after(c.leave, func() {
			if !over {
				b.last = true
				end(499, "ClientConnectionFailure")
				cancel()
			}
		})
	}
	var forward func(attempt int)
	forward = func(attempt int) {
		o := c.app.route
		d := o.pick(e.now)
		b.d = d
		sent, answered := e.now, false
		cancel = d.serve(c, func(out outcome) {
			b.generated, b.ttft, b.level = out.generated, out.ttft, out.level
			answered = true
			if over {
				return
			}
			b.backendCode, b.backendTook = out.code, out.took
			refused := out.code == 429 || out.code >= 500
			if refused && o.trip > 0 {
				o.tripped[d] = e.now + o.trip
			}
			if refused && attempt < o.retries {
				e.after(0.02, func() {
					if !over {
						forward(attempt + 1)
					}
				})
				return
			}
			reason := ""
			if out.code == 0 {
				reason, out.code = "BackendConnectionFailure", 500
			}
			end(out.code, reason)
			w.again(b, n, out.retryAfter)
		})
		if o.timeout > 0 && !c.stream {
			e.after(o.timeout, func() {
				if over || answered {
					return
				}
				b.backendTook = e.now - sent
				end(w.gaveUp, "Timeout")
				cancel()
				b.level = -1
				w.again(b, n, 0)
			})
		}
	}
	forward(0)
}

// again lets the client retry a try that failed.
func (w *world) again(b *row, n int, after float64) {
	x := b.c.app.sdk
	failed := b.code == 408 || b.code == 429 || b.code == 499 || b.code >= 500
	if !failed || n >= x.retries || b.c.leave > 0 {
		b.last = true
		return
	}
	w.e.after(x.wait(w.r, n, after), func() { w.try(b.c, n+1) })
}
