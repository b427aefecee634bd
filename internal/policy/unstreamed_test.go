package policy

import (
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// equals are two equal deployments; change may alter them.
func equals(t *testing.T, change func(*Config)) *Engine {
	t.Helper()
	cfg := Config{
		Pool: spillway.Pool{Name: "chat", Tiers: [][]string{{"east"}, {"west"}}},
		Deployments: []spillway.Deployment{
			{Name: "east", Model: "gpt-4o-mini"}, {Name: "west", Model: "gpt-4o-mini"},
		},
	}
	if change != nil {
		change(&cfg)
	}
	e, err := New(cfg, middling)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestUnstreamed does not judge the silence of an attempt that is not streamed: because
// its deployment may not stream, by configuration or as it turns out.
func TestUnstreamed(t *testing.T) {
	for name, tt := range map[string]struct{ configured, learned, moves bool }{
		"assembled":  {false, false, true},
		"configured": {true, false, false},
		"learned":    {false, true, false},
	} {
		e := equals(t, func(cfg *Config) {
			if tt.configured {
				cfg.Deployments[0].Sync = spillway.SyncPass
			}
		})
		class := &spillway.Class{Name: "c", Window: 2 * time.Minute, Hedge: true}
		f, step := e.Begin(epoch, &spillway.Request{API: spillway.APIChat, Class: class, CanStream: true, Choices: 1, AskTokens: 100})
		if got := step.Actions[0].Stream; got == tt.configured {
			t.Errorf("%s: stream %v", name, got)
		}
		if tt.learned {
			step = f.On(epoch.Add(time.Second), spillway.Event{Kind: spillway.EventUnstreamed, Attempt: 1})
		}
		sent := 0
		for at := epoch; at.Before(epoch.Add(time.Minute)) && !step.WakeAt.IsZero() && step.WakeAt.Before(epoch.Add(time.Minute)); {
			at = step.WakeAt
			step = f.On(at, spillway.Event{Kind: spillway.EventWake})
			for _, a := range step.Actions {
				if a.Kind == spillway.ActionSend {
					sent++
				}
			}
			if sent > 0 {
				break
			}
		}
		if (sent > 0) != tt.moves {
			t.Errorf("%s: %d more attempts after a silence, want some: %v", name, sent, tt.moves)
		}
	}
}

// TestObjectNotFound asks each deployment once for an object, whatever the retry budget
// says, blames none, and returns the last error.
func TestObjectNotFound(t *testing.T) {
	for _, api := range []spillway.API{spillway.APIOther, spillway.APIResponses} {
		for _, found := range []bool{true, false} {
			e := equals(t, func(cfg *Config) { cfg.Retry.Ratio, cfg.Retry.MinPerSecond = -1, -1 })
			f, step := e.Begin(epoch, &spillway.Request{API: api, Class: &spillway.Class{Name: "c"}, Choices: 1})
			missing := spillway.Event{Kind: spillway.EventFailed, Attempt: 1, Status: 404, RetryAfter: -1, NotFound: true, Signals: spillway.NoSignals()}
			step = f.On(epoch.Add(time.Second), missing)
			if len(step.Actions) != 1 || step.Actions[0].Kind != spillway.ActionSend || step.Actions[0].Deployment != "west" {
				t.Fatalf("%v: after the first: %+v", api, step.Actions)
			}
			missing.Attempt = 2
			if found {
				step = f.On(epoch.Add(2*time.Second), spillway.Event{Kind: spillway.EventDone, Attempt: 2, Status: 200, Signals: spillway.NoSignals()})
			} else {
				step = f.On(epoch.Add(2*time.Second), missing)
			}
			if last := step.Actions[len(step.Actions)-1]; last.Kind != spillway.ActionSettle || last.Attempt == 0 {
				t.Errorf("%v, found %v: at the end %+v", api, found, step.Actions)
			}
			for _, d := range e.Status(epoch.Add(3*time.Second), nil) {
				if d.State != "closed" || d.Evidence.Failures+d.Evidence.Excluded+d.Evidence.Doubtful > 0 {
					t.Errorf("%v, found %v: %s is blamed: %+v", api, found, d.Name, d.Evidence)
				}
			}
		}
	}
}
