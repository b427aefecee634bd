package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
)

// A tail is the magic bytes and then frames: the length of what it holds and
// its checksum, four bytes each, little endian, and that. The first frame holds
// the head, each other one rows.
const (
	tailMagic  = "spwtail1"
	frameBytes = 8
	// maxFrameBytes bounds what a reader believes; a flush stays far below.
	maxFrameBytes = 256 << 20
)

// errTail is a file that is not a tail, or one that this version cannot read.
var errTail = errors.New("unreadable tail")

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// frameHead returns the head of a frame that holds data.
func frameHead(data []byte) [frameBytes]byte {
	var h [frameBytes]byte
	binary.LittleEndian.PutUint32(h[:4], uint32(len(data)))
	binary.LittleEndian.PutUint32(h[4:], checksum(data))
	return h
}

// nextFrame takes the first frame off b. ok is false at the end, and where a
// frame is torn or was altered.
func nextFrame(b []byte) (data, rest []byte, ok bool) {
	if len(b) < frameBytes {
		return nil, b, false
	}
	size, sum := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if size == 0 || size > maxFrameBytes || int(size) > len(b)-frameBytes {
		return nil, b, false
	}
	data = b[frameBytes : frameBytes+size]
	if checksum(data) != sum {
		return nil, b, false
	}
	return data, b[frameBytes+size:], true
}

// tailRow is where a row is.
type tailRow struct {
	time int64 // microseconds
	body []byte
}

// tailData is a tail as read: its rows up to the first frame that is not
// whole.
type tailData struct {
	layout layout
	rows   []tailRow // in the order of arrival
	torn   int       // bytes after the last whole frame
}

// parseTail reads the bytes of a tail. What a crash tore is left out; a file
// that does not even begin as one is an error.
func parseTail(b []byte) (*tailData, error) {
	if len(b) < len(tailMagic) || string(b[:len(tailMagic)]) != tailMagic {
		return nil, errTail
	}
	about, rest, ok := nextFrame(b[len(tailMagic):])
	if !ok {
		return nil, errTail
	}
	l, err := parseHead(string(about))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errTail, err)
	}
	t := &tailData{layout: l}
	for {
		data, after, ok := nextFrame(rest)
		if !ok || !t.addRows(data) {
			t.torn = len(rest)
			return t, nil
		}
		rest = after
	}
}

// addRows adds the rows of one frame, all or none.
func (t *tailData) addRows(data []byte) bool {
	before := len(t.rows)
	for len(data) > 0 {
		size, n := binary.Uvarint(data)
		if n <= 0 || size > uint64(len(data)-n) {
			t.rows = t.rows[:before]
			return false
		}
		body := data[n : n+int(size)]
		at, ok := rowTime(body)
		if !ok {
			t.rows = t.rows[:before]
			return false
		}
		t.rows = append(t.rows, tailRow{at, body})
		data = data[n+int(size):]
	}
	return true
}

// sort orders the rows by time; those of one instant keep their order.
func (t *tailData) sort() {
	slices.SortStableFunc(t.rows, func(a, b tailRow) int { return cmp.Compare(a.time, b.time) })
}

// tail is the log that is being written. Not safe for concurrent use.
type tail struct {
	f     *os.File
	first int64 // number of its first record
	rows  int64 // that are whole and synced
	size  int64 // bytes up to there
}

// createTail begins the tail whose first record has the number first.
func createTail(path string, first int64) (*tail, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return nil, err
	}
	about := []byte(head())
	sum := frameHead(about)
	start := slices.Concat([]byte(tailMagic), sum[:], about)
	if _, err := f.Write(start); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return &tail{f: f, first: first, size: int64(len(start))}, nil
}

// append writes rows as one frame and syncs it. When that fails, what was
// written is taken back; whole says whether that has worked, so that the tail
// can go on.
func (t *tail) append(rows []byte, n int64) (whole bool, err error) {
	sum := frameHead(rows)
	if _, err = t.f.WriteAt(sum[:], t.size); err == nil {
		_, err = t.f.WriteAt(rows, t.size+frameBytes)
	}
	if err == nil {
		err = t.f.Sync()
	}
	if err != nil {
		back := t.f.Truncate(t.size)
		return back == nil, errors.Join(err, back)
	}
	t.rows += n
	t.size += frameBytes + int64(len(rows))
	return true, nil
}
