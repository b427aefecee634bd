package breaker

import (
	"time"

	"github.com/spillway-ai/spillway/internal/stat"
)

// Suspect says which requests may fail for the same reason: those of one caller,
// and those of one shape. Both are hashes of the caller's choice.
type Suspect struct{ Caller, Shape uint64 }

// maxGroups bounds the callers, and the shapes, that a breaker tells apart.
const maxGroups = 16

// group counts the requests of one caller or one shape in the last window.
type group struct {
	key                uint64
	requests, failures *stat.Window
	failingSince       time.Time // start of the first failed attempt after the last success; zero when there is none
	failed             int       // attempts since then
	succeededAt        time.Time // start of the newest attempt that succeeded
}

// groups tells what the requests of one group say from what the others say.
type groups struct {
	all [maxGroups]group
	n   int // in use
}

// record counts an attempt that started at started.
func (g *groups) record(now, started time.Time, key uint64, window time.Duration, ok bool) {
	at := g.find(now, key, window)
	at.requests.Add(now, 1)
	if ok {
		at.failingSince, at.failed = time.Time{}, 0
		if started.After(at.succeededAt) {
			at.succeededAt = started
		}
		return
	}
	at.failures.Add(now, 1)
	at.failed++
	if at.failingSince.IsZero() {
		at.failingSince = started
	}
}

// find returns the group of a key. A new one takes the place of the one with the
// fewest failures, and of those the fewest requests.
func (g *groups) find(now time.Time, key uint64, window time.Duration) *group {
	for i := range g.all[:g.n] {
		if g.all[i].key == key {
			return &g.all[i]
		}
	}
	at := &g.all[0]
	if g.n < maxGroups {
		at = &g.all[g.n]
		g.n++
	} else {
		for i := range g.all {
			if g.all[i].weight(now) < at.weight(now) {
				at = &g.all[i]
			}
		}
	}
	*at = group{key: key, requests: stat.NewWindow(window, windowParts), failures: stat.NewWindow(window, windowParts)}
	return at
}

// weight orders groups by failures, then by requests.
func (g *group) weight(now time.Time) float64 {
	return g.failures.Sum(now)*1e6 + g.requests.Sum(now)
}

// maxFailed is how many of the last requests of the others may have failed for their
// successes to count.
const maxFailed = 1

// contradicts reports whether the group with the most failures stands alone: since
// its requests began to fail, those of others have succeeded, the last of them too,
// and less than rate of them failed. Then the cause is in its requests and not in the
// deployment.
func (g *groups) contradicts(now time.Time, rate float64) bool {
	if g.n < 2 {
		return false
	}
	worst := &g.all[0]
	for i := range g.all[:g.n] {
		if at := &g.all[i]; at.weight(now) > worst.weight(now) {
			worst = at
		}
	}
	requests, failures, succeededAt := 0.0, 0.0, time.Time{}
	for i := range g.all[:g.n] {
		if at := &g.all[i]; at != worst && at.requests.Sum(now) > 0 {
			requests += at.requests.Sum(now)
			failures += at.failures.Sum(now)
			if at.succeededAt.After(succeededAt) {
				succeededAt = at.succeededAt
			}
		}
	}
	failed := 0 // since the others' last success
	for i := range g.all[:g.n] {
		if at := &g.all[i]; at != worst && at.failingSince.After(succeededAt) {
			failed += at.failed
		}
	}
	return succeededAt.After(worst.failingSince) && failed <= maxFailed && failures < rate*requests
}

// failing returns how many groups have failed since they last succeeded.
func (g *groups) failing(now time.Time) int {
	n := 0
	for i := range g.all[:g.n] {
		if at := &g.all[i]; !at.failingSince.IsZero() && at.failures.Sum(now) > 0 {
			n++
		}
	}
	return n
}
