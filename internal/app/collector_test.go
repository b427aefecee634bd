package app

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestGrowthPercent(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		live, roots uint64
		want        int
	}{
		{0, 0, 1600},
		{mib, 0, 1600},
		{4 * mib, 0, 1600},
		{4 * mib, 6 * mib, 640},
		{16 * mib, 0, 400},
		{16 * mib, 16 * mib, 200},
		{31 * mib, 64 * mib, 100},
		{32 * mib, 0, 200},
		{64 * mib, 0, 100},
		{1000 * mib, 100 * mib, 100},
	} {
		if got := growthPercent(tt.live, tt.roots); got != tt.want {
			t.Errorf("growthPercent(%d, %d) = %d, want %d", tt.live, tt.roots, got, tt.want)
		}
	}
}

// TestCollectorAdjusts fills the heap beyond the floor: then Go's own rule is
// back, and what was in force before is back after stop.
func TestCollectorAdjusts(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	before := debug.SetGCPercent(90)
	defer debug.SetGCPercent(before)
	c := startCollector()
	percent := func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.percent
	}
	if got := percent(); got != mostPercent {
		t.Errorf("at the start the heap may grow by %d %%, want %d", got, mostPercent)
	}
	full := make([]byte, heapFloorBytes+1)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	hang := time.After(patience)
	for percent() != usualPercent {
		runtime.GC()
		select {
		case <-tick.C:
		case <-hang:
			t.Fatal("no collection was noticed")
		}
	}
	runtime.KeepAlive(full)
	c.stop()
	if got := debug.SetGCPercent(90); got != 90 {
		t.Errorf("after stop the percentage is %d, want 90", got)
	}
}

func TestCollectorLeavesTheOperatorsSettings(t *testing.T) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOGC", "")
			t.Setenv("GOMEMLIMIT", "")
			t.Setenv(name, "50")
			c := startCollector()
			c.stop() // does nothing
			if c != nil {
				t.Error("the collector was set in spite of the environment")
			}
		})
	}
}
