package app

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

const (
	// heapFloorBytes is how much the heap may grow at least before the next
	// collection. A gateway at work lives on a few MiB and passes on hundreds of
	// MiB per second: with Go's own rule, which is to collect when the heap has
	// doubled, it would collect dozens of times a second.
	heapFloorBytes = 64 << 20
	// goHeapFloorBytes is Go's own floor at GOGC=100; it grows in proportion.
	goHeapFloorBytes = 4 << 20
	// usualPercent is Go's own rule, which holds once it lets the heap grow by
	// more than the floor.
	usualPercent = 100
	// mostPercent makes Go's own floor ours.
	mostPercent = usualPercent * (heapFloorBytes / goHeapFloorBytes)
)

// collector has the heap grow by the floor or by Go's own rule between two
// collections, whichever is more.
type collector struct {
	mu      sync.Mutex
	before  int // the percentage to put back
	percent int // in force
	stopped bool
	trimmer *trimmer
}

// startCollector applies the floor until stop. It returns nil, which stops
// well, where the operator has said in the environment how to collect.
func startCollector() *collector {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	c := &collector{percent: mostPercent, trimmer: startTrimmer()}
	c.before = debug.SetGCPercent(c.percent)
	c.awaitCollection()
	return c
}

// awaitCollection has adjust called after the next collection.
func (c *collector) awaitCollection() {
	// The cleanup runs once the collector has found the sentinel unreachable.
	sentinel := new(*collector)
	runtime.AddCleanup(sentinel, (*collector).adjust, c)
}

// adjust sets when the next collection begins, from what the last one has
// found.
func (c *collector) adjust() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	found := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"},
	}
	metrics.Read(found)
	want := growthPercent(found[0].Value.Uint64(), found[1].Value.Uint64()+found[2].Value.Uint64())
	// Setting the percentage stops the world for a moment, so small differences
	// are let be.
	if want < c.percent*4/5 || want > c.percent*5/4 {
		debug.SetGCPercent(want)
		c.percent = want
	}
	c.awaitCollection()
}

// growthPercent is the percentage by which the heap may grow, so that it grows
// by the floor at least. The percentage is one of the live heap and of the roots
// together. A floor of the heap's size instead would leave less and less to grow
// by as the live heap approaches it, and what a burst has left behind, such as
// the runtime's descriptors of goroutines, would make each later request dearer.
func growthPercent(liveBytes, rootBytes uint64) int {
	percent := heapFloorBytes * 100 / max(liveBytes+rootBytes, 1)
	return int(min(max(percent, usualPercent), mostPercent))
}

// stop puts back what was in force before start.
func (c *collector) stop() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped {
		c.stopped = true
		c.trimmer.stop()
		debug.SetGCPercent(c.before)
	}
}
