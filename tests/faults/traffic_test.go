//go:build linux

package faults

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// many sends n requests, at most atOnce at a time, and returns their replies in
// the order of sending.
func (w *world) many(n, atOnce int, makeAsk func(i int) ask) []*reply {
	w.t.Helper()
	replies := make([]*reply, n)
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			replies[i] = w.do(makeAsk(i))
		})
	}
	all.Wait()
	return replies
}

// rate sends requests at a constant rate, whether or not they are answered, and
// returns their replies in the order of sending.
func (w *world) rate(perSecond float64, span time.Duration, makeAsk func(i int) ask) []*reply {
	w.t.Helper()
	every := time.Duration(float64(time.Second) / perSecond)
	replies := make([]*reply, int(span/every))
	tick := time.NewTicker(every)
	defer tick.Stop()
	var all sync.WaitGroup
	for i := range replies {
		all.Go(func() { replies[i] = w.do(makeAsk(i)) })
		<-tick.C
	}
	all.Wait()
	return replies
}

// turns is a request of each caller in turn.
func turns(i int) ask { return ask{caller: callers[i%len(callers)]} }

// countOK counts the complete responses.
func countOK(replies []*reply) (n int) {
	for _, r := range replies {
		if r.ok() {
			n++
		}
	}
	return n
}

// statuses is a count of replies by status, for messages.
func statuses(replies []*reply) string {
	count := map[int]int{}
	for _, r := range replies {
		status := r.status
		if status == 200 && !r.ok() {
			status = -200 // broken off
		}
		count[status]++
	}
	var parts []string
	for status, n := range count {
		parts = append(parts, fmt.Sprintf("%d × %d", n, status))
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}

// wantOK demands that at least a share of replies is complete.
func (w *world) wantOK(what string, replies []*reply, share float64) {
	w.t.Helper()
	if n := countOK(replies); float64(n) < share*float64(len(replies)) {
		w.t.Errorf("%s: %d of %d answered, want %.1f%%: %s; the first failure: %s",
			what, n, len(replies), 100*share, statuses(replies), firstFailure(replies))
	}
}

func firstFailure(replies []*reply) *reply {
	for _, r := range replies {
		if !r.ok() {
			return r
		}
	}
	return nil
}

// percentile is a quantile of the time that replies took.
func percentile(replies []*reply, q float64) time.Duration {
	list := make([]time.Duration, 0, len(replies))
	for _, r := range replies {
		list = append(list, r.took)
	}
	slices.Sort(list)
	if len(list) == 0 {
		return 0
	}
	return list[min(len(list)-1, int(q*float64(len(list))))]
}

// wantServed demands a complete response from a lane.
func (w *world) wantServed(r *reply, by string) bool {
	w.t.Helper()
	if !r.ok() || r.get("x-spillway-deployment") != by {
		w.t.Errorf("want a response of %s, got %s", by, r)
		return false
	}
	return true
}

// wantStatus demands a status.
func (w *world) wantStatus(r *reply, status int) {
	w.t.Helper()
	if r.status != status || r.err != nil {
		w.t.Errorf("want status %d, got %s", status, r)
	}
}

// wantCount demands that a peer has read as many requests.
func (w *world) wantCount(what string, p *peer, atMost int) {
	w.t.Helper()
	if n := p.count(); n > atMost {
		w.t.Errorf("%s: %d requests, at most %d expected", what, n, atMost)
	}
}

// wait waits for a time that the scenario needs, not for something to happen.
func wait(d time.Duration) { <-time.After(d) }
