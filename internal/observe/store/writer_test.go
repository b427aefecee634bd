package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/defaults"
)

func newTestWriter(tb testing.TB, cfg Config) *Writer {
	tb.Helper()
	w, err := NewWriter(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// namesIn returns what is in a store's directory, without the lock.
func namesIn(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != lockName {
			names = append(names, e.Name())
		}
	}
	return names
}

// inTails counts the records in tails. A bubble must not read segments: the
// decoders of their compression outlive it.
func inTails(tb testing.TB, dir string) int {
	tb.Helper()
	n := 0
	for _, name := range namesIn(tb, dir) {
		if _, ok := parseTailName(name); !ok {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			tb.Fatal(err)
		}
		if parsed, err := parseTail(data); err == nil {
			n += len(parsed.rows)
		}
	}
	return n
}

// recordWaiting records r as soon as there is room for it, and returns how many
// tries were dropped. Nobody else may record meanwhile.
func recordWaiting(w *Writer, r *spillway.Record) (dropped uint64) {
	before := w.Dropped()
	for {
		w.Record(r)
		after := before + dropped
		if w.Dropped() == after {
			return dropped
		}
		dropped++
		time.Sleep(100 * time.Microsecond)
	}
}

// A record is on disk half a second after it came and in a segment a minute
// after; both goroutines end with Close, or the bubble would not.
func TestWriterKeepsTime(t *testing.T) { synctest.Test(t, testWriterKeepsTime) }

func testWriterKeepsTime(t *testing.T) {
	dir := t.TempDir()
	w := newTestWriter(t, Config{Dir: dir})
	time.Sleep(time.Hour) // idle time does not matter
	for round := range 3 {
		r := at(round, "x")
		w.Record(&r)
		time.Sleep(flushEvery - 1)
		synctest.Wait()
		if got := inTails(t, dir); got != 0 {
			t.Errorf("%d on disk too early: the test shows nothing", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := inTails(t, dir); got != 1 {
			t.Errorf("%d on disk after %v, want 1", got, flushEvery)
		}
		w.Record(&r)
		time.Sleep(flushEvery)
		synctest.Wait()
		if got := inTails(t, dir); got != 2 {
			t.Errorf("%d on disk after twice %v, want 2", got, flushEvery)
		}
		if got := namesIn(t, dir); len(got) != round+1 || !strings.HasPrefix(got[round], tailPrefix) {
			t.Errorf("round %d: %v, want the tail", round, got)
		}
		time.Sleep(defaults.SealAfter - flushEvery)
		synctest.Wait()
		if got := namesIn(t, dir); len(got) != round+1 || !strings.HasSuffix(got[round], segmentSuffix) {
			t.Errorf("round %d: %v, want segments", round, got)
		}
	}
	r := at(3, "x")
	w.Record(&r)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if got := namesIn(t, dir); len(got) != 4 || !strings.HasSuffix(got[3], fmt.Sprintf("-%012d-%012d%s", 7, 7, segmentSuffix)) {
		t.Errorf("after Close there are %v", got)
	}
	w.Record(&r)
	if w.Dropped() != 1 || w.Close() != nil {
		t.Errorf("after Close: dropped %d, want 1", w.Dropped())
	}
}

func TestWriterBoundsItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		w := newTestWriter(t, Config{Dir: dir, Queue: 10})
		r := at(0, "x")
		for range 4 {
			w.Record(&r)
		}
		synctest.Wait()
		if got := inTails(t, dir); got != 0 {
			t.Errorf("%d on disk, want 0", got)
		}
		w.Record(&r) // half the queue
		synctest.Wait()
		if got := inTails(t, dir); got != 5 {
			t.Errorf("%d on disk, want 5", got)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// There is one writer, and it is free again after Close.
func TestWriterLocks(t *testing.T) {
	dir := t.TempDir()
	w := newTestWriter(t, Config{Dir: dir})
	if _, err := NewWriter(Config{Dir: dir}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second writer got %v, want %v", err, ErrLocked)
	}
	read(t, dir, Query{})
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := newTestWriter(t, Config{Dir: dir}).Close(); err != nil {
		t.Error(err)
	}
	put(t, dir, "file", nil)
	if _, err := NewWriter(Config{Dir: filepath.Join(dir, "file")}); err == nil {
		t.Error("a file was opened for writing")
	}
}

// Readers see every record that is on disk exactly once, while tails are
// sealed and segments merged under them.
func TestReadersWhileWriting(t *testing.T) {
	dir := quickDir(t)
	const queue = 40
	w := newTestWriter(t, Config{Dir: dir, Queue: queue, SealAfter: 1}) // every flush is sealed
	var running sync.WaitGroup
	done := make(chan struct{})
	n := 0
	var dropped uint64
	running.Go(func() {
		defer close(done)
		for ; n < 1000 || n < 60_000 && merged(t, dir, queue) == 0; n++ {
			r := at(0, fmt.Sprint(n))
			r.Time = accepted.Add(time.Duration(n) * time.Millisecond)
			dropped += recordWaiting(w, &r)
		}
	})
	for range 2 {
		running.Go(func() { readAgainAndAgain(t, dir, done) })
	}
	running.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := len(read(t, dir, Query{})); got != n || w.Dropped() != dropped {
		t.Errorf("%d records, %d lost, want %d and 0", got, w.Dropped()-dropped, n)
	}
	if merged(t, dir, queue) == 0 {
		t.Error("nothing was merged: the test shows little")
	}
}

// merged counts the segments that are larger than a flush.
func merged(tb testing.TB, dir string, flush int64) int {
	n := 0
	for _, name := range namesIn(tb, dir) {
		if f, ok := parseSegment(name); ok && f.rows() > flush {
			n++
		}
	}
	return n
}

// readAgainAndAgain reads records that are numbered from 0, until done and
// once more.
func readAgainAndAgain(t *testing.T, dir string, done <-chan struct{}) {
	s, err := Open(dir)
	if err != nil {
		t.Error(err)
		return
	}
	for least, last := 0, false; !last; {
		select {
		case <-done:
			last = true
		default:
		}
		got := 0
		for r, err := range s.Records(Query{Columns: []string{"id"}}) {
			if err != nil {
				t.Error(err)
				return
			}
			if r.ID != fmt.Sprint(got) {
				t.Errorf("record %d is %s", got, r.ID)
				return
			}
			got++
		}
		if got < least {
			t.Errorf("%d records after %d", got, least)
		}
		least = got
	}
}

// Numbers go on where they were when every segment has become too old.
func TestNumbersGoOn(t *testing.T) {
	dir := t.TempDir()
	write(t, Config{Dir: dir}, at(0, "a"), at(1, "b"))
	for _, name := range namesIn(t, dir) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, Config{Dir: dir}, at(2, "c"))
	if names := namesIn(t, dir); len(names) != 1 || !strings.HasSuffix(names[0], "-000000000003-000000000003.parquet") {
		t.Errorf("there are %v", names)
	}
	if err := os.WriteFile(filepath.Join(dir, lockName), []byte("no number, and longer than one"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, Config{Dir: dir}, at(3, "d"))
	if got := ids(read(t, dir, Query{})); got != "c d" {
		t.Errorf("there is %q", got)
	}
}
