package store

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// keepEvery is how often segments are looked at without cause: for their
	// age.
	keepEvery = time.Minute
	// retryEvery is the pause after work that failed.
	retryEvery = 5 * time.Second
	// writeBufferBytes gathers the small writes of a segment.
	writeBufferBytes = 256 << 10
)

// errStopped ends a merge when the store closes.
var errStopped = errors.New("the store is closing")

// keeper seals tails, merges segments and removes what is too old or too much.
// It works on what it finds in the directory, so that a restart after a crash
// is nothing special.
type keeper struct {
	cfg Config
	// open is the number of the first record of the tail that is being
	// written, or that will be next: those before it are the keeper's.
	open atomic.Int64
	wake chan struct{} // a tail is done; capacity 1
	stop chan struct{} // closed by end
	done chan struct{} // closed when the goroutine has ended
	// moving is held while segments are merged or removed; feeds claim theirs
	// under it.
	moving sync.Mutex
	feeds  []*Feed // set before run

	// Owned by the goroutine.
	failed     bool
	lastErr    error
	unreadable map[string]bool // segments that a merge could not read
}

func newKeeper(cfg Config, next int64) *keeper {
	k := &keeper{cfg: cfg, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}), unreadable: map[string]bool{}}
	k.open.Store(next)
	return k
}

// newFedKeeper is a keeper with the feeds of cfg.
func newFedKeeper(cfg Config, next int64) (*keeper, error) {
	k := newKeeper(cfg, next)
	if len(cfg.Feeds) == 0 {
		return k, nil
	}
	from, err := origin(cfg.Dir)
	if err != nil {
		return nil, err
	}
	for _, name := range cfg.Feeds {
		f, err := openFeed(cfg.Dir, name, from, &k.moving, cfg.Log)
		if err != nil {
			return nil, fmt.Errorf("open the export position %s: %w", name, err)
		}
		k.feeds = append(k.feeds, f)
	}
	return k, nil
}

// close waits for the last tails to be sealed.
func (k *keeper) close() error {
	close(k.stop)
	<-k.done
	return k.lastErr
}

func (k *keeper) run() {
	defer close(k.done)
	began := time.Now()
	timer := time.NewTimer(keepEvery)
	defer timer.Stop()
	for {
		k.logError(k.work(steady(began, time.Now(), time.Since(began))))
		pause := keepEvery
		if k.failed {
			pause = retryEvery
		}
		timer.Reset(pause)
		select {
		case <-k.wake:
		case <-timer.C:
		case <-k.stop:
			k.logError(k.seal())
			for _, f := range k.feeds {
				notify(f.sealed)
			}
			return
		}
	}
}

// steady is the wall clock's now, or what began and the time that has really
// passed say where that is earlier: a clock that leaps ahead for a moment must
// not have all records removed for their age.
func steady(began, now time.Time, passed time.Duration) time.Time {
	if least := began.Add(passed).Round(0); now.Round(0).After(least) {
		return least
	}
	return now
}

// logError stores an error and logs the first in a row.
func (k *keeper) logError(err error) {
	if errors.Is(err, errStopped) {
		return
	}
	k.lastErr = err
	switch {
	case err != nil && !k.failed:
		k.failed = true
		k.cfg.Log.Error("store maintenance failed, will retry", slog.Any("error", err))
	case err == nil && k.failed:
		k.failed = false
		k.cfg.Log.Info("store maintenance recovered")
	}
}

// work does all that is due: what makes room first.
func (k *keeper) work(now time.Time) error {
	l, err := list(k.cfg.Dir)
	if err != nil {
		return err
	}
	err = errors.Join(k.removeCovered(l), k.remove(retire(l, k.cfg, now)))
	err = errors.Join(err, k.seal(), k.merge())
	for _, f := range k.feeds {
		notify(f.sealed)
	}
	return err
}

// remove removes segments, and notifies the exports that still needed them.
func (k *keeper) remove(segments []segmentFile) error {
	k.moving.Lock()
	defer k.moving.Unlock()
	var errs []error
	for _, s := range segments {
		if err := removeAll(k.cfg.Dir, []string{s.name}); err != nil {
			errs = append(errs, err)
			continue
		}
		for _, f := range k.feeds {
			f.removed(s)
		}
	}
	return errors.Join(errs...)
}

// removeCovered removes the segments whose records are all in another one, if
// that can hold them: a name alone may be that of half a copy.
func (k *keeper) removeCovered(l *listing) error {
	var errs []error
	for _, c := range l.covered {
		if rows, err := countRows(filepath.Join(k.cfg.Dir, c.by)); err != nil || rows < c.rows {
			if !k.unreadable[c.by] {
				k.unreadable[c.by] = true
				k.cfg.Log.Error("incomplete segment; the segments that it would replace are kept but not read while it exists",
					slog.String("path", filepath.Join(k.cfg.Dir, c.by)), slog.Any("error", err))
			}
			continue
		}
		errs = append(errs, removeAll(k.cfg.Dir, []string{c.name}))
	}
	return errors.Join(errs...)
}

// retire returns the segments that are to go: those whose last record is older
// than MaxAge, and then the oldest, as long as there are more than MaxBytes.
func retire(l *listing, cfg Config, now time.Time) []segmentFile {
	var old []segmentFile
	var total int64
	for _, t := range l.tails {
		total += t.bytes
	}
	var kept []segmentFile
	for _, s := range l.segments {
		if cfg.MaxAge > 0 && s.to.Add(time.Second).Before(now.Add(-cfg.MaxAge)) {
			old = append(old, s)
			continue
		}
		total += s.bytes
		kept = append(kept, s)
	}
	for _, s := range kept {
		if cfg.MaxBytes <= 0 || total <= cfg.MaxBytes {
			break
		}
		total -= s.bytes
		old = append(old, s)
	}
	return old
}

// seal turns every tail that is done into a segment.
func (k *keeper) seal() error {
	l, err := list(k.cfg.Dir)
	if err != nil {
		return err
	}
	open := k.open.Load() // after the listing: a tail that is begun since is not in it
	var errs []error
	for _, t := range l.tails {
		if t.first >= open {
			continue
		}
		if l.sealed(t.first) { // its segment was written, and then it could not be removed
			err := syncDir(k.cfg.Dir) // which may be why
			if err == nil {
				err = removeAll(k.cfg.Dir, []string{t.name})
			}
			errs = append(errs, err)
			continue
		}
		if err := k.sealTail(t); err != nil {
			errs = append(errs, fmt.Errorf("seal %s: %w", t.name, err))
		}
	}
	return errors.Join(errs...)
}

func (k *keeper) sealTail(t tailFile) error {
	path := filepath.Join(k.cfg.Dir, t.name)
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	parsed, err := parseTail(data)
	switch {
	case err != nil && len(data) > 0:
		return k.quarantine(path, err)
	case err != nil || len(parsed.rows) == 0:
		return os.Remove(path)
	}
	if parsed.torn > 0 {
		k.cfg.Log.Warn("incomplete end of a tail skipped", slog.String("path", path), slog.Int("bytes", parsed.torn))
	}
	parsed.sort()
	last := t.first + int64(len(parsed.rows)) - 1
	skipped := 0
	err = k.writeSegment(t.first, last, func(w *segmentWriter) error {
		for _, r := range parsed.rows {
			err := w.addRow(&parsed.layout, r.body)
			switch {
			case errors.Is(err, errRow): // whole, and of another version
				skipped++
			case err != nil:
				return err
			}
		}
		if skipped == len(parsed.rows) {
			return errTail
		}
		return nil
	})
	if errors.Is(err, errTail) {
		return k.quarantine(path, errRow)
	}
	if err != nil {
		return err
	}
	if skipped > 0 {
		k.cfg.Log.Error("unreadable records of a tail skipped", slog.String("path", path), slog.Int("records", skipped))
	}
	return os.Remove(path)
}

// quarantine renames an unreadable tail, so that no reader opens it.
func (k *keeper) quarantine(path string, why error) error {
	k.cfg.Log.Error("unreadable tail renamed", slog.String("path", path), slog.Any("error", why))
	return os.Rename(path, path+unreadableSuffix)
}

// writeSegment writes the segment of the records first to last.
func (k *keeper) writeSegment(first, last int64, fill func(*segmentWriter) error) error {
	return writeWhole(k.cfg.Dir, func(f *os.File) (string, error) {
		buffered := bufio.NewWriterSize(f, writeBufferBytes)
		w := newSegmentWriter(buffered)
		if err := fill(w); err != nil {
			return "", err
		}
		if err := w.close(); err != nil {
			return "", err
		}
		from, to := w.span()
		return nameSegment(from, to, first, last), buffered.Flush()
	})
}

// notify makes a capacity-one channel readable, if it is not so already.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
