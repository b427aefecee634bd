//go:build linux

package faults

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// streamRows are malformed and hostile contents of responses.
var streamRows = []row{
	{
		id: "S1", fault: "malformed events: CRLF, CR alone, BOM, comments, no blank, truncated JSON",
		want: "forwarded byte for byte up to what cannot be read; then the stream goes on, or ends with an error event",
		run:  testMalformedEvents,
	},
	{
		id: "S2", fault: "one event of 64 MiB",
		want: "before the first byte, the other deployment answers; after it, an error event; memory grows by about twice `max_event_bytes`, at most 3 × + 16 MiB",
		run:  testHugeEvent,
	},
	{
		id: "S3", fault: "no [DONE]", want: "complete when every choice has its finish, else an error event and outcome `partial`",
		run: testNoDone,
	},
	{
		id: "S4", fault: "duplicate and reordered chunks, two [DONE]", want: "forwarded unchanged up to the first [DONE]; tokens by usage",
		run: testDuplicates,
	},
	{
		id: "S5", fault: "an encoded body that nobody asked for; a gzip bomb",
		want: "identity is requested; the other deployment answers; nothing encoded reaches a client without saying so; memory is bounded",
		run:  testEncoded,
	},
	{
		id: "S6", fault: "invalid UTF-8, NUL, lone surrogates, characters split over packets", want: "forwarded byte for byte",
		run: testBytes,
	},
	{
		id: "S7", fault: "usage missing, negative, a string, 2^63, or above the limit",
		want: "the response passes; the record has a plausible count of our own, not `known`; the meter is not filled",
		run:  testUsage,
	},
	{
		id: "S8", fault: "10,000 response headers, a header of 1 MiB, hop-by-hop headers",
		want: "the other deployment answers; alone, a 5xx with an error; hop-by-hop headers stay behind",
		run:  testResponseHeaders,
	},
}

// inChunks sends a stream as chunks of a size, so that events are split
// anywhere.
func inChunks(text string, size int) script {
	s := script{send(streamHead)}
	for len(text) > 0 {
		n := min(size, len(text))
		s = append(s, send(chunk(text[:n])))
		text = text[n:]
	}
	return append(s, send(lastChunk))
}

// untilDone is a stream up to its end, behind which nothing counts.
func untilDone(stream string) string {
	before, _, _ := strings.Cut(stream, "[DONE]")
	return before
}

func testMalformedEvents(t *testing.T, w *world) {
	plain := delta("one ") + delta("two ") + finish("stop") + done
	noFinish := strings.Replace(plain, finish("stop"), "", 1)
	// whole streams must arrive unchanged; a broken one up to its fault.
	whole := map[string]string{
		"CRLF":              strings.ReplaceAll(plain, "\n", "\r\n"),
		"byte order mark":   "\ufeff" + plain,
		"comments":          ": hello\n\n" + strings.ReplaceAll(plain, "\n\n", "\n\n: ping\n\n"),
		"no blank":          strings.ReplaceAll(plain, "data: ", "data:"),
		"other fields":      strings.ReplaceAll(plain, "data: ", "id: 7\nretry: 10\nevent: message\ndata: "),
		"more blank lines":  strings.ReplaceAll(plain, "\n\n", "\n\n\n\n"),
		"unknown members":   strings.Replace(plain, `"created":1`, `"created":1,"obfuscation":"x","nested":{"a":[1,{"b":null}]}`, 1),
		"mixed line ends":   strings.Replace(plain, "\n\n", "\r\n\r\n", 1),
		"prompt filter":     `data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}` + "\n\n" + plain,
		"event in two data": strings.Replace(plain, `,"choices"`, ",\ndata: \"choices\"", 1),
	}
	broken := map[string]string{
		"truncated JSON": delta("one ") + "data: {\"id\":\"c1\",\"choices\":[{\"ind\n\n" + noFinish,
		"not JSON":       delta("one ") + "data: hello\n\n" + noFinish,
		"JSON array":     delta("one ") + "data: [1,2,3]\n\n" + noFinish,
		"garbage":        delta("one ") + "\x00\x01\x02\xff\xfe garbage without a colon\n\n" + noFinish,
		"CR alone":       delta("one ") + strings.ReplaceAll(noFinish, "\n", "\r"),
		"not closed":     delta("one ") + strings.TrimSuffix(delta("two "), "\n\n"),
	}
	a := w.peer(nil)
	w.lanes(setup{}, a, w.peer(unavailable()))
	for name, text := range whole {
		for _, size := range []int{1 << 20, 7} {
			a.plays(always(inChunks(text, size)...))
			r := w.do(ask{stream: true})
			if r.status != 200 || r.err != nil || untilDone(r.body) != untilDone(text) {
				t.Errorf("%s, in pieces of %d: changed:\n got %q\nwant %q", name, size, r.body, text)
			}
			r = w.do(ask{})
			if !r.ok() || !strings.Contains(r.body, `"one two "`) {
				t.Errorf("%s, in pieces of %d: not assembled: %s", name, size, r)
			}
		}
	}
	for name, text := range broken {
		for _, size := range []int{1 << 20, 7} {
			a.plays(always(inChunks(text, size)...))
			r := w.do(ask{stream: true, caller: "bob"})
			switch {
			case r.status == 200 && !strings.HasPrefix(r.body, delta("one ")):
				t.Errorf("%s, in pieces of %d: what could be read is not forwarded: %s", name, size, r)
			case !strings.Contains(r.body, `"error"`) && !strings.HasSuffix(strings.TrimRight(r.body, "\r\n"), "[DONE]"):
				t.Errorf("%s, in pieces of %d: ends with neither an error nor [DONE]: %s", name, size, r)
			}
			if r := w.do(ask{caller: "bob"}); r.status == 200 && !json.Valid([]byte(r.body)) {
				t.Errorf("%s, in pieces of %d: not JSON: %s", name, size, r)
			}
		}
	}
	a.plays(good())
	eventually(t, patience, "served again", func() bool { return w.do(ask{caller: "carol"}).ok() })
}

func testHugeEvent(t *testing.T, w *world) {
	for _, limit := range []int{1 << 20, 16 << 20} {
		for _, stream := range []bool{true, false} {
			w.part(fmt.Sprintf("limit of %d MiB, stream %t", limit>>20, stream), func(t *testing.T, w *world) { hugeEvent(t, w, limit, stream) })
		}
	}
}

// hugeEvent sends an event far above a limit. What is needed is twice the limit: a
// buffer that grows by doubling, and those that the collector has not freed yet.
func hugeEvent(t *testing.T, w *world, limit int, stream bool) {
	const size = 64 << 20
	piece := chunk(strings.Repeat("x", 1<<20))
	s := script{send(streamHead + chunk(delta("one ")+`data: {"id":"`))}
	for range size >> 20 {
		s = append(s, send(piece))
	}
	s = append(s, send(chunk("\"}\n\n"+finish("stop")+done)+lastChunk))
	a, b := w.peer(good()), w.peer(good())
	// By default the collector leaves garbage up to a heap of 64 MiB, which hides the rest.
	g := w.lanes(setup{server: fmt.Sprintf("max_event_bytes: %dMiB", limit>>20), env: []string{"GOGC=100"}}, a, b)
	w.memory = 5*limit + 64<<20 // two attempts, one after the other
	w.wantOK("before", w.many(4, 1, turns), 1)
	a.plays(always(s...))
	before := g.memory("VmHWM")
	if r := w.do(ask{stream: stream}); !stream {
		w.wantServed(r, "b")
	} else if !strings.HasPrefix(r.body, delta("one ")) || !strings.Contains(r.body, `"error"`) || strings.Contains(r.body, "[DONE]") || len(r.body) > 2*limit {
		t.Errorf("want what came before the event, and an error; got %d bytes: %s", len(r.body), r)
	}
	grown, most := g.memory("VmHWM")-before, 3*limit+16<<20
	if grown > float64(most) {
		t.Errorf("memory grew by %.1f MiB, want at most %d", grown/(1<<20), most>>20)
	}
	t.Logf("memory grew by %.1f MiB", grown/(1<<20))
	b.plays(always(s...))
	if r := w.do(ask{caller: "bob"}); r.status < 500 || r.code() == "" {
		t.Errorf("want an error: %s", r)
	}
}

func testNoDone(t *testing.T, w *world) {
	text := delta("one ") + delta("two ")
	a := w.peer(nil)
	w.lanes(setup{}, a)
	for name, end := range map[string]string{"in chunks": streamHead, "to the end": endHead} {
		for _, complete := range []bool{true, false} {
			body := text
			if complete {
				body += finish("stop")
			}
			if end == streamHead {
				a.plays(always(send(end+chunk(body)), pause(20*time.Millisecond), send(lastChunk)))
			} else {
				a.plays(always(send(end+body), pause(20*time.Millisecond), hangUp()))
			}
			r := w.do(ask{stream: true})
			want := map[bool]string{true: "ok", false: "partial"}[complete]
			if rec := w.recordOf(r); rec.Outcome != want {
				t.Errorf("%s, complete %t: outcome %q, want %q", name, complete, rec.Outcome, want)
			}
			if !strings.HasPrefix(r.body, body) || strings.Contains(r.body, `"error"`) == complete {
				t.Errorf("%s, complete %t: %s", name, complete, r)
			}
		}
	}
}

func testDuplicates(t *testing.T, w *world) {
	text := delta("one ") + delta("one ") + delta("three ") + delta("two ") + finish("stop") + usage("7", "4") + done
	a := w.peer(always(send(streamHead+chunk(text+delta("late ")+done)), send(lastChunk)))
	w.lanes(setup{}, a)
	r := w.do(ask{stream: true, extra: `,"stream_options":{"include_usage":true}`})
	if r.body != text {
		t.Errorf("changed:\n got %q\nwant %q", r.body, text)
	}
	if rec := w.recordOf(r); rec.Usage.Completion != 4 || !rec.Usage.Known || rec.Outcome != "ok" {
		t.Errorf("want the usage of the deployment: %+v", rec)
	}
}

// zipped is text in gzip.
func zipped(text []byte) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(text) // to memory
	_ = z.Close()
	return b.String()
}

func testEncoded(t *testing.T, w *world) {
	const gz = "Content-Encoding: gzip\r\n"
	json := zipped([]byte(whole("hello", "stop", "3")))
	stream := zipped([]byte(delta("one ") + finish("stop") + done))
	bomb := zipped(bytes.Repeat([]byte(" "), 256<<20))
	for name, fault := range map[string]func(*askSeen) script{
		"JSON":   fails(200, jsonType+gz, json),
		"stream": fails(200, "Content-Type: text/event-stream\r\n"+gz, stream),
		"bomb":   fails(200, jsonType+gz, bomb),
		"not gz": fails(200, jsonType+gz, whole("hello", "stop", "3")),
	} {
		w.part(name, func(t *testing.T, w *world) {
			w.ownErrors = true
			a, b := w.peer(fault), w.peer(good())
			g := w.lanes(setup{}, a, b)
			before := g.memory("VmHWM")
			for i := range 2 {
				r := w.do(ask{stream: i == 1, caller: callers[i]})
				if readable := r.ok() && (strings.Contains(r.body, "word0") || strings.Contains(r.body, "hello") || strings.Contains(r.body, "one")); !readable && r.get("content-encoding") == "" {
					t.Errorf("want a readable response: %s", r)
				}
			}
			for _, seen := range a.seen() {
				if e := strings.Join(seen.header["accept-encoding"], ","); e != "" && e != "identity" {
					t.Errorf("the gateway accepts the encoding %q", e)
				}
			}
			b.plays(fault)
			r := w.do(ask{caller: "carol"})
			if r.status == 200 && r.get("content-encoding") != "gzip" && !strings.Contains(r.body, "hello") && !strings.Contains(r.body, "one") {
				t.Errorf("bytes that nobody can read: %s", r)
			}
			if grown := g.memory("VmHWM") - before; grown > 64<<20 {
				t.Errorf("memory grew by %.0f MiB", grown/(1<<20))
			}
		})
	}
}

func testBytes(t *testing.T, w *world) {
	a := w.peer(nil)
	w.lanes(setup{}, a)
	for name, quoted := range map[string]string{
		"invalid UTF-8":        "a\xff\xfe\xc3(b",
		"surrogates":           `\ud83d and \ude00, \ud800`,
		"NUL":                  `a\u0000b`,
		"many scripts":         "Grüße 世界 🎉 \u202e right",
		"escapes":              `\"\\\/\b\f\n\r\t`,
		"line separators":      "a\u2028b\u2029c\u0085d",
		"overlong and C1":      "\xc0\x80 \xc2\x9b",
		"a character in parts": "🎉🎉🎉🎉",
	} {
		text := delta(quoted) + delta("end") + finish("stop") + done
		for _, size := range []int{1 << 20, 3, 1} {
			a.plays(always(inChunks(text, size)...))
			if r := w.do(ask{stream: true}); r.body != text {
				t.Errorf("%s, in pieces of %d: changed:\n got %q\nwant %q", name, size, r.body, text)
			}
		}
		body := whole(quoted, "stop", "3")
		a.plays(fails(200, jsonType, body))
		if r := w.do(ask{}); r.status == 200 && r.body != body {
			t.Errorf("%s, JSON: changed:\n got %q\nwant %q", name, r.body, body)
		}
	}
}

func testUsage(t *testing.T, w *world) {
	for name, count := range map[string]string{
		"above the limit": "999999999", "negative": "-5", "string": `"12"`, "2^63": "9223372036854775808", "1e30": "1e30",
		"null": "null", "fraction": "1.5", "2^64 and 4": "18446744073709551620",
	} {
		w.part(name, func(t *testing.T, w *world) {
			w.ownErrors = true
			a := w.peer(nil)
			g := w.start(setup{lanes: []lane{{name: "a", peer: a, more: ", kind: provisioned, ptu: 100"}}})
			for i, mode := range []string{"stream", "assembled", "plain"} {
				text := delta("one two three ") + finish("stop") + usage("7", count) + done
				a.plays(always(send(streamHead + chunk(text) + lastChunk)))
				if mode == "plain" {
					a.plays(fails(200, jsonType, whole("one two three ", "stop", count)))
				}
				r := w.do(ask{stream: i == 0, tokens: 100, extra: map[bool]string{true: `,"stream_options":{"include_usage":true}`}[i == 0]})
				if r.status != 200 {
					t.Errorf("%s: the response does not pass: %s", mode, r)
					continue
				}
				rec := w.recordOf(r)
				if rec.Usage.Known || rec.Usage.Completion < 1 || rec.Usage.Completion > 100 {
					t.Errorf("%s: usage of the record: %+v", mode, rec.Usage)
				}
			}
			if u := g.utilization("a"); u > 0.05 {
				t.Errorf("the meter shows %.2f", u)
			}
		})
	}
}

func testResponseHeaders(t *testing.T, w *world) {
	var many strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&many, "x-many-%d: some value of some length\r\n", i)
	}
	for name, header := range map[string]string{
		"10,000 headers":   many.String(),
		"a header of 1MiB": "x-large: " + strings.Repeat("x", 1<<20) + "\r\n",
		"endless":          strings.Repeat("x-again: "+strings.Repeat("y", 1000)+"\r\n", 20000),
	} {
		w.part(name, func(t *testing.T, w *world) {
			a, b := w.peer(fails(200, jsonType+header, whole("hello", "stop", "3"))), w.peer(good())
			g := w.lanes(setup{}, a, b)
			before := g.memory("VmHWM")
			w.wantServed(w.do(ask{}), "b")
			b.plays(fails(200, jsonType+header, whole("hello", "stop", "3")))
			if r := w.do(ask{caller: "bob"}); r.status < 500 || len(r.header) > 100 {
				t.Errorf("want an error: status %d, %d headers", r.status, len(r.header))
			}
			if grown := g.memory("VmHWM") - before; grown > 32<<20 {
				t.Errorf("memory grew by %.0f MiB", grown/(1<<20))
			}
		})
	}
	w.part("hop by hop", func(t *testing.T, w *world) {
		header := "Connection: x-private, keep-alive\r\nX-Private: yes\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n" +
			"Upgrade: h2c\r\nTrailer: x-late\r\nSet-Cookie: a=b\r\nX-Public: yes\r\n"
		w.lanes(setup{}, w.peer(fails(200, jsonType+header, whole("hello", "stop", "3"))))
		r := w.do(ask{})
		for _, name := range []string{"x-private", "keep-alive", "proxy-authenticate", "upgrade", "trailer", "set-cookie"} {
			if r.get(name) != "" {
				t.Errorf("the header %s is forwarded", name)
			}
		}
		if r.get("x-public") != "yes" || !r.ok() {
			t.Errorf("want the rest: %s %v", r, r.header)
		}
	})
}
