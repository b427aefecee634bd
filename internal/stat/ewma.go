package stat

import (
	"math"
	"time"
)

// defaultHalfLife is the half-life of a zero EWMA.
const defaultHalfLife = 10 * time.Second

// EWMA is the exponentially weighted mean of values that arrive at irregular
// times: a value weighs 2^(-age/halfLife). The weights are normalized, so the
// first values are not pulled towards zero. The zero value works, with a
// half-life of 10 s.
type EWMA struct {
	halfLife    time.Duration
	at          time.Time
	sum, weight float64
}

// NewEWMA returns an empty mean; a half-life of 0 takes 10 s.
func NewEWMA(halfLife time.Duration) EWMA { return EWMA{halfLife: halfLife} }

// Add counts v as seen at now. A now before the last one counts as the last.
func (e *EWMA) Add(now time.Time, v float64) {
	if e.weight == 0 {
		e.at = now
	}
	if age := now.Sub(e.at); age > 0 {
		halfLife := e.halfLife
		if halfLife <= 0 {
			halfLife = defaultHalfLife
		}
		decay := math.Exp2(-float64(age) / float64(halfLife))
		e.sum *= decay
		e.weight *= decay
		e.at = now
	}
	e.sum += v
	e.weight++
}

// Value returns the mean; ok is false before the first value. Time that passes
// without values does not change it.
func (e *EWMA) Value() (v float64, ok bool) {
	if e.weight == 0 {
		return 0, false
	}
	return e.sum / e.weight, true
}
