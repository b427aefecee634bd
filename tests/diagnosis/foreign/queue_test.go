// Package foreign holds the diagnosis of imported logs to worlds that share
// nothing with the gateway, its simulator or its fleet model: queues, speeds,
// limits, clients and an API Management gateway of their own, written from
// Azure's documentation, which log in Azure's own formats.
package foreign

import (
	"container/heap"
	"math"
)

// An engine runs events in the order of their time, which is in seconds.
type engine struct {
	now    float64
	events eventHeap
	seq    int
}

type event struct {
	at  float64
	seq int
	do  func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// after runs an event d seconds from now.
func (e *engine) after(d float64, do func()) { e.at(e.now+d, do) }

func (e *engine) at(t float64, do func()) {
	e.seq++
	heap.Push(&e.events, event{at: math.Max(t, e.now), seq: e.seq, do: do})
}

func (e *engine) run() {
	for len(e.events) > 0 {
		x := heap.Pop(&e.events).(event)
		e.now = x.at
		x.do()
	}
}

// A server shares its processor among jobs. A job's work is what it takes alone,
// in seconds; law is by what n jobs slow each other down, factor by what all are
// slower at a time. With slots, more jobs than that wait in the order of their
// arrival.
type server struct {
	e       *engine
	slots   int // 0: no limit
	law     func(n int) float64
	factor  func(t float64) float64
	jobs    jobHeap
	waiting []*job
	clock   float64 // work that a job of this server has had done since the start
	last    float64
	wake    int // the only valid wake-up
}

type job struct {
	work   float64
	from   float64 // the clock at the start
	finish float64 // the clock at the end
	index  int     // in jobs; -1 where it waits or is over
	over   bool
	done   func()
}

type jobHeap []*job

func (h jobHeap) Len() int           { return len(h) }
func (h jobHeap) Less(i, j int) bool { return h[i].finish < h[j].finish }
func (h jobHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *jobHeap) Push(x any) {
	j := x.(*job)
	j.index = len(*h)
	*h = append(*h, j)
}

func (h *jobHeap) Pop() any {
	old := *h
	j := old[len(old)-1]
	*h = old[:len(old)-1]
	j.index = -1
	return j
}

// pace is how much of a job's work is done per second now.
func (s *server) pace() float64 {
	p := 1.0
	if s.law != nil {
		p *= s.law(max(1, len(s.jobs)))
	}
	if s.factor != nil {
		p *= s.factor(s.last)
	}
	return 1 / p
}

// advance brings the clock up to now.
func (s *server) advance() {
	s.clock += (s.e.now - s.last) * s.pace()
	s.last = s.e.now
}

// plan sets the next wake-up: the next end of a job, and at the latest in a
// second, when factor may differ.
func (s *server) plan() {
	s.wake++
	if len(s.jobs) == 0 {
		return
	}
	d := math.Max(0, (s.jobs[0].finish-s.clock)/s.pace())
	if s.factor != nil {
		d = math.Min(d, 1)
	}
	mine := s.wake
	s.e.after(d, func() {
		if mine == s.wake {
			s.turn()
		}
	})
}

// turn ends the jobs whose work is done and starts those that waited.
func (s *server) turn() {
	s.advance()
	var ended []*job
	for len(s.jobs) > 0 && s.jobs[0].finish <= s.clock+1e-9 {
		j := heap.Pop(&s.jobs).(*job)
		j.over = true
		ended = append(ended, j)
	}
	s.admit()
	s.plan()
	for _, j := range ended {
		j.done()
	}
}

func (s *server) admit() {
	for len(s.waiting) > 0 && (s.slots == 0 || len(s.jobs) < s.slots) {
		j := s.waiting[0]
		s.waiting = s.waiting[1:]
		if j.over {
			continue
		}
		j.from = s.clock
		j.finish = s.clock + j.work
		heap.Push(&s.jobs, j)
	}
}

func (s *server) start(work float64, done func()) *job {
	j := &job{work: work, index: -1, done: done}
	s.advance()
	s.waiting = append(s.waiting, j)
	s.admit()
	s.plan()
	return j
}

// stop ends a job early and returns the share of its work that was done.
func (s *server) stop(j *job) float64 {
	if j == nil {
		return 0
	}
	if j.over {
		return 1
	}
	j.over = true
	if j.index < 0 {
		return 0
	}
	s.advance()
	share := math.Min(1, (s.clock-j.from)/math.Max(j.work, 1e-9))
	heap.Remove(&s.jobs, j.index)
	s.admit()
	s.plan()
	return share
}
