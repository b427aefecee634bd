package policy

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

var update = flag.Bool("update", false, "rewrite the scenario files with what the engine answers")

// TestScenarios plays every file of testdata. A line that starts in the first
// column is a command; the indented lines below it are the engine's response,
// which -update rewrites. See testdata/README.md for the commands.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.scenario")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenario files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".scenario"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newStage(t).play(string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("%s: the engine answers differently; -update rewrites it. Got:\n%s", file, got)
			}
		})
	}
}

// stage plays the driver: it holds the clock, delivers wakes that are due, and
// writes down what the engine answers.
type stage struct {
	t       *testing.T
	cfg     Config
	classes map[string]*spillway.Class
	engine  *Engine
	start   time.Time
	now     time.Time
	flights map[string]*Flight
	names   []string // in order of arrival
	wakes   map[string]time.Time
	paces   map[string]pace // of responses that continue by themselves
	out     bytes.Buffer
}

func newStage(t *testing.T) *stage {
	start := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	return &stage{
		t: t, start: start, now: start,
		classes: map[string]*spillway.Class{},
		flights: map[string]*Flight{}, wakes: map[string]time.Time{}, paces: map[string]pace{},
	}
}

func (s *stage) play(script string) string {
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "    ") {
			continue
		}
		fmt.Fprintln(&s.out, line)
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		clock, late := strings.CutSuffix(fields[0], "!")
		if at, err := time.ParseDuration(clock); err == nil {
			if late {
				s.now = s.start.Add(at)
			} else {
				s.advance(s.start.Add(at))
			}
			fields = fields[1:]
		}
		s.command(fields[0], fields[1:])
	}
	return s.out.String()
}

// args are a command's words: key=value pairs and plain ones.
type args map[string]string

func parseArgs(words []string) args {
	a := args{}
	for i, w := range words {
		key, value, found := strings.Cut(w, "=")
		if !found {
			key, value = strconv.Itoa(i), w
		}
		a[key] = value
	}
	return a
}

func (s *stage) duration(v string) time.Duration {
	if v == "" {
		return 0
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *stage) number(v string) int {
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *stage) command(verb string, words []string) {
	a := parseArgs(words)
	switch verb {
	case "deployment":
		s.addDeployment(a)
	case "class":
		s.addClass(a)
	case "policy":
		s.cfg.Queue.MaxLength = s.number(a["queue"])
		s.cfg.Retry.MaxAttempts = s.number(a["attempts"])
		s.cfg.Pool.MaxTiers = s.number(a["tiers"])
		s.cfg.Breaker.Probes = s.number(a["probes"])
	case "reload":
		if err := s.engine.Apply(s.cfg); err != nil {
			s.say("error: %v", err)
		}
		s.deliver()
	case "forgive":
		s.engine.Forgive(a["0"])
		s.deliver()
	case "drop":
		s.dropDeployment(a["0"])
	case "arrive":
		s.arrive(a)
	case "answers":
		s.answers(a)
	case "lengths":
		s.lengths()
	case "status":
		s.status()
	case "record":
		s.record(a["0"])
	case "run":
	default:
		s.event(verb, a)
	}
}

func (s *stage) addDeployment(a args) {
	d := spillway.Deployment{
		Name: a["0"], Model: "gpt-4o-mini", Region: a["region"],
		PTU: s.number(a["ptu"]), TPM: s.number(a["tpm"]), RPM: s.number(a["rpm"]), MaxInFlight: s.number(a["max"]),
	}
	if d.PTU > 0 {
		d.Kind = spillway.Provisioned
	}
	s.cfg.Deployments = append(s.cfg.Deployments, d)
	tier := s.number(a["tier"])
	for len(s.cfg.Pool.Tiers) <= tier {
		s.cfg.Pool.Tiers = append(s.cfg.Pool.Tiers, nil)
	}
	s.cfg.Pool.Tiers[tier] = append(s.cfg.Pool.Tiers[tier], d.Name)
}

func (s *stage) dropDeployment(name string) {
	for i := range s.cfg.Pool.Tiers {
		s.cfg.Pool.Tiers[i] = slices.DeleteFunc(slices.Clone(s.cfg.Pool.Tiers[i]), func(n string) bool { return n == name })
	}
}

func (s *stage) addClass(a args) {
	modes := map[string]spillway.BudgetMode{
		"": spillway.BudgetWindow, "window": spillway.BudgetWindow, "clamp": spillway.BudgetClamp,
		"reject": spillway.BudgetReject, "observe": spillway.BudgetObserve,
	}
	mode, ok := modes[a["mode"]]
	if !ok {
		s.t.Fatalf("unknown mode %q", a["mode"])
	}
	c := &spillway.Class{
		Name: a["0"], Objective: spillway.Objective{TTFT: s.duration(a["ttft"])}, Window: s.duration(a["window"]), StreamWindow: s.duration(a["stream_window"]),
		MaxWait: s.duration(a["max_wait"]), Hedge: a["hedge"] == "yes", RightSize: a["right_size"] == "yes",
		Budget: spillway.BudgetRule{Mode: mode, MaxOutputTokens: s.number(a["cap"])},
	}
	switch a["priority"] {
	case "low":
		c.Priority = spillway.PriorityLow
	case "high":
		c.Priority = spillway.PriorityHigh
	}
	if a["sync"] == "pass" {
		c.Sync = spillway.SyncPass
	}
	s.classes[c.Name] = c
}

func (s *stage) arrive(a args) {
	req := s.request(a)
	f, step := s.begin(req)
	f.Driver = req.ID
	s.flights[req.ID] = f
	s.names = append(s.names, req.ID)
	s.show(req.ID, step)
	s.deliver()
}

// request is what the words of a command ask for.
func (s *stage) request(a args) *spillway.Request {
	class := s.classes[a["class"]]
	if class == nil {
		s.t.Fatalf("%s: unknown class %q", a["0"], a["class"])
	}
	req := &spillway.Request{
		ID: a["0"], Caller: cmp.Or(a["caller"], "caller"), Route: "openai/chat", Model: "pool", API: spillway.APIChat, Class: class,
		Stream: a["stream"] == "yes", CanStream: true, Choices: 1, AskTokens: s.number(a["ask"]),
		BodyBytes: 4 * s.number(a["prompt"]), Deadline: s.duration(a["deadline"]),
		Tools: a["tools"] == "yes", Reasoning: a["reasoning"] == "yes", Pin: a["pin"], Hops: s.number(a["hops"]),
		ServiceTier: a["service_tier"], ClientRetry: s.number(a["retry"]),
	}
	switch a["api"] {
	case "other":
		req.API = spillway.APIOther
	case "responses":
		req.API, req.Route = spillway.APIResponses, "openai/responses"
	case "embeddings":
		req.API = spillway.APIEmbeddings
	}
	return req
}

// begin has the engine begin a request. The first one makes the engine.
func (s *stage) begin(req *spillway.Request) (*Flight, spillway.Step) {
	if s.engine == nil {
		s.cfg.Pool.Name = "pool"
		e, err := New(s.cfg, func() float64 { return 0.5 })
		if err != nil {
			s.t.Fatal(err)
		}
		s.engine = e
	}
	return s.engine.Begin(s.now, req)
}

// event delivers token, progress, done, refuse, fail, gone and wake.
func (s *stage) event(verb string, a args) {
	name, number, _ := strings.Cut(a["0"], "#")
	f := s.flights[name]
	if f == nil {
		s.t.Fatalf("%s: no flight %q", verb, name)
	}
	ev := spillway.Event{
		Attempt: s.number(number), Tokens: s.number(a["tokens"]), Status: s.number(a["status"]),
		RetryAfter: -1, Signals: spillway.NoSignals(), ServedBy: a["served_by"], Hopeless: a["hopeless"] == "yes", Missing: a["missing"] == "yes",
		Unsupported: a["unsupported"] == "yes",
	}
	if a["after"] != "" {
		ev.RetryAfter = s.duration(a["after"])
	}
	if a["at"] != "" {
		ev.At = s.start.Add(s.duration(a["at"]))
	}
	if u := s.number(a["utilization"]); u > 0 {
		ev.Signals.Utilization = float64(u) / 100
	}
	switch verb {
	case "token":
		ev.Kind, ev.Status = spillway.EventFirstToken, 200
		if a["tbt"] != "" {
			s.paces[name] = pace{
				attempt: ev.Attempt, since: s.now, tbt: s.duration(a["tbt"]), first: max(ev.Tokens, 1), batch: max(s.number(a["batch"]), 1),
			}
		}
	case "progress":
		ev.Kind = spillway.EventProgress
		if a["finish"] == "stop" { // every choice has ended
			ev.Finish = spillway.FinishStop
		}
	case "done":
		ev.Kind, ev.Status, ev.Finish = spillway.EventDone, 200, spillway.FinishStop
		if a["finish"] == "length" {
			ev.Finish = spillway.FinishLength
		}
		ev.Usage = spillway.Usage{Prompt: s.number(a["prompt"]), Completion: ev.Tokens, Known: a["prompt"] != ""}
	case "refuse":
		ev.Kind, ev.Status = spillway.EventFailed, 429
	case "fail":
		ev.Kind = spillway.EventFailed
		ev.Class = map[string]spillway.FailureClass{
			"broken": spillway.FailureBroken, "cut": spillway.FailureCut, "slow": spillway.FailureSlow, "invalid": spillway.FailureInvalid,
			"unreachable": spillway.FailureUnreachable, "unreadable": spillway.FailureUnreadable,
		}[a["1"]]
	case "gone":
		ev.Kind = spillway.EventGone
	case "end":
		ev.Kind = spillway.EventEnd
	default:
		s.t.Fatalf("unknown command %q", verb)
	}
	s.show(name, f.On(s.now, ev))
	s.deliver()
}
