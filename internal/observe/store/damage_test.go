package store

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// A segment with one bit altered anywhere gives as many records as it has, or
// an error that names it; it does not end the process. (The name of a column is
// all that no checksum covers: where it is altered, the column is missing.)
func TestAlteredSegment(t *testing.T) {
	records := traffic(t, 500)
	name, data := segmentOf(t, 1, records...)
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for i := range 120 {
		at := rnd.IntN(len(data))
		if i%2 == 0 { // the footer
			at = len(data) - 1 - rnd.IntN(6000)
		}
		bad := bytes.Clone(data)
		bad[at] ^= 1 << rnd.IntN(8)
		put(t, dir, name, bad)
		got, err := tryRead(t, dir)
		switch {
		case err == nil && len(got) != len(records):
			t.Fatalf("byte %d of %d altered: %d records", at, len(data), len(got))
		case err != nil && !strings.Contains(err.Error(), name):
			t.Fatalf("byte %d of %d altered: the error does not name the file: %v", at, len(data), err)
		case err != nil:
			refused++
		}
	}
	if refused < 40 {
		t.Errorf("%d of 120 were refused: the test shows little", refused)
	}
}

// tryRead returns the records of a store, or why there are none.
func tryRead(t *testing.T, dir string) (out []spillway.Record, err error) {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range s.Records(Query{}) {
		if err != nil {
			return nil, err
		}
		c := *r
		c.Attempts = slices.Clone(r.Attempts)
		out = append(out, c)
	}
	return out, nil
}

// A segment that cannot be read keeps its neighbors from being merged with it
// and nothing else: it is told once, and left where it is.
func TestMergeGoesAroundDamage(t *testing.T) {
	dir := t.TempDir()
	log := &bytes.Buffer{}
	k := newKeeper(Config{Dir: dir, Log: slog.New(slog.NewTextHandler(log, nil))}.withDefaults(), 1<<40)
	var bad string
	for i := range 20 {
		name, data := segmentOf(t, int64(i+1), at(i, "x"))
		if i == 9 {
			bad, data = name, data[:len(data)-100]
		}
		put(t, dir, name, data)
	}
	for range 3 {
		if err := k.work(accepted); err != nil {
			t.Error(err)
		}
	}
	names := strings.Join(namesIn(t, dir), " ")
	if n := len(namesIn(t, dir)); n != 6 || !strings.Contains(names, bad) { // 1-8, 9, the bad one, 11-18, 19, 20
		t.Errorf("%d files: %s", n, names)
	}
	if n := strings.Count(log.String(), bad); n != 1 {
		t.Errorf("the log names it %d times:\n%s", n, log)
	}
	var damaged *segmentError
	if _, err := tryRead(t, dir); !errors.As(err, &damaged) || !strings.Contains(err.Error(), "move this file away") {
		t.Errorf("a reader gets %v", err)
	}
}

// A segment whose name covers others and that does not hold them, such as half
// a copy of a backup, does not have them removed.
func TestHalfACopyRemovesNothing(t *testing.T) {
	dir := t.TempDir()
	one, data := segmentOf(t, 1, at(0, "a"), at(1, "b"))
	put(t, dir, one, data)
	for _, cover := range [][]byte{nil, data[:len(data)/2], data} { // nothing, half of one, too few records
		name := nameSegment(accepted, accepted.Add(time.Minute), 1, 500)
		put(t, dir, name, cover)
		if len(cover) == len(data) {
			_, cover = segmentOf(t, 1, at(0, "z"))
			put(t, dir, name, cover)
		}
		k := newKeeper(Config{Dir: dir}.withDefaults(), 1<<40)
		if err := k.work(accepted); err != nil {
			t.Error(err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if got := ids(read(t, dir, Query{})); got != "a b" {
			t.Fatalf("left are %q", got)
		}
	}
}

// Rows that pass their checksum and that this version cannot read cost
// themselves and no others.
func TestRowsOfAnotherVersion(t *testing.T) {
	good := at(1, "a")
	rows := appendRow(nil, &good)
	strange := appendRow(nil, &good)
	strange[len(strange)-1] = 200 // attempts
	for _, tt := range []struct {
		rows []byte
		want string
		left string
	}{
		{slices.Concat(strange, rows, strange), "a", segmentSuffix},
		{slices.Concat(strange, strange), "", unreadableSuffix},
	} {
		dir := t.TempDir()
		sum := frameHead(tt.rows)
		put(t, dir, nameTail(1), slices.Concat(tailBytes(), sum[:], tt.rows))
		for range 2 {
			if got := ids(read(t, dir, Query{})); got != tt.want {
				t.Errorf("there is %q, want %q", got, tt.want)
			}
			if err := newTestWriter(t, Config{Dir: dir}).Close(); err != nil {
				t.Error(err)
			}
		}
		if names := namesIn(t, dir); len(names) != 1 || !strings.HasSuffix(names[0], tt.left) {
			t.Errorf("left are %v", names)
		}
	}
}

// A tail without records that could not be removed is in nobody's way.
func TestLeftOverTailStopsNothing(t *testing.T) {
	dir := t.TempDir()
	w := newTestWriter(t, Config{Dir: dir})
	for n := range 3 {
		put(t, dir, nameTail(int64(n+1)), tailBytes())
	}
	r := at(0, "a")
	w.Record(&r)
	if err := w.Close(); err != nil || w.Dropped() > 0 {
		t.Errorf("%v, %d dropped", err, w.Dropped())
	}
	if got, names := ids(read(t, dir, Query{})), namesIn(t, dir); got != "a" || len(names) != 1 {
		t.Errorf("there is %q in %v", got, names)
	}
}

// The name of a tail is on disk before what it holds is promised: as long as
// that fails, records are not taken.
func TestTailNeedsItsName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	w := &Writer{cfg: Config{Dir: dir}, tail: &tail{}}
	for range 2 {
		if err := w.begin(); err == nil {
			t.Error("a tail whose name is not on disk is written to")
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := w.begin(); err != nil {
		t.Error(err)
	}
}

// What a client sends beyond a string's bound is not even looked at.
func TestHugeStringsCostNothing(t *testing.T) {
	huge := strings.Repeat("\xff\xfe", 32<<20)
	row := make([]byte, 0, 4096)
	if got := appendText(row, huge); string(got) != "\x03\ufffd" { // those that are not UTF-8 become one
		t.Errorf("%d bytes became %q", len(huge), got)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_ = appendText(row[:0], huge)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<10 {
		t.Errorf("%d bytes are allocated for a string of %d", n, len(huge))
	}
	split := strings.Repeat("x", maxStringBytes-1) + "äöü" + strings.Repeat("€", 1000)
	if got := appendText(nil, split); string(got[2:]) != split[:maxStringBytes-1] {
		t.Errorf("cut within a rune: %q", got)
	}
}

// Reading leaves no goroutine and no open file behind, whether it is finished,
// broken off or fails.
func TestReadingLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	for i := range 5 {
		name, data := segmentOf(t, int64(i*100+1), at(i, "a"), at(i+1, "b"))
		put(t, dir, name, data)
	}
	bad := nameSegment(accepted.Add(time.Hour), accepted.Add(time.Hour), 5000, 5001)
	put(t, dir, bad, []byte("no segment"))
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	round := func() {
		for range s.Records(Query{}) {
			break
		}
		failed := false
		for _, err := range s.Records(Query{}) {
			failed = err != nil
		}
		for range s.Records(Query{To: accepted.Add(time.Minute)}) {
		}
		if !failed {
			t.Fatal("the segment that is none did not fail")
		}
	}
	round()
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for range 15 {
		round()
	}
	if n := runtime.NumGoroutine(); n > goroutines+2 {
		t.Errorf("%d goroutines after %d", n, goroutines)
	}
	if n := openFiles(t); n > files+2 {
		t.Errorf("%d open files after %d", n, files)
	}
}

func openFiles(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system does not list them")
	}
	return len(entries)
}
