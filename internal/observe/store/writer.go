package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spillway-ai/spillway/internal/defaults"
	"github.com/spillway-ai/spillway/internal/observe/batch"
	"github.com/spillway-ai/spillway/internal/observe/lockfile"

	spillway "github.com/spillway-ai/spillway"
)

// ErrLocked is a directory that another process writes to.
var ErrLocked = errors.New("another process writes to this store")

const (
	// flushEvery bounds how long a record stays in memory: half of what a
	// crash may lose, the rest is for a slow disk.
	flushEvery = 500 * time.Millisecond
	// maxPendingBytes bounds what waits for the disk, whatever the records'
	// size.
	maxPendingBytes = 64 << 20
	// spareBytes bounds the memory that is kept from batch to batch.
	spareBytes = 4 << 20
	// defaultSealRecords is Config's.
	defaultSealRecords = 1 << 16
	// maxTailBytes seals a tail of large records early: sealing reads it whole.
	maxTailBytes = 32 << 20
)

// Config says how a Writer behaves. The zero value of all but Dir is usable.
type Config struct {
	// Dir is the store's directory. It is made if it is missing.
	Dir string
	// Queue bounds the records that wait for the disk; 0 takes
	// defaults.Queue. Those beyond it are dropped and counted.
	Queue int
	// SealAfter is how long records stay in a tail, which only this package
	// reads; 0 takes defaults.SealAfter.
	SealAfter time.Duration
	// SealRecords is how many records make a tail full; 0 takes 65,536.
	// Smaller segments are merged.
	SealRecords int
	// MaxAge is how long records are kept: a segment is removed when all of
	// its records are older, which is at most a day later; 0 keeps all.
	MaxAge time.Duration
	// MaxBytes bounds the size of the records on disk: the oldest segments are
	// removed; 0 is no bound.
	MaxBytes int64
	// Feeds names those who are given the segments; see Feed. A name is made
	// of a to z, 0 to 9, and _ . - within.
	Feeds []string
	// Log hears of a disk that fails and of one that works again, and of what
	// a recovery leaves out; nil is silent.
	Log *slog.Logger
}

// Writer puts records into a store. Record does not wait for the disk: one
// goroutine writes and syncs what has gathered, twice a second, and another
// seals, merges and removes; Close ends both. While the disk fails, records
// are lost and counted, and every further flush tries again. Safe for
// concurrent use.
type Writer struct {
	cfg    Config
	lock   *os.File
	queue  *batch.Queue[[]byte] // of rows
	keeper *keeper
	unlock sync.Once

	// Owned by the queue's goroutine.
	rows    []byte      // of a batch, to use again
	seal    *time.Timer // flushes when the tail is old
	tail    *tail       // nil between tails
	named   bool        // the tail's name is on disk
	next    int64       // number of the first record of the next tail
	began   time.Time
	failed  bool
	lastErr error
}

// NewWriter opens the directory for writing and starts the writer; Close ends
// it. What a crash left behind is recovered meanwhile. A directory that cannot
// be written to is an error here, not a loss later; one that another process
// writes to is ErrLocked.
func NewWriter(cfg Config) (*Writer, error) {
	cfg = cfg.withDefaults()
	if err := os.MkdirAll(cfg.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("create the store's directory: %w", err)
	}
	lock, err := lockfile.Take(filepath.Join(cfg.Dir, lockName))
	if errors.Is(err, lockfile.ErrHeld) {
		err = fmt.Errorf("lock %s: %w", cfg.Dir, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("open the store for writing: %w", err)
	}
	next, err := prepare(cfg.Dir, lock)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	keeper, err := newFedKeeper(cfg, next)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	w := &Writer{cfg: cfg, lock: lock, next: next, keeper: keeper}
	w.queue = batch.Start(batch.Config[[]byte]{
		Limit: cfg.Queue, MaxBytes: maxPendingBytes, Every: flushEvery, Flush: w.flush, End: w.sealLast,
	})
	go w.keeper.run()
	return w, nil
}

func (c Config) withDefaults() Config {
	if c.Queue <= 0 {
		c.Queue = defaults.Queue
	}
	if c.SealAfter <= 0 {
		c.SealAfter = defaults.SealAfter
	}
	if c.SealRecords <= 0 {
		c.SealRecords = defaultSealRecords
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// prepare removes the files that a crash left half written, and returns the
// first number that no record in dir can have, and none before had.
func prepare(dir string, lock *os.File) (next int64, err error) {
	l, err := list(dir)
	if err != nil {
		return 0, err
	}
	if err := removeAll(dir, l.temporary); err != nil {
		return 0, fmt.Errorf("remove incomplete files: %w", err)
	}
	next = readNumber(lock)
	for _, s := range l.segments {
		next = max(next, s.last+1)
	}
	for _, t := range l.tails {
		data, err := os.ReadFile(filepath.Join(dir, t.name))
		if err != nil {
			return 0, fmt.Errorf("read an earlier tail: %w", err)
		}
		next = max(next, t.first+1)
		if left, err := parseTail(data); err == nil {
			next = max(next, t.first+int64(len(left.rows)))
		}
	}
	return next, nil
}

// Record queues r. It never blocks and keeps nothing of r: when the queue is
// full or the writer closed, the record is dropped and counted.
func (w *Writer) Record(r *spillway.Record) {
	row := w.queue.Get()
	*row = appendRow((*row)[:0], r)
	w.queue.Put(row, len(*row))
}

// Dropped is the number of records lost so far: the queue was full, the disk
// failed, or the writer was closed.
func (w *Writer) Dropped() uint64 { return w.queue.Dropped() }

// Feed returns the feed of that name, which Config.Feeds must hold.
func (w *Writer) Feed(name string) *Feed {
	for _, f := range w.keeper.feeds {
		if f.name == name {
			return f
		}
	}
	return nil
}

// Close is End, and gives up the directory. Feeds may not be used any more.
func (w *Writer) Close() error {
	err := w.End()
	w.unlock.Do(func() { err = errors.Join(err, w.lock.Close()) })
	return err
}

// End writes what is queued, seals it and waits for that. The error is that of
// the last write or seal. Records that come later are dropped. Feeds can give
// the rest before Close. End may be called again; a disk that hangs makes it
// wait.
func (w *Writer) End() error {
	w.queue.Close()
	return w.lastErr
}

// flush writes a batch and ends the tail when it is due.
func (w *Writer) flush(rows []*[]byte) (lost int) {
	if len(rows) > 0 {
		lost = w.write(rows)
	}
	if w.tail != nil && w.tailDue() {
		w.roll()
	}
	return lost
}

// tailDue reports whether the tail is full or old.
func (w *Writer) tailDue() bool {
	return w.tail.rows >= int64(w.cfg.SealRecords) || w.tail.size >= maxTailBytes || time.Since(w.began) >= w.cfg.SealAfter
}

// write appends one batch, and returns how many of its records are lost.
func (w *Writer) write(rows []*[]byte) (lost int) {
	if cap(w.rows) > spareBytes {
		w.rows = nil // a burst's: it would never be given back
	}
	w.rows = w.rows[:0]
	for _, r := range rows {
		w.rows = append(w.rows, *r...)
	}
	err := w.begin()
	if err == nil {
		var whole bool
		if whole, err = w.tail.append(w.rows, int64(len(rows))); !whole {
			w.abandon(int64(len(rows)))
		}
	}
	w.lastErr = err
	if err != nil {
		if !w.failed {
			w.failed = true
			w.cfg.Log.Error("writing records failed, records are dropped", slog.Any("error", err))
		}
		return len(rows)
	}
	if w.failed {
		w.failed = false
		w.cfg.Log.Info("writing records recovered", slog.Uint64("dropped_total", w.Dropped()))
	}
	return 0
}

// begin makes sure that there is a tail to write to.
func (w *Writer) begin() error {
	for w.tail == nil {
		t, err := createTail(filepath.Join(w.cfg.Dir, nameTail(w.next)), w.next)
		switch {
		case errors.Is(err, fs.ErrExist):
			// A tail without records that could not be removed: the keeper's.
			w.next++
			w.keeper.open.Store(w.next)
		case err != nil:
			return fmt.Errorf("create a tail: %w", err)
		default:
			w.tail, w.began, w.named = t, time.Now(), false
			w.seal = time.AfterFunc(w.cfg.SealAfter, w.queue.Flush)
		}
	}
	if w.named {
		return nil
	}
	if err := syncDir(w.cfg.Dir); err != nil {
		return fmt.Errorf("create a tail: %w", err)
	}
	w.named = true
	return nil
}

// abandon gives a tail up that could not be cut back to its last whole frame.
// The lost records may still be found there, so their numbers are not used
// again.
func (w *Writer) abandon(lost int64) {
	w.tail.rows += lost
	w.roll()
}

// roll ends the tail, if there is one, and leaves it to the keeper. One that
// nothing could be written to leaves no trace, not even its number.
func (w *Writer) roll() {
	if w.tail == nil {
		return
	}
	w.seal.Stop()
	if err := w.tail.f.Close(); err != nil {
		w.lastErr = err // it was synced; there is nothing to save
	}
	if w.tail.rows == 0 {
		w.lastErr = errors.Join(w.lastErr, os.Remove(w.tail.f.Name()))
	}
	w.next = w.tail.first + w.tail.rows
	w.tail = nil
	w.keeper.open.Store(w.next)
	_ = writeNumber(w.lock, w.next) // the names of files tell it as well, as long as there are any
	notify(w.keeper.wake)
}

// sealLast seals the last tail and waits for it.
func (w *Writer) sealLast() {
	w.roll()
	w.lastErr = errors.Join(w.lastErr, w.keeper.close())
}
