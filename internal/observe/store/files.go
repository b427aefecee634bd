package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The names in a store's directory. What has another name is left alone.
const (
	segmentPrefix = "requests-"
	segmentSuffix = ".parquet"
	tailPrefix    = "tail-"
	tailSuffix    = ".log"
	// unreadableSuffix is added to a tail that cannot be read.
	unreadableSuffix = ".unreadable"
	// temporaryPrefix marks a file that is not whole yet.
	temporaryPrefix = ".writing-"
	lockName        = "LOCK"
	nameTime        = "20060102T150405Z"
)

// segmentFile is a sealed file. Its name says all of this but the size.
type segmentFile struct {
	name        string
	from, to    time.Time // of the first and the last record, in whole seconds below
	first, last int64     // numbers of its records
	bytes       int64
}

// rows is how many records it holds, or fewer after a disk has failed.
func (s segmentFile) rows() int64 { return s.last - s.first + 1 }

// tailFile is a tail on disk.
type tailFile struct {
	name  string
	first int64 // number of its first record
	bytes int64
}

// nameSegment is the name of a segment: times, then numbers.
func nameSegment(from, to time.Time, first, last int64) string {
	return fmt.Sprintf("%s%s-%s-%012d-%012d%s", segmentPrefix, stamp(from), stamp(to), first, last, segmentSuffix)
}

// stamp writes a time in whole seconds. Years that do not have four digits
// are as good as the nearest that has.
func stamp(t time.Time) string {
	t = t.UTC()
	switch {
	case t.Year() < 0:
		t = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	case t.Year() > 9999:
		t = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	return t.Format(nameTime)
}

func parseSegment(name string) (segmentFile, bool) {
	rest, ok := strings.CutPrefix(name, segmentPrefix)
	if !ok {
		return segmentFile{}, false
	}
	if rest, ok = strings.CutSuffix(rest, segmentSuffix); !ok {
		return segmentFile{}, false
	}
	parts := strings.Split(rest, "-")
	if len(parts) != 4 {
		return segmentFile{}, false
	}
	from, err1 := time.Parse(nameTime, parts[0])
	to, err2 := time.Parse(nameTime, parts[1])
	first, err3 := parseNumber(parts[2])
	last, err4 := parseNumber(parts[3])
	if errors.Join(err1, err2, err3, err4) != nil || last < first {
		return segmentFile{}, false
	}
	return segmentFile{name: name, from: from, to: to, first: first, last: last}, true
}

func nameTail(first int64) string { return fmt.Sprintf("%s%012d%s", tailPrefix, first, tailSuffix) }

func parseTailName(name string) (tailFile, bool) {
	rest, ok := strings.CutPrefix(name, tailPrefix)
	if !ok {
		return tailFile{}, false
	}
	if rest, ok = strings.CutSuffix(rest, tailSuffix); !ok {
		return tailFile{}, false
	}
	first, err := parseNumber(rest)
	return tailFile{name: name, first: first}, err == nil
}

func parseNumber(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 62)
	return int64(n), err
}

// coveredFile is a segment whose records are all in another.
type coveredFile struct {
	name, by string
	rows     int64 // by its name
}

// writeNumber keeps the next number in the lock file: when all segments have
// become too old, no other file says where the numbers were.
func writeNumber(lock *os.File, next int64) error {
	_, err := lock.WriteAt(fmt.Appendf(nil, "%020d\n", next), 0)
	return err
}

// readNumber returns what writeNumber kept, or 1.
func readNumber(lock *os.File) int64 {
	var b [20]byte
	if _, err := lock.ReadAt(b[:], 0); err != nil {
		return 1
	}
	n, err := parseNumber(string(b[:]))
	if err != nil {
		return 1
	}
	return max(n, 1)
}

// listing is what a directory holds at one moment.
type listing struct {
	segments  []segmentFile // that count, by their first number
	covered   []coveredFile
	tails     []tailFile // by their first number
	temporary []string
}

// list reads a directory. It is read again until nothing has changed, because
// a file that is replaced meanwhile could be missed together with what
// replaces it.
func list(dir string) (*listing, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list the store: %w", err)
	}
	for {
		again, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("list the store: %w", err)
		}
		same := slices.EqualFunc(entries, again, func(a, b os.DirEntry) bool { return a.Name() == b.Name() })
		entries = again
		if same {
			return sortOut(entries)
		}
	}
}

func sortOut(entries []os.DirEntry) (*listing, error) {
	l := &listing{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), temporaryPrefix) {
			l.temporary = append(l.temporary, e.Name())
			continue
		}
		segment, isSegment := parseSegment(e.Name())
		log, isTail := parseTailName(e.Name())
		if !isSegment && !isTail {
			continue
		}
		// A file that was removed since stays in the listing without a size:
		// whoever opens it finds out, and lists again.
		var size int64
		info, err := e.Info()
		if err == nil {
			size = info.Size()
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list the store: %w", err)
		}
		if isSegment {
			segment.bytes = size
			l.segments = append(l.segments, segment)
		} else {
			log.bytes = size
			l.tails = append(l.tails, log)
		}
	}
	slices.SortFunc(l.tails, func(a, b tailFile) int { return cmp.Compare(a.first, b.first) })
	l.dropCovered()
	return l, nil
}

// dropCovered keeps the segments that are in no other: a crash can leave a
// merged segment beside those that it was made of.
func (l *listing) dropCovered() {
	slices.SortFunc(l.segments, func(a, b segmentFile) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(b.last, a.last), cmp.Compare(a.name, b.name))
	})
	kept := l.segments[:0]
	end := int64(-1)
	for _, s := range l.segments {
		if s.last <= end {
			l.covered = append(l.covered, coveredFile{s.name, kept[len(kept)-1].name, s.rows()})
			continue
		}
		end = s.last
		kept = append(kept, s)
	}
	l.segments = kept
}

// sealed reports whether the record with the number n is in a segment.
func (l *listing) sealed(n int64) bool {
	i, found := slices.BinarySearchFunc(l.segments, n, func(s segmentFile, n int64) int { return cmp.Compare(s.first, n) })
	return found || i > 0 && n <= l.segments[i-1].last
}

// writeWhole writes a file that appears under its name only when it is whole
// and on disk. The name may depend on what was written.
func writeWhole(dir string, write func(*os.File) (name string, err error)) error {
	f, err := os.CreateTemp(dir, temporaryPrefix)
	if err != nil {
		return err
	}
	name, err := write(f)
	if err == nil {
		err = errors.Join(f.Chmod(0o640), f.Sync())
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(dir)
}

// removeAll deletes files. One that is gone already is no error.
func removeAll(dir string, names []string) error {
	var errs []error
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
