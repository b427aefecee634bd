package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/observe/kql"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

// perSecond is the rate of the benchmarks' traffic, in its own time.
const perSecond = 5000

// record makes the i-th record of a traffic with several deployments, lengths
// that vary a hundredfold, and now and then a 429.
func record(random *rand.Rand, i int, r *spillway.Record, attempts []spillway.Attempt) {
	tokens := int(math.Exp(random.NormFloat64()*1.1 + 5.5))
	first := time.Duration(100+random.IntN(900)) * time.Millisecond
	e2e := first + time.Duration(tokens)*time.Duration(8+random.IntN(5))*time.Millisecond
	*r = spillway.Record{
		ID: fmt.Sprintf("req_%016x%016x", random.Uint64(), random.Uint64()), Time: instant.Add(time.Duration(i) * time.Second / perSecond),
		Pool: "gpt-4o-mini", Caller: "search", Tenant: fmt.Sprintf("tenant-%d", random.IntN(40)), Class: "interactive", Model: "gpt-4o-mini",
		Route: "azure/chat", API: spillway.APIChat, PromptEstimate: 900, Window: time.Minute,
		Outcome: spillway.OutcomeOK, Finish: spillway.FinishStop, Status: 200, TTFT: first, E2E: e2e,
		Usage: spillway.Usage{Prompt: 100 + random.IntN(2000), Completion: tokens, Known: true},
	}
	attempts = append(attempts, spillway.Attempt{
		Deployment: "ptu-eastus", Region: "eastus", Kind: spillway.Provisioned, Status: 200, TTFT: first, End: e2e, Tokens: tokens, Utilization: random.Float64(),
	})
	if random.IntN(50) == 0 {
		attempts[0].Status, attempts[0].Class, attempts[0].End, attempts[0].Tokens = 429, spillway.FailureRefused, 20*time.Millisecond, 0
		attempts = append(attempts, spillway.Attempt{
			Deployment: "std-sweden", Region: "swedencentral", Tier: 1, Start: 20 * time.Millisecond, Status: 200, TTFT: first, End: e2e, Tokens: tokens, Utilization: -1,
		})
		r.Spill = spillway.SpillRefused
	}
	r.Attempts = attempts
}

// answered runs a question on a store as spillway query does.
func answered(tb testing.TB, dir, question string) {
	tb.Helper()
	q, err := kql.Translate(time.Now(), question, kql.Records())
	if err != nil {
		tb.Fatal(err)
	}
	s, err := store.Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	rest, err := os.Create(filepath.Join(tb.TempDir(), "unsealed.parquet"))
	if err != nil {
		tb.Fatal(err)
	}
	paths, n, err := s.Files(store.Query{From: q.From, To: q.To}, rest)
	if err != nil {
		tb.Fatal(err)
	}
	if n > 0 {
		paths = append(paths, rest.Name())
	}
	rest.Close()
	args := []string{"-view", "attempts=" + kql.AttemptsView}
	for _, p := range paths {
		args = append(args, "-table", "requests="+p)
	}
	if err := run(tb.Context(), args, strings.NewReader(q.SQL), io.Discard); err != nil {
		tb.Fatal(err)
	}
}

// The percentiles that everyone asks for.
const percentiles = "requests | where outcome == 'ok' | summarize percentiles(e2e_ms, 50, 95, 99) by bin(time, 1m)"

var records = flag.Int("records", 10_000_000, "of BenchmarkTenMillion")

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkTenMillion asks for percentiles by minute over ten million records,
// start of the database included, and reports the time of processors too: on a
// machine with other work the wall's says little. Writing them takes minutes.
func BenchmarkTenMillion(b *testing.B) {
	n := *records
	dir := b.TempDir()
	w, err := store.NewWriter(store.Config{Dir: dir, Queue: n})
	if err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	var r spillway.Record
	attempts := make([]spillway.Attempt, 0, 2)
	for i := range n {
		record(random, i, &r, attempts)
		for before := w.Dropped(); ; before = w.Dropped() {
			w.Record(&r)
			if w.Dropped() == before {
				break
			}
			time.Sleep(10 * time.Millisecond) // the queue is full: 64 MiB wait for the disk
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	for _, question := range []struct{ name, text string }{
		{"percentiles", percentiles},
		{"deployments", "requests | where outcome == 'ok' | summarize percentiles(e2e_ms, 50, 95, 99) by bin(time, 1m), deployment"},
		{"attempts", "attempts | summarize count(), countif(status == 429) by bin(request_time, 1m), deployment"},
		{"ten_seconds", "requests | where time between (datetime(2026-11-22 12:01) .. 10s) | summarize count() by outcome"},
	} {
		b.Run(question.name, func(b *testing.B) {
			began := processorTime()
			for b.Loop() {
				answered(b, dir, question.text)
			}
			b.ReportMetric((processorTime()-began).Seconds()/float64(b.N), "cpu-s/op")
		})
	}
}

// BenchmarkWriteWhileAsked writes 5,000 records a second, while queries run
// without a pause; it counts what is lost, and how many are answered.
func BenchmarkWriteWhileAsked(b *testing.B) {
	dir := b.TempDir()
	w, err := store.NewWriter(store.Config{Dir: dir, SealAfter: 5 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		queries := 0
		for {
			select {
			case <-stop:
				done <- queries
				return
			case <-time.After(time.Millisecond):
				if segments, _ := filepath.Glob(filepath.Join(dir, "*.parquet")); len(segments) > 0 {
					answered(b, dir, percentiles)
					queries++
				}
			}
		}
	}()
	random := rand.New(rand.NewPCG(1, 2))
	var r spillway.Record
	attempts := make([]spillway.Attempt, 0, 2)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	i, began := 0, time.Now()
	for b.Loop() {
		now := <-tick.C
		for due := int(now.Sub(began).Seconds() * perSecond); i < due; i++ {
			record(random, i, &r, attempts)
			w.Record(&r)
		}
	}
	rate := float64(i) / time.Since(began).Seconds()
	close(stop)
	queries := <-done
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(rate, "records/s")
	b.ReportMetric(float64(w.Dropped()), "dropped")
	b.ReportMetric(float64(queries), "queries")
}
