package fleet

// flight is an accepted request that has not completed.
type flight struct {
	reserved float64 // output part of the reservation, input-token equivalents
	rate     float64 // its share of Server.decode
}

// flights holds the requests under way in places that are used again. An id is
// a place and how often it had been taken, so that it never names a later
// request; no id is 0.
type flights struct {
	places []place
	free   []uint32
}

type place struct {
	flight
	taken uint32 // times; odd while it is
}

// takenBits is the low part of an id, which counts how often its place was taken.
const takenBits = 32

// add takes a place and returns its id.
func (l *flights) add(f flight) uint64 {
	if len(l.free) == 0 {
		l.free = append(l.free, uint32(len(l.places)))
		l.places = append(l.places, place{})
	}
	last := len(l.free) - 1
	at := l.free[last]
	l.free = l.free[:last]
	p := &l.places[at]
	p.flight = f
	p.taken++
	return uint64(at)<<takenBits | uint64(p.taken)
}

// remove frees the place of an id, unless that has been done.
func (l *flights) remove(id uint64) (flight, bool) {
	at := id >> takenBits
	if at >= uint64(len(l.places)) {
		return flight{}, false
	}
	p := &l.places[at]
	if p.taken != uint32(id) || p.taken%2 == 0 {
		return flight{}, false
	}
	p.taken++
	l.free = append(l.free, uint32(at))
	return p.flight, true
}

// count is how many are under way.
func (l *flights) count() int { return len(l.places) - len(l.free) }
