package whatif

import (
	"fmt"
	"slices"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/report"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/policy"
)

// TestClientRetries is about one call: which tries its client makes, when, and
// what each comes to.
func TestClientRetries(t *testing.T) {
	sync := workload.Call{Model: model, PromptTokens: 100, OutputTokens: 1}
	stream, long := sync, sync
	stream.Stream, stream.OutputTokens = true, 100
	long.OutputTokens = 10_000
	sdk := fleet.Client{Retries: 2}
	early := func(f fleet.Fault) []fleet.Fault {
		if f.Until == 0 {
			f.Until = time.Millisecond
		}
		return []fleet.Fault{f}
	}
	ms := time.Millisecond
	for _, tc := range []struct {
		name   string
		call   workload.Call
		faults []fleet.Fault
		sdk    fleet.Client
		window time.Duration // of the class; 0 calls the deployment directly
		want   []string
	}{
		{"direct ok", sync, nil, sdk, 0, []string{"0s 200 ok"}},
		{"direct window", long, nil, fleet.Client{}, 0, []string{"0s 408 timeout"}},
		{"direct 408 then ok", sync, early(fleet.Fault{Kind: fleet.FaultStatus408, After: 300 * ms}), sdk, 0, []string{
			"0s 408 timeout", "800ms 200 ok",
		}},
		{"408 is final", sync, early(fleet.Fault{Kind: fleet.FaultStatus408, After: 300 * ms}), sdk, time.Minute, []string{"0s 408 timeout"}},
		{"direct retry-after", sync, early(fleet.Fault{Kind: fleet.FaultStatus429, RetryAfter: 3 * time.Second}), sdk, 0, []string{
			"0s 429 throttled", "3s 200 ok",
		}},
		{"retry-after", sync, early(fleet.Fault{Kind: fleet.FaultStatus429, RetryAfter: 3 * time.Second}), sdk, time.Minute, []string{
			"0s 429 throttled", "3s 200 ok",
		}},
		{"retry-after too long", sync, early(fleet.Fault{Kind: fleet.FaultAbsurdRetryAfter}), sdk, 0, []string{
			"0s 429 throttled", "500ms 200 ok",
		}},
		{"backoff doubles", sync, early(fleet.Fault{Kind: fleet.FaultStatus5xx, Until: time.Hour}), sdk, 0, []string{
			"0s 500 upstream_error", "500ms 500 upstream_error", "1.5s 500 upstream_error",
		}},
		{"no retries", sync, early(fleet.Fault{Kind: fleet.FaultStatus5xx}), fleet.Client{}, 0, []string{"0s 500 upstream_error"}},
		{"direct reset", sync, early(fleet.Fault{Kind: fleet.FaultReset}), fleet.Client{Retries: 1, BaseDelay: 950 * ms}, 0, []string{
			"0s 0 upstream_error", "1s 200 ok",
		}},
		{"direct stream breaks", stream, early(fleet.Fault{Kind: fleet.FaultCutStream, AtToken: 3}), sdk, 0, []string{"0s 200 partial"}},
		{"stream breaks", stream, early(fleet.Fault{Kind: fleet.FaultCutStream, AtToken: 3}), sdk, time.Minute, []string{"0s 200 partial"}},
		{
			"direct patience", sync, early(fleet.Fault{Kind: fleet.FaultStallBeforeHeaders}),
			fleet.Client{Retries: 1, Timeout: time.Second},
			0,
			[]string{"0s 0 client_gone", "1.5s 200 ok"},
		},
		{"patience with a stream", stream, nil, fleet.Client{Retries: 1, Timeout: 500 * ms}, time.Minute, []string{"0s 200 client_gone"}},
		{"direct patience with a stream", stream, nil, fleet.Client{Retries: 1, Timeout: 500 * ms}, 0, []string{"0s 200 client_gone"}},
		{"our deadline is final", sync, early(fleet.Fault{Kind: fleet.FaultStallBeforeHeaders}), sdk, time.Second, []string{"0s 408 timeout"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := fleet.Config{Deployments: []fleet.Deployment{standard("a")}, Faults: tc.faults}
			cfg := Config{Fleet: f, Client: tc.sdk, Policy: Policy{Direct: "a"}}
			if tc.window > 0 {
				cfg.Policy = served(f, func(p *policy.Config, c *spillway.Class) {
					p.Retry.MaxAttempts, c.Window = 1, tc.window
				})
			}
			var got []string
			lasts := 0
			cfg.OnTry = func(r *report.Try) {
				got = append(got, fmt.Sprintf("%v %d %v", r.At.Round(ms), r.Status, r.Outcome))
				if r.Retry != len(got)-1 {
					t.Errorf("try %d calls itself retry %d", len(got), r.Retry)
				}
				if r.Last {
					lasts++
				}
			}
			if _, err := Run(cfg, workload.Slice([]workload.Call{tc.call})); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, tc.want) || lasts != 1 {
				t.Errorf("got %q, %d of them last; want %q", got, lasts, tc.want)
			}
		})
	}
}

// TestDirect is the baseline: clients meet the deployment's own window and its
// own refusals.
func TestDirect(t *testing.T) {
	f := fleet.Config{Seed: 1, Deployments: []fleet.Deployment{provisioned("ptu")}}
	count := map[string]int{}
	cfg := Config{
		Fleet: f, Policy: Policy{Direct: "ptu"}, Objective: Objective{TTFT: time.Second},
		OnTry: func(r *report.Try) {
			count[r.Outcome.String()]++
			if r.Status == 200 && r.Met != (r.TTFT <= time.Second) {
				t.Errorf("%+v: want Met by its TTFT", r)
			}
			if r.Status == 200 && (r.UsefulTokens == 0 || r.UsefulTokens != r.CompletionTokens) {
				t.Errorf("%+v: want every token useful", r)
			}
			if r.Status == 408 && (r.E2E != time.Minute || r.CompletionTokens == 0 || r.UsefulTokens != 0) {
				t.Errorf("%+v: want tokens until the window passed, and none of use", r)
			}
		},
	}
	calls := traffic(300, 500*time.Millisecond)
	for i := range calls {
		if i%20 == 0 {
			calls[i].Stream, calls[i].MaxTokens, calls[i].OutputTokens = false, 0, 10_000
		}
	}
	result, err := Run(cfg, workload.Slice(calls))
	if err != nil {
		t.Fatal(err)
	}
	for _, outcome := range []string{"ok", "ok_client_cap", "throttled", "timeout"} {
		if count[outcome] == 0 {
			t.Errorf("none is %s: %v", outcome, count)
		}
	}
	if u := result.Deployments[0]; result.Attempts != len(calls) || u.Offered != len(calls) || u.Refused != count["throttled"] {
		t.Errorf("%d attempts, %+v; want %d calls and %d refused", result.Attempts, u, len(calls), count["throttled"])
	}
}
