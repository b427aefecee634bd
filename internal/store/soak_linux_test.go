package store

import (
	command "flag"
	"runtime"
	"slices"
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
	sent, calls := 0, make([]time.Duration, 0, int(soak.Seconds()*rate)+1)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for elapsed := time.Duration(0); elapsed < *soak; elapsed = time.Since(began) {
		<-tick.C
		for due := int(time.Since(began).Seconds() * rate); sent < due; sent++ {
			r := records[sent%len(records)]
			r.Time = began.Add(time.Duration(sent) * time.Second / rate)
			at := time.Now()
			w.Record(&r)
			calls = append(calls, time.Since(at))
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
	slices.Sort(calls)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("%d records in %v, %d files; %d scans of %d records; Record took %v at most, %v at the 0.999 quantile; "+
		"%.1f s of processor time; %d MiB from the system", sent, soak, len(namesIn(t, dir)), scans, scanned, calls[len(calls)-1],
		calls[len(calls)*999/1000], used.Seconds(), m.Sys>>20)
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
