package whatif

import (
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/report"
	"github.com/spillway-ai/spillway/internal/lab/workload"
)

// What an event says of a stream is what complete chunks hold: a count that
// only grows, as of the instant at which the newest of them was released.
func TestReadOfStream(t *testing.T) {
	d := standard("a")
	d.ChunkTokens = 8
	p := fleet.NewServer(d, 1, epoch).Offer(epoch, fleet.Ask{OutputTokens: 60, Stream: true, Seed: 4}).Plan
	s := &sim{start: epoch}
	c, a := &call{s: s}, &attempt{sentAt: time.Second, streamed: true, plan: p}
	last, chunks := spillway.Event{}, 0
	for now := p.Headers; now <= p.End; now += time.Millisecond / 4 {
		var ev spillway.Event
		c.addCounts(a, p.TokensAt(now), &ev)
		if ev.Tokens == last.Tokens {
			if !ev.At.Equal(last.At) {
				t.Fatalf("at %v: %d tokens as of %v, before as of %v", now, ev.Tokens, ev.At, last.At)
			}
			continue
		}
		chunks++
		if grown := ev.Tokens - last.Tokens; grown < 4 || grown > 12 {
			t.Errorf("at %v: %d tokens more", now, grown)
		}
		if age := epoch.Add(time.Second + now).Sub(ev.At); age < 0 || age > time.Millisecond/4 {
			t.Errorf("at %v: as of %v", now, ev.At)
		}
		last = ev
	}
	var end spillway.Event
	c.addCounts(a, p.OutputTokens, &end)
	if chunks < 5 || end.Tokens != 60 || !end.At.Equal(epoch.Add(time.Second+p.End)) {
		t.Errorf("%d chunks, %d tokens at the end as of %v", chunks, end.Tokens, end.At)
	}
}

// A cut response is what had been released; what the deployment has generated is
// more, and is charged.
func TestCutBetweenChunks(t *testing.T) {
	for _, tc := range []struct {
		chunkTokens, delivered, produced int
		ttft                             time.Duration
	}{
		{1, 41, 41, 100 * time.Millisecond},
		{30, 37, 41, 460 * time.Millisecond},
	} {
		d := standard("a")
		d.ChunkTokens = tc.chunkTokens
		f := fleet.Config{Deployments: []fleet.Deployment{d}, Faults: []fleet.Fault{{Kind: fleet.FaultCutStream, AtToken: 41}}}
		var got []report.Try
		_, err := Run(Config{
			Fleet: f, Policy: Policy{Name: "direct", Direct: "a"}, OnTry: func(r *report.Try) { got = append(got, *r) },
		}, workload.Slice([]workload.Call{{Model: model, OutputTokens: 60, Stream: true}}))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0].UsefulTokens != tc.delivered || got[0].CompletionTokens != tc.produced ||
			got[0].Outcome != spillway.OutcomePartial || got[0].TTFT.Round(10*time.Millisecond) != tc.ttft {
			t.Errorf("%d tokens per chunk: %+v", tc.chunkTokens, got)
		}
	}
}
