package hostlimit

import (
	"log/slog"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// sampleCalls and sampleEvery say when Scarce asks the runtime: at every so many
	// calls, which bounds what a burst of requests takes unseen, and after that time.
	sampleCalls = 32
	sampleEvery = 20 * time.Millisecond
	// recoverShare is which part of the watermark use must fall below it to end
	// scarcity.
	recoverShare = 16
	// collectEvery is how often memory is collected while it is scarce: the runtime
	// does not learn that memory is free while nothing is allocated.
	collectEvery = 2 * time.Second
)

// Watch watches whether the process uses more memory than a watermark. Make it with
// NewWatch. It is safe for concurrent use.
type Watch struct {
	watermark uint64
	log       *slog.Logger
	read      func() Use

	calls     atomic.Uint64
	scarce    atomic.Bool
	sampledAt atomic.Int64 // Unix time in nanoseconds

	mu          sync.Mutex // guards what follows, and is held while sampling
	collectedAt time.Time
	collecting  atomic.Bool
}

// Use is the memory that the process cannot give up, in bytes.
type Use struct {
	Live     uint64 // of the heap, as the last collection has found
	Overhead uint64 // stacks, and what the runtime needs besides
}

// NewWatch returns a watch with a watermark in bytes. It logs when memory becomes
// scarce and when it no longer is. read reads the use; nil asks the Go runtime.
func NewWatch(watermark int64, log *slog.Logger, read func() Use) *Watch {
	if read == nil {
		read = newReader().use
	}
	return &Watch{watermark: uint64(watermark), log: log, read: read}
}

// Scarce reports whether the use exceeds the watermark. It is cheap enough for every
// request: an atomic addition, and rarely a look at the runtime's metrics.
func (w *Watch) Scarce(now time.Time) bool {
	if w.calls.Add(1)%sampleCalls == 0 || now.UnixNano()-w.sampledAt.Load() >= int64(sampleEvery) {
		w.sample(now)
	}
	return w.scarce.Load()
}

// sample measures the use, unless another goroutine does.
func (w *Watch) sample(now time.Time) {
	if !w.mu.TryLock() {
		return
	}
	defer w.mu.Unlock()
	w.sampledAt.Store(now.UnixNano())
	use := w.read()
	used, was := use.Live+use.Overhead, w.scarce.Load()
	limit := w.watermark
	if was {
		limit -= limit / recoverShare
	}
	scarce := used > limit
	w.scarce.Store(scarce)
	switch {
	case scarce && !was:
		w.log.Warn("memory is scarce, refusing new requests", "used", used, "heap_live", use.Live, "watermark", w.watermark)
	case was && !scarce:
		w.log.Info("memory is no longer scarce", "used", used, "watermark", w.watermark)
	}
	if scarce && now.Sub(w.collectedAt) >= collectEvery && w.collecting.CompareAndSwap(false, true) {
		w.collectedAt = now
		go func() {
			defer w.collecting.Store(false)
			runtime.GC()
		}()
	}
}

// reader reads the use from the runtime. Its use must not be called concurrently.
type reader struct{ samples []metrics.Sample }

func newReader() *reader {
	return &reader{[]metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
	}}
}

func (r *reader) use() Use {
	metrics.Read(r.samples)
	at := func(i int) uint64 { return r.samples[i].Value.Uint64() }
	live, total, released, free, objects, unused := at(0), at(1), at(2), at(3), at(4), at(5)
	// What is free or unused within the heap serves the next allocations.
	return Use{Live: min(live, objects), Overhead: total - min(total, released+free+objects+unused)}
}
