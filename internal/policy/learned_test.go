package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"pgregory.net/rapid"
)

// middling stands for a random draw where two engines are to draw alike.
func middling() float64 { return 0.5 }

func anyone(string) bool { return true }

// take takes all parts of what an engine has learned, through JSON.
func copyLearned(tb interface {
	Helper()
	Fatal(...any)
}, e *Engine, now time.Time,
) *Learned {
	tb.Helper()
	var l, back Learned
	for e.Learned(now, &l) {
	}
	data, err := json.Marshal(&l)
	if err == nil {
		err = json.Unmarshal(data, &back)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return &back
}

// teach has an engine answer n requests of a few callers, each with its own
// way of asking, one after the other.
func teach(e *Engine, rnd *rand.Rand, now time.Time, n int) time.Time {
	for range n {
		who := rnd.IntN(4)
		req := asking(fmt.Sprint("caller-", who), 4000, 0.99)
		f, step := e.Begin(now, req)
		for _, a := range step.Actions {
			if a.Kind != spillway.ActionSend {
				continue
			}
			first := now.Add(time.Duration(lognormal(rnd, 0.3, 0.5) * float64(time.Second)))
			f.On(first, spillway.Event{Kind: spillway.EventFirstToken, Attempt: 1, Signals: spillway.NoSignals()})
			tokens := 20 + rnd.IntN(200*(who+1))
			end := first.Add(time.Duration(float64(tokens) * lognormal(rnd, 9e-3, 0.5) * float64(time.Second)))
			if rnd.IntN(8) == 0 { // a length that is only known to be at least so
				f.On(end, spillway.Event{Kind: spillway.EventProgress, Attempt: 1, Tokens: tokens})
				f.On(end, spillway.Event{Kind: spillway.EventGone})
			}
			f.On(end, spillway.Event{
				Kind: spillway.EventDone, Attempt: 1, Status: 200, Finish: spillway.FinishStop, Signals: spillway.NoSignals(),
				Usage: spillway.Usage{Prompt: 300 + 100*who, Completion: tokens, Known: true},
			})
		}
		if f.settled {
			f.Release()
		}
		now = now.Add(time.Duration(rnd.IntN(1000)) * time.Millisecond)
	}
	return now
}

// asking is a request that is budgeted at a quantile. Quantiles that were not
// asked for before are computed anew; others may be a few responses behind.
func asking(caller string, ask int, quantile float64) *spillway.Request {
	return &spillway.Request{
		Caller: caller, Route: "openai/chat", API: spillway.APIChat, CanStream: true, Choices: 1, AskTokens: ask, BodyBytes: 2000,
		Class: &spillway.Class{
			Name: "sync", Window: 30 * time.Second, RightSize: true,
			Budget: spillway.BudgetRule{Mode: spillway.BudgetClamp, Quantile: quantile},
		},
	}
}

// An engine that restores what another one had learned decides as that one
// would have: the same deployment, the same budget, the same reservation. Both
// at the same instant, after a time without traffic.
func TestRestoredEngineDecidesAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := drawConfig(t)
		cfg.Speed.Decay = rapid.SampledFrom([]time.Duration{0, 2 * time.Hour}).Draw(t, "decay")
		cfg.Speed.MinSamples = rapid.SampledFrom([]int{0, 30}).Draw(t, "minSamples")
		for i := range cfg.Deployments {
			d := &cfg.Deployments[i]
			d.PTU, d.RPM, d.MaxInFlight = 20*d.PTU, 0, 0 // no meter is full: its level is not kept
			if d.TPM < 1_000_000 {
				d.TPM = 0
			}
			if d.Kind == spillway.Provisioned {
				d.PTU = max(d.PTU, 2000)
			}
		}
		old, err := New(cfg, middling)
		if err != nil {
			t.Fatal(err)
		}
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		now := teach(old, rnd, epoch, rapid.IntRange(0, 500).Draw(t, "answers"))
		now = now.Add(2 * time.Minute) // the meters drain
		l := copyLearned(t, old, now)
		down := time.Duration(rapid.SampledFrom([]int{0, 0, 1, 100, 240}).Draw(t, "down")) * time.Second
		now = now.Add(down)
		again, err := New(cfg, middling)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.Learn(now, l, anyone); err != nil {
			t.Fatal(err)
		}
		compareSpeeds(t, now, old, again)
		if down == 0 { // lengths count less for the time away
			compareDecisions(t, now, old, again)
		}
	})
}

// compareDecisions has both engines begin the same requests.
func compareDecisions(t *rapid.T, now time.Time, old, again *Engine) {
	for i, caller := range []string{"caller-0", "caller-1", "caller-2", "caller-3", "new"} {
		for k, ask := range []int{0, 300, 16_000} {
			req := asking(caller, ask, 0.8+0.01*float64(3*i+k))
			f, want := old.Begin(now, req)
			g, got := again.Begin(now, req)
			if fmt.Sprint(got.Actions) != fmt.Sprint(want.Actions) || f.record.BudgetTokens != g.record.BudgetTokens ||
				f.record.PromptEstimate != g.record.PromptEstimate {
				t.Fatalf("%s asks for %d:\n%+v budget %d prompt %d, want\n%+v budget %d prompt %d", caller, ask, got.Actions,
					g.record.BudgetTokens, g.record.PromptEstimate, want.Actions, f.record.BudgetTokens, f.record.PromptEstimate)
			}
		}
	}
	for i, d := range old.deployments {
		if got, want := again.deployments[i].meter.Outstanding(), d.meter.Outstanding(); got != want {
			t.Fatalf("%s holds %v, want %v", d.Name, got, want)
		}
	}
}

// compareSpeeds wants equal quantiles of both engines.
func compareSpeeds(t *rapid.T, now time.Time, old, again *Engine) {
	for i, d := range old.deployments {
		for _, load := range []float64{0.2, 0.6, 0.9} {
			for _, q := range []float64{0.33, 0.77} {
				got, want := again.deployments[i].speed.TBT(now, load, q), d.speed.TBT(now, load, q)
				if got != want {
					t.Fatalf("%s: TBT %v at load %v, want %v", d.Name, got, load, want)
				}
				if got, want := again.deployments[i].speed.TTFT(now, load, q), d.speed.TTFT(now, load, q); got != want {
					t.Fatalf("%s: TTFT %v at load %v, want %v", d.Name, got, load, want)
				}
			}
		}
	}
}

// What is restored, and what is left: by who and what still exists, by version
// and by time.
func TestLearnTakesWhatFits(t *testing.T) {
	old, err := New(testConfig(), middling)
	if err != nil {
		t.Fatal(err)
	}
	now := teach(old, rand.New(rand.NewPCG(1, 2)), epoch, 1000)
	fresh := func(change func(*Config, *Learned)) (Restored, error) {
		cfg, l := testConfig(), copyLearned(t, old, now)
		change(&cfg, l)
		e, err := New(cfg, middling)
		if err != nil {
			t.Fatal(err)
		}
		return e.Learn(now, l, func(caller string) bool { return caller != "caller-3" })
	}
	tests := []struct {
		name   string
		change func(*Config, *Learned)
		want   Restored
		err    bool
	}{
		{"the same", func(*Config, *Learned) {}, Restored{Deployments: 3, Measured: 1, Keys: 3, Left: 1}, false},
		{"another model", func(c *Config, _ *Learned) { c.Deployments[0].Model = "gpt-4o" }, Restored{Deployments: 2, Keys: 3, Left: 2}, false},
		{"another kind", func(c *Config, _ *Learned) { c.Deployments[0].Kind = spillway.Standard }, Restored{Deployments: 2, Keys: 3, Left: 2}, false},
		{"another name", func(c *Config, _ *Learned) {
			c.Deployments[0].Name, c.Pool.Tiers[0][0] = "new", "new"
		}, Restored{Deployments: 2, Keys: 3, Left: 2}, false},
		{"another window", func(c *Config, _ *Learned) { c.Speed.Decay = time.Hour }, Restored{Keys: 3, Left: 4}, false},
		{"another version", func(_ *Config, l *Learned) { l.Version++ }, Restored{}, true},
		{"an hour from now", func(_ *Config, l *Learned) { l.At = l.At.Add(time.Hour) }, Restored{}, true},
		{"a moment from now", func(_ *Config, l *Learned) { l.At = l.At.Add(time.Second) }, Restored{Deployments: 3, Measured: 1, Keys: 3, Left: 1}, false},
		{"of last week", func(_ *Config, l *Learned) { l.At = l.At.Add(-7 * 24 * time.Hour) }, Restored{Age: 7 * 24 * time.Hour, Deployments: 3, Left: 4}, false},
		{"of long ago", func(_ *Config, l *Learned) { l.At = time.Time{} }, Restored{Age: maxAge, Deployments: 3, Left: 4}, false},
	}
	for _, tt := range tests {
		got, err := fresh(tt.change)
		if got != tt.want || errors.Is(err, ErrLearned) != tt.err {
			t.Errorf("%s: %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
}

// FuzzLearn gives engines arbitrary states. They restore them or not,
// and serve on with speeds, lengths and meters that make sense.
func FuzzLearn(f *testing.F) {
	cfg := testConfig()
	old, err := New(cfg, middling)
	if err != nil {
		f.Fatal(err)
	}
	now := teach(old, rand.New(rand.NewPCG(1, 2)), epoch, 3)
	seed, err := json.Marshal(copyLearned(f, old, now))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"version":1,"at":"2026-01-05T08:00:00Z","deployments":[{"name":"ptu-eastus","model":"gpt-4o-mini","kind":"provisioned","ptu":200,"meter":{"depth_s":1e9}}]}`))
	f.Add([]byte(`{"version":1,"keys":[{"caller":"caller-0","first":3,"counts":[1,2],"cut_first":20,"cut_counts":[1023]}]}`))
	f.Add([]byte(`{"version":1,"keys":[{"caller":"a","first":9223372036854775807,"counts":[1],"tokens":1e300,"bytes":1e-300}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var l Learned
		if json.Unmarshal(data, &l) != nil {
			return
		}
		e, err := New(cfg, middling)
		if err != nil {
			t.Fatal(err)
		}
		r, err := e.Learn(now, &l, anyone)
		if err != nil {
			return
		}
		if r.Deployments+r.Keys+r.Left != len(l.Deployments)+len(l.Keys) {
			t.Errorf("%+v of %d deployments and %d keys", r, len(l.Deployments), len(l.Keys))
		}
		for _, d := range e.deployments {
			for _, q := range []float64{0, 0.01, 0.5, 0.99, 1} {
				if ttft, tbt := d.speed.TTFT(now, 0.3, q), d.speed.TBT(now, 0.3, q); ttft < 0 || tbt < 0 {
					t.Errorf("%s: TTFT %v, TBT %v", d.Name, ttft, tbt)
				}
			}
		}
		for _, k := range l.Keys {
			f, _ := e.Begin(now, asking(k.Caller, 0, 0.9))
			if f.prompt < 0 || f.prompt > 2e9 {
				t.Errorf("a prompt of 2,000 bytes is taken for %d tokens", f.prompt)
			}
		}
		end := teach(e, rand.New(rand.NewPCG(3, 4)), now, 20)
		copyLearned(t, e, end)
	})
}
