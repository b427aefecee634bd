package app

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestDrainRunsOut ends the app with requests that do not end in time: each
// client gets a valid response, and each record says what happened.
func TestDrainRunsOut(t *testing.T) { synctest.Test(t, testDrainRunsOut) }

func testDrainRunsOut(t *testing.T) {
	r := startVirtual(t, func(text string) string {
		return strings.Replace(text, "drain_timeout: 10s", "drain_timeout: 300ms", 1)
	})
	var asked sync.WaitGroup
	for _, stream := range []bool{false, true} {
		asked.Go(func() {
			resp, err := r.ask(stream, "[[tokens=2000]]")
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != 200 || !bytes.Contains(text, []byte(`"finish_reason":"length"`)) {
				t.Errorf("stream %t: status %d, error %v, ends in %q", stream, resp.StatusCode, err, tail(text))
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	if n := r.gateway.InFlight(); n != 2 {
		t.Fatalf("%d requests in flight, want 2", n)
	}
	if err := r.Close(); err != nil || !strings.Contains(r.log.String(), "requests=2 drain_timeout=300ms") {
		t.Errorf("Close = %v, want none. Log:\n%s", err, r.log)
	}
	asked.Wait()
	data, err := os.ReadFile(filepath.Join(filepath.Dir(r.path), "records.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(data, []byte("\n")); n != 2 {
		t.Errorf("%d records, want 2", n)
	}
	for line := range bytes.Lines(data) {
		var record struct {
			Outcome string
			Status  int
		}
		if err := json.Unmarshal(line, &record); err != nil || record.Outcome != "truncated_deadline" || record.Status != 200 {
			t.Errorf("%v: record %s", err, line)
		}
	}
}

// The time to drain is over while nothing but streams is under way: each gets
// its end, and leaves its record.
func TestDrainRunsOutOnStreams(t *testing.T) { synctest.Test(t, testDrainRunsOutOnStreams) }

func testDrainRunsOutOnStreams(t *testing.T) {
	const n = 50
	r := startVirtual(t, func(text string) string {
		return strings.Replace(text, "drain_timeout: 10s", "drain_timeout: 300ms", 1)
	})
	var asked sync.WaitGroup
	for range n {
		asked.Go(func() {
			resp, err := r.ask(true, "[[tokens=2000]]")
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if _, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 && resp.StatusCode != 503 {
				t.Errorf("%s, %v", resp.Status, err)
			}
		})
	}
	time.Sleep(100 * time.Millisecond)
	if got := r.gateway.InFlight(); got != n {
		t.Fatalf("%d requests in flight, want %d", got, n)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	left := r.gateway.InFlight()
	data, err := os.ReadFile(filepath.Join(filepath.Dir(r.path), "records.jsonl"))
	if records := bytes.Count(data, []byte("\n")); err != nil || left != 0 || records != n {
		t.Errorf("%d in flight, %d records of %d, %v", left, records, n, err)
	}
	asked.Wait()
}
