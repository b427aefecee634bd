package incident

import (
	"bufio"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/loadgen"
	"github.com/spillway-ai/spillway/internal/lab/report"
	"github.com/spillway-ai/spillway/internal/lab/setup"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

var realTime = flag.Bool("real-time", false, "run the incident over sockets, which takes minutes")

// Sixty seconds of the incident at a tenth of its size, in real time over real
// sockets: clients at the emulator, and clients at the gateway in front of it,
// beside what the simulator predicts for the same calls. A call that fails at
// the baseline is tried three times for 60 s, so that it takes four minutes.
func TestFidelity(t *testing.T) {
	if !*realTime {
		t.Skip("takes minutes: make incident")
	}
	policies, err := setup.IncidentPolicies(scale)
	if err != nil {
		t.Fatal(err)
	}
	arms := []*arm{{policy: policies[0]}, {policy: policies[5]}}
	var running sync.WaitGroup
	for _, a := range arms {
		a.predict(t)
		endpoint, style, key := startFleet(t)+"/", wire.Azure, "azure"
		if a.policy.Direct == "" {
			endpoint, key = startGateway(t, a.policy.Name, strings.TrimSuffix(endpoint, "/")), "demo"
		}
		running.Go(func() { a.measure(t, endpoint, style, key) })
	}
	running.Wait()
	for _, a := range arms {
		a.compare(t)
	}
}

// scale is the share of the incident's size, and span how long calls arrive.
const (
	scale = 0.1
	span  = time.Minute
)

// arm is one policy, predicted and measured.
type arm struct {
	policy              whatif.Policy
	predicted, measured figures
}

// figures are what is compared.
type figures struct {
	calls, tries   int
	rate408        float64 // of tries
	rate429        float64 // of tries
	truncated      float64 // of calls
	tokens         float64 // delivered, per call
	p50, p95, p99  time.Duration
	retriesPerCall float64
}

// calls is the workload. Clients that are asked to stream do.
func (a *arm) calls(t *testing.T) workload.Source {
	spec := workload.Incident(scale)
	spec.Duration = span
	src, err := workload.Generate(spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	return &streaming{src, a.policy.StreamLong}
}

// streaming is a workload whose clients stream where they are asked to.
type streaming struct {
	workload.Source
	above int
}

func (s *streaming) Next() (workload.Call, error) {
	c, err := s.Source.Next()
	c.Stream = c.Stream || s.above > 0 && c.CanStream && c.MaxTokens > s.above
	return c, err
}

// predict simulates the arm.
func (a *arm) predict(t *testing.T) {
	f, err := setup.IncidentFleet(scale)
	if err != nil {
		t.Fatal(err)
	}
	var out figures
	var latency []time.Duration
	statuses := map[int]int{}
	result, err := whatif.Run(whatif.Config{
		Fleet: f, Client: fleet.OpenAISDK(), Policy: a.policy, Seed: 1,
		OnTry: func(try *report.Try) {
			statuses[try.Status]++
			out.tokens += float64(try.UsefulTokens)
			if try.Last && try.Status == 200 {
				latency = append(latency, try.CallE2E)
			}
			if try.Outcome == spillway.OutcomeTruncatedBudget || try.Outcome == spillway.OutcomeTruncatedDeadline {
				out.truncated++
			}
		},
	}, a.calls(t))
	if err != nil {
		t.Fatal(err)
	}
	out.calls, out.tries = result.Calls, result.Tries
	calls, tries := float64(result.Calls), float64(result.Tries)
	out.rate408, out.rate429 = float64(statuses[408])/tries, float64(statuses[429])/tries
	out.tokens /= calls
	out.truncated /= calls
	out.retriesPerCall = (tries - calls) / calls
	slices.Sort(latency)
	at := func(q float64) time.Duration { return latency[int(q*float64(len(latency)-1))] }
	out.p50, out.p95, out.p99 = at(0.5), at(0.95), at(0.99)
	a.predicted = out
}

// measure sends the arm's calls to an endpoint.
func (a *arm) measure(t *testing.T, endpoint string, style wire.Family, key string) {
	opt := loadgen.Options{Endpoint: endpoint, Style: style, Key: key, Retries: 2, Seed: 1}
	if a.policy.Direct != "" {
		opt.Model = a.policy.Direct
	}
	runner, err := loadgen.New(opt)
	if err != nil {
		t.Error(err)
		return
	}
	r, err := runner.Run(t.Context(), a.calls(t))
	if err != nil {
		t.Error(err)
		return
	}
	calls, tries := float64(r.Offered), float64(r.Attempts)
	a.measured = figures{
		calls: r.Offered, tries: r.Attempts,
		rate408: float64(r.Statuses["408"]) / tries, rate429: float64(r.Statuses["429"]) / tries,
		truncated: r.Truncated, tokens: float64(r.CompletionTokens) / calls, retriesPerCall: (tries - calls) / calls,
		p50: millis(r.E2E.Intended.P50), p95: millis(r.E2E.Intended.P95), p99: millis(r.E2E.Intended.P99),
	}
	for _, w := range r.Warnings {
		t.Logf("%s: %s", a.policy.Name, w)
	}
}

func millis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// compare prints both sides and how far they are apart, and fails the test
// where that is more than the luck of 5,400 calls.
func (a *arm) compare(t *testing.T) {
	p, m := &a.predicted, &a.measured
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s\tpredicted\tmeasured\tdistance\t\n", a.policy.Name)
	for _, r := range []row{
		{"408, % of tries", 100 * p.rate408, 100 * m.rate408, 0.6, false},
		{"429, % of tries", 100 * p.rate429, 100 * m.rate429, 0.2, false},
		{"truncated, % of calls", 100 * p.truncated, 100 * m.truncated, 0.5, false},
		{"retries per 100 calls", 100 * p.retriesPerCall, 100 * m.retriesPerCall, 0.8, false},
		{"tokens delivered per call", p.tokens, m.tokens, 10, true},
		{"call p50, s", p.p50.Seconds(), m.p50.Seconds(), 15, true},
		{"call p95, s", p.p95.Seconds(), m.p95.Seconds(), 20, true},
		{"call p99, s", p.p99.Seconds(), m.p99.Seconds(), 30, true},
	} {
		distance, unit := r.distance()
		fmt.Fprintf(w, "%s\t%.4g\t%.4g\t%+.2g%s\t\n", r.name, r.predicted, r.measured, distance, unit)
		if math.Abs(distance) > r.allowed || math.IsNaN(distance) {
			t.Errorf("%s: %s: predicted %.4g, measured %.4g", a.policy.Name, r.name, r.predicted, r.measured)
		}
	}
	w.Flush()
	fmt.Printf("\n%s%d calls, %d tries predicted, %d measured\n", text.String(), m.calls, p.tries, m.tries)
}

// row is one figure, and how far the measured one may be from the predicted:
// in its own unit, or in percent of it.
type row struct {
	name                         string
	predicted, measured, allowed float64
	relative                     bool
}

func (r row) distance() (float64, string) {
	if r.relative {
		return 100 * (r.measured/r.predicted - 1), " %"
	}
	return r.measured - r.predicted, ""
}

// startFleet starts the emulator with the incident's fleet and returns its URL.
func startFleet(t *testing.T) string {
	file := scaledExample(t, "fleet", func(s string) string { return s })
	return start(t, "azuresim", "--fleet", file, "--listen", "127.0.0.1:0")
}

// startGateway starts the gateway with one of the incident's configurations.
func startGateway(t *testing.T, name, fleetURL string) string {
	file := scaledExample(t, name, func(s string) string { return strings.ReplaceAll(s, "http://127.0.0.1:8090", fleetURL) })
	return start(t, "serve", "--config", file, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
}

// scaledExample writes one of the incident's files at a tenth of its size.
func scaledExample(t *testing.T, name string, change func(string) string) string {
	data, err := os.ReadFile("../../examples/incident/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := change(strings.NewReplacer("ptu: 3200", "ptu: 320", "tpm: 10000000", "tpm: 1000000").Replace(string(data)))
	path := filepath.Join(t.TempDir(), name+".yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs the built program until the test ends and returns the URL that it
// serves.
func start(t *testing.T, args ...string) string {
	cmd := exec.Command("../../bin/spillway", args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	var running sync.WaitGroup
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		running.Wait()
		_ = cmd.Wait() // its exit status says nothing after a signal
	})
	for lines.Scan() {
		_, after, found := strings.Cut(lines.Text(), "data=")
		if address, _, _ := strings.Cut(after, " "); found {
			running.Go(func() {
				for lines.Scan() {
				}
			})
			return "http://" + address
		}
	}
	t.Fatalf("spillway %s has not said where it listens", strings.Join(args, " "))
	return ""
}
