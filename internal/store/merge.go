package store

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// mergeFiles is how many neighbours are merged at a time.
	mergeFiles = 8
	// mergeSpan bounds the time in a merged segment, because retention removes
	// whole segments.
	mergeSpan = 24 * time.Hour
)

// planMerge returns the first neighbours that are to become one segment, or
// nothing. Segments of full records or more are left alone. The largest is at
// most half of the whole: every merge at least doubles the segment that a
// record is in, so that no record is written often. None of cuts lies in
// between.
func planMerge(segments []segmentFile, full int64, cuts []int64) []segmentFile {
	for i := 0; i+mergeFiles <= len(segments); i++ {
		neighbours := segments[i : i+mergeFiles]
		var rows, largest int64
		from, to := neighbours[0].from, neighbours[0].to
		for _, s := range neighbours {
			rows += s.rows()
			largest = max(largest, s.rows())
			if s.from.Before(from) {
				from = s.from
			}
			if s.to.After(to) {
				to = s.to
			}
		}
		if largest < full && largest <= rows/2 && to.Sub(from) <= mergeSpan && !cut(neighbours, cuts) {
			return neighbours
		}
	}
	return nil
}

// cut reports whether one of the cuts would be in the midst of the neighbours
// as one segment.
func cut(neighbours []segmentFile, cuts []int64) bool {
	first, last := neighbours[0].first, neighbours[len(neighbours)-1].last
	return slices.ContainsFunc(cuts, func(n int64) bool { return first <= n && n < last })
}

// merge merges as long as there is something to merge.
func (k *keeper) merge() error {
	for {
		again, err := k.mergeOnce()
		if err != nil {
			return fmt.Errorf("merge segments: %w", err)
		}
		if !again {
			return nil
		}
	}
}

// mergeOnce makes one segment of some, if there are any to merge. No feed
// claims one meanwhile.
func (k *keeper) mergeOnce() (merged bool, err error) {
	k.moving.Lock()
	defer k.moving.Unlock()
	l, err := list(k.cfg.Dir)
	if err != nil {
		return false, err
	}
	between, err := cuts(k.cfg.Dir)
	if err != nil {
		return false, err
	}
	neighbours := planMerge(l.segments, int64(k.cfg.SealRecords), between)
	if neighbours == nil {
		return false, nil
	}
	return true, k.mergeThese(neighbours)
}

// mergeThese writes one segment with the records of the neighbours and removes
// those. Between the two the new one covers the old ones, for readers and
// after a crash.
func (k *keeper) mergeThese(neighbours []segmentFile) error {
	v := &view{bounds: bounds{math.MinInt64, math.MaxInt64}}
	defer v.close()
	names := make([]string, len(neighbours))
	for i, s := range neighbours {
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
	err = k.writeSegment(neighbours[0].first, neighbours[len(neighbours)-1].last, func(w *segmentWriter) error {
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
