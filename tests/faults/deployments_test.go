//go:build linux

package faults

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// deploymentRows are errors that deployments answer.
var deploymentRows = []row{
	{
		id: "U1", fault: "408 before the first byte",
		want: "not repeated at the same deployment; the other one answers; when both fail, the 408 with `x-should-retry: false`",
		run:  testTimeouts,
	},
	{
		id: "U2", fault: "429 with `retry-after-ms: 2000`",
		want: "the deployment pauses for 2 s, its requests spill, the breaker stays closed; alone, a request waits or gets 429 with a retry-after",
		run:  testThrottled,
	},
	{
		id: "U3", fault: "429 with `Retry-After` 86400, -5, abc, a past date, 1e308",
		want: "clamped to 60 s, or the default backoff; smaller requests probe the deployment after about 1 s",
		run:  testRetryAfter,
	},
	{
		id: "U3-long", fault: "429 with `Retry-After: 86400`, three times", want: "checked after 1, 3 and 7 s, and used again as soon as it serves",
		long: true, run: testRetryAfterDay,
	},
	{
		id: "U4", fault: "429 without headers, with HTML, or empty",
		want: "default backoff; the client gets a JSON error with the status and a retry-after",
		run:  testBareThrottle,
	},
	{
		id: "U5", fault: "429 from every deployment",
		want: "fast local refusals, at most 1.1 upstream requests per request",
		run:  testAllThrottled,
	},
	{
		id: "U6", fault: "bursts of 500, 502, 503",
		want: "one retry at the other deployment; the breaker opens, probes one at a time, and closes after recovery",
		run:  testBursts,
	},
	{
		id: "U7", fault: "400, 401, 403, 404, 422",
		want: "the client gets the deployment's own error unchanged, or one of our shape where it is not JSON, after at most one try elsewhere; one request's word ejects no deployment, that of different requests does",
		run:  testInvalid,
	},
	{
		id: "U8", fault: "400 for content filter or context length", want: "passed through unchanged, no retry",
		run: testFiltered,
	},
	{
		id: "U9", fault: "200 with an error body, or an `error` event",
		want: "before the first byte, the other deployment answers; after it, the error event ends the stream",
		run:  testHiddenErrors,
	},
}

func testTimeouts(t *testing.T, w *world) {
	a, b := w.peer(timedOut()), w.peer(good())
	w.lanes(setup{}, a, b)
	for i := range 6 {
		w.wantServed(w.do(ask{stream: i%2 == 0, caller: callers[i]}), "b")
	}
	w.wantCount("a, tried once by each request", a, 6)
	b.plays(timedOut())
	before := a.count() + b.count()
	r := w.do(ask{})
	w.wantStatus(r, 408)
	if r.get("x-should-retry") != "false" {
		t.Errorf("no x-should-retry: false: %s", r)
	}
	if n := a.count() + b.count() - before; n > 2 {
		t.Errorf("%d attempts at 2 deployments with the same budget", n)
	}
}

func testThrottled(t *testing.T, w *world) {
	a, b := w.peer(good()), w.peer(good())
	g := w.lanes(setup{}, a, b)
	same := ask{tokens: 50} // requests of one size: smaller ones may probe sooner
	w.wantOK("while their size is learned", w.many(20, 1, func(int) ask { return same }), 1)
	var pausing atomic.Bool
	a.plays(func(r *askSeen) script {
		if pausing.CompareAndSwap(false, true) {
			return throttled("retry-after-ms: 2000\r\nRetry-After: 2\r\n")(r)
		}
		return good()(r)
	})
	r := w.do(same)
	w.wantServed(r, "b")
	if r.get("x-spillway-spill") == "" {
		t.Errorf("no reason to spill: %s", r)
	}
	if s := g.state("a"); s != "paused" {
		t.Errorf("a is %s, want paused", s)
	}
	for end := time.Now().Add(patience); a.count() < 22 && time.Now().Before(end); wait(50 * time.Millisecond) {
		w.wantOK("during the pause", []*reply{w.do(same)}, 1)
	}
	seen := a.seen()
	if len(seen) < 22 {
		t.Fatal("a is never used again")
	}
	if pause := seen[21].at.Sub(seen[20].at); pause < 1900*time.Millisecond {
		t.Errorf("a was used again after %v, although it asked for 2 s", pause)
	}
	if opened := sum(g.metrics(), "spillway_attempts_total", `failure="broken"`); opened > 0 {
		t.Errorf("%v attempts count as broken", opened)
	}

	w.part("alone", func(t *testing.T, w *world) {
		only := w.peer(inTurn(throttled("retry-after-ms: 1000\r\n"), good()))
		w.lanes(setup{}, only)
		w.wantServed(w.do(ask{}), "a") // there is time to wait
		only.plays(throttled("retry-after-ms: 9000\r\n"))
		r := w.do(ask{window: time.Second})
		w.wantStatus(r, 429)
		if ms, _ := strconv.Atoi(r.get("retry-after-ms")); ms < 5000 || ms > 60000 {
			t.Errorf("retry-after-ms %q does not say when: %s", r.get("retry-after-ms"), r)
		}
	})
}

func testRetryAfter(t *testing.T, w *world) {
	for _, value := range []string{"-5", "abc", "Wed, 21 Oct 2015 07:28:00 GMT", "1e308", "NaN"} {
		w.part(value, func(t *testing.T, v *world) {
			a, b := v.peer(inTurn(throttled("Retry-After: "+value+"\r\n"), good())), v.peer(good())
			v.lanes(setup{}, a, b)
			v.wantServed(v.do(ask{}), "b")
			eventually(t, patience, "a is used again after Retry-After: "+value, func() bool {
				v.wantOK("meanwhile", []*reply{v.do(ask{})}, 1)
				return a.count() > 1
			})
		})
	}
	w.part("a day, alone", func(t *testing.T, v *world) { // the client is told at most a minute
		v.lanes(setup{}, v.peer(throttled("Retry-After: 86400\r\n")))
		r := v.do(ask{window: time.Second})
		v.wantStatus(r, 429)
		if s, err := strconv.Atoi(r.get("retry-after")); err != nil || s < 1 || s > 60 {
			t.Errorf("Retry-After: 86400 becomes %q, want at most 60", r.get("retry-after"))
		}
	})
	w.part("a day, for a large request", func(t *testing.T, v *world) { // small ones soon probe
		const large = 40000
		a := v.peer(func(r *askSeen) script {
			if len(r.body) > large {
				return throttled("Retry-After: 86400\r\n")(r)
			}
			return good()(r)
		})
		v.lanes(setup{}, a, v.peer(good()))
		v.wantServed(v.do(ask{pad: 2 * large}), "b")
		eventually(t, patience, "small requests return to a", func() bool {
			r := v.do(ask{caller: "bob"})
			v.wantOK("meanwhile", []*reply{r}, 1)
			return r.get("x-spillway-deployment") == "a"
		})
		v.wantServed(v.do(ask{caller: "carol"}), "a")
	})
}

func testRetryAfterDay(t *testing.T, w *world) {
	full := throttled("Retry-After: 86400\r\n")
	a, b := w.peer(inTurn(full, full, full, good())), w.peer(good())
	w.lanes(setup{}, a, b)
	w.wantServed(w.do(ask{tokens: 10}), "b")
	eventually(t, patience, "a is used again", func() bool { // larger than the refused one: none of them probes for smaller ones
		w.wantOK("meanwhile", []*reply{w.do(ask{tokens: 1000})}, 1)
		wait(50 * time.Millisecond)
		return a.count() > 4
	})
	seen := a.seen()
	for i, least := range []time.Duration{time.Second, 3 * time.Second, 7 * time.Second} {
		if after := seen[i+1].at.Sub(seen[0].at); after < least-100*time.Millisecond {
			t.Errorf("check %d came %v after the first refusal, want %v", i+1, after, least)
		}
	}
}

func testBareThrottle(t *testing.T, w *world) {
	const html = "<html><body><h1>429 Too Many Requests</h1></body></html>"
	for name, fault := range map[string]func(*askSeen) script{
		"no headers":           throttled(""),
		"HTML":                 fails(429, htmlType, html),
		"HTML named JSON":      fails(429, jsonType, html),
		"empty":                fails(429, "", ""),
		"a JSON string":        fails(429, jsonType, `"slow down"`),
		"HTML of a 503":        fails(503, htmlType, html),
		"an empty 500":         fails(500, "", ""),
		"HTML, 502 of a proxy": fails(502, htmlType, html),
	} {
		w.part(name, func(t *testing.T, v *world) {
			a, b := v.peer(fault), v.peer(fault)
			v.lanes(setup{}, a, b)
			for _, stream := range []bool{false, true} {
				r := v.do(ask{window: time.Second, stream: stream})
				if strings.Contains(r.body, "<html>") || !strings.HasPrefix(r.get("content-type"), "application/json") || r.code() == "" && !strings.Contains(r.body, `"error"`) {
					t.Errorf("not an error of our shape: %s", r)
				}
				if strings.Contains(name, "50") {
					if r.status/100 != 5 {
						t.Errorf("want a server error: %s", r)
					}
					continue
				}
				if r.status != 429 || r.get("retry-after") == "" && r.get("retry-after-ms") == "" {
					t.Errorf("want 429 with a retry-after: %s", r)
				}
			}
			a.plays(good())
			b.plays(good())
			eventually(t, patience, "served again after the default backoff", func() bool {
				return v.do(ask{window: time.Second, caller: "bob"}).ok()
			})
		})
	}
}

func testAllThrottled(t *testing.T, w *world) {
	a, b := w.peer(throttled("Retry-After: 30\r\n")), w.peer(throttled("Retry-After: 30\r\n"))
	w.lanes(setup{window: 5 * time.Second}, a, b)
	replies := w.rate(100, 2*time.Second, turns)
	for _, r := range replies {
		if r.status != 429 || r.get("retry-after") == "" {
			t.Fatalf("want 429 with a retry-after: %s", r)
		}
	}
	if n := a.count() + b.count(); float64(n) > 1.1*float64(len(replies)) {
		t.Errorf("%d upstream requests for %d requests", n, len(replies))
	}
	if p99 := percentile(replies, 0.99); p99 > lateness {
		t.Errorf("refusals take %v at the 99th percentile", p99)
	}
}

func testBursts(t *testing.T, w *world) {
	for _, status := range []int{500, 502, 503} {
		w.part(strconv.Itoa(status), func(t *testing.T, w *world) {
			fault := fails(status, jsonType, errorBody("server_error", "The server had an error."))
			var mu sync.Mutex
			random := rand.New(rand.NewPCG(1, uint64(status)))
			a := w.peer(func(r *askSeen) script {
				mu.Lock()
				defer mu.Unlock()
				if random.IntN(2) == 0 {
					return fault(r)
				}
				return good()(r)
			})
			b := w.peer(good())
			g := w.lanes(setup{more: "breaker: {open_for: 1s}\n"}, a, b)
			replies := w.many(60, 4, turns)
			w.wantOK("half of a's responses are errors", replies, 1)
			if n := a.count() + b.count(); n > 2*len(replies) {
				t.Errorf("%d attempts for %d requests", n, len(replies))
			}

			a.plays(fault)
			eventually(t, patience, "the breaker of a opens", func() bool {
				w.wantOK("a fails always", w.many(6, 2, turns), 1)
				return g.state("a") == "open"
			})
			var probing sync.WaitGroup
			gate := make(chan struct{})
			a.plays(func(r *askSeen) script { return append(script{await(gate)}, good()(r)...) })
			before := a.count()
			for i := range 40 { // many requests while a probe is under way
				probing.Go(func() { w.do(turns(i)) })
				wait(50 * time.Millisecond)
			}
			probes := a.seen()[before:]
			if len(probes) == 0 {
				t.Error("a is not probed")
			}
			for i := 1; i < len(probes); i++ { // a silent one is replaced after open_for
				if gap := probes[i].at.Sub(probes[i-1].at); gap < 900*time.Millisecond {
					t.Errorf("a second probe %v after the first one", gap)
				}
			}
			close(gate)
			probing.Wait()
			eventually(t, patience, "the breaker of a closes", func() bool {
				w.wantOK("after recovery", w.many(2, 1, turns), 1)
				return g.state("a") == "closed"
			})
		})
	}
}

func testInvalid(t *testing.T, w *world) {
	bodies := map[int]string{
		400: `{"error":{"code":"invalid_value","message":"no","param":"temperature","type":"invalid_request_error","extra":[1,2]}}`,
		401: `{"error":{"code":"401","message":"Access denied due to invalid subscription key."}}`,
		403: `<html>blocked by the firewall</html>`,
		404: `{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}`,
		422: `{"error":{"code":"unprocessable","message":"The tool's model does not exist."}}`,
	}
	for status, body := range bodies {
		w.part(fmt.Sprint(status, " for one caller"), func(t *testing.T, w *world) { oneGuilty(t, w, status, body) })
		if status == 401 || status == 404 {
			w.part(fmt.Sprint(status, " for all"), func(t *testing.T, w *world) { oneSick(t, w, status, body) })
		}
	}
}

// oneGuilty is a request that every deployment refuses, among others that
// succeed: it gets the true error, and nobody else notices.
func oneGuilty(t *testing.T, w *world, status int, body string) {
	w.ownErrors = true
	kind := jsonType
	if strings.HasPrefix(body, "<") {
		kind = htmlType
	}
	guilty := func(r *askSeen) script {
		if strings.Contains(r.body, `"guilty"`) {
			return fails(status, kind, body)(r)
		}
		return good()(r)
	}
	a, b := w.peer(guilty), w.peer(guilty)
	g := w.lanes(setup{}, a, b)
	for i := range 12 {
		before := a.count() + b.count()
		r := w.do(ask{caller: "frank", extra: `,"user":"guilty"`})
		if own := r.body == body || kind == htmlType && r.code() == strconv.Itoa(status); r.status != status || !own {
			t.Errorf("%d: want the deployment's own error, got %s", status, r)
		}
		if n := a.count() + b.count() - before; n > 2 || status == 400 && n != 1 {
			t.Errorf("%d: %d attempts", status, n)
		}
		if r := w.do(ask{caller: callers[i%3]}); !r.ok() || r.get("x-spillway-deployment") != "a" {
			t.Errorf("%d: another caller's request is not served by a: %s", status, r)
			return
		}
	}
	for _, lane := range []string{"a", "b"} {
		if s := g.state(lane); s != "closed" {
			t.Errorf("%d: one caller's requests have made %s %s", status, lane, s)
		}
	}
}

// oneSick is a deployment that refuses every request, such as with a wrong
// credential: the other one answers, and requests stop going there.
func oneSick(t *testing.T, w *world, status int, body string) {
	a, b := w.peer(fails(status, jsonType, body)), w.peer(good())
	w.lanes(setup{}, a, b)
	w.wantOK(fmt.Sprintf("a answers %d always", status), w.many(30, 1, turns), 1)
	before := a.count()
	w.wantOK(fmt.Sprintf("a answers %d always", status), w.many(20, 1, turns), 1)
	if n := a.count() - before; n > 5 {
		t.Errorf("%d: after 30 different requests, %d of 20 still go to a", status, n)
	}
}

func testFiltered(t *testing.T, w *world) {
	w.ownErrors = true
	filter := `{"error":{"message":"The response was filtered.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"}}}}}`
	length := `{"error":{"message":"This model's maximum context length is 128000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`
	a, b := w.peer(nil), w.peer(good())
	w.lanes(setup{}, a, b)
	for i, body := range []string{filter, length} {
		a.plays(fails(400, jsonType+"x-ms-rai-invoked: true\r\n", body))
		for _, stream := range []bool{false, true} {
			r := w.do(ask{stream: stream, caller: callers[i]})
			if r.status != 400 || r.body != body || r.get("x-ms-rai-invoked") != "true" {
				t.Errorf("want the deployment's own error, got %s", r)
			}
		}
	}
	w.wantCount("b", b, 0)
	w.wantCount("a", a, 4)
}

func testHiddenErrors(t *testing.T, w *world) {
	body := `{"error":{"code":"server_error","message":"The server had an error.","type":"server_error"}}`
	a, b := w.peer(nil), w.peer(good())
	g := w.lanes(setup{}, a, b)
	for i, fault := range []script{
		{send(response(200, jsonType, body))},
		{send(streamHead + chunk("data: "+body+"\n\n") + lastChunk)},
		{send(streamHead + chunk("event: error\ndata: "+body+"\n\n") + lastChunk)},
	} {
		a.plays(always(fault...))
		for _, stream := range []bool{false, true} {
			r := w.do(ask{stream: stream, caller: callers[i]})
			if g.state("a") == "closed" {
				w.wantServed(r, "b")
			}
		}
	}

	a.plays(always(send(streamHead+chunk(delta("one "))), pause(50*time.Millisecond), send(chunk("data: "+body+"\n\n")+lastChunk)))
	b.plays(always(send(streamHead+chunk(delta("one "))), pause(50*time.Millisecond), send(chunk("data: "+body+"\n\n")+lastChunk)))
	r := w.do(ask{stream: true})
	if r.status != 200 || !strings.Contains(r.body, "one ") || !strings.Contains(r.body, `"error"`) || strings.Contains(r.body, "[DONE]") {
		t.Errorf("want the beginning and the error, got %s", r)
	}
	if rec := w.recordOf(r); rec.Outcome != "partial" {
		t.Errorf("outcome %q, want partial", rec.Outcome)
	}
}
