package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// feedPrefix begins the names of the states that hold the cursors of feeds.
const feedPrefix = "feed-"

// Segment is a sealed file that is being exported. It is open: what
// becomes of its name does not matter. Close gives it up. As JSON it describes
// itself to another process, which opens it with Reopen.
type Segment struct {
	// Path is where the file was when it was opened.
	Path string
	// Key is unique among the segments of all stores that one consumer is
	// given, and the same whenever these records are given again.
	Key string
	// From and To are the times of the first and the last record, in whole
	// seconds below.
	From, To time.Time
	// First and Last are the numbers of the records.
	First, Last int64
	// Bytes is the size of the file.
	Bytes int64
	file  *os.File
}

// Records is how many records it holds.
func (s *Segment) Records() int64 { return s.Last - s.First + 1 }

// Data reads the file from its beginning. Readers of one segment do not
// disturb each other.
func (s *Segment) Data() *io.SectionReader { return io.NewSectionReader(s.file, 0, s.Bytes) }

// Name is that of the file.
func (s *Segment) Name() string { return filepath.Base(s.Path) }

// Reopen opens the segment that s describes once more. An error is
// fs.ErrNotExist when retention has removed it meanwhile.
func (s *Segment) Reopen() (*Segment, error) {
	file, err := os.Open(s.Path)
	if err != nil {
		return nil, fmt.Errorf("open a segment: %w", err)
	}
	again := *s
	again.file = file
	return &again, nil
}

// Close gives the segment up.
func (s *Segment) Close() error { return s.file.Close() }

// Lag is what a feed has still to give.
type Lag struct {
	// Records is how many sealed records there are that are not done.
	Records int64
	// Since is about when the first of them was accepted; zero without any.
	Since time.Time
}

// Feed gives the sealed segments to one consumer, in the order of the numbers
// of their records, and remembers on disk how far it has come. One segment is
// out at a time. It is not merged with others until it is done, and what is
// done is not merged with what is not: so each record is given in one segment
// only, whose key is always the same. Segments that retention removes before
// they are done are lost to the consumer and counted. Only one goroutine may
// take segments.
type Feed struct {
	dir, name, origin string
	log               *slog.Logger
	moving            *sync.Mutex // held while segments are claimed, merged or removed
	sealed            chan struct{}
	lost              atomic.Uint64

	mu     sync.Mutex // over state
	state  feedState
	orphan int64 // records of the segment that is out, if it was removed
}

// feedState is the cursor.
type feedState struct {
	// Done is a number up to which every record is done or lost.
	Done int64 `json:"done"`
	// Out is the last number of the segment that is out; 0 is none.
	Out int64 `json:"out"`
}

// openFeed reads the cursor. A feed of a new name begins with the oldest
// segment.
func openFeed(dir, name, origin string, moving *sync.Mutex, log *slog.Logger) (*Feed, error) {
	f := &Feed{dir: dir, name: name, origin: origin, moving: moving, log: log, sealed: make(chan struct{}, 1)}
	state, err := loadFeed(dir, feedPrefix+name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f.state = state
	return f, nil
}

func loadFeed(dir, state string) (feedState, error) {
	data, err := LoadState(dir, state)
	if err != nil {
		return feedState{}, err
	}
	var s feedState
	if err := json.Unmarshal(data, &s); err != nil {
		return feedState{}, fmt.Errorf("%s is not a valid export position; remove it to export from the oldest record: %w", statePrefix+state, err)
	}
	return s, nil
}

func (f *Feed) save(s feedState) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return SaveState(f.dir, feedPrefix+f.name, data)
}

// Sealed is readable when there may be a new segment.
func (f *Feed) Sealed() <-chan struct{} { return f.sealed }

// Lost is how many records were removed, or given up, before they were done,
// since the start.
func (f *Feed) Lost() uint64 { return f.lost.Load() }

// Next returns the first segment that is not done, or nil when all are. It is
// the same until Done or GiveUp, unless retention removes it. It may wait for
// a merge.
func (f *Feed) Next() (*Segment, error) {
	f.moving.Lock()
	defer f.moving.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settleOrphan()
	l, err := list(f.dir)
	if err != nil {
		return nil, err
	}
	s, ok := l.after(f.state.Done)
	if !ok {
		return nil, nil
	}
	if f.state.Out != s.last {
		claim := feedState{Done: f.state.Done, Out: s.last}
		if err := f.save(claim); err != nil {
			return nil, err
		}
		f.state = claim
	}
	described := Segment{
		Path: filepath.Join(f.dir, s.name), Key: fmt.Sprintf("%s-%d-%d", f.origin, s.first, s.last),
		From: s.from, To: s.to, First: s.first, Last: s.last, Bytes: s.bytes,
	}
	return described.Reopen()
}

// settleOrphan counts the segment that was out when it was removed.
func (f *Feed) settleOrphan() {
	if f.orphan > 0 {
		f.lose(f.orphan)
		f.state = feedState{Done: f.state.Out}
		f.orphan = 0
	}
}

// Done says that the consumer has s. An error leaves it possible that s is
// given again after a restart, but not before.
func (f *Feed) Done(s *Segment) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state, f.orphan = feedState{Done: s.Last}, 0
	return f.save(f.state)
}

// GiveUp says that the consumer will not have s, which counts as lost.
func (f *Feed) GiveUp(s *Segment) error {
	f.lost.Add(uint64(s.Records()))
	return f.Done(s)
}

// Lag says how far the feed is behind what is sealed.
func (f *Feed) Lag() (Lag, error) {
	f.mu.Lock()
	done := f.state.Done
	f.mu.Unlock()
	l, err := list(f.dir)
	if err != nil {
		return Lag{}, err
	}
	var lag Lag
	for _, s := range l.segments {
		n := s.beyond(done)
		if n > 0 && lag.Records == 0 {
			lag.Since = s.from
		}
		lag.Records += n
	}
	return lag, nil
}

// removed hears that retention has removed s. The segment that is out may be
// on its way still, and counts when it is not done.
func (f *Feed) removed(s segmentFile) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := s.beyond(f.state.Done)
	switch {
	case n == 0:
	case s.last == f.state.Out:
		f.orphan = n
	default:
		f.lose(n)
	}
}

func (f *Feed) lose(n int64) {
	f.lost.Add(uint64(n))
	f.log.Error("retention removed records before they were exported",
		slog.String("export", f.name), slog.Int64("records", n), slog.Uint64("lost_total", f.lost.Load()))
}

// beyond is how many of its records have a number above n.
func (s segmentFile) beyond(n int64) int64 { return max(s.last-max(s.first-1, n), 0) }

// after returns the segment of the first record above the number n. There is
// none as long as that record may still be in a tail.
func (l *listing) after(n int64) (segmentFile, bool) {
	for _, s := range l.segments {
		if s.last <= n {
			continue
		}
		for _, t := range l.tails {
			if t.first < s.first && !l.sealed(t.first) {
				return segmentFile{}, false
			}
		}
		return s, true
	}
	return segmentFile{}, false
}

// cuts are the numbers that no merged segment may have in its midst: up to
// each of them some consumer has taken, or is taking, whole segments. Those of
// consumers that are away count too, for they may come back.
func cuts(dir string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list export positions: %w", err)
	}
	var all []int64
	for _, e := range entries {
		state, ok := feedStateName(e.Name())
		if !ok {
			continue
		}
		s, err := loadFeed(dir, state)
		if err != nil {
			return nil, err
		}
		all = append(all, s.Done, s.Out)
	}
	return all, nil
}
