package rules

import (
	"cmp"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

// callerKey is a caller, or tenant, in one pool.
type callerKey struct{ pool, name string }

// caller is what it did there.
type caller struct {
	name     string
	byBucket map[int64]*callerCell
}

// callerCell is what a caller asked for in one bucket, as far as retries are known,
// and what of it was done.
type callerCell struct{ requests, work, done, met float64 }

// caller adds an observation to its caller.
func (c *Collector) caller(o *diagnose.Observation, home *deployment) {
	name := cmp.Or(o.Who(), unknownDeployment)
	who := c.callers[callerKey{home.pool, name}]
	if who == nil {
		if len(c.callers) >= maxCallers {
			name = others
			who = c.callers[callerKey{home.pool, name}]
		}
		if who == nil {
			who = &caller{name: name, byBucket: map[int64]*callerCell{}}
			c.callers[callerKey{home.pool, name}] = who
		}
	}
	at := who.byBucket[c.number(o.Time)]
	if at == nil {
		at = &callerCell{}
		who.byBucket[c.number(o.Time)] = at
		c.callerCells++
	}
	if o.Retry <= 0 { // a retry is no additional work
		at.requests++
		out := o.CompletionTokens
		if o.Failed() && out == 0 {
			out = int(share(c.answered.tokens, c.answered.n))
		}
		at.work += float64(o.PromptTokens) + home.ratio*float64(out)
	}
	if o.Complete() {
		at.done += float64(o.PromptTokens) + home.ratio*float64(o.CompletionTokens)
	}
	at.met += oneIf(o.Refused() || o.Queue >= longWait)
}
