package store

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

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
	for i := range 300 {
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
	if refused < 100 {
		t.Errorf("%d of 300 were refused: the test shows little", refused)
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

// A segment that cannot be read keeps its neighbours from being merged with it
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
	if _, err := tryRead(t, dir); !errors.As(err, &damaged) || !strings.Contains(err.Error(), "moved away") {
		t.Errorf("a reader gets %v", err)
	}
}
