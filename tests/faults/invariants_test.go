//go:build linux

package faults

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// world is one row's gateway, peers and clients, with what they saw.
type world struct {
	t       testing.TB
	gateway *gateway
	peers   []*peer
	window  time.Duration // of requests that are not streamed
	skipped string        // why the row could not run
	note    string        // what the table says besides the result
	ended   bool          // the invariants were held

	// What a row may excuse, because its fault makes it unobservable.
	noRecords   bool // records cannot be written, or are sampled
	ownErrors   bool // the row compares errors itself
	noRecovery  bool // the process cannot be asked or stopped in order
	panics      bool // the row makes the gateway panic
	exit        int  // expected exit status
	maxAttempts int  // of one request; 0 is the default
	memory      int  // how much the process may grow; 0 is the default
	pipelined   int  // requests sent behind another one, which may have a record

	mu        sync.Mutex
	replies   []*reply
	exchanges []*exchange
}

// skip ends the row, because this machine cannot run it.
func (w *world) skip(why string) {
	w.t.Helper()
	w.skipped = why
	w.t.Skip(why)
}

// part runs a part of the row with a gateway of its own, beside the others.
func (w *world) part(name string, run func(t *testing.T, w *world)) {
	w.t.Helper()
	w.t.(*testing.T).Run(name, func(t *testing.T) {
		t.Parallel()
		v := &world{t: t}
		defer v.end()
		t.Cleanup(func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.note += v.note; v.skipped != "" {
				w.note += fmt.Sprintf(" (not run: %s: %s)", name, v.skipped)
			}
		})
		run(t, v)
	})
}

// peer starts a peer that belongs to the world.
func (w *world) peer(onAsk func(*askSeen) script) *peer {
	w.t.Helper()
	p := newPeer(w.t, onAsk)
	w.peers = append(w.peers, p)
	return p
}

// start starts the gateway.
func (w *world) start(s setup) *gateway {
	w.t.Helper()
	if s.window == 0 {
		s.window = 20 * time.Second
	}
	w.window = s.window
	w.gateway = startGateway(w.t, &s)
	return w.gateway
}

// lanes starts the gateway with peers as lanes a, b and so on.
func (w *world) lanes(s setup, peers ...*peer) *gateway {
	w.t.Helper()
	for i, p := range peers {
		s.lanes = append(s.lanes, lane{name: string(rune('a' + i)), peer: p})
	}
	return w.start(s)
}

// record is what the harness reads of a record.
type record struct {
	ID       string
	Caller   string
	Outcome  string
	Refusal  string
	Spill    string
	Status   int
	Finish   string
	Attempts []struct {
		Deployment string
		Failure    string
		Status     int
		Retry      float64 `json:"retry_after_ms"`
	}
	Usage struct {
		Prompt     int64 `json:"prompt_tokens"`
		Completion int64 `json:"completion_tokens"`
		Known      bool
	}
}

// records reads the records written so far.
func (w *world) records() []record {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.gateway.dir, "records", "records.jsonl*"))
	if err != nil {
		w.t.Fatal(err)
	}
	var list []record
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			w.t.Error(err)
			continue
		}
		for lines := bufio.NewReader(f); ; {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				break // a torn line does not count yet
			}
			var r record
			if err := json.Unmarshal(line, &r); err != nil {
				w.t.Errorf("not a record: %q: %v", line, err)
			}
			list = append(list, r)
		}
		f.Close()
	}
	return list
}

// recordOf waits for the record of a reply.
func (w *world) recordOf(r *reply) record {
	w.t.Helper()
	var found record
	eventually(w.t, patience, "a record of "+r.mark, func() bool {
		for _, rec := range w.records() {
			if rec.ID == r.get("x-spillway-request-id") {
				found = rec
				return true
			}
		}
		return false
	})
	return found
}

// end holds the invariants that are visible from outside, and stops the
// gateway. It runs after each row.
func (w *world) end() {
	g := w.gateway
	if g == nil || w.skipped != "" || w.ended {
		return
	}
	w.ended = true
	w.t.Helper()
	for _, x := range w.exchanges {
		x.conn.Close()
	}
	metrics := ""
	if !g.stopped && !w.noRecovery {
		if !g.running() {
			w.t.Errorf("the gateway ended by itself: %v", g.cmd.ProcessState)
			return
		}
		w.settled()
		w.small()
		_, metrics, _ = g.get("/metrics")
		w.released()
		if code := g.stop(); code != w.exit {
			w.t.Errorf("exit status %d, want %d", code, w.exit)
		}
	}
	w.answered()
	w.attempted()
	if !w.noRecords {
		w.recorded()
	}
	w.secrets(metrics)
	if text := g.out.text(); !w.panics && strings.Contains(text, "panic") || strings.Contains(text, "fatal error") {
		w.t.Error("I9: the gateway panicked")
	}
}

// settled holds I4 and the gauge of I5: nothing is in flight or reserved once
// the clients have gone.
func (w *world) settled() {
	w.t.Helper()
	var last status
	eventually(w.t, patience, "I4, I5: nothing in flight", func() bool {
		last = w.gateway.status()
		busy := last.InFlight
		for _, p := range last.Pools {
			for _, d := range p.Deployments {
				busy += d.InFlight
			}
		}
		return busy == 0
	})
}

// small holds I6: memory is bounded by the requests in flight.
func (w *world) small() {
	w.t.Helper()
	most := 64<<20 + 256<<10*len(w.exchanges)
	if w.memory > 0 {
		most = w.memory
	}
	if grown := w.gateway.memory("VmHWM") - w.gateway.idle.memory; grown > float64(most) {
		w.t.Errorf("I6: memory grew by %.0f MiB, at most %d expected", grown/(1<<20), most>>20)
	}
}

// slack is what a gateway may hold besides its baseline: the connection that
// asks, and goroutines of the runtime.
const slack = 8

// released holds I5: goroutines and descriptors return to the baseline.
func (w *world) released() {
	w.t.Helper()
	var now load
	ok := eventually(quiet{w.t}, patience, "", func() bool {
		for _, p := range w.peers {
			p.hangUpAll() // the gateway may keep idle connections, but not these
		}
		now = w.gateway.load()
		return now.goroutines <= w.gateway.idle.goroutines+slack && now.fds <= w.gateway.idle.fds+slack
	})
	if !ok {
		w.t.Errorf("I5: %d goroutines and %d descriptors, %d and %d at the start",
			now.goroutines, now.fds, w.gateway.idle.goroutines, w.gateway.idle.fds)
	}
}

// quiet is a test that does not fail, for a condition whose caller says more.
type quiet struct{ testing.TB }

// Errorf does nothing.
func (quiet) Errorf(string, ...any) {}

// lateness is how much later than its deadline a response may come on a busy
// machine, besides the 250 ms of I8.
const lateness = 5 * time.Second

// wordNumber finds the words of good deployments.
var wordNumber = regexp.MustCompile(`word(\d+) `)

// inOrder holds I7 for the words of a good deployment.
func (w *world) inOrder(r *reply) {
	w.t.Helper()
	for i, found := range wordNumber.FindAllStringSubmatch(r.body, -1) {
		if found[1] != strconv.Itoa(i) {
			w.t.Errorf("I7: word %s in the place of %d: %s", found[1], i, r)
			return
		}
	}
}

// answered holds I7, I8 and I9: answers are in order and in time, and errors
// have a shape and an id.
func (w *world) answered() {
	w.t.Helper()
	for _, r := range w.replies {
		if r.left || r.status == 0 {
			continue
		}
		w.inOrder(r)
		if r.late > 0 && r.took > r.late+250*time.Millisecond+lateness {
			w.t.Errorf("I8: a window of %v, but %s", r.late, r)
		}
		if r.status < 400 || w.ownErrors || r.mark == "" {
			continue
		}
		var e struct {
			Error *struct {
				Code    *string
				Message string
			}
		}
		if err := json.Unmarshal([]byte(r.body), &e); err != nil || e.Error == nil || e.Error.Message == "" {
			w.t.Errorf("I9: not an error object: %s", r)
		}
		if r.get("x-spillway-request-id") == "" {
			w.t.Errorf("I9: no request id: %s", r)
		}
	}
}

// attempted holds I2 and I3 by what the peers saw: a response that was
// delivered is the last attempt, and attempts are bounded.
func (w *world) attempted() {
	w.t.Helper()
	bound := 4
	if w.maxAttempts > 0 {
		bound = w.maxAttempts
	}
	tries := map[string][]*askSeen{}
	for _, p := range w.peers {
		for _, a := range p.seen() {
			if mark := a.mark(); strings.HasPrefix(mark, "mark") {
				tries[mark] = append(tries[mark], a)
			}
		}
	}
	for _, r := range w.replies {
		list := tries[r.mark]
		if len(list) > bound+1 { // one more is a repeat on a fresh connection
			w.t.Errorf("I3: %d attempts, at most %d expected: %s", len(list), bound, r)
		}
		by := r.get("x-spillway-deployment")
		if r.status != 200 || by == "" || r.mark == "" {
			continue
		}
		var last, delivered time.Time
		for _, a := range list {
			if a.at.After(last) {
				last = a.at
			}
			if strings.Contains(a.target, "/deployments/"+by+"/") && a.at.After(delivered) {
				delivered = a.at
			}
		}
		if last.After(delivered) {
			w.t.Errorf("I2: an attempt after the one that was delivered: %s", r)
		}
	}
}

// recorded holds I1: one record for each answer, and none twice.
func (w *world) recorded() {
	w.t.Helper()
	count := map[string]int{}
	for _, rec := range w.records() {
		if rec.Outcome == "unknown" || rec.Outcome == "" {
			w.t.Errorf("I1: a record without an outcome: %+v", rec)
		}
		count[rec.ID]++
	}
	lost := w.pipelined
	for _, r := range w.replies {
		id := r.get("x-spillway-request-id")
		if id == "" {
			lost++
			continue
		}
		if count[id] != 1 {
			w.t.Errorf("I1: %d records of %s: %s", count[id], id, r)
		}
		delete(count, id)
	}
	extra := 0
	for id, n := range count {
		if n > 1 {
			w.t.Errorf("I1: %d records of %s", n, id)
		}
		extra++
	}
	if extra > lost {
		w.t.Errorf("I1: %d records of requests that nobody sent", extra-lost)
	}
}

// secrets holds I11: no key and no prompt in any output.
func (w *world) secrets(metrics string) {
	w.t.Helper()
	outputs := map[string]string{"output": w.gateway.out.text(), "metrics": metrics}
	files, _ := filepath.Glob(filepath.Join(w.gateway.dir, "records", "*"))
	for _, name := range files {
		text, _ := os.ReadFile(name)
		outputs[filepath.Base(name)] = string(text)
	}
	for i, r := range w.replies {
		outputs[fmt.Sprintf("reply %d", i)] = fmt.Sprint(r.header, r.body, r.trailer)
	}
	for where, text := range outputs {
		for _, secret := range append([]string{prompt, "upstream-credential-of-"}, keys()...) {
			if strings.Contains(text, secret) {
				w.t.Errorf("I11: the %s holds %q", where, secret)
			}
		}
	}
}

func keys() (list []string) {
	for _, c := range callers {
		list = append(list, key(c))
	}
	return list
}
