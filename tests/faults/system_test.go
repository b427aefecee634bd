//go:build linux

package faults

import (
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// clockRows are faults of time and of the processor.
var clockRows = []row{
	{
		id: "T1", fault: "the process is suspended for 3 s under load",
		want: "deadlines hold, nothing fails that had time left; all is served afterwards",
		run:  testSuspended,
	},
	{
		id: "T1-long", fault: "the wall clock jumps by an hour, forward and back",
		want: "no request fails or hangs; pauses, breakers and meters keep their pace",
		long: true, run: testClockJump,
	},
	{
		id: "T2", fault: "one processor, shared with endless loops", want: "deadlines hold, and the rest is served",
		run: testStarved,
	},
}

// storeRows are faults of a store that gateways share.
var storeRows = []row{
	{id: "R1", fault: "shared store is down", want: "local limits", absent: "no shared store: each gateway decides alone"},
	{id: "R2", fault: "shared store is slow or hangs", want: "local limits", absent: "no shared store: each gateway decides alone"},
	{id: "R3", fault: "shared store is partitioned, loses data", want: "local limits", absent: "no shared store: each gateway decides alone"},
}

// outputRows are faults of what the gateway depends on.
var outputRows = []row{
	{
		id: "O1", fault: "the disk of records and store is full",
		want: "requests are served, lost records counted; both recover without a restart",
		run:  testDiskFull,
	},
	{
		id: "O2", fault: "the collector is down, silent, or answers 429", want: "requests are served, lost records counted",
		run: testCollector,
	},
	{
		id: "O3", fault: "file descriptors exhausted",
		want: "503 or a closed connection for new clients, no hang; streams and the admin port go on; recovery",
		run:  testDescriptors,
	},
	{
		id: "O4", fault: "a container of 256 MiB with 5,000 streams", want: "503 with a retry-after before the limit; the process is not killed",
		long: true, run: func(t *testing.T, w *world) { manyStreams(t, w, 5000, 256<<20) },
	},
	{
		id: "O5", fault: "a panic while a request is served, in its handler or its attempt",
		want: "500 with an error and an id for that request alone; counters settle",
		long: true, run: testPanics,
	},
}

func testSuspended(t *testing.T, w *world) {
	a := w.peer(answers(20, 10*time.Millisecond))
	g := w.lanes(setup{window: 20 * time.Second}, a, w.peer(good()))
	w.wantOK("before", w.many(6, 3, turns), 1)
	var during sync.WaitGroup
	during.Go(func() {
		w.wantOK("while suspended", w.rate(20, time.Second, func(i int) ask { return ask{caller: callers[i%6], stream: i%2 == 0} }), 1)
	})
	wait(300 * time.Millisecond)
	if err := g.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	wait(3 * time.Second)
	if err := g.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	during.Wait()
	w.wantOK("afterwards", w.many(12, 3, turns), 1)
}

// testClockJump runs a gateway whose wall clock jumps a second after its start.
func testClockJump(t *testing.T, w *world) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		w.part(jump.String(), func(t *testing.T, w *world) {
			a, b := w.peer(inTurn(throttled("retry-after-ms: 4000\r\n"), good())), w.peer(good())
			w.start(setup{
				bin: brokenProgram(t), env: []string{fmt.Sprintf("CLOCK_JUMP=%d", int64(jump/time.Second))},
				lanes: []lane{{name: "a", peer: a, more: ", kind: provisioned, ptu: 100"}, {name: "b", peer: b}},
				store: true,
			})
			began := time.Now()
			w.wantServed(w.do(ask{tokens: 10}), "b")
			replies := w.rate(20, 8*time.Second, func(i int) ask { // larger than the refused one: none of them is a probe
				return ask{tokens: 1000, stream: i%2 == 0, window: time.Duration(1+i%5) * time.Second}
			})
			w.wantOK("across the jump", replies, 1)
			seen := a.seen()
			if len(seen) < 2 {
				t.Fatal("a is not used again after its pause")
			}
			if pause := seen[1].at.Sub(began); pause < 3*time.Second {
				t.Errorf("the jump ended a pause of 4 s after %v", pause)
			}
			jumped := 0
			for _, rec := range w.times() {
				if d := rec.Sub(began); d > 30*time.Minute || d < -30*time.Minute {
					jumped++
				}
			}
			if jumped == 0 || jumped == len(replies) {
				t.Errorf("%d of %d records are from after the jump: the clock did not jump", jumped, len(replies))
			}
		})
	}
}

func testStarved(t *testing.T, w *world) {
	a := w.peer(answers(10, 20*time.Millisecond))
	w.lanes(setup{window: 15 * time.Second, env: []string{"GOMAXPROCS=1"}}, a)
	var stop atomic.Bool
	var burning sync.WaitGroup
	for range 2 {
		burning.Go(func() {
			for x := 1.0; !stop.Load(); x = math.Sqrt(x + 1) {
			}
		})
	}
	replies := w.rate(50, 2*time.Second, func(i int) ask { return ask{caller: callers[i%6], stream: i%2 == 0} })
	stop.Store(true)
	burning.Wait()
	w.wantOK("beside endless loops", replies, 0.95) // the rest in time, which the invariants hold
}

// smallDisk mounts a file system of 2 MiB and returns its path.
func smallDisk(w *world) string {
	w.t.Helper()
	dir := w.t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=2m", "none", dir).CombinedOutput(); err != nil {
		w.skip("a full disk needs the right to mount: " + strings.TrimSpace(string(out)))
	}
	w.t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func testDiskFull(t *testing.T, w *world) {
	disk := smallDisk(w)
	w.noRecords = true // they are lost on purpose
	g := w.start(setup{
		lanes: []lane{{name: "a", peer: w.peer(good())}},
		more:  fmt.Sprintf("records: {dir: %q}\nstore: {dir: %q}\n", filepath.Join(disk, "records"), filepath.Join(disk, "store")),
	})
	dropped := func(output string) float64 {
		return sum(g.metrics(), "spillway_records_dropped_total", `output="`+output+`"`)
	}
	w.wantOK("before", w.many(5, 5, turns), 1)
	plug := filepath.Join(disk, "plug")
	f, err := os.Create(plug)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(zeros)
	}
	f.Close()
	eventually(t, patience, "lost records are counted", func() bool {
		w.wantOK("while the disk is full", w.many(20, 10, turns), 1)
		return dropped("file") > 0 && dropped("store") > 0
	})
	if err := os.Remove(plug); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "records are written again", func() bool {
		r := w.do(ask{})
		w.wantOK("afterwards", []*reply{r}, 1)
		wait(600 * time.Millisecond) // a batch's time
		text, _ := os.ReadFile(filepath.Join(disk, "records", "records.jsonl"))
		return strings.Contains(string(text), r.get("x-spillway-request-id"))
	})
}

func testCollector(t *testing.T, w *world) {
	for name, collector := range map[string]func(*askSeen) script{
		"silent": silent(),
		"429":    fails(429, "Retry-After: 1\r\n", ""),
		"resets": always(reset()),
		"junk":   fails(200, jsonType, "<html>"),
	} {
		w.part(name, func(t *testing.T, w *world) {
			sink := newPeer(t, collector)
			a := w.peer(good())
			g := w.start(setup{
				server: "drain_timeout: 2s",
				lanes:  []lane{{name: "a", peer: a}},
				more:   fmt.Sprintf("otlp: {endpoint: %q, protocol: http, queue: 20, timeout: 500ms, interval: 1s}\n", sink.url()),
			})
			w.wantOK("beside a broken collector", w.many(200, 10, turns), 1)
			if name == "silent" {
				eventually(t, 2*patience, "lost records are counted", func() bool {
					w.wantOK("beside a broken collector", w.many(50, 10, turns), 1)
					return sum(g.metrics(), "spillway_records_dropped_total", `output="otlp"`) > 0
				})
			}
			if sink.count() == 0 {
				t.Error("the collector got nothing")
			}
			sink.close()
			w.wantOK("without a collector", w.many(50, 10, turns), 1)
		})
	}
}

func testDescriptors(t *testing.T, w *world) {
	a := w.peer(func(r *askSeen) script {
		if strings.Contains(r.body, `"long"`) {
			return answers(100, 50*time.Millisecond)(r)
		}
		return good()(r)
	})
	g := w.start(setup{
		server:  "header_timeout: 2m", // the idle connections stay
		command: []string{"sh", "-c", `ulimit -n 256 && exec "$0" "$@"`},
		lanes:   []lane{{name: "a", peer: a}},
	})
	stream := w.open(ask{stream: true, extra: `,"user":"long"`})
	stream.head()
	var held []*exchange
	for range 300 {
		held = append(held, w.dial())
	}
	admin := make(chan int, 1)
	go func() { status, _, _ := g.get("/readyz"); admin <- status }()
	select {
	case status := <-admin:
		if status != 200 {
			t.Errorf("/readyz returned %d without descriptors", status)
		}
	case <-time.After(patience):
		t.Error("the admin port hangs without descriptors")
	}
	refused := 0
	for range 5 {
		x := w.openRaw((&ask{}).bytes(w))
		_ = x.conn.SetReadDeadline(time.Now().Add(8 * time.Second))
		room := make([]byte, 512)
		n, err := x.conn.Read(room)
		switch {
		case n > 0 && strings.Contains(string(room[:n]), " 503 "), err == io.EOF, err != nil && strings.Contains(err.Error(), "reset"):
			refused++
		case n > 0 && strings.Contains(string(room[:n]), " 200 "):
		default:
			t.Errorf("a new client hangs or gets %q, %v", room[:n], err)
		}
		x.r.left = true
		x.conn.Close()
	}
	if r := stream.rest(); !r.ok() {
		t.Errorf("a stream under way: %s", r)
	}
	for _, x := range held {
		x.conn.Close()
	}
	eventually(t, patience, "served again", func() bool { return w.do(ask{window: time.Second}).ok() })
}

// needFiles skips the row where a process may have fewer descriptors open.
func needFiles(w *world, n int) {
	w.t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < uint64(n) {
		w.skip(fmt.Sprintf("needs %d file descriptors, has %d", n, limit.Cur))
	}
}

// memoryGroup makes a control group with a memory limit, and returns the
// command that runs a program in it.
func memoryGroup(w *world, limit int) []string {
	w.t.Helper()
	root, file := "/sys/fs/cgroup", "memory.max"
	if _, err := os.Stat(filepath.Join(root, "memory", "memory.limit_in_bytes")); err == nil {
		root, file = filepath.Join(root, "memory"), "memory.limit_in_bytes"
	}
	dir := filepath.Join(root, fmt.Sprintf("spillway-faults-%d-%d", os.Getpid(), marks.Add(1)))
	if err := os.Mkdir(dir, 0o755); err != nil {
		w.skip("a memory limit needs a control group: " + err.Error())
	}
	w.t.Cleanup(func() { _ = os.Remove(dir) })
	if err := os.WriteFile(filepath.Join(dir, file), fmt.Append(nil, limit), 0o644); err != nil {
		w.skip("a memory limit needs a control group: " + err.Error())
	}
	return []string{"sh", "-c", `echo $$ > "$0" && exec "$@"`, filepath.Join(dir, "cgroup.procs")}
}

// manyStreams opens streams in a container of a size.
func manyStreams(t *testing.T, w *world, n, limit int) {
	needFiles(w, 2*n+200)
	w.memory = limit
	gate := make(chan struct{})
	a := w.peer(nil)
	a.plays(func(r *askSeen) script {
		if r.read().Stream {
			return script{send(streamHead + chunk(delta("one "))), await(gate), send(chunk(finish("stop")) + chunk(done) + lastChunk)}
		}
		return good()(r)
	})
	g := w.start(setup{
		command: memoryGroup(w, limit), window: time.Minute,
		server: "heartbeat: 5m", class: "silence_timeout: 5m", lanes: []lane{{name: "a", peer: a}},
	})
	var streams []*exchange
	refused := 0
	for range n {
		x := w.open(ask{stream: true})
		if x.head(); x.r.status == 503 {
			refused++
			if x.r.get("retry-after") == "" {
				t.Errorf("a 503 without a retry-after: %s", x.r)
			}
			x.rest()
			continue
		}
		streams = append(streams, x)
		if !g.running() {
			t.Fatalf("killed with %d streams", len(streams))
		}
	}
	w.note = fmt.Sprintf(" (%d of %d streams in %d MiB, %.0f MiB used)", len(streams), n, limit>>20, g.memory("VmHWM")/(1<<20))
	close(gate)
	for _, x := range streams {
		if r := x.rest(); !r.ok() {
			t.Fatalf("an accepted stream: %s", r)
		}
	}
	eventually(t, patience, "served again", func() bool { return w.do(ask{}).ok() })
}

// times are the times of the records.
func (w *world) times() (list []time.Time) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.gateway.dir, "records", "records.jsonl"))
	if err != nil {
		w.t.Error(err)
	}
	for line := range strings.Lines(string(text)) {
		_, rest, _ := strings.Cut(line, `"time":"`)
		stamp, _, _ := strings.Cut(rest, `"`)
		if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
			list = append(list, at)
		}
	}
	return list
}
