package app

import (
	"net/http"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy"
)

// State is the answer of /admin/state: what the gateway thinks of its deployments.
type State struct {
	Time     time.Time   `json:"time"`
	Status   string      `json:"status"` // ready or draining
	InFlight int         `json:"in_flight"`
	Policy   any         `json:"policy"` // reloads of the configuration, and the last error
	Pools    []PoolState `json:"pools"`
}

// PoolState is one pool of a State.
type PoolState struct {
	Name        string            `json:"name"`
	Waiting     int               `json:"waiting"` // requests that wait for capacity
	Deployments []DeploymentState `json:"deployments"`
}

// DeploymentState is one deployment of a pool, in tier order.
type DeploymentState struct {
	Name   string `json:"name"`
	Region string `json:"region,omitempty"`
	Kind   string `json:"kind"`
	Tier   int    `json:"tier"`
	State  string `json:"state"` // closed, open, half_open or paused
	// Reason is why it gets requests or not, as a sentence.
	Reason            string        `json:"reason"`
	Utilization       float64       `json:"utilization"` // by our meter; 1 is full
	InFlight          int           `json:"in_flight"`
	OutstandingTokens float64       `json:"outstanding_tokens"`
	Evidence          EvidenceState `json:"evidence"`
	Silence           *SilenceState `json:"silence,omitempty"`
	Pauses            []PauseState  `json:"pauses,omitempty"`
	LastFailure       *FailureState `json:"last_failure,omitempty"`
	TTFT              LatencyState  `json:"ttft_ms"`
	TBT               LatencyState  `json:"tbt_ms"`
}

// EvidenceState is what the breaker's state rests on.
type EvidenceState struct {
	WindowSeconds    float64    `json:"window_s"` // of the next four
	Requests         int        `json:"requests"`
	Failures         int        `json:"failures"`
	Callers          int        `json:"callers"`
	FailedCallers    int        `json:"failed_callers"`
	Consecutive      int        `json:"consecutive_failures"`
	FailingCallers   int        `json:"failing_callers"`
	FailingShapes    int        `json:"failing_shapes"`
	FailedElsewhere  int        `json:"failed_elsewhere_too"`
	ExcludedRequests int        `json:"excluded_kinds_of_requests"`
	OpenedAt         *time.Time `json:"opened_at,omitempty"`
	NextProbeAt      *time.Time `json:"next_probe_at,omitempty"`
	LastSuccessAt    *time.Time `json:"last_success_at,omitempty"`
}

// PauseState is a refusal for lack of capacity that is in force.
type PauseState struct {
	ServiceTier string    `json:"service_tier,omitempty"`
	MinTokens   int       `json:"min_tokens"` // of the requests that wait
	Until       time.Time `json:"until"`
	CheckAt     time.Time `json:"next_check_at"` // when one of them finds out whether it still has to
	Smaller     bool      `json:"smaller_requests_sent"`
	OneCaller   bool      `json:"one_caller"` // only one caller's requests wait
}

// SilenceState is a silence that is longer than is usual for the deployment.
type SilenceState struct {
	Since    time.Time `json:"since"`
	Requests int       `json:"requests"` // under way without an answer
	// OneCaller says that all are of one caller, so that others' requests are sent.
	OneCaller bool `json:"one_caller"`
}

// FailureState is the last failure.
type FailureState struct {
	Class  string    `json:"class"`
	Status int       `json:"status,omitempty"`
	At     time.Time `json:"at"`
	Error  string    `json:"error,omitempty"` // of a failure without a status
}

// LatencyState are quantiles, in milliseconds.
type LatencyState struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// serveState serves the state of all deployments.
func (a *App) serveState(w http.ResponseWriter, _ *http.Request) {
	now := time.Now()
	status, _ := a.readiness()
	s := State{Time: now.UTC(), Status: status, InFlight: a.gateway.InFlight(), Policy: a.reloads.state(), Pools: []PoolState{}}
	for _, p := range a.gateway.Status(nil) {
		pool := PoolState{Name: p.Name, Waiting: p.Waiting}
		for i := range p.Deployments {
			pool.Deployments = append(pool.Deployments, deploymentState(now, &p.Deployments[i]))
		}
		s.Pools = append(s.Pools, pool)
	}
	writeJSON(w, http.StatusOK, s)
}

func deploymentState(now time.Time, d *policy.DeploymentStatus) DeploymentState {
	e := &d.Evidence
	s := DeploymentState{
		Name: d.Name, Region: d.Region, Kind: d.Kind.String(), Tier: d.Tier, State: d.State, Reason: d.Reason(now),
		Utilization: d.Utilization, InFlight: d.InFlight, OutstandingTokens: d.OutstandingTokens,
		Evidence: EvidenceState{
			WindowSeconds: e.Limits.Window.Seconds(), Requests: e.Requests, Failures: e.Failures,
			Callers: e.AllCallers, FailedCallers: e.FailedCallers, Consecutive: e.Consecutive, FailingCallers: e.Callers,
			FailingShapes: e.Shapes, FailedElsewhere: e.Doubtful, ExcludedRequests: e.Excluded,
			OpenedAt: utc(e.OpenedAt), NextProbeAt: utc(e.Until), LastSuccessAt: utc(e.SucceededAt),
		},
		TTFT: LatencyState{millis(d.TTFTP50), millis(d.TTFTP99)},
		TBT:  LatencyState{millis(d.TBTP50), millis(d.TBTP99)},
	}
	if q := d.Silence; q.Requests > 0 {
		s.Silence = &SilenceState{q.Since.UTC(), q.Requests, q.OneCaller}
	}
	for _, p := range d.Pauses {
		s.Pauses = append(s.Pauses, PauseState{p.Tier, p.Tokens, p.Until.UTC(), p.CheckAt.UTC(), p.Smaller, p.OneCaller})
	}
	if f := d.LastFailure; f.Class != spillway.FailureNone {
		s.LastFailure = &FailureState{f.Class.String(), f.Status, f.At.UTC(), f.Error}
	}
	return s
}

// utc returns an instant for JSON; nil for none.
func utc(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
