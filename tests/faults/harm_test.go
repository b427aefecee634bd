//go:build linux

package faults

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// harmRows are faults whose harm was out of proportion: what one caller or one
// deployment did to everybody else.
var harmRows = []row{
	{
		id: "H1", fault: "a accepts and never answers, window 5 s, 150 requests",
		want: "b answers at least 99%; a is skipped after a few",
		run:  func(t *testing.T, w *world) { silentLane(t, w, 150, 12, 5*time.Second) },
	},
	{
		id: "H1-default", fault: "the same with the default window, one request at a time",
		want: "each is answered by b; a is skipped after a few", long: true,
		run: func(t *testing.T, w *world) { silentLane(t, w, 15, 1, time.Minute) },
	},
	{
		id: "H1-connect", fault: "a's TLS handshake, connection or headers hang beyond their timeouts",
		want: "b answers; later requests do not pay for it", run: testSlowConnects,
	},
	{
		id: "H2", fault: "both deployments answer 503 by chance: 30, 50, 60% at 20 rps",
		want: "at least 0.9 of what a perfect retrier of two tries gets", run: testBrownOut,
	},
	{
		id: "H3", fault: "both deployments answer 503 for 10 s", want: "at least 99% from 10 s after recovery on",
		run: func(t *testing.T, w *world) { outage(t, w, 10*time.Second) },
	},
	{
		id: "H3-long", fault: "the same for 38 s", want: "at least 99% from 10 s after recovery on", long: true,
		run: func(t *testing.T, w *world) { outage(t, w, 38*time.Second) },
	},
	{
		id: "H4", fault: "a poison request that gets 500 everywhere, every 0.5 s",
		want: "two upstream requests each; no breaker opens; every other request succeeds", run: testPoison,
	},
	{
		id: "H5", fault: "memory: large bodies at once, announced lengths, JSON of 20 MiB with a duplicate name",
		want: "503 with a retry-after before the limit; memory by bytes that came; parsing within a small multiple of the body",
		run:  testMemory,
	},
	{
		id: "H5-streams", fault: "9,000 streams in 256 MiB", want: "503 with a retry-after before the limit; the process is not killed",
		long: true, run: func(t *testing.T, w *world) { manyStreams(t, w, 9000, 256<<20) },
	},
	{
		id: "H6", fault: "`max_tokens` or `n` of 1e9, and both, in flight at a provisioned deployment",
		want: "its meter rises by no more than the largest possible request; others are not pushed off", run: testHugeAsk,
	},
	{
		id: "H7", fault: "TRACE and unknown methods; headers that rewrite a request",
		want: "405, and headers such as `X-Original-URL` stay behind; our credential never returns to a client", run: testMethods,
	},
	{
		id: "H8", fault: "`completion_tokens: 999999999` for a limit of 100",
		want: "clamped, not `known`; the meter is not filled and others are not pushed off", run: testBelievedUsage,
	},
	{
		id: "H9", fault: "hopeless calls: both deployments 408, HTML 429, an SDK's third retry",
		want: "each deployment is tried once; errors in our shape; `x-should-retry: false`", run: testHopeless,
	},
	{
		id: "H10", fault: "a passthrough response that stalls in its body; one byte beyond a request, then the client leaves",
		want: "ends at the deadline; the departure is noticed at once (C3)", run: testStalledPassthrough,
	},
	{
		id: "H11", fault: "4,000 requests without a key", want: "401; records are sampled, all are counted", run: testKeyless,
	},
	{
		id: "H11-readyz", fault: "an invalid configuration, seen at /readyz", want: "/readyz says nothing of its content", run: testReadyzSecrets,
	},
	{
		id: "H11-h2c", fault: "HTTP/2 without TLS: switched off; floods of PING, SETTINGS and headers without a key",
		want: "refused when off; a flood's connection is closed", run: testHTTP2Floods,
	},
	{
		id: "H12", fault: "operations beyond the known ones: fine-tuning, files, batches, threads, compact",
		want: "403 without an upstream request, unless the class allows them; a hard cap binds streams, tools and `n`", run: testOperations,
	},
	{
		id: "H13", fault: "five tenants at 20 rps and one at 250, capacity 50 rps", want: "measured only: fair sharing is not part of the gateway yet",
		run: testUnfair,
	},
}

func silentLane(t *testing.T, w *world, n, atOnce int, window time.Duration) {
	a, b := w.peer(silent()), w.peer(good())
	g := w.lanes(setup{window: window}, a, b)
	replies := w.many(n, atOnce, turns)
	w.wantOK("a is silent", replies, 0.99)
	if s := g.state("a"); s == "closed" {
		t.Errorf("a is %s after %d silent attempts", s, a.count())
	}
	late := 0
	for _, r := range replies[len(replies)/2:] {
		if r.get("x-spillway-attempts") != "1" {
			late++
		}
	}
	if late > len(replies)/10+2 {
		t.Errorf("%d of the last %d requests still tried a", late, len(replies)-len(replies)/2)
	}
	t.Logf("a: %d requests, b: %d; the slowest took %v", a.count(), b.count(), percentile(replies, 1))
}

func testSlowConnects(t *testing.T, w *world) {
	ca := newAuthority(t)
	valid := ca.issue(t, "127.0.0.1", time.Hour)
	hang := func(int) script { return script{pauseBlind()} }
	for name, makeLane := range map[string]func(w *world) lane{
		"handshake": func(w *world) lane {
			p := tlsPeer(w.t, valid, good()).accepts(hang)
			return lane{peer: p, more: fmt.Sprintf(", connect_timeout: 1s, tls: {ca_file: %q}", ca.file)}
		},
		"connect": func(w *world) lane { return lane{url: "http://" + droppedSYN(w.t), more: ", connect_timeout: 1s"} },
		"headers": func(w *world) lane { return lane{peer: w.peer(silent()), more: ", header_timeout: 1s"} },
	} {
		w.part(name, func(t *testing.T, w *world) {
			first := makeLane(w)
			first.name = "a"
			g := w.start(setup{window: 10 * time.Second, lanes: []lane{first, {name: "b", peer: w.peer(good())}}})
			w.wantOK("first", w.many(16, 2, turns), 1)
			if s := g.state("a"); s == "closed" {
				t.Errorf("a is %s after 16 requests", s)
			}
			tried := 0
			for _, r := range w.many(20, 2, turns) {
				w.wantOK("later", []*reply{r}, 1)
				if r.get("x-spillway-attempts") != "1" {
					tried++
				}
			}
			if tried > 4 {
				t.Errorf("%d of 20 later requests still tried a", tried)
			}
		})
	}
}

func testBrownOut(t *testing.T, w *world) {
	for i, share := range []float64{0.3, 0.5, 0.6} {
		w.part(fmt.Sprintf("%.0f%%", 100*share), func(t *testing.T, w *world) {
			seed := uint64(10 * i)
			a, b := w.peer(randomly(share, seed+1, unavailable(), good())), w.peer(randomly(share, seed+2, unavailable(), good()))
			w.lanes(setup{window: 5 * time.Second}, a, b)
			replies := w.rate(20, 20*time.Second, turns)
			perfect := 1 - share*share
			w.wantOK("brown-out", replies, 0.9*perfect)
			t.Logf("%.1f%% answered, a perfect retrier gets %.1f%%; %.2f attempts per request",
				100*float64(countOK(replies))/float64(len(replies)), 100*perfect, float64(a.count()+b.count())/float64(len(replies)))
		})
	}
}

func outage(t *testing.T, w *world, span time.Duration) {
	a, b := w.peer(good()), w.peer(good())
	w.lanes(setup{window: 5 * time.Second}, a, b)
	w.wantOK("before", w.rate(15, time.Second, turns), 1)
	a.plays(unavailable())
	b.plays(unavailable())
	w.rate(15, span, turns)
	a.plays(good())
	b.plays(good())
	recovering := w.rate(15, 10*time.Second, turns)
	w.wantOK("I12: from 10 s after recovery on", w.rate(15, 3*time.Second, turns), 0.99)
	lost := 0
	for i, r := range recovering {
		if !r.ok() {
			lost = i + 1
		}
	}
	t.Logf("the last failure came %.1f s after recovery; %d of %d failed", float64(lost)/15, len(recovering)-countOK(recovering), len(recovering))
}

func testPoison(t *testing.T, w *world) {
	poison := func(r *askSeen) script {
		if strings.Contains(r.body, `"poison"`) {
			return fails(500, jsonType, errorBody("server_error", "The server had an error."))(r)
		}
		return good()(r)
	}
	a, b := w.peer(poison), w.peer(poison)
	g := w.lanes(setup{}, a, b)
	send := func() *reply { return w.do(ask{caller: "frank", extra: `,"user":"poison"`}) }
	for range 3 {
		if r := send(); r.status/100 != 5 {
			t.Errorf("want the server error: %s", r)
		}
	}
	if n := a.count() + b.count(); n > 6 {
		t.Errorf("%d upstream requests for 3 poison requests", n)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for range 12 {
			send()
			wait(500 * time.Millisecond)
		}
	})
	replies := w.rate(20, 6*time.Second, func(i int) ask { return ask{caller: callers[i%5]} })
	all.Wait()
	w.wantOK("others", replies, 1)
	for _, lane := range []string{"a", "b"} {
		if s := g.state(lane); s != "closed" {
			t.Errorf("one caller's poison has made %s %s", lane, s)
		}
	}
	elsewhere := 0
	for _, r := range replies {
		if r.get("x-spillway-deployment") != "a" {
			elsewhere++
		}
	}
	if elsewhere > 0 {
		t.Errorf("%d of the others' requests left a", elsewhere)
	}
}

func testMethods(t *testing.T, w *world) {
	echo := func(r *askSeen) script { // answers what it got, as TRACE demands
		var b strings.Builder
		for name, values := range r.header {
			fmt.Fprintf(&b, "%s: %s\r\n", name, strings.Join(values, ","))
		}
		return script{send(response(200, "Content-Type: message/http\r\n", r.method+" "+r.target+"\r\n"+b.String()))}
	}
	a := w.peer(echo)
	w.lanes(setup{class: "operations: [\"*\"]"}, a)
	for _, method := range []string{"TRACE", "TRACK", "CONNECT", "DEBUG", "PROPFIND", "OPTIONS", "trace", "PURGE", "GETX"} {
		for _, path := range []string{"/v1/files", "/v1/chat/completions", "/openai/deployments/m/files?api-version=1"} {
			r := w.raw(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: gateway\r\napi-key: %s\r\nContent-Length: 0\r\n\r\n", method, path, key("alice")))
			if r.status != 405 && r.status != 400 && r.status != 404 && r.status != 501 {
				t.Errorf("%s %s: %s", method, path, r)
			}
		}
	}
	w.wantCount("a", a, 0)
	strip := []string{
		"X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host",
		"azureml-model-deployment", "Api-Key", "Authorization", "Cookie", "Proxy-Authorization", "x-ms-spillover-deployment", "OpenAI-Organization",
	}
	var lines []string
	for _, name := range strip {
		if name != "Api-Key" && name != "Authorization" {
			lines = append(lines, name+": from-the-client")
		}
	}
	w.do(ask{method: "GET", path: "/v1/files", header: lines})
	w.do(ask{header: lines})
	for _, seen := range a.seen() {
		for _, name := range strip {
			if v := strings.Join(seen.header[strings.ToLower(name)], ","); strings.Contains(v, "from-the-client") || strings.Contains(v, "key-of-") {
				t.Errorf("%s is forwarded: %q", name, v)
			}
		}
	}
	if a.count() == 0 {
		t.Error("no request came to a")
	}
	for _, r := range w.replies {
		r.body = strings.ReplaceAll(r.body, upstreamKey("a"), "") // in what a deployment relays to a GET
	}
}

func testStalledPassthrough(t *testing.T, w *world) {
	a := w.peer(always(send("HTTP/1.1 200 OK\r\n"+jsonType+"Content-Length: 100\r\n\r\n{\"data\":"), stall()))
	w.lanes(setup{class: "operations: [\"*\"], silence_timeout: 2s"}, a)
	began := time.Now()
	r := w.do(ask{method: "GET", path: "/v1/files", window: 2 * time.Second})
	if r.err == nil || time.Since(began) > 2*time.Second+lateness {
		t.Errorf("with a deadline of 2 s: %s", r)
	}
	canceled(t, "the passthrough", a.seen()[0], time.Now())
	x := w.open(ask{method: "GET", path: "/v1/files"})
	x.r.late = 0
	if r := x.rest(); r.err == nil {
		t.Errorf("a silence above silence_timeout: %s", r)
	}
}

func testKeyless(t *testing.T, w *world) {
	w.noRecords = true // they are sampled
	const n = 4000
	g := w.lanes(setup{}, w.peer(good()))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			x := w.dial()
			for range n / 4 {
				if _, err := fmt.Fprintf(x.conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
					t.Error(err)
					return
				}
				x.r.status, x.r.err = 0, nil
				if x.head(); x.r.status != 401 {
					t.Errorf("want 401: %s", x.r)
					return
				}
				if _, _, err := readBody(x.in, x.r.header, false, nil); err != nil {
					t.Error(err)
					return
				}
			}
			x.conn.Close()
		})
	}
	all.Wait()
	wait(600 * time.Millisecond) // the time of a batch
	if recorded := len(w.records()); recorded > n/10 {
		t.Errorf("%d records of %d requests without a key", recorded, n)
	}
	counted := 0.0
	for series, v := range g.metrics() {
		if strings.HasPrefix(series, "spillway_") && v > counted && v <= n {
			counted = v
		}
	}
	if counted != n {
		t.Errorf("no metric counts the %d requests; the closest is %v", n, counted)
	}
	w.wantServed(w.do(ask{}), "a")
}

func testReadyzSecrets(t *testing.T, w *world) {
	s := setup{lanes: []lane{{name: "a", peer: w.peer(good())}}, window: 20 * time.Second}
	g := w.start(s)
	g.reload(s.yaml(g.dir) + "no_such_option_xyz: /etc/passwd-of-somebody\n")
	eventually(t, patience, "the reload is refused", func() bool {
		return sum(g.metrics(), "spillway_config_last_reload_successful") == 0
	})
	status, body, err := g.get("/readyz")
	if err != nil || status != 200 {
		t.Errorf("/readyz: %d %v", status, err)
	}
	for _, part := range []string{"no_such_option_xyz", "passwd", g.dir, "spillway.yaml"} {
		if strings.Contains(body, part) {
			t.Errorf("/readyz repeats %q: %s", part, body)
		}
	}
}

func testUnfair(t *testing.T, w *world) {
	a := w.peer(nil)
	a.plays(after(100*time.Millisecond, 3, 0)) // five at a time are 50 per second
	w.start(setup{window: 2 * time.Second, lanes: []lane{{name: "a", peer: a, more: ", max_in_flight: 5"}}, class: "max_wait: 1s"})
	var all sync.WaitGroup
	shares := make([]float64, 6)
	for i, perSecond := range []float64{8, 8, 8, 8, 8, 100} {
		all.Go(func() {
			replies := w.rate(perSecond, 4*time.Second, func(int) ask { return ask{caller: callers[i]} })
			shares[i] = float64(countOK(replies)) / float64(len(replies))
		})
	}
	all.Wait()
	five := 0.0
	for _, share := range shares[:5] {
		five += share / 5
	}
	w.note = fmt.Sprintf(" (the five get %.0f%%, the sixth %.0f%%)", 100*five, 100*shares[5])
}
