package wire

import (
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/spillway-ai/spillway/internal/jsonwalk"
)

// maxHoles is how many places of an event may vary within one shape.
const maxHoles = 6

// hole is a place of an event whose content varies between events of one
// shape: the inside of a string, or digits.
type hole struct {
	start, end int32
	before     uint64 // the sum of what lies between the hole before and this one
	// target says what the owner does with the content; below 0, nothing.
	target int32
	digits bool
}

// shape remembers one event that was read in full, and the places in it that
// may vary. The events of a stream mostly differ only there: whatever matches
// is known without being parsed again. Its owner must make sure that reading
// an event twice, the holes excepted, changes nothing.
//
// Of what may not vary it has lengths and sums of 64 bits. The text itself
// would have to be fetched for each event: nothing of a stream is in the
// processor's cache when hundreds take turns. A deployment that forges sums
// affects only the clients of its own stream, to which it can send anything anyway.
type shape struct {
	n     uint8 // of holes
	valid bool
	rest  int32  // length of what follows the last hole
	after uint64 // the sum of that
	holes [maxHoles]hole
}

// startRecording starts recording the holes of another event.
func (s *shape) startRecording() {
	s.valid = true
	s.n = 0
}

// spoil says that the event being recorded is not like any other.
func (s *shape) spoil() { s.valid = false }

// addHole records a hole, which begins at start. Holes come in the order of their
// places.
func (s *shape) addHole(start, end int, h hole) {
	if s.n == maxHoles || end > math.MaxInt32 {
		s.spoil()
		return
	}
	h.start, h.end = int32(start), int32(end)
	s.holes[s.n] = h
	s.n++
}

// finishRecording ends the recording: the event can be matched from now on, unless it
// was spoilt or nothing in it varies.
func (s *shape) finishRecording(doc []byte) {
	s.valid = s.valid && s.n > 0
	if !s.valid {
		return
	}
	from := int32(0)
	for k := range s.holes[:s.n] {
		h := &s.holes[k]
		h.before = xxhash.Sum64(doc[from:h.start])
		from = h.end
	}
	s.rest, s.after = int32(len(doc))-from, xxhash.Sum64(doc[from:])
}

// reset forgets the shape.
func (s *shape) reset() { *s = shape{} }

// match reports whether an event has the remembered shape, and stores the
// contents of its holes, which are well formed, in got.
func (s *shape) match(data []byte, got *[maxHoles][]byte) bool {
	if !s.valid {
		return false
	}
	at, from := 0, 0
	for k := range s.holes[:s.n] {
		h := &s.holes[k]
		same := int(h.start) - from
		if len(data)-at < same || xxhash.Sum64(data[at:at+same]) != h.before {
			return false
		}
		at += same
		end := at
		if h.digits {
			end += jsonwalk.Digits(data[at:])
		} else {
			end = jsonwalk.StringEnd(data, at)
		}
		if end < at || h.digits && end == at {
			return false
		}
		got[k] = data[at:end]
		at, from = end, int(h.end)
	}
	return len(data)-at == int(s.rest) && xxhash.Sum64(data[at:]) == s.after
}

// alike reports whether s and o match the same events, with the same holes. It
// may report false for some that do.
func (s *shape) alike(o *shape) bool {
	if !s.valid || !o.valid || s.n != o.n || s.rest != o.rest || s.after != o.after {
		return false
	}
	for k := range s.holes[:s.n] {
		a, b := &s.holes[k], &o.holes[k]
		if a.start != b.start || a.end != b.end || a.before != b.before || a.digits != b.digits {
			return false
		}
	}
	return true
}

// keepBytes is the largest buffer that a Reset keeps for the next stream.
const keepBytes = 64 << 10

// trim empties a buffer for reuse, and drops a large one.
func trim(b []byte) []byte {
	if cap(b) > keepBytes {
		return nil
	}
	return b[:0]
}
