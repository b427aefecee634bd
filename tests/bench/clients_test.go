package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// request returns a chat completion request as an SDK sends it, whose body has
// about size bytes.
func request(host string, size int, stream bool) []byte {
	const head = `{"model":"gpt-4o-mini","messages":[{"role":"system","content":"You are a helpful assistant."},` +
		`{"role":"user","content":"%s"}],"max_tokens":256,"temperature":0.2%s}`
	tail := ""
	if stream {
		tail = `,"stream":true,"stream_options":{"include_usage":true}`
	}
	body := fmt.Sprintf(head, prose(size-len(head)-len(tail)), tail)
	return fmt.Appendf(nil, "POST /openai/deployments/gpt-4o-mini/chat/completions?api-version=2024-10-21 HTTP/1.1\r\n"+
		"host: %s\r\naccept: application/json\r\ncontent-type: application/json\r\nuser-agent: AzureOpenAI/Python 1.68.2\r\n"+
		"api-key: %s\r\nx-stainless-lang: python\r\nx-stainless-package-version: 1.68.2\r\nx-stainless-os: Linux\r\n"+
		"x-stainless-runtime: CPython\r\nx-stainless-retry-count: 0\r\nx-stainless-read-timeout: 600\r\n"+
		"content-length: %d\r\n\r\n%s", host, apiKey, len(body), body)
}

// client is one connection to a contestant, or a part in one.
type client struct {
	conn   net.Conn // nil where it is shared
	in     *bufio.Reader
	shared *http.Transport
	swept  bool // by a sweep, which reads in its place
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
	}
}

// redial replaces a connection that has broken off.
func (c *client) redial() error {
	to := c.conn.RemoteAddr()
	c.conn.Close()
	conn, err := net.Dial(to.Network(), to.String())
	if err != nil {
		return err
	}
	c.conn = conn
	c.in.Reset(conn)
	return nil
}

// dial opens n connections. They close when tb ends.
func dial(tb testing.TB, addr string, n int) []*client {
	tb.Helper()
	list := make([]*client, n)
	for i := range list {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			tb.Fatal(err)
		}
		list[i] = &client{conn: conn, in: bufio.NewReaderSize(conn, 2<<10)}
		tb.Cleanup(list[i].close)
	}
	return list
}

// streamsPerClientConn is how many streams clients of HTTP/2 put on one
// connection.
const streamsPerClientConn = 500

// dialShared returns n clients that share connections over HTTP/2 without TLS,
// which are open. They close when tb ends.
func dialShared(tb testing.TB, addr string, n int) []*client {
	tb.Helper()
	list := make([]*client, n)
	var transport *http.Transport
	for i := range list {
		if i%streamsPerClientConn == 0 {
			transport = &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
			transport.Protocols.SetUnencryptedHTTP2(true)
			tb.Cleanup(transport.CloseIdleConnections)
			resp, err := (&http.Client{Transport: transport}).Head("http://" + addr) // whatever it answers
			if err != nil {
				tb.Fatal(err)
			}
			resp.Body.Close()
		}
		list[i] = &client{shared: transport}
	}
	return list
}

// exchangeHeads sends a request and returns the response with its body unread.
func (c *client) exchangeHeads(req []byte) (*http.Response, error) {
	if c.shared == nil {
		if _, err := c.conn.Write(req); err != nil {
			return nil, err
		}
		return http.ReadResponse(c.in, nil)
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(req)))
	if err != nil {
		return nil, err
	}
	r.URL.Scheme, r.URL.Host, r.RequestURI = "http", r.Host, ""
	return c.shared.RoundTrip(r)
}

// ask is exchangeHeads for a request that must succeed.
func (c *client) ask(req []byte) (*http.Response, error) {
	resp, err := c.exchangeHeads(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
		return nil, fmt.Errorf("%s: %s", resp.Status, text)
	}
	return resp, nil
}

// exchange sends a request and reads its whole answer.
func (c *client) exchange(req []byte) error {
	resp, err := c.ask(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// each runs do for every client at one time. The error tells how many failed,
// and how the first of them did.
func each(clients []*client, do func(*client) error) error {
	errs := make([]error, len(clients))
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() { errs[i] = do(c) })
	}
	wg.Wait()
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) > 0 {
		return fmt.Errorf("%d of %d clients failed; the first: %w", len(errs), len(clients), errs[0])
	}
	return nil
}

// inbox is what the clients of a run have received. The delays count while
// open says so.
type inbox struct {
	pace *pacer
	open atomic.Bool

	mu     sync.Mutex
	delays []time.Duration // from the deployment's writing to the client's reading
}

// errNoDone is a stream that ended without its mark.
var errNoDone = errors.New("stream ended without [DONE]")

// receive asks for a stream and reads it to its end.
func (b *inbox) receive(c *client, req []byte) error {
	resp, err := c.ask(req)
	if err != nil {
		return err
	}
	lines := bufio.NewReaderSize(resp.Body, 2<<10)
	var delays []time.Duration
	done := false
	for {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		done = done || bytes.HasPrefix(line, []byte("data: [DONE]"))
		if s, ok := stampIn(line); ok {
			took := b.pace.arrived(s)
			if b.open.Load() {
				delays = append(delays, took)
			}
		}
	}
	if !done {
		return errNoDone
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.delays = append(b.delays, delays...)
	return nil
}

// textIn returns what follows on the quote that opens a line's text, if the
// line is a token.
func textIn(line []byte) (rest []byte, ok bool) {
	_, rest, ok = bytes.Cut(line, []byte(`"delta":{"content":"`))
	return rest, ok
}

// quantile returns the q-quantile of the delays.
func (b *inbox) quantile(q float64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.Sort(b.delays)
	if len(b.delays) == 0 {
		return 0
	}
	return b.delays[int(q*float64(len(b.delays)-1))]
}
