package limits

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const mib = 1 << 20

// short is a small request for a stream, and ask one for a whole response.
const (
	short = `{"model":"gpt-4o-mini","stream":true,"max_tokens":50,"messages":[{"role":"user","content":"hi"}]}`
	ask   = `{"model":"gpt-4o-mini","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}`
)

// large is a request of about so many bytes.
func large(bytes int) string {
	return `{"model":"gpt-4o-mini","max_tokens":50,"messages":[{"role":"user","content":"` + strings.Repeat("x", bytes-120) + `"}]}`
}

// holding is a deployment whose streams go on until release.
func holding(t *testing.T) (d *deployment, release func()) {
	t.Helper()
	released := make(chan struct{})
	d = newDeployment(t, func(conn net.Conn, _ bool) {
		if _, err := io.WriteString(conn, streamHead+chunk(delta)); err != nil {
			return
		}
		<-released
		_, _ = io.WriteString(conn, chunk(delta+final)+"0\r\n\r\n")
	})
	return d, sync.OnceFunc(func() { close(released) })
}

// burst opens so many streams, a few at a time, and returns those that have begun
// and how many were refused.
func (p *program) burst(streams int) (begun []*client, refusals int) {
	p.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, 64)
	for range streams {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			conn, err := net.Dial("tcp", p.data)
			if err != nil {
				p.Error(err)
				return
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			p.Cleanup(func() { conn.Close() })
			c := &client{Conn: conn}
			c.in = newReader(conn)
			c.post(short)
			resp, err := c.head()
			if err != nil {
				p.Errorf("no response: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if resp.StatusCode == 200 {
				begun = append(begun, c)
				return
			}
			text, _ := io.ReadAll(resp.Body)
			conn.Close()
			refused(p.T, resp.StatusCode, resp.Header, string(text))
			refusals++
		})
	}
	wg.Wait()
	return begun, refusals
}

// finish reads the streams to their ends.
func (p *program) finish(streams []*client) {
	p.Helper()
	whole := 0
	for _, c := range streams {
		text, err := io.ReadAll(io.LimitReader(untilDone{c}, mib))
		if err == nil && strings.Contains(string(text), "[DONE]") {
			whole++
		}
		c.Close()
	}
	if whole != len(streams) {
		p.Errorf("%d of %d streams under way ended well", whole, len(streams))
	}
}

// TestStreams opens more streams than memory suffices for.
func TestStreams(t *testing.T) {
	for _, tt := range []struct {
		limit, streams, least int
		long                  bool
	}{
		{96, 3_000, 200, false},
		{256, 9_000, 1_500, true},
	} {
		t.Run(fmt.Sprintf("%d in %d MiB", tt.streams, tt.limit), func(t *testing.T) {
			if tt.long && !*long {
				t.Skip("takes more memory than a test should; run it with -long")
			}
			needFiles(t, 2*tt.streams)
			up, release := holding(t)
			p, limit := startWithin(t, up, tt.limit*mib)
			begun, refusals := p.burst(tt.streams)
			t.Logf("%d streams began, %d were refused, %d MiB at most", len(begun), refusals, p.peak()/mib)
			if len(begun) < tt.least || refusals == 0 {
				t.Errorf("%d streams began, %d were refused", len(begun), refusals)
			}
			p.healthy()
			release()
			p.finish(begun)
			limit()
			p.await("recovery", func() bool {
				c := p.dial()
				c.post(short)
				status, _, _, err := c.whole()
				return err == nil && status == 200
			})
			if n := p.outcomes(len(begun) + 1)["refused_queue"]; n == 0 {
				t.Error("no refusal was recorded")
			}
		})
	}
}

// TestBodies sends large requests at one time, whose bodies do not fit together.
func TestBodies(t *testing.T) {
	for _, tt := range []struct {
		limit, body, requests int
		long                  bool
	}{
		{256, 12 * mib, 30, false},
		{1024, 49 * mib, 10, true},
		{1024, 49 * mib, 40, true},
	} {
		t.Run(fmt.Sprintf("%d of %d MiB in %d MiB", tt.requests, tt.body/mib, tt.limit), func(t *testing.T) {
			if tt.long && !*long {
				t.Skip("takes more memory than a test should; run it with -long")
			}
			up := newDeployment(t, answer)
			p, limit := startWithin(t, up, tt.limit*mib)
			body := large(tt.body)
			var served, turnedAway atomic.Int64
			var wg sync.WaitGroup
			for range tt.requests {
				c := p.dial()
				wg.Go(func() {
					c.post(body)
					status, header, text, err := c.whole()
					switch {
					case err != nil: // the client was still sending when it was refused
						turnedAway.Add(1)
					case status == 200:
						served.Add(1)
					default:
						turnedAway.Add(1)
						refused(t, status, header, text)
					}
				})
			}
			wg.Wait()
			t.Logf("%d served, %d refused, %d MiB at most", served.Load(), turnedAway.Load(), p.peak()/mib)
			limit()
			if served.Load() == 0 {
				t.Error("none was served")
			}
			p.await("recovery", func() bool {
				c := p.dial()
				c.post(body)
				status, _, _, err := c.whole()
				return err == nil && status == 200
			})
			if counts := p.outcomes(tt.requests + 1); counts["ok"] != int(served.Load())+1 {
				t.Errorf("outcomes %v", counts)
			}
		})
	}
}

// TestAnnouncedBodies announces bodies of 1 MiB and sends a byte of each. They take
// what has come, and no more than 64 KiB each with their connections; what the
// runtime collects late is allowed for.
func TestAnnouncedBodies(t *testing.T) {
	const requests = 1000
	needFiles(t, 4*requests)
	p := start(t, newDeployment(t, answer), launch{})
	p.healthy()
	before := p.peak()
	for range requests {
		c := p.dial()
		if _, err := io.WriteString(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
	}
	p.await("the requests", func() bool { return p.inFlight() == requests })
	grown := p.peak() - before
	t.Logf("%d KiB each", grown/requests>>10)
	if grown > 64*mib+requests*64<<10 {
		t.Errorf("%d requests took %d MiB", requests, grown/mib)
	}
}

// TestSlowReaders has clients that stop reading streams, which the deployment sends over
// HTTP/2 as fast as it can. Each takes at most 256 KiB with its request; what the
// runtime collects late is allowed for.
func TestSlowReaders(t *testing.T) {
	const clients = 150
	needFiles(t, 4*clients)
	var blocked atomic.Int64
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		control := http.NewResponseController(w)
		event := strings.Replace(delta, "word", strings.Repeat("x", 8<<10), 1)
		for {
			_ = control.SetWriteDeadline(time.Now().Add(2 * time.Second))
			if _, err := io.WriteString(w, event); err != nil || control.Flush() != nil {
				blocked.Add(1)
				<-r.Context().Done()
				return
			}
		}
	}))
	up.EnableHTTP2 = true
	up.StartTLS()
	defer up.Close()
	p := startBefore(t, up.URL, launch{server: ", write_timeout: 5m"})
	p.healthy()
	before := p.peak()
	for range clients {
		c := p.dial()
		if err := c.Conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
		c.post(short)
	}
	p.await("the streams to block", func() bool { return blocked.Load() == clients })
	grown := p.peak() - before
	t.Logf("%d KiB each", grown/clients>>10)
	if grown > 64*mib+clients*256<<10 {
		t.Errorf("%d slow readers took %d MiB", clients, grown/mib)
	}
}

// TestLargeHeaders begins headers of almost the size that the server reads, and does
// not complete them. Those that do not fit are cut off, and others are served.
func TestLargeHeaders(t *testing.T) {
	const conns, limit = 1500, 96 * mib
	needFiles(t, 4*conns)
	p, held := startWithin(t, newDeployment(t, answer), limit)
	begin := "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 200<<10)
	for range conns {
		_, _ = io.WriteString(p.dial(), begin)
	}
	c := p.dial()
	c.post(short)
	if status, _, text, err := c.whole(); err != nil || status != 200 && status != 503 {
		t.Errorf("%d %s %v", status, text, err)
	}
	t.Logf("%d MiB at most", p.peak()/mib)
	held()
	p.healthy()
}

// TestCostlyJSON sends a body that is made to be costly to read, and to explain.
func TestCostlyJSON(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"model":"gpt-4o-mini","a":1,`)
	for i := 0; b.Len() < 41*mib; i++ {
		fmt.Fprintf(&b, `"%x":1,`, i)
	}
	for name, body := range map[string]string{
		"many members":     b.String() + `"a":2}`,
		"a name twice":     `{"messages":"` + strings.Repeat("x", 41*mib) + `","a":1,"a":2}`,
		"names everywhere": `{"a":[` + strings.Repeat(`{"a":1,"b":1,"c":1},`, 2*mib) + `{"a":1,"a":2}]}`,
		"depth":            strings.Repeat("[", 41*mib),
		"numbers":          `{"a":[` + strings.Repeat("1e400,", 7*mib) + `1e400],"a":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, newDeployment(t, answer), launch{})
			before := p.cpu()
			c := p.dial()
			c.post(body)
			status, _, text, err := c.whole()
			if err != nil || status != 400 {
				t.Errorf("%d %.200s, %v", status, text, err)
			}
			cpu := p.cpu() - before
			t.Logf("%d MiB, %v of CPU, %d MiB at most: %.150s", len(body)/mib, cpu, p.peak()/mib, text)
			if cpu > 20*time.Second {
				t.Errorf("%v of CPU", cpu)
			}
			// The body, those of half and a quarter of the length that it was copied
			// from, and the process.
			if peak := p.peak(); peak > 5*41*mib {
				t.Errorf("%d MiB at most", peak/mib)
			}
		})
	}
}

// TestLargeResponses has a deployment send 32 MiB in each of many responses, whatever
// the form, to clients that read all of it or nothing.
func TestLargeResponses(t *testing.T) {
	const requests, size, limit = 16, 32 * mib, 96
	part := strings.Repeat("x", 64<<10)
	repeat := func(w io.Writer, text string) {
		for range size / len(part) {
			if _, err := io.WriteString(w, text); err != nil {
				return
			}
		}
	}
	text := chunk(strings.Replace(delta, "word", part, 1))
	for _, tt := range []struct {
		name, request string
		send          func(conn net.Conn)
	}{
		{"one event", short, func(conn net.Conn) {
			_, _ = io.WriteString(conn, streamHead+chunk(delta)+fmt.Sprintf("%x\r\ndata: ", size))
			repeat(conn, part)
		}},
		{"one event, assembled", ask, func(conn net.Conn) {
			_, _ = io.WriteString(conn, streamHead+chunk(delta)+fmt.Sprintf("%x\r\ndata: ", size))
			repeat(conn, part)
		}},
		{"events", short, func(conn net.Conn) {
			_, _ = io.WriteString(conn, streamHead)
			repeat(conn, text)
			_, _ = io.WriteString(conn, chunk(final)+"0\r\n\r\n")
		}},
		{"assembled", ask, func(conn net.Conn) {
			_, _ = io.WriteString(conn, streamHead)
			repeat(conn, text)
			_, _ = io.WriteString(conn, chunk(final)+"0\r\n\r\n")
		}},
		{"one JSON text", ask, func(conn net.Conn) {
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n\"", size+2)
			repeat(conn, part)
			_, _ = io.WriteString(conn, `"`)
		}},
		{"error", ask, func(conn net.Conn) {
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n", size)
			repeat(conn, part)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			up := newDeployment(t, func(conn net.Conn, _ bool) { tt.send(conn) })
			p := start(t, up, launch{env: []string{fmt.Sprintf("GOMEMLIMIT=%dMiB", limit)}})
			var wg sync.WaitGroup
			for i := range requests {
				c := p.dial()
				wg.Go(func() {
					defer c.Close()
					c.post(tt.request)
					if resp, err := c.head(); err == nil && i%4 > 0 {
						_, _ = io.Copy(io.Discard, resp.Body)
					}
				})
			}
			wg.Wait()
			p.alive()
			t.Logf("%d MiB at most", p.peak()/mib)
			if peak := p.peak(); peak > (limit+48)*mib {
				t.Errorf("%d MiB at most, with a limit of %d for the runtime", peak/mib, limit)
			}
		})
	}
}
