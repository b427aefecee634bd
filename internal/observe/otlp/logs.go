package otlp

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"

	spillway "github.com/spillway-ai/spillway"
)

// eventName is the name of the event that a request leaves.
const eventName = "spillway.request"

// logger makes the event of a record. Not safe for concurrent use.
type logger struct {
	logger  log.Logger
	emitted eventBatch
	scratch attributes
}

func newLogger(res *resource.Resource) *logger {
	l := &logger{}
	provider := sdklog.NewLoggerProvider(
		sdklog.WithProcessor(&l.emitted), sdklog.WithResource(res), sdklog.WithAttributeCountLimit(-1),
		sdklog.WithAllowKeyDuplication(), // there is none, which takes time to find out
	)
	l.logger = provider.Logger(scope)
	return l
}

// log makes the event of one request, which belongs to its span; sampled says
// that there is one.
func (l *logger) log(r *spillway.Record, id identity, sampled bool, provider func(string) string) {
	var e log.Record
	e.SetEventName(eventName)
	end := r.Time.Add(r.E2E)
	e.SetTimestamp(end)
	e.SetObservedTimestamp(end)
	severity := severity(r.Outcome)
	e.SetSeverity(severity)
	e.SetSeverityText(severity.String())
	e.SetBody(attribute.StringValue(spanName(r.API, r.Model) + ": " + r.Outcome.String()))
	a := &l.scratch
	a.all = a.all[:0]
	a.request(r, lastProvider(r, provider))
	a.add(own+"time", attribute.StringValue(r.Time.UTC().Format(time.RFC3339Nano)))
	if len(r.Attempts) > 0 {
		tries := make([]attribute.Value, len(r.Attempts))
		for i := range r.Attempts {
			tries[i] = element(&r.Attempts[i])
		}
		a.add(own+"attempts", attribute.SliceValue(tries...))
	}
	e.AddAttributes(a.all...)
	at := trace.SpanContextConfig{TraceID: id.trace, SpanID: id.span, TraceFlags: trace.TraceFlags(0).WithSampled(sampled)}
	l.logger.Emit(trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(at)), e)
}

// severity maps an outcome to a log severity.
func severity(o spillway.Outcome) log.Severity {
	switch o {
	case spillway.OutcomeOK, spillway.OutcomeOKClientCap, spillway.OutcomeClientGone:
		return log.SeverityInfo
	case spillway.OutcomeTruncatedBudget, spillway.OutcomeTruncatedDeadline,
		spillway.OutcomeRefusedBudget, spillway.OutcomeRefusedInvalid:
		return log.SeverityWarn
	}
	return log.SeverityError
}

// eventBatch gathers events.
type eventBatch struct{ events []sdklog.Record }

// drain returns the events gathered so far, and begins anew.
func (b *eventBatch) drain() []sdklog.Record {
	taken := b.events
	b.events = nil
	return taken
}

// Enabled says yes.
func (*eventBatch) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

// OnEmit keeps the event.
func (b *eventBatch) OnEmit(_ context.Context, r *sdklog.Record) error {
	b.events = append(b.events, *r)
	return nil
}

// Shutdown does nothing.
func (*eventBatch) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing.
func (*eventBatch) ForceFlush(context.Context) error { return nil }
