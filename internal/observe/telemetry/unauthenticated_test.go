package telemetry

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	spillway "github.com/spillway-ai/spillway"
)

// counting counts records.
type counting struct {
	mu sync.Mutex
	n  int
}

func (c *counting) Record(*spillway.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

// TestSample sends records in bursts: of each second, so many pass.
func TestSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got counting
		s := Sample(&got, 10)
		for second := range 3 {
			var senders sync.WaitGroup
			for range 8 {
				senders.Go(func() {
					for range 1000 {
						s.Record(&spillway.Record{})
					}
				})
			}
			senders.Wait()
			if want := 10 * (second + 1); got.n != want {
				t.Errorf("%d records after %d s, want %d", got.n, second, want)
			}
			time.Sleep(time.Second)
		}
		s.Record(&spillway.Record{})
		if got.n != 31 {
			t.Errorf("%d records, want 31: a second with room drops one", got.n)
		}
	})
}

// TestUnauthenticated counts refusals by reason, and all of them as requests.
func TestUnauthenticated(t *testing.T) {
	m := NewMetrics(MetricsConfig{})
	u := m.Unauthenticated()
	reasons := map[string]int{
		"invalid_key": 401, "method": 405, "header_too_large": 431, "overloaded": 503, "client_gone": 499, "other": 418,
	}
	for _, status := range reasons {
		for range 3 {
			u.Record(&spillway.Record{Outcome: spillway.OutcomeRefusedInvalid, Status: status})
		}
	}
	const name = "spillway_unauthenticated_requests_total"
	var want strings.Builder
	want.WriteString("# HELP " + name + " Requests refused before their caller was known, by reason.\n# TYPE " + name + " counter\n")
	for reason := range reasons {
		fmt.Fprintf(&want, "%s{reason=%q} 3\n", name, reason)
	}
	if err := testutil.GatherAndCompare(m.registry, strings.NewReader(want.String()), name); err != nil {
		t.Error(err)
	}
	if got := testutil.ToFloat64(m.vecs.requests.WithLabelValues("", "", "refused_invalid")); got != 18 {
		t.Errorf("%v requests, want 18", got)
	}
}
