package azuresim

import (
	"context"
	"time"
)

// clock is virtual time: the wall clock sped up by scale since start.
type clock struct {
	wall  func() time.Time
	start time.Time
	scale float64
}

func newClock(wall func() time.Time, scale float64) clock {
	if wall == nil {
		wall = time.Now
	}
	if scale <= 0 {
		scale = 1
	}
	return clock{wall: wall, start: wall(), scale: scale}
}

// now is the virtual time.
func (c *clock) now() time.Time {
	return c.start.Add(time.Duration(float64(c.wall().Sub(c.start)) * c.scale))
}

// real is the wall time that a virtual duration takes.
func (c *clock) real(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.scale)
}

// pacer waits for the instants of one response. It belongs to one goroutine.
type pacer struct {
	clock *clock
	ctx   context.Context
	began time.Time // virtual
	timer *time.Timer
}

// elapsed is the virtual time since the response began.
func (p *pacer) elapsed() time.Duration { return p.clock.now().Sub(p.began) }

// until waits for a virtual instant and reports whether the client is still
// there.
func (p *pacer) until(at time.Duration) bool {
	for {
		d := p.clock.real(at - p.elapsed())
		if d <= 0 {
			return p.ctx.Err() == nil
		}
		if p.timer == nil {
			p.timer = time.NewTimer(d)
		} else {
			p.timer.Reset(d)
		}
		select {
		case <-p.ctx.Done():
			return false
		case <-p.timer.C:
			if p.clock.scale > 1 {
				return true // the rest is rounding
			}
		}
	}
}

func (p *pacer) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
