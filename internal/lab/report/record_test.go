package report

import (
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

func TestFromRecord(t *testing.T) {
	const second = time.Second
	ok := spillway.Record{
		Stream: true, ClientRetry: 1, Window: 60 * second, TTFTObjective: second, TBTObjective: 20 * time.Millisecond,
		PromptEstimate: 90, Outcome: spillway.OutcomeOK, Status: 200, TTFT: second / 2, E2E: 10 * second, TBTMean: 10 * time.Millisecond,
		Usage:    spillway.Usage{Prompt: 100, Cached: 30, Completion: 500, Known: true},
		Attempts: []spillway.Attempt{{Deployment: "a", End: 10 * second, Status: 200, Tokens: 498}},
	}
	want := Try{
		Retry: 1, Last: true, Status: 200, Outcome: spillway.OutcomeOK, Met: true, Stream: true,
		TTFT: second / 2, TBT: 10 * time.Millisecond, E2E: 10 * second, CallE2E: 10 * second,
		PromptTokens: 100, CachedTokens: 30, CompletionTokens: 500, UsefulTokens: 500,
	}
	for _, tc := range []struct {
		name   string
		change func(*spillway.Record)
		want   func(*Try)
	}{
		{"complete", func(*spillway.Record) {}, func(*Try) {}},
		{"late", func(r *spillway.Record) { r.E2E, r.Window = 10*second, 9*second }, func(t *Try) { t.Met = false }},
		{"slow first token", func(r *spillway.Record) { r.TTFTObjective = second / 4 }, func(t *Try) { t.Met = false }},
		{"slow tokens", func(r *spillway.Record) { r.TBTObjective = 1 }, func(t *Try) { t.Met = false }},
		{"no objective", func(r *spillway.Record) { r.Window, r.TTFTObjective, r.TBTObjective = 0, 0, 0 }, func(*Try) {}},
		{
			"spilled after a dead attempt", func(r *spillway.Record) {
				r.Spill = spillway.SpillBroken
				r.Attempts = []spillway.Attempt{
					{Deployment: "a", End: second, Class: spillway.FailureCut, Tokens: 40},
					{Deployment: "b", Tier: 1, Start: second, End: 10 * second, Tokens: 498},
				}
			}, func(t *Try) { t.Spilled, t.CompletionTokens = true, 540 },
		},
		{
			"the loser of a hedge ended first", func(r *spillway.Record) {
				r.Attempts = append(r.Attempts, spillway.Attempt{Deployment: "b", End: second, Hedge: true, Tokens: 3})
			}, func(t *Try) { t.CompletionTokens = 503 },
		},
		{
			"Azure's own spillover", func(r *spillway.Record) { r.Attempts[0].ServedBy = "std" },
			func(t *Try) { t.Spilled = true },
		},
		{
			"timeout after tokens", func(r *spillway.Record) {
				r.Outcome, r.Status, r.Usage = spillway.OutcomeTimeout, 408, spillway.Usage{}
				r.Attempts[0].Class = spillway.FailureOversized
				r.Spill = spillway.SpillQueue
			}, func(t *Try) {
				t.Outcome, t.Status, t.Met = spillway.OutcomeTimeout, 408, false
				t.PromptTokens, t.CachedTokens, t.CompletionTokens, t.UsefulTokens = 90, 0, 498, 0
			},
		},
		{
			"refused before any attempt", func(r *spillway.Record) {
				r.Outcome, r.Status, r.Attempts = spillway.OutcomeRefusedQueue, 429, nil
				r.Usage, r.TTFT, r.TBTMean = spillway.Usage{}, 0, 0
			}, func(t *Try) {
				t.Outcome, t.Status, t.Met, t.TTFT, t.TBT = spillway.OutcomeRefusedQueue, 429, false, 0, 0
				t.PromptTokens, t.CachedTokens, t.CompletionTokens, t.UsefulTokens = 90, 0, 0, 0
			},
		},
	} {
		r, expect := ok, want
		r.Attempts = append([]spillway.Attempt(nil), ok.Attempts...)
		tc.change(&r)
		tc.want(&expect)
		if got := FromRecord(&r); got != expect {
			t.Errorf("%s:\ngot  %+v\nwant %+v", tc.name, got, expect)
		}
	}
}
