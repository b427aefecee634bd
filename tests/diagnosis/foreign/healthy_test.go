package foreign

// healthy is traffic without a trouble, much of which looks like one.
func healthy() []kind {
	all := []kind{
		{name: "quiet", build: func(w *world) { w.app(0.3, w.via(w.either())).asks = fitting }},
		{name: "plain", build: func(w *world) { w.app(3, w.via(w.either())).wrong = 0.01 }},
		{name: "busy ptu", build: busyPTU},
		{name: "day and night", build: func(w *world) { w.app(3, w.via(w.either())).arrive = diurnal(3, 0.9, w.length, 0.3) }},
		{name: "long streams", build: longStreams},
		{name: "batches that fit", build: fittingBatches},
		{name: "long prompts", build: longPrompts},
		{name: "a rare refusal", build: rareRefusal},
		{name: "wrong requests", build: func(w *world) { w.app(3, w.via(w.either())).wrong = 0.05 }},
		{name: "spilling", build: spilling},
		{name: "users leave", build: usersLeave},
		{name: "reasoning", build: reasoning},
		{name: "many apps", build: manyApps},
		{name: "recovered by the gateway", build: recovered},
	}
	for i := range all {
		all[i].healthy = true
	}
	return all
}

func busyPTU(w *world) {
	d := w.deployment(among(w.r, bucket, concurrency))
	a := w.app(6, w.via(d))
	a.asks, a.arrive = fitting, poisson(6)
	d.depth = 60
	d.size(0.75, 6, a)
	if d.kind == concurrency {
		d.slots += 15
	}
}

func longStreams(w *world) {
	d := w.either()
	d.window = 60
	a := w.app(1.5, w.via(d))
	a.stream = 1
	a.lengths = some(0.3, clipped(logLogistic(70/d.tau, 4), 500, 16000), a.lengths)
	a.sdk = python()
}

func fittingBatches(w *world) {
	d := w.deployment(perMinute)
	d.rpm = 6 * 60
	w.app(1, w.via(d)).asks = fitting
	b := w.app(1, w.via(d))
	b.arrive, b.asks = jobs(35, 8, 60, 1), fitting
}

func longPrompts(w *world) {
	d := w.either()
	d.reads = 60000
	a := w.app(2, w.via(d))
	a.prompts = some(0.3, uniform(10000, 40000), a.prompts)
	a.cached = func(float64) float64 { return 0.7 }
	a.asks = fitting
}

// rareRefusal fails one request in 2,500 for no reason.
func rareRefusal(w *world) {
	d := w.either()
	d.faults = []fault{{0, w.length, 0.0004, among(w.r, 500, 429)}}
	w.app(4, w.via(d)).asks = fitting
}

// spilling traffic finds room at the second deployment.
func spilling(w *world) {
	p := w.deployment(bucket)
	s := w.deployment(perMinute)
	s.tau = p.tau
	o := w.via(p, s)
	o.retries, o.trip = 1, 5
	a := w.app(4, o)
	a.asks = fitting
	p.size(1.1, 4, a)
}

func usersLeave(w *world) {
	a := w.app(3, w.via(w.either()))
	a.stream, a.leaves, a.asks = 1, 0.04, fitting
}

// reasoning answers take minutes, and have them.
func reasoning(w *world) {
	d := w.either()
	a := w.app(0.6, w.via(d))
	a.lengths = clipped(logLogistic(50/d.tau, 3), 200, 20000)
	a.sdk, a.stream = python(), 0
}

func manyApps(w *world) {
	d := w.either()
	o := w.via(d)
	for i := range 12 {
		a := w.app(0.1+0.1*float64(i), o)
		a.asks = fitting
		if i%3 == 0 {
			a.arrive = gated(poisson(1), 200, 500)
		}
	}
}

// recovered requests are refused by one deployment and answered by another of
// its model, which the gateway tries next.
func recovered(w *world) {
	p := w.deployment(concurrency)
	s := w.deployment(concurrency)
	s.tau = p.tau
	o := w.via(p, s)
	o.retries, o.trip = 1, 2
	a := w.app(4, o)
	a.asks = fitting
	p.size(0.95, 4, a)
	s.size(0.4, 4, a)
	s.slots += 10
}
