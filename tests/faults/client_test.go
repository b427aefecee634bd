//go:build linux

package faults

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// patience is how long anything may take that has no deadline of its own: only
// a hang exceeds it.
const patience = 30 * time.Second

// prompt is part of every message, and must not appear in any output.
const prompt = "prompt-that-stays-secret"

// ask is a request of a client.
type ask struct {
	caller string // name of the caller, "alice" when empty
	stream bool
	tokens int64  // max_tokens; 0 leaves it out
	extra  string // further members, each with a comma before it
	pad    int    // bytes of prompt
	window time.Duration
	// method, path and body replace the chat completion.
	method, path, body string
	header             []string // lines, such as "name: value"
	mark               string   // unique; set by send when empty
}

// reply is what a client got.
type reply struct {
	mark    string
	sent    time.Time
	status  int // 0 when the connection ended before
	header  map[string][]string
	body    string
	trailer map[string][]string
	err     error         // why the response is incomplete
	first   time.Duration // until the header had come
	took    time.Duration // until the last byte
	stream  bool
	late    time.Duration // the deadline, 0 for none
	left    bool          // the client left on purpose
}

// get returns the first value of a header.
func (r *reply) get(name string) string {
	if v := r.header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// ok reports whether the response came whole, with status 200.
func (r *reply) ok() bool {
	return r.status == 200 && r.err == nil && !strings.Contains(r.body, `"error"`)
}

// code is the code of the error in the body.
func (r *reply) code() string {
	var e struct {
		Error struct {
			Code    string
			Message string
		}
	}
	_ = json.Unmarshal([]byte(r.body), &e)
	return e.Error.Code
}

// String is the reply for messages of tests.
func (r *reply) String() string {
	body := r.body
	if len(body) > 160 {
		body = body[:80] + " … " + body[len(body)-80:]
	}
	return fmt.Sprintf("status %d after %v, error %v, attempts %s, deployment %q, body %q",
		r.status, r.took.Round(time.Millisecond), r.err, r.get("x-spillway-attempts"), r.get("x-spillway-deployment"), body)
}

// marks numbers requests, so that each is unique.
var marks atomic.Int64

// bytes is the request as it goes over the wire.
func (a *ask) bytes(w *world) string {
	if a.mark == "" {
		a.mark = fmt.Sprintf("mark%08d", marks.Add(1))
	}
	body := a.body
	if body == "" && a.method == "" {
		limit := ""
		if a.tokens != 0 {
			limit = fmt.Sprintf(`,"max_tokens":%d`, a.tokens)
		}
		body = fmt.Sprintf(`{"model":"m","stream":%t%s%s,"messages":[{"role":"user","content":"%s %s%s"}]}`,
			a.stream, limit, a.extra, a.mark, prompt, strings.Repeat(" pad", a.pad/4))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: gateway\r\napi-key: %s\r\n", or(a.method, "POST"), or(a.path, "/v1/chat/completions"), key(or(a.caller, "alice")))
	for _, line := range a.header {
		b.WriteString(line + "\r\n")
	}
	if a.window > 0 {
		fmt.Fprintf(&b, "x-spillway-deadline-ms: %d\r\n", a.window.Milliseconds())
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	return b.String()
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// exchange is a request under way.
type exchange struct {
	w    *world
	conn net.Conn
	in   *bufio.Reader
	r    *reply
}

// open connects and sends the request.
func (w *world) open(a ask) *exchange {
	w.t.Helper()
	text := a.bytes(w)
	x := w.openRaw(text)
	x.r.mark, x.r.stream = a.mark, a.stream
	x.r.late = a.window
	if x.r.late == 0 && !a.stream {
		x.r.late = w.window
	}
	return x
}

// openRaw connects and sends these bytes.
func (w *world) openRaw(text string) *exchange {
	w.t.Helper()
	x := w.dial()
	_ = x.conn.SetWriteDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(x.conn, text) // the gateway may answer before it has read everything
	return x
}

// dial connects.
func (w *world) dial() *exchange {
	w.t.Helper()
	conn, err := net.DialTimeout("tcp", w.gateway.data, patience)
	if err != nil {
		w.t.Errorf("connecting to the gateway: %v", err)
		client, server := net.Pipe() // fails every later step
		server.Close()
		conn = client
	}
	x := &exchange{w: w, conn: conn, r: &reply{sent: time.Now()}}
	x.in = bufio.NewReader(conn)
	w.mu.Lock()
	w.replies = append(w.replies, x.r)
	w.exchanges = append(w.exchanges, x)
	w.mu.Unlock()
	return x
}

// head reads the response's header.
func (x *exchange) head() *reply {
	limit := patience
	if x.r.late > 0 {
		limit += x.r.late
	}
	_ = x.conn.SetReadDeadline(time.Now().Add(limit))
	defer func() { x.r.took = time.Since(x.r.sent) }()
	for {
		line, err := x.in.ReadString('\n')
		if err != nil {
			x.r.err = unexpected(err)
			return x.r
		}
		words := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(words) < 2 || !strings.HasPrefix(words[0], "HTTP/1.") {
			x.r.err = fmt.Errorf("not a status line: %q", line)
			return x.r
		}
		if x.r.status, err = strconv.Atoi(words[1]); err != nil {
			x.r.err = err
			return x.r
		}
		x.r.first = time.Since(x.r.sent)
		if x.r.header, err = readHeader(x.in); err != nil {
			x.r.err = unexpected(err)
			return x.r
		}
		if x.r.status/100 != 1 {
			return x.r
		}
	}
}

// rest reads what is left of the response and closes the connection.
func (x *exchange) rest() *reply {
	return x.watch(nil)
}

// watch is rest, and calls tap with each piece of the body.
func (x *exchange) watch(tap func([]byte)) *reply {
	if x.r.status == 0 && x.r.err == nil {
		x.head()
	}
	if x.r.err == nil {
		_ = x.conn.SetReadDeadline(time.Now().Add(x.r.late + 3*patience))
		var body []byte
		body, x.r.trailer, x.r.err = readBody(x.in, x.r.header, true, tap)
		x.r.body = string(body)
	}
	x.r.took = time.Since(x.r.sent)
	x.conn.Close()
	return x.r
}

// leave closes the connection without waiting for the response.
func (x *exchange) leave() {
	x.r.left = true
	x.r.took = time.Since(x.r.sent)
	x.conn.Close()
}

// do sends a request and reads its whole response.
func (w *world) do(a ask) *reply {
	w.t.Helper()
	return w.open(a).rest()
}

// raw sends bytes and reads one response.
func (w *world) raw(text string) *reply {
	w.t.Helper()
	return w.openRaw(text).rest()
}
