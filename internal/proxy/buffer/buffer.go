// Package buffer holds byte buffers with a reference count, in pools by size.
//
// # Ownership
//
// Get returns a buffer with one reference. Whoever holds a reference may read
// B; only the single holder of a fresh buffer may change it, before it calls
// Retain for another holder. Each reference is ended by one Release, in any
// goroutine. The last Release returns the memory to the pool, so B must not be
// used after it.
//
// # Budget
//
// Buffers above CountedBytes count toward the budget of their pools. Get only
// counts them: what is under way is not refused. ReadAtMost, which reads what a
// peer sends, grows its buffer as bytes come and stops when the budget is used up.
//
// # Room for framing
//
// Bytes that are read in order to be sent on as one chunk of HTTP/1.1 are read
// behind Headroom bytes that stay free, and leave Tailroom bytes of capacity
// unused. The sender writes the chunk's framing into that room and sends
// everything in one write without a copy.
package buffer

import (
	"io"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// Headroom is the room before a chunk's content: its size in hex and a line
	// end.
	Headroom = 10
	// Tailroom is the room after it: a line end.
	Tailroom = 2
)

// The pooled sizes are the powers of two between these; larger buffers are
// left to the garbage collector.
const (
	minShift = 10
	maxShift = 20
)

// smallBodyBytes is the largest request body that is kept out of the pools. A
// transport sends it together with the headers, in one write; see Reader.
const smallBodyBytes = 3 << 10

// Pools holds buffers by size, and bounds those that are large. The zero value is
// ready for use, without a limit. It is safe for concurrent use, and must not be
// copied after first use.
type Pools struct {
	Budget
	sizes [maxShift - minShift + 1]sync.Pool
}

// Buffer is bytes with a reference count. Get it from Pools.
type Buffer struct {
	// B is the content. Its holder may append to it, and so replace it.
	B []byte

	refs    atomic.Int32
	body    bool   // of a request
	counted int64  // bytes that the budget counts
	pools   *Pools // nil leaves the memory to the garbage collector
}

// Get returns an empty buffer with room for at least size bytes.
func (p *Pools) Get(size int) *Buffer {
	b := p.get(size)
	b.Recount()
	return b
}

// get is Get without counting.
func (p *Pools) get(size int) *Buffer {
	i := sizeClass(size)
	if i >= len(p.sizes) {
		return newBuffer(p, make([]byte, 0, size))
	}
	if b, ok := p.sizes[i].Get().(*Buffer); ok {
		b.B = b.B[:0]
		b.refs.Store(1)
		return b
	}
	return newBuffer(p, make([]byte, 0, 1<<(i+minShift)))
}

// sizeOf is the capacity of the buffer that get returns.
func sizeOf(size int) int {
	if i := sizeClass(size); i <= maxShift-minShift {
		return 1 << (i + minShift)
	}
	return size
}

// GetBody is Get for the body of a request. A small one is not pooled, so that
// its Reader can be one that transports know.
func (p *Pools) GetBody(size int) *Buffer {
	if size <= smallBodyBytes {
		return newBuffer(nil, make([]byte, 0, size))
	}
	b := p.Get(size)
	b.body = true
	return b
}

func newBuffer(p *Pools, b []byte) *Buffer {
	buf := &Buffer{B: b, pools: p}
	buf.refs.Store(1)
	return buf
}

// sizeClass returns the index of the smallest pooled size that holds size.
func sizeClass(size int) int {
	return max(bits.Len(uint(max(size, 1)-1))-minShift, 0)
}

// Retain adds a reference and returns b.
func (b *Buffer) Retain() *Buffer {
	b.refs.Add(1)
	return b
}

// Release ends one reference; the last one returns the memory to its pool.
// Releasing a nil buffer does nothing.
func (b *Buffer) Release() {
	if b == nil || b.pools == nil || b.refs.Add(-1) > 0 {
		return
	}
	if b.counted != 0 {
		b.pools.Add(-b.counted)
	}
	b.body, b.counted = false, 0
	// A buffer that grew by append belongs to the class that its capacity fills.
	i := bits.Len(uint(cap(b.B))) - 1 - minShift
	if i >= 0 && i < len(b.pools.sizes) {
		b.pools.sizes[i].Put(b)
	}
}

// Recount counts the capacity of B, which its holder has replaced by a larger one.
func (b *Buffer) Recount() {
	size := int64(cap(b.B))
	if b.pools == nil || size == b.counted || size <= CountedBytes {
		return
	}
	b.pools.Add(size - b.counted)
	b.counted = size
}

// Grow makes room for so many bytes more, which are counted even where they exceed
// the budget.
func (b *Buffer) Grow(bytes int) {
	b.B = slices.Grow(b.B, bytes)
	b.Recount()
}

// ReadAtMost appends everything that r has. It stops and reports within as
// false once B is longer than limit bytes, and with ErrNoRoom once the budget is
// used up. expected is how much there is likely to be, below 0 if that is unknown: it
// is not reserved before half of it has come.
func (b *Buffer) ReadAtMost(r io.Reader, expected, limit int64) (within bool, err error) {
	for {
		if len(b.B) == cap(b.B) {
			if err := b.readMore(expected, limit); err != nil {
				return true, err
			}
		}
		n, err := r.Read(b.B[len(b.B):cap(b.B)])
		b.B = b.B[:len(b.B)+n]
		if int64(len(b.B)) > limit {
			return false, nil
		}
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return true, err
		}
	}
}

// readMore doubles the capacity of B, which is full, or takes less where less is
// expected or allowed, and one byte more to see the end.
func (b *Buffer) readMore(expected, limit int64) error {
	have := int64(cap(b.B))
	most := limit + 1
	if expected >= have {
		most = min(most, expected+1)
	}
	size := int(max(min(2*have, most), have+1))
	if b.pools == nil {
		b.B = append(make([]byte, 0, size), b.B...)
		return nil
	}
	size = sizeOf(size)
	if size > CountedBytes {
		most := b.pools.limit.Load()
		if b.body {
			most = bodyLimit(most)
		}
		if !b.pools.reserve(int64(size), most) {
			return ErrNoRoom
		}
	}
	next := b.pools.get(size)
	next.B = append(next.B, b.B...)
	next.B, b.B = b.B, next.B
	if size > CountedBytes {
		next.counted, b.counted = b.counted, int64(size)
	}
	next.Release()
	return nil
}
