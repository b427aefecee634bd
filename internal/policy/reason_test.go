package policy

import (
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/breaker"
	"github.com/spillway-ai/spillway/internal/policy/capacity"
)

var evening = time.Date(2026, 11, 28, 19, 0, 0, 0, time.UTC)

// health is a breaker that requests have reached, a second apart, the last one at evening.
// A letter is a caller whose request fails when the letter is large. ? is a failure of a
// request that failed elsewhere too, and ! one of a request that was tried nowhere else; it
// comes in the same instant as the request before it.
func health(requests string) breaker.Evidence {
	b := breaker.New(breaker.Config{})
	at := evening.Add(time.Duration(1-len(requests)) * time.Second)
	for _, r := range requests {
		who := breaker.Suspect{Caller: uint64(r | 0x20), Shape: uint64(r | 0x20)}
		p := b.Acquire(at, func() float64 { return 0.5 }, who, 1)
		switch {
		case r == '?':
			b.Doubt(at, p)
		case r == '!':
			b.Presume(evening, p)
		case r >= 'a':
			b.Succeed(at, p)
		default:
			b.Fail(at, p)
		}
		at = at.Add(time.Second)
	}
	return b.Evidence(evening)
}

// TestReason compares the reasons with what breakers, and the reports of the others, say.
func TestReason(t *testing.T) {
	broken := Failure{Class: spillway.FailureBroken, Status: 503, At: evening}
	for _, tt := range []struct {
		name string
		d    DeploymentStatus
		want string
	}{
		{"healthy", DeploymentStatus{Evidence: health("abc")}, "gets requests"},
		{"second tier", DeploymentStatus{Tier: 1}, "gets requests that tier 1 cannot serve"},
		{"full", DeploymentStatus{Utilization: 1.02}, "full: utilization 102%, spills at 97%"},
		{
			"full, and fails",
			DeploymentStatus{Utilization: 1.02, Evidence: health("abB"), LastFailure: broken},
			"full: utilization 102%, spills at 97%; 1 of 3 requests failed in the last 30s (33%), from 1 of 2 callers, the last with status 503 (broken); " +
				"not open: opens at 5 failures in a row, or 50% of at least 10 requests",
		},
		{
			"few requests",
			DeploymentStatus{Evidence: health("aAB"), LastFailure: broken},
			"gets requests: 2 of 3 requests failed in the last 30s (67%), 2 in a row, from 2 of 2 callers, the last with status 503 (broken); " +
				"not open: opens at 5 failures in a row, or 50% of at least 10 requests",
		},
		{
			"some fail",
			DeploymentStatus{Evidence: health("abcdabcDabcCaBcabc"), LastFailure: broken},
			"gets requests: 3 of 18 requests failed in the last 30s (17%), from 3 of 4 callers, the last with status 503 (broken); " +
				"not open: opens at 50%, or 5 failures in a row",
		},
		{
			"one caller's fail",
			DeploymentStatus{Evidence: health("AbAcAAbAAcAAbA"), LastFailure: broken},
			"gets requests: 9 of 14 requests failed in the last 30s (64%), from 1 of 3 callers, the last with status 503 (broken); " +
				"not open, because one caller has the most failures and the requests of others succeed; opens when theirs fail too",
		},
		{
			"at once",
			DeploymentStatus{Evidence: health("!!!!!!")},
			"gets requests: 6 of 6 requests failed in the last 30s (100%), 6 in a row, from 1 of 1 caller; " +
				"not open yet; opens at the next failure, unless all have come within a second",
		},
		{
			"requests that fail everywhere",
			DeploymentStatus{Evidence: health("???")},
			"gets requests; 3 requests that failed at other deployments too: not counted, " +
				"but 5 in a row of different callers, or 20 of one over 10s, open the breaker",
		},
		{
			"open",
			DeploymentStatus{State: "open", Evidence: health("aabABABA"), LastFailure: broken},
			"open for 0s, used only when no other deployment is left: 5 of 8 requests failed within 30s before that (63%), 5 in a row, " +
				"from 2 of 2 callers, the last with status 503 (broken); next probe in 5s",
		},
		{
			"open for a while",
			DeploymentStatus{State: "half_open", Evidence: health("AAAAA"), LastFailure: Failure{Class: spillway.FailureUnreachable, At: evening, Error: "no such host"}},
			"open for 0s, gets 1 probe at a time: 5 of 5 requests failed within 30s before that (100%), 5 in a row, " +
				"from 1 of 1 caller, the last was unreachable (no such host); next probe in 5s",
		},
		{
			"open, although the requests failed elsewhere too",
			DeploymentStatus{State: "half_open", LastFailure: broken, Evidence: breaker.Evidence{Doubtful: 5, OpenedAt: evening.Add(-7 * time.Second)}},
			"open for 7s, gets 1 probe at a time: 5 requests failed in a row, most of them elsewhere too, the last with status 503 (broken)",
		},
		{
			"ejected",
			DeploymentStatus{
				State: "open", LastFailure: Failure{Class: spillway.FailureInvalid, Status: 401, At: evening},
				Evidence: breaker.Evidence{Ejected: true, Excluded: 1, OpenedAt: evening.Add(-10 * time.Second), Until: evening.Add(20 * time.Second)},
			},
			"ejected for 10s, used only when no other deployment is left: it refused different requests that other deployments served, " +
				"the last with status 401 (invalid); next probe in 20s; kinds of requests that only others serve and are sent there: 1",
		},
		{
			"silent",
			DeploymentStatus{Silence: Silence{Since: evening.Add(-3 * time.Second), Requests: 12}},
			"gets requests; silent: 12 requests under way, none answered for 3s; while other deployments can serve them, one request per second is sent here",
		},
		{
			"silent to one caller",
			DeploymentStatus{Silence: Silence{Since: evening.Add(-3 * time.Second), Requests: 3, OneCaller: true}},
			"gets requests; silent: 3 requests of one caller under way, none answered for 3s; " +
				"while other deployments can serve them, one request of that caller per second is sent here",
		},
		{
			"paused",
			DeploymentStatus{State: "paused", Pauses: []capacity.Pause{
				{Tokens: 40000, Until: evening.Add(time.Minute), CheckAt: evening.Add(4 * time.Second), Smaller: true},
				{Until: evening.Add(time.Minute), CheckAt: evening},
				{Tokens: 200, Tier: "flex", Until: evening.Add(1500 * time.Millisecond), CheckAt: evening.Add(1500 * time.Millisecond)},
				{Tokens: 200, Until: evening.Add(2 * time.Second), OneCaller: true},
			}},
			"gets requests; 429: requests of 40000 tokens or more wait 1m0s or less, one checks in 4s, smaller ones are sent; " +
				"429: all requests wait 1m0s or less, the next one checks; " +
				"429: requests of 200 tokens or more of service tier flex wait 1.5s; " +
				"429: requests of 200 tokens or more of one caller wait 2s",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.d.SpillAt = 0.97
			if tt.d.State == "" {
				tt.d.State = "closed"
			}
			if got := tt.d.Reason(evening); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// A share that is not everything is not called 100%, nor one of something 0%.
func TestPercent(t *testing.T) {
	for _, tt := range []struct{ part, whole, want int }{{0, 0, 0}, {0, 9, 0}, {1, 1000, 1}, {1, 3, 33}, {999, 1000, 99}, {7, 7, 100}} {
		if got := percent(tt.part, tt.whole); got != float64(tt.want) {
			t.Errorf("%d of %d: %v%%, want %d%%", tt.part, tt.whole, got, tt.want)
		}
	}
}
