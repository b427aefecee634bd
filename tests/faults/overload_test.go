//go:build linux

package faults

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// overloadRows are faults of a whole system.
var overloadRows = []row{
	{
		id: "X1", fault: "8 s of 503 for half of the requests at twice the load, with retrying clients; then normal",
		want: "at least 99% within 10 s after the fault",
		run:  func(t *testing.T, w *world) { metastable(t, w, 8*time.Second) },
	},
	{
		id: "X1-long", fault: "the same for 60 s", want: "at least 99% within 30 s after the fault", long: true,
		run: func(t *testing.T, w *world) { metastable(t, w, time.Minute) },
	},
	{
		id: "X2", fault: "every deployment becomes three times as slow",
		want: "budgets shrink, infeasible requests get a 400 that says what fits, no 408",
		run:  testSlower,
	},
	{
		id: "X3", fault: "the deployment that traffic spills to is full too; an endpoint that is the gateway itself",
		want: "each deployment is tried once, then 429; a loop is refused with its own error",
		run:  testSpillTarget,
	},
}

// randomly plays one of two scripts by chance; exactly a share of each twenty
// requests fails.
func randomly(share float64, seed uint64, fault, otherwise func(*askSeen) script) func(*askSeen) script {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 1))
	var block []bool
	return func(r *askSeen) script {
		mu.Lock()
		if len(block) == 0 {
			for i := range 20 {
				block = append(block, float64(i) < 20*share)
			}
			random.Shuffle(len(block), func(i, j int) { block[i], block[j] = block[j], block[i] })
		}
		fails := block[0]
		block = block[1:]
		mu.Unlock()
		if fails {
			return fault(r)
		}
		return otherwise(r)
	}
}

// retrying is a client that tries three times, as an SDK does.
func (w *world) retrying(a ask) *reply {
	var r *reply
	for try := range 3 {
		if try > 0 {
			wait(time.Duration(try) * 200 * time.Millisecond)
			a.header = []string{"x-stainless-retry-count: " + string(rune('0'+try))}
			a.mark = ""
		}
		if r = w.do(a); r.ok() || r.status == 400 || r.get("x-should-retry") == "false" {
			break
		}
	}
	return r
}

func metastable(t *testing.T, w *world, span time.Duration) {
	fault := unavailable()
	fine := answers(5, 2*time.Millisecond)
	a, b := w.peer(randomly(0.5, 1, fault, fine)), w.peer(randomly(0.5, 2, fault, fine))
	w.lanes(setup{window: 5 * time.Second}, a, b)
	var storm sync.WaitGroup
	during := func(perSecond float64, span time.Duration) {
		tick := time.NewTicker(time.Duration(float64(time.Second) / perSecond))
		defer tick.Stop()
		for i := range int(perSecond * span.Seconds()) {
			storm.Go(func() { w.retrying(turns(i)) })
			<-tick.C
		}
	}
	during(40, span)
	before := a.count() + b.count()
	a.plays(fine)
	b.plays(fine)
	recovery := 10 * time.Second
	if span > 30*time.Second {
		recovery = 30 * time.Second
	}
	first := w.rate(20, recovery, turns)
	w.wantOK("I12: after the fault", w.rate(20, 3*time.Second, turns), 0.99)
	storm.Wait()
	lost := 0
	for i, r := range first {
		if !r.ok() {
			lost = i + 1
		}
	}
	t.Logf("%d upstream requests during the fault; the last failure %.1f s after it", before, float64(lost)/20)
}

func testSlower(t *testing.T, w *world) {
	fast, slow := answers(30, 3*time.Millisecond), answers(30, 30*time.Millisecond)
	a := w.peer(fast)
	w.lanes(setup{window: 10 * time.Second, budget: "mode: reject", more: "speed: {min_samples: 20, decay: 2s}\n"}, a)
	w.wantOK("while fast", w.many(60, 6, turns), 1)
	w.wantOK("600 tokens while fast", w.many(3, 1, func(int) ask { return ask{tokens: 600} }), 1)
	a.plays(slow)
	replies := w.rate(15, 6*time.Second, turns)
	w.wantOK("while slow", replies, 1)
	r := w.do(ask{tokens: 600})
	if r.status != 400 || !strings.Contains(r.body, "tokens can") {
		t.Errorf("600 tokens take 18 s at the new speed, but: %s", r)
	}
	w.wantOK("100 tokens while slow", []*reply{w.do(ask{tokens: 100})}, 1)
}

func testSpillTarget(t *testing.T, w *world) {
	w.part("full", func(t *testing.T, w *world) {
		a, b := w.peer(throttled("retry-after-ms: 20000\r\n")), w.peer(throttled("retry-after-ms: 20000\r\n"))
		w.lanes(setup{}, a, b)
		for i := range 4 {
			r := w.do(ask{window: time.Second, caller: callers[i]})
			w.wantStatus(r, 429)
		}
		// The first is refused for itself perhaps, the second confirms that, and a third
		// caller finds out whether others are refused too.
		if a.count() > 3 || b.count() > 3 {
			t.Errorf("%d and %d requests at full deployments", a.count(), b.count())
		}
	})
	w.part("other model", func(t *testing.T, w *world) {
		w.ownErrors = true
		body := errorBody("DeploymentNotFound", "The API deployment for this resource does not exist.")
		a, b := w.peer(throttled("retry-after-ms: 20000\r\n")), w.peer(fails(404, jsonType, body))
		w.lanes(setup{}, a, b)
		r := w.do(ask{window: time.Second})
		if r.status != 404 && r.status != 429 {
			t.Errorf("want the error of one of the deployments: %s", r)
		}
	})
	w.part("loop", func(t *testing.T, w *world) {
		addr := freePort(t)
		w.noRecords = true // each pass has a record of its own
		w.start(setup{
			listen: addr, server: "idle_timeout: 1s", // its connections to itself end soon
			lanes: []lane{{name: "m", url: "http://" + addr, key: key("bob")}}, // its path names the pool m again
		})
		r := w.do(ask{})
		if r.status < 400 || r.code() == "" || r.get("x-should-retry") != "false" {
			t.Errorf("want an error that says so: %s", r)
		}
		if r.took > patience {
			t.Errorf("the loop ran for %v", r.took)
		}
	})
}
