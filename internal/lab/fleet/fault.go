package fleet

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// FaultKind is what goes wrong.
type FaultKind uint8

// The kinds of fault. Each has its own file.
const (
	FaultStatus408 FaultKind = iota
	FaultStatus429
	FaultStatus5xx
	FaultStallBeforeHeaders
	FaultStallAfterHeaders
	FaultReset
	FaultSlow
	FaultCutStream
	FaultMalformedStream
	FaultMissingUsage
	FaultAbsurdRetryAfter
	faultKindsEnd = iota
)

// effect is what a kind of fault does to a request that it strikes.
type effect interface {
	// strike changes the verdict: a status other than 200 refuses the request
	// before any capacity is charged, marks on the plan shape its response.
	strike(f *Fault, d *Deployment, v *Verdict)
}

// kinds is constant.
var kinds = [faultKindsEnd]struct {
	name   string
	effect effect
}{
	FaultStatus408:          {"status_408", status408{}},
	FaultStatus429:          {"status_429", status429{}},
	FaultStatus5xx:          {"status_5xx", status5xx{}},
	FaultStallBeforeHeaders: {"stall_before_headers", stallBeforeHeaders{}},
	FaultStallAfterHeaders:  {"stall_after_headers", stallAfterHeaders{}},
	FaultReset:              {"reset", reset{}},
	FaultSlow:               {"slow", slow{}},
	FaultCutStream:          {"cut_stream", cutStream{}},
	FaultMalformedStream:    {"malformed_stream", malformedStream{}},
	FaultMissingUsage:       {"missing_usage", missingUsage{}},
	FaultAbsurdRetryAfter:   {"absurd_retry_after", absurdRetryAfter{}},
}

// String returns the name used in configuration.
func (k FaultKind) String() string {
	if int(k) < len(kinds) {
		return kinds[k].name
	}
	return "unknown"
}

// ParseFaultKind is the inverse of FaultKind.String.
func ParseFaultKind(name string) (FaultKind, error) {
	for i := range kinds {
		if kinds[i].name == name {
			return FaultKind(i), nil
		}
	}
	return 0, fmt.Errorf("unknown fault kind %q", name)
}

// Fault is one entry of a schedule.
type Fault struct {
	Kind FaultKind
	// Deployment and Region select whom it strikes; "" means all.
	Deployment, Region string
	// ServiceTier selects requests that are served with this tier; "" means all.
	ServiceTier string
	// From and Until bound it, counted from the start of the fleet; an Until
	// of 0 means no end.
	From, Until time.Duration
	// Probability that an offered request is struck; 0 is 1.
	Probability float64

	// Status of status_5xx; 0 takes 500.
	Status int
	// After is how long a stall lasts (0 means for ever), or how long a 408
	// (0 takes the completion window) or 5xx takes to come.
	After time.Duration
	// AtToken is how many tokens have been generated before a stall, reset, cut
	// or malformed chunk. A reset at 0 comes instead of the headers.
	AtToken int
	// Factor of slow; 0 takes 5.
	Factor float64
	// RetryAfter of status_429 (0 takes 1 s) and absurd_retry_after (0 takes
	// one day).
	RetryAfter time.Duration
}

// selects reports whether the fault is in force for the deployment and tier.
func (f *Fault) selects(d *Deployment, tier string, since time.Duration) bool {
	return (f.Deployment == "" || f.Deployment == d.Name) &&
		(f.Region == "" || f.Region == d.Region) &&
		(f.ServiceTier == "" || f.ServiceTier == tier) &&
		since >= f.From && (f.Until == 0 || since < f.Until)
}

// strike lets the schedule's faults change the verdict, in order, until one
// refuses the request.
func (s *Server) strike(now time.Time, rng *rand.Rand, tier string, v *Verdict) {
	for i := range s.faults {
		f := &s.faults[i]
		if int(f.Kind) >= len(kinds) || !f.selects(&s.d, tier, now.Sub(s.start)) {
			continue
		}
		if f.Probability > 0 && f.Probability < 1 && rng.Float64() >= f.Probability {
			continue
		}
		kinds[f.Kind].effect.strike(f, &s.d, v)
		if v.Status != 200 {
			return
		}
	}
}
