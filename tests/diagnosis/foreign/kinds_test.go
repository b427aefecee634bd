package foreign

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

// A kind is a sort of world.
type kind struct {
	name    string
	healthy bool
	build   func(w *world)
}

// besides are what else the logs contain.
var besides = []string{"nothing", "idle", "busy", "unknown", "unrelated"}

// make builds and runs a world of the kind; what is beside it follows from the
// seed.
func (k kind) make(seed uint64) *world {
	return k.beside(seed, besides[seed%uint64(len(besides))])
}

func (k kind) beside(seed uint64, what string) *world { return k.planned(seed, what).run() }

func (k kind) planned(seed uint64, what string) *world {
	w := newWorld(k.name, seed)
	w.beside = what
	k.build(w)
	w.add(what)
	if seed%10 == 7 { // a gateway that logs every tenth request of a longer time
		w.sample, w.length = 0.1, 3*w.length
	}
	w.ample()
	return w
}

// ample gives deployments without a limit the capacity of a third of their use.
func (w *world) ample() {
	for i, a := range w.apps {
		d := a.route.backends[0]
		if !d.provisioned() || d.ptu != 100000 && d.kind == bucket || d.slots != 100000 && d.kind == concurrency {
			continue
		}
		w.unlimited[d] = append(w.unlimited[d], i)
	}
	for d, apps := range w.unlimited {
		reserved, busy := 0.0, 0.0
		for _, i := range apps {
			for _, c := range w.apps[i].calls(rand.New(rand.NewPCG(w.seed+77, uint64(i))), w.length) {
				reserved += d.cost(c, max(c.out(), d.reserve(c)))
				busy += d.base + float64(c.prompt)/d.reads + float64(c.out())*d.tau*1.2
			}
		}
		d.depth = 60
		d.ptu = 1 + int(reserved/w.length/0.35/d.tpmPU*60)
		d.slots = 20 + int(2*busy/w.length)
		if d.decode.factor != nil { // slow for a while, and not full
			d.slots *= 4
		}
	}
}

type model struct {
	name  string
	tpmPU float64
	ratio float64
}

// models are those of Azure's sizing page.
func models() []model {
	return []model{{"gpt-4o-mini", 37000, 4}, {"gpt-4o", 2500, 4}, {"gpt-4.1", 3000, 4}, {"gpt-4.1-mini", 14900, 4}, {"gpt-5-mini", 23750, 8}}
}

// among picks one.
func among[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

// deployment adds one with ordinary speeds and no limit.
func (w *world) deployment(a admission) *deployment {
	m := among(w.r, models()...)
	if len(w.deps) > 0 {
		d := w.deps[0]
		m = model{d.model, d.tpmPU, d.ratio}
	}
	i := len(w.deps)
	names := [][]string{{"chat", "gpt4o-prod", "assist-v2", "Main", "prod-llm"}, {"other-team", "aux", "zz-chat", "backoffice", "gpt-secondary"}, {"std", "overflow", "payg-01"}, {"emb", "embed-3"}}
	places := [][2]string{{"contoso-eus", "eastus"}, {"contoso-sdc", "swedencentral"}, {"fabrikam-wus", "westus"}, {"contoso-frc", "francecentral"}}
	place := places[(i+w.r.IntN(2)*2)%4]
	for _, d := range w.deps {
		if d.resource == place[0] {
			place = places[(i*2+1)%4]
		}
	}
	d := &deployment{
		name: among(w.r, names[i%4]...), resource: place[0], region: place[1], model: m.name,
		kind: a, ptu: 100000, tpmPU: m.tpmPU, ratio: m.ratio, depth: 8 + 30*w.r.Float64(), guess: 300 + w.r.IntN(500), slots: 100000,
		base: 0.25 + 0.4*w.r.Float64(), reads: 15000 + 30000*w.r.Float64(), tau: 0.008 + 0.014*w.r.Float64(), spread: 0.1 + 0.25*w.r.Float64(),
	}
	n0 := 40 + 60*w.r.Float64()
	d.phase = 60 * w.r.Float64()
	d.decode = &server{law: func(n int) float64 { return 1 + 0.2*math.Min(1.5, math.Pow(float64(n)/n0, 1.3)) }}
	d.prefill = &server{}
	w.deps = append(w.deps, d)
	return d
}

// either is a provisioned deployment or a standard one.
func (w *world) either() *deployment {
	return w.deployment(among(w.r, bucket, perMinute, concurrency, per10s))
}

func (w *world) via(backends ...*deployment) *route { return &route{backends: backends} }

// pattern is one of the usual courses of traffic with a mean rate.
func (w *world) pattern(rate float64) arrivals {
	switch w.r.IntN(4) {
	case 0:
		return diurnal(rate, 0.25, w.length, w.r.Float64())
	case 1:
		return modulated(0.75*rate, 1.25*rate, 45)
	case 2:
		return func(r *rand.Rand, until float64) []float64 {
			return append(poisson(0.8*rate)(r, until), jobs(int(max(1, 12*rate)), 50, 60, 3)(r, until)...)
		}
	}
	return poisson(rate)
}

// app adds a caller with ordinary requests.
func (w *world) app(rate float64, o *route) *caller {
	a := &caller{
		name: fmt.Sprintf("%s-%d", among(w.r, "sub", "team", "svc"), 10*len(w.apps)+w.r.IntN(10)), arrive: w.pattern(rate), route: o,
		prompts: among(w.r, clipped(logLogistic(500, 1.8), 30, 6000), table(40, 200, 400, 900, 2000, 5000), clipped(weibull(900, 0.9), 20, 8000)),
		lengths: among(w.r, clipped(logLogistic(160, 2.6), 5, 900), table(5, 60, 120, 180, 260, 420, 900), clipped(weibull(220, 1.2), 5, 1000)),
		sdk:     among(w.r, python(), node(), dotnet(), once()),
	}
	if w.r.IntN(2) == 0 {
		a.stream = 0.5 * w.r.Float64()
	}
	w.apps = append(w.apps, a)
	return a
}

// work is the traffic of an app in input tokens of its deployment per second.
func (a *caller) work(rate float64, d *deployment) float64 {
	cached := 0.0
	if a.cached != nil {
		cached = a.cached(0)
	}
	return rate * (mean(a.prompts)*(1-cached) + d.ratio*mean(a.lengths))
}

// size gives a deployment capacity such that the traffic is load times it.
func (d *deployment) size(load, rate float64, a *caller) {
	switch d.kind {
	case bucket:
		d.ptu = int(max(1, math.Round(a.work(rate, d)/load/d.tpmPU*60)))
	case concurrency:
		took := d.base + mean(a.prompts)/d.reads + mean(a.lengths)*d.tau*1.15
		d.slots = int(max(2, math.Round(rate*took/load)))
	case perMinute, per10s:
		d.tpm = int(rate * 60 * (mean(a.prompts) + d.asked(a)) / load)
	}
}

// asked is the mean output that is reserved for the requests of an app.
func (d *deployment) asked(a *caller) float64 {
	r := rand.New(rand.NewPCG(5, 5))
	sum := 0.0
	for range 2000 {
		n := d.guess
		if a.asks != nil {
			n = a.asks(r, int(a.lengths(r)))
		}
		sum += float64(n)
	}
	return sum / 2000
}

// fitting asks for little more than the answer needs.
func fitting(r *rand.Rand, want int) int { return int(float64(want)*(1.02+0.25*r.Float64())) + 10 }

func fixed(n int) func(*rand.Rand, int) int { return func(*rand.Rand, int) int { return n } }

// add puts something beside the world: another deployment of its model, idle,
// busy, or of unknown load, or other models.
func (w *world) add(what string) {
	if what == "nothing" {
		return
	}
	first := w.deps[0]
	if what == "unrelated" {
		d := w.deployment(perMinute)
		d.model, d.name = "text-embedding-3-large", "emb-shared"
		a := w.app(1+2*w.r.Float64(), w.via(d))
		a.embeds, a.stream, a.asks = true, 0, nil
		d = w.deployment(bucket)
		d.model, d.name, d.tpmPU, d.ratio = "o4-mini", "reasoner", 5400, 4
		b := w.app(0.4, w.via(d))
		b.asks, b.stream = fitting, 1
		d.size(0.4, 0.4, b)
		return
	}
	d := w.deployment(first.kind)
	switch { // the kinds that have the least chance of a refusal
	case d.kind == per10s:
		d.kind = perMinute
	case d.kind == concurrency && what != "idle":
		d.kind = bucket
	}
	d.tau, d.spread, d.base = first.tau*(0.95+0.1*w.r.Float64()), first.spread, first.base
	rate := map[string]float64{"idle": 0.3, "busy": 3, "unknown": 1.5}[what]
	a := w.app(rate, w.via(d))
	a.asks, a.arrive = fitting, poisson(rate)
	d.depth = 200
	switch what {
	case "idle":
		d.size(0.04, rate, a)
		if w.r.IntN(2) == 0 { // as large as the first
			d.ptu, d.slots, d.tpm = max(d.ptu, first.ptu), max(d.slots, first.slots), max(d.tpm, first.tpm)
		}
	case "busy":
		d.size(0.92, rate, a)
		switch {
		case d.provisioned():
		case len(w.truth) == 0:
			d.tpm = d.tpm * 3 / 2
		default: // in some minutes it is short, too
			w.maybe(diagnose.QuotaExhausted, d.names()...)
		}
	case "unknown":
		d.silent = true
		d.size(0.6, rate, a)
	}
}

// short says that the first deployment lacks capacity: of which kind.
func short(d *deployment) diagnose.Code {
	if d.provisioned() {
		return diagnose.PTUSaturation
	}
	return diagnose.QuotaExhausted
}

// kinds are the sick ones and the healthy ones.
func kinds() []kind { return append(sick(), healthy()...) }
