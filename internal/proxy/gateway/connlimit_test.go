package gateway

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// limitedGateway serves at most so many connections on a real socket, in front of a
// deployment that ends its streams once release is closed. It returns its address.
func limitedGateway(t *testing.T, most int, release <-chan struct{}) string {
	peer := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a part suffices
		if !strings.Contains(string(body), `"stream":true`) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"object":"chat.completion","choices":[{"index":0,"message":{"content":"hello"},"finish_reason":"stop"}]}`)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: "+`{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"hello"}}]}`+"\n\n")
		_ = http.NewResponseController(w).Flush()
		<-release
		_, _ = io.WriteString(w, "data: "+`{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
	})}
	t.Cleanup(func() { peer.Close() })
	target, err := wire.ParseTarget(wire.AzureV1, "http://"+listen(t, peer.Serve), "east", "")
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Config{
		Pools: []policy.Config{{
			Pool:        spillway.Pool{Name: "gpt-4o-mini", Tiers: [][]string{{"east"}}},
			Deployments: []spillway.Deployment{deployment("east").Deployment},
		}},
		Upstreams: map[string]upstream.Config{"east": {Target: target, Credential: upstream.Bearer("azure")}},
		Callers: []Caller{{
			Name: "tester", Keys: []string{"demo"}, Class: &spillway.Class{Name: "c", Sync: spillway.SyncPass},
		}},
		KeepStreams: keepStreams(),
	}, Deps{Recorder: new(recorder)})
	if err != nil {
		t.Fatal(err)
	}
	server := g.Server(nil)
	address := listen(t, func(l net.Listener) error { return g.Serve(server, g.LimitConns(l, most, 4, nil)) })
	t.Cleanup(func() { server.Close() })
	return address
}

// hostileClients are what clients without a key do with a connection; each returns once
// the server has closed it.
var hostileClients = [...]func(conn net.Conn){ // constant
	func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, // silent
	func(conn net.Conn) { // a header that never ends
		if _, err := io.WriteString(conn, "POST "+chatPath+" HTTP/1.1\r\nHost: x\r\nX-Slow: "); err == nil {
			_, _ = io.Copy(io.Discard, conn)
		}
	},
	func(conn net.Conn) { // requests without a key
		for range 3 {
			if _, err := io.WriteString(conn, "GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				return
			}
		}
		_, _ = io.Copy(io.Discard, conn)
	},
	func(conn net.Conn) { // a wrong key, and a body that never comes
		_, err := io.WriteString(conn, "POST "+chatPath+" HTTP/1.1\r\nHost: x\r\napi-key: wrong\r\nContent-Length: 1000000\r\n\r\n{")
		if err == nil {
			_, _ = io.Copy(io.Discard, conn)
		}
	},
	func(conn net.Conn) { // HTTP/2 without a request
		if _, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"); err == nil {
			_, _ = io.Copy(io.Discard, conn)
		}
	},
}

// hostile has n clients of another address open one connection after another, each once
// its last is closed and for one value of more, until the test ends.
func hostile(t *testing.T, address string, n int, more <-chan struct{}) {
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}
	if l, err := net.ListenTCP("tcp", local); err != nil {
		t.Skip("this system has no second loopback address: ", err)
	} else {
		l.Close()
	}
	ctx, end := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	t.Cleanup(func() {
		end()
		clients.Wait()
	})
	for i := range n {
		clients.Go(func() {
			for {
				select {
				case <-more:
				case <-ctx.Done():
					return
				}
				conn, err := (&net.Dialer{LocalAddr: local}).DialContext(ctx, "tcp", address)
				if err != nil {
					continue
				}
				stop := context.AfterFunc(ctx, func() { conn.Close() })
				hostileClients[i%len(hostileClients)](conn)
				stop()
				conn.Close()
			}
		})
	}
}

// TestHostileConnections has 500 clients without a key compete for 80 connections with
// clients that have one: those get each of their connections and keep it.
func TestHostileConnections(t *testing.T) {
	const most, clients, requests = 80, 500, 50
	release := make(chan struct{})
	address := limitedGateway(t, most, release)
	end := time.Now().Add(time.Minute)
	ask := func(conn net.Conn, in *bufio.Reader, body string) *http.Response {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, "http://"+address+chatPath, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("api-key", "demo")
		if err := req.Write(conn); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(in, req)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("response %v, %v", resp, err)
		}
		return resp
	}
	dial := func() (net.Conn, *bufio.Reader) {
		t.Helper()
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if err := conn.SetDeadline(end); err != nil {
			t.Fatal(err)
		}
		return conn, bufio.NewReader(conn)
	}
	whole := func(resp *http.Response, want string) {
		t.Helper()
		if text, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(text), want) {
			t.Fatalf("response %q, %v", text, err)
		}
	}
	streaming, streamIn := dial()
	stream := ask(streaming, streamIn, chat("1", `,"stream":true`))
	kept, keptIn := dial()
	whole(ask(kept, keptIn, chat("1", "")), "hello")

	more := make(chan struct{}, clients)
	hostile(t, address, clients, more)
	attack := func(conns int) {
		for range conns {
			more <- struct{}{}
		}
	}
	attack(clients)
	for range requests {
		attack(clients / 20)
		conn, in := dial()
		whole(ask(conn, in, chat("1", "")), "hello")
		conn.Close()
		whole(ask(kept, keptIn, chat("1", "")), "hello")
	}
	close(release)
	whole(stream, "[DONE]")
}
