package bench

import (
	"bufio"
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// deployment is an upstream that costs next to nothing: it knows HTTP/1.1 just
// well enough to be asked by Go's transport, and answers every request in the
// same way. Answers are in Azure's form.
type deployment struct {
	base   string               // its URL
	caFile string               // PEM certificate of its authority; "" without TLS
	answer func(net.Conn) error // called by many goroutines
	failed atomic.Pointer[error]
}

// newDeployment returns a deployment that listens until tb ends.
func newDeployment(tb testing.TB, answer func(net.Conn) error) *deployment {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	d := &deployment{base: "http://" + ln.Addr().String(), answer: answer}
	var wg sync.WaitGroup
	wg.Go(func() { d.accept(ln) })
	tb.Cleanup(func() {
		ln.Close()
		wg.Wait()
		if err := d.failed.Load(); err != nil {
			tb.Errorf("deployment: %v", *err)
		}
	})
	return d
}

// streamsPerConn is how many streams one HTTP/2 connection takes, a usual limit
// of servers.
const streamsPerConn = 100

// newSharedDeployment returns one that speaks HTTP/2 over TLS until tb ends, as
// Azure does.
func newSharedDeployment(tb testing.TB, answer http.Handler) *deployment {
	tb.Helper()
	s := httptest.NewUnstartedServer(answer)
	s.EnableHTTP2 = true
	s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: streamsPerConn}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // connections that end with their contestant
	s.StartTLS()
	tb.Cleanup(s.Close)
	ca := filepath.Join(tb.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	return &deployment{base: s.URL, caFile: ca}
}

// addr returns where it listens.
func (d *deployment) addr() string { return strings.TrimPrefix(d.base, "http://") }

// accept serves connections until ln is closed. They end when their clients
// close them, which the contestants do when they end.
func (d *deployment) accept(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go d.serve(conn)
	}
}

// serve answers the requests of one connection.
func (d *deployment) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 2<<10)
	for {
		err := readRequest(in)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !isReset(err) {
				d.failed.CompareAndSwap(nil, &err)
			}
			return
		}
		if err := d.answer(conn); err != nil {
			return // the contestant left; its client tells
		}
	}
}

// isReset reports whether the other end broke the connection off, as processes
// do when they end.
func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

// readRequest reads one request and throws it away.
func readRequest(in *bufio.Reader) error {
	length := -1
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 && !first {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return fmt.Errorf("reading a request: %w", err)
			}
		}
	}
	if length < 0 {
		return errors.New("a request without content-length")
	}
	_, err := in.Discard(length)
	return err
}

// whole answers with a body of about size bytes.
func whole(size int) func(net.Conn) error {
	answer := wholeAnswer(size)
	return func(conn net.Conn) error {
		_, err := conn.Write(answer)
		return err
	}
}

// wholeAnswer returns a response whose body has about size bytes.
func wholeAnswer(size int) []byte {
	body := wholeBody(size)
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n%scontent-length: %d\r\n\r\n%s",
		azureHeaders, len(body), body)
}

// wholeHandler is whole for a deployment that net/http serves.
func wholeHandler(size int) http.Handler {
	body := wholeBody(size)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return // the contestant left; its client tells
		}
		setHeaders(w, "content-type: application/json\r\n"+azureHeaders)
		_, _ = io.WriteString(w, body) // likewise
	})
}

// setHeaders sets the headers in lines, which are as HTTP/1.1 writes them.
func setHeaders(w http.ResponseWriter, lines string) {
	for line := range strings.Lines(lines) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			w.Header().Set(name, value)
		}
	}
}

// wholeBody returns an answer of about size bytes.
func wholeBody(size int) string {
	const frame = `{"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWx","object":"chat.completion","created":1741000000,` +
		`"model":"gpt-4o-mini-2024-07-18","system_fingerprint":"fp_0123456789","choices":[{"index":0,"message":` +
		`{"role":"assistant","content":"%s","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop",` +
		`"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"self_harm":{"filtered":false,"severity":"safe"},` +
		`"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}}],` +
		`"usage":{"prompt_tokens":220,"completion_tokens":64,"total_tokens":284,"prompt_tokens_details":{"cached_tokens":0},` +
		`"completion_tokens_details":{"reasoning_tokens":0}}}`
	return fmt.Sprintf(frame, prose(size-len(frame)))
}

// azureHeaders are what Azure's answers carry besides.
const azureHeaders = "apim-request-id: 11111111-2222-3333-4444-555555555555\r\n" +
	"strict-transport-security: max-age=31536000; includeSubDomains; preload\r\n" +
	"x-content-type-options: nosniff\r\n" +
	"x-ms-region: East US\r\n" +
	"x-ms-client-request-id: 11111111-2222-3333-4444-555555555555\r\n" +
	"x-ratelimit-limit-tokens: 100000000\r\n" +
	"x-ratelimit-remaining-tokens: 99999000\r\n" +
	"x-ratelimit-remaining-requests: 999999\r\n" +
	"date: Mon, 03 Mar 2025 12:00:00 GMT\r\n"

// prose returns size bytes of text that JSON takes as it is.
func prose(size int) string {
	const text = "The quick brown fox jumps over the lazy dog while the rain falls on the plain. "
	return string(bytes.Repeat([]byte(text), max(size, 0)/len(text)+1)[:max(size, 0)])
}
