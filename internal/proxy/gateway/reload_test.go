package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
)

// TestReload replaces the configuration while streams run: they finish where
// they are, and new requests go by the new one.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, two(), nil)
		var running sync.WaitGroup
		got := make([]answer, 40)
		for i := range got {
			running.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				got[i] = w.post(chat("200", `,"stream":true`))
			})
		}
		time.Sleep(500 * time.Millisecond)
		next := w.cfg
		next.Pools = append(next.Pools[:0:0], next.Pools...)
		next.Pools[0].Pool.Tiers = [][]string{{"west"}}
		if err := w.gateway.Apply(next); err != nil {
			t.Fatal(err)
		}
		if d := w.post(chat("5", "")).header.Get("x-spillway-deployment"); d != "west" {
			t.Errorf("after the reload %q serves, want west", d)
		}
		running.Wait()
		for i, a := range got {
			if a.status != 200 || a.err != nil || !strings.HasSuffix(a.body, "data: [DONE]\n\n") || a.header.Get("x-spillway-deployment") != "east" {
				t.Errorf("stream %d: status %d, error %v, by %q", i, a.status, a.err, a.header.Get("x-spillway-deployment"))
			}
		}
		w.idle()
	})
}

// TestReloadRefused keeps the old configuration when the new one is wrong.
func TestReloadRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), nil)
		wrong := map[string]func(*Config){
			"no pools":       func(c *Config) { c.Pools = nil },
			"no upstream":    func(c *Config) { c.Upstreams = nil },
			"caller's class": func(c *Config) { c.Callers = []Caller{{Name: "x", Keys: []string{"k"}}} },
			"shared key": func(c *Config) {
				c.Callers = append(c.Callers, Caller{Name: "y", Keys: []string{"demo"}, Class: w.class})
			},
			"default pool":    func(c *Config) { c.DefaultPool = "none" },
			"unknown CA file": func(c *Config) { c.Upstreams = map[string]upstream.Config{"east": {CAFile: "/does/not/exist"}} },
			"two of one name": func(c *Config) {
				c.Pools = append(c.Pools, c.Pools[0])
				c.Pools[1].Pool.Name = "b"
				c.Pools[1].Pool.Models = []string{"gpt-4o-mini"}
			},
			"tier of a nobody": func(c *Config) {
				c.Pools = append(c.Pools[:0:0], c.Pools...)
				c.Pools[0].Pool.Tiers = [][]string{{"nobody"}}
			},
		}
		for name, change := range wrong {
			cfg := w.cfg
			change(&cfg)
			if err := w.gateway.Apply(cfg); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		w.want(w.post(chat("5", "")), 200)
		w.idle()
	})
}

// TestDrain waits for what is in flight, and no longer than it is told to.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), nil)
		done := make(chan answer)
		go func() { done <- w.post(chat("100", `,"stream":true`)) }()
		time.Sleep(200 * time.Millisecond)
		short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := w.gateway.Drain(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Drain = %v, want a deadline", err)
		}
		if err := w.gateway.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if n := w.gateway.InFlight(); n != 0 {
			t.Errorf("%d in flight after the drain", n)
		}
		w.want(<-done, 200)
		w.idle()
	})
}

// TestWaitForCapacity queues a request until a reservation has returned.
func TestWaitForCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deployment("east")
		d.MaxInFlight = 1
		w := newWorld(t, append(one()[:0], d), nil)
		var running sync.WaitGroup
		for range 3 {
			running.Go(func() { w.want(w.post(chat("50", "")), http.StatusOK) })
		}
		running.Wait()
		waited := 0
		for _, rec := range w.rec.records {
			if rec.Queue > 0 {
				waited++
			}
		}
		if waited != 2 {
			t.Errorf("%d requests waited, want 2: %+v", waited, w.rec.records)
		}
		w.idle()
	})
}

// TestOverload refuses more than the allowed number of requests.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), func(w *world) { w.cfg.Limits.MaxInFlight = 1 })
		done := make(chan answer)
		go func() { done <- w.post(chat("50", "")) }()
		time.Sleep(50 * time.Millisecond)
		got := w.post(chat("50", ""))
		w.want(got, 503)
		if got.header.Get("retry-after") == "" {
			t.Errorf("no retry-after in %v", got.header)
		}
		w.want(<-done, 200)
		w.idle()
	})
}

// TestAnonymous serves requests without a key when there is a class for them.
func TestAnonymous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), func(w *world) { w.cfg.AnonymousClass = &spillway.Class{Name: "public"} })
		w.want(w.post(chat("5", ""), "api-key", ""), 200)
		if rec := w.record(); rec.Class != "public" || rec.Caller != "anonymous" {
			t.Errorf("unexpected record: %+v", rec)
		}
		w.want(w.post(chat("5", ""), "api-key", "guess"), 401)
	})
}
