// Package route picks the deployment for an attempt: filter what cannot take
// it, keep the first tier that has somebody left, and choose among those by
// the pool's strategy. Tiers are filled to the edge and never spread over: the
// second tier gets a request only when the first has nobody for it.
//
// Affinity is weighted rendezvous hashing: each deployment scores
// −weight/ln(hash of the prompt's prefix and the deployment), and the highest
// score that is usable wins, so a blocked favourite moves only its own share.
package route

import (
	"math"

	spillway "github.com/spillway-ai/spillway"
)

// DefaultSpillAt is the utilization at which a tier counts as full.
const DefaultSpillAt = 0.97

// Strategy chooses within a tier.
type Strategy uint8

const (
	// Weighted spreads by weight.
	Weighted Strategy = iota
	// LeastOutstanding takes the fewest outstanding tokens per weight.
	LeastOutstanding
	// Affinity keeps prompts with one prefix at one deployment, whose prompt
	// cache then knows it; requests without a prefix go as LeastOutstanding.
	Affinity
)

// String returns the name used in configuration and records.
func (s Strategy) String() string {
	switch s {
	case Weighted:
		return "weighted"
	case LeastOutstanding:
		return "least_outstanding"
	case Affinity:
		return "affinity"
	}
	return "unknown"
}

// Config is how to pick. The zero value takes the defaults.
type Config struct {
	Strategy Strategy
	SpillAt  float64 // 0 takes 0.97
	// AllowTried picks among candidates that this flight has tried when
	// nothing else is left.
	AllowTried bool
}

func (c Config) spillAt() float64 {
	if c.SpillAt <= 0 {
		return DefaultSpillAt
	}
	return c.SpillAt
}

// Candidate is a deployment as one attempt sees it. A pinned request has one
// candidate.
type Candidate struct {
	Index int    // the caller's own; returned in Choice
	Key   uint64 // lasting identity for affinity, such as a hash of the name; 0 takes Index
	Tier  int    // lower is earlier

	Weight      int     // share within the tier; below 1 reads as 1
	Outstanding int     // tokens reserved by attempts under way
	Utilization float64 // before this attempt, 0–1 and above
	InFlight    int
	MaxInFlight int // 0 means not limited

	Blocked spillway.SpillReason // why it cannot be used now; SpillNone when it can
	// Tried says that an earlier attempt of this flight failed there, and
	// Failed why; SpillNone reads as SpillBroken.
	Tried  bool
	Failed spillway.SpillReason
}

// Choice is where an attempt goes.
type Choice struct {
	Index int // of the candidate; meaningless unless OK
	Tier  int
	// Reason is why the first tier was not used: of its candidates' reasons
	// the one that says most. SpillNone when it was used, or had nobody.
	Reason spillway.SpillReason
	OK     bool
}

// Pick chooses among candidates, in any order, for a request with this prompt
// prefix (0 for none) and rnd in [0, 1). SpillAt leaves headroom only while
// there is a tier to spill to: when nobody is below it, whoever stays
// below 100% is used after all. It does not allocate.
func Pick(cands []Candidate, cfg Config, affinity uint64, rnd float64) Choice {
	if len(cands) == 0 {
		return Choice{}
	}
	f := filter{first: math.MaxInt, limit: cfg.spillAt()}
	for i := range cands {
		f.first = min(f.first, cands[i].Tier)
	}
	ok := f.bestTier(cands)
	if !ok && f.limit < 1 {
		f.limit = 1
		ok = f.bestTier(cands)
	}
	if !ok && cfg.AllowTried {
		f.tried = true
		ok = f.bestTier(cands)
	}
	var choice Choice
	if ok {
		c := &cands[f.choose(cands, cfg.Strategy, affinity, rnd)]
		choice = Choice{Index: c.Index, Tier: c.Tier, OK: true}
	}
	if !ok || choice.Tier != f.first {
		f.limit, f.tried = cfg.spillAt(), false
		choice.Reason = f.firstTierReason(cands)
	}
	return choice
}

// filter is what one pick considers.
type filter struct {
	first int        // tier
	tier  int        // the tier to choose in
	limit float64    // utilization that is still usable
	tried bool       // tried candidates count
	least *Candidate // unless nil, only those as lightly loaded as this
}

// reason is why c cannot be used, or SpillNone.
func (f *filter) reason(c *Candidate) spillway.SpillReason {
	switch {
	case c.Tried && !f.tried:
		if c.Failed == spillway.SpillNone {
			return spillway.SpillBroken
		}
		return c.Failed
	case c.Blocked != spillway.SpillNone:
		return c.Blocked
	case c.Utilization >= f.limit, c.MaxInFlight > 0 && c.InFlight >= c.MaxInFlight:
		return spillway.SpillUtilization
	}
	return spillway.SpillNone
}

// usable reports whether c is in the chosen tier and can be used.
func (f *filter) usable(c *Candidate) bool {
	return c.Tier == f.tier && f.reason(c) == spillway.SpillNone &&
		(f.least == nil || compareLoad(c, f.least) == 0)
}

// bestTier finds the first tier with a usable candidate.
func (f *filter) bestTier(cands []Candidate) bool {
	best, ok := math.MaxInt, false
	for i := range cands {
		if c := &cands[i]; c.Tier <= best && f.reason(c) == spillway.SpillNone {
			best, ok = c.Tier, true
		}
	}
	f.tier = best
	return ok
}

// firstTierReason is the most telling reason in the first tier.
func (f *filter) firstTierReason(cands []Candidate) spillway.SpillReason {
	most := spillway.SpillNone
	for i := range cands {
		if c := &cands[i]; c.Tier == f.first {
			if r := f.reason(c); telling(r) > telling(most) {
				most = r
			}
		}
	}
	return most
}

// telling ranks reasons: what upstream said or did before what we predict.
func telling(r spillway.SpillReason) int {
	switch r {
	case spillway.SpillRefused:
		return 6
	case spillway.SpillSlow:
		return 5
	case spillway.SpillBroken:
		return 4
	case spillway.SpillPaused:
		return 3
	case spillway.SpillUtilization:
		return 2
	case spillway.SpillQueue:
		return 1
	}
	return 0
}
