package spillway

import "testing"

// Each refusal has a status that tells a client whether to come back.
func TestRefusalStatus(t *testing.T) {
	for code, want := range map[RefusalCode]int{
		RefusalNone: 0, RefusalTooLarge: 400, RefusalDeadline: 408,
		RefusalQueueFull: 429, RefusalNoCapacity: 429, RefusalUpstream: 502,
		RefusalNoHealthy: 503, RefusalEnding: 503, RefusalLoop: 508, "new": 500,
	} {
		if got := code.Status(); got != want {
			t.Errorf("%q: status %d, want %d", code, got, want)
		}
	}
}
