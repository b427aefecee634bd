package diagnosis

import (
	"time"

	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/workload"
)

// cause is one trouble, and how to make it.
type cause struct {
	code diagnose.Code
	make func(w *world)
	// also may be found besides: consequences that are there and that a reader
	// would not call wrong.
	also []diagnose.Code
}

// causes are all that a diagnosis tells apart.
func causes() []cause {
	return []cause{
		{code: diagnose.OversizedRequests, make: oversized},
		{code: diagnose.PTUSaturation, make: saturated},
		{code: diagnose.OverReservation, make: overReserved},
		{code: diagnose.QuotaExhausted, make: exhausted},
		{code: diagnose.QuotaFragmentation, make: fragmented},
		{code: diagnose.RPMBursts, make: bursts},
		{code: diagnose.SlowPrefill, make: slowPrefill},
		{code: diagnose.SlowDecode, make: slowDecode, also: []diagnose.Code{diagnose.OversizedRequests}},
		{code: diagnose.RetryAmplification, make: retries, also: []diagnose.Code{diagnose.RegionalOutage}},
		{code: diagnose.SaturatedSpillover, make: fullSpillover},
		{code: diagnose.RegionalOutage, make: outage},
		{code: diagnose.ClientTimeout, make: impatient},
		{code: diagnose.CacheLoss, make: cacheLoss},
		{code: diagnose.NoisyTenant, make: noisy},
	}
}

// oversized: a few synchronous calls want more than a minute can write. They
// do not fill the deployment.
func oversized(w *world) {
	w.add(w.traffic(calls{
		rate: 0.1 + 0.3*w.rng.Float64(), client: "reports", sync: 1, limit: []int{8000, 12000, 16000}[w.rng.IntN(3)],
		output: workload.Lengths{Median: float64(w.between(7500, 9000)), Sigma: 0.12, Min: 5000, Max: 12000},
	}))
	w.ptu().Service.TBTMean = w.millis(8, 10)
	w.size(0.5)
}

// saturated: more work than the provisioned deployment can do, for some of the
// time, and nowhere else to go.
func saturated(w *world) {
	w.alone()
	from := w.minutes(5, 12)
	w.add(w.traffic(calls{rate: 8 * (0.9 + w.rng.Float64()), clients: 8, zipf: 0.6, from: from, to: from + w.minutes(6, 12)}))
	w.sizeFirm(1/(0.75+0.1*w.rng.Float64()), from)
}

// busiest are the calls of the third minute after an instant.
func (w *world) busiest(from time.Duration) []workload.Call {
	var all []workload.Call
	for _, c := range w.calls {
		if c.At >= from+2*time.Minute && c.At < from+3*time.Minute {
			all = append(all, c)
		}
	}
	return all
}

// overReserved: callers set limits far above what they use, so that the meter
// is full of reservations.
func overReserved(w *world) {
	w.alone()
	limit := w.between(8, 16) * 1000
	for i := range w.calls {
		w.calls[i].MaxTokens = limit
	}
	w.ptu().MeterDepth = w.pick(5*time.Second, 8*time.Second)
	w.sizeFirm(0.35+0.15*w.rng.Float64(), 0)
}

// exhausted: a standard deployment whose quota of tokens is too small for the
// steady demand.
func exhausted(w *world) {
	reserved := 0.0
	for _, c := range w.calls {
		reserved += float64(c.PromptTokens + c.MaxTokens)
	}
	perMinute := reserved / w.length.Minutes()
	w.standard(int(perMinute*(0.55+0.25*w.rng.Float64())), 0)
}

// fragmented: two pools of one model, of which one is short and the other idle.
// That they are of one model stands in the configuration alone.
func fragmented(w *world) {
	w.told = true
	w.standard(1, 0)
	perMinute := 0.0
	for i := range w.calls {
		c := &w.calls[i]
		perMinute += float64(c.PromptTokens+c.MaxTokens) / w.length.Minutes()
		if c.Model = "chat-a"; w.rng.IntN(8) == 0 {
			c.Model = "chat-b"
		}
	}
	for i := range w.fleet.Deployments {
		w.fleet.Deployments[i].TPM = int(perMinute * (0.6 + 0.1*w.rng.Float64()))
	}
	w.pools[0] = w.pool("chat-a", []string{"std-sweden"})
	w.pools = append(w.pools, w.pool("chat-b", []string{"std-westus"}))
}

// bursts: a quota of requests that the minute keeps and its seconds do not.
func bursts(w *world) {
	w.calls = w.traffic(calls{
		rate: 6, clients: 8, zipf: 0.6,
		bursts: workload.Bursts{Factor: 5 + 3*w.rng.Float64(), Length: 5 * time.Second, Period: 55 * time.Second},
	})
	w.standard(0, int(6*60*(1.5+0.5*w.rng.Float64())))
	w.client.Retries = 0
}

// slowPrefill: prompts are long and are read slowly.
func slowPrefill(w *world) {
	w.calls = w.traffic(calls{rate: 5, clients: 8, zipf: 0.6, input: workload.Lengths{Median: 3000, Sigma: 1, Min: 50, Max: 40000}})
	for i := range w.fleet.Deployments {
		w.fleet.Deployments[i].Service.PrefillTokensPerSecond = float64(w.between(1800, 3500))
	}
	w.size(0.5)
}

// slowDecode: a deployment writes several times as slowly for some time.
func slowDecode(w *world) {
	from := w.minutes(5, 12)
	w.fleet.Faults = append(w.fleet.Faults, fleet.Fault{
		Kind: fleet.FaultSlow, Deployment: "ptu-eastus", From: from, Until: from + w.minutes(5, 12), Factor: 2.5 + 2*w.rng.Float64(),
	})
}

// retries: a fifth of the attempts fails, everywhere, and clients come back
// six times at once.
func retries(w *world) {
	w.fleet.Faults = append(w.fleet.Faults, fleet.Fault{Kind: fleet.FaultStatus5xx, Status: 503, Probability: 0.88 + 0.08*w.rng.Float64(), From: w.minutes(4, 8), Until: w.minutes(18, 25)})
	w.client = fleet.Client{Retries: 6, BaseDelay: 100 * time.Millisecond, MaxDelay: time.Second, Jitter: 0.25, Timeout: 10 * time.Minute, IgnoresHints: true}
	w.tiers([]string{"ptu-eastus"})
	w.stubborn()
}

// fullSpillover: what the provisioned deployment cannot take goes to a
// standard one that cannot either.
func fullSpillover(w *world) {
	saturated(w)
	w.fleet.Deployments[1].TPM, w.fleet.Deployments[1].RPM = w.between(60, 120)*1000, 0
	w.tiers([]string{"ptu-eastus"}, []string{"std-sweden"})
}

// outage: a region fails for minutes.
func outage(w *world) {
	from := w.minutes(5, 15)
	kind := []fleet.FaultKind{fleet.FaultStatus5xx, fleet.FaultReset}[w.rng.IntN(2)]
	w.fleet.Faults = append(w.fleet.Faults, fleet.Fault{Kind: kind, Region: "eastus", From: from, Until: from + w.minutes(4, 10)})
}

// impatient: clients that do not stream wait for seconds.
func impatient(w *world) {
	w.client.Timeout = time.Duration(w.between(5, 12)) * time.Second
	w.client.Retries = w.between(0, 1)
	for i := range w.calls {
		w.calls[i].OutputTokens *= 2
		w.calls[i].MaxTokens *= 2
	}
	w.size(0.45)
}

// cacheLoss: prompts begin alike, and from some time on with something that
// never repeats.
func cacheLoss(w *world) {
	w.calls = w.traffic(calls{rate: 6, clients: 6, zipf: 0.6, input: workload.Lengths{Median: 3000, Sigma: 0.4, Min: 1500, Max: 9000}})
	from := w.minutes(10, 20)
	w.cached(from)
	w.size(0.5)
}

// cached gives calls a common beginning, each client its own, until an instant.
func (w *world) cached(until time.Duration) {
	for i := range w.calls {
		c := &w.calls[i]
		name := uint64(0)
		for _, b := range []byte(c.Client) {
			name = 31*name + uint64(b)
		}
		if c.At >= until {
			name = w.rng.Uint64()
		}
		c.Prefix = fleet.PrefixChain(name, c.PromptTokens*3/4)
	}
}

// noisy: one client calls many times as often as it does, and fills what all
// share.
func noisy(w *world) {
	w.alone()
	from := w.minutes(6, 14)
	w.add(w.traffic(calls{rate: 10 + 8*w.rng.Float64(), client: "batch", from: from, to: from + w.minutes(5, 9)}))
	w.add(w.traffic(calls{rate: 0.2, client: "batch"}))
	w.sizeFirm(1/(0.7+0.1*w.rng.Float64()), from)
}

// pairs are causes that can be there at the same time and leave each other
// visible. The second is made after the first.
func pairs() [][2]diagnose.Code {
	return [][2]diagnose.Code{
		{diagnose.SlowPrefill, diagnose.OversizedRequests},
		{diagnose.CacheLoss, diagnose.OversizedRequests},
		{diagnose.PTUSaturation, diagnose.OversizedRequests},
		{diagnose.NoisyTenant, diagnose.OversizedRequests},
		{diagnose.RetryAmplification, diagnose.OversizedRequests},
		{diagnose.SaturatedSpillover, diagnose.OversizedRequests},
		{diagnose.QuotaExhausted, diagnose.OversizedRequests},
		{diagnose.QuotaFragmentation, diagnose.OversizedRequests},
		{diagnose.RPMBursts, diagnose.OversizedRequests},
		{diagnose.OverReservation, diagnose.OversizedRequests},
		{diagnose.OversizedRequests, diagnose.RegionalOutage},
		{diagnose.OversizedRequests, diagnose.SlowDecode},
		{diagnose.SlowPrefill, diagnose.PTUSaturation},
		{diagnose.SlowPrefill, diagnose.RegionalOutage},
		{diagnose.SlowPrefill, diagnose.NoisyTenant},
		{diagnose.SlowPrefill, diagnose.QuotaExhausted},
		{diagnose.SlowPrefill, diagnose.SlowDecode},
		{diagnose.CacheLoss, diagnose.RegionalOutage},
		{diagnose.CacheLoss, diagnose.ClientTimeout},
		{diagnose.CacheLoss, diagnose.PTUSaturation},
		{diagnose.CacheLoss, diagnose.SlowDecode},
		{diagnose.CacheLoss, diagnose.QuotaExhausted},
		{diagnose.CacheLoss, diagnose.RetryAmplification},
		{diagnose.CacheLoss, diagnose.SaturatedSpillover},
		{diagnose.PTUSaturation, diagnose.SlowDecode},
		{diagnose.RegionalOutage, diagnose.ClientTimeout},
		{diagnose.NoisyTenant, diagnose.RegionalOutage},
		{diagnose.SlowDecode, diagnose.ClientTimeout},
	}
}

// healthy are traffic and fleets that look like trouble and are none.
func healthy() map[string]func(w *world) {
	return map[string]func(w *world){
		"quiet":    func(*world) {},
		"busy":     func(w *world) { w.size(0.8) },
		"few":      func(w *world) { w.calls = w.traffic(calls{rate: 0.05}) },
		"spilling": func(w *world) { w.size(1.15) }, // to standard deployments that have room
		"long streams": func(w *world) {
			w.add(w.traffic(calls{rate: 0.2, client: "reports", sync: 1e-9, output: workload.Lengths{Median: 6000, Sigma: 0.2, Min: 4000, Max: 9000}}))
			w.size(0.5)
		},
		"long answers that fit": func(w *world) {
			w.ptu().Service.TBTMean = 7 * time.Millisecond
			w.add(w.traffic(calls{rate: 0.3, client: "reports", sync: 1, output: workload.Lengths{Median: 1800, Sigma: 0.1, Min: 1200, Max: 2200}}))
			w.size(0.4)
		},
		"day and night": func(w *world) {
			w.calls = w.traffic(calls{rate: 6, clients: 8, zipf: 0.6, curve: workload.Curve{Step: 3 * time.Minute, Factors: []float64{1, 2, 4, 8, 10, 8, 5, 3, 2, 1}}})
			w.size(0.45)
		},
		"one large caller": func(w *world) {
			w.add(w.traffic(calls{rate: 12, client: "batch"}))
			w.size(0.6)
		},
		"a caller's rush that fits": func(w *world) {
			from := w.minutes(5, 12)
			w.add(w.traffic(calls{rate: 10, client: "batch", from: from, to: from + 6*time.Minute}))
			w.size(0.3)
		},
		"a refusal now and then": func(w *world) {
			w.fleet.Faults = []fleet.Fault{{Kind: fleet.FaultStatus429, Probability: 0.002}}
		},
		"an error now and then": func(w *world) {
			w.fleet.Faults = []fleet.Fault{{Kind: fleet.FaultStatus5xx, Status: 500, Probability: 0.004}}
		},
		"long prompts": func(w *world) {
			w.calls = w.traffic(calls{rate: 4, clients: 8, zipf: 0.6, input: workload.Lengths{Median: 3000, Sigma: 1, Min: 50, Max: 30000}})
			w.size(0.5)
		},
		"a cache that works": func(w *world) {
			w.calls = w.traffic(calls{rate: 6, clients: 6, zipf: 0.6, input: workload.Lengths{Median: 3000, Sigma: 0.4, Min: 1500, Max: 9000}})
			w.cached(w.length)
			w.size(0.4)
		},
		"no cache ever": func(w *world) {
			w.calls = w.traffic(calls{rate: 6, clients: 6, zipf: 0.6, input: workload.Lengths{Median: 3000, Sigma: 0.4, Min: 1500, Max: 9000}})
			w.cached(0)
			w.size(0.4)
		},
		"limits far above the use": func(w *world) {
			for i := range w.calls {
				w.calls[i].MaxTokens = 4096
			}
			w.ptu().MeterDepth = time.Minute
			w.size(0.3)
		},
		"quotas with room": func(w *world) { w.standard(2_000_000, 6000) },
		"bursts with room": func(w *world) {
			w.calls = w.traffic(calls{rate: 6, clients: 8, zipf: 0.6, bursts: workload.Bursts{Factor: 6, Length: 5 * time.Second, Period: 55 * time.Second}})
			w.standard(0, 6*60*12)
		},
		"patient clients": func(w *world) { w.client.Timeout = 45 * time.Second },
		"slow region, used little": func(w *world) {
			w.fleet.Deployments[1].Service.TBTMean = 24 * time.Millisecond
			w.size(1.05)
		},
		"embeddings": func(w *world) {
			for i := range w.calls {
				w.calls[i].OutputTokens, w.calls[i].MaxTokens = 0, 0
			}
		},
	}
}
