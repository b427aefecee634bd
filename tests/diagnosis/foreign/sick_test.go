package foreign

import (
	"math/rand/v2"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

// sick are worlds with one cause each, with what it brings about.
func sick() []kind {
	return []kind{
		{name: "oversized", build: oversized},
		{name: "ptu saturation", build: saturated},
		{name: "over-reservation", build: overReserved},
		{name: "quota", build: quota},
		{name: "fragmentation", build: fragmented},
		{name: "rpm bursts", build: bursts},
		{name: "slow prefill", build: slowPrefill},
		{name: "slow decode", build: slowDecode},
		{name: "retries", build: retries},
		{name: "full spillover", build: fullSpillover},
		{name: "outage", build: outage},
		{name: "client timeout", build: clientTimeout},
		{name: "cache loss", build: cacheLoss},
		{name: "noisy tenant", build: noisyTenant},
	}
}

// oversized answers run out of the service's, the gateway's or the client's
// time.
func oversized(w *world) {
	d := w.either()
	o := w.via(d)
	window := 60.0
	a := w.app(2+2*w.r.Float64(), o)
	a.stream = 0.2 * w.r.Float64()
	a.asks = among(w.r, nil, fixed(16384), fixed(8192))
	switch w.r.IntN(3) {
	case 0:
		d.window = window
		a.sdk = among(w.r, python(), node(), once())
	case 1:
		window = among(w.r, 60.0, 90.0, 120.0)
		o.timeout = window
		a.sdk = among(w.r, python(), once())
	case 2:
		a.sdk = python()
		a.sdk.timeout = window
		a.sdk.retries = w.r.IntN(3)
	}
	fits := window / d.tau
	a.lengths = some(0.02+0.04*w.r.Float64(), clipped(among(w.r, logLogistic(1.1*fits, 3), weibull(1.3*fits, 2)), 100, 16000), a.lengths)
	w.is(diagnose.OversizedRequests, d.names()...)
	if a.sdk.timeout == window {
		w.maybe(diagnose.ClientTimeout, append(d.names(), a.name)...)
	}
}

func saturated(w *world) {
	d := w.deployment(among(w.r, bucket, bucket, concurrency))
	rate := 3 + 3*w.r.Float64()
	a := w.app(rate, w.via(d))
	a.asks = among(w.r, fitting, fitting, nil)
	d.size(1.15+0.5*w.r.Float64(), rate, a)
	d.guess = 200
	w.is(diagnose.PTUSaturation, d.names()...)
}

// overReserved requests reserve many times what they use.
func overReserved(w *world) {
	d := w.deployment(among(w.r, bucket, perMinute))
	rate := 5 + 4*w.r.Float64()
	a := w.app(rate, w.via(d))
	a.prompts = clipped(logLogistic(300, 2), 30, 2000)
	a.asks = fixed(among(w.r, 4096, 8192, 16384))
	if d.kind == bucket {
		d.depth = 5 + 5*w.r.Float64()
		d.size(0.35+0.2*w.r.Float64(), rate, a)
	} else {
		d.size(1.3+0.5*w.r.Float64(), rate, a)
	}
	w.is(diagnose.OverReservation, d.names()...)
}

func quota(w *world) {
	d := w.deployment(among(w.r, perMinute, per10s))
	rate := 3 + 3*w.r.Float64()
	a := w.app(rate, w.via(d))
	a.asks = fitting
	d.size(1.25+0.6*w.r.Float64(), rate, a)
	w.is(diagnose.QuotaExhausted, d.names()...)
}

// fragmented quotas: one deployment is short, another of the model has room.
func fragmented(w *world) {
	d := w.deployment(among(w.r, bucket, perMinute, concurrency))
	rate := 3 + 3*w.r.Float64()
	a := w.app(rate, w.via(d))
	a.asks = fitting
	d.size(1.3+0.4*w.r.Float64(), rate, a)
	other := w.deployment(d.kind)
	other.tau, other.base, other.spread = d.tau, d.base, d.spread
	b := w.app(0.4*rate, w.via(other))
	b.asks, b.arrive = fitting, poisson(0.4*rate)
	other.size(0.2, 0.4*rate, b)
	other.depth = 60
	w.is(diagnose.QuotaFragmentation, append(d.names(), other.names()...)...)
	w.is(short(d), d.names()...)
}

// bursts of requests meet a limit of requests that the minute as a whole keeps.
func bursts(w *world) {
	d := w.deployment(perMinute)
	d.rpm = 6 * (20 + w.r.IntN(20))
	a := w.app(0.5, w.via(d))
	a.arrive = poisson(0.4 * float64(d.rpm) / 60)
	a.asks = fitting
	b := w.app(1, w.via(d))
	n := d.rpm/6 + 15 + w.r.IntN(20)
	b.arrive = jobs(n, 1+5*w.r.Float64(), 60, 1)
	b.asks, b.sdk, a.sdk = fitting, among(w.r, python(), once()), among(w.r, python(), once())
	w.is(diagnose.RPMBursts, d.names()...)
}

func slowPrefill(w *world) {
	d := w.either()
	d.reads = 3000 + 3000*w.r.Float64()
	a := w.app(1.5+w.r.Float64(), w.via(d))
	a.prompts = some(0.2+0.2*w.r.Float64(), uniform(15000, 50000), a.prompts)
	a.asks = fitting
	a.sdk = python()
	w.is(diagnose.SlowPrefill, d.names()...)
}

// slowDecode is an episode of slow generation in which answers run out of time.
func slowDecode(w *world) {
	d := w.either()
	d.window = 60
	rate := 3 + 2*w.r.Float64()
	a := w.app(rate, w.via(d))
	a.stream *= 0.5
	a.lengths = clipped(logLogistic(450, 2.2), 20, 0.5*60/d.tau)
	a.asks = fitting
	from := w.length * (0.2 + 0.3*w.r.Float64())
	to := from + w.length*(0.15+0.2*w.r.Float64())
	by := 2.6 + 1.5*w.r.Float64()
	d.decode.factor = func(t float64) float64 {
		if t >= from && t < to {
			return by
		}
		return 1
	}
	w.is(diagnose.SlowDecode, d.names()...)
	w.maybe(diagnose.OversizedRequests, d.names()...)
}

// retries without a pause keep a short deployment short.
func retries(w *world) {
	d := w.deployment(among(w.r, perMinute, per10s, bucket))
	rate := 2 + 2*w.r.Float64()
	a := w.app(rate, w.via(d))
	a.asks = fitting
	a.sdk = hasty(6 + w.r.IntN(6))
	d.size(1.3+0.4*w.r.Float64(), rate, a)
	w.is(diagnose.RetryAmplification)
	w.maybe(short(d), d.names()...)
	if !d.provisioned() {
		w.maybe(diagnose.RPMBursts, d.names()...)
	}
}

func fullSpillover(w *world) {
	p := w.deployment(among(w.r, bucket, concurrency))
	s := w.deployment(among(w.r, perMinute, per10s))
	s.tau, s.name = p.tau*1.2, "overflow-1"
	o := w.via(p, s)
	o.retries, o.trip = 1, 1+9*w.r.Float64()
	rate := 4 + 3*w.r.Float64()
	a := w.app(rate, o)
	a.asks = fitting
	p.size(1.6+0.4*w.r.Float64(), rate, a)
	s.size(2, 0.4*rate, a)
	w.is(diagnose.SaturatedSpillover, append(p.names(), s.names()...)...)
	w.maybe(diagnose.PTUSaturation, p.names()...)
	w.maybe(diagnose.QuotaExhausted, s.names()...)
}

func outage(w *world) {
	d := w.either()
	from := w.length * (0.2 + 0.4*w.r.Float64())
	d.faults = []fault{{from, from + 200 + 200*w.r.Float64(), 0.7 + 0.3*w.r.Float64(), among(w.r, 503, 500, 0)}}
	a := w.app(2+2*w.r.Float64(), w.via(d))
	a.asks = fitting
	w.is(diagnose.RegionalOutage, d.names()...)
}

// clientTimeout: one client gives up on answers of an ordinary length.
func clientTimeout(w *world) {
	d := w.either()
	o := w.via(d)
	a := w.app(2+2*w.r.Float64(), o)
	b := w.app(1, o)
	a.stream, b.stream = 0, 0
	a.sdk = among(w.r, python(), dotnet(), node())
	a.sdk.timeout = among(w.r, 8.0, 10.0, 15.0, 20.0, 30.0)
	a.lengths = clipped(logLogistic(0.45*a.sdk.timeout/d.tau, 3.5), 20, 3*a.sdk.timeout/d.tau)
	a.asks, b.asks = fitting, fitting
	w.is(diagnose.ClientTimeout, append(d.names(), a.name)...)
}

// cacheLoss is a change of the prompts, after which nothing is cached.
func cacheLoss(w *world) {
	d := w.deployment(among(w.r, bucket, perMinute))
	rate := 3 + 2*w.r.Float64()
	a := w.app(rate, w.via(d))
	a.arrive = poisson(rate)
	a.prompts = clipped(logLogistic(4000, 4), 1500, 20000)
	a.asks = fitting
	before, after := 0.6+0.25*w.r.Float64(), 0.1*w.r.Float64()
	lost := w.length * (0.35 + 0.3*w.r.Float64())
	a.cached = func(t float64) float64 {
		if t < lost {
			return before
		}
		return after
	}
	if d.kind == bucket {
		d.size(0.65, rate, a)
		w.maybe(diagnose.PTUSaturation, d.names()...)
	}
	w.is(diagnose.CacheLoss, append(d.names(), a.name)...)
}

// noisyTenant: for a third of the time one of five callers sends many times its
// usual amount.
func noisyTenant(w *world) {
	d := w.deployment(among(w.r, bucket, perMinute, concurrency))
	o := w.via(d)
	rate := 0.7 + 0.4*w.r.Float64()
	from := w.length * (0.2 + 0.4*w.r.Float64())
	many := 7 + 3*w.r.Float64()
	var one *caller
	for i := range 5 {
		a := w.app(rate, o)
		a.asks = fitting
		if one == nil {
			one = a
			a.arrive = join(poisson(rate), between(poisson(rate*(many-1)), from, from+w.length/3))
		} else {
			a.prompts, a.lengths, a.arrive = one.prompts, one.lengths, poisson(rate)
		}
		_ = i
	}
	d.size(0.55, 5*rate, one)
	w.is(diagnose.NoisyTenant, one.name)
	w.maybe(short(d), d.names()...)
}

func join(all ...arrivals) arrivals {
	return func(r *rand.Rand, until float64) (ts []float64) {
		for _, a := range all {
			ts = append(ts, a(r, until)...)
		}
		return ts
	}
}
