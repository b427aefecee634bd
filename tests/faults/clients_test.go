//go:build linux

package faults

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// clientRows are broken and hostile clients.
var clientRows = []row{
	{
		id: "C1", fault: "slow headers and bodies, byte by byte",
		want: "408 or a closed connection after `header_timeout` and `body_timeout`; other requests are not affected",
		run:  func(t *testing.T, w *world) { slowClients(t, w, 100) },
	},
	{
		id: "C1-long", fault: "5,000 slow connections", want: "other requests are not affected", long: true,
		run: func(t *testing.T, w *world) { slowClients(t, w, 5000) },
	},
	{
		id: "C2", fault: "a client that stops reading its stream",
		want: "the deployment is slowed down, then canceled after `write_timeout`; memory is bounded; others are not affected",
		run:  testSlowReader,
	},
	{
		id: "C3", fault: "a client that leaves: before its request is whole, while it waits, during a stream",
		want: "the place in the queue is free at once, the upstream request canceled, outcome `client_gone`, no failure of the deployment",
		run:  testDepartures,
	},
	{
		id: "C4", fault: "a body of 1 GiB, endless chunks, a wrong Content-Length",
		want: "413 without reading the rest; 400 for a body that is cut; no upstream request",
		run:  testBodies,
	},
	{
		id: "C5", fault: "10,000 headers, a header of 1 MiB, a URL of 100 KiB", want: "431 or 414; no upstream request",
		run: testRequestHeaders,
	},
	{
		id: "C6", fault: "request smuggling: CL.TE, TE.CL, TE.TE, duplicate lengths, folded headers, bare LF",
		want: "400 and a closed connection, or one request that is read as it is forwarded; nothing hidden reaches a deployment",
		run:  testSmuggling,
	},
	{
		id: "C7", fault: "invalid JSON, duplicate names, nesting of 100,000, 1e400, wrong types",
		want: "400 that names the place, no upstream request; unknown members pass",
		run:  testInvalidJSON,
	},
	{
		id: "C8", fault: "`max_tokens` 0, -1, 1e9, 1.5, twice; structured output",
		want: "400 for what is invalid; too much is lowered with a header; structured output is never lowered silently",
		run:  testTokenLimits,
	},
	{
		id: "C9", fault: "an SDK's retries, `x-stainless-retry-count`",
		want: "a repeated call gets fewer attempts; `x-should-retry: false` when a retry is hopeless",
		run:  testClientRetries,
	},
	{
		id: "C10", fault: "one tenant sends ten times its share", want: "measured only: fair sharing is not part of the gateway yet (H13)",
		absent: "measured in H13",
	},
}

func slowClients(t *testing.T, w *world, n int) {
	needFiles(w, n+200)
	a := w.peer(good())
	g := w.lanes(setup{server: "header_timeout: 2s, body_timeout: 2s, min_body_rate: 64KiB"}, a)
	var slow sync.WaitGroup
	body := (&ask{}).bytes(w)
	head, rest, _ := strings.Cut(body, "\r\n\r\n")
	stop := make(chan struct{})
	for i := range n {
		x := w.dial()
		text := head + "\r\n\r\n" + rest
		if i%2 == 0 {
			_, _ = io.WriteString(x.conn, head+"\r\n\r\n") // the header at once, the body slowly
			text = rest
		}
		slow.Go(func() {
			tick := time.NewTicker(500 * time.Millisecond)
			defer tick.Stop()
			for j := range len(text) {
				if _, err := x.conn.Write([]byte{text[j]}); err != nil {
					return
				}
				select {
				case <-tick.C:
				case <-stop:
					return
				}
			}
		})
		slow.Go(func() {
			defer x.conn.Close()
			_ = x.conn.SetReadDeadline(time.Now().Add(patience))
			if x.head(); x.r.status != 0 && x.r.status != 408 && x.r.status != 400 {
				t.Errorf("a slow client got %s", x.r)
			} else if err, ok := x.r.err.(net.Error); ok && err.Timeout() {
				t.Error("a slow client is still connected")
			}
		})
	}
	w.wantOK("beside slow clients", w.rate(40, 2*time.Second, turns), 1)
	eventually(t, patience, "slow clients are disconnected", func() bool { return g.load().fds < g.idle.fds+20 })
	close(stop)
	slow.Wait()
}

func testSlowReader(t *testing.T, w *world) {
	line := chunk(delta(strings.Repeat("x", 4000)))
	var sent [2]struct {
		sync.Mutex
		n int
	}
	count := func(i int) step {
		return func(c *peerConn) error {
			for {
				if _, err := io.WriteString(c, line); err != nil {
					return err
				}
				sent[i].Lock()
				sent[i].n += len(line)
				sent[i].Unlock()
			}
		}
	}
	for i, leave := range []bool{true, false} {
		w.part(fmt.Sprint("leave_streams ", leave), func(t *testing.T, w *world) {
			a := w.peer(func(r *askSeen) script {
				if strings.Contains(r.body, `"endless"`) {
					return script{send(streamHead), count(i)}
				}
				return good()(r)
			})
			g := w.lanes(setup{server: fmt.Sprintf("write_timeout: 2s, leave_streams: %t", leave)}, a)
			before := g.memory("VmHWM")
			x := w.open(ask{stream: true, extra: `,"user":"endless"`})
			x.head()
			w.wantOK("beside a client that does not read", w.rate(40, 2*time.Second, turns), 1)
			seen := a.seen()[0]
			select {
			case <-seen.conn.gone:
			case <-time.After(patience):
				t.Fatal("the upstream request of a client that does not read goes on")
			}
			sent[i].Lock()
			if sent[i].n > 32<<20 {
				t.Errorf("the deployment could send %d MiB", sent[i].n>>20)
			}
			sent[i].Unlock()
			if grown := g.memory("VmHWM") - before; grown > 24<<20 {
				t.Errorf("memory grew by %.0f MiB", grown/(1<<20))
			}
			rec := w.recordOf(x.r)
			if rec.Outcome != "client_gone" && rec.Outcome != "partial" {
				t.Errorf("outcome %q", rec.Outcome)
			}
			if s := g.state("a"); s != "closed" {
				t.Errorf("a is %s", s)
			}
		})
	}
}

// canceled demands that the gateway ends its connection of a request soon after
// the client has left.
func canceled(t *testing.T, what string, seen *askSeen, left time.Time) bool {
	t.Helper()
	select {
	case <-seen.conn.gone:
		if late := seen.conn.goneAt.Sub(left); late > 100*time.Millisecond+lateness {
			t.Errorf("I10: %s: canceled %v after the client had left", what, late)
			return false
		}
		return true
	case <-time.After(patience):
		t.Errorf("I10: %s: not canceled", what)
		return false
	}
}

func testDepartures(t *testing.T, w *world) {
	w.part("before the request is whole", func(t *testing.T, w *world) {
		a := w.peer(good())
		w.lanes(setup{}, a)
		text := (&ask{}).bytes(w)
		for _, n := range []int{1, 40, len(text) - 5} {
			w.openRaw(text[:n]).leave()
		}
		w.wantOK("then", []*reply{w.do(ask{})}, 1)
		w.wantCount("a", a, 1)
	})
	w.part("in the queue", func(t *testing.T, w *world) {
		a := w.peer(silent())
		g := w.start(setup{lanes: []lane{{name: "a", peer: a, more: ", max_in_flight: 1"}}})
		first := w.open(ask{})
		eventually(t, patience, "the first request is at a", func() bool { return a.count() == 1 })
		var waiting []*exchange
		for i := range 20 {
			waiting = append(waiting, w.open(ask{caller: callers[i%6], stream: i%2 == 0}))
		}
		queued := func() float64 { return sum(g.metrics(), "spillway_queue_length") }
		eventually(t, patience, "20 requests wait", func() bool { return queued() == 20 })
		for _, x := range waiting {
			x.leave()
		}
		eventually(t, patience, "the queue is empty", func() bool { return queued() == 0 })
		first.leave()
		canceled(t, "the first request", a.seen()[0], time.Now())
		w.wantCount("a", a, 1)
		w.goneRecords(21)
	})
	for _, mode := range []struct {
		name   string
		stream bool
		class  string
		fault  script
	}{
		{"a stream", true, "", script{send(streamHead + chunk(delta("one "))), stall()}},
		{"a stream in use", true, "", script{send(streamHead), trickle(20*time.Millisecond, strings.Split(strings.Repeat(chunk(delta("x"))+"|", 500), "|")...)}},
		{"an assembled response", false, "", script{send(streamHead + chunk(delta("one "))), stall()}},
		{"a plain response", false, "sync: pass", script{stall()}},
		{"a response in parts", false, "sync: pass", script{send("HTTP/1.1 200 OK\r\n" + jsonType + "Content-Length: 100\r\n\r\n{"), stall()}},
	} {
		for _, extra := range []string{"", "\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"} {
			w.part(mode.name+fmt.Sprintf(", then %q", extra), func(t *testing.T, w *world) {
				a := w.peer(always(mode.fault...))
				g := w.lanes(setup{class: mode.class}, a)
				for range 3 {
					n := a.count()
					x := w.open(ask{stream: mode.stream})
					if mode.stream {
						x.head()
					}
					eventually(t, patience, "the request is at a", func() bool { return a.count() == n+1 })
					_, _ = io.WriteString(x.conn, extra)
					wait(50 * time.Millisecond)
					x.leave()
					w.pipelined += strings.Count(extra, "GET")
					if !canceled(t, mode.name, a.seen()[n], time.Now()) {
						return
					}
				}
				w.goneRecords(3)
				if s := g.state("a"); s != "closed" {
					t.Errorf("departures have made a %s", s)
				}
				a.plays(good())
				w.wantServed(w.do(ask{}), "a")
			})
		}
	}
}

// goneRecords waits for records of clients that have left.
func (w *world) goneRecords(n int) {
	w.t.Helper()
	got := 0
	if !eventually(quiet{w.t}, patience, "", func() bool {
		got = 0
		for _, rec := range w.records() {
			if rec.Outcome == "client_gone" {
				got++
			}
		}
		return got == n
	}) {
		w.t.Errorf("%d records with the outcome client_gone, want %d", got, n)
	}
}

func testBodies(t *testing.T, w *world) {
	a := w.peer(good())
	g := w.lanes(setup{server: "max_body_bytes: 64KiB, body_timeout: 2s"}, a)
	head := "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\napi-key: " + key("alice") + "\r\n"
	before := g.memory("VmHWM")

	w.wantStatus(w.raw(head+"Content-Length: 1073741824\r\n\r\n{"), 413)
	w.wantStatus(w.raw(head+"Content-Length: 65537\r\nExpect: 100-continue\r\n\r\n"), 413)
	for _, length := range []string{"99999999999999999999999", "-1", "0x10", "1e3", "+5", "1, 1", ""} {
		w.wantStatus(w.raw(head+"Content-Length: "+length+"\r\n\r\n{}"), 400)
	}
	x := w.openRaw(head + "Transfer-Encoding: chunked\r\n\r\n")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 1 << 20 { // endless, in practice
			if _, err := io.WriteString(x.conn, chunk(strings.Repeat(" ", 4096))); err != nil {
				return
			}
		}
		t.Error("endless chunks are read to their end")
	}()
	if x.head(); x.r.status != 413 {
		t.Errorf("endless chunks: %s", x.r)
	}
	<-ended

	short := w.openRaw(head + "Content-Length: 500\r\n\r\n{\"model\":\"m\",")
	_ = short.conn.(*net.TCPConn).CloseWrite()
	if short.head(); short.r.status != 400 && short.r.status != 0 {
		t.Errorf("a body that is cut: %s", short.r)
	}
	if grown := g.memory("VmHWM") - before; grown > 16<<20 {
		t.Errorf("memory grew by %.0f MiB", grown/(1<<20))
	}
	w.wantCount("a", a, 0)
}

func testRequestHeaders(t *testing.T, w *world) {
	a := w.peer(good())
	w.lanes(setup{}, a)
	post := func(path, header string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: gateway\r\napi-key: " + key("alice") + "\r\n" + header + "Content-Length: 2\r\n\r\n{}"
	}
	var many strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&many, "x-%d: y\r\n", i)
	}
	for name, text := range map[string]string{
		"10,000 headers": post("/v1/chat/completions", many.String()),
		"1 MiB":          post("/v1/chat/completions", "x-large: "+strings.Repeat("x", 1<<20)+"\r\n"),
		"a long name":    post("/v1/chat/completions", strings.Repeat("x", 1<<20)+": y\r\n"),
		"a long URL":     post("/v1/"+strings.Repeat("a", 100<<10), ""),
		"a long query":   post("/v1/chat/completions?a="+strings.Repeat("b", 100<<10), ""),
	} {
		if r := w.raw(text); r.status != 431 && r.status != 414 {
			t.Errorf("%s: %s", name, r)
		}
	}
	w.wantCount("a", a, 0)
	w.wantServed(w.do(ask{}), "a")
}

func testSmuggling(t *testing.T, w *world) {
	a := w.peer(good())
	w.lanes(setup{}, a)
	visible := `{"model":"m","messages":[{"role":"user","content":"visible"}]}`
	hidden := "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\napi-key: wrong\r\nContent-Length: 3\r\n\r\n"
	head := "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\napi-key: " + key("alice") + "\r\n"
	inChunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(visible), visible)
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }
	refused := map[string]string{
		"two lengths":             head + length(5) + length(6) + "\r\n" + visible,
		"two encodings":           head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + inChunk,
		"unknown encoding":        head + "Transfer-Encoding: xchunked\r\n\r\n" + inChunk,
		"encoding with a tab":     head + "Transfer-Encoding:\tchunked, identity\r\n\r\n" + inChunk,
		"blank before the colon":  head + "Transfer-Encoding : chunked\r\n" + length(len(visible)) + "\r\n" + visible,
		"blank before the name":   head[:len(head)-len("api-key: ")-len(key("alice"))-2] + " X: y\r\n" + length(2) + "\r\n{}",
		"no name":                 head + ": x\r\n" + length(2) + "\r\n{}",
		"NUL in a value":          head + "X: a\x00b\r\n" + length(2) + "\r\n{}",
		"CR in a value":           head + "X: a\rb\r\n" + length(2) + "\r\n{}",
		"negative chunk":          head + "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
		"chunk above 2^64":        head + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n",
		"chunk that is no number": head + "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
		"two hosts":               strings.Replace(head, "Host: gateway", "Host: gateway\r\nHost: other", 1) + length(2) + "\r\n{}",
		"no host":                 strings.Replace(head, "Host: gateway\r\n", "", 1) + length(2) + "\r\n{}",
		"HTTP/0.9":                "GET /v1/models\r\n\r\n",
		"HTTP/3.0":                strings.Replace(head, "HTTP/1.1", "HTTP/3.0", 1) + length(2) + "\r\n{}",
	}
	for name, text := range refused {
		r := w.raw(text)
		if r.status != 400 && r.status != 501 && r.status != 505 {
			t.Errorf("%s: %s", name, r)
		}
	}
	ambiguous := map[string]string{
		"length and encoding": head + length(len(inChunk)+len(hidden)) + "Transfer-Encoding: chunked\r\n\r\n" + inChunk + hidden,
		"encoding and length": head + "Transfer-Encoding: chunked\r\n" + length(4) + "\r\n" + inChunk + hidden,
		"folded":              head + "X: a\r\n b\r\n" + length(len(visible)) + "\r\n" + visible + hidden,
		"LF alone":            strings.ReplaceAll(head, "\r\n", "\n") + fmt.Sprintf("Content-Length: %d\n\n", len(visible)) + visible + hidden,
		"chunk extension":     head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Replace(inChunk, "\r\n", ";a=\"\n\"\r\n", 1) + hidden,
		"length in the trailer": head + "Transfer-Encoding: chunked\r\nTrailer: content-length\r\n\r\n" +
			strings.TrimSuffix(inChunk, "\r\n") + "Content-Length: 100\r\n\r\n" + hidden,
		"two requests": head + length(len(visible)) + "\r\n" + visible + hidden,
	}
	for name, text := range ambiguous {
		n := a.count()
		r := w.raw(text)
		switch seen := a.seen()[n:]; {
		case r.status == 400 || r.status == 501:
		case len(seen) > 1:
			t.Errorf("%s: %d upstream requests", name, len(seen))
		case len(seen) == 1 && !strings.Contains(seen[0].body, "visible"):
			t.Errorf("%s: the deployment got %q", name, seen[0].body)
		case len(seen) == 0:
			t.Errorf("%s: no upstream request: %s", name, r)
		}
	}
	for _, seen := range a.seen() {
		if len(seen.header["content-length"]) != 1 || seen.header["transfer-encoding"] != nil || seen.onConn > 1 && !strings.Contains(seen.body, "visible") {
			t.Errorf("forwarded as it came: %v", seen.header)
		}
	}
}

func testInvalidJSON(t *testing.T, w *world) {
	a := w.peer(good())
	w.lanes(setup{}, a)
	message := `"messages":[{"role":"user","content":"x"}]`
	for name, body := range map[string]string{
		"empty":               " ",
		"not JSON":            "hello",
		"an array":            "[]",
		"a string":            `"model"`,
		"cut":                 `{"model":"m",`,
		"two values":          `{"model":"m",` + message + `} {}`,
		"duplicate model":     `{"model":"m","model":"m",` + message + `}`,
		"duplicate, escaped":  `{"model":"m","mod\u0065l":"m",` + message + `}`,
		"nesting of 100,000":  `{"model":"m",` + message + `,"x":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + `}`,
		"open nesting":        strings.Repeat(`{"a":`, 100000),
		"1e400 tokens":        `{"model":"m","max_tokens":1e400,` + message + `}`,
		"tokens as text":      `{"model":"m","max_tokens":"5",` + message + `}`,
		"stream as text":      `{"model":"m","stream":"true",` + message + `}`,
		"model as a number":   `{"model":5,` + message + `}`,
		"NaN":                 `{"model":"m","temperature":NaN,` + message + `}`,
		"a trailing comma":    `{"model":"m",` + message + `,}`,
		"single quotes":       `{'model':'m'}`,
		"a comment":           `{"model":"m",/* x */` + message + `}`,
		"a control character": "{\"model\":\"m\x01\"," + message + "}",
		"invalid UTF-8":       "{\"model\":\"m\xff\"," + message + "}",
		"lone surrogate":      `{"model":"\ud800",` + message + `}`,
		"byte order mark":     "\ufeff" + `{"model":"m",` + message + `}`,
		"leading zero":        `{"model":"m","max_tokens":007,` + message + `}`,
	} {
		r := w.do(ask{body: body})
		if r.status != 400 && r.status != 404 || !strings.Contains(r.body, `"error"`) {
			t.Errorf("%s: %s", name, r)
		}
	}
	w.wantCount("a", a, 0)
	extra := `,"unknown":{"deep":[1,2,{"x":1e400}],"big":123456789012345678901234567890},"y":"\ud83d\ude00"`
	w.wantServed(w.do(ask{extra: extra}), "a")
	if seen := a.seen(); len(seen) == 0 || !strings.Contains(seen[0].body, extra) {
		t.Errorf("unknown members do not pass")
	}
}

func testTokenLimits(t *testing.T, w *world) {
	a := w.peer(good())
	w.lanes(setup{budget: "mode: clamp", window: 20 * time.Second}, a)
	for _, extra := range []string{
		`"max_tokens":0`, `"max_tokens":-1`, `"max_tokens":1.5`, `"max_tokens":"7"`, `"max_tokens":5,"max_completion_tokens":5`,
		`"max_tokens":[1]`, `"max_tokens":true`, `"max_tokens":99999999999999999999`, `"n":0`, `"n":-1`, `"n":1.5`,
	} {
		w.wantStatus(w.do(ask{extra: "," + extra}), 400)
	}
	w.wantCount("a", a, 0)

	for _, tokens := range []int64{100000, 1000000000} {
		n := a.count()
		r := w.do(ask{tokens: tokens})
		if r.status == 400 { // an honest refusal is right as well
			continue
		}
		sent := a.seen()[n].read().MaxTokens
		if !r.ok() || sent == nil || *sent > 20000 || r.get("x-spillway-granted-tokens") != fmt.Sprint(*sent) || r.get("x-spillway-requested-tokens") != fmt.Sprint(tokens) {
			t.Errorf("max_tokens %d: %s %v", tokens, r, r.header)
		}
	}
	n := a.count()
	schema := `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"}}}`
	r := w.do(ask{tokens: 3000, extra: schema})
	if sent := a.seen()[n].read().MaxTokens; sent == nil || *sent != 3000 && r.get("x-spillway-requested-tokens") == "" {
		t.Errorf("structured output was lowered silently: %v, %s", sent, r)
	}
}

func testClientRetries(t *testing.T, w *world) {
	a, b := w.peer(unavailable()), w.peer(unavailable())
	w.lanes(setup{}, a, b)
	r := w.do(ask{})
	if r.status/100 != 5 {
		t.Errorf("want a server error: %s", r)
	}
	for i, retries := range []int{2, 5, 20} {
		n := a.count() + b.count()
		r := w.do(ask{header: []string{fmt.Sprintf("x-stainless-retry-count: %d", retries)}, caller: callers[i+1]})
		if r.status/100 != 5 || r.get("x-should-retry") != "false" {
			t.Errorf("retry %d: want a server error that is not retried: %s", retries, r)
		}
		if tries := a.count() + b.count() - n; tries > 2 {
			t.Errorf("retry %d of a client: %d attempts", retries, tries)
		}
	}
}
