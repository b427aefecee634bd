package app

import (
	"fmt"
	"net/http"
	"strings"
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
	Pauses            []PauseState  `json:"pauses,omitempty"`
	LastFailure       *FailureState `json:"last_failure,omitempty"`
	TTFT              LatencyState  `json:"ttft_ms"`
	TBT               LatencyState  `json:"tbt_ms"`
}

// EvidenceState is what the breaker's state rests on.
type EvidenceState struct {
	Requests         int        `json:"requests"` // of the breaker's window
	Failures         int        `json:"failures"`
	Consecutive      int        `json:"consecutive_failures"`
	FailingCallers   int        `json:"failing_callers"`
	FailingShapes    int        `json:"failing_shapes"`
	FailedElsewhere  int        `json:"failed_elsewhere_too"`
	ExcludedRequests int        `json:"excluded_kinds_of_requests"`
	NextProbeAt      *time.Time `json:"next_probe_at,omitempty"`
	LastSuccessAt    *time.Time `json:"last_success_at,omitempty"`
}

// PauseState is a refusal for lack of capacity that is in force.
type PauseState struct {
	ServiceTier string    `json:"service_tier,omitempty"`
	MinTokens   int       `json:"min_tokens"` // of the requests that wait
	Until       time.Time `json:"until"`
	Smaller     bool      `json:"smaller_requests_sent"`
	OneCaller   bool      `json:"one_caller"` // only one caller's requests wait
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
		Name: d.Name, Region: d.Region, Kind: d.Kind.String(), Tier: d.Tier, State: d.State, Reason: reason(now, d),
		Utilization: d.Utilization, InFlight: d.InFlight, OutstandingTokens: d.OutstandingTokens,
		Evidence: EvidenceState{
			Requests: e.Requests, Failures: e.Failures, Consecutive: e.Consecutive, FailingCallers: e.Callers,
			FailingShapes: e.Shapes, FailedElsewhere: e.Doubtful, ExcludedRequests: e.Excluded,
			NextProbeAt: utc(e.Until), LastSuccessAt: utc(e.SucceededAt),
		},
		TTFT: LatencyState{millis(d.TTFTP50), millis(d.TTFTP99)},
		TBT:  LatencyState{millis(d.TBTP50), millis(d.TBTP99)},
	}
	for _, p := range d.Pauses {
		s.Pauses = append(s.Pauses, PauseState{p.Tier, p.Tokens, p.Until.UTC(), p.Smaller, p.OneCaller})
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

// reason says why a deployment gets requests or not, and what that rests on.
func reason(now time.Time, d *policy.DeploymentStatus) string {
	e := &d.Evidence
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	failed := fmt.Sprintf("%d of %d requests failed%s", e.Failures, e.Requests, lastFailure(d))
	doubtful := e.Doubtful
	if doubtful > e.Failures && d.State != "closed" {
		failed = fmt.Sprintf("%d requests failed, most of them elsewhere too%s, and none succeeded", doubtful+e.Failures, lastFailure(d))
		doubtful = 0
	}
	switch {
	case e.Ejected:
		add("used only when no other deployment is left: it refused different requests that other deployments served%s", lastFailure(d))
	case d.State == "open":
		add("used only when no other deployment is left: %s", failed)
	case d.State == "half_open":
		add("one probe at a time: %s", failed)
	case d.Utilization >= d.SpillAt:
		add("full: utilization %.0f%%, spills at %.0f%%", 100*d.Utilization, 100*d.SpillAt)
	case e.Failures > 0:
		add("gets requests: %s", failed)
	case d.Tier > 0:
		add("gets requests that tier %d cannot serve", d.Tier)
	default:
		add("gets requests")
	}
	if e.Failures > 0 && e.Callers == 1 {
		add("all of one caller")
	}
	if wait := e.Until.Sub(now); wait > 0 {
		add("next probe in %v", wait.Round(time.Second/10))
	}
	if doubtful > 0 {
		add("requests that failed at other deployments too do not count: %d", doubtful)
	}
	if e.Excluded > 0 {
		add("kinds of requests that only others serve and are sent there: %d", e.Excluded)
	}
	for _, p := range d.Pauses {
		text := "429: all requests"
		if p.Tokens > 0 {
			text = fmt.Sprintf("429: requests of %d tokens or more", p.Tokens)
		}
		if p.Tier != "" {
			text += " of service tier " + p.Tier
		}
		if p.OneCaller {
			text += " of one caller"
		}
		text += fmt.Sprintf(" wait %v", p.Until.Sub(now).Round(time.Second/10))
		if p.Smaller {
			text += ", smaller ones are sent"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

// lastFailure describes the last failure, for the middle of a sentence.
func lastFailure(d *policy.DeploymentStatus) string {
	f := d.LastFailure
	switch {
	case f.Class == spillway.FailureNone:
		return ""
	case f.Status > 0:
		return fmt.Sprintf(", the last with status %d (%s)", f.Status, f.Class)
	}
	if f.Error != "" {
		return fmt.Sprintf(", the last was %s (%s)", f.Class, f.Error)
	}
	return fmt.Sprintf(", the last was %s", f.Class)
}
