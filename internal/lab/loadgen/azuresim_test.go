package loadgen

import (
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/azuresim"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// The emulator sees prompts and gives responses of the lengths that the workload
// says, and its cache knows the prefixes that calls share.
func TestAgainstAzuresim(t *testing.T) {
	sim, err := azuresim.New(azuresim.Config{Deployments: azuresim.DefaultFleet(), Keys: []string{"azure"}, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	prefix := fleet.PrefixChain(5, 1500)
	src := calls{
		{PromptTokens: 100, OutputTokens: 40},
		{PromptTokens: 2000, OutputTokens: 60, Stream: true, Prefix: prefix},
		{At: 25 * time.Second, PromptTokens: 3000, OutputTokens: 50, MaxTokens: 20, Stream: true, Prefix: prefix},
		{At: 25 * time.Second, PromptTokens: 3000, OutputTokens: 70, MaxTokens: 80},
	}
	report, err := runVirtual(t, sim, Options{Style: wire.Azure, Model: "ptu-eastus", Key: "azure"}, &src)
	if err != nil {
		t.Fatal(err)
	}
	if report.Outcomes["complete"] != 4 || report.PromptTokens != 8100 || report.CompletionTokens != 40+60+20+70 {
		t.Errorf("outcomes %v, %d tokens in, %d out, %+v", report.Outcomes, report.PromptTokens, report.CompletionTokens, report.Messages)
	}
	if cached := report.CachedTokens; cached < 1024 || cached > 1500 {
		t.Errorf("%d cached tokens, want those of the shared prefix", cached)
	}
	if report.TTFT.Sent.Count != 2 {
		t.Errorf("TTFT of %d streams", report.TTFT.Sent.Count)
	}
}

// BenchmarkStreams holds 5,000 streams open at one time against a server in a
// process of its own, each with a chunk every half second.
func BenchmarkStreams(b *testing.B) {
	const streams = 5000
	for b.Loop() {
		url := startNull(b)
		src := make(calls, streams)
		for i := range src {
			src[i] = workload.Call{At: time.Duration(i) * 400 * time.Microsecond, PromptTokens: 50, OutputTokens: nullChunks, Stream: true}
		}
		before := cpuTime(b)
		report, err := run(b, Options{Endpoint: url, Key: "k"}, &src)
		if err != nil {
			b.Fatal(err)
		}
		used := cpuTime(b) - before
		if report.Outcomes["complete"] != streams || report.PeakInFlight < streams {
			b.Errorf("outcomes %v, failures %v, at most %d in flight", report.Outcomes, report.Failures, report.PeakInFlight)
		}
		b.ReportMetric(float64(report.PeakInFlight), "streams")
		b.ReportMetric(float64(used.Microseconds())/float64(report.TBT.Count), "cpu-µs/chunk")
		b.ReportMetric(report.Lateness.P99, "late-p99-ms")
		b.ReportMetric(report.TBT.P99, "tbt-p99-ms")
		b.ReportMetric(float64(rusage(b).Maxrss)/1024, "MiB")
	}
}
