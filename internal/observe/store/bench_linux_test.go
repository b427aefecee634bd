package store

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// maxBytesPerRecord is what a record may take on disk.
const maxBytesPerRecord = 120

// A record of the incident is small on disk.
func TestSize(t *testing.T) {
	oneGoroutine(t)
	const n = 20_000
	_, data := segmentOf(t, 1, traffic(t, n)...)
	per := float64(len(data)) / n
	t.Logf("%.1f bytes per record", per)
	if per > maxBytesPerRecord {
		t.Errorf("%.1f bytes per record, want at most %d", per, maxBytesPerRecord)
	}
}

// A row allocates nothing after warm-up.
func TestRowAllocatesNothing(t *testing.T) {
	r := fullRecord(t)
	row := appendRow(nil, &r)
	if n := testing.AllocsPerRun(100, func() { row = appendRow(row[:0], &r) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// processorTime is what the process has used so far.
func processorTime(tb testing.TB) time.Duration { return cpuUsage(tb, syscall.RUSAGE_SELF) }

// threadOnly asks for the usage of the calling thread.
const threadOnly = 1

func cpuUsage(tb testing.TB, whose int) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(whose, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRecord is what the request pays. The records that it sends faster
// than the disk takes them are dropped, at the same price but for a copy.
func BenchmarkRecord(b *testing.B) {
	records := traffic(b, 1000)
	w := newTestWriter(b, Config{Dir: b.TempDir(), Queue: 1 << 30, SealAfter: time.Hour, SealRecords: 1 << 30})
	defer w.Close()
	b.ReportAllocs()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := cpuUsage(b, threadOnly)
	i := 0
	for b.Loop() {
		w.Record(&records[i%len(records)])
		i++
	}
	b.ReportMetric(float64(cpuUsage(b, threadOnly)-began)/float64(b.N), "cpu-ns/record")
}

// BenchmarkWriter is all that a record costs the processor, from Record to its
// segment, and its size there.
func BenchmarkWriter(b *testing.B) {
	records := traffic(b, defaultSealRecords)
	var used time.Duration
	var size, n int64
	for b.Loop() {
		dir := b.TempDir()
		began := processorTime(b)
		w := newTestWriter(b, Config{Dir: dir, Queue: 2500})
		dropped := uint64(0)
		for i := range records {
			dropped += recordWaiting(w, &records[i]) // the disk's time is not the processor's
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		used += processorTime(b) - began
		n += int64(len(records))
		for _, name := range namesIn(b, dir) {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				b.Fatal(err)
			}
			size += info.Size()
		}
		if w.Dropped() != dropped {
			b.Fatalf("lost %d", w.Dropped()-dropped)
		}
	}
	b.ReportMetric(used.Seconds()*1e6/float64(n), "cpu-µs/record")
	b.ReportMetric(float64(size)/float64(n), "B/record")
}

// BenchmarkSegment turns rows into a segment.
func BenchmarkSegment(b *testing.B) {
	records := traffic(b, defaultSealRecords)
	parsed, err := parseTail(tailBytes(records))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		w := newSegmentWriter(io.Discard)
		for _, r := range parsed.rows {
			if err := w.addRow(&parsed.layout, r.body); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(b.N*len(records)), "µs/record")
}

// BenchmarkRead reads a million records: all of them, and what a question
// about latency needs.
func BenchmarkRead(b *testing.B) {
	const segments = 16
	records := traffic(b, defaultSealRecords)
	dir := b.TempDir()
	shift := records[len(records)-1].Time.Sub(records[0].Time)
	for i := range segments {
		name, data := segmentOf(b, int64(i*len(records)+1), records...)
		put(b, dir, name, data)
		for k := range records {
			records[k].Time = records[k].Time.Add(shift)
		}
	}
	s, err := Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	for name, columns := range map[string][]string{
		"all":     nil,
		"latency": {"outcome", "ttft_ms", "e2e_ms", "attempts.deployment"},
	} {
		b.Run(name, func(b *testing.B) {
			n := 0
			var sum time.Duration
			for b.Loop() {
				for r, err := range s.Records(Query{Columns: columns}) {
					if err != nil {
						b.Fatal(err)
					}
					sum += r.E2E
					n++
				}
			}
			if n != b.N*segments*len(records) || sum == 0 {
				b.Fatalf("read %d", n)
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(n)*1e6, "s/1M")
		})
	}
}
