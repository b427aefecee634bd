package length

// fullCount is the number of responses at which all counts are halved, so that the
// last thousand responses always weigh as much as all before them.
const fullCount = 1024

// distribution is the lengths of responses, of which some were cut before their
// end and are known only to be at least so long ("right-censored").
type distribution struct {
	complete histogram
	cut      histogram
}

// count is the number of responses.
func (d *distribution) count() int { return int(d.complete.n) + int(d.cut.n) }

func (d *distribution) add(tokens int, complete bool) {
	if complete {
		d.complete.add(tokens)
	} else {
		d.cut.add(tokens)
	}
	if d.count() >= fullCount {
		d.scale(0.5)
	}
}

// scale multiplies the counts by a factor of at most 1.
func (d *distribution) scale(by float64) {
	d.complete.scale(by)
	d.cut.scale(by)
}

// quantile returns the q-quantile, interpolated within its bucket, and 0 when
// nothing is known. atLeast says that it lies beyond the longest responses, which
// were cut: the result is then the greatest length of their bucket.
//
// It is the Kaplan–Meier estimate over buckets, in Efron's form ("The two
// sample problem with censored data", 1967): going up in length, the weight of
// each response that was cut is shared out equally among all responses that went
// on for longer. Within one bucket, complete responses count as the shorter ones.
func (d *distribution) quantile(q float64) (tokens int, atLeast bool) {
	n := d.count()
	if n == 0 {
		return 0, false
	}
	var (
		rank   = min(max(q, 0), 1) * float64(n)
		below  = 0.0 // weight of the complete responses of the buckets before
		weight = 1.0 // of each response that is at least as long as the bucket
		left   = n   // how many those are
		top    = int(max(d.complete.top, d.cut.top))
	)
	for bin := 0; bin <= top; bin++ {
		complete, cut := int(d.complete.bins[bin]), int(d.cut.bins[bin])
		if complete+cut == 0 {
			continue
		}
		inside := weight * float64(complete)
		left -= complete + cut
		// Without longer responses to take it, rounding has no say in where the
		// last weight is.
		if complete > 0 && (below+inside >= rank || left+cut == 0) {
			from, to := edge(bin), edge(bin+1)
			share := min((rank-below)/inside, 1)
			return from + int(float64(to-1-from)*share+0.5), false
		}
		if left == 0 {
			return edge(bin+1) - 1, true
		}
		below += inside
		weight *= float64(left+cut) / float64(left)
	}
	return 0, false
}
