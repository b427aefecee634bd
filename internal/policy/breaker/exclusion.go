package breaker

import "time"

const (
	// maxExclusions bounds the kinds of requests that a breaker excludes.
	maxExclusions = 16
	// minStrikes is how many requests of a kind must fail here and succeed elsewhere
	// before the kind is excluded. One may be a coincidence.
	minStrikes = 2
	// strikeMemory is how long a failure counts for that.
	strikeMemory = 10 * time.Minute
	// excludeFor is how long a kind is excluded at first. It doubles up to
	// maxExcludeFor each time that the next request of the kind fails again.
	excludeFor    = 30 * time.Second
	maxExcludeFor = 10 * time.Minute
)

// exclusion is a kind of request that the deployment refused although another one
// served it.
type exclusion struct {
	key     uint64
	by      uint64 // who caused the first strike; 0 when anyone counts
	strikes int
	since   time.Time // start of the first attempt of those
	at      time.Time // of the last strike
	until   time.Time
	// probeUntil is when the next request may try, if the one that tries now says
	// nothing.
	probeUntil time.Time
}

// exclusions are the kinds of requests that are not sent to a deployment.
type exclusions struct {
	all [maxExclusions]exclusion
	n   int // in use
}

// strike is a request of a kind that was refused here and served elsewhere.
type strike struct {
	key, by uint64
	started time.Time // of the attempt
}

// strike counts a strike, and excludes its kind when there are enough. If by is not 0,
// the first two must be of different ones.
func (x *exclusions) strike(now time.Time, s strike) {
	by := s.by
	at := x.find(s.key)
	if at == nil {
		at = x.place(now)
		*at = exclusion{key: s.key, by: by, since: s.started}
	}
	switch {
	case now.Before(at.until), s.started.Before(at.at):
		return // it was under way at the last strike: they may have one cause in common
	case now.Sub(later(at.at, at.until)) > strikeMemory:
		at.strikes, at.by, at.since = 0, by, s.started
	case at.strikes == 1 && by != 0 && by == at.by:
		at.at = now
		return
	}
	at.strikes++
	at.at = now
	if at.strikes < minStrikes {
		return
	}
	d := excludeFor
	for i := minStrikes; i < at.strikes && d < maxExcludeFor; i++ {
		d = min(2*d, maxExcludeFor)
	}
	at.until = now.Add(d)
}

// acquire notes that a request of a kind is sent. If the kind was excluded, it is the
// only one until its result is known.
func (x *exclusions) acquire(now time.Time, key uint64) {
	if at := x.find(key); at != nil && at.strikes >= minStrikes {
		at.probeUntil = now.Add(probeTimeout)
	}
}

// probeTimeout is how long such a request keeps others from trying.
const probeTimeout = 5 * time.Second

// place returns an unused entry, or the oldest of those that exclude nothing and have
// had their chance to, or the oldest.
func (x *exclusions) place(now time.Time) *exclusion {
	if x.n < maxExclusions {
		x.n++
		return &x.all[x.n-1]
	}
	kept := func(e *exclusion) bool { return now.Before(e.until) || now.Sub(e.at) < time.Minute }
	best := &x.all[0]
	for i := range x.all {
		at := &x.all[i]
		if kept(best) && !kept(at) || kept(at) == kept(best) && at.at.Before(best.at) {
			best = at
		}
	}
	return best
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// clear forgets a kind: a request of it was served that started at started. One from
// before the strikes says nothing about them.
func (x *exclusions) clear(key uint64, started time.Time) {
	if at := x.find(key); at != nil && !started.Before(at.since) {
		x.n--
		*at = x.all[x.n]
		x.all[x.n] = exclusion{}
	}
}

// until returns when the exclusion of a kind ends; zero when it is not excluded.
func (x *exclusions) until(now time.Time, key uint64) time.Time {
	if at := x.find(key); at != nil {
		if until := later(at.until, at.probeUntil); now.Before(until) {
			return until
		}
	}
	return time.Time{}
}

// count returns how many kinds are excluded.
func (x *exclusions) count(now time.Time) int {
	n := 0
	for i := range x.all[:x.n] {
		if now.Before(x.all[i].until) {
			n++
		}
	}
	return n
}

func (x *exclusions) find(key uint64) *exclusion {
	for i := range x.all[:x.n] {
		if x.all[i].key == key {
			return &x.all[i]
		}
	}
	return nil
}
