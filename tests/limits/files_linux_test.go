package limits

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestFiles opens more connections than there are descriptors for. New ones are
// answered at once, streams under way and the admin listener go on, and afterwards
// everything is as before.
func TestFiles(t *testing.T) {
	up, release := holding(t)
	p := start(t, up, launch{shell: "ulimit -n 256;"})
	p.healthy()
	begun, refusals := p.burst(400)
	t.Logf("%d streams began, %d were refused", len(begun), refusals)
	if len(begun) < 40 || refusals == 0 {
		t.Errorf("%d streams began, %d were refused", len(begun), refusals)
	}
	p.healthy()
	// Clients that connect and stay silent do not use up what is left either.
	silent := make([]net.Conn, 100)
	for i := range silent {
		silent[i] = p.dial()
	}
	p.healthy()
	// Nor do those of the admin listener.
	for range 200 {
		conn, err := net.Dial("tcp", p.admin)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	p.await("the admin listener", func() bool {
		resp, err := http.Get("http://" + p.admin + "/healthz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	for _, conn := range silent {
		conn.Close()
	}
	release()
	p.finish(begun)
	p.await("recovery", func() bool {
		c := p.dial()
		c.post(short)
		status, _, _, err := c.whole()
		return err == nil && status == 200
	})
	if log := p.log.String(); strings.Contains(log, "too many open files") {
		t.Error("descriptors ran out")
	}
}

// TestIdleConnections opens more connections than may be open, and sends no key on them.
// Clients with requests get theirs.
func TestIdleConnections(t *testing.T) {
	up, release := holding(t)
	defer release()
	p := start(t, up, launch{shell: "ulimit -n 256;"})
	for i := range 300 {
		c := p.dial()
		switch i % 3 {
		case 1:
			_, _ = io.WriteString(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Slow: ") // it may be closed
		case 2:
			_, _ = io.WriteString(c, "GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
		}
	}
	var begun []*client
	for len(begun) < 60 {
		p.await("a client with a request", func() bool {
			c := p.dial()
			c.post(short)
			resp, err := c.head()
			if err != nil || resp.StatusCode != http.StatusOK {
				return false
			}
			begun = append(begun, c)
			return true
		})
	}
	p.healthy()
	if log := p.log.String(); !strings.Contains(log, "closing idle connections") {
		t.Error("no connection gave way")
	}
	release()
	p.finish(begun)
}

// TestFilesHTTP2 sends more streams on a few connections than there are descriptors
// for connections to the deployment. The deployment is not blamed.
func TestFilesHTTP2(t *testing.T) {
	up, release := holding(t)
	p := start(t, up, launch{shell: "ulimit -n 256;"})
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	defer transport.CloseIdleConnections()
	defer release()
	// As many connections as requests would exceed the limit of connections, whose
	// refusals a client that speaks HTTP/2 at once cannot read.
	var conns [8]*http.ClientConn
	for i := range conns {
		conn, err := transport.NewClientConn(t.Context(), "http", p.data)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns[i] = conn
	}
	var statuses [600]atomic.Int64
	var wg, begun sync.WaitGroup
	for i := range 400 {
		begun.Add(1)
		wg.Go(func() {
			began := sync.OnceFunc(begun.Done)
			defer began()
			resp, err := conns[i%len(conns)].RoundTrip(p.request(short))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			statuses[resp.StatusCode].Add(1)
			if resp.StatusCode == http.StatusOK {
				began()
			}
			text, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != http.StatusOK {
				refused(t, resp.StatusCode, resp.Header, string(text))
			}
		})
	}
	begun.Wait()
	t.Logf("%d streams began, %d were refused", statuses[200].Load(), statuses[503].Load())
	if statuses[200].Load() < 40 || statuses[503].Load() == 0 {
		t.Errorf("%d streams began, %d were refused", statuses[200].Load(), statuses[503].Load())
	}
	p.healthy()
	release()
	wg.Wait()
	c := p.dial()
	c.post(short)
	if status, _, text, err := c.whole(); err != nil || status != 200 {
		t.Errorf("afterwards: %d %s %v", status, text, err)
	}
}
