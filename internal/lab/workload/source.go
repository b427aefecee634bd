package workload

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"
)

// Slice returns a source of calls that are in memory, which it does not
// change.
func Slice(calls []Call) Source { return &slice{calls} }

type slice struct{ rest []Call }

func (s *slice) Next() (Call, error) {
	if len(s.rest) == 0 {
		return Call{}, io.EOF
	}
	c := s.rest[0]
	s.rest = s.rest[1:]
	return c, nil
}

// Collect reads src to its end, or until it has limit calls where limit is
// positive.
func Collect(src Source, limit int) ([]Call, error) {
	var all []Call
	for limit <= 0 || len(all) < limit {
		c, err := src.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return all, err
		}
		all = append(all, c)
	}
	return all, nil
}

// Speed returns src with time compressed: x 2 is twice the rate in half the
// time. An x that is not positive counts as 1.
func Speed(src Source, x float64) Source {
	if !(x > 0) || x == 1 {
		return src
	}
	return &speed{src, 1 / x}
}

type speed struct {
	src    Source
	factor float64
}

func (s *speed) Next() (Call, error) {
	c, err := s.src.Next()
	c.At = time.Duration(float64(c.At) * s.factor)
	return c, err
}

// Limit returns the calls of src whose At is below d; a d that is not positive
// limits nothing.
func Limit(src Source, d time.Duration) Source {
	if d <= 0 {
		return src
	}
	return &limit{src, d}
}

type limit struct {
	src Source
	d   time.Duration
}

func (s *limit) Next() (Call, error) {
	c, err := s.src.Next()
	if err == nil && c.At >= s.d {
		return Call{}, io.EOF
	}
	return c, err
}

// maxBatch bounds the calls that may share one timestamp for Spread.
const maxBatch = 1 << 16

// Spread returns src with calls of the same instant spread evenly at random
// over the time to the next instant: the fix for timestamps that were rounded
// to seconds. The last instant takes the distance of the one before. More than
// 65,536 calls of one instant are an error.
func Spread(src Source, seed uint64) Source {
	return &spread{src: src, rng: rand.New(rand.NewPCG(seed, 0x5b3ead))}
}

type spread struct {
	src   Source
	rng   *rand.Rand
	batch []Call
	out   int // of batch, returned already
	ahead Call
	begun bool
	gap   time.Duration
	ats   []time.Duration
	err   error // of src, once the batch is returned
}

func (s *spread) Next() (Call, error) {
	if s.out == len(s.batch) {
		if s.err == nil {
			s.fill()
		}
		if s.out == len(s.batch) {
			return Call{}, s.err
		}
	}
	c := s.batch[s.out]
	s.out++
	return c, nil
}

// fill reads the next batch and spreads it.
func (s *spread) fill() {
	s.batch, s.out = s.batch[:0], 0
	if !s.begun {
		s.begun = true
		if s.ahead, s.err = s.src.Next(); s.err != nil {
			return
		}
	}
	s.batch = append(s.batch, s.ahead)
	for {
		if s.ahead, s.err = s.src.Next(); s.err != nil {
			break
		}
		if s.ahead.At != s.batch[0].At {
			s.gap = s.ahead.At - s.batch[0].At
			break
		}
		if s.batch = append(s.batch, s.ahead); len(s.batch) > maxBatch {
			s.batch, s.err = s.batch[:0], fmt.Errorf("more than %d calls at %v: the timestamps are too coarse to spread", maxBatch, s.ahead.At)
			return
		}
	}
	if len(s.batch) == 1 || s.gap <= 0 {
		return
	}
	s.ats = s.ats[:0]
	for range s.batch {
		s.ats = append(s.ats, s.batch[0].At+time.Duration(s.rng.Int64N(int64(s.gap))))
	}
	slices.Sort(s.ats)
	for i := range s.batch {
		s.batch[i].At = s.ats[i]
	}
}
