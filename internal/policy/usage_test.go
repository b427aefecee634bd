package policy

import (
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// TestUsage ends responses with usages that deployments report. An impossible one is
// flagged; record, meter and lengths then have our own counts.
func TestUsage(t *testing.T) {
	chat := spillway.Request{API: spillway.APIChat, Stream: true, Choices: 1, BodyBytes: 400}
	with := func(change func(*spillway.Request)) spillway.Request {
		r := chat
		change(&r)
		return r
	}
	limited := with(func(r *spillway.Request) { r.AskTokens = 100 })
	usage := func(prompt, cached, completion, reasoning int) spillway.Usage {
		return spillway.Usage{Prompt: prompt, Cached: cached, Completion: completion, Reasoning: reasoning, Known: true}
	}
	for _, tt := range []struct {
		name      string
		req       spillway.Request
		maxOutput int // of the deployment
		reported  spillway.Usage
		suspect   bool
	}{
		{"right", chat, 0, usage(80, 0, 12, 0), false},
		{"all of it cached, all of it reasoning but what was read", chat, 0, usage(80, 80, 12, 12), false},
		{"hidden reasoning", chat, 0, usage(80, 0, 60_000, 59_000), false},
		{"none", chat, 0, spillway.Usage{}, false},
		{"malformed", chat, 0, spillway.Usage{Suspect: true}, true},
		{"at the limit", limited, 0, usage(80, 0, 100, 0), false},
		{"above the limit", limited, 0, usage(80, 0, 101, 0), true},
		{"of 999,999,999", limited, 0, usage(80, 0, 999_999_999, 0), true},
		{"of two choices", with(func(r *spillway.Request) { r.AskTokens, r.Choices = 100, 2 }), 0, usage(80, 0, 200, 0), false},
		{"of three choices for two", with(func(r *spillway.Request) { r.AskTokens, r.Choices = 100, 2 }), 0, usage(80, 0, 300, 0), true},
		{"above the deployment's maximum", chat, 4096, usage(80, 0, 4097, 0), true},
		{"above every model's maximum", chat, 0, usage(80, 0, 300_000, 0), true},
		{"no output, although some was read", chat, 0, usage(80, 0, 0, 0), true},
		{"more reasoning than output", chat, 0, usage(80, 0, 12, 13), true},
		{"more cached than the prompt", chat, 0, usage(80, 81, 12, 0), true},
		{"partly cached, partly written to the cache", chat, 0, spillway.Usage{Prompt: 80, Cached: 40, CacheWrite: 40, Completion: 12, Known: true}, false},
		{"more written to the cache than the prompt", chat, 0, spillway.Usage{Prompt: 80, CacheWrite: 81, Completion: 12, Known: true}, true},
		{"less than nothing written to the cache", chat, 0, spillway.Usage{Prompt: 80, CacheWrite: -1, Completion: 12, Known: true}, true},
		{"a negative part", chat, 0, usage(80, -1, 12, 0), true},
		{"a prompt larger than its bytes", chat, 0, usage(400_000, 0, 12, 0), true},
		{"a prompt with a schema", chat, 0, usage(5_000, 0, 12, 0), false},
		{"a prompt with images", with(func(r *spillway.Request) { r.Unsized = true }), 0, usage(400_000, 0, 12, 0), false},
		{"a prompt larger than any context", with(func(r *spillway.Request) { r.Unsized = true }), 0, usage(3_000_000, 0, 12, 0), true},
		{"embeddings", with(func(r *spillway.Request) { r.API, r.Stream = spillway.APIEmbeddings, false }), 0, usage(100, 0, 0, 0), false},
		{"embeddings with output", with(func(r *spillway.Request) { r.API, r.Stream = spillway.APIEmbeddings, false }), 0, usage(100, 0, 9, 0), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := New(Config{
				Pool:        spillway.Pool{Name: "p", Tiers: [][]string{{"d"}}},
				Deployments: []spillway.Deployment{{Name: "d", Model: "gpt-4o-mini", TPM: 1_000_000, MaxOutputTokens: tt.maxOutput}},
			}, middling)
			if err != nil {
				t.Fatal(err)
			}
			req := tt.req
			req.Class = &spillway.Class{Name: "c"}
			f, _ := e.Begin(epoch, &req)
			now, read, reserved := epoch.Add(time.Second), 0, e.deployments[0].meter.Level(epoch)
			if req.API.Generates() {
				read = 9
				f.On(now, spillway.Event{Kind: spillway.EventFirstToken, Attempt: 1, Status: 200, Tokens: 1, Signals: spillway.NoSignals()})
			}
			f.On(now, spillway.Event{
				Kind: spillway.EventDone, Attempt: 1, Status: 200, Tokens: read, Usage: tt.reported, Signals: spillway.NoSignals(),
			})
			want := tt.reported
			if tt.suspect || !want.Known {
				want = spillway.Usage{Prompt: f.prompt, Completion: read, Suspect: tt.suspect}
			}
			got := f.Record()
			if got.Usage != want || got.Attempts[0].Tokens != want.Completion {
				t.Errorf("%+v, %d tokens of the attempt; want %+v", got.Usage, got.Attempts[0].Tokens, want)
			}
			if level := e.deployments[0].meter.Level(now); tt.suspect && level > reserved {
				t.Errorf("the meter is at %v, want at most the reservation, %v", level, reserved)
			}
		})
	}
}

// TestUsageOfWhole ends responses that were not counted as they came, and whose usage is
// missing or impossible: an estimate takes its place, at most what was reserved.
func TestUsageOfWhole(t *testing.T) {
	for _, reported := range []spillway.Usage{{}, {Suspect: true}, {Prompt: 100, Completion: 999_999_999, Known: true}} {
		e, err := New(Config{
			Pool:        spillway.Pool{Name: "p", Tiers: [][]string{{"d"}}},
			Deployments: []spillway.Deployment{{Name: "d", Model: "gpt-4o-mini"}},
		}, middling)
		if err != nil {
			t.Fatal(err)
		}
		f, _ := e.Begin(epoch, &spillway.Request{
			API: spillway.APIChat, Choices: 1, AskTokens: 300, BodyBytes: 400, Class: &spillway.Class{Name: "c", Sync: spillway.SyncPass},
		})
		f.On(epoch.Add(3*time.Second), spillway.Event{
			Kind: spillway.EventDone, Attempt: 1, Status: 200, Usage: reported, Signals: spillway.NoSignals(),
		})
		if u := f.Record().Usage; u.Known || u.Completion < 10 || u.Completion > 300 || u.Suspect != (reported != spillway.Usage{}) {
			t.Errorf("%+v is recorded as %+v", reported, u)
		}
	}
}

// TestUsageOfCountedWhole ends responses that were not counted as they came, but as a
// whole: a usage counts before that count, and that count before an estimate by time.
func TestUsageOfCountedWhole(t *testing.T) {
	known := spillway.Usage{Prompt: 100, Completion: 40, Known: true}
	for _, tt := range []struct {
		reported spillway.Usage
		read     int
		want     spillway.Usage
	}{
		{known, 42, known},
		{known, 0, known},
		{spillway.Usage{}, 42, spillway.Usage{Completion: 42}},
		{spillway.Usage{Suspect: true}, 42, spillway.Usage{Completion: 42, Suspect: true}},
		{spillway.Usage{Prompt: 100, Known: true}, 42, spillway.Usage{Completion: 42, Suspect: true}},
		{spillway.Usage{Prompt: 100, Completion: 301, Known: true}, 42, spillway.Usage{Completion: 42, Suspect: true}},
	} {
		for _, took := range []time.Duration{50 * time.Millisecond, 3 * time.Second, time.Minute} {
			e, err := New(Config{
				Pool:        spillway.Pool{Name: "p", Tiers: [][]string{{"d"}}},
				Deployments: []spillway.Deployment{{Name: "d", Model: "gpt-4o-mini"}},
			}, middling)
			if err != nil {
				t.Fatal(err)
			}
			f, _ := e.Begin(epoch, &spillway.Request{
				API: spillway.APIChat, Choices: 1, AskTokens: 300, BodyBytes: 400, Class: &spillway.Class{Name: "c", Sync: spillway.SyncPass},
			})
			f.On(epoch.Add(took), spillway.Event{
				Kind: spillway.EventDone, Attempt: 1, Status: 200, Tokens: tt.read, Usage: tt.reported, Signals: spillway.NoSignals(),
			})
			want := tt.want
			if !want.Known {
				want.Prompt = f.prompt
			}
			if rec := f.Record(); rec.Usage != want || rec.Attempts[0].Tokens != want.Completion {
				t.Errorf("%+v with %d read in %v: %+v, %d tokens of the attempt; want %+v", tt.reported, tt.read, took, rec.Usage, rec.Attempts[0].Tokens, want)
			}
		}
	}
}
