package incident

import (
	"syscall"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/report"
	"github.com/spillway-ai/spillway/internal/lab/setup"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
)

// BenchmarkSimulate is the incident at full scale, two minutes of it, policy by
// policy: simulated requests per second of one processor's time, collection of
// garbage included. Targets: 300,000 of the baseline, 150,000 of everything.
func BenchmarkSimulate(b *testing.B) {
	f, err := setup.IncidentFleet(1)
	if err != nil {
		b.Fatal(err)
	}
	policies, err := setup.IncidentPolicies(1)
	if err != nil {
		b.Fatal(err)
	}
	spec := workload.Incident(1)
	spec.Duration = 2 * time.Minute
	for _, p := range policies {
		b.Run(p.Name, func(b *testing.B) {
			requests, began := 0, processorTime(b)
			for b.Loop() {
				calls, err := workload.Generate(spec, 1)
				if err != nil {
					b.Fatal(err)
				}
				result, err := whatif.Run(whatif.Config{
					Fleet: f, Client: fleet.OpenAISDK(), Policy: p, Seed: 1, OnTry: report.NewCollector().Add,
					Objective: whatif.Objective{Window: setup.IncidentWindow},
				}, calls)
				if err != nil {
					b.Fatal(err)
				}
				requests += result.Tries
			}
			b.ReportMetric(float64(requests)/(processorTime(b)-began).Seconds(), "requests/cpu-s")
		})
	}
}

// processorTime is what the process has used so far.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
