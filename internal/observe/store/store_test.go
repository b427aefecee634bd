package store

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	spillway "github.com/spillway-ai/spillway"
)

// accepted is when the tests' requests are accepted.
var accepted = time.Date(2026, 3, 4, 5, 6, 7, 890123000, time.UTC)

// fill gives every field of the value a value of its own, as far as a store
// keeps it: microseconds, and names that exist.
func fill(tb testing.TB, v reflect.Value, n *int) {
	tb.Helper()
	*n++
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(accepted.Add(time.Duration(*n) * time.Microsecond)))
	case v.Type() == reflect.TypeFor[time.Duration]():
		v.SetInt(int64(time.Duration(*n)*time.Millisecond + 7*time.Microsecond))
	case v.Kind() == reflect.String:
		v.SetString(fmt.Sprintf("text-%d", *n))
	case v.Kind() == reflect.Int:
		v.SetInt(int64(*n))
	case v.Kind() == reflect.Uint8:
		v.SetUint(1) // every list of names has a second
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.Float64:
		v.SetFloat(float64(*n) / 7)
	case v.Kind() == reflect.Struct:
		for _, field := range v.Fields() {
			fill(tb, field, n)
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(tb, v.Index(i), n)
		}
	default:
		tb.Fatalf("no value for a field of type %v: teach the store and this test", v.Type())
	}
}

func fullRecord(tb testing.TB) spillway.Record {
	tb.Helper()
	var r spillway.Record
	n := 0
	fill(tb, reflect.ValueOf(&r).Elem(), &n)
	return r
}

// write makes a store of the records and closes it.
func write(tb testing.TB, cfg Config, records ...spillway.Record) {
	tb.Helper()
	cfg.Queue = 1 << 20
	w := newTestWriter(tb, cfg)
	for i := range records {
		w.Record(&records[i])
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	if n := w.Dropped(); n > 0 {
		tb.Fatalf("dropped %d", n)
	}
}

// read returns copies of what a store holds.
func read(tb testing.TB, dir string, q Query) []spillway.Record {
	tb.Helper()
	s, err := Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	var out []spillway.Record
	for r, err := range s.Records(q) {
		if err != nil {
			tb.Fatal(err)
		}
		c := *r
		c.Attempts = nil
		if len(r.Attempts) > 0 {
			c.Attempts = slices.Clone(r.Attempts)
		}
		out = append(out, c)
	}
	return out
}

func put(tb testing.TB, dir, name string, data []byte) {
	tb.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o640); err != nil {
		tb.Fatal(err)
	}
}

// tailBytes is a tail of one frame for each batch.
func tailBytes(batches ...[]spillway.Record) []byte {
	about := []byte(head())
	sum := frameHead(about)
	out := slices.Concat([]byte(tailMagic), sum[:], about)
	for _, batch := range batches {
		var rows []byte
		for i := range batch {
			rows = appendRow(rows, &batch[i])
		}
		sum := frameHead(rows)
		out = append(append(out, sum[:]...), rows...)
	}
	return out
}

// segmentOf is a segment of records, and its name.
func segmentOf(tb testing.TB, first int64, records ...spillway.Record) (name string, data []byte) {
	tb.Helper()
	records = slices.Clone(records)
	slices.SortStableFunc(records, func(a, b spillway.Record) int { return a.Time.Compare(b.Time) })
	var out bytes.Buffer
	w := newSegmentWriter(&out)
	for i := range records {
		if err := w.add(&records[i]); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.close(); err != nil {
		tb.Fatal(err)
	}
	from, to := w.span()
	return nameSegment(from, to, first, first+int64(len(records))-1), out.Bytes()
}

// Every field comes back from a segment and from a tail, whatever it is
// called: a field that is added to the record fails here until it has a
// column.
func TestEveryField(t *testing.T) {
	full := fullRecord(t)
	many := full
	many.Attempts = slices.Repeat(full.Attempts, spillway.MaxAttempts/2)
	odd := spillway.Record{
		Time: accepted, Queue: -time.Millisecond, E2E: 100 * 365 * 24 * time.Hour, AskTokens: math.MinInt32,
		Attempts: []spillway.Attempt{{Utilization: -1, CostUSD: -1}, {}},
	}
	for name, want := range map[string]spillway.Record{"full": full, "many": many, "empty": {Time: accepted}, "odd": odd} {
		dir := t.TempDir()
		write(t, Config{Dir: dir}, want)
		if got := read(t, dir, Query{}); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("%s: of a segment came\n%+v, want\n%+v", name, got, want)
		}
		dir = t.TempDir()
		put(t, dir, nameTail(1), tailBytes([]spillway.Record{want}))
		if got := read(t, dir, Query{}); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("%s: of a tail came\n%+v, want\n%+v", name, got, want)
		}
	}
}

// What the store cannot keep exactly.
func TestWhatIsRounded(t *testing.T) {
	abroad := accepted.Add(999).In(time.FixedZone("", 3600))
	tests := []struct {
		name     string
		in, want spillway.Record
	}{
		{
			"nanoseconds and zone",
			spillway.Record{Time: abroad, E2E: 1999 * time.Nanosecond},
			spillway.Record{Time: accepted, E2E: time.Microsecond},
		},
		{
			"long strings end at a letter",
			spillway.Record{Time: accepted, Caller: "x" + strings.Repeat("é", 200)},
			spillway.Record{Time: accepted, Caller: "x" + strings.Repeat("é", 127)},
		},
		{
			"bytes that are no text",
			spillway.Record{Time: accepted, Tenant: "a\xffb"},
			spillway.Record{Time: accepted, Tenant: "a\ufffdb"},
		},
		{
			"utilization that is none",
			spillway.Record{Time: accepted, Attempts: []spillway.Attempt{{Utilization: math.NaN()}}},
			spillway.Record{Time: accepted, Attempts: []spillway.Attempt{{Utilization: -1}}},
		},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		write(t, Config{Dir: dir}, tt.in)
		if got := read(t, dir, Query{}); len(got) != 1 || !reflect.DeepEqual(got[0], tt.want) {
			t.Errorf("%s: got\n%+v, want\n%+v", tt.name, got, tt.want)
		}
	}
}

// at is a record of a time that is known by its id.
func at(second int, id string) spillway.Record {
	return spillway.Record{ID: id, Time: accepted.Add(time.Duration(second) * time.Second)}
}

func ids(records []spillway.Record) string {
	var all []string
	for i := range records {
		all = append(all, records[i].ID)
	}
	return strings.Join(all, " ")
}

// Records stand in the order of time over segments, tails, and a clock that
// went backwards; time ranges take those in them.
func TestOrderAndRange(t *testing.T) {
	dir := t.TempDir()
	write(t, Config{Dir: dir}, at(5, "f"), at(3, "d"), at(9, "j"))
	write(t, Config{Dir: dir}, at(1, "b"), at(7, "h"))
	write(t, Config{Dir: dir}, at(0, "a"), at(2, "c"), at(8, "i"))
	put(t, dir, nameTail(100), tailBytes([]spillway.Record{at(6, "g")}, []spillway.Record{at(4, "e")}))
	second := func(n float64) time.Time { return accepted.Add(time.Duration(n * float64(time.Second))) }
	tests := []struct {
		from, to time.Time
		want     string
	}{
		{want: "a b c d e f g h i j"},
		{from: second(4), want: "e f g h i j"},
		{to: second(4), want: "a b c d"},
		{from: second(2), to: second(8), want: "c d e f g h"},
		{from: second(2).Add(1), to: second(8).Add(1), want: "d e f g h i"},
		{from: second(4.5), to: second(4.6), want: ""},
		{from: second(100), want: ""},
		{to: second(-100), want: ""},
		{from: second(5), to: second(3), want: ""},
	}
	for _, tt := range tests {
		if got := ids(read(t, dir, Query{From: tt.from, To: tt.to})); got != tt.want {
			t.Errorf("from %v to %v: got %q, want %q", tt.from, tt.to, got, tt.want)
		}
	}
}

func TestColumns(t *testing.T) {
	full := fullRecord(t)
	segment, tailed := t.TempDir(), t.TempDir()
	write(t, Config{Dir: segment}, full)
	put(t, tailed, nameTail(1), tailBytes([]spillway.Record{full}))
	tests := []struct {
		columns []string
		want    spillway.Record
	}{
		{[]string{"outcome", "deployment"}, spillway.Record{Time: full.Time, Outcome: full.Outcome}},
		{[]string{"attempts.tier", "cached_tokens"}, spillway.Record{
			Time: full.Time, Usage: spillway.Usage{Cached: full.Usage.Cached},
			Attempts: []spillway.Attempt{
				{Tier: full.Attempts[0].Tier, Utilization: -1, CostUSD: -1}, {Tier: full.Attempts[1].Tier, Utilization: -1, CostUSD: -1},
			},
		}},
		{[]string{"attempts"}, spillway.Record{Time: full.Time, Attempts: full.Attempts}},
	}
	for _, tt := range tests {
		for _, dir := range []string{segment, tailed} {
			if got := read(t, dir, Query{Columns: tt.columns}); len(got) != 1 || !reflect.DeepEqual(got[0], tt.want) {
				t.Errorf("%v: got\n%+v, want\n%+v", tt.columns, got, tt.want)
			}
		}
	}
	s, _ := Open(segment)
	for _, err := range s.Records(Query{Columns: []string{"outcom"}}) {
		if err == nil || !strings.Contains(err.Error(), `"outcom"`) {
			t.Errorf("an unknown column gave %v", err)
		}
	}
}

// More rows than a row group and than a page come back in order, from the
// start and from the middle.
func TestManyRows(t *testing.T) {
	oneGoroutine(t)
	dir := t.TempDir()
	some := traffic(t, 3000)
	const n = rowsPerGroup + 10_000
	all := make([]spillway.Record, n)
	for i := range all {
		all[i] = some[i%len(some)]
		all[i].Time = accepted.Add(time.Duration(i) * time.Millisecond)
	}
	name, data := segmentOf(t, 1, all...)
	put(t, dir, name, data)
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, first := range []int{0, 77_777, n - 1} {
		i := first
		for r, err := range s.Records(Query{From: all[first].Time}) {
			if err != nil {
				t.Fatal(err)
			}
			if w := all[i]; r.ID != w.ID || !r.Time.Equal(w.Time) || len(r.Attempts) != len(w.Attempts) ||
				r.Attempts[0].Deployment != w.Attempts[0].Deployment || r.E2E != w.E2E.Truncate(time.Microsecond) {
				t.Fatalf("row %d from %d: got %+v, want %+v", i, first, r, w)
			}
			i++
		}
		if i != n {
			t.Errorf("from %d: came to %d, want %d", first, i, n)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, Config{Dir: dir}, at(1, "b"))
	write(t, Config{Dir: dir}, at(60, "d"))
	put(t, dir, nameTail(100), tailBytes([]spillway.Record{at(30, "c"), at(0, "a")}))
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var rest bytes.Buffer
	paths, unsealed, err := s.Files(Query{To: accepted.Add(50 * time.Second)}, &rest)
	if err != nil || len(paths) != 1 || unsealed != 2 {
		t.Fatalf("got %v, %d, %v, want one path and 2", paths, unsealed, err)
	}
	other := t.TempDir()
	put(t, other, nameSegment(accepted, accepted.Add(30*time.Second), 1, 2), rest.Bytes())
	if got := ids(read(t, other, Query{})); got != "a c" {
		t.Errorf("unsealed are %q, want a c", got)
	}
	rest.Reset()
	if _, unsealed, err = s.Files(Query{From: accepted.Add(50 * time.Second)}, &rest); err != nil || unsealed != 0 {
		t.Errorf("got %d unsealed, %v; want none", unsealed, err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(rest.Bytes()), int64(rest.Len()))
	if err != nil || f.NumRows() != 0 || len(f.Schema().Fields()) != len(recordColumns)+1 {
		t.Errorf("without records there is no segment with every column: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "missing")); err == nil {
		t.Error("a missing directory was opened")
	}
	put(t, dir, "file", nil)
	if _, err := Open(filepath.Join(dir, "file")); err == nil {
		t.Error("a file was opened")
	}
	if got := read(t, dir, Query{}); got != nil {
		t.Errorf("a directory without records gave %v", got)
	}
	put(t, dir, nameSegment(accepted, accepted, 1, 1), []byte("no segment"))
	s, _ := Open(dir)
	for _, err := range s.Records(Query{}) {
		if err == nil {
			t.Error("a broken segment was read")
		}
	}
}
