package policy

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/models"
	"github.com/spillway-ai/spillway/internal/policy/breaker"
	"github.com/spillway-ai/spillway/internal/policy/capacity"
	"github.com/spillway-ai/spillway/internal/policy/retry"
	"github.com/spillway-ai/spillway/internal/policy/route"
	"github.com/spillway-ai/spillway/internal/policy/speed"
)

// maxDeployments bounds a pool, so that a set of them fits one word.
const maxDeployments = 64

// deployment is one deployment of the pool with its meter, its health and what
// has been learned about it.
type deployment struct {
	spillway.Deployment
	key      uint64 // hash of the name, for affinity
	tier     int
	meter    *capacity.Meter
	speed    *speed.Model
	breaker  *breaker.Breaker
	inFlight int
	silence  silence
	sentAt   time.Time // when it got the last attempt

	speedConfig   speed.Config
	breakerConfig breaker.Config

	reported   breaker.State // last returned by Changed
	refusals   int           // without a wait, since it last served a request
	lastFailed spillway.FailureClass
	lastStatus int // of that failure
	failedAt   time.Time
}

// newDeployment returns a deployment that keeps what is known of it, if known is
// not nil. A known one is changed in place: attempts under way refer to it.
func newDeployment(cfg Config, d spillway.Deployment, known *deployment) *deployment {
	d = models.Fill(d)
	if known != nil {
		if capacityOf(known.Deployment) != capacityOf(d) {
			known.meter = capacity.NewMeter(d)
		}
		if known.speedConfig != cfg.Speed || known.TokensPerSecond != d.TokensPerSecond || known.Model != d.Model {
			known.speed, known.speedConfig = speed.New(cfg.Speed, d.TokensPerSecond), cfg.Speed
		}
		if known.breakerConfig != cfg.Breaker {
			known.breaker, known.breakerConfig = breaker.New(cfg.Breaker), cfg.Breaker
		}
		known.Deployment = d
		return known
	}
	h := fnv.New64a()
	h.Write([]byte(d.Name))
	return &deployment{
		Deployment: d,
		key:        h.Sum64(),
		meter:      capacity.NewMeter(d),
		speed:      speed.New(cfg.Speed, d.TokensPerSecond),
		breaker:    breaker.New(cfg.Breaker),

		speedConfig:   cfg.Speed,
		breakerConfig: cfg.Breaker,
	}
}

// capacityOf is the part of a deployment that its meter depends on.
func capacityOf(d spillway.Deployment) spillway.Deployment {
	return spillway.Deployment{
		Kind: d.Kind, PTU: d.PTU, InputTPMPerPTU: d.InputTPMPerPTU, OutputRatio: d.OutputRatio, CachedRatio: d.CachedRatio,
		MeterDepth: d.MeterDepth, TPM: d.TPM, RPM: d.RPM,
	}
}

// candidate returns the deployment as a pick sees it.
func (d *deployment) candidate(now time.Time, index int) route.Candidate {
	return route.Candidate{
		Index:       index,
		Key:         d.key,
		Tier:        d.tier,
		Weight:      d.Weight,
		Outstanding: int(d.meter.Outstanding()),
		Utilization: d.meter.Level(now),
		InFlight:    d.inFlight,
		MaxInFlight: d.MaxInFlight,
	}
}

// readyAt returns when the deployment is expected to accept an attempt with that
// demand. One with too many attempts in flight accepts one when another ends, whose
// time is not known: then it is busyPoll from now.
func (d *deployment) readyAt(now time.Time, demand capacity.Demand) time.Time {
	at := d.breaker.ReadyAt(now)
	if t := d.meter.ReadyAt(now, 1); t.After(at) {
		at = t
	}
	if t := d.meter.PausedUntil(now, demand); t.After(at) {
		at = t
	}
	if !at.After(now) && d.MaxInFlight > 0 && d.inFlight >= d.MaxInFlight {
		at = now.Add(busyPoll)
	}
	return at
}

// refusedFor returns how long a refusal pauses the deployment. Without a wait that
// upstream asks for, the pause doubles while nothing is served, up to 16 s.
func (d *deployment) refusedFor(retryAfter time.Duration) time.Duration {
	wait := retry.ClampRetryAfter(retryAfter)
	if retryAfter < 0 {
		wait <<= min(d.refusals, 4)
		d.refusals++
	}
	return wait
}

// busyPoll is how often a flight checks again when it is not known when a
// deployment will be ready. An attempt that ends wakes the flight sooner.
const busyPoll = time.Second

// DeploymentStatus is one deployment as its pool sees it now.
type DeploymentStatus struct {
	Pool, Name, Region string
	Kind               spillway.Kind
	Tier               int
	State              string // closed, open, half_open or paused
	Evidence           breaker.Evidence
	Silence            Silence
	Pauses             []capacity.Pause // for lack of capacity
	LastFailure        Failure
	Utilization        float64 // by our meter; 1 is full
	SpillAt            float64 // from which requests go elsewhere
	InFlight           int
	OutstandingTokens  float64
	TTFTP50, TTFTP99   time.Duration
	TBTP50, TBTP99     time.Duration
}

// Silence says that a deployment has not answered for longer than is usual, and gets
// fewer requests while others can serve them; the zero value means that it has.
type Silence struct {
	Since    time.Time // when the first request was sent that it has not answered
	Requests int       // sent since then and under way
	// OneCaller says that all are of one caller, so that others' requests are sent.
	OneCaller bool
}

// Failure is the last failure of a deployment; the zero value means that there was
// none.
type Failure struct {
	Class  spillway.FailureClass
	Status int
	At     time.Time
	// Error is the text of a failure without a status. The driver sets it.
	Error string
}

// Change is a change of a deployment's breaker, and the deployment's last failure.
type Change struct {
	Deployment    string
	Open, Probing bool // both false: closed
	Class         spillway.FailureClass
	Status        int
}

// Changed returns a change of health that it has not returned before, if there is
// one. Drivers call it after an event, to log it.
func (e *Engine) Changed(now time.Time) (Change, bool) {
	for _, d := range e.deployments {
		state := d.breaker.State(now)
		if state == d.reported {
			continue
		}
		d.reported = state
		return Change{d.Name, state == breaker.Open, state == breaker.HalfOpen, d.lastFailed, d.lastStatus}, true
	}
	return Change{}, false
}

// Status appends the state of every deployment, in tier order.
func (e *Engine) Status(now time.Time, dst []DeploymentStatus) []DeploymentStatus {
	for _, d := range e.deployments {
		level := d.meter.Level(now)
		state, pauses := d.breaker.State(now).String(), d.meter.Pauses(now, nil)
		waits := func(p capacity.Pause) bool { return p.Tier == "" && !p.OneCaller }
		if d.breaker.Ready(now) && slices.ContainsFunc(pauses, waits) {
			state = "paused"
		}
		dst = append(dst, DeploymentStatus{
			Pool: e.cfg.Pool.Name, Name: d.Name, Region: d.Region, Kind: d.Kind, Tier: d.tier,
			State: state, Evidence: d.breaker.Evidence(now), Silence: d.silence.status(now, d), Pauses: pauses,
			LastFailure: Failure{Class: d.lastFailed, Status: d.lastStatus, At: d.failedAt},
			Utilization: level, SpillAt: cmp.Or(e.cfg.Pool.SpillAt, route.DefaultSpillAt),
			InFlight: d.inFlight, OutstandingTokens: d.meter.Outstanding(),
			TTFTP50: d.speed.TTFT(now, level, 0.5), TTFTP99: d.speed.TTFT(now, level, 0.99),
			TBTP50: d.speed.TBT(now, level, 0.5), TBTP99: d.speed.TBT(now, level, 0.99),
		})
	}
	return dst
}
