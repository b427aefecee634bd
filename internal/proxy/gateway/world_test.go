package gateway

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/azuresim"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/memnet"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// recorder keeps copies of records.
type recorder struct {
	mu      sync.Mutex
	records []spillway.Record
}

func (r *recorder) Record(rec *spillway.Record) {
	kept := *rec
	kept.Attempts = slices.Clone(rec.Attempts)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, kept)
}

// world is a gateway among its clients and deployments, on a network in
// memory. Everything in it ends with the test.
type world struct {
	*testing.T
	net     memnet.Net
	rec     recorder
	gateway *Gateway
	cfg     Config
	azure   *azuresim.Server
	client  *http.Client
	host    string // of the gateway that clients use
	class   *spillway.Class
	logger  *slog.Logger // of the gateway; nil for none
}

// deployment is a quick deployment without chance: 100 ms to the first token,
// 10 ms between tokens, each in a chunk of its own.
func deployment(name string) fleet.Deployment {
	return fleet.Deployment{
		Deployment: spillway.Deployment{
			Name: name, Model: "gpt-4o-mini", Region: "region-" + name, Kind: spillway.Standard,
			TPM: 100_000_000, RPM: 1_000_000,
		},
		ChunkTokens: 1,
		Service: fleet.Service{
			TTFT: 100 * time.Millisecond, TTFTSigma: 1e-9, TBTMean: 10 * time.Millisecond, TBTSigma: 1e-9,
		},
	}
}

// newWorld starts a gateway in front of the emulator, one tier for each
// deployment. change may alter the configuration first.
func newWorld(t *testing.T, deployments []fleet.Deployment, change func(*world)) *world {
	w := &world{T: t, host: "gateway.test"}
	w.class = &spillway.Class{Name: "interactive", Window: 60 * time.Second}
	pc := policy.Config{Version: "test", Pool: spillway.Pool{Name: "gpt-4o-mini"}}
	w.cfg = Config{
		Upstreams: map[string]upstream.Config{},
		Callers:   []Caller{{Name: "tester", Keys: []string{"demo"}, Class: w.class, Access: Access{Operations: []string{"*"}}}},

		KeepStreams: keepStreams(),
	}
	for _, d := range deployments {
		pc.Deployments = append(pc.Deployments, d.Deployment)
		pc.Pool.Tiers = append(pc.Pool.Tiers, []string{d.Name})
		w.upstream(d.Name, "http://azure.test")
	}
	w.cfg.Pools = []policy.Config{pc}
	azure, err := azuresim.New(azuresim.Config{Deployments: deployments, Keys: []string{"azure"}, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	w.azure = azure
	w.serve("azure.test", azure)
	if change != nil {
		change(w)
	}
	w.gateway, err = New(w.cfg, Deps{Recorder: &w.rec, Dial: w.net.Dial, Logger: w.logger})
	if err != nil {
		t.Fatal(err)
	}
	server := w.gateway.Server(nil)
	w.startServing("gateway.test", server, func(l net.Listener) error { return w.gateway.Serve(server, l) })
	t.Cleanup(func() { time.Sleep(time.Second) }) // the server lingers on connections that it refused
	w.client = &http.Client{Transport: &http.Transport{DialContext: w.net.Dial}}
	t.Cleanup(w.client.CloseIdleConnections)
	return w
}

// upstream points a deployment at an endpoint.
func (w *world) upstream(name, endpoint string) {
	target, err := wire.ParseTarget(wire.Azure, endpoint, name, "")
	if err != nil {
		w.Fatal(err)
	}
	w.cfg.Upstreams[name] = upstream.Config{Target: target, Credential: upstream.APIKey("azure")}
}

// serve responses for a host.
func (w *world) serve(host string, h http.Handler) { w.start(host, &http.Server{Handler: h}) }

func (w *world) start(host string, server *http.Server) { w.startServing(host, server, server.Serve) }

func (w *world) startServing(host string, server *http.Server, serve func(net.Listener) error) {
	l := w.net.Listen(host)
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(l)
	}()
	w.Cleanup(func() {
		server.Close()
		<-done
	})
}

const chatPath = "/openai/deployments/gpt-4o-mini/chat/completions?api-version=2024-10-21"

// chat is the body of a request whose response has so many tokens.
func chat(tokens string, more string) string {
	return `{"messages":[{"role":"user","content":"hello [[tokens=` + tokens + `]]"}]` + more + `}`
}

// reply is what a client got.
type answer struct {
	status  int
	header  http.Header
	body    string
	trailer http.Header
	err     error // of reading the body
	took    time.Duration
}

// do sends a request with the usual key and reads the response.
func (w *world) do(method, path, body string, headers ...string) answer {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, "http://"+w.host+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	if body == "" {
		req.Body = http.NoBody
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("api-key", "demo")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return w.read(req)
}

func (w *world) read(req *http.Request) answer {
	w.Helper()
	began := time.Now()
	resp, err := w.client.Do(req)
	if err != nil {
		return answer{err: err, took: time.Since(began)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{
		status: resp.StatusCode, header: resp.Header, trailer: resp.Trailer,
		body: string(body), err: err, took: time.Since(began),
	}
}

func (w *world) post(body string, headers ...string) answer {
	w.Helper()
	return w.do(http.MethodPost, chatPath, body, headers...)
}

// record returns the only record so far, once its request has been served.
func (w *world) record() spillway.Record {
	w.Helper()
	if err := w.gateway.Drain(w.Context()); err != nil {
		w.Fatal(err)
	}
	w.rec.mu.Lock()
	defer w.rec.mu.Unlock()
	if len(w.rec.records) != 1 {
		w.Fatalf("%d records, want 1: %+v", len(w.rec.records), w.rec.records)
	}
	return w.rec.records[0]
}

// idle fails the test unless every reservation and attempt was given back.
func (w *world) idle() {
	w.Helper()
	if err := w.gateway.Drain(w.Context()); err != nil {
		w.Fatal(err)
	}
	for _, p := range w.gateway.Status(nil) {
		for _, d := range p.Deployments {
			if d.InFlight != 0 || d.OutstandingTokens != 0 || p.Waiting != 0 {
				w.Errorf("%s: %d in flight, %v tokens reserved, %d waiting; want none", d.Name, d.InFlight, d.OutstandingTokens, p.Waiting)
			}
		}
	}
}

// want fails the test unless the response has the status.
func (w *world) want(got answer, status int) {
	w.Helper()
	if got.err != nil || got.status != status {
		w.Fatalf("status %d, error %v; want %d\n%v\n%s", got.status, got.err, status, got.header, got.body)
	}
	if got.header.Get("x-spillway-request-id") == "" {
		w.Errorf("no x-spillway-request-id in %v", got.header)
	}
}

// completion is what tests read of a chat response.
type completion struct {
	Choices []struct {
		Message      struct{ Content string }
		FinishReason string `json:"finish_reason"`
	}
	Usage struct {
		CompletionTokens int `json:"completion_tokens"`
	}
	Error *struct{ Code, Message string }
}

func (w *world) completion(body string) (c completion) {
	w.Helper()
	if err := json.Unmarshal([]byte(body), &c); err != nil {
		w.Fatalf("answer is not JSON: %v\n%s", err, body)
	}
	return c
}

// events returns the data of a stream's events.
func events(body string) (data []string) {
	for block := range bytes.SplitSeq([]byte(body), []byte("\n\n")) {
		if d, ok := bytes.CutPrefix(block, []byte("data: ")); ok {
			data = append(data, string(d))
		}
	}
	return data
}
