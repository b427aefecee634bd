package buffer

import (
	"errors"
	"sync/atomic"
)

// CountedBytes is the size above which a buffer counts toward the budget. A request
// has a few buffers up to that size, for pieces of its response, and they count as
// part of what a request takes.
const CountedBytes = 32 << 10

// bodyLimit is which part of a limit request bodies may take. An attempt may send a
// copy of its request's body, and the response has to find room as well.
func bodyLimit(limit int64) int64 { return limit / 3 * 2 }

// ErrNoRoom is a read that would exceed the budget.
var ErrNoRoom = errors.New("the budget of buffered bytes is used up")

// Budget bounds the bytes of large buffers, pooled or not, that are in use at one
// time. The zero value counts and has no limit. It is safe for concurrent use.
type Budget struct {
	used  atomic.Int64
	limit atomic.Int64
}

// SetLimit replaces the limit; 0 means none. What is in use stays so.
func (b *Budget) SetLimit(bytes int64) { b.limit.Store(bytes) }

// Used returns how many bytes are in use.
func (b *Budget) Used() int64 { return b.used.Load() }

// MaxBody returns the length of the largest request body that the budget can hold
// when nothing else does, while it is copied to a larger buffer; 0 means that there
// is no limit.
func (b *Budget) MaxBody() int64 { return max(bodyLimit(b.limit.Load())/2-1, 0) }

// Reserve adds bytes to those in use, unless that would exceed the limit.
func (b *Budget) Reserve(bytes int64) bool { return b.reserve(bytes, b.limit.Load()) }

// Add adds bytes to those in use whatever the limit: they are already held. A
// negative number ends a reservation.
func (b *Budget) Add(bytes int64) { b.used.Add(bytes) }

func (b *Budget) reserve(bytes, limit int64) bool {
	if used := b.used.Add(bytes); limit > 0 && used > limit {
		b.used.Add(-bytes)
		return false
	}
	return true
}
