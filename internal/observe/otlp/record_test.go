package otlp

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/observe/genai"
	"github.com/spillway-ai/spillway/internal/observe/telemetry"
)

var accepted = time.Date(2026, 11, 22, 22, 34, 5, 672_003_000, time.UTC)

const (
	ownTrace    = "a862ce43949df8077a87a3edc54b45a4"
	clientTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	clientSpan  = "00f067aa0ba902b7"
)

// whole has a value in every field.
func whole() *spillway.Record {
	return &spillway.Record{
		ID: "req_" + ownTrace, Time: accepted, Pool: "chat", Caller: "search", Tenant: "acme",
		Class: "interactive", Model: "gpt-4o-mini", Route: "azure/chat", API: spillway.APIChat, Policy: "1a2b3c4d",
		Stream: true, Structured: true, Tools: true, Choices: 2, ServiceTier: "flex", ClientRetry: 1,
		AskTokens: 8000, PromptEstimate: 412, Window: time.Minute, Mode: spillway.BudgetClamp,
		TTFTObjective: 2 * time.Second, TBTObjective: 30 * time.Millisecond,
		BudgetTokens: 1955, BudgetBasis: spillway.BudgetMeasured, GrantTokens: 1955, ObservedGrant: 1900, Spill: spillway.SpillRefused,
		Truncated: spillway.TruncatedBudget, Finish: spillway.FinishLength, Outcome: spillway.OutcomeTruncatedBudget,
		Refusal: spillway.RefusalDeadline, Status: 200, Queue: 1500 * time.Microsecond,
		TTFT: 312456 * time.Microsecond, E2E: 20 * time.Second,
		TBTMean: 9600 * time.Microsecond, TBTMax: 80 * time.Millisecond,
		Usage: spillway.Usage{Prompt: 400, Cached: 128, CacheWrite: 256, Completion: 1955, Reasoning: 64, Known: true, Suspect: true},
		Attempts: []spillway.Attempt{
			{
				Deployment: "ptu-eastus", Region: "eastus", Kind: spillway.Provisioned,
				Start: time.Millisecond, End: 40 * time.Millisecond, Status: 429, Class: spillway.FailureRefused,
				RetryAfter: 1250 * time.Millisecond, GrantTokens: 1955, Utilization: 1.02,
				ResetTokens: time.Minute, ResetRequests: 1500 * time.Millisecond,
				UpstreamRequestID: "0b8c1f9a-5a5e-4c62-9a0e-53f4f1fd6b7f", ServedRegion: "East US", Error: "429: too many",
			},
			{
				Deployment: "std-sweden", Region: "swedencentral", Tier: 1, Start: 41 * time.Millisecond,
				End: 20 * time.Second, TTFT: 271 * time.Millisecond, Status: 200, GrantTokens: 1955,
				Tokens: 1955, Utilization: -1, Hedge: true, ServedBy: "std-native", ServiceTier: "default",
			},
		},
	}
}

// plain went well at the first attempt.
func plain() *spillway.Record {
	r := whole()
	r.Outcome, r.Truncated, r.Attempts = spillway.OutcomeOK, spillway.TruncatedNot, r.Attempts[1:]
	return r
}

func byName(all []attribute.KeyValue) map[string]attribute.Value {
	out := map[string]attribute.Value{}
	for _, kv := range all {
		out[string(kv.Key)] = kv.Value
	}
	return out
}

func providers(deployment string) string { return "provider of " + deployment }

func spansOf(r *spillway.Record) []sdktrace.ReadOnlySpan {
	t := newTracer(resource.Empty(), 1)
	t.trace(r, identify(r), providers)
	return t.ended.drain()
}

func TestSpans(t *testing.T) {
	spans := spansOf(whole())
	if len(spans) != 3 {
		t.Fatalf("%d spans, want 3", len(spans))
	}
	refused, answered, request := spans[0], spans[1], spans[2]
	if request.Name() != "chat gpt-4o-mini" || request.SpanKind() != trace.SpanKindServer || request.Parent().IsValid() {
		t.Errorf("request: %q, kind %v, parent %v", request.Name(), request.SpanKind(), request.Parent())
	}
	if !request.StartTime().Equal(accepted) || !request.EndTime().Equal(accepted.Add(20*time.Second)) {
		t.Errorf("request: from %v to %v", request.StartTime(), request.EndTime())
	}
	if got := request.SpanContext().TraceID().String(); got != ownTrace {
		t.Errorf("trace %s, want the request's id %s", got, ownTrace)
	}
	for i, s := range []sdktrace.ReadOnlySpan{refused, answered} {
		a := whole().Attempts[i]
		if s.Parent().SpanID() != request.SpanContext().SpanID() || s.SpanKind() != trace.SpanKindClient || s.Name() != "chat "+a.Deployment {
			t.Errorf("attempt %d: %q of kind %v under %v", i+1, s.Name(), s.SpanKind(), s.Parent())
		}
		if !s.StartTime().Equal(accepted.Add(a.Start)) || !s.EndTime().Equal(accepted.Add(a.End)) {
			t.Errorf("attempt %d: from %v to %v", i+1, s.StartTime(), s.EndTime())
		}
	}
	if refused.Status().Code != codes.Error || answered.Status().Code != codes.Unset || request.Status().Code != codes.Unset {
		t.Errorf("status %v, %v, %v", refused.Status(), answered.Status(), request.Status())
	}
	has := byName(refused.Attributes())
	if has["error.type"].AsString() != "refused" || has["http.response.status_code"].AsInt64() != 429 ||
		has["gen_ai.request.max_tokens"].AsInt64() != 1955 || has["spillway.utilization_ratio"].AsFloat64() != 1.02 ||
		has["gen_ai.provider.name"].AsString() != "provider of ptu-eastus" || has["spillway.retry_after_ms"].AsFloat64() != 1250 {
		t.Errorf("refused attempt: %v", refused.Attributes())
	}
}

// An attempt that did not end ends with the request, and a request that failed
// says how.
func TestSpansOfAFailure(t *testing.T) {
	r := whole()
	r.Outcome, r.Attempts[1].End, r.Model = spillway.OutcomeTimeout, 0, "\xff"
	spans := spansOf(r)
	if got := spans[1].EndTime(); !got.Equal(accepted.Add(r.E2E)) {
		t.Errorf("the attempt ends at %v", got)
	}
	request := spans[2]
	if request.Status().Code != codes.Error || request.Status().Description != "timeout" ||
		byName(request.Attributes())["error.type"].AsString() != "timeout" || request.Name() != "chat \ufffd" {
		t.Errorf("%q: %v, %v", request.Name(), request.Status(), request.Attributes())
	}
}

func TestIdentify(t *testing.T) {
	r := whole()
	r.TraceParent = "00-" + clientTrace + "-" + clientSpan + "-01"
	spans := spansOf(r)
	request := spans[len(spans)-1]
	if request.SpanContext().TraceID().String() != clientTrace || request.Parent().SpanID().String() != clientSpan || !request.Parent().IsRemote() {
		t.Errorf("in trace %v under %v", request.SpanContext().TraceID(), request.Parent())
	}
	ids := map[trace.SpanID]bool{}
	for _, s := range spans {
		ids[s.SpanContext().SpanID()] = true
	}
	if len(ids) != 3 {
		t.Errorf("span ids %v", ids)
	}
	for _, id := range []string{"", "req_", "req_1", "other", "req_" + strings.Repeat("0", 32), "req_" + ownTrace + "00", "req_" + strings.Repeat("x", 32)} {
		if got := identify(&spillway.Record{ID: id}); !got.trace.IsValid() || !got.span.IsValid() || got.parent.IsValid() {
			t.Errorf("%q: %+v", id, got)
		}
	}
}

func TestKeeps(t *testing.T) {
	retried := plain()
	retried.Attempts = whole().Attempts
	with := func(r *spillway.Record, flags string) *spillway.Record {
		r.TraceParent = "00-" + clientTrace + "-" + clientSpan + "-" + flags
		return r
	}
	failed := whole()
	failed.Outcome = spillway.OutcomeThrottled
	tests := []struct {
		name   string
		record *spillway.Record
		ratio  float64
		want   bool
	}{
		{"all", plain(), 1, true},
		{"none", plain(), 0, false},
		{"truncated", whole(), 0, true},
		{"failed", failed, 0, true},
		{"retried", retried, 0, true},
		{"sampled by the client", with(plain(), "01"), 0, true},
		{"not sampled by the client", with(plain(), "00"), 1, false},
		{"failed, not sampled by the client", with(whole(), "00"), 0, true},
	}
	for _, tt := range tests {
		if got := newTracer(resource.Empty(), tt.ratio).keeps(tt.record, identify(tt.record)); got != tt.want {
			t.Errorf("%s: kept %v, want %v", tt.name, got, tt.want)
		}
	}
	kept, of := 0, 2000
	sampler := newTracer(resource.Empty(), 0.25)
	r := plain()
	for i := range of {
		r.ID = "request " + string(rune(i))
		if sampler.keeps(r, identify(r)) {
			kept++
		}
	}
	if share := float64(kept) / float64(of); share < 0.2 || share > 0.3 {
		t.Errorf("kept %v of the traces, want 0.25", share)
	}
}

// named says where the members of a record's line are that the conventions
// have names for.
var named = map[string]string{
	"model": genai.RequestModel, "ask_tokens": genai.RequestMaxTokens, "choices": genai.RequestChoices,
	"finish": genai.FinishReasons, "status": genai.StatusCode, "usage.prompt_tokens": genai.InputTokens,
	"usage.cached_tokens": genai.CachedInputTokens, "usage.cache_write_tokens": genai.CacheWriteInputTokens, "usage.completion_tokens": genai.OutputTokens,
	"traceparent": "", // the event's own trace id
}

// The event has every member of the record's line, and the same values.
func TestEvent(t *testing.T) {
	l := newLogger(resource.Empty())
	r := whole()
	l.log(r, identify(r), true, providers)
	e := l.emitted.drain()[0]
	if e.EventName() != "spillway.request" || e.Body().AsString() != "chat gpt-4o-mini: truncated_budget" || e.Severity() != log.SeverityWarn ||
		e.TraceID().String() != ownTrace || !e.TraceFlags().IsSampled() || !e.Timestamp().Equal(accepted.Add(r.E2E)) {
		t.Errorf("event %q %v %v in %v: %v", e.EventName(), e.Timestamp(), e.Severity(), e.TraceID(), e.Body())
	}
	var all []attribute.KeyValue
	e.WalkAttributes(func(kv attribute.KeyValue) bool { all = append(all, kv); return true })
	has := byName(all)
	r.TraceParent = "00-" + clientTrace + "-" + clientSpan + "-01"
	var line map[string]any
	if err := json.Unmarshal(telemetry.AppendRecord(nil, r), &line); err != nil {
		t.Fatal(err)
	}
	for member, value := range line["usage"].(map[string]any) {
		line["usage."+member] = value
	}
	delete(line, "usage")
	for member, want := range line {
		name, known := named[member]
		if !known {
			name = own + member
		}
		if got, ok := has[name]; name != "" && (!ok || !same(got, want)) {
			t.Errorf("%s of the record is %v, %s of the event %v", member, want, name, got.AsString())
		}
	}
	if got := has[genai.ProviderName].AsString(); got != "provider of std-sweden" {
		t.Errorf("provider %q", got)
	}
	if _, failed := has[genai.ErrorType]; failed {
		t.Error("a valid answer has an error.type")
	}
}

// same compares an attribute with a value of JSON.
func same(got attribute.Value, want any) bool {
	switch want := want.(type) {
	case string:
		if at, err := time.Parse(time.RFC3339Nano, want); err == nil {
			is, err := time.Parse(time.RFC3339Nano, got.AsString())
			return err == nil && is.Equal(at)
		}
		if list := got.AsStringSlice(); len(list) == 1 {
			return list[0] == want
		}
		return got.AsString() == want
	case float64:
		return got.AsFloat64() == want || float64(got.AsInt64()) == want
	case bool:
		return got.AsBool() == want
	case []any:
		return slices.EqualFunc(got.AsSlice(), want, func(v attribute.Value, w any) bool { return same(v, w) })
	case map[string]any:
		has := byName(got.AsMap())
		if len(has) != len(want) {
			return false
		}
		for member, value := range want {
			if !same(has[member], value) {
				return false
			}
		}
		return true
	}
	return false
}

// What a client writes is not trusted: it is cut, and made valid.
func TestItemsBelongToNobody(t *testing.T) {
	r := whole()
	r.Tenant, r.Attempts[1].ServedBy = strings.Repeat("t", 1000), strings.Repeat("s", 1000)
	var it item
	it.copyRecord(r)
	r.Attempts[0].Deployment = "changed"
	got := it.record()
	if got.Attempts[0].Deployment != "ptu-eastus" || got.Model != "gpt-4o-mini" || len(got.Tenant) != maxTextBytes || len(got.Attempts[1].ServedBy) != maxTextBytes {
		t.Errorf("kept %+v", got)
	}
	if len(r.Attempts[1].ServedBy) != 1000 {
		t.Error("the record itself was changed")
	}
	r = plain()
	it.copyRecord(r)
	if got := it.record(); len(got.Attempts) != 1 || got.Tenant != "acme" {
		t.Errorf("the item used again is %+v", got)
	}
}
