package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/observe/kql"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

// A query of times of which there are no records is told so, and of which
// there are some; a store without any is an error.
func TestNothingThen(t *testing.T) {
	dir := t.TempDir()
	w, err := store.NewWriter(store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for i := range 3 {
		w.Record(&spillway.Record{ID: "a", Time: at.Add(time.Duration(i) * time.Hour)})
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	q, err := kql.Translate(at.AddDate(0, 0, 9), "requests | where time between (ago(2h) .. ago(1h)) | count", kql.Records())
	if err != nil {
		t.Fatal(err)
	}
	c := queryCommand{Store: []string{dir}}
	if paths, err := c.files(q, t.TempDir()); err != nil || len(paths) > 0 {
		t.Fatalf("%v, %v: there are no such records", paths, err)
	}
	var said bytes.Buffer
	if err := c.nothingThen(&said, q); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"no records from 2026-12-01T10:00:00Z to 2026-12-01T11:00:00Z", "has records from 2026-11-22T12:00:00Z to 2026-11-22T14:00:01Z"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("it says %q, not %q", said.String(), want)
		}
	}
	empty := queryCommand{Store: []string{t.TempDir()}}
	if err := empty.nothingThen(&said, q); err == nil || !strings.Contains(err.Error(), "no records in") {
		t.Errorf("of an empty store: %v", err)
	}
}

// An answer that is too large ends the program that writes it.
func TestAnswerBuffer(t *testing.T) {
	var b answerBuffer
	if _, err := b.ReadFrom(strings.NewReader(strings.Repeat("a", 1000))); err != nil || b.Len() != 1000 || b.full {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
	if _, err := b.Write(make([]byte, maxAnswer)); err == nil || !b.full || b.Len() != 1000 {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
}
