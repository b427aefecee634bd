//go:build linux

package faults

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// networkRows are faults of connections.
var networkRows = []row{
	{
		id: "N1", fault: "connection refused, or reset before the headers",
		want: "the other deployment answers; a reset on a reused connection is repeated at once on a fresh one and says nothing about the deployment",
		run:  testRefusedConnections,
	},
	{
		id: "N2", fault: "reset after the headers, before the body", want: "the other deployment answers",
		run: func(t *testing.T, w *world) { elsewhere(w, send(streamHead), pause(20*time.Millisecond), reset()) },
	},
	{
		id: "N3", fault: "reset in the middle of a JSON response",
		want: "the other deployment answers; when all do so, a 5xx with an error, and nothing of the broken response",
		run:  testHalfResponse,
	},
	{
		id: "N4", fault: "reset, or end of the connection, in the middle of a stream",
		want: "what came is forwarded, then an error event, no [DONE]; outcome `partial`, usage not known",
		run:  testHalfStream,
	},
	{
		id: "N5", fault: "silence after the headers",
		want: "the other deployment answers before the deadline; with `sync: pass` a response that is not streamed says nothing until it is whole, so it gets 408",
		run:  testSilence,
	},
	{
		id: "N6", fault: "silence in the middle of a stream",
		want: "heartbeats to the client; after the configured silence an error event; outcome `partial`, upstream canceled",
		run:  testSilentStream,
	},
	{
		id: "N7", fault: "a token every 200 ms", want: "a valid partial response at the deadline, `finish_reason: length`",
		run: testTrickle,
	},
	{
		id: "N8", fault: "black hole: SYN dropped, or a pooled connection that is dead",
		want: "the other deployment answers, later requests skip it; a dead pooled connection fails no request",
		run:  testBlackHoles,
	},
	{
		id: "N9", fault: "DNS: NXDOMAIN, SERVFAIL, a silent resolver",
		want: "the other deployment answers; addresses that were known are used while the resolver fails",
		run:  testResolvers,
	},
	{
		id: "N10", fault: "TLS: expired, wrong name, unknown authority, hanging handshake, no TLS",
		want: "nothing is sent; the other deployment answers, the breaker opens; alone, a 5xx with an error",
		run:  testTLS,
	},
	{
		id: "N11", fault: "1 KB/s from a deployment", want: "other streams of the same deployment are not delayed; memory is bounded",
		run: testSlowPath,
	},
	{
		id: "N11-long", fault: "every connection over one link of 4 Mbit/s that drops what exceeds it",
		want: "rows U8, N2, N4, N7, S3, S6 and C7 as on a good link", long: true, run: testNarrowLink,
	},
}

// elsewhere demands that b answers what a plays for.
func elsewhere(w *world, faulty ...step) {
	for _, mode := range []string{"stream", "pass"} {
		w.part("sync "+mode, func(t *testing.T, w *world) {
			a, b := w.peer(always(faulty...)), w.peer(good())
			w.lanes(setup{window: 5 * time.Second, class: "sync: " + mode}, a, b)
			for i := range 2 {
				w.wantServed(w.do(ask{stream: i == 1, window: 5 * time.Second, caller: callers[i]}), "b")
			}
			if a.count() == 0 {
				t.Error("a was not tried")
			}
		})
	}
}

func testSilence(t *testing.T, w *world) {
	window := 5 * time.Second
	silent := always(send(streamHead), stall())
	for _, mode := range []string{"stream", "pass"} {
		w.part("sync "+mode, func(t *testing.T, w *world) {
			w.lanes(setup{window: window, class: "sync: " + mode}, w.peer(silent), w.peer(good()))
			w.wantServed(w.do(ask{stream: true, window: window}), "b")
			r := w.do(ask{window: window, caller: "bob"})
			if mode == "stream" {
				w.wantServed(r, "b")
				return
			}
			w.wantStatus(r, 408)
			if r.get("x-should-retry") != "false" {
				t.Errorf("no x-should-retry: false: %s", r)
			}
		})
	}
}

func testRefusedConnections(t *testing.T, w *world) {
	w.part("refused", func(t *testing.T, w *world) {
		b := w.peer(good())
		w.start(setup{lanes: []lane{{name: "a", url: "http://" + freePort(t)}, {name: "b", peer: b}}})
		w.wantOK("nobody listens at a", w.many(30, 3, turns), 1)
	})
	w.part("reset when accepted", func(t *testing.T, w *world) {
		a, b := w.peer(good()), w.peer(good())
		a.accepts(func(int) script { return script{reset()} })
		w.lanes(setup{}, a, b)
		w.wantOK("a resets", w.many(30, 3, turns), 1)
	})
	w.part("reset after the request", func(t *testing.T, w *world) {
		a, b := w.peer(always(reset())), w.peer(good())
		w.lanes(setup{}, a, b)
		w.wantOK("a resets", w.many(30, 3, turns), 1)
		w.wantCount("a, whose breaker should open", a, 20)
	})
	for name, fault := range map[string]step{"reset": reset(), "closed": hangUp()} {
		w.part("reused connection "+name, func(t *testing.T, w *world) {
			a, b := w.peer(nil), w.peer(good())
			a.plays(func(r *askSeen) script {
				if r.onConn > 1 {
					return script{fault}
				}
				return good()(r)
			})
			g := w.lanes(setup{}, a, b)
			for i := range 24 {
				if !w.wantServed(w.do(ask{caller: callers[i%3], stream: i%2 == 0}), "a") {
					break
				}
			}
			if s := g.state("a"); s != "closed" {
				t.Errorf("the path's failures have made a %s", s)
			}
			w.wantCount("b", b, 0)
		})
	}
}

func testHalfResponse(t *testing.T, w *world) {
	body := whole("half of this", "stop", "3")
	half := "HTTP/1.1 200 OK\r\n" + jsonType + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body[:len(body)/2])
	for name, end := range map[string]step{"reset": reset(), "closed": hangUp()} {
		w.part(name, func(t *testing.T, w *world) {
			broken := always(send(half), pause(20*time.Millisecond), end)
			a, b := w.peer(broken), w.peer(good())
			w.lanes(setup{class: "sync: pass"}, a, b)
			w.wantServed(w.do(ask{}), "b")
			b.plays(broken)
			r := w.do(ask{caller: "bob"})
			if r.status < 500 || r.code() == "" || strings.Contains(r.body, "half of") {
				t.Errorf("want an error without a part of the response, got %s", r)
			}
		})
	}
}

func testHalfStream(t *testing.T, w *world) {
	for name, fault := range map[string]script{
		"reset":               {send(streamHead + chunk(delta("one "))), pause(50 * time.Millisecond), send(chunk(delta("two "))), pause(50 * time.Millisecond), reset()},
		"closed in chunks":    {send(streamHead + chunk(delta("one ")+delta("two "))), pause(50 * time.Millisecond), hangUp()},
		"ended by length":     {send(endHead + delta("one ") + delta("two ")), pause(50 * time.Millisecond), hangUp()},
		"last chunk too soon": {send(streamHead + chunk(delta("one ")+delta("two ")) + lastChunk)},
		"within an event":     {send(streamHead + chunk(delta("one ")+delta("two ")+`data: {"id":"c1","obj`)), pause(50 * time.Millisecond), reset()},
	} {
		w.part(name, func(t *testing.T, w *world) {
			a, b := w.peer(always(fault...)), w.peer(always(fault...))
			w.lanes(setup{}, a, b)
			r := w.do(ask{stream: true})
			if r.status != 200 || !strings.HasPrefix(r.body, delta("one ")+delta("two ")) {
				t.Errorf("what came is not forwarded: %s", r)
			}
			if !strings.Contains(r.body, `data: {"error":`) || strings.Contains(r.body, "[DONE]") {
				t.Errorf("want an error event and no [DONE]: %s", r)
			}
			rec := w.recordOf(r)
			if rec.Outcome != "partial" || rec.Usage.Known || rec.Usage.Completion == 0 {
				t.Errorf("want outcome partial and estimated usage: %+v", rec)
			}
			w.wantCount("b, after bytes were forwarded", b, 0)
		})
	}
}

// silence is the option for the longest silence of a stream.
const silence = "silence_timeout: 2500ms"

func testSilentStream(t *testing.T, w *world) {
	a, b := w.peer(always(send(streamHead+chunk(delta("one "))), stall())), w.peer(good())
	w.lanes(setup{class: silence, server: "heartbeat: 1s"}, a, b)
	x := w.open(ask{stream: true})
	r := x.rest()
	if r.status != 200 || !strings.Contains(r.body, "one ") || !strings.Contains(r.body, `data: {"error":`) || strings.Contains(r.body, "[DONE]") {
		t.Errorf("want the beginning and an error event: %s", r)
	}
	if !strings.Contains(r.body, "\n: ") {
		t.Errorf("no heartbeat: %s", r)
	}
	if rec := w.recordOf(r); rec.Outcome != "partial" {
		t.Errorf("outcome %q, want partial", rec.Outcome)
	}
	seen := a.seen()
	if len(seen) == 0 {
		t.Fatal("a was not tried")
	}
	select {
	case <-seen[0].conn.gone:
	case <-time.After(patience):
		t.Error("the silent stream was not canceled")
	}
}

func testTrickle(t *testing.T, w *world) {
	a := w.peer(answers(1000, 200*time.Millisecond))
	w.lanes(setup{window: 3 * time.Second}, a)
	r := w.do(ask{})
	if r.status != 200 || !strings.Contains(r.body, `"finish_reason":"length"`) || r.get("x-spillway-truncated") != "deadline" {
		t.Errorf("want a partial response cut at the deadline, got %s", r)
	}
	r = w.do(ask{stream: true, window: 3 * time.Second})
	if r.status != 200 || r.err != nil || !strings.HasSuffix(r.body, done) {
		t.Errorf("want a stream that ends well at its deadline, got %s", r)
	}
}

// droppedSYN returns an address whose SYNs are dropped, because its queue of
// connections is full and nobody accepts.
func droppedSYN(t testing.TB) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for { // until the queue is full
		conn, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { conn.Close() })
	}
}

func testBlackHoles(t *testing.T, w *world) {
	w.part("SYN dropped", func(t *testing.T, w *world) {
		b := w.peer(good())
		g := w.start(setup{window: 5 * time.Second, lanes: []lane{{name: "a", url: "http://" + droppedSYN(t)}, {name: "b", peer: b}}})
		w.wantOK("a drops SYNs", w.many(20, 4, turns), 1)
		if s := g.state("a"); s == "closed" {
			t.Errorf("a is %s after 20 requests", s)
		}
	})
	w.part("dead pooled connection", func(t *testing.T, w *world) {
		a := w.peer(nil)
		a.plays(func(r *askSeen) script {
			if r.onConn > 1 {
				return script{stall()} // the path is gone, but nobody says so
			}
			return good()(r)
		})
		w.lanes(setup{window: 5 * time.Second}, a, w.peer(good()))
		replies := w.many(12, 1, turns)
		w.wantOK("pooled connections of a are dead", replies, 1)
	})
}

// testNarrowLink runs rows again in a network whose only link is narrow.
func testNarrowLink(t *testing.T, w *world) {
	link := []string{"--net", "sh", "-c", `ip link set lo up mtu 1500 && tc qdisc add dev lo root tbf rate 4mbit burst 16kb latency 20ms && exec "$0" "$@"`}
	if out, err := exec.Command("unshare", append(link, "true")...).CombinedOutput(); err != nil {
		w.skip("a narrow link needs a network namespace: " + strings.TrimSpace(string(out)))
	}
	cmd := exec.Command("unshare", append(link, os.Args[0], "-test.run", "TestMatrix/(U8|N2|N4|N7|S3|S6|C7)$", "-test.parallel", "2", "-test.v")...)
	cmd.Env = append(os.Environ(), "SPILLWAY_BIN="+program)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestMatrix/N4") {
		t.Errorf("over a narrow link: %v\n%s", err, out[max(0, len(out)-4000):])
	}
}

// pauseBlind waits for the end of the test on a connection that is not read.
func pauseBlind() step {
	return func(c *peerConn) error {
		<-c.peer.closing
		return errEnd
	}
}

func testSlowPath(t *testing.T, w *world) {
	a := w.peer(nil)
	big := strings.Repeat("x", 900)
	a.plays(func(r *askSeen) script {
		if strings.Contains(r.body, `"slow"`) {
			pieces := []string{streamHead}
			for range 8 {
				pieces = append(pieces, chunk(delta(big)))
			}
			return script{trickle(time.Second/2, pieces...), send(chunk(finish("stop")) + chunk(done) + lastChunk)}
		}
		return good()(r)
	})
	g := w.lanes(setup{}, a)
	before := g.memory("VmHWM")
	var slow sync.WaitGroup
	ended := make(chan struct{})
	for range 20 {
		slow.Go(func() {
			w.wantOK("at 1 KB/s", []*reply{w.do(ask{stream: true, extra: `,"user":"slow"`})}, 1)
		})
	}
	go func() { slow.Wait(); close(ended) }()
	replies := w.many(100, 4, func(i int) ask { return ask{stream: true, caller: callers[i%6]} })
	select {
	case <-ended:
		t.Error("the slow streams ended first; nothing was tested")
	default:
	}
	w.wantOK("beside slow streams", replies, 1)
	<-ended
	if grown := g.memory("VmHWM") - before; grown > 32<<20 {
		t.Errorf("memory grew by %.0f MiB", grown/(1<<20))
	}
}
