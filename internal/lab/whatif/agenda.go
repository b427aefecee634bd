package whatif

import "time"

// agenda orders the running calls by their next instant: a binary heap in which
// each call stores its index, so that it has one entry however often that
// instant changes.
type agenda struct{ entries []entry }

type entry struct {
	at    time.Duration
	order uint64 // decides between equal instants
	call  *call
}

func (e *entry) before(o *entry) bool { return e.at < o.at || e.at == o.at && e.order < o.order }

// first returns the earliest entry; false when the agenda is empty.
func (g *agenda) first() (time.Duration, *call, bool) {
	if len(g.entries) == 0 {
		return 0, nil, false
	}
	return g.entries[0].at, g.entries[0].call, true
}

// schedule adds a call, or moves it to another instant.
func (g *agenda) schedule(c *call, at time.Duration) {
	if c.agendaIndex < 0 {
		c.agendaIndex = len(g.entries)
		g.entries = append(g.entries, entry{at, c.index, c})
		g.up(c.agendaIndex)
		return
	}
	was := g.entries[c.agendaIndex].at
	if g.entries[c.agendaIndex].at = at; at < was {
		g.up(c.agendaIndex)
	} else if at > was {
		g.down(c.agendaIndex)
	}
}

// remove removes a call.
func (g *agenda) remove(c *call) {
	i, last := c.agendaIndex, len(g.entries)-1
	if i < 0 {
		return
	}
	c.agendaIndex = -1
	moved := g.entries[last]
	g.entries[last] = entry{}
	g.entries = g.entries[:last]
	if i == last {
		return
	}
	g.entries[i] = moved
	moved.call.agendaIndex = i
	g.up(i)
	g.down(moved.call.agendaIndex)
}

func (g *agenda) up(i int) {
	e := g.entries[i]
	for i > 0 {
		parent := (i - 1) / 2
		if !e.before(&g.entries[parent]) {
			break
		}
		g.put(i, g.entries[parent])
		i = parent
	}
	g.put(i, e)
}

func (g *agenda) down(i int) {
	e := g.entries[i]
	for {
		child := 2*i + 1
		if child >= len(g.entries) {
			break
		}
		if right := child + 1; right < len(g.entries) && g.entries[right].before(&g.entries[child]) {
			child = right
		}
		if !g.entries[child].before(&e) {
			break
		}
		g.put(i, g.entries[child])
		i = child
	}
	g.put(i, e)
}

func (g *agenda) put(i int, e entry) {
	g.entries[i] = e
	e.call.agendaIndex = i
}
