package diagnose

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// Profile is how a deployment has performed: enough to replay traffic on a
// model of it.
type Profile struct {
	Name, Pool, Model, Region string
	Kind                      spillway.Kind
	Tier                      int
	// Known is the deployment as configured; zero where no configuration names
	// it.
	Known spillway.Deployment
	// FirstMedian is the time to the first token, PaceMedian that between
	// tokens, over complete responses; the sigmas are of their logarithms. Zero
	// is unknown.
	FirstMedian, PaceMedian time.Duration
	FirstSigma, PaceSigma   float64
	// WorkPerSecond is the capacity in input-token equivalents: the work done
	// while the deployment refused requests, or else 1.5 times the busiest
	// minute's.
	WorkPerSecond float64
	// TokensPerMinute is the tokens admitted while the deployment refused
	// requests, reserved ones included; 0 where it did not refuse.
	TokensPerMinute float64
}
