package store

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	spillway "github.com/spillway-ai/spillway"
)

// shop is a store whose keeper is worked by hand.
type shop struct {
	tb   rapid.TB
	dir  string
	k    *keeper
	next int64 // number of the next record
}

// quickDir is a directory in memory where there is one: what is tested is the
// order of things and not the disk.
func quickDir(tb interface {
	rapid.TB
	Cleanup(func())
},
) string {
	tb.Helper()
	base := "/dev/shm"
	if info, err := os.Stat(base); err != nil || !info.IsDir() {
		base = ""
	}
	dir, err := os.MkdirTemp(base, "feed")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func newShop(tb rapid.TB, dir string, feeds ...string) *shop {
	tb.Helper()
	s := &shop{tb: tb, dir: dir, next: 1}
	s.restart(feeds...)
	return s
}

// restart forgets all that is not on disk.
func (s *shop) restart(feeds ...string) {
	s.tb.Helper()
	k, err := newFedKeeper(Config{Dir: s.dir, Feeds: feeds, Log: slog.New(slog.DiscardHandler)}.withDefaults(), 1<<40)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.k = k
}

// receive writes a tail of n records, whose ids are their numbers.
func (s *shop) receive(n int) {
	s.tb.Helper()
	var records []spillway.Record
	for i := range n {
		records = append(records, at(int(s.next)+i, fmt.Sprint(int(s.next)+i)))
	}
	if err := os.WriteFile(filepath.Join(s.dir, nameTail(s.next)), tailBytes(records), 0o600); err != nil {
		s.tb.Fatal(err)
	}
	s.next += int64(n)
}

func (s *shop) work(cfg Config) {
	s.tb.Helper()
	s.k.cfg.MaxAge, s.k.cfg.MaxBytes = cfg.MaxAge, cfg.MaxBytes
	if err := s.k.work(accepted); err != nil {
		s.tb.Fatal(err)
	}
}

// take is Next, with the ids of the records.
func (s *shop) take(f *Feed) (*Segment, []string) {
	s.tb.Helper()
	seg, err := f.Next()
	if err != nil {
		s.tb.Fatal(err)
	}
	if seg == nil {
		return nil, nil
	}
	defer seg.Close()
	type row struct {
		ID string `parquet:"id"`
	}
	rows, err := parquet.Read[row](seg.Data(), seg.Bytes)
	if err != nil {
		s.tb.Fatal(err)
	}
	var ids []string
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return seg, ids
}

func (s *shop) done(f *Feed, seg *Segment) {
	s.tb.Helper()
	if err := f.Done(seg); err != nil {
		s.tb.Fatal(err)
	}
}

func TestFeedGivesInOrder(t *testing.T) {
	s := newShop(t, t.TempDir(), "a", "b")
	a, b := s.k.feeds[0], s.k.feeds[1]
	if seg, _ := s.take(a); seg != nil {
		t.Fatalf("an empty store gives %s", seg.Name())
	}
	s.receive(2)
	s.receive(3)
	if seg, _ := s.take(a); seg != nil {
		t.Fatalf("a store without segments gives %s", seg.Name())
	}
	s.work(Config{})
	first, ids := s.take(a)
	if !slices.Equal(ids, []string{"1", "2"}) || first.Records() != 2 {
		t.Errorf("first %q, want 1 and 2", ids)
	}
	if again, _ := s.take(a); again.Key != first.Key {
		t.Errorf("first %s, then %s", first.Key, again.Key)
	}
	if lag, err := a.Lag(); err != nil || lag.Records != 5 || !lag.Since.Equal(accepted.Add(time.Second).Truncate(time.Second)) {
		t.Errorf("lag %+v, %v", lag, err)
	}
	s.done(a, first)
	second, ids := s.take(a)
	if !slices.Equal(ids, []string{"3", "4", "5"}) || second.Key == first.Key {
		t.Errorf("second %q", ids)
	}
	s.done(a, second)
	if seg, _ := s.take(a); seg != nil {
		t.Errorf("then %s, want nothing", seg.Name())
	}
	if lag, err := a.Lag(); err != nil || lag != (Lag{}) {
		t.Errorf("lag %+v, %v", lag, err)
	}
	if seg, _ := s.take(b); seg == nil || seg.Key != first.Key {
		t.Errorf("the other feed begins with %v", seg)
	}
}

// Two stores never give the same key.
func TestFeedKeysAreOfTheStore(t *testing.T) {
	keys := map[string]bool{}
	for range 2 {
		s := newShop(t, t.TempDir(), "a")
		s.receive(1)
		s.work(Config{})
		seg, _ := s.take(s.k.feeds[0])
		keys[seg.Key] = true
	}
	if len(keys) != 2 {
		t.Errorf("keys %v", keys)
	}
}

// A record in a tail that could not be sealed is not skipped.
func TestFeedWaitsForEarlierTail(t *testing.T) {
	s := newShop(t, t.TempDir(), "a")
	s.receive(1)
	s.work(Config{})
	s.receive(1)
	s.receive(1)
	name, data := segmentOf(t, 3, at(3, "3"))
	put(t, s.dir, name, data)
	if err := os.Remove(filepath.Join(s.dir, nameTail(3))); err != nil {
		t.Fatal(err)
	}
	f := s.k.feeds[0]
	seg, _ := s.take(f)
	s.done(f, seg)
	if seg, ids := s.take(f); seg != nil {
		t.Fatalf("gives %q before the tail before it is sealed", ids)
	}
	s.work(Config{})
	if _, ids := s.take(f); !slices.Equal(ids, []string{"2"}) {
		t.Errorf("then %q, want 2", ids)
	}
}

func TestFeedCountsWhatRetentionTakes(t *testing.T) {
	s := newShop(t, t.TempDir(), "a", "b")
	a, b := s.k.feeds[0], s.k.feeds[1]
	s.receive(2)
	s.receive(3)
	s.receive(4)
	s.work(Config{})
	first, _ := s.take(a)
	out, _ := s.take(b)
	s.done(a, first)
	s.work(Config{MaxBytes: 1})
	if seg, _ := s.take(a); seg != nil || a.Lost() != 7 {
		t.Errorf("a is given %v and has lost %d, want 7", seg, a.Lost())
	}
	if b.Lost() != 7 {
		t.Errorf("b has lost %d, want 7 as long as the first two are out", b.Lost())
	}
	s.done(b, out) // it arrived all the same
	if seg, _ := s.take(b); seg != nil || b.Lost() != 7 {
		t.Errorf("b is given %v and has lost %d, want 7", seg, b.Lost())
	}

	s.receive(5)
	s.work(Config{})
	if seg, _ := s.take(b); seg == nil {
		t.Fatal("nothing is given")
	}
	s.work(Config{MaxBytes: 1})
	if seg, _ := s.take(b); seg != nil || b.Lost() != 12 {
		t.Errorf("b is given %v and has lost %d, want 12", seg, b.Lost())
	}
}

func TestFeedGivesUp(t *testing.T) {
	s := newShop(t, t.TempDir(), "a")
	f := s.k.feeds[0]
	s.receive(2)
	s.work(Config{})
	seg, _ := s.take(f)
	if err := f.GiveUp(seg); err != nil {
		t.Fatal(err)
	}
	if seg, _ := s.take(f); seg != nil || f.Lost() != 2 {
		t.Errorf("gives %v and has lost %d, want nothing and 2", seg, f.Lost())
	}
}

func TestFeedRefusesBrokenState(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, statePrefix+feedPrefix+"a", []byte("?"))
	if _, err := newFedKeeper(Config{Dir: dir, Feeds: []string{"a"}}.withDefaults(), 1); err == nil {
		t.Error("no error")
	}
	if _, err := NewWriter(Config{Dir: t.TempDir(), Feeds: []string{"Not a name"}}); err == nil {
		t.Error("no error")
	}
}

// Whatever happens between, each feed is given every record in one segment
// only, and that one under one key.
func TestFeedsProperty(t *testing.T) {
	oneGoroutine(t)
	rapid.Check(t, func(t *rapid.T) {
		dir := quickDir(t)
		names := []string{"a", "b"}
		s := newShop(t, dir, names...)
		given := []map[string]string{{}, {}} // record to key
		step := func(i int, finish bool) bool {
			f := s.k.feeds[i]
			seg, ids := s.take(f)
			if seg == nil {
				return false
			}
			for _, id := range ids {
				if was, ok := given[i][id]; ok && was != seg.Key {
					t.Fatalf("%s is given record %s in %s, before in %s", names[i], id, seg.Key, was)
				}
				given[i][id] = seg.Key
			}
			if finish {
				s.done(f, seg)
			}
			return true
		}
		for range rapid.IntRange(1, 14).Draw(t, "steps") {
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0, 1, 2:
				for range 2 {
					s.receive(rapid.IntRange(1, 3).Draw(t, "records"))
				}
				s.work(Config{})
			case 3:
				step(0, true)
			case 4:
				step(1, true)
			case 5:
				step(rapid.IntRange(0, 1).Draw(t, "feed"), false)
			case 6:
				s.restart(names...)
			}
		}
		s.work(Config{})
		for i := range names {
			for step(i, true) {
			}
			if len(given[i]) != int(s.next-1) {
				t.Fatalf("%s has %d records of %d", names[i], len(given[i]), s.next-1)
			}
		}
	})
}

// A consumer that is away does not keep segments from being merged.
func TestFeedThatIsBehindLetsMerge(t *testing.T) {
	oneGoroutine(t)
	s := newShop(t, quickDir(t), "a")
	f := s.k.feeds[0]
	s.receive(1)
	s.work(Config{})
	if seg, _ := s.take(f); seg == nil {
		t.Fatal("nothing is given")
	}
	for range 200 {
		s.receive(1)
		s.work(Config{})
	}
	if got := len(namesIn(t, s.dir)); got > 26 { // the state and the origin are two
		t.Errorf("%d files of 201 records", got)
	}
}

// What is still in the tail when the gateway ends is given before Close.
func TestFeedAfterEnd(t *testing.T) {
	w := newTestWriter(t, Config{Dir: t.TempDir(), Feeds: []string{"a"}})
	r := at(1, "x")
	w.Record(&r)
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	f := w.Feed("a")
	<-f.Sealed()
	seg, err := f.Next()
	if err != nil || seg == nil {
		t.Fatal(seg, err)
	}
	defer seg.Close()
	if err := f.Done(seg); err != nil {
		t.Error(err)
	}
	if w.Feed("b") != nil {
		t.Error("there is a feed that nobody asked for")
	}
}
