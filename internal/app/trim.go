package app

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// trimEvery is how often memory is looked at. It is given back when trimCalm
	// such times in a row were without much work.
	trimEvery = time.Second
	trimCalm  = 2
	// trimLeastBytes is how much there must be to give back, and trimShare
	// which part of what is held it must be.
	trimLeastBytes = heapFloorBytes / 2
	trimShare      = 8
	// calmShare is which part of what is held may be allocated within trimEvery
	// without that being much work.
	calmShare = 16
	// subsidedGoroutines is how many goroutines must have ended, and be half of
	// those that there were, for a load to have subsided. Each stream has a few.
	subsidedGoroutines = 2000
)

// holding is what the process holds, in bytes.
type holding struct {
	resident  uint64 // all of it
	excess    uint64 // what a collection could find free, at most
	allocated uint64 // since the start

	goroutines uint64
}

// calm reports whether little was allocated since before.
func (h holding) calm(before holding) bool {
	return h.allocated-before.allocated < h.resident/calmShare
}

// subsided reports whether most of the goroutines have ended that there were
// when there were the most. What they held is free, but no collection has found
// that out yet, and none will as long as nothing is allocated.
func (h holding) subsided(most uint64) bool {
	return h.goroutines+max(subsidedGoroutines, most/2) <= most
}

// wasteful reports whether there is much to give back.
func (h holding) wasteful() bool { return h.excess >= max(trimLeastBytes, h.resident/trimShare) }

// trimmer gives memory back to the system once a load has calmed down. Of
// itself the runtime keeps what a burst has needed, because it may be needed
// again: thousands of streams that begin together leave behind as much as
// they hold from then on, and may last for minutes.
type trimmer struct {
	quit chan struct{}
	done chan struct{}
}

// startTrimmer trims until stop.
func startTrimmer() *trimmer {
	t := &trimmer{quit: make(chan struct{}), done: make(chan struct{})}
	go t.run()
	return t
}

func (t *trimmer) run() {
	defer close(t.done)
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	calm, burst, most := 0, false, uint64(0) // since the last trim: a steady load has nothing to give back that it does not need again
	for before := readHolding(); ; {
		select {
		case <-tick.C:
		case <-t.quit:
			return
		}
		held := readHolding()
		calm++
		if !held.calm(before) {
			calm, burst = 0, true
		}
		most = max(most, held.goroutines)
		if calm >= trimCalm && (burst && held.wasteful() || held.subsided(most)) {
			trim()
			calm, burst, most = 0, false, 0
		}
		before = held
	}
}

// trim collects twice: pools release their contents in the second collection.
func trim() {
	runtime.GC()
	debug.FreeOSMemory()
}

func (t *trimmer) stop() {
	close(t.quit)
	<-t.done
}

// readHolding asks the runtime.
func readHolding() holding {
	found := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/sched/goroutines:goroutines"},
	}
	metrics.Read(found)
	at := func(i int) uint64 { return found[i].Value.Uint64() }
	total, released, free, objects, live := at(0), at(1), at(2), at(3), at(4)
	return holding{
		resident: total - released, excess: free + objects - min(live, objects), allocated: at(5), goroutines: at(6),
	}
}
