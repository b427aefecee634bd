package fleet

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

var start = time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)

// at is the instant d after start.
func at(d time.Duration) time.Time { return start.Add(d) }

// small is a provisioned deployment that drains 1,000 equivalents per second
// and holds 10,000.
func small() Deployment {
	return Deployment{Deployment: spillway.Deployment{
		Name: "p", Model: "gpt-4o-mini", Kind: spillway.Provisioned, Region: "eastus",
		PTU: 1, InputTPMPerPTU: 60_000, OutputRatio: 4, MeterDepth: 10 * time.Second,
	}}
}

func standard(tpm, rpm int) Deployment {
	return Deployment{Deployment: spillway.Deployment{Name: "s", Model: "gpt-4o-mini", TPM: tpm, RPM: rpm}}
}

func TestProvisionedMeter(t *testing.T) {
	s := NewServer(small(), 1, start)
	steps := []struct {
		at          time.Duration
		prompt, max int
		complete    int // output tokens to complete the previous plan with, -1 for none
		status      int
		utilization float64
		retryAfter  time.Duration
	}{
		{0, 2000, 1000, -1, 200, 0.6, 0},                       // 2000 + 4*1000
		{0, 4000, 0, -1, 200, 0.6 + 0.4 + 4*4096.0/10000, 0},   // level 60% before it: accepted, overshoots
		{0, 10, 10, -1, 429, 2.6384, 16384 * time.Millisecond}, // above 100%
		{16384 * time.Millisecond, 0, 50, -1, 200, 1.02, 0},    // exactly 100% is accepted
		{16384 * time.Millisecond, 100, 25, -1, 429, 1.02, 200 * time.Millisecond},
		{16384 * time.Millisecond, 0, 1, 0, 200, 1.0004, 0}, // the correction makes room
	}
	var last uint64
	for i, st := range steps {
		if st.complete >= 0 {
			s.Complete(at(st.at), last, st.complete)
		}
		v := s.Offer(at(st.at), Ask{PromptTokens: st.prompt, MaxTokens: st.max, OutputTokens: -1})
		if v.Status != st.status || math.Abs(v.Limits.Utilization-st.utilization) > 1e-9 || v.RetryAfter != st.retryAfter {
			t.Errorf("step %d: got %d, %.4f, %v; want %d, %.4f, %v",
				i, v.Status, v.Limits.Utilization, v.RetryAfter, st.status, st.utilization, st.retryAfter)
		}
		if v.Status == 200 {
			last = v.Plan.ID
		}
	}
}

// The meter's level is what came in, less what drained, as long as it is never
// empty; corrections leave exactly the actual consumption.
func TestProvisionedMeterConserves(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 7))
		d := small()
		d.MeterDepth = 1000 * time.Hour // accepts everything
		s := NewServer(d, seed, start)
		in, now := 0.0, time.Duration(0)
		type flight struct {
			id  uint64
			max int
		}
		var flights []flight
		offer := func(prompt, limit int) {
			v := s.Offer(at(now), Ask{PromptTokens: prompt, MaxTokens: limit, OutputTokens: -1})
			in += float64(prompt + 4*limit)
			flights = append(flights, flight{v.Plan.ID, limit})
		}
		offer(1_000_000, 1) // never empty
		for range 300 {
			now += time.Duration(rng.IntN(1000)) * time.Millisecond
			if rng.IntN(2) == 0 || len(flights) == 0 {
				offer(rng.IntN(3000), 1+rng.IntN(500))
				continue
			}
			i := rng.IntN(len(flights))
			f, produced := flights[i], rng.IntN(600)
			flights = append(flights[:i], flights[i+1:]...)
			s.Complete(at(now), f.id, produced)
			s.Complete(at(now), f.id, 9999) // a second end changes nothing
			in += float64(4 * (produced - f.max))
		}
		want := (in - 1000*now.Seconds()) / (1000 * d.MeterDepth.Seconds())
		if got := s.State(at(now)).Utilization; math.Abs(got-want) > 1e-9 {
			t.Fatalf("seed %d: utilization %v, want %v", seed, got, want)
		}
		for _, f := range flights {
			s.Complete(at(now), f.id, 0)
		}
		if st := s.State(at(now + 2000*time.Second)); st.Utilization != 0 || st.InFlight != 0 || s.decode != 0 {
			t.Fatalf("seed %d: idle deployment is at %+v, decode %v", seed, st, s.decode)
		}
	}
}

func TestStandardLimits(t *testing.T) {
	type step struct {
		at         time.Duration
		status     int
		reason     Reason
		retryAfter time.Duration
		tokens     int // remaining
		requests   int // remaining
	}
	ask := Ask{PromptTokens: 60, MaxTokens: 40, OutputTokens: 1}
	for _, tc := range []struct {
		name  string
		d     Deployment
		steps []step
	}{
		{"tokens", standard(150, 0), []step{
			{0, 200, Accepted, 0, 50, 0},
			{time.Second, 200, Accepted, 0, 0, 0}, // the counter was below the limit
			{2500 * time.Millisecond, 429, RefusedTokens, 58 * time.Second, 0, 0},
			{60 * time.Second, 200, Accepted, 0, 50, 0},
		}},
		{"requests", standard(0, 12), []step{ // 2 in 10 s
			{0, 200, Accepted, 0, 0, 1},
			{time.Second, 200, Accepted, 0, 0, 0},
			{2 * time.Second, 429, RefusedRequests, 8 * time.Second, 0, 0},
			{10 * time.Second, 200, Accepted, 0, 0, 1},
		}},
		{"unlimited", standard(0, 0), []step{{0, 200, Accepted, 0, 0, 0}, {0, 200, Accepted, 0, 0, 0}}},
	} {
		s := NewServer(tc.d, 1, start)
		for i, st := range tc.steps {
			v := s.Offer(at(st.at), ask)
			got := step{st.at, v.Status, v.Reason, v.RetryAfter, v.Limits.RemainingTokens, v.Limits.RemainingRequests}
			if got != st {
				t.Errorf("%s, step %d: got %+v, want %+v", tc.name, i, got, st)
			}
		}
	}
}

// Requests that a fault refuses use up the request limit too.
func TestUnsuccessfulRequestsCount(t *testing.T) {
	s := NewServer(standard(0, 12), 1, start)
	s.SetFaults([]Fault{{Kind: FaultStatus5xx, Until: time.Second}})
	for range 2 {
		if v := s.Offer(start, Ask{}); v.Status != 500 {
			t.Fatalf("status %d, want 500", v.Status)
		}
	}
	if v := s.Offer(at(time.Second), Ask{}); v.Reason != RefusedRequests {
		t.Errorf("reason %v, want %v", v.Reason, RefusedRequests)
	}
}

func TestSameSeedSameAnswers(t *testing.T) {
	run := func(seed uint64) []Verdict {
		s := NewServer(small(), seed, start)
		s.SetFaults([]Fault{{Kind: FaultStatus5xx, Probability: 0.3}})
		var all []Verdict
		for i := range 50 {
			now := at(time.Duration(i) * time.Second)
			v := s.Offer(now, Ask{PromptTokens: 100 * i, MaxTokens: 300, OutputTokens: -1})
			s.Complete(now, v.Plan.ID, v.Plan.OutputTokens)
			all = append(all, v)
		}
		return all
	}
	if !reflect.DeepEqual(run(3), run(3)) {
		t.Error("equal seeds differ")
	}
	if reflect.DeepEqual(run(3), run(4)) {
		t.Error("different seeds agree")
	}
}

// A request with a seed of its own is answered the same whatever came before.
func TestRequestSeed(t *testing.T) {
	ask := Ask{PromptTokens: 10, MaxTokens: 5000, OutputTokens: -1, Seed: 77}
	d := small()
	d.Service.Load = LoadCurve{Quadratic: 1e-12}
	a, b := NewServer(d, 1, start), NewServer(d, 1, start)
	b.Offer(start, Ask{OutputTokens: -1, MaxTokens: 10})
	p, q := a.Offer(start, ask).Plan, b.Offer(start, ask).Plan
	q.ID = p.ID
	if p != q {
		t.Errorf("got %+v and %+v", p, q)
	}
}

func TestLoadSlowsAnswers(t *testing.T) {
	ttft := func(flights int) time.Duration {
		d := small()
		d.MeterDepth = time.Hour
		s := NewServer(d, 1, start)
		for range flights {
			s.Offer(start, Ask{OutputTokens: 100})
		}
		return s.Offer(start, Ask{OutputTokens: 100, Seed: 1}).Plan.TTFT
	}
	idle, busy := ttft(0), ttft(3)
	if busy <= idle {
		t.Errorf("TTFT is %v when idle and %v when busy", idle, busy)
	}
	c := LoadCurve{Linear: 0.40, Quadratic: 0.24, Reference: 0.65}
	if got, want := c.Relative(1), 1.64/1.3614; math.Abs(got-want) > 1e-9 {
		t.Errorf("L(1)/L(0.65) = %v, want %v", got, want)
	}
}

func TestNewReportsEveryError(t *testing.T) {
	bad := small()
	bad.PTU = 0
	_, err := New(Config{Deployments: []Deployment{bad, standard(1, 1), standard(1, 1), {}}}, start)
	want := "fleet: deployment 0 \"p\": a provisioned deployment needs ptu\n" +
		"deployment 2 \"s\": duplicate name\n" +
		"deployment 3 \"\": name is required"
	if err == nil || err.Error() != want {
		t.Errorf("got error\n%v\nwant\n%s", err, want)
	}
	if _, err := New(Config{}, start); err == nil {
		t.Error("an empty fleet is no error")
	}
}
