package store

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestSegmentOfBefore reads a segment of a version without service tiers of responses,
// cache writes and errors, with a value in every column that it has: by itself, and
// merged with segments of this version.
func TestSegmentOfBefore(t *testing.T) {
	files, err := filepath.Glob("testdata/requests-*.parquet")
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	old, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put(t, dir, filepath.Base(files[0]), old)
	check := func() {
		t.Helper()
		r := read(t, dir, Query{})[0]
		if r.ID == "" || r.Usage.Prompt == 0 || r.Usage.Reasoning == 0 || !r.Usage.Known || len(r.Attempts) != 2 || r.Error() != "" || r.Usage.CacheWrite != 0 {
			t.Errorf("the record is %+v", r)
		}
		for _, a := range r.Attempts {
			known := a
			known.ServiceTier, known.ResetTokens, known.ResetRequests, known.UpstreamRequestID, known.ServedRegion, known.Error = "", 0, 0, "", "", ""
			if a != known || a.ServedBy == "" || a.CostUSD == 0 || a.Tokens == 0 {
				t.Errorf("the attempt is %+v", a)
			}
		}
	}
	check()
	if got := read(t, dir, Query{Columns: []string{"id", "cache_write_tokens", "attempts.error", "attempts.tier"}}); len(got) != 1 || got[0].ID == "" || got[0].Attempts[0].Error != "" {
		t.Errorf("some columns give %+v", got)
	}
	now := fullRecord(t)
	for i := range mergeFiles - 1 {
		name, data := segmentOf(t, int64(i+2), now)
		put(t, dir, name, data)
	}
	k := newKeeper(Config{Dir: dir}.withDefaults(), 1<<40)
	if err := k.work(accepted); err != nil {
		t.Fatal(err)
	}
	if names := namesIn(t, dir); len(names) != 1 || strings.Contains(names[0], filepath.Base(files[0])) {
		t.Fatalf("the segments are not merged: %q", names)
	}
	all := read(t, dir, Query{})
	if len(all) != mergeFiles {
		t.Fatalf("%d records, want %d", len(all), mergeFiles)
	}
	check()
	if last := all[len(all)-1]; !reflect.DeepEqual(last.Attempts, now.Attempts) || last.Usage != now.Usage {
		t.Errorf("the record of this version is %+v, want %+v", last, now)
	}
}

// TestNewColumnsAreLast holds the columns that were added to their places at the end, so
// that tables which were made before can get them there.
func TestNewColumnsAreLast(t *testing.T) {
	columns := Columns()
	var names []string
	for _, c := range columns[len(columns)-4:] {
		names = append(names, c.Name)
	}
	if got := strings.Join(names, " "); got != "cache_write_tokens response_service_tier error attempts" {
		t.Errorf("the last columns are %s", got)
	}
	if last := attemptColumns[len(attemptColumns)-1].name; last != "error" {
		t.Errorf("the last column of attempts is %s", last)
	}
}
