package gateway

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// batch is a delta that a deployment sends, and when: so long after the one
// before.
type batch struct {
	after time.Duration
	bytes int
}

// every is n batches of so many bytes, at that interval.
func every(interval time.Duration, n, bytes int) []batch {
	out := make([]batch, n)
	for i := range out {
		out[i] = batch{interval, bytes}
	}
	return out
}

// batchPeer streams those batches to every request, as Azure's default content
// filter releases text: several tokens in one delta, and no usage.
func batchPeer(batches []batch) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		flush := http.NewResponseController(w).Flush
		for _, b := range batches {
			select {
			case <-time.After(b.after):
			case <-r.Context().Done():
				return
			}
			text := strings.Repeat("word", b.bytes/4) + strings.Repeat("x", b.bytes%4)
			fmt.Fprintf(w, `data: {"id":"c","created":1,"model":"m","choices":[{"index":0,"delta":{"content":%q},"finish_reason":null}]}`+"\n\n", text)
			flush()
		}
		io.WriteString(w, `data: {"id":"c","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
	}
}

// batchWorld is a world of two deployments that stream those batches.
func batchWorld(t *testing.T, batches []batch, change func(*world)) *world {
	return newWorld(t, []fleet.Deployment{deployment("east"), deployment("west")}, func(w *world) {
		for _, name := range []string{"east", "west"} {
			w.serve(name+".test", batchPeer(batches))
			w.upstream(name, "http://"+name+".test")
		}
		if change != nil {
			change(w)
		}
	})
}

// TestBatchesAreTokens demands that a healthy deployment stays one when its
// deltas hold several tokens each.
func TestBatchesAreTokens(t *testing.T) {
	for _, tt := range []struct {
		name    string
		more    string // of the request
		batches []batch
		tokens  int
	}{
		{"sync, 50 tokens four times a second", "", every(250*time.Millisecond, 40, 200), 2000},
		{"sync, a large delta and then single tokens", "", append(every(time.Second, 1, 1000), every(time.Second/30, 300, 4)...), 550},
		{"stream, 250 tokens four times a second", `,"stream":true`, every(250*time.Millisecond, 320, 1000), 80000},
		{"stream, batches with long pauses", `,"stream":true`, every(4*time.Second, 20, 800), 4000},
		{"sync, batches with long pauses", "", every(4*time.Second, 10, 800), 2000},
		{"sync, a pause of twelve seconds", "", append(every(250*time.Millisecond, 10, 200), every(12*time.Second, 2, 200)...), 600},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := batchWorld(t, tt.batches, nil)
				const answers = 6 // more than it takes to open a breaker
				for range answers {
					got := w.post(chat("1", tt.more))
					w.want(got, 200)
					if d := got.header.Get("x-spillway-deployment"); d != "east" {
						t.Errorf("%s answered, want east", d)
					}
				}
				w.idle()
				for _, rec := range w.rec.records {
					a := rec.Attempts[len(rec.Attempts)-1]
					if rec.Outcome != spillway.OutcomeOK || len(rec.Attempts) != 1 || a.Tokens != tt.tokens {
						t.Errorf("%v after %d attempts, %d tokens; want ok, 1, %d", rec.Outcome, len(rec.Attempts), a.Tokens, tt.tokens)
					}
				}
			})
		})
	}
}

// TestCutBatchesTeachTheirPace cuts a response of batches at the deadline: its
// record holds all that arrived, and its pace is what later budgets are made of.
func TestCutBatchesTeachTheirPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := batchWorld(t, every(100*time.Millisecond, 900, 40), func(w *world) {
			w.class.Budget = spillway.BudgetRule{Mode: spillway.BudgetClamp}
		})
		w.want(w.post(chat("1", `,"max_tokens":16000`)), 200)
		rec := w.record()
		a := rec.Attempts[len(rec.Attempts)-1]
		if rec.Outcome != spillway.OutcomeTruncatedDeadline || a.Class == spillway.FailureSlow || a.Tokens < 5900 || a.Tokens > 6000 {
			t.Errorf("%v, class %v, %d tokens; want a cut at the deadline after some 5,970 tokens, and no slow deployment", rec.Outcome, a.Class, a.Tokens)
		}
		got := w.post(chat("1", `,"max_tokens":16000`))
		w.want(got, 200)
		if granted := got.header.Get("x-spillway-granted-tokens"); granted != "1905" {
			t.Errorf("the next caller is granted %s tokens, want 1905: the published speed, which the deployment exceeds", granted)
		}
		w.idle()
	})
}
