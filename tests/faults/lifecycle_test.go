//go:build linux

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lifecycleRows are faults of configuration, shutdown and restart.
var lifecycleRows = []row{
	{
		id: "L1", fault: "an invalid configuration: syntax, unknown deployment, no PTUs, a missing secret",
		want: "the old one stays in force, the metric says so, no request fails",
		run:  testBadReload,
	},
	{
		id: "L2", fault: "a reload every 200 ms under load, that removes and adds a deployment",
		want: "no request fails; streams under way end where they began",
		run:  testReloads,
	},
	{
		id: "L3", fault: "SIGTERM under load, with `shutdown_delay`",
		want: "not ready at once; new connections are served for the delay; streams end; exit status 0, no record lost",
		run:  testShutdown,
	},
	{
		id: "L3-cut", fault: "SIGTERM with a stream that does not end in `drain_timeout`",
		want: "it gets its last chunk or an error event; exit status 0; its record is written",
		run:  testCutDrain,
	},
	{
		id: "L4", fault: "SIGKILL under load; a torn record, a bit-flip in the store",
		want: "starts again, loses less than the last second, doubles nothing",
		run:  testKill,
	},
	{
		id: "L5", fault: "a restart with and without learned state",
		want: "budgets by measured speed are restored; without a store, the published speed",
		run:  testRestart,
	},
}

func testBadReload(t *testing.T, w *world) {
	s := setup{lanes: []lane{{name: "a", peer: w.peer(good())}, {name: "b", peer: w.peer(good())}}, window: 20 * time.Second}
	g := w.start(s)
	text := s.yaml(g.dir)
	for name, bad := range map[string]string{
		"syntax":             text + "\n  : [",
		"unknown option":     text + "no_such_option: 1\n",
		"unknown deployment": strings.Replace(text, "tiers: [[a]", "tiers: [[zz]", 1),
		"no PTUs":            strings.Replace(text, "model: gpt-4o-mini", "model: gpt-4o-mini, kind: provisioned", 1),
		"missing secret":     strings.Replace(text, upstreamKey("a"), "${env:NO_SUCH_VARIABLE}", 1),
		"missing file":       strings.Replace(text, upstreamKey("a"), "${file:/no/such/file}", 1),
		"empty":              "",
		"a deployment twice": strings.Replace(text, "tiers: [[a], [b]]", "tiers: [[a], [a]]", 1),
		"not UTF-8":          text + "\xff\xfe",
		"an alias bomb":      "x-a: &a [1,1,1,1,1,1,1,1]\nx-b: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nx-c: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nx-d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\nx-e: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nx-f: &f [*e,*e,*e,*e,*e,*e,*e,*e]\nx-g: [*f,*f,*f,*f,*f,*f,*f,*f]\n",
	} {
		before := g.status().Policy.Reloads
		g.reload(bad)
		eventually(t, patience, name+": the reload is refused", func() bool {
			w.wantOK(name, []*reply{w.do(turns(0))}, 1)
			return sum(g.metrics(), "spillway_config_last_reload_successful") == 0
		})
		if n := g.status().Policy.Reloads; n != before {
			t.Errorf("%s: reloaded", name)
		}
		g.reload(text + "# " + name + "\n")
		eventually(t, patience, name+": the good one is loaded", func() bool {
			return sum(g.metrics(), "spillway_config_last_reload_successful") == 1
		})
	}
	w.wantServed(w.do(ask{}), "a")
}

func testReloads(t *testing.T, w *world) {
	a, b := w.peer(answers(60, 50*time.Millisecond)), w.peer(good())
	both := setup{lanes: []lane{{name: "a", peer: a}, {name: "b", peer: b}}, window: 20 * time.Second}
	one := setup{lanes: []lane{{name: "b", peer: b}}, window: 20 * time.Second}
	g := w.start(both)
	var streams sync.WaitGroup
	for range 3 {
		streams.Go(func() { w.wantServed(w.do(ask{stream: true}), "a") })
	}
	eventually(t, patience, "streams are at a", func() bool { return a.count() == 3 })
	a.plays(good())
	stop := make(chan struct{})
	reloads := 0
	var reloading sync.WaitGroup
	reloading.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			s := both
			if i%2 == 0 {
				s = one
			}
			g.reload(s.yaml(g.dir) + fmt.Sprintf("# %d\n", i))
			if i%5 == 0 {
				_ = g.cmd.Process.Signal(syscall.SIGHUP) // checked by what follows
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
	w.wantOK("during reloads", w.rate(60, 3*time.Second, func(i int) ask { return ask{caller: callers[i%6], stream: i%3 == 0} }), 1)
	close(stop)
	reloading.Wait()
	streams.Wait()
	if reloads = g.status().Policy.Reloads; reloads < 5 {
		t.Errorf("only %d reloads", reloads)
	}
}

// delay is the option for the time that load balancers get.
const delay = "shutdown_delay: 1s"

func testShutdown(t *testing.T, w *world) {
	a := w.peer(answers(40, 50*time.Millisecond))
	g := w.lanes(setup{server: delay + ", drain_timeout: 20s"}, a)
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			w.wantOK("under way at SIGTERM", []*reply{w.do(ask{stream: i%2 == 0, caller: callers[i%6]})}, 1)
		})
	}
	eventually(t, patience, "requests are under way", func() bool { return a.count() == 8 })
	a.plays(good())
	keep := w.dial() // a connection that is idle
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "not ready", func() bool {
		status, _, err := g.get("/readyz")
		return err == nil && status == 503
	})
	replies := w.many(10, 2, turns)
	w.wantOK("during the delay", replies, 1)
	for _, r := range replies {
		if !strings.EqualFold(r.get("connection"), "close") {
			t.Errorf("no Connection: close during the delay: %v", r.header)
			break
		}
	}
	running.Wait()
	if code := g.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	keep.conn.Close()
	if n := len(w.records()); n != 18 {
		t.Errorf("%d records of 18 requests", n)
	}
}

func testCutDrain(t *testing.T, w *world) {
	a := w.peer(answers(100000, 20*time.Millisecond))
	g := w.lanes(setup{server: "drain_timeout: 1s", window: time.Minute}, a)
	stream, sync := w.open(ask{stream: true}), w.open(ask{})
	stream.head()
	eventually(t, patience, "both are under way", func() bool { return a.count() == 2 })
	wait(200 * time.Millisecond)
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if r := stream.rest(); r.err != nil || !strings.Contains(r.body, "[DONE]") && !strings.Contains(r.body, `"error"`) {
		t.Errorf("the stream: %s", r)
	}
	if r := sync.rest(); r.status != 200 && r.status != 503 || r.err != nil {
		t.Errorf("the response that is not streamed: %s", r)
	}
	if code := g.wait(); code != 0 {
		t.Errorf("exit status %d, although every request got an answer", code)
	}
	if n := len(w.records()); n != 2 {
		t.Errorf("%d records of 2 requests", n)
	}
}

func testKill(t *testing.T, w *world) {
	a := w.peer(good())
	s := setup{lanes: []lane{{name: "a", peer: a}}, store: true}
	g := w.start(s)
	w.rate(100, 2*time.Second, turns)
	killed := time.Now()
	_ = g.cmd.Process.Kill() // checked by wait
	g.wait()
	w.noRecords = true // the last ones may be lost
	have := map[string]int{}
	for _, rec := range w.records() {
		have[rec.ID]++
	}
	for _, r := range w.replies {
		if id := r.get("x-spillway-request-id"); have[id] == 0 && r.sent.Add(r.took).Before(killed.Add(-time.Second)) {
			t.Errorf("the record of a request that ended %v before the kill is lost", killed.Sub(r.sent))
		}
	}

	// Tear the last record, and flip a bit at the end of the store's tail.
	file := filepath.Join(g.dir, "records", "records.jsonl")
	text, err := os.ReadFile(file)
	if err != nil || len(text) < 20 {
		t.Fatalf("records: %d bytes, %v", len(text), err)
	}
	if err := os.WriteFile(file, text[:len(text)-9], 0o640); err != nil {
		t.Fatal(err)
	}
	tails, _ := filepath.Glob(filepath.Join(g.dir, "store", "tail-*.log"))
	if len(tails) == 0 {
		t.Fatal("the store has no tail")
	}
	tail, err := os.ReadFile(tails[0])
	if err != nil || len(tail) == 0 {
		t.Fatalf("tail: %d bytes, %v", len(tail), err)
	}
	tail[len(tail)-5] ^= 0x10
	if err := os.WriteFile(tails[0], append(tail, "torn"...), 0o640); err != nil {
		t.Fatal(err)
	}

	again := &world{t: t, peers: []*peer{a}}
	s.keep = g.dir
	again.noRecords = true
	again.start(s)
	replies := again.many(10, 2, turns)
	again.wantOK("after the restart", replies, 1)
	again.end()
	text, err = os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for line := range strings.Lines(string(text)) {
		_, rest, _ := strings.Cut(line, `"id":"`)
		id, _, _ := strings.Cut(rest, `"`)
		if seen[id]++; id != "" && seen[id] > 1 {
			t.Errorf("the record %s twice", id)
		}
	}
	for _, r := range replies {
		if seen[r.get("x-spillway-request-id")] != 1 {
			t.Errorf("no record of %s", r)
		}
	}
}

func testRestart(t *testing.T, w *world) {
	a := w.peer(answers(30, 2*time.Millisecond))
	s := setup{
		lanes: []lane{{name: "a", peer: a}}, store: true, window: 30 * time.Second,
		budget: "mode: clamp", more: "speed: {min_samples: 20}\n",
	}
	granted := func(w *world) int {
		n, err := strconv.Atoi(w.do(ask{tokens: 16000}).get("x-spillway-granted-tokens"))
		if err != nil {
			t.Errorf("no granted tokens: %v", err)
		}
		return n
	}
	w.start(s)
	cold := granted(w)
	if cold < 800 || cold > 1000 { // 33 tokens/s, less 2 s to the first one
		t.Errorf("a cold gateway grants %d tokens in 30 s", cold)
	}
	w.wantOK("while it learns", w.many(60, 6, turns), 1)
	warm := granted(w)
	if 10*warm < 12*cold {
		t.Errorf("after 60 fast responses: %d tokens, %d before", warm, cold)
	}
	w.end()

	again := &world{t: t, peers: []*peer{a}}
	s.keep = w.gateway.dir
	again.noRecords = true // the directory has those of the first gateway
	again.start(s)
	if n := granted(again); 10*n < 12*cold {
		t.Errorf("after a restart: %d tokens, %d before", n, warm)
	}
	again.end()

	other := &world{t: t, peers: []*peer{a}}
	s.keep, s.store = "", false
	other.start(s)
	if n := granted(other); n != cold {
		t.Errorf("without a store: %d tokens, want %d", n, cold)
	}
	other.end()
}
