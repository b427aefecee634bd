package hostlimit

import (
	"bytes"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestLimits(t *testing.T) {
	if m := Memory(); runtime.GOOS == "linux" && m < 1<<20 {
		t.Errorf("memory: %d", m)
	}
	if f := Files(); runtime.GOOS == "linux" && f < 16 {
		t.Errorf("files: %d", f)
	}
}

// TestWatch follows a use that rises and falls.
func TestWatch(t *testing.T) {
	var log bytes.Buffer
	var live atomic.Uint64
	reads := 0
	w := NewWatch(1000, slog.New(slog.NewTextHandler(&log, nil)), func() Use {
		reads++
		return Use{Live: live.Load(), Overhead: 300}
	})
	now := time.Unix(1, 0)
	for _, step := range []struct {
		live   uint64
		scarce bool
	}{{100, false}, {700, false}, {701, true}, {690, true}, {600, false}, {690, false}, {2000, true}, {0, false}} {
		live.Store(step.live)
		now = now.Add(sampleEvery)
		if got := w.Scarce(now); got != step.scarce {
			t.Errorf("%d live: scarce %v, want %v", step.live, got, step.scarce)
		}
	}
	if n := strings.Count(log.String(), "memory is scarce"); n != 2 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
	// Within sampleEvery the use is read once per sampleCalls.
	live.Store(5000)
	before, seen := reads, 0
	for range 10 * sampleCalls {
		if w.Scarce(now) {
			seen++
		}
	}
	if reads-before != 10 {
		t.Errorf("read %d times in %d calls", reads-before, 10*sampleCalls)
	}
	if seen < 9*sampleCalls {
		t.Errorf("seen in %d of %d calls", seen, 10*sampleCalls)
	}
}

// TestUse holds memory and lets go of it.
func TestUse(t *testing.T) {
	const held = 64 << 20
	r := newReader()
	runtime.GC()
	before := r.use()
	memory := make([]byte, held)
	runtime.GC()
	during := r.use()
	runtime.KeepAlive(memory)
	runtime.GC()
	after := r.use()
	if grown := during.Live - before.Live; grown < held*9/10 || grown > held*11/10 {
		t.Errorf("%d bytes live before, %d with %d more", before.Live, during.Live, held)
	}
	if after.Live > before.Live+held/10 {
		t.Errorf("%d bytes live after, %d before", after.Live, before.Live)
	}
	// Stacks are seen at once.
	stop := make(chan struct{})
	defer close(stop)
	const goroutines = 2000
	for range goroutines {
		ready := make(chan struct{})
		go func() { deepen(64); close(ready); <-stop }()
		<-ready
	}
	if grown := r.use().Overhead - after.Overhead; grown < goroutines*4<<10 {
		t.Errorf("%d goroutines with deep stacks take %d bytes", goroutines, grown)
	}
}

// deepen grows the stack.
func deepen(n int) byte {
	var frame [128]byte
	if n > 0 {
		frame[n] = deepen(n - 1)
	}
	return frame[n/2]
}

func BenchmarkUse(b *testing.B) {
	r := newReader()
	b.ReportAllocs()
	for b.Loop() {
		r.use()
	}
}

func BenchmarkScarce(b *testing.B) {
	w := NewWatch(1<<40, slog.New(slog.DiscardHandler), nil)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		w.Scarce(now)
	}
}
