package telemetry

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestExportMetrics(t *testing.T) {
	m := NewMetrics(MetricsConfig{
		Exports: func() []ExportStatus {
			return []ExportStatus{
				{Name: "behind", Records: 10, Bytes: 500, Failed: 3, LagRecords: 7, LagSince: time.Now().Add(-time.Hour)},
				{Name: "up_to_date", Records: 17},
			}
		},
	})
	want := `
# HELP spillway_export_failures_total Failed tries of an export.
# TYPE spillway_export_failures_total counter
spillway_export_failures_total{export="behind"} 3
spillway_export_failures_total{export="up_to_date"} 0
# HELP spillway_export_lag_records Records in sealed segments that an export has not sent.
# TYPE spillway_export_lag_records gauge
spillway_export_lag_records{export="behind"} 7
spillway_export_lag_records{export="up_to_date"} 0
# HELP spillway_export_records_total Records that an export has sent.
# TYPE spillway_export_records_total counter
spillway_export_records_total{export="behind"} 10
spillway_export_records_total{export="up_to_date"} 17
`
	if err := testutil.GatherAndCompare(m.registry, strings.NewReader(want),
		"spillway_export_failures_total", "spillway_export_lag_records", "spillway_export_records_total"); err != nil {
		t.Error(err)
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "spillway_export_lag_seconds" {
			continue
		}
		for _, s := range f.GetMetric() {
			age, behind := s.GetGauge().GetValue(), s.GetLabel()[0].GetValue() == "behind"
			if behind != (age > 3590 && age < 3700) || !behind && age != 0 {
				t.Errorf("%v is %v behind", s.GetLabel(), age)
			}
		}
	}
}
