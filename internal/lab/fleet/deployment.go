package fleet

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/models"
)

// Deployment is the configuration of one modeled deployment. The zero value
// of every field is usable; the default stands beside it. Weight, MaxInFlight
// and TokensPerSecond are a gateway's business and change nothing here.
type Deployment struct {
	spillway.Deployment
	// Service is how fast it answers; each zero field takes the kind's default.
	Service Service
	// CompletionWindow is how long a synchronous request may take before it
	// ends in 408; 0 takes 60 s, negative means no window.
	CompletionWindow time.Duration
	// DefaultOutput is the output that the service reserves when the request
	// sets no limit; 0 takes 4,096 on provisioned and 16 on standard
	// deployments. Azure does not document either.
	DefaultOutput int
	// MaxOutput is the model's own limit of output tokens; 0 takes 16,384.
	MaxOutput int
	// ChunkTokens is the mean number of tokens in one chunk of a stream. 1 is a
	// chunk for every token, as with Azure's asynchronous content filter; 0
	// takes 20, which stands for the default filter.
	ChunkTokens int
	// OutputMedian and OutputSigma describe the lognormal length of responses
	// without a requested length; 0 takes 220 tokens and 0.8.
	OutputMedian float64
	OutputSigma  float64
	// RetryRound is what the waits in refusals are rounded up to; 0 takes 1 ms
	// on provisioned and 1 s on standard deployments.
	RetryRound time.Duration
	// RPMWindow is the period over which RPM is evaluated, 1 s or 10 s at
	// Azure; 0 takes 10 s.
	RPMWindow time.Duration
	// Quota names the pool of quota that the deployment draws on: standard
	// deployments with the same name share one TPM and one RPM, which all of them
	// state. "" means a quota of its own.
	Quota string
}

// Service is the speed of a deployment's responses.
type Service struct {
	// TBTMean is the mean over requests of the time between tokens at the
	// reference load; 0 takes 9 ms provisioned, 17 ms standard.
	TBTMean time.Duration
	// TBTSigma is the log-sigma of the per-request mean; 0 takes 0.50
	// provisioned, 0.45 standard.
	TBTSigma float64
	// TTFT is the median time to first token of an empty prompt on an idle
	// deployment; 0 takes 300 ms provisioned, 800 ms standard.
	TTFT time.Duration
	// TTFTSigma is its log-sigma; 0 takes 0.6.
	TTFTSigma float64
	// PrefillTokensPerSecond is how fast prompts are read; 0 takes 25,000.
	PrefillTokensPerSecond float64
	// Load slows responses down with load. The zero value takes the measured
	// curve on provisioned deployments and none on standard ones.
	Load LoadCurve
}

// LoadCurve is the slowdown L(u) = 1 + Linear·u + Quadratic·u² at load u.
type LoadCurve struct {
	Linear, Quadratic float64
	// Reference is the load at which TBTMean holds; 0 takes 0.65.
	Reference float64
}

// At returns L(u).
func (c LoadCurve) At(u float64) float64 { return 1 + c.Linear*u + c.Quadratic*u*u }

// Relative returns L(u)/L(Reference).
func (c LoadCurve) Relative(u float64) float64 { return c.At(u) / c.At(c.Reference) }

// WithDefaults returns the deployment with every zero field replaced by the
// default that its comment states.
func (d Deployment) WithDefaults() Deployment {
	provisioned := d.Kind == spillway.Provisioned
	d.Deployment = models.Fill(d.Deployment)
	orDuration(&d.MeterDepth, time.Minute)
	orDuration(&d.CompletionWindow, time.Minute)
	orInt(&d.MaxOutput, 16_384)
	orInt(&d.ChunkTokens, defaultChunkTokens)
	orFloat(&d.OutputMedian, 220)
	orFloat(&d.OutputSigma, 0.8)
	orDuration(&d.RPMWindow, 10*time.Second)
	s := &d.Service
	orFloat(&s.TTFTSigma, 0.6)
	orFloat(&s.PrefillTokensPerSecond, 25_000)
	if provisioned {
		orInt(&d.DefaultOutput, 4_096)
		orDuration(&d.RetryRound, time.Millisecond)
		orDuration(&s.TBTMean, 9*time.Millisecond)
		orFloat(&s.TBTSigma, 0.50)
		orDuration(&s.TTFT, 300*time.Millisecond)
		if s.Load == (LoadCurve{}) {
			s.Load = LoadCurve{Linear: 0.40, Quadratic: 0.24}
		}
	} else {
		orInt(&d.DefaultOutput, 16)
		orDuration(&d.RetryRound, time.Second)
		orDuration(&s.TBTMean, 17*time.Millisecond)
		orFloat(&s.TBTSigma, 0.45)
		orDuration(&s.TTFT, 800*time.Millisecond)
	}
	orFloat(&s.Load.Reference, 0.65)
	return d
}

// drain is the provisioned capacity in input-token equivalents per second.
func (d *Deployment) drain() float64 { return float64(d.PTU) * float64(d.InputTPMPerPTU) / 60 }

func orInt(v *int, byDefault int) {
	if *v == 0 {
		*v = byDefault
	}
}

func orFloat(v *float64, byDefault float64) {
	if *v == 0 {
		*v = byDefault
	}
}

func orDuration(v *time.Duration, byDefault time.Duration) {
	if *v == 0 {
		*v = byDefault
	}
}
