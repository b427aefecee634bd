package app

import (
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/policy/breaker"
	"github.com/spillway-ai/spillway/internal/policy/capacity"
)

func TestReason(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	failed := policy.Failure{Class: spillway.FailureBroken, Status: 503, At: now}
	for _, tt := range []struct {
		name string
		d    policy.DeploymentStatus
		want string
	}{
		{"healthy", policy.DeploymentStatus{State: "closed"}, "gets requests"},
		{"second tier", policy.DeploymentStatus{State: "closed", Tier: 1}, "gets requests that tier 1 cannot serve"},
		{"full", policy.DeploymentStatus{State: "closed", Utilization: 1.02}, "full: utilization 102%, spills at 97%"},
		{
			"failures of one caller",
			policy.DeploymentStatus{State: "closed", LastFailure: failed, Evidence: breaker.Evidence{Requests: 90, Failures: 12, Callers: 1}},
			"gets requests: 12 of 90 requests failed, the last with status 503 (broken); all of one caller",
		},
		{
			"requests that fail everywhere",
			policy.DeploymentStatus{State: "closed", Evidence: breaker.Evidence{Doubtful: 3}},
			"gets requests; requests that failed at other deployments too do not count: 3",
		},
		{
			"open",
			policy.DeploymentStatus{State: "open", LastFailure: failed, Evidence: breaker.Evidence{Requests: 9, Failures: 5, Callers: 2, Until: now.Add(4 * time.Second)}},
			"used only when no other deployment is left: 5 of 9 requests failed, the last with status 503 (broken); next probe in 4s",
		},
		{
			"unreachable",
			policy.DeploymentStatus{
				State: "half_open", LastFailure: policy.Failure{Class: spillway.FailureUnreachable, At: now},
				Evidence: breaker.Evidence{Requests: 5, Failures: 5},
			},
			"one probe at a time: 5 of 5 requests failed, the last was unreachable",
		},
		{
			"unreachable, and why",
			policy.DeploymentStatus{
				State: "half_open", LastFailure: policy.Failure{Class: spillway.FailureUnreachable, At: now, Error: "no such host"},
				Evidence: breaker.Evidence{Requests: 5, Failures: 5},
			},
			"one probe at a time: 5 of 5 requests failed, the last was unreachable (no such host)",
		},
		{
			"ejected",
			policy.DeploymentStatus{
				State: "open", LastFailure: policy.Failure{Class: spillway.FailureInvalid, Status: 401, At: now},
				Evidence: breaker.Evidence{Ejected: true, Excluded: 1, Until: now.Add(30 * time.Second)},
			},
			"used only when no other deployment is left: it refused different requests that other deployments served, the last with status 401 (invalid); next probe in 30s; " +
				"kinds of requests that only others serve and are sent there: 1",
		},
		{
			"open although the requests failed elsewhere too",
			policy.DeploymentStatus{State: "half_open", LastFailure: failed, Evidence: breaker.Evidence{Doubtful: 5, Callers: 2}},
			"one probe at a time: 5 requests failed, most of them elsewhere too, the last with status 503 (broken), and none succeeded",
		},
		{
			"paused",
			policy.DeploymentStatus{State: "paused", Pauses: []capacity.Pause{
				{Tokens: 40000, Until: now.Add(time.Minute), Smaller: true},
				{Tokens: 200, Tier: "flex", Until: now.Add(1500 * time.Millisecond)},
			}},
			"gets requests; 429: requests of 40000 tokens or more wait 1m0s, smaller ones are sent; " +
				"429: requests of 200 tokens or more of service tier flex wait 1.5s",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.d.SpillAt = 0.97
			if got := reason(now, &tt.d); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
