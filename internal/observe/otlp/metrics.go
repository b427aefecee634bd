package otlp

import (
	"context"
	"fmt"

	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/spillway-ai/spillway/internal/observe/genai"
)

// convention is the name and unit that a metric has in the conventions.
type convention struct{ name, unit string }

// conventions are the metrics whose names Prometheus spells otherwise, by its
// spelling.
func conventions() map[string]convention {
	return map[string]convention{
		genai.Prometheus(genai.OperationDuration, "seconds"):  {genai.OperationDuration, "s"},
		genai.Prometheus(genai.TimeToFirstToken, "seconds"):   {genai.TimeToFirstToken, "s"},
		genai.Prometheus(genai.TimePerOutputToken, "seconds"): {genai.TimePerOutputToken, "s"},
		genai.Prometheus(genai.TokenUsage, ""):                {genai.TokenUsage, "{token}"},
	}
}

// attributeNames are the attributes whose names Prometheus spells otherwise,
// by its spelling.
func attributeNames() map[attribute.Key]attribute.Key {
	all := map[attribute.Key]attribute.Key{}
	for _, name := range []string{
		genai.OperationName, genai.ProviderName, genai.RequestModel, genai.TokenType, genai.ErrorType,
	} {
		all[attribute.Key(genai.Prometheus(name, ""))] = attribute.Key(name)
	}
	return all
}

// meter reads what /metrics shows, and names it as the conventions do. All
// other metrics keep the names that Prometheus knows.
type meter struct {
	producer   metric.Producer
	resource   *resource.Resource
	names      map[string]convention
	attributes map[attribute.Key]attribute.Key
}

func newMeter(cfg Config, res *resource.Resource) *meter {
	return &meter{
		producer: bridge.NewMetricProducer(bridge.WithGatherer(cfg.Gather)), resource: res,
		names: conventions(), attributes: attributeNames(),
	}
}

// read returns the metrics of this instant.
func (m *meter) read(ctx context.Context) (*metricdata.ResourceMetrics, error) {
	scopes, err := m.producer.Produce(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	for i := range scopes {
		for j := range scopes[i].Metrics {
			at := &scopes[i].Metrics[j]
			known, ok := m.names[at.Name]
			if !ok {
				continue
			}
			at.Name, at.Unit = known.name, known.unit
			if h, ok := at.Data.(metricdata.Histogram[float64]); ok {
				for k := range h.DataPoints {
					h.DataPoints[k].Attributes = m.rename(h.DataPoints[k].Attributes)
				}
			}
		}
	}
	return &metricdata.ResourceMetrics{Resource: m.resource, ScopeMetrics: scopes}, nil
}

// rename spells the attributes as the conventions do. Empty ones mean none
// there.
func (m *meter) rename(from attribute.Set) attribute.Set {
	all := make([]attribute.KeyValue, 0, from.Len())
	for _, kv := range from.ToSlice() {
		if name, ok := m.attributes[kv.Key]; ok {
			kv.Key = name
		}
		if kv.Value.AsString() != "" {
			all = append(all, kv)
		}
	}
	return attribute.NewSet(all...)
}
