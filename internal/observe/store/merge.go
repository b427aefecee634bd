package store

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// mergeFiles is how many neighbors are merged at a time.
	mergeFiles = 8
	// mergeSpan bounds the time in a merged segment, because retention removes
	// whole segments.
	mergeSpan = 24 * time.Hour
)

// planMerge returns the first neighbors that are to become one segment, or
// nothing. Segments of full records or more are left alone. The largest is at
// most half of the whole: every merge at least doubles the segment that a
// record is in, so that no record is written often. None of cuts lies in
// between.
func planMerge(segments []segmentFile, full int64, cuts []int64) []segmentFile {
	for i := 0; i+mergeFiles <= len(segments); i++ {
		adjacent := segments[i : i+mergeFiles]
		var rows, largest int64
		from, to := adjacent[0].from, adjacent[0].to
		for _, s := range adjacent {
			rows += s.rows()
			largest = max(largest, s.rows())
			if s.from.Before(from) {
				from = s.from
			}
			if s.to.After(to) {
				to = s.to
			}
		}
		if largest < full && largest <= rows/2 && to.Sub(from) <= mergeSpan && !cut(adjacent, cuts) {
			return adjacent
		}
	}
	return nil
}

// cut reports whether one of the cuts would be in the midst of the neighbors
// as one segment.
func cut(adjacent []segmentFile, cuts []int64) bool {
	first, last := adjacent[0].first, adjacent[len(adjacent)-1].last
	return slices.ContainsFunc(cuts, func(n int64) bool { return first <= n && n < last })
}

// merge merges once, and wakes the keeper where there may be more to merge: it
// looks first whether a tail is to be sealed or something to be removed. No feed
// claims a segment meanwhile.
func (k *keeper) merge() error {
	k.moving.Lock()
	defer k.moving.Unlock()
	for {
		l, err := list(k.cfg.Dir)
		if err != nil {
			return err
		}
		between, err := cuts(k.cfg.Dir)
		if err != nil {
			return err
		}
		adjacent := k.planMerge(l.segments, between)
		if adjacent == nil {
			return nil
		}
		if fits, err := k.fits(adjacent); err != nil || !fits {
			return err
		}
		err = k.mergeThese(adjacent)
		if bad, ok := errors.AsType[*segmentError](err); ok {
			// Whoever reads it will get the same error. It is not merged, so
			// that the others can be.
			k.unreadable[filepath.Base(bad.path)] = true
			k.cfg.Log.Error("unreadable segment not merged", slog.Any("error", err))
			continue
		}
		if err != nil {
			return fmt.Errorf("merge segments: %w", err)
		}
		notify(k.wake)
		return nil
	}
}

// fits reports whether a merge leaves room for the records that come meanwhile:
// on a disk that is nearly full it would take the last of it, for a time.
func (k *keeper) fits(adjacent []segmentFile) (bool, error) {
	free, err := freeBytes(k.cfg.Dir)
	if err != nil {
		return false, fmt.Errorf("read the free disk space: %w", err)
	}
	var bytes int64
	for _, s := range adjacent {
		bytes += s.bytes
	}
	return free >= 2*bytes, nil
}

// planMerge plans around the segments that cannot be read.
func (k *keeper) planMerge(segments []segmentFile, cuts []int64) []segmentFile {
	for len(segments) > 0 {
		n := slices.IndexFunc(segments, func(s segmentFile) bool { return k.unreadable[s.name] })
		if n < 0 {
			n = len(segments)
		}
		if found := planMerge(segments[:n], int64(k.cfg.SealRecords), cuts); found != nil {
			return found
		}
		segments = segments[min(n+1, len(segments)):]
	}
	return nil
}

// mergeThese writes one segment with the records of the neighbors and removes
// those. Between the two the new one covers the old ones, for readers and
// after a crash.
func (k *keeper) mergeThese(adjacent []segmentFile) error {
	v := &view{bounds: bounds{math.MinInt64, math.MaxInt64}}
	defer v.close()
	names := make([]string, len(adjacent))
	for i, s := range adjacent {
		names[i] = s.name
		f, err := os.Open(filepath.Join(k.cfg.Dir, s.name))
		if err != nil {
			return err
		}
		v.segments = append(v.segments, openFile{s, f})
	}
	slices.SortStableFunc(v.segments, func(a, b openFile) int { return a.file.from.Compare(b.file.from) })
	all, err := chooseColumns(nil)
	if err != nil {
		return err
	}
	err = k.writeSegment(adjacent[0].first, adjacent[len(adjacent)-1].last, func(w *segmentWriter) error {
		for r, err := range v.records(all) {
			if err != nil {
				return err
			}
			if k.stopping() {
				return errStopped
			}
			if err := w.add(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return removeAll(k.cfg.Dir, names)
}

func (k *keeper) stopping() bool {
	select {
	case <-k.stop:
		return true
	default:
		return false
	}
}
