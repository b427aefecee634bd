package interference

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// rawPeer is a deployment that writes what its script says, byte by byte, over
// TCP.
type rawPeer struct {
	listener net.Listener
	// script answers the guilty caller's requests, and with sick everybody's. It
	// reports whether the connection can be used again.
	script       script
	sick         atomic.Bool
	requests     atomic.Int64
	sickRequests atomic.Int64 // those that came while it was sick

	mu     sync.Mutex
	conns  map[net.Conn]bool // open ones, and whether a request is being answered
	closed bool
}

// script answers one request.
type script func(*exchange) (keep bool)

// exchange is one request at a deployment.
type exchange struct {
	conn       net.Conn
	in         *bufio.Reader
	deployment string
	path       string
	body       []byte
	stream     bool // the gateway asks for a stream
}

// poison marks the prompts of the guilty caller.
const poison = "poison"

// startRawPeer starts a deployment that ends with the test.
func startRawPeer(t *testing.T, s script) *rawPeer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &rawPeer{listener: l, script: s, conns: map[net.Conn]bool{}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if !p.add(conn) {
				conn.Close()
				return
			}
			serving.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		p.close()
		serving.Wait()
	})
	return p
}

// add remembers an open connection. It reports false when the peer is closed.
func (p *rawPeer) add(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.conns[conn] = false
	}
	return !p.closed
}

// setBusy notes whether a request is being answered. It reports false when the peer is closed.
func (p *rawPeer) setBusy(conn net.Conn, busy bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[conn] = busy
	return !p.closed
}

// refuse has the peer refuse connections from now on. Requests under way are still answered:
// nobody could repair a stream that breaks off.
func (p *rawPeer) refuse() {
	p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for conn, busy := range p.conns {
		if !busy {
			conn.Close()
		}
	}
}

func (p *rawPeer) close() {
	p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for conn := range p.conns {
		conn.Close()
	}
}

// serve answers the requests of one connection.
func (p *rawPeer) serve(conn net.Conn) {
	defer func() {
		conn.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, conn)
	}()
	in := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		p.requests.Add(1)
		x := &exchange{conn: conn, in: in, path: req.URL.Path, body: body}
		_, rest, _ := strings.Cut(x.path, "/deployments/")
		x.deployment, _, _ = strings.Cut(rest, "/")
		x.stream = bytes.Contains(body, []byte(`"stream":true`))
		p.setBusy(conn, true)
		if keep := p.answer(x); !p.setBusy(conn, false) || !keep {
			return
		}
	}
}

func (p *rawPeer) answer(x *exchange) (keep bool) {
	if p.sick.Load() {
		p.sickRequests.Add(1)
		return p.script(x)
	}
	if p.script != nil && bytes.Contains(x.body, []byte(poison)) {
		return p.script(x)
	}
	return healthy(x)
}

// pause waits, as a model that generates.
func (x *exchange) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// write sends text as it is. It reports whether the gateway still takes it.
func (x *exchange) write(format string, args ...any) bool {
	_, err := fmt.Fprintf(x.conn, format, args...)
	return err == nil
}

// hang does nothing until the gateway closes the connection.
func (x *exchange) hang() bool {
	_, _ = x.in.Peek(1)
	return false
}

// reset closes the connection with a RST.
func (x *exchange) reset() bool {
	if tcp, ok := x.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	return false
}

// respond sends a complete response. Headers are lines that end with CR LF.
func (x *exchange) respond(status int, headers, contentType, body string) bool {
	x.write("HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s",
		status, http.StatusText(status), contentType, len(body), headers, body)
	return true
}

// refuse sends an error in the shape of Azure's.
func (x *exchange) refuse(status int, headers, code string) bool {
	return x.respond(status, headers, "application/json",
		fmt.Sprintf(`{"error":{"code":%q,"message":"The request failed.","type":"invalid_request_error","param":null}}`, code))
}

// Pieces of responses.
const (
	streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	event      = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}` + "\n\n"
	lastEvent  = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	usageEvent = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":%d,"total_tokens":10}}` + "\n\n"
	doneEvent  = "data: [DONE]\n\n"
	whole      = `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"word word word"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":%d,"total_tokens":10}}`
)

// chunk sends a part of a chunked body.
func (x *exchange) chunk(text string) bool { return x.write("%x\r\n%s\r\n", len(text), text) }

// healthy is a complete response, after a few milliseconds.
func healthy(x *exchange) bool { return complete(x, 5*time.Millisecond, 3) }

// complete is a complete response that begins after a while and reports a usage.
func complete(x *exchange, after time.Duration, usage int) bool {
	x.pause(after)
	if !x.stream {
		return x.respond(http.StatusOK, "", "application/json", fmt.Sprintf(whole, usage))
	}
	x.write(streamHead)
	x.chunk(event)
	x.pause(5 * time.Millisecond)
	x.chunk(event + event + lastEvent + fmt.Sprintf(usageEvent, usage) + doneEvent)
	x.write("0\r\n\r\n")
	return true
}

// begun begins a stream with two tokens, or a response of which half comes.
func begun(x *exchange) {
	if x.stream {
		x.write(streamHead)
		x.chunk(event)
		x.pause(5 * time.Millisecond)
		x.chunk(event)
		return
	}
	x.write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(whole), whole[:len(whole)/2])
}
