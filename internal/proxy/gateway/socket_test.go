package gateway

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/azuresim"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// TestSockets speaks every protocol with clients, and HTTP/2 over TLS with the
// deployment, over real sockets.
func TestSockets(t *testing.T) {
	d := deployment("east")
	azure, err := azuresim.New(azuresim.Config{Deployments: append(one()[:0], d), Keys: []string{"azure"}, TimeScale: 100})
	if err != nil {
		t.Fatal(err)
	}
	upstream := httptest.NewUnstartedServer(azure)
	upstream.EnableHTTP2 = true
	upstream.StartTLS()
	t.Cleanup(upstream.Close)

	var rec recorder
	g, err := New(socketConfig(t, upstream), Deps{Recorder: &rec})
	if err != nil {
		t.Fatal(err)
	}
	plain := g.Server(nil)
	encrypted := g.Server(&tls.Config{Certificates: upstream.TLS.Certificates})
	tests := []struct {
		name      string
		server    *http.Server
		protocols func(*http.Protocols)
		major     int
	}{
		{"HTTP/1.1", plain, func(p *http.Protocols) { p.SetHTTP1(true) }, 1},
		{"h2c", plain, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }, 2},
		{"HTTP/1.1 over TLS", encrypted, func(p *http.Protocols) { p.SetHTTP1(true) }, 1},
		{"HTTP/2 over TLS", encrypted, func(p *http.Protocols) { p.SetHTTP2(true) }, 2},
	}
	bases := map[*http.Server]string{
		plain:     "http://" + listen(t, func(l net.Listener) error { return g.Serve(plain, l) }),
		encrypted: "https://" + listen(t, func(l net.Listener) error { return g.Serve(encrypted, l) }),
	}
	t.Cleanup(func() { plain.Close(); encrypted.Close() })
	for _, tt := range tests {
		for _, more := range []string{"", `,"stream":true`} {
			t.Run(tt.name+more, func(t *testing.T) {
				transport := &http.Transport{
					TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols),
				}
				tt.protocols(transport.Protocols)
				defer transport.CloseIdleConnections()
				req, _ := http.NewRequest(http.MethodPost, bases[tt.server]+chatPath, strings.NewReader(chat("20", more)))
				req.Header.Set("api-key", "demo")
				resp, err := (&http.Client{Transport: transport}).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != 200 || resp.ProtoMajor != tt.major {
					t.Fatalf("%s %s, %v: %s", resp.Proto, resp.Status, err, body)
				}
				if more != "" && !strings.HasSuffix(string(body), "data: [DONE]\n\n") {
					t.Errorf("unexpected stream: %s", body)
				}
			})
		}
	}
	for _, r := range rec.records {
		if r.Outcome != spillway.OutcomeOK || r.Usage.Completion != 20 {
			t.Errorf("unexpected record: %+v", r)
		}
	}
}

// socketConfig trusts the deployment's certificate by a CA file.
func socketConfig(t *testing.T, peer *httptest.Server) Config {
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: peer.Certificate().Raw})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	target, err := wire.ParseTarget(wire.AzureV1, peer.URL, "east", "")
	if err != nil {
		t.Fatal(err)
	}
	d := deployment("east")
	return Config{
		Pools: []policy.Config{{
			Pool:        spillway.Pool{Name: "gpt-4o-mini", Tiers: [][]string{{"east"}}},
			Deployments: []spillway.Deployment{d.Deployment},
		}},
		Upstreams: map[string]upstream.Config{"east": {Target: target, Credential: upstream.Bearer("azure"), CAFile: file}},
		Callers:   []Caller{{Name: "tester", Keys: []string{"demo"}, Class: &spillway.Class{Name: "c"}}},

		KeepStreams: keepStreams(),
	}
}

// listen serves on a free port of the loopback and returns its address.
func listen(t testing.TB, serve func(net.Listener) error) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(l)
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}
