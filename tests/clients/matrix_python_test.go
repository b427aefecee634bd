package clients

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// startSecure starts an emulator of Azure and a gateway with TLS before it, and tells
// the suites in their environment where the gateway is and which certificate to trust.
func startSecure(t *testing.T) {
	t.Helper()
	address, _, err := freeAddresses()
	if err != nil {
		t.Fatal(err)
	}
	sim, err := startProgram("http://"+address, "http://"+address+"/admin/state",
		"azuresim", "--listen", address, "--time-scale", "20")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopAfter(t, sim) })
	cert, certKey := writeCertificate(t)
	config := filepath.Join(t.TempDir(), "spillway.yaml")
	recorded := httptest.NewServer(newRecordings())
	t.Cleanup(recorded.Close)
	if err := os.WriteFile(config, []byte(secureConfig(sim.url, recorded.URL, cert, certKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	secure, err := start("--config", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopAfter(t, secure) })
	t.Setenv("SPILLWAY_SECURE_URL", "https://"+strings.TrimPrefix(secure.url, "http://"))
	t.Setenv("SPILLWAY_CERTIFICATE", cert)
	t.Setenv("SPILLWAY_RECORDINGS_URL", recorded.URL)
}

// newRecordings is an upstream that answers with what a test has put at
// /recordings/{id}: its body, content type and, in x-status, status. A request selects
// it with the header x-recording, which the gateway forwards.
func newRecordings() http.Handler {
	var recordings sync.Map
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /recordings/{id}", func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			recordings.Store(r.PathValue("id"), recording{r.Header, body})
		}
	})
	mux.HandleFunc("POST /v1/", func(w http.ResponseWriter, r *http.Request) {
		found, ok := recordings.Load(r.Header.Get("x-recording"))
		if !ok {
			refuse(w, http.StatusNotFound, "no_recording", "The test has put no answer.")
			return
		}
		found.(recording).answer(w)
	})
	return mux
}

// recording is an answer that a test has put.
type recording struct {
	header http.Header
	body   []byte
}

// answer writes it. With x-cut, the connection is reset after it.
func (c recording) answer(w http.ResponseWriter) {
	w.Header().Set("content-type", c.header.Get("content-type"))
	status, err := strconv.Atoi(c.header.Get("x-status"))
	if err != nil {
		status = http.StatusOK
	}
	w.WriteHeader(status)
	_, _ = w.Write(c.body)
	if c.header.Get("x-cut") != "" {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// stopAfter stops a program at the end of a test.
func stopAfter(t *testing.T, program *gateway) {
	if err := program.stop(t.Failed()); err != nil {
		t.Error(err)
	}
}

// writeCertificate writes the certificate for 127.0.0.1 of package httptest, which is
// its own authority, and its key.
func writeCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	der, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, content []byte) string {
		path := filepath.Join(dir, name)
		block := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
		if err := os.WriteFile(path, block, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", server.Certificate().Raw), write("key.pem", "PRIVATE KEY", der)
}

// sdkModels are the models in openai-python's own tests.
var sdkModels = []string{"gpt-6-astra", "gpt-3.5-turbo-instruct", "model"}

// secureConfig is a gateway with TLS before the emulator, for all models of tests, and
// before the recordings, for the model "recorded".
func secureConfig(sim, recordings, cert, certKey string) string {
	return fmt.Sprintf(`server: {tls: {cert: %q, key: %q}}
deployments:
  - {name: std-sweden, endpoint: %[3]q, style: azure, model: gpt-4o-mini, deployment: std-sweden, auth: {api_key: azure}}
  - {name: embed, endpoint: %[3]q, style: azure, model: text-embedding-3-small, deployment: embed, auth: {api_key: azure}}
  - {name: recorded, endpoint: %[4]q, style: openai, model: gpt-4o, auth: {api_key: any}}
pools:
  - {name: gpt-4o-mini, models: [%[5]s], tiers: [[std-sweden]]}
  - {name: text-embedding-3-small, tiers: [[embed]]}
  - {name: recorded, tiers: [[recorded]]}
classes:
  - {name: tests}
callers:
  - {name: tests, key: %[6]q, class: tests}
routing: {default_pool: gpt-4o-mini}
breaker: {consecutive_failures: 1000000, min_requests: 1000000}
records: {stdout: true}
`, cert, certKey, sim, recordings, strings.Join(sdkModels, ", "), key)
}
