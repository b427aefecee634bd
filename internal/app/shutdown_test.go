package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestShutdownDelay ends the app with a delay: probes fail at once, requests are
// served until the delay is over, and their connections are closed.
func TestShutdownDelay(t *testing.T) { synctest.Test(t, testShutdownDelay) }

func testShutdownDelay(t *testing.T) {
	const delay = 5 * time.Second
	r := startVirtual(t, func(text string) string {
		return strings.Replace(text, "drain_timeout: 10s", "drain_timeout: 10s, shutdown_delay: 5s", 1)
	})
	probe := func(url string) int {
		resp, err := r.client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	probes := []string{"http://" + r.AdminAddr() + "/readyz", "http://" + r.DataAddr() + "/readyz"}
	for _, url := range probes {
		if status := probe(url); status != http.StatusOK {
			t.Errorf("%s: status %d", url, status)
		}
	}
	began := time.Now()
	closed := make(chan error, 1)
	go func() { closed <- r.Close() }()
	synctest.Wait()
	for _, url := range probes {
		if status := probe(url); status != http.StatusServiceUnavailable {
			t.Errorf("%s during the delay: status %d", url, status)
		}
	}
	for _, stream := range []bool{false, true} {
		resp, err := r.ask(stream, "[[tokens=20]]")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !resp.Close {
			t.Errorf("stream %t during the delay: %s, closed %t, %v: %s", stream, resp.Status, resp.Close, err, tail(text))
		}
	}
	if took := time.Since(began); took >= delay {
		t.Fatalf("the requests took %v, which is longer than the delay", took)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < delay || took > delay+10*time.Second {
		t.Errorf("closed after %v", took)
	}
	if _, err := r.ask(false, "hello"); err == nil {
		t.Error("it still accepts after the delay")
	}
}

// TestUnauthenticatedFlood sends thousands of requests without a valid key: all are
// counted, few are recorded, and a known caller's request is recorded like before.
func TestUnauthenticatedFlood(t *testing.T) { synctest.Test(t, testUnauthenticatedFlood) }

func testUnauthenticatedFlood(t *testing.T) {
	const clients, each = 8, 250
	r := startVirtual(t, unchanged)
	began := time.Now()
	var flood sync.WaitGroup
	for i := range clients {
		flood.Go(func() {
			for range each {
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.DataAddr()+"/v1/models", http.NoBody)
				if i%2 == 0 {
					req.Header.Set("api-key", "guess")
				}
				resp, err := r.client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusUnauthorized {
					t.Errorf("status %d", resp.StatusCode)
				}
			}
		})
	}
	flood.Wait()
	resp, err := r.ask(false, "[[tokens=20]]")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	seconds := int(time.Since(began)/time.Second) + 2

	metrics, err := r.client.Get("http://" + r.AdminAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(metrics.Body)
	metrics.Body.Close()
	if want := fmt.Sprintf("spillway_unauthenticated_requests_total{reason=\"invalid_key\"} %d\n", clients*each); err != nil || !bytes.Contains(text, []byte(want)) {
		t.Errorf("%v: the metrics do not say %s", err, want)
	}
	r.stop()
	data, err := os.ReadFile(filepath.Join(filepath.Dir(r.path), "records.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	known, unknown := 0, 0
	for line := range bytes.Lines(data) {
		var record struct{ Caller string }
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatal(err)
		}
		if record.Caller == "team" {
			known++
		} else {
			unknown++
		}
	}
	if known != 1 || unknown == 0 || unknown > sampledPerSecond*seconds {
		t.Errorf("%d records of the caller, want 1; %d of others, want 1 to %d", known, unknown, sampledPerSecond*seconds)
	}
}
