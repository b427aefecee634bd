package store

import (
	command "flag"
	"fmt"
	"runtime"
	"slices"
	"sort"
	"testing"
	"time"
)

// soak is how long TestSustained runs; make soak sets it.
var soak = command.Duration("soak", 0, "how long TestSustained runs; 0 skips it")

// TestSustained takes 5,000 records per second on one processor while
// somebody reads all that there is again and again: nothing is dropped, every
// record is there at the end, and memory stays where it was.
func TestSustained(t *testing.T) {
	if *soak == 0 {
		t.Skip("make soak runs it")
	}
	const rate = 5000
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	records := traffic(t, 20_000)
	dir := t.TempDir()
	const before = 8
	for i := range before { // so that scans have something to do from the start
		name, data := segmentOf(t, int64(i*len(records)+1), records...)
		put(t, dir, name, data)
	}
	room := int(soak.Seconds()*rate) + 1
	calls, nothing := make([]time.Duration, 0, room), make([]time.Duration, 0, room)
	heap := liveHeap()
	w := newTestWriter(t, Config{Dir: dir})
	began, cpu := time.Now(), processorTime(t)
	done := make(chan struct{})
	scans, scanned := 0, 0
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			default:
			}
			scanned += scanOnce(t, dir)
			scans++
		}
	}()
	sent := 0
	var row []byte
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for elapsed := time.Duration(0); elapsed < *soak; elapsed = time.Since(began) {
		<-tick.C
		// Whoever was not let run, on a busy machine, catches up slowly.
		due := min(int(time.Since(began).Seconds()*rate), sent+rate/5)
		for ; sent < due; sent++ {
			r := records[sent%len(records)]
			r.Time = began.Add(time.Duration(sent) * time.Second / rate)
			at := time.Now()
			w.Record(&r)
			calls = append(calls, time.Since(at))
			at = time.Now() // the same work for the processor, and no store
			row = appendRow(row[:0], &r)
			nothing = append(nothing, time.Since(at))
		}
	}
	close(done)
	<-ended
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	used := processorTime(t) - cpu
	if got := scanOnce(t, dir); got != sent+before*len(records) || w.Dropped() > 0 {
		t.Errorf("%d records and %d dropped of %d", got, w.Dropped(), sent)
	}
	if now := liveHeap(); now > heap+32<<20 {
		t.Errorf("%d MiB live, %d before", now>>20, heap>>20)
	}
	t.Logf("%d records in %v, %d files; %d scans of %d records; %.1f s of processor time",
		sent, soak, len(namesIn(t, dir)), scans, scanned, used.Seconds())
	t.Logf("Record took %s; encoding alone %s", tailOf(calls), tailOf(nothing))
}

// liveHeap is what is still in use, in bytes.
func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// tailOf describes the longest of durations, which it sorts.
func tailOf(d []time.Duration) string {
	slices.Sort(d)
	long := len(d) - sort.Search(len(d), func(i int) bool { return d[i] > 5*time.Millisecond })
	return fmt.Sprintf("%v at the median, %v at the 0.999 quantile, %v at most, %d times more than 5 ms",
		d[len(d)/2], d[len(d)*999/1000], d[len(d)-1], long)
}

// scanOnce reads what a question about latency needs, of all records.
func scanOnce(t *testing.T, dir string) (n int) {
	s, err := Open(dir)
	if err != nil {
		t.Error(err)
		return 0
	}
	for _, err := range s.Records(Query{Columns: []string{"outcome", "ttft_ms", "e2e_ms", "attempts.deployment"}}) {
		if err != nil {
			t.Error(err)
			return n
		}
		n++
	}
	return n
}
