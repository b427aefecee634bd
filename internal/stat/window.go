package stat

import "time"

// Window sums what was added during the last span of time, to the precision
// of one bucket: between span - span/buckets and span is covered.
type Window struct {
	width  time.Duration
	origin time.Time // start of bucket 0; the first now
	head   int64     // number of the newest bucket
	from   time.Time // start of the newest bucket
	until  time.Time // its end
	ring   []float64 // bucket i is at i modulo len
	newest int       // place of the newest bucket
	total  float64
}

// NewWindow returns an empty window. A span below one nanosecond per bucket
// and a bucket count below 1 are raised to that.
func NewWindow(span time.Duration, buckets int) *Window {
	buckets = max(buckets, 1)
	return &Window{
		width: max(span/time.Duration(buckets), 1),
		ring:  make([]float64, buckets),
	}
}

// Reset empties the window.
func (w *Window) Reset() {
	clear(w.ring)
	w.total = 0
}

// Add counts n at now. What is older than the span is not counted.
func (w *Window) Add(now time.Time, n float64) {
	bucket := w.advance(now)
	at := w.newest
	if bucket != w.head {
		if bucket <= w.head-int64(len(w.ring)) {
			return
		}
		at = int(bucket % int64(len(w.ring)))
	}
	w.ring[at] += n
	w.total += n
}

// Sum returns what was added during the span that ends at now.
func (w *Window) Sum(now time.Time) float64 {
	w.advance(now)
	return w.total
}

// advance empties the buckets that have left the span and returns the number
// of now's bucket. The total is summed afresh whenever a bucket is emptied, so
// that rounding errors do not accumulate.
func (w *Window) advance(now time.Time) int64 {
	if now.Before(w.until) && !now.Before(w.from) {
		return w.head
	}
	if w.origin.IsZero() {
		w.origin = now
	}
	bucket := max(int64(now.Sub(w.origin)/w.width), 0)
	if bucket < w.head {
		return bucket
	}
	w.from = w.origin.Add(time.Duration(bucket) * w.width)
	w.until = w.from.Add(w.width)
	if bucket == w.head {
		return bucket
	}
	size := int64(len(w.ring))
	for i := max(w.head+1, bucket-size+1); i <= bucket; i++ {
		w.ring[i%size] = 0
	}
	w.head, w.newest = bucket, int(bucket%size)
	w.total = 0
	for _, v := range w.ring {
		w.total += v
	}
	return bucket
}
