package telemetry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// disk is an output that can refuse to be opened, run out of room in the
// middle of a line, and hang.
type disk struct {
	mu     sync.Mutex
	data   bytes.Buffer
	room   int // bytes until a write fails; negative: unlimited
	broken bool
	opens  int
	hang   chan struct{} // a write waits for its closing; nil: none
}

var errNoRoom = errors.New("no room left")

func (d *disk) open() (io.WriteCloser, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opens++
	if d.broken {
		return nil, errors.New("cannot open")
	}
	return d, nil
}

func (d *disk) Write(p []byte) (int, error) {
	if d.hang != nil {
		<-d.hang
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.room >= 0 && len(p) > d.room {
		n, _ := d.data.Write(p[:d.room])
		d.room = 0
		return n, errNoRoom
	}
	return d.data.Write(p)
}

func (d *disk) Close() error { return nil }

func (d *disk) set(f func(*disk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d)
}

func (d *disk) lines() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.Count(d.data.Bytes(), []byte{'\n'})
}

func newTestWriter(t *testing.T, d *disk, cfg WriterConfig) *Writer {
	t.Helper()
	w, err := NewWriter(d.open, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func record(w *Writer, n int) {
	for range n {
		w.Record(&spillway.Record{ID: "x", Time: accepted})
	}
}

func TestWriterFlushesInTime(t *testing.T) { synctest.Test(t, testWriterFlushesInTime) }

func testWriterFlushesInTime(t *testing.T) {
	d := &disk{room: -1}
	w := newTestWriter(t, d, WriterConfig{})
	time.Sleep(time.Hour) // idle time does not matter
	for round := 1; round <= 3; round++ {
		record(w, 1)
		time.Sleep(flushEvery - 1)
		record(w, 1)
		synctest.Wait()
		if got := d.lines(); got != 2*(round-1) {
			t.Errorf("round %d: %d lines before the interval passed, want %d", round, got, 2*(round-1))
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := d.lines(); got != 2*round {
			t.Errorf("round %d: %d lines after the interval, want %d", round, got, 2*round)
		}
	}
	record(w, 1)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if got := d.lines(); got != 7 {
		t.Errorf("%d lines after Close, want 7", got)
	}
	record(w, 1)
	if w.Dropped() != 1 || w.Close() != nil {
		t.Errorf("after Close: dropped %d, want 1", w.Dropped())
	}
}

func TestWriterHalfFullQueueFlushesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{room: -1}
		w := newTestWriter(t, d, WriterConfig{Queue: 10})
		defer w.Close()
		record(w, 5)
		synctest.Wait()
		if got := d.lines(); got != 5 {
			t.Errorf("%d lines, want 5", got)
		}
	})
}

func TestWriterDropsWhileOutputHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{room: -1, hang: make(chan struct{})}
		w := newTestWriter(t, d, WriterConfig{Queue: 10})
		record(w, 5)
		synctest.Wait() // five are in the hanging write
		record(w, 25)
		if got := w.Dropped(); got != 15 {
			t.Errorf("dropped %d, want 15", got)
		}
		close(d.hang)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if got := d.lines(); got != 15 {
			t.Errorf("%d lines, want 15", got)
		}
	})
}

func TestWriterSurvivesOutput(t *testing.T) { synctest.Test(t, testWriterSurvivesOutput) }

func testWriterSurvivesOutput(t *testing.T) {
	one := len(AppendRecord(nil, &spillway.Record{ID: "x", Time: accepted}))
	var log bytes.Buffer
	d := &disk{room: 2*one + 3}
	w := newTestWriter(t, d, WriterConfig{Log: slog.New(slog.NewTextHandler(&log, nil))})
	step := func(n int) {
		record(w, n)
		time.Sleep(flushEvery)
		synctest.Wait()
	}
	step(5) // two lines fit
	if got := w.Dropped(); got != 3 {
		t.Errorf("dropped %d when the disk ran full, want 3", got)
	}
	step(1) // too early to open again
	if d.opens != 1 || w.Dropped() != 4 {
		t.Errorf("opened %d times, dropped %d, want 1 and 4", d.opens, w.Dropped())
	}
	d.set(func(d *disk) { d.broken = true })
	time.Sleep(reopenEvery)
	step(2) // opening fails
	if d.opens != 2 || w.Dropped() != 6 {
		t.Errorf("opened %d times, dropped %d, want 2 and 6", d.opens, w.Dropped())
	}
	d.set(func(d *disk) { d.broken, d.room = false, -1 })
	time.Sleep(reopenEvery)
	step(4)
	if got := d.lines(); got != 6 || w.Dropped() != 6 {
		t.Errorf("recovered: %d lines, dropped %d, want 6 and 6", got, w.Dropped())
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if got := strings.Count(log.String(), "\n"); got != 2 || !strings.Contains(log.String(), errNoRoom.Error()) {
		t.Errorf("want one line for the failure and one for the recovery, got:\n%s", log.String())
	}
}

func TestWriterReportsFailureAtStartAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if _, err := NewWriter((&disk{broken: true}).open, WriterConfig{}); err == nil {
			t.Error("an output that cannot be opened must be an error")
		}
		w := newTestWriter(t, &disk{}, WriterConfig{})
		record(w, 1)
		if err := w.Close(); !errors.Is(err, errNoRoom) {
			t.Errorf("Close = %v, want %v", err, errNoRoom)
		}
	})
}

// Lines of many goroutines stay whole, and each is written or counted.
func TestWriterConcurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "records.jsonl")
	w, err := NewWriter(File(FileConfig{Path: path}), WriterConfig{Queue: 64})
	if err != nil {
		t.Fatal(err)
	}
	var senders sync.WaitGroup
	for i := range 8 {
		senders.Go(func() {
			for j := range 500 {
				w.Record(&spillway.Record{ID: fmt.Sprintf("%d-%d", i, j), Time: accepted})
			}
		})
	}
	senders.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	written := 0
	for line := range strings.Lines(string(data)) {
		written++
		if !strings.HasPrefix(line, `{"id":"`) || !strings.HasSuffix(line, "}\n") {
			t.Fatalf("torn line %q", line)
		}
	}
	if got := written + int(w.Dropped()); got != 4000 {
		t.Errorf("%d written + %d dropped = %d, want 4000", written, w.Dropped(), got)
	}
}

// What the request path pays, and the writing of the batches beside it. The
// queue is as long as a busy gateway's gets.
func BenchmarkWriterRecord(b *testing.B) {
	const queue = 1000
	w, err := NewWriter(Stream(io.Discard), WriterConfig{Queue: queue})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	r := fullRecord()
	for range 2 * queue {
		w.Record(r) // warm up both batches
	}
	b.ReportAllocs()
	for b.Loop() {
		w.Record(r)
	}
}
