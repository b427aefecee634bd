package replay

import (
	"errors"
	"iter"
	"reflect"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
)

func yield(all []*diagnose.Observation) iter.Seq2[*diagnose.Observation, error] {
	return func(yield func(*diagnose.Observation, error) bool) {
		for _, o := range all {
			if !yield(o, nil) {
				return
			}
		}
	}
}

// requests are ten minutes of requests, two a second, of which one in late runs out
// of a minute.
func requests(late int) []*diagnose.Observation {
	var all []*diagnose.Observation
	for i := range 1200 {
		at := noon.Add(time.Duration(i) * 500 * time.Millisecond)
		if late > 0 && i%late == 0 {
			o := timedOut(at, 5000)
			o.AskTokens = 16384
			all = append(all, o)
			continue
		}
		all = append(all, answered(at))
	}
	return all
}

func options() Options {
	return Options{From: noon, To: noon.Add(10 * time.Minute), Profiles: []diagnose.Profile{profile()}}
}

// capped is a diagnosis whose only remedy is a cap.
func capped() *diagnose.Diagnosis {
	return &diagnose.Diagnosis{Findings: []diagnose.Finding{
		{Code: diagnose.OversizedRequests, Remedy: diagnose.Remedy{CapTokens: 2000, WindowS: 60}},
		{Code: diagnose.CacheLoss, Remedy: diagnose.Remedy{Text: "see what changed"}},
	}}
}

// Timeouts of long responses are reproduced, and a cap does away with them.
func TestPredict(t *testing.T) {
	d := capped()
	if err := Predict(d, options(), yield(requests(40))); err != nil {
		t.Fatal(err)
	}
	r := d.Replay
	if r == nil || !r.Reproduced || r.Calls != 1200 || r.Observed.Timeout != 0.025 {
		t.Fatalf("replay %+v", r)
	}
	e := d.Findings[0].Effect
	if e == nil || e.Now.Timeout+e.Now.Cut < 0.02 || e.Then.Timeout+e.Then.Cut > 0.001 || e.Then.Truncated < 0.02 {
		t.Errorf("effect %+v, want that answers are truncated in place of timeouts", e)
	}
	if d.Findings[1].Effect != nil {
		t.Errorf("what nobody can simulate has an effect: %+v", d.Findings[1].Effect)
	}
}

// Equal observations give equal predictions.
func TestPredictIsDeterministic(t *testing.T) {
	first, second := capped(), capped()
	for _, d := range []*diagnose.Diagnosis{first, second} {
		if err := Predict(d, options(), yield(requests(40))); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(first, second) {
		t.Errorf("%+v, then %+v", first.Findings[0].Effect, second.Findings[0].Effect)
	}
}

// Where the replay comes to something else than was observed, no effect is
// predicted.
func TestPredictNotReproduced(t *testing.T) {
	all := requests(0)
	for i, o := range all {
		if i%10 == 0 { // responses that time out without being long
			*o = *timedOut(o.Time, 100)
			o.AskTokens = 100
		}
	}
	fast := options()
	fast.Profiles[0].PaceMedian = time.Millisecond
	fast.Profiles[0].FirstMedian = time.Millisecond
	for _, o := range all { // and nothing in the observations makes them long
		if o.Status == 408 {
			o.E2E = 100 * time.Millisecond
			o.Attempts[0].End = o.E2E
		}
	}
	d := capped()
	if err := Predict(d, fast, yield(all)); err != nil {
		t.Fatal(err)
	}
	if d.Replay == nil || d.Replay.Reproduced || d.Findings[0].Effect != nil {
		t.Errorf("replay %+v, effect %+v", d.Replay, d.Findings[0].Effect)
	}
}

func TestPredictNothing(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    Options
		all  []*diagnose.Observation
	}{
		{"no observations", options(), nil},
		{"no deployments", Options{From: noon}, requests(0)},
	} {
		d := capped()
		if err := Predict(d, tc.o, yield(tc.all)); err != nil || d.Replay != nil || d.Findings[0].Effect != nil {
			t.Errorf("%s: %v, %+v", tc.name, err, d.Replay)
		}
	}
}

func TestPredictErrors(t *testing.T) {
	torn := errors.New("the store is torn")
	err := Predict(capped(), options(), func(yield func(*diagnose.Observation, error) bool) {
		if yield(answered(noon), nil) {
			yield(nil, torn)
		}
	})
	if !errors.Is(err, torn) {
		t.Errorf("%v, want the reader's error", err)
	}
	stopped := options()
	stopped.Stop = func() bool { return true }
	if err := Predict(capped(), stopped, yield(requests(40))); !errors.Is(err, whatif.ErrStopped) {
		t.Errorf("%v, want that it was stopped", err)
	}
	calls := 0
	later := options()
	later.Stop = func() bool { calls++; return calls > 1900 } // as served, in three ways, takes some 1800 s
	d := capped()
	if err := Predict(d, later, yield(requests(40))); !errors.Is(err, whatif.ErrStopped) || d.Findings[0].Effect != nil {
		t.Errorf("%v, want that the remedy's run was stopped", err)
	}
}
