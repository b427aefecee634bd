package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ExportStatus is how far one export is. The counts must not decrease.
type ExportStatus struct {
	Name                   string
	Records, Bytes, Failed uint64
	LagRecords             int64
	// LagSince is when the oldest record that waits was accepted; zero when
	// none does.
	LagSince time.Time
}

// exportCollector reads the exports at every scrape.
type exportCollector struct {
	exports                               func() []ExportStatus
	records, bytes, failures, lag, behind *prometheus.Desc
}

func newExportCollector(exports func() []ExportStatus) *exportCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"export"}, nil)
	}
	return &exportCollector{
		exports:  exports,
		records:  desc("spillway_export_records_total", "Records that an export has sent."),
		bytes:    desc("spillway_export_bytes_total", "Bytes of Parquet that an export has sent."),
		failures: desc("spillway_export_failures_total", "Failed tries of an export."),
		lag:      desc("spillway_export_lag_records", "Records in sealed segments that an export has not sent."),
		behind:   desc("spillway_export_lag_seconds", "Age of the oldest of these records; 0 when there are none."),
	}
}

// Describe is prometheus.Collector's.
func (c *exportCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.records, c.bytes, c.failures, c.lag, c.behind} {
		out <- d
	}
}

// Collect is prometheus.Collector's.
func (c *exportCollector) Collect(out chan<- prometheus.Metric) {
	now := time.Now()
	for _, e := range c.exports() {
		send := func(d *prometheus.Desc, t prometheus.ValueType, v float64) {
			out <- prometheus.MustNewConstMetric(d, t, v, e.Name)
		}
		send(c.records, prometheus.CounterValue, float64(e.Records))
		send(c.bytes, prometheus.CounterValue, float64(e.Bytes))
		send(c.failures, prometheus.CounterValue, float64(e.Failed))
		send(c.lag, prometheus.GaugeValue, float64(e.LagRecords))
		age := 0.0
		if !e.LagSince.IsZero() {
			age = max(now.Sub(e.LagSince).Seconds(), 0)
		}
		send(c.behind, prometheus.GaugeValue, age)
	}
}
