package whatif

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/workload"
)

// Oracle returns how many of the calls the fleet could at most serve in full
// within the objective: an upper bound on the goodput of any policy.
//
// It knows the length of every response and the speed that each deployment would
// have at each of the client's tries, and does not need to wait or to guess. A
// call counts when some deployment could complete some try in time while idle,
// which is when it is fastest. Of those, each minute of the workload takes the
// cheapest that the fleet's capacity of that minute, of the time that their
// windows still run, and of the full depth of the meters could pay for, at the
// lowest price that any deployment asks.
func Oracle(cfg Config, calls workload.Source) (int, error) {
	o, err := newOracle(cfg)
	if err != nil {
		return 0, err
	}
	for index := uint64(1); ; index++ {
		call, err := calls.Next()
		switch {
		case errors.Is(err, io.EOF):
			o.turn()
			return o.count, nil
		case err != nil:
			return 0, fmt.Errorf("read the workload: %w", err)
		}
		o.add(index, &call)
	}
}

// oracleSlot is the span of calls that share a span of capacity.
const oracleSlot = time.Minute

// oracle counts slot by slot.
type oracle struct {
	cfg      Config
	servers  []*fleet.Server // without limits, and so without load
	capacity float64         // of a slot: input-token equivalents, or tokens
	slot     time.Duration   // the current one's end
	costs    []float64       // of its feasible calls
	count    int
}

func newOracle(cfg Config) (*oracle, error) {
	if cfg.Start.IsZero() {
		cfg.Start = epoch
	}
	idle := cfg.Fleet
	idle.Deployments = slices.Clone(idle.Deployments)
	o := &oracle{cfg: cfg, slot: oracleSlot}
	for i := range idle.Deployments {
		d := &idle.Deployments[i]
		o.capacity += capacityOf(d.WithDefaults(), cfg.Objective.Window)
		if d.Kind == spillway.Provisioned {
			d.PTU = math.MaxInt32
		}
		d.TPM, d.RPM = 0, 0
	}
	f, err := fleet.New(idle, cfg.Start)
	if err != nil {
		return nil, err
	}
	for _, name := range f.Names() {
		o.servers = append(o.servers, f.Server(name))
	}
	return o, nil
}

// capacityOf is what a deployment could at most be charged for the calls of
// one slot.
func capacityOf(d fleet.Deployment, window time.Duration) float64 {
	span := oracleSlot + window
	switch {
	case d.Kind == spillway.Provisioned:
		return float64(d.PTU) * float64(d.InputTPMPerPTU) * (span + d.MeterDepth).Minutes()
	case d.TPM > 0:
		return float64(d.TPM) * math.Ceil(span.Minutes()+1)
	}
	return math.Inf(1)
}

// add considers a call.
func (o *oracle) add(index uint64, call *workload.Call) {
	for call.At >= o.slot {
		o.turn()
		o.slot += oracleSlot
	}
	cost := math.Inf(1)
	for try := 1; try <= 1+o.cfg.Client.Retries && math.IsInf(cost, 1); try++ {
		for _, sv := range o.servers {
			cost = min(cost, o.cost(sv, call, callSeed{index, try}.attempt(1)))
		}
	}
	if !math.IsInf(cost, 1) {
		o.costs = append(o.costs, cost)
	}
}

// cost is what a deployment would charge for a try of a call, infinity where
// it does not complete it.
func (o *oracle) cost(sv *fleet.Server, call *workload.Call, seed uint64) float64 {
	now := o.cfg.Start.Add(call.At)
	v := sv.Offer(now, fleet.Ask{
		PromptTokens: call.PromptTokens, Prefix: call.Prefix, MaxTokens: call.MaxTokens, OutputTokens: call.OutputTokens,
		Stream: true, Seed: seed,
	})
	if v.Status != 200 {
		return math.Inf(1)
	}
	p := &v.Plan
	sv.Complete(now, p.ID, 0)
	if !o.completes(call, p) {
		return math.Inf(1)
	}
	if d := sv.Deployment(); d.Kind == spillway.Provisioned {
		return float64(call.PromptTokens-p.CachedTokens) + d.CachedRatio*float64(p.CachedTokens) + d.OutputRatio*float64(p.OutputTokens)
	}
	return float64(call.PromptTokens + p.OutputTokens)
}

// completes reports whether a response satisfies every condition.
func (o *oracle) completes(call *workload.Call, p *fleet.Plan) bool {
	obj := &o.cfg.Objective
	if at, breaks := p.BreakAt(); breaks && at <= p.End {
		return false
	}
	return (obj.Window <= 0 || call.Stream || p.End <= obj.Window) &&
		(obj.TTFT <= 0 || p.FirstChunk() <= obj.TTFT) &&
		(obj.TBT <= 0 || p.OutputTokens < 2 || p.TBT <= obj.TBT)
}

// turn counts the slot's calls, the cheapest first, and begins the next slot.
func (o *oracle) turn() {
	if !math.IsInf(o.capacity, 1) {
		slices.Sort(o.costs)
	}
	left := o.capacity
	for _, cost := range o.costs {
		if left -= cost; left < 0 {
			break
		}
		o.count++
	}
	o.costs = o.costs[:0]
}
