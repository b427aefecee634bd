package otlp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/observe/genai"
)

// scope is the instrumentation scope of spans and events.
const scope = "github.com/spillway-ai/spillway"

// tracer makes the spans of records. Not safe for concurrent use.
type tracer struct {
	tracer  trace.Tracer
	sampler sdktrace.Sampler
	ids     givenIDs
	ended   spanBatch
	scratch attributes
}

func newTracer(res *resource.Resource, ratio float64) *tracer {
	t := &tracer{sampler: sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio))}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.AlwaysSample()), // what is not kept never gets here
		sdktrace.WithIDGenerator(&t.ids),
		sdktrace.WithSpanProcessor(&t.ended),
		sdktrace.WithResource(res),
	)
	t.tracer = provider.Tracer(scope)
	return t
}

// identity is where a request stands in its trace.
type identity struct {
	trace  trace.TraceID
	span   trace.SpanID
	parent trace.SpanContext // the client's; invalid when it sent none
}

// identify finds a request's place: in the client's trace, or in one of its own
// whose id is that of the request.
func identify(r *spillway.Record) identity {
	var id identity
	id.span = spanID(r.ID, 0)
	if len(r.TraceParent) == 55 { // package wire has checked it
		var span trace.SpanID
		var flags [1]byte
		_, e1 := hex.Decode(id.trace[:], []byte(r.TraceParent[3:35]))
		_, e2 := hex.Decode(span[:], []byte(r.TraceParent[36:52]))
		_, e3 := hex.Decode(flags[:], []byte(r.TraceParent[53:55]))
		if e1 == nil && e2 == nil && e3 == nil {
			id.parent = trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: id.trace, SpanID: span, TraceFlags: trace.TraceFlags(flags[0]) & trace.FlagsSampled, Remote: true,
			})
			return id
		}
	}
	if own, err := hex.DecodeString(strings.TrimPrefix(r.ID, "req_")); err == nil && len(own) == len(id.trace) {
		copy(id.trace[:], own)
	}
	if !id.trace.IsValid() {
		sum := sha256.Sum256([]byte(r.ID))
		copy(id.trace[:], sum[:])
	}
	return id
}

// spanID is that of a request, or of one of its attempts, from 1.
func spanID(request string, attempt byte) (id trace.SpanID) {
	sum := sha256.Sum256(append([]byte(request), attempt))
	copy(id[:], sum[:])
	return id
}

// keeps reports whether the trace of a request is kept: of one that went well
// at the first attempt only when it is sampled.
func (t *tracer) keeps(r *spillway.Record, id identity) bool {
	usual := r.Outcome == spillway.OutcomeOK || r.Outcome == spillway.OutcomeOKClientCap
	if !usual || len(r.Attempts) > 1 {
		return true
	}
	return t.sampler.ShouldSample(sdktrace.SamplingParameters{
		ParentContext: trace.ContextWithSpanContext(context.Background(), id.parent), TraceID: id.trace,
	}).Decision == sdktrace.RecordAndSample
}

// trace makes the spans of one request.
func (t *tracer) trace(r *spillway.Record, id identity, provider func(string) string) {
	t.ids = givenIDs{trace: id.trace, span: id.span}
	ctx := trace.ContextWithSpanContext(context.Background(), id.parent)
	ctx, span := t.tracer.Start(ctx, spanName(r.API, r.Model),
		trace.WithTimestamp(r.Time), trace.WithSpanKind(trace.SpanKindServer))
	t.scratch.all = t.scratch.all[:0]
	t.scratch.request(r, lastProvider(r, provider))
	span.SetAttributes(t.scratch.all...)
	if e := genai.Error(r.Outcome); e != "" {
		span.SetStatus(codes.Error, e)
	}
	for i := range r.Attempts {
		t.ids.span = spanID(r.ID, byte(i+1))
		t.attempt(ctx, r, i, provider)
	}
	span.End(trace.WithTimestamp(r.Time.Add(r.E2E)))
}

// attempt makes the span of one attempt.
func (t *tracer) attempt(ctx context.Context, r *spillway.Record, i int, provider func(string) string) {
	a := &r.Attempts[i]
	_, span := t.tracer.Start(ctx, spanName(r.API, a.Deployment),
		trace.WithTimestamp(r.Time.Add(a.Start)), trace.WithSpanKind(trace.SpanKindClient))
	s := &t.scratch
	s.all = s.all[:0]
	s.str(genai.OperationName, genai.Operation(r.API))
	s.str(genai.ProviderName, provider(a.Deployment))
	s.str(genai.RequestModel, r.Model)
	s.integer(genai.RequestMaxTokens, a.GrantTokens)
	s.integer(genai.OutputTokens, a.Tokens)
	s.str(genai.ErrorType, a.Class.String())
	s.integer(genai.StatusCode, a.Status)
	s.attempt(own, a)
	span.SetAttributes(s.all...)
	if e := a.Class.String(); e != "" {
		span.SetStatus(codes.Error, e)
	}
	end := a.End
	if end < a.Start { // it did not end by itself
		end = r.E2E
	}
	span.End(trace.WithTimestamp(r.Time.Add(end)))
}

// spanName is the conventions' name: the operation, and of what.
func spanName(api spillway.API, of string) string {
	if of == "" {
		return genai.Operation(api)
	}
	return strings.ToValidUTF8(genai.Operation(api)+" "+of, "\ufffd")
}

// lastProvider is that of the last deployment tried.
func lastProvider(r *spillway.Record, provider func(string) string) string {
	if len(r.Attempts) == 0 {
		return genai.DefaultProvider
	}
	return provider(r.Attempts[len(r.Attempts)-1].Deployment)
}

// givenIDs gives the next span the ids that it was told.
type givenIDs struct {
	trace trace.TraceID
	span  trace.SpanID
}

// NewIDs returns the ids of a span without a parent.
func (g *givenIDs) NewIDs(context.Context) (trace.TraceID, trace.SpanID) { return g.trace, g.span }

// NewSpanID returns the id of a span with one.
func (g *givenIDs) NewSpanID(context.Context, trace.TraceID) trace.SpanID { return g.span }

// spanBatch gathers the spans that have ended.
type spanBatch struct{ spans []sdktrace.ReadOnlySpan }

// drain returns the spans gathered so far, and begins anew.
func (b *spanBatch) drain() []sdktrace.ReadOnlySpan {
	taken := b.spans
	b.spans = nil
	return taken
}

// OnStart does nothing.
func (*spanBatch) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd keeps the span.
func (b *spanBatch) OnEnd(s sdktrace.ReadOnlySpan) { b.spans = append(b.spans, s) }

// Shutdown does nothing.
func (*spanBatch) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing.
func (*spanBatch) ForceFlush(context.Context) error { return nil }
