//go:build linux

package faults

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

func testHugeAsk(t *testing.T, w *world) {
	provisioned := func(w *world, p *peer) *gateway {
		return w.start(setup{window: time.Minute, lanes: []lane{
			{name: "a", peer: p, more: ", kind: provisioned, ptu: 200, max_output_tokens: 16384, meter_depth: 1m"}, {name: "b", peer: w.peer(good())},
		}})
	}
	held := func(r *askSeen) script {
		if strings.Contains(r.body, `"held"`) {
			return script{stall()}
		}
		return good()(r)
	}
	for name, asked := range map[string]ask{
		"max_tokens":     {tokens: 1e9},
		"n":              {tokens: 100, extra: `,"n":1000000000`},
		"both":           {tokens: 1e9, extra: `,"n":1000000000`},
		"n of 128":       {tokens: 1e9, extra: `,"n":128`},
		"near 2^63":      {tokens: 1e9, extra: `,"n":999999999`},
		"best_of, plain": {method: "POST", path: "/v1/completions", body: `{"model":"m","max_tokens":1000000000,"best_of":1000000000,"prompt":"x","user":"held"}`},
	} {
		for _, stream := range []bool{true, false} {
			if asked.method != "" && stream {
				continue
			}
			w.part(fmt.Sprint(name, ", stream ", stream), func(t *testing.T, w *world) {
				a := w.peer(held)
				g := provisioned(w, a)
				var held []*exchange
				for i := range 20 { // so that a level that is reset shows
					held = append(held, w.open(ask{stream: true, tokens: 16000, extra: `,"user":"held"`, caller: callers[i%5]}))
				}
				eventually(t, patience, "20 requests are at a", func() bool { return a.count() == len(held) })
				before := g.utilization("a")
				asked := asked
				asked.stream, asked.caller = stream, "frank"
				if asked.method == "" {
					asked.extra += `,"user":"held"`
				}
				x := w.open(asked)
				refused := make(chan struct{})
				go func() { x.head(); close(refused) }()
				eventually(t, patience, "the request is at a, or refused", func() bool {
					select {
					case <-refused:
						return true
					default:
						return a.count() > len(held)
					}
				})
				level := g.utilization("a")
				// The largest possible request: 128 responses of the model's maximum, of which
				// each token counts four times. A minute of capacity is 1, and drains in one.
				most := 128.0 * 16384 * 4 / (200 * 37000)
				if before < 0.1 || level < before-0.1 || level > before+most {
					t.Errorf("the meter of a went from %v to %v, at most %v more is possible", before, level, most)
				}
				replies := w.rate(20, 2*time.Second, func(i int) ask { return ask{caller: callers[i%5], tokens: 20} })
				w.wantOK("others", replies, 1)
				if name == "max_tokens" || name == "n" {
					spilled := 0
					for _, r := range replies {
						if r.get("x-spillway-deployment") != "a" {
							spilled++
						}
					}
					if spilled > 2 {
						t.Errorf("%d of %d others are pushed off a, whose meter shows %v", spilled, len(replies), level)
					}
				}
				x.leave()
				<-refused
				for _, x := range held {
					x.leave()
				}
				eventually(t, patience, "I4: the meter returns to 0", func() bool { return g.utilization("a") < 0.01 })
			})
		}
	}
}

func testBelievedUsage(t *testing.T, w *world) {
	lie := func(r *askSeen) script {
		if strings.Contains(r.body, `"lie"`) {
			text := delta("one two three ") + finish("stop") + usage("7", "999999999") + done
			return script{send(streamHead + chunk(text) + lastChunk)}
		}
		return good()(r)
	}
	a, b := w.peer(lie), w.peer(good())
	g := w.start(setup{lanes: []lane{
		{name: "a", peer: a, more: ", kind: provisioned, ptu: 200"}, {name: "b", peer: b},
	}})
	for i := range 4 {
		r := w.do(ask{caller: "frank", tokens: 100, stream: i%2 == 0, extra: `,"user":"lie"`})
		if r.status != 200 {
			t.Errorf("the response does not pass: %s", r)
			continue
		}
		if rec := w.recordOf(r); rec.Usage.Known || rec.Usage.Completion > 100 {
			t.Errorf("the record believes it: %+v", rec.Usage)
		}
	}
	if u := g.utilization("a"); u > 0.1 {
		t.Errorf("the meter of a shows %v", u)
	}
	for _, r := range w.many(10, 1, turns) {
		if !w.wantServed(r, "a") {
			break
		}
	}
}

func testHopeless(t *testing.T, w *world) {
	w.part("408", func(t *testing.T, w *world) {
		a, b := w.peer(timedOut()), w.peer(timedOut())
		w.lanes(setup{}, a, b)
		for i := range 3 {
			before := [2]int{a.count(), b.count()}
			r := w.do(ask{caller: callers[i], stream: i == 1})
			w.wantStatus(r, 408)
			if r.get("x-should-retry") != "false" {
				t.Errorf("no x-should-retry: false: %s", r)
			}
			if n, m := a.count()-before[0], b.count()-before[1]; n > 1 || m > 1 {
				t.Errorf("%d and %d tries at the deployments", n, m)
			}
		}
	})
	w.part("a slow 408", func(t *testing.T, w *world) { // half of the window is gone
		slow := func(r *askSeen) script { return append(script{pause(1500 * time.Millisecond)}, timedOut()(r)...) }
		a, b := w.peer(slow), w.peer(slow)
		w.lanes(setup{window: 5 * time.Second}, a, b)
		w.wantStatus(w.do(ask{}), 408)
		if a.count() > 1 || b.count() > 1 {
			t.Errorf("%d and %d tries at the deployments", a.count(), b.count())
		}
	})
	w.part("an SDK's retries", func(t *testing.T, w *world) {
		a, b := w.peer(unavailable()), w.peer(unavailable())
		w.lanes(setup{}, a, b)
		r := w.do(ask{header: []string{"x-stainless-retry-count: 2"}})
		if r.status/100 != 5 || r.get("x-should-retry") != "false" {
			t.Errorf("the last try of an SDK: %s", r)
		}
		if n := a.count() + b.count(); n > 2 {
			t.Errorf("%d attempts", n)
		}
	})
}

func testMemory(t *testing.T, w *world) {
	w.part("large bodies at once", func(t *testing.T, w *world) {
		const limit, size, n = 256 << 20, 24 << 20, 12
		gate := make(chan struct{})
		a := w.peer(func(r *askSeen) script { return append(script{await(gate)}, good()(r)...) })
		w.memory = limit
		g := w.start(setup{window: time.Minute, command: memoryGroup(w, limit), lanes: []lane{{name: "a", peer: a}}})
		var all sync.WaitGroup
		replies := make([]*reply, n)
		for i := range n {
			all.Go(func() { replies[i] = w.do(ask{pad: size, caller: callers[i%6]}) })
		}
		wait(3 * time.Second)
		close(gate)
		all.Wait()
		if !g.running() {
			t.Fatalf("killed: %v", g.cmd.ProcessState)
		}
		refused := 0
		for _, r := range replies {
			switch {
			case r.status == 503 && r.get("retry-after") != "":
				refused++
			case !r.ok():
				t.Errorf("want a response or a 503 with a retry-after: %s", r)
			}
		}
		if refused == n {
			t.Error("none is served")
		}
		w.wantOK("afterwards", []*reply{w.do(ask{})}, 1)
		w.note = fmt.Sprintf(" (%d of %d bodies of %d MiB refused in %d MiB)", refused, n, size>>20, limit>>20)
	})
	w.part("announced lengths", func(t *testing.T, w *world) {
		const n = 400
		w.memory = 64<<20 + n*64<<10
		g := w.lanes(setup{server: "body_timeout: 1m"}, w.peer(good()))
		w.wantOK("warm", w.many(20, 20, turns), 1)
		before := g.load().heap
		for range n {
			x := w.openRaw("POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\napi-key: " + key("alice") + "\r\nContent-Length: 1048576\r\n\r\n{")
			x.r.left = true
		}
		eventually(t, patience, "the requests are being read", func() bool { return g.status().InFlight >= n })
		if grown := (g.load().heap - before) / n; grown > 64<<10 {
			t.Errorf("%.0f KiB for each connection that sent one byte", grown/1024)
		}
	})
	w.part("duplicate name", func(t *testing.T, w *world) {
		const size = 20 << 20
		w.memory = 4 * size
		g := w.lanes(setup{}, w.peer(good()))
		w.wantOK("warm", w.many(4, 1, turns), 1)
		body := `{"model":"m","a":[` + strings.Repeat(`{"x":1},`, size/8) + `0],"model":"m"}`
		before, cpu := g.memory("VmHWM"), g.cpu()
		w.wantStatus(w.do(ask{body: body}), 400)
		if grown := g.memory("VmHWM") - before; grown > 4*size {
			t.Errorf("%.0f MiB for a body of %d MiB", grown/(1<<20), size>>20)
		}
		if used := g.cpu() - cpu; used > 2*time.Second {
			t.Errorf("%v of CPU time for a body of %d MiB", used, size>>20)
		}
	})
	for _, last := range []string{"", `,"n0":1`, `,"model":"m"`} {
		w.part("many names, then "+last, func(t *testing.T, w *world) { // a table of names must not be large or quadratic either
			const n = 1 << 20
			var b strings.Builder
			b.WriteString(`{"model":"m"`)
			for i := range n {
				fmt.Fprintf(&b, `,"n%d":1`, i)
			}
			b.WriteString(last + `,"messages":[{"role":"user","content":"x"}]}`)
			w.memory = 8 * b.Len()
			g := w.lanes(setup{}, w.peer(good()))
			w.wantOK("warm", w.many(4, 1, turns), 1)
			cpu := g.cpu()
			if r := w.do(ask{body: b.String()}); r.status != 200 && r.status != 400 && r.status != 413 {
				t.Errorf("%d names: %s", n, r)
			}
			if used := g.cpu() - cpu; used > 3*time.Second {
				t.Errorf("%v of CPU time for %d names", used, n)
			}
		})
	}
}

func testOperations(t *testing.T, w *world) {
	w.part("by default", func(t *testing.T, w *world) {
		w.ownErrors = true
		a := w.peer(fails(200, jsonType, `{"object":"list","data":[]}`))
		w.lanes(setup{}, a)
		for _, path := range []string{
			"/v1/fine_tuning/jobs", "/v1/files", "/v1/batches", "/v1/threads", "/v1/threads/t1/runs", "/v1/assistants", "/v1/vector_stores",
			"/v1/responses/compact", "/v1/uploads", "/v1/evals", "/v1/containers", "/v1/videos", "/v1/images/generations", "/v1/audio/speech",
			"/openai/deployments/m/extensions/chat/completions?api-version=1", "/v1/generate", "/v1/api/generate", "/v1/engines/m/completions",
			"/openai/files?api-version=1", "/openai/v1/fine_tuning/jobs", "/v1/messages", "/v1/organization/admin_api_keys",
		} {
			for _, method := range []string{"POST", "GET", "DELETE"} {
				r := w.raw(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: gateway\r\napi-key: %s\r\nContent-Length: 13\r\n\r\n{\"model\":\"m\"}", method, path, key("alice")))
				if r.status != 403 && r.status != 404 && r.status != 405 || !strings.Contains(r.body, `"error"`) {
					t.Errorf("%s %s: %s", method, path, r)
				}
			}
		}
		w.wantCount("a", a, 0)
	})
	w.part("allowed", func(t *testing.T, w *world) {
		a := w.peer(fails(200, jsonType, `{"object":"list","data":[]}`))
		w.lanes(setup{class: "operations: [chat, files]"}, a)
		r := w.do(ask{method: "GET", path: "/v1/files"})
		w.wantStatus(r, 200)
		w.wantStatus(w.do(ask{method: "GET", path: "/v1/batches"}), 403)
		w.wantStatus(w.do(ask{method: "POST", path: "/v1/embeddings", body: `{"model":"m","input":"x"}`}), 403)
	})
	w.part("hard cap", func(t *testing.T, w *world) {
		a := w.peer(good())
		w.lanes(setup{budget: "mode: clamp, max_output_tokens: 100, hard_cap: true"}, a)
		tools := `,"tools":[{"type":"function","function":{"name":"f"}}]`
		schema := `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{}}}`
		for _, asked := range []ask{
			{stream: true, tokens: 5000},
			{stream: true},
			{tokens: 5000},
			{tokens: 5000, extra: tools},
			{stream: true, tokens: 5000, extra: schema},
			{tokens: 5000, extra: `,"n":4`},
			{stream: true, tokens: 5000, extra: `,"n":128`},
			{tokens: 5000, extra: `,"reasoning_effort":"high"`},
		} {
			before := a.count()
			r := w.do(asked)
			if r.status == 400 {
				continue
			}
			if a.count() == before {
				t.Errorf("%+v: %s", asked, r)
				continue
			}
			got := a.seen()[before].read()
			n := int64(1)
			if got.N != nil {
				n = *got.N
			}
			if got.MaxTokens == nil || *got.MaxTokens*n > 100 {
				t.Errorf("%+v exceeds the cap of 100: %s", asked, a.seen()[before].body)
			}
		}
	})
}

func testHTTP2Floods(t *testing.T, w *world) {
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	frame := func(kind, flags byte, stream uint32, payload string) string {
		n := len(payload)
		return string([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags, byte(stream >> 24), byte(stream >> 16), byte(stream >> 8), byte(stream)}) + payload
	}
	settings := frame(4, 0, 0, "")
	w.part("off", func(t *testing.T, w *world) {
		w.lanes(setup{server: "h2c: false"}, w.peer(good()))
		x := w.openRaw(preface + settings)
		x.r.left = true
		_ = x.conn.SetReadDeadline(time.Now().Add(patience))
		got, err := io.ReadAll(x.conn)
		if err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("still open: %v", err)
		}
		if len(got) >= 9 && got[3] == 4 {
			t.Error("the gateway speaks HTTP/2")
		}
		w.wantServed(w.do(ask{}), "a")
	})
	// 4 KiB of indexed header fields, each of which stands for a whole header.
	bomb := "\x82\x84\x86" + "\x41\x07gateway" + "\x40\x01a\x7f\xe1\x1e" + strings.Repeat("x", 4000-(0x7f-127)) + strings.Repeat("\xbe", 4000)
	for name, flood := range map[string]func(i uint32) string{
		"PING":          func(uint32) string { return frame(6, 0, 0, "01234567") },
		"SETTINGS":      func(uint32) string { return frame(4, 0, 0, "\x00\x03\x00\x00\x00\x64") },
		"empty headers": func(i uint32) string { return frame(1, 5, 2*i+1, "") },
		"rapid reset": func(i uint32) string {
			return frame(1, 4, 2*i+1, "\x82\x84\x86\x41\x07gateway") + frame(3, 0, 2*i+1, "\x00\x00\x00\x08")
		},
		"HPACK": func(i uint32) string { return frame(1, 4, 2*i+1, bomb) },
		"CONTINUATION": func(i uint32) string {
			return map[bool]string{true: frame(1, 0, 1, "\x82\x84\x86")}[i == 0] + frame(9, 0, 1, "")
		},
		"PRIORITY":    func(i uint32) string { return frame(2, 0, 2*i+1, "\x00\x00\x00\x00\x10") },
		"window of 1": func(uint32) string { return frame(8, 0, 0, "\x00\x00\x00\x01") },
	} {
		w.part(name, func(t *testing.T, w *world) {
			w.noRecords = true
			w.memory = 48 << 20
			g := w.lanes(setup{}, w.peer(good()))
			cpu := g.cpu()
			x := w.openRaw(preface + settings)
			x.r.left = true
			heard := &output{}
			ended := make(chan struct{})
			go func() { _, _ = io.Copy(heard, x.conn); close(ended) }() // until it is closed
			frames, closed := 0, false
			_ = x.conn.SetWriteDeadline(time.Now().Add(patience))
			var b strings.Builder
			for i := uint32(0); frames < 300000 && !closed; frames++ {
				b.WriteString(flood(i))
				i++
				if b.Len() > 64<<10 {
					_, err := io.WriteString(x.conn, b.String())
					closed = err != nil
					b.Reset()
				}
			}
			// What was written may still be on its way. A PING behind it is answered, unless
			// the connection is closed.
			const last = "lastping"
			_, _ = io.WriteString(x.conn, frame(6, 0, 0, last)) // fails where it is closed
			eventually(t, patience, "the frames are read, or the connection is closed", func() bool {
				select {
				case <-ended:
					closed = true
				default:
				}
				return closed || strings.Contains(heard.text(), last)
			})
			used := g.cpu() - cpu
			if !closed {
				t.Errorf("%d frames without a key are taken, for %v of CPU time", frames, used)
			}
			t.Logf("closed %t after at most %d frames, %v of CPU time", closed, frames, used)
			w.wantServed(w.do(ask{}), "a")
		})
	}
}
