package store

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// left is a file that a crash leaves behind.
type left struct {
	name string
	data []byte
}

// What a crash can leave behind, and what is made of it.
func TestRecovery(t *testing.T) {
	a, b, c := at(1, "a"), at(0, "b"), at(2, "c")
	tailA := tailBytes([]spillway.Record{a})
	tailAB := tailBytes([]spillway.Record{a}, []spillway.Record{b})
	with := func(more ...byte) []byte { return slices.Concat(tailAB, more) }
	flipped := with()
	flipped[len(flipped)-1] ^= 1
	segment := func(first int64, records ...spillway.Record) left {
		name, data := segmentOf(t, first, records...)
		return left{name, data}
	}
	about := []byte("time:timestamp id:string future:string?\ndeployment:string")
	sum := frameHead(about)
	newer := slices.Concat([]byte(tailMagic), sum[:], about)
	tests := []struct {
		name  string
		files []left
		want  string
		after int // files after the recovery, the new record's included
	}{
		{"nothing", nil, "new", 1},
		{"a tail", []left{{nameTail(1), tailAB}}, "b a new", 2},
		{"a tail and its segment", []left{{nameTail(1), tailAB}, segment(1, b, a)}, "b a new", 2},
		{"a tail after a segment", []left{{nameTail(4), tailAB}, segment(1, b, a, c)}, "b b a a c new", 3},
		{"a torn frame", []left{{nameTail(1), tailAB[:len(tailAB)-1]}}, "a new", 2},
		{"a torn head of a frame", []left{{nameTail(1), tailAB[:len(tailA)+3]}}, "a new", 2},
		{"an altered frame", []left{{nameTail(1), flipped}}, "a new", 2},
		{"garbage after frames", []left{{nameTail(1), with([]byte("garbage\x00\x01\x02\x03")...)}}, "b a new", 2},
		{"room that was never written", []left{{nameTail(1), with(make([]byte, 4096)...)}}, "b a new", 2},
		{"an empty file", []left{{nameTail(1), nil}}, "new", 1},
		{"a head alone", []left{{nameTail(1), tailBytes()}}, "new", 1},
		{"a torn head", []left{{nameTail(1), tailBytes()[:20]}}, "new", 2}, // put aside
		{"garbage", []left{{nameTail(1), []byte("garbage, and no tail at all")}}, "new", 2},
		{"a tail of another version", []left{{nameTail(1), newer}}, "new", 1},
		{"two tails", []left{{nameTail(1), tailAB}, {nameTail(3), tailBytes([]spillway.Record{c})}}, "b a c new", 3},
		{"a merged segment and its parts", []left{segment(1, b, a), segment(3, c), segment(1, b, a, c)}, "b a c new", 2},
		{"half a segment", []left{{temporaryPrefix + "1", tailAB}}, "new", 1},
		{"files of others", []left{{"records.jsonl", tailAB}, {"tail-x.log", tailAB}, {"requests-x.parquet", tailAB}}, "new", 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, f := range tt.files {
				put(t, dir, f.name, f.data)
			}
			before := strings.TrimSpace(strings.TrimSuffix(tt.want, "new"))
			if got := ids(read(t, dir, Query{})); got != before {
				t.Errorf("a reader sees %q, want %q", got, before)
			}
			for range 2 { // once more changes nothing
				recoverOnce(t, dir, tt.want)
				if got := namesIn(t, dir); len(got) != tt.after {
					t.Errorf("left are %v, want %d", got, tt.after)
				}
			}
		})
	}
}

// recoverOnce opens the store for writing, adds the record "new" unless it is
// there, and wants the given ones.
func recoverOnce(t *testing.T, dir, want string) {
	t.Helper()
	var log bytes.Buffer
	w := newTestWriter(t, Config{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if got := ids(read(t, dir, Query{})); !strings.HasPrefix(want, got) || len(got) < len(want)-len(" new") {
		t.Errorf("while it recovers a reader sees %q, want %q", got, want)
	}
	if len(read(t, dir, Query{From: accepted.Add(time.Minute)})) == 0 {
		r := at(100, "new")
		w.Record(&r)
	}
	if err := w.Close(); err != nil {
		t.Errorf("close: %v\n%s", err, log.String())
	}
	if got := ids(read(t, dir, Query{})); got != want {
		t.Errorf("after the recovery there is %q, want %q", got, want)
	}
}

// A tail of a version that had other columns gives what both know.
func TestTailOfAnotherVersion(t *testing.T) {
	about := []byte("time:timestamp future:long? outcome:string id:string\nspin:double? tier:long")
	body := []byte{0xc8, 0x01, 9, 2, 'o', 'k', 1, 'z', 1, 0, 6} // time 100, outcome ok, id z, one attempt of tier 3
	rows := append([]byte{byte(len(body))}, body...)
	sum, rowSum := frameHead(about), frameHead(rows)
	dir := t.TempDir()
	put(t, dir, nameTail(1), slices.Concat([]byte(tailMagic), sum[:], about, rowSum[:], rows))
	for range 2 { // of the tail, and of the segment that is made of it
		got := read(t, dir, Query{})
		if len(got) != 1 || got[0].ID != "z" || got[0].Outcome != spillway.OutcomeOK || got[0].Time.UnixMicro() != 100 ||
			len(got[0].Attempts) != 1 || got[0].Attempts[0] != (spillway.Attempt{Tier: 3, Utilization: -1, CostUSD: -1}) {
			t.Errorf("got %+v", got)
		}
		if err := newTestWriter(t, Config{Dir: dir}).Close(); err != nil {
			t.Fatal(err)
		}
	}
}
