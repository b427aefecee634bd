package rules

import spillway "github.com/spillway-ai/spillway"

// parts divides a bucket of time, to see bursts: of a minute they are ten
// seconds.
const parts = 6

// cell is what one deployment did in one bucket of time. Counts are attempts,
// by the time that they were sent.
type cell struct {
	at int64 // bucket number

	tries, ok, refused, timedOut, broken float64
	// Requests that were refused or failed without an attempt, and those that
	// waited long, count at the pool's first deployment.
	unsent, unsentBroken, waited float64
	skipped                      float64 // sent elsewhere because the deployment is broken
	lost                         float64 // requests whose client got no whole answer, at the pool's first deployment

	work     float64 // input-token equivalents of answers
	tokens   float64 // prompt and output tokens used
	reserved float64 // prompt and output tokens that were reserved
	excess   float64 // reserved and not used, times the seconds that it was held
	out      float64 // output tokens

	pace   logMean // ms between tokens
	first  logMean // ms to the first token
	prompt line    // ms to the first token on tokens of prompt not cached
	length line    // ms of the whole on tokens of output

	util             float64 // sum
	utilN            float64
	utilMax          float64
	cached, cachable float64 // prompt tokens of prompts of 1,024 and more

	// What ran out of time, but for waiting: with a long window and a short
	// one, or silent.
	late, lateShort, lateSilent float64

	parts [parts]part

	sick bool // explained by an outage
	slow bool // decoding is slow here
}

// part is a sixth of a bucket.
type part struct{ first, tries, ok, refused float64 }

// pressure is how many requests met want of capacity, and of how many.
func (c *cell) pressure() (met, all float64) {
	return c.refused + c.unsent + c.waited, c.tries + c.unsent
}

// join adds o to c: two buckets become one. It keeps how the halves were
// divided as well as three parts each can.
func (c *cell) join(o *cell, second bool) {
	c.tries += o.tries
	c.ok += o.ok
	c.refused += o.refused
	c.timedOut += o.timedOut
	c.broken += o.broken
	c.unsent += o.unsent
	c.unsentBroken += o.unsentBroken
	c.waited += o.waited
	c.skipped += o.skipped
	c.lost += o.lost
	c.work += o.work
	c.tokens += o.tokens
	c.reserved += o.reserved
	c.excess += o.excess
	c.out += o.out
	c.pace.join(o.pace)
	c.first.join(o.first)
	c.prompt.join(&o.prompt)
	c.length.join(&o.length)
	c.util += o.util
	c.utilN += o.utilN
	c.utilMax = max(c.utilMax, o.utilMax)
	c.cached += o.cached
	c.cachable += o.cachable
	c.late += o.late
	c.lateShort += o.lateShort
	c.lateSilent += o.lateSilent
	shift := 0
	if second {
		shift = parts / 2
	}
	for i := range o.parts {
		p, q := &c.parts[shift+i/2], &o.parts[i]
		p.first += q.first
		p.tries += q.tries
		p.ok += q.ok
		p.refused += q.refused
	}
}

// deployment is everything about one deployment.
type deployment struct {
	name, region, model, pool string
	kind                      spillway.Kind
	tier                      int
	known                     spillway.Deployment // zero where nobody told
	told                      bool
	ratio                     float64 // input tokens that an output token weighs

	byBucket map[int64]*cell
	last     *cell
	cells    []*cell // sorted, once all are there

	pace, ttft, output sketch
	grants             choices
	spilledTo          map[string]*spill
}

// spill counts requests that this deployment's pool sent on to another tier.
type spill struct{ n, refused float64 }

// share is a/b, or 0.
func share(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}

// sum joins the cells that keep accepts.
func (d *deployment) sum(keep func(*cell) bool) cell {
	var all cell
	for _, c := range d.cells {
		if keep(c) {
			all.join(c, false)
		}
	}
	return all
}

func anyCell(*cell) bool { return true }

// callerKey is a caller, or tenant, in one pool.
type callerKey struct{ pool, name string }

// caller is what it did there.
type caller struct {
	name     string
	byBucket map[int64]*callerCell
}

type callerCell struct{ requests, work, met float64 }
