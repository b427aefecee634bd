package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Records and metrics go to the collector, those that are queued at the end
// too; the admin listener shows no metrics where they are turned off there.
func TestOTLP(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the connection may be gone
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("X-Key") == "collector-key" {
			asked[r.URL.Path]++
		}
	}))
	defer collector.Close()
	r := startWith(t, func(text string) string {
		return text + "metrics: {enabled: false}\notlp: {endpoint: \"" + collector.URL + "\", protocol: http, headers: [{name: x-key, value: collector-key}]}\n"
	})
	resp, err := r.ask(false, "Hello. [[tokens=5]]")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	resp, err = http.Get("http://" + r.AdminAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("/metrics answers %d where it is turned off", resp.StatusCode)
	}
	r.replace("metrics: {enabled: false}\notlp: {", "metrics: {enabled: false}\notlp: {queue: 5, ")
	r.eventually("the log names the setting", func() bool { return strings.Contains(r.log.String(), "settings=otlp") })
	r.stop()
	mu.Lock()
	defer mu.Unlock()
	for _, path := range []string{"/v1/traces", "/v1/logs", "/v1/metrics"} {
		if asked[path] != 1 {
			t.Errorf("%s was asked %d times; all: %v", path, asked[path], asked)
		}
	}
	if strings.Contains(r.log.String(), "collector-key") {
		t.Error("the log tells a secret")
	}
}
