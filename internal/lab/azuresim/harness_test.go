package azuresim

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/memnet"
)

// rig is a server behind HTTP in memory.
type rig struct {
	t      *testing.T
	server *Server
	client *http.Client
}

// serve starts a rig inside a bubble; it ends with the test.
func serve(t *testing.T, cfg Config) *rig {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var network memnet.Net
	l := network.Listen("sim")
	h := &http.Server{Handler: s}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(l) }()
	transport := &http.Transport{DialContext: network.Dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = h.Close()
		<-ended
	})
	return &rig{t: t, server: s, client: &http.Client{Transport: transport}}
}

// dialTo connects to a test server whatever address is asked for.
func dialTo(h *httptest.Server) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, h.Listener.Addr().String())
	}
}

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// post sends a request with the test's key.
func (r *rig) post(ctx context.Context, path, body string, headers ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://sim"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("api-key", "azure")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return r.client.Do(req)
}

// do sends a request and reads the whole response.
func (r *rig) do(path, body string, headers ...string) (*http.Response, string) {
	r.t.Helper()
	resp, err := r.post(r.t.Context(), path, body, headers...)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, string(b)
}

// chatPath is the classic path of a deployment's chat completions.
func chatPath(deployment string) string {
	return "/openai/deployments/" + deployment + "/chat/completions?api-version=2024-10-21"
}

// lines reads a stream's non-empty lines with the virtual time of each.
func lines(t *testing.T, body io.Reader, began time.Time) (all []string, when []time.Duration) {
	t.Helper()
	sc := bufio.NewScanner(body)
	for sc.Scan() {
		if sc.Text() != "" {
			all, when = append(all, sc.Text()), append(when, time.Since(began))
		}
	}
	return all, when
}

// steady is a deployment without randomness in its pace: 10 ms between tokens
// and 400 ms to the first, each in a chunk of its own.
func steady(name string, kind spillway.Kind) fleet.Deployment {
	return fleet.Deployment{
		ChunkTokens: 1,
		Deployment: spillway.Deployment{
			Name: name, Model: "gpt-4o-mini", Region: "eastus", Kind: kind, PTU: 100, TPM: 1_000_000, RPM: 6000,
		},
		Service: fleet.Service{
			TBTMean: 10 * time.Millisecond, TBTSigma: 1e-12, TTFT: 400 * time.Millisecond, TTFTSigma: 1e-12,
			PrefillTokensPerSecond: 1e12, Load: fleet.LoadCurve{Quadratic: 1e-12},
		},
	}
}

// steadyFleet is two chat deployments, a reasoning one, and embeddings.
func steadyFleet() Config {
	embed, reasoner := steady("embed", spillway.Standard), steady("reasoner", spillway.Standard)
	embed.Model, reasoner.Model = "text-embedding-3-small", "o4-mini"
	reasoner.Reasoning = true
	return Config{
		Deployments: []fleet.Deployment{steady("ptu", spillway.Provisioned), steady("std", spillway.Standard), embed, reasoner},
		Keys:        []string{"azure"}, Seed: 1, Filters: true,
	}
}
