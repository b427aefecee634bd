package upstream

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/buffer"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// peer is a deployment that is played byte by byte: it reads requests from
// connections in memory and writes what a script says, without an HTTP server.
type peer struct {
	*testing.T
	play     func(*peerConn)
	settings Settings
	trailers sync.WaitGroup
	buffers  buffer.Pools

	mu    sync.Mutex
	conns int
	asked []string // bodies of the requests
}

// peerConn is a connection with a request to answer.
type peerConn struct {
	net.Conn
	body string
}

// newPeer returns a peer that answers each request by play.
func newPeer(t *testing.T, play func(*peerConn)) *peer {
	p := &peer{T: t, play: play}
	p.settings = Settings{
		MaxResponseBytes: 1 << 20, MaxErrorBytes: 1 << 10, MaxEventBytes: 16 << 10,
		Buffers: &p.buffers, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Trailers: &p.trailers,
	}
	return p
}

// dial connects to the peer.
func (p *peer) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	p.mu.Lock()
	p.conns++
	p.mu.Unlock()
	go func() {
		defer far.Close()
		in := bufio.NewReader(far)
		for {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			body, _ := io.ReadAll(req.Body)
			p.mu.Lock()
			p.asked = append(p.asked, string(body))
			p.mu.Unlock()
			p.play(&peerConn{far, string(body)})
		}
	}()
	return near, nil
}

// counts returns how many connections and requests there were.
func (p *peer) counts() (conns, requests int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conns, len(p.asked)
}

// deployment returns the peer as a deployment.
func (p *peer) deployment(transports *Transports, before *Deployment) *Deployment {
	p.Helper()
	target, err := wire.ParseTarget(wire.Azure, "http://peer.test", "chat", "")
	if err != nil {
		p.Fatal(err)
	}
	d, err := transports.Deployment("east", &Config{Target: target, Credential: APIKey("k")}, before)
	if err != nil {
		p.Fatal(err)
	}
	return d
}

// call is a chat request; more is added to its JSON.
func (p *peer) call(more string) (*Call, *buffer.Buffer) {
	p.Helper()
	text := `{"messages":[{"role":"user","content":"hi"}]` + more + `}`
	path, known := wire.ParsePath("/openai/deployments/chat/chat/completions", "api-version=2024-10-21")
	ask, err := wire.ReadAsk(path.API, []byte(text))
	if err != nil || !known {
		p.Fatalf("%v, path known: %v", err, known)
	}
	body := p.buffers.GetBody(len(text))
	body.B = append(body.B, text...)
	return &Call{
		Context: p.Context(), ID: "req", Method: http.MethodPost, Header: http.Header{}, Path: path,
		Ask: &ask, API: path.API, Stream: ask.Stream, Choices: 1, Settings: &p.settings,
	}, body
}

// attempt starts an attempt at the peer and returns it with its call.
func (p *peer) attempt(more string, stream bool) (*Call, *Attempt) {
	p.Helper()
	transports := NewTransports(p.dial, nil)
	p.Cleanup(func() { transports.CloseIdle(nil) })
	c, body := p.call(more)
	return c, c.Start(Send{Number: 1, Deployment: p.deployment(transports, nil), Stream: stream, Body: body})
}

// next is the next event that is reported.
func next(c *Call) spillway.Event {
	r := <-c.Reports()
	if r.Panic != nil {
		panic(r.Panic.Cause)
	}
	return *r.Event
}

// finish closes the attempt and waits for what it still does.
func (p *peer) finish(c *Call, a *Attempt) {
	if !a.Complete() {
		a.Cancel()
	}
	c.Wait()
	a.Close()
	p.trailers.Wait()
}

// head writes the header of a response in chunks.
func (c *peerConn) head(status, contentType string) {
	fmt.Fprintf(c, "HTTP/1.1 %s\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", status, contentType)
}

// chunk writes one chunk.
func (c *peerConn) chunk(text string) { fmt.Fprintf(c, "%x\r\n%s\r\n", len(text), text) }

// end writes the end of the chunks.
func (c *peerConn) end() { io.WriteString(c, "0\r\n\r\n") }

// delta is an event with text.
func delta(text string) string {
	return fmt.Sprintf(`data: {"id":"c","created":1,"model":"m","choices":[{"index":0,"delta":{"content":%q},"finish_reason":null}]}`, text) + "\n\n"
}

const (
	stop     = `data: {"id":"c","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	usage    = `data: {"id":"c","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":51,"total_tokens":54}}` + "\n\n"
	doneMark = "data: [DONE]\n\n"
)

// forwarded reads the rest of a committed response.
func forwarded(a *Attempt) (text string, err error) {
	var b strings.Builder
	for err == nil {
		var piece *buffer.Buffer
		if piece, err = a.Next(); piece != nil {
			b.Write(piece.B[buffer.Headroom:])
			piece.Release()
		}
	}
	return b.String(), err
}
