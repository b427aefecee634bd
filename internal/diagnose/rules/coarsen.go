package rules

import (
	"maps"
	"slices"
)

// coarsen doubles the length of the buckets.
func (c *Collector) coarsen() {
	c.bucket *= 2
	c.cells, c.callerCells = 0, 0
	half := func(n int64) int64 { return n >> 1 }
	for _, d := range c.deployments {
		old := d.byBucket
		d.byBucket, d.last = map[int64]*cell{}, nil
		for _, n := range slices.Sorted(maps.Keys(old)) {
			at := d.byBucket[half(n)]
			if at == nil {
				at = &cell{at: half(n)}
				d.byBucket[half(n)] = at
				c.cells++
			}
			at.join(old[n], n&1 == 1)
		}
	}
	for _, who := range c.callers {
		old := who.byBucket
		who.byBucket = map[int64]*callerCell{}
		for n, v := range old {
			at := who.byBucket[half(n)]
			if at == nil {
				at = &callerCell{}
				who.byBucket[half(n)] = at
				c.callerCells++
			}
			at.requests += v.requests
			at.work += v.work
			at.done += v.done
			at.met += v.met
		}
	}
	old := c.total.retryBuckets
	c.total.retryBuckets = map[int64]*retryCell{}
	for n, v := range old {
		at := c.total.retryBuckets[half(n)]
		if at == nil {
			at = &retryCell{}
			c.total.retryBuckets[half(n)] = at
		}
		at.first += v.first
		at.tries += v.tries
		at.deep += v.deep
		at.failed += v.failed
		at.late += v.late
		at.refused += v.refused
	}
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
	c.admitted += o.admitted
	c.asked += o.asked
	c.guessed += o.guessed
	c.counted += o.counted
	c.out += o.out
	c.took.join(o.took)
	c.pace.join(o.pace)
	c.first.join(o.first)
	c.prompt.join(&o.prompt)
	c.length.join(&o.length)
	c.whole.join(&o.whole)
	c.util += o.util
	c.utilN += o.utilN
	c.utilMax = max(c.utilMax, o.utilMax)
	c.metric += o.metric
	c.metricN += o.metricN
	c.cached += o.cached
	c.cachable += o.cachable
	c.longPrompts += o.longPrompts
	c.late += o.late
	c.lateShort += o.lateShort
	c.lateSilent += o.lateSilent
	c.left += o.left
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
