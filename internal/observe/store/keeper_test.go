package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// seg is a segment of a listing: its numbers, its hours and its size.
func seg(first, last int64, from, to time.Duration, bytes int64) segmentFile {
	return segmentFile{
		name: fmt.Sprint(first, "-", last), first: first, last: last, bytes: bytes,
		from: accepted.Add(from), to: accepted.Add(to),
	}
}

func joinNames(segments []segmentFile) string {
	names := make([]string, len(segments))
	for i, s := range segments {
		names[i] = s.name
	}
	return strings.Join(names, " ")
}

func TestRetire(t *testing.T) {
	hour := time.Hour
	l := &listing{
		segments: []segmentFile{seg(1, 9, 0, hour, 100), seg(10, 19, hour, 2*hour, 100), seg(20, 29, 2*hour, 3*hour, 100)},
		tails:    []tailFile{{first: 30, bytes: 50}},
	}
	tests := []struct {
		name string
		cfg  Config
		now  time.Duration
		want string
	}{
		{"no bounds", Config{}, 1000 * hour, ""},
		{"all are young", Config{MaxAge: hour}, 2 * hour, ""},
		{"the last second still counts", Config{MaxAge: hour}, 2*hour + time.Second, ""},
		{"one is old", Config{MaxAge: hour}, 2*hour + time.Second + 1, "1-9"},
		{"all are old", Config{MaxAge: hour}, 100 * hour, "1-9 10-19 20-29"},
		{"room for all", Config{MaxBytes: 350}, hour, ""},
		{"one byte too much", Config{MaxBytes: 349}, hour, "1-9"},
		{"the tail stays", Config{MaxBytes: 1}, hour, "1-9 10-19 20-29"},
		{"age makes room", Config{MaxBytes: 250, MaxAge: hour}, 2*hour + time.Minute, "1-9"},
		{"age is not enough", Config{MaxBytes: 150, MaxAge: hour}, 2*hour + time.Minute, "1-9 10-19"},
		{"a clock that went back", Config{MaxAge: hour}, -1000 * hour, ""},
	}
	for _, tt := range tests {
		if got := joinNames(retire(l, tt.cfg, accepted.Add(tt.now))); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestClockThatLeaps(t *testing.T) {
	hour := time.Hour
	for _, tt := range []struct{ wall, passed, want time.Duration }{
		{hour, hour, hour}, {1000 * hour, hour, hour}, {-1000 * hour, hour, -1000 * hour}, {0, 0, 0},
	} {
		if got := steady(accepted, accepted.Add(tt.wall), tt.passed); !got.Equal(accepted.Add(tt.want)) {
			t.Errorf("the wall says %v and %v have passed: %v, want %v", tt.wall, tt.passed, got.Sub(accepted), tt.want)
		}
	}
}

func TestPlanMerge(t *testing.T) {
	rows := func(counts ...int64) []segmentFile {
		var out []segmentFile
		next := int64(1)
		for i, n := range counts {
			out = append(out, seg(next, next+n-1, time.Duration(i)*time.Minute, time.Duration(i+1)*time.Minute, n))
			next += n
		}
		return out
	}
	apart := rows(1, 1, 1, 1, 1, 1, 1, 1)
	apart[7].to = accepted.Add(25 * time.Hour)
	tests := []struct {
		name     string
		segments []segmentFile
		cuts     []int64
		want     int64 // first record of the group; 0 is none
	}{
		{"none", nil, nil, 0},
		{"seven", rows(1, 1, 1, 1, 1, 1, 1), nil, 0},
		{"eight", rows(1, 1, 1, 1, 1, 1, 1, 1), nil, 1},
		{"eight beside a large one", rows(64, 1, 1, 1, 1, 1, 1, 1, 1), nil, 65},
		{"one that is half", rows(7, 1, 1, 1, 1, 1, 1, 1), nil, 1},
		{"one that is more than half", rows(8, 1, 1, 1, 1, 1, 1, 1), nil, 0},
		{"full ones", rows(1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000), nil, 0},
		{"a full one between", rows(1, 1, 1, 1, 1000, 1, 1, 1, 1), nil, 0},
		{"more than a day", apart, nil, 0},
		{"all done", rows(1, 1, 1, 1, 1, 1, 1, 1), []int64{8, 0}, 1},
		{"none done", rows(1, 1, 1, 1, 1, 1, 1, 1), []int64{0, 0}, 1},
		{"some done", rows(1, 1, 1, 1, 1, 1, 1, 1), []int64{4, 0}, 0},
		{"the last is out", rows(1, 1, 1, 1, 1, 1, 1, 1), []int64{7, 8}, 0},
		{"the first is out", rows(1, 1, 1, 1, 1, 1, 1, 1), []int64{0, 1}, 0},
		{"eight after the one that is out", rows(1, 1, 1, 1, 1, 1, 1, 1, 1), []int64{0, 1}, 2},
		{"eight before the one that is out", rows(1, 1, 1, 1, 1, 1, 1, 1, 1), []int64{8, 9}, 1},
		{"one of two feeds is behind", rows(1, 1, 1, 1, 1, 1, 1, 1), []int64{8, 0, 3, 4}, 0},
	}
	for _, tt := range tests {
		var got int64
		if group := planMerge(tt.segments, 1000, tt.cuts); group != nil {
			got = group[0].first
		}
		if got != tt.want {
			t.Errorf("%s: merges from %d, want %d", tt.name, got, tt.want)
		}
	}
}

// Segments of one record each become few, and no record is lost or doubled.
func TestMergeKeepsFilesFew(t *testing.T) {
	oneGoroutine(t)
	dir := quickDir(t)
	k := newKeeper(Config{Dir: dir}.withDefaults(), 1<<40)
	const n = 200
	for i := range n {
		minute := (i * 7) % n
		put(t, dir, nameTail(int64(i+1)), tailBytes([]spillway.Record{at(60*minute, fmt.Sprintf("%03d", minute))}))
		if err := k.work(accepted); err != nil {
			t.Fatal(err)
		}
		if got := len(namesIn(t, dir)); got > 24 {
			t.Fatalf("%d segments of %d records", got, i)
		}
	}
	got := read(t, dir, Query{})
	if len(got) != n {
		t.Fatalf("%d records, want %d", len(got), n)
	}
	for i, r := range got {
		if r.ID != fmt.Sprintf("%03d", i) {
			t.Fatalf("record %d is %s", i, r.ID)
		}
	}
}

// Tails are sealed between two merges, however much there is to merge.
func TestSealingDoesNotWaitForMerges(t *testing.T) {
	dir := t.TempDir()
	const n = 4 * mergeFiles
	for i := range n {
		name, data := segmentOf(t, int64(i+1), at(i, "x"))
		put(t, dir, name, data)
	}
	k := newKeeper(Config{Dir: dir}.withDefaults(), 1<<40)
	rounds := 0
	for notify(k.wake); len(k.wake) > 0; rounds++ {
		<-k.wake
		tailName := nameTail(int64(n + rounds + 1))
		put(t, dir, tailName, tailBytes([]spillway.Record{at(n+rounds, "x")}))
		if err := k.work(accepted); err != nil {
			t.Fatal(err)
		}
		if names := strings.Join(namesIn(t, dir), " "); strings.Contains(names, tailName) {
			t.Fatalf("round %d leaves %s unsealed", rounds, tailName)
		}
	}
	if got := len(namesIn(t, dir)); rounds < 5 || got > 2*mergeFiles {
		t.Errorf("%d files after %d rounds", got, rounds)
	}
}

// A merge that nobody waits for leaves everything as it was.
func TestMergeStops(t *testing.T) {
	dir := t.TempDir()
	for i := range mergeFiles {
		put(t, dir, nameTail(int64(i+1)), tailBytes([]spillway.Record{at(i, "x")}))
	}
	k := newKeeper(Config{Dir: dir}.withDefaults(), 1<<40)
	close(k.stop)
	if err := k.work(accepted); !errors.Is(err, errStopped) {
		t.Errorf("got %v, want %v", err, errStopped)
	}
	if got := len(namesIn(t, dir)); got != mergeFiles {
		t.Errorf("%d files, want %d", got, mergeFiles)
	}
}

func TestNames(t *testing.T) {
	from, to := accepted, accepted.Add(time.Hour)
	s, ok := parseSegment(nameSegment(from, to, 7, 123456789012345))
	if !ok || !s.from.Equal(from.Truncate(time.Second)) || !s.to.Equal(to.Truncate(time.Second)) || s.first != 7 || s.last != 123456789012345 {
		t.Errorf("a segment's name came back as %+v, %v", s, ok)
	}
	if s, ok = parseSegment(nameSegment(time.Time{}, time.Unix(1<<40, 0), 1, 1)); !ok || s.from.Year() != 1 || s.to.Year() != 9999 {
		t.Errorf("odd times came back as %+v, %v", s, ok)
	}
	if f, ok := parseTailName(nameTail(7)); !ok || f.first != 7 {
		t.Errorf("a tail's name came back as %+v, %v", f, ok)
	}
	for _, name := range []string{
		"", "requests-.parquet", "requests-20260304T050607Z-20260304T050607Z-000000000002-000000000001.parquet",
		"requests-20260304T050607Z-20260304T050607Z-1.parquet", "requests-20260304T050607Z-20260304T050607Z--1-2.parquet",
		nameSegment(from, to, 1, 2) + ".part", "x" + nameSegment(from, to, 1, 2),
	} {
		if s, ok := parseSegment(name); ok {
			t.Errorf("%q is a segment: %+v", name, s)
		}
	}
	for _, name := range []string{"tail-.log", "tail--1.log", "tail-1.log.unreadable", "tail-x.log"} {
		if f, ok := parseTailName(name); ok {
			t.Errorf("%q is a tail: %+v", name, f)
		}
	}
}
