package gateway

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// The benchmarks send requests over loopback sockets, all in one process:
// straight to a deployment that answers at once, through a minimal reverse
// proxy, and through the gateway. What a proxy costs is its cpu-µs/op less
// those of "direct".

const benchAnswer = `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{"index":0,` +
	`"message":{"role":"assistant","content":"` + benchText + `"},"finish_reason":"stop"}],` +
	`"usage":{"prompt_tokens":200,"completion_tokens":100,"total_tokens":300}}`

const benchText = "It was signed in Zurich by both of the parties, and it concerns the delivery of goods within ninety days."

type discard struct{}

func (discard) Record(*spillway.Record) {}

// benchUpstream responds at once: JSON, or a stream of events.
func benchUpstream(events int) http.Handler {
	chunk := []byte(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-mini",` +
		`"choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if events == 0 {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, benchAnswer)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for range events {
			w.Write(chunk)
			w.(http.Flusher).Flush()
		}
		io.WriteString(w, `data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\n")
		io.WriteString(w, "data: [DONE]\n\n")
	})
}

func benchGateway(b *testing.B, base string, mode spillway.SyncMode) http.Handler {
	target, err := wire.ParseTarget(wire.Azure, base, "east", "")
	if err != nil {
		b.Fatal(err)
	}
	g, err := New(Config{
		Pools: []policy.Config{{
			Pool:        spillway.Pool{Name: "gpt-4o-mini", Tiers: [][]string{{"east"}}},
			Deployments: []spillway.Deployment{{Name: "east", Model: "gpt-4o-mini"}},
		}},
		Upstreams: map[string]upstream.Config{"east": {Target: target, Credential: upstream.APIKey("azure")}},
		Callers:   []Caller{{Name: "bench", Keys: []string{"demo"}, Class: &spillway.Class{Name: "c", Sync: mode, Window: time.Minute}}},
	}, Deps{Recorder: discard{}})
	if err != nil {
		b.Fatal(err)
	}
	return g
}

func benchProxy(b *testing.B, base string) http.Handler {
	to, err := url.Parse(base)
	if err != nil {
		b.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 1000, DisableCompression: true},
	}
}

func benchServe(b *testing.B, h http.Handler) string {
	g, ok := h.(*Gateway)
	if !ok {
		s := httptest.NewServer(h)
		b.Cleanup(s.Close)
		return s.URL
	}
	server := g.Server(nil)
	at := listen(b, func(l net.Listener) error { return g.Serve(server, l) })
	b.Cleanup(func() { server.Close() })
	return "http://" + at
}

func benchBody(size int, more string) string {
	body := `{"messages":[{"role":"user","content":"hello"}`
	const turn = `,{"role":"user","content":"Please summarise the \"contract\" in three bullet points. ` + benchText + `"}`
	body += strings.Repeat(turn, max(size-len(body), 0)/len(turn))
	return body + `],"max_tokens":500` + more + `}`
}

// request sends one request and reads its response to the end.
func request(client *http.Client, base, body string) error {
	req, err := http.NewRequest(http.MethodPost, base+chatPath, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Api-Key": {"demo"}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n == 0 || resp.StatusCode != 200 {
		return &net.AddrError{Err: resp.Status}
	}
	return nil
}

func benchRequests(b *testing.B, h http.Handler, body string) {
	base := benchServe(b, h)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000, ReadBufferSize: 64 << 10}}
	defer client.CloseIdleConnections()
	b.SetParallelism(8)
	b.ReportAllocs()
	before := cpuTime()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := request(client, base, body); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkPass(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10} {
		body := benchBody(size, "")
		up := benchServe(b, benchUpstream(0))
		b.Run(strconv.Itoa(size)+"/direct", func(b *testing.B) { benchRequests(b, benchUpstream(0), body) })
		b.Run(strconv.Itoa(size)+"/proxy", func(b *testing.B) { benchRequests(b, benchProxy(b, up), body) })
		b.Run(strconv.Itoa(size)+"/gateway", func(b *testing.B) { benchRequests(b, benchGateway(b, up, spillway.SyncPass), body) })
	}
}

// BenchmarkShort is a short response that was not asked for as a stream: passed on
// as it is, and put together from a stream that arrives in one piece.
func BenchmarkShort(b *testing.B) {
	body := benchBody(1<<10, "")
	whole, stream := benchServe(b, benchUpstream(0)), benchServe(b, unflushed(benchUpstream(12)))
	b.Run("passed", func(b *testing.B) { benchRequests(b, benchGateway(b, whole, spillway.SyncPass), body) })
	b.Run("assembled", func(b *testing.B) { benchRequests(b, benchGateway(b, stream, spillway.SyncStream), body) })
}

// unflushed serves h without its flushes.
func unflushed(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(noFlush{w}, r) })
}

type noFlush struct{ http.ResponseWriter }

// Flush does nothing.
func (noFlush) Flush() {}

// BenchmarkStream has 100 chunks in an operation.
func BenchmarkStream(b *testing.B) {
	body := benchBody(1<<10, `,"stream":true`)
	up := benchServe(b, benchUpstream(100))
	b.Run("direct", func(b *testing.B) { benchRequests(b, benchUpstream(100), body) })
	b.Run("proxy", func(b *testing.B) { benchRequests(b, benchProxy(b, up), body) })
	b.Run("gateway", func(b *testing.B) { benchRequests(b, benchGateway(b, up, spillway.SyncStream), body) })
	sync := benchBody(1<<10, "")
	b.Run("assembled", func(b *testing.B) { benchRequests(b, benchGateway(b, up, spillway.SyncStream), sync) })
}
