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
	// By phase: when the first attempt started that failed after the last success,
	// zero when there is none, and the newest one that succeeded.
	failingSince, succeededAt [phases]time.Time
}

// groups tells what the requests of one group say from what the others say.
type groups struct {
	all    [maxGroups]group
	n      int // in use
	recent [recentFailures]failure
	next   int // place of the next one in recent
}

// recentFailures is more than maxFailed.
const recentFailures = 8

// failure is a failed attempt.
type failure struct {
	key uint64
	in  phase
	at  time.Time
}

// served counts a request that has begun to be answered.
func (g *groups) served(now, started time.Time, key uint64, window time.Duration) {
	g.find(now, key, window).requests.Add(now, 1)
	g.succeed(early, started, key)
}

// succeed notes a success in a phase. One that is older than the failures of its
// group says nothing about those.
func (g *groups) succeed(in phase, when time.Time, key uint64) {
	at := g.known(key)
	if at == nil {
		return
	}
	if !when.Before(at.failingSince[in]) {
		at.failingSince[in] = time.Time{}
	}
	at.succeededAt[in] = later(at.succeededAt[in], when)
}

// failed counts a failure of a group in a phase.
func (g *groups) failed(now time.Time, in phase, when time.Time, at *group) {
	if in == early {
		at.requests.Add(now, 1) // else served has counted it
	}
	at.failures.Add(now, 1)
	if at.failingSince[in].IsZero() && !when.Before(at.succeededAt[in]) {
		at.failingSince[in] = when
	}
	g.remember(in, when, at.key)
}

// remember adds a failure to the recent ones.
func (g *groups) remember(in phase, when time.Time, key uint64) {
	g.recent[g.next] = failure{key, in, when}
	g.next = (g.next + 1) % recentFailures
}

// known returns the group of a key, or nil.
func (g *groups) known(key uint64) *group {
	for i := range g.all[:g.n] {
		if g.all[i].key == key {
			return &g.all[i]
		}
	}
	return nil
}

// find returns the group of a key. A new one takes the place of the one with the
// fewest failures, and of those the fewest requests.
func (g *groups) find(now time.Time, key uint64, window time.Duration) *group {
	if at := g.known(key); at != nil {
		return at
	}
	if g.n < maxGroups {
		at := &g.all[g.n]
		g.n++
		*at = group{key: key, requests: stat.NewWindow(window, windowParts), failures: stat.NewWindow(window, windowParts)}
		return at
	}
	at, least := &g.all[0], g.all[0].weight(now)
	for i := 1; i < maxGroups; i++ {
		if w := g.all[i].weight(now); w < least {
			at, least = &g.all[i], w
		}
	}
	at.requests.Reset()
	at.failures.Reset()
	*at = group{key: key, requests: at.requests, failures: at.failures}
	return at
}

// weight orders groups by failures, then by requests.
func (g *group) weight(now time.Time) float64 {
	return g.failures.Sum(now)*1e6 + g.requests.Sum(now)
}

const (
	// maxFailed is how many of the last requests of the others may have failed for
	// their successes to count.
	maxFailed = 2
	// recentSuccess is how long a success of other callers counts, even when the
	// failures began after it.
	recentSuccess = 2 * time.Second
)

// contradicts reports whether the group with the most failures stands alone: since
// its requests began to fail in a phase, or at most recent before now, those of others
// have succeeded, the last of them too, and less than rate of them failed. Then the
// cause is in its requests and not in the deployment.
func (g *groups) contradicts(now time.Time, in phase, rate float64, recent time.Duration) bool {
	if g.n < 2 {
		return false
	}
	worst, most := &g.all[0], g.all[0].weight(now)
	for i := 1; i < g.n; i++ {
		if w := g.all[i].weight(now); w > most {
			worst, most = &g.all[i], w
		}
	}
	requests, failures, succeededAt := 0.0, 0.0, time.Time{}
	for i := range g.all[:g.n] {
		if at := &g.all[i]; at != worst && at.requests.Sum(now) > 0 {
			requests += at.requests.Sum(now)
			failures += at.failures.Sum(now)
			succeededAt = later(succeededAt, at.succeededAt[in])
		}
	}
	failed := 0 // of the others, since they last succeeded
	for _, f := range g.recent {
		if f.key != worst.key && f.in == in && f.at.After(succeededAt) {
			failed++
		}
	}
	since := succeededAt.After(worst.failingSince[in]) || now.Sub(succeededAt) < recent
	return since && failed <= maxFailed && failures < rate*requests
}

// failing returns how many groups have failed since they last succeeded.
func (g *groups) failing(now time.Time) int {
	n := 0
	for i := range g.all[:g.n] {
		if at := &g.all[i]; at.failures.Sum(now) > 0 && (!at.failingSince[early].IsZero() || !at.failingSince[late].IsZero()) {
			n++
		}
	}
	return n
}

// count returns how many groups had a failure in the last window, and how many a request.
func (g *groups) count(now time.Time) (failed, all int) {
	for i := range g.all[:g.n] {
		at := &g.all[i]
		if at.failures.Sum(now) > 0 {
			failed++
		}
		if at.failures.Sum(now) > 0 || at.requests.Sum(now) > 0 {
			all++
		}
	}
	return failed, all
}
