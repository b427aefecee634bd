// Package diagnosis holds internal/diagnose to traffic whose troubles are
// known, because they were made.
package diagnosis

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/diagnose/rules"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/policy/admit"
	"github.com/spillway-ai/spillway/internal/policy/retry"
)

const model = "gpt-4o-mini"

// world is a gateway, its fleet and its clients before they meet. A cause
// changes it.
type world struct {
	rng    *rand.Rand
	seed   uint64
	length time.Duration
	fleet  fleet.Config
	pools  []policy.Config
	class  spillway.Class
	client fleet.Client
	calls  []workload.Call
	told   bool // the operator gives the capacities
	// chunkTokens is how many tokens streams release at a time; 0 is what the
	// model takes for Azure's default content filter.
	chunkTokens int
	// sizing sizes the provisioned deployment, once all calls are there; firm
	// is that of a cause that stands or falls with it.
	sizing func()
	firm   bool
}

// newWorld is a healthy one: a provisioned deployment at about half of its
// capacity and two standard ones behind it, and half an hour of calls from a
// few callers. What is not the point varies with the seed.
func newWorld(seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 0xd1a6))
	w := &world{
		rng: rng, seed: seed, length: 30 * time.Minute, told: seed%2 == 0,
		class:  spillway.Class{Name: "chat", Window: time.Minute, Budget: spillway.BudgetRule{Mode: spillway.BudgetObserve}},
		client: fleet.OpenAISDK(),
	}
	if seed%3 == 0 {
		w.class.Sync = spillway.SyncPass
	}
	w.fleet = fleet.Config{Seed: seed, Deployments: []fleet.Deployment{
		{
			Deployment: spillway.Deployment{Name: "ptu-eastus", Region: "eastus", Kind: spillway.Provisioned, PTU: w.between(60, 80), MeterDepth: w.pick(20*time.Second, 30*time.Second, time.Minute)},
			Service:    fleet.Service{TBTMean: w.millis(7, 12)},
		},
		{Deployment: spillway.Deployment{Name: "std-sweden", Region: "swedencentral", TPM: 20_000_000, RPM: 60_000}, Service: fleet.Service{TBTMean: w.millis(12, 20)}},
		{Deployment: spillway.Deployment{Name: "std-westus", Region: "westus3", TPM: 20_000_000, RPM: 60_000}, Service: fleet.Service{TBTMean: w.millis(12, 20)}},
	}}
	for i := range w.fleet.Deployments {
		w.fleet.Deployments[i].Model = model
	}
	w.pools = []policy.Config{w.pool(model, []string{"ptu-eastus"}, []string{"std-sweden", "std-westus"})}
	w.calls = w.traffic(calls{rate: 7 + 2*rng.Float64(), clients: 8, zipf: 0.6})
	return w
}

// pool is a policy with these tiers.
func (w *world) pool(name string, tiers ...[]string) policy.Config {
	cfg := policy.Config{Pool: spillway.Pool{Name: name, Tiers: tiers}, Queue: admit.Config{MaxLength: 64}}
	for _, d := range w.fleet.Deployments {
		if slices.ContainsFunc(tiers, func(names []string) bool { return slices.Contains(names, d.Name) }) {
			cfg.Deployments = append(cfg.Deployments, d.Deployment)
		}
	}
	return cfg
}

// alone leaves the first deployment to serve everything.
func (w *world) alone() { w.tiers([]string{w.fleet.Deployments[0].Name}) }

// tiers replaces those of the pool.
func (w *world) tiers(tiers ...[]string) { w.pools = []policy.Config{w.pool(model, tiers...)} }

// standard puts standard deployments with these limits in the provisioned
// one's place.
func (w *world) standard(tpm, rpm int) {
	w.fleet.Deployments = w.fleet.Deployments[1:]
	for i := range w.fleet.Deployments {
		w.fleet.Deployments[i].TPM, w.fleet.Deployments[i].RPM = tpm, rpm
	}
	w.alone()
}

// calls says what kind of traffic is wanted; zero fields are the usual.
type calls struct {
	rate     float64 // per second
	clients  int
	zipf     float64
	client   string // the name of all
	from, to time.Duration
	input    workload.Lengths
	output   workload.Lengths
	limit    int     // max_tokens of all; 0 is about what each will use, -1 none
	sync     float64 // share that is not streamed; 0 is a half
	bursts   workload.Bursts
	curve    workload.Curve
}

// traffic generates calls. Callers set limits near to what they will use, as
// far as nothing else is said.
func (w *world) traffic(k calls) []workload.Call {
	spec := workload.Spec{
		Rate: k.rate, Duration: cmp.Or(k.to, w.length) - k.from, Clients: cmp.Or(k.clients, 1), Zipf: k.zipf, Model: model,
		Bursts: k.bursts, Curve: k.curve,
		Classes: []workload.Class{{Name: "chat", Input: k.input, Output: k.output, Stream: 1 - cmp.Or(k.sync, 0.5)}},
	}
	c := &spec.Classes[0]
	if c.Input.Max == 0 && c.Input.Median == 0 {
		c.Input = workload.Lengths{Median: 700, Sigma: 0.9, Min: 20, Max: 8000}
	}
	if c.Output.Max == 0 && c.Output.Median == 0 {
		c.Output = workload.Lengths{Median: 240, Sigma: 0.8, Min: 5, Max: 900}
	}
	src, err := workload.Generate(spec, w.rng.Uint64())
	if err != nil {
		panic(err)
	}
	all, err := workload.Collect(src, 0)
	if err != nil {
		panic(err)
	}
	for i := range all {
		one := &all[i]
		one.At += k.from
		if k.client != "" {
			one.Client = k.client
		}
		switch {
		case k.limit > 0:
			one.MaxTokens = k.limit
		case k.limit == 0:
			one.MaxTokens = 50 * int(math.Ceil(float64(one.OutputTokens)*(1.1+0.5*w.rng.Float64())/50))
		}
	}
	return all
}

// add puts more calls among those that are there.
func (w *world) add(more []workload.Call) {
	w.calls = append(w.calls, more...)
	slices.SortStableFunc(w.calls, func(a, b workload.Call) int { return cmp.Compare(a.At, b.At) })
}

// between is a whole number, both ends included.
func (w *world) between(a, b int) int { return a + w.rng.IntN(b-a+1) }

func (w *world) millis(a, b int) time.Duration {
	return time.Duration(w.between(1000*a, 1000*b)) * time.Microsecond
}

func (w *world) minutes(a, b int) time.Duration { return time.Duration(w.between(a, b)) * time.Minute }

func (w *world) pick(all ...time.Duration) time.Duration { return all[w.rng.IntN(len(all))] }

// ptu is the provisioned deployment.
func (w *world) ptu() *fleet.Deployment { return &w.fleet.Deployments[0] }

// load is the work of the calls as a share of what n PTUs do in that time.
func (w *world) load(all []workload.Call, n int, during time.Duration) float64 {
	const inputTPMPerPTU, outputRatio = 37_000, 4 // of gpt-4o-mini
	work := 0.0
	for _, c := range all {
		work += float64(c.PromptTokens + outputRatio*c.OutputTokens)
	}
	return work / (float64(n) * inputTPMPerPTU * during.Minutes())
}

// size will give the provisioned deployment so many PTUs that the calls are
// that share of its capacity, if no cause needs it otherwise.
func (w *world) size(share float64) {
	if !w.firm {
		w.sizing = func() { w.ptu().PTU = max(1, int(w.load(w.calls, 1, w.length)/share)) }
	}
}

// sizeFirm is size of a cause that stands or falls with it; at zero the share
// is that of the whole time.
func (w *world) sizeFirm(share float64, at time.Duration) {
	w.firm = true
	w.sizing = func() {
		load := w.load(w.calls, 1, w.length)
		if at > 0 {
			load = w.load(w.busiest(at), 1, time.Minute)
		}
		w.ptu().PTU = max(1, int(load/share))
	}
}

// settle sizes what is to be sized, once nothing changes any more.
func (w *world) settle() {
	if w.sizing != nil && w.ptu().Kind == spillway.Provisioned {
		w.sizing()
	}
	w.sizing = nil
}

// observations runs the world and returns what the gateway's records say.
func (w *world) observations(tb testing.TB, take func(*diagnose.Observation)) {
	tb.Helper()
	w.settle()
	for i := range w.pools { // what causes have changed since
		retries := w.pools[i].Retry
		w.pools[i] = w.pool(w.pools[i].Pool.Name, w.pools[i].Pool.Tiers...)
		w.pools[i].Retry = retries
	}
	for i := range w.fleet.Deployments {
		w.fleet.Deployments[i].ChunkTokens = w.chunkTokens
	}
	_, err := whatif.Run(whatif.Config{
		Fleet: w.fleet, Client: w.client, Seed: w.seed,
		Policy: whatif.Policy{Name: "served", Pools: w.pools, Default: &w.class},
		OnRecord: func(r *spillway.Record) {
			o := diagnose.FromRecord(r)
			take(&o)
		},
	}, workload.Slice(w.calls))
	if err != nil {
		tb.Fatal(err)
	}
}

// diagnosis is what is said of the world.
func (w *world) diagnosis(tb testing.TB) diagnose.Diagnosis {
	tb.Helper()
	c := rules.NewCollector(w.knowledge())
	w.observations(tb, c.Add)
	return c.Diagnose()
}

// knowledge is what the operator gives.
func (w *world) knowledge() rules.Config {
	w.settle()
	var cfg rules.Config
	if w.told {
		for _, d := range w.fleet.Deployments {
			cfg.Deployments = append(cfg.Deployments, d.WithDefaults().Deployment)
		}
	}
	return cfg
}

// stubborn is a gateway that leaves retries to the clients.
func (w *world) stubborn() {
	for i := range w.pools {
		w.pools[i].Retry = retry.Config{MaxAttempts: 1, Ratio: -1, MinPerSecond: -1}
	}
}
