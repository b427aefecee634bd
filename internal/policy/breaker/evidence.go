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
	succeededAt        time.Time // start of the newest attempt that succeeded
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
	key     uint64
	started time.Time
}

// record counts an attempt that started at started. A success of one that started
// before the failures of its group says nothing about those.
func (g *groups) record(now, started time.Time, key uint64, window time.Duration, ok bool) {
	at := g.find(now, key, window)
	at.requests.Add(now, 1)
	if ok {
		if !started.Before(at.failingSince) {
			at.failingSince = time.Time{}
		}
		if started.After(at.succeededAt) {
			at.succeededAt = started
		}
		return
	}
	at.failures.Add(now, 1)
	if at.failingSince.IsZero() {
		at.failingSince = started
	}
	g.remember(started, key)
}

// remember adds a failure to the recent ones.
func (g *groups) remember(started time.Time, key uint64) {
	g.recent[g.next] = failure{key, started}
	g.next = (g.next + 1) % recentFailures
}

// find returns the group of a key. A new one takes the place of the one with the
// fewest failures, and of those the fewest requests.
func (g *groups) find(now time.Time, key uint64, window time.Duration) *group {
	for i := range g.all[:g.n] {
		if g.all[i].key == key {
			return &g.all[i]
		}
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
// its requests began to fail, or at most recent before now, those of others have
// succeeded, the last of them too, and less than rate of them failed. Then the cause is
// in its requests and not in the deployment.
func (g *groups) contradicts(now time.Time, rate float64, recent time.Duration) bool {
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
			if at.succeededAt.After(succeededAt) {
				succeededAt = at.succeededAt
			}
		}
	}
	failed := 0 // of the others, since they last succeeded
	for _, f := range g.recent {
		if f.key != worst.key && f.started.After(succeededAt) {
			failed++
		}
	}
	since := succeededAt.After(worst.failingSince) || now.Sub(succeededAt) < recent
	return since && failed <= maxFailed && failures < rate*requests
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
