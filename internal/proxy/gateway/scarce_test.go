package gateway

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// overloadedAnswer checks a 503 of the gateway's own that asks for a retry.
func overloadedAnswer(w *world, got answer) {
	w.Helper()
	w.want(got, http.StatusServiceUnavailable)
	if c := w.completion(got.body); c.Error == nil || c.Error.Code != "overloaded" || got.header.Get("Retry-After") != "1" {
		w.Errorf("unexpected error: %v %s", got.header, got.body)
	}
	if rec := w.record(); rec.Outcome != spillway.OutcomeRefusedQueue || rec.Status != 503 || rec.Refusal != "overloaded" {
		w.Errorf("unexpected record: %+v", rec)
	}
	if s, _ := w.azure.Stats("east"); len(s.Status) != 0 {
		w.Errorf("the deployment was asked: %+v", s)
	}
	w.idle()
}

// TestScarceMemory refuses new requests while memory is scarce. A stream under way
// goes on, and afterwards everything is as before.
func TestScarceMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var scarce atomic.Bool
		w := newWorld(t, one(), nil)
		w.gateway.deps.Scarce = func(time.Time) bool { return scarce.Load() }
		streamed := make(chan answer)
		go func() { streamed <- w.post(chat("500", `,"stream":true`)) }()
		time.Sleep(time.Second)
		scarce.Store(true)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gateway.test"+chatPath, strings.NewReader(chat("5", "")))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := w.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "1" || !resp.Close {
			t.Errorf("%s, closes %v, %v", resp.Status, resp.Close, resp.Header)
		}
		if got := <-streamed; got.status != 200 || !strings.HasSuffix(got.body, doneEvent) {
			t.Errorf("the stream under way got %d %.100s", got.status, got.body)
		}
		scarce.Store(false)
		w.want(w.post(chat("5", "")), 200)
		w.idle()
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), nil)
		w.gateway.deps.Scarce = func(time.Time) bool { return true }
		overloadedAnswer(w, w.post(chat("5", "")))
	})
}

// TestBufferBudget refuses a body that does not fit beside others for the moment, and
// one that never does.
func TestBufferBudget(t *testing.T) {
	const budget = 12 << 20
	body := `{"messages":[{"role":"user","content":"` + strings.Repeat("x", 2<<20) + `"}],"max_tokens":5}`
	limit := func(w *world) { w.cfg.Limits.BufferBytes = budget }
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), limit)
		w.gateway.buffers.Add(budget / 2)
		overloadedAnswer(w, w.post(body))
		if used := w.gateway.buffers.Used(); used != budget/2 {
			t.Errorf("%d bytes in use, want %d", used, budget/2)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), limit)
		w.want(w.post(body), 200)
		w.idle()
		if used := w.gateway.buffers.Used(); used != 0 {
			t.Errorf("%d bytes still in use", used)
		}
	})
	for _, announced := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, one(), limit)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gateway.test"+chatPath, strings.NewReader(strings.Repeat(" ", budget/2)))
			if err != nil {
				t.Fatal(err)
			}
			if !announced {
				req.ContentLength = -1
			}
			req.Header.Set("api-key", "demo")
			w.want(w.read(req), http.StatusRequestEntityTooLarge)
			w.idle()
		})
	}
}
