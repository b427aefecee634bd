package gateway

import (
	"runtime/debug"
	"sync"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
)

// watch keeps a flight's wake-ups while its handler is busy pumping.
//
// on and timer are guarded by the pool's mutex. While on is set the flight's
// actions and wakeAt belong to the watch; the handler has them back after stop.
type watch struct {
	on      bool
	timer   *time.Timer
	crash   *upstream.Panic // a panic of the core, for the handler
	pending sync.WaitGroup  // the timer, from its arming to the end of its function
}

// startWatch arms the watch for the flight's wakeAt. The handler calls it
// before it pumps.
func (f *flight) startWatch() {
	f.pool.mu.Lock()
	defer f.pool.mu.Unlock()
	f.watch.on = true
	f.watch.pending.Add(1)
	f.watch.timer = time.AfterFunc(f.wakeIn(), f.onWatch)
	select { // a wake-up that was asked for before now
	case <-f.wakeNow:
		f.watch.hurry()
	default:
	}
}

// hurry brings the wake-up forward. A timer that has fired is on its way
// already. pool.mu is held.
func (w *watch) hurry() {
	if w.timer.Stop() {
		w.timer.Reset(0)
	}
}

// never is longer than any stream.
const never = 365 * 24 * time.Hour

// wakeIn is how long the core wants to be left alone. pool.mu is held.
func (f *flight) wakeIn() time.Duration {
	if f.wakeAt.IsZero() {
		return never
	}
	return f.wakeAt.Sub(f.g.deps.Now())
}

// stopWatch ends the watch and reports whether it has left something to do in
// actions: then the core has settled the flight.
func (f *flight) stopWatch() (verdict bool) {
	f.pool.mu.Lock()
	f.watch.on = false
	if f.watch.timer.Stop() {
		f.watch.pending.Done()
	}
	f.pool.mu.Unlock()
	f.watch.pending.Wait()
	if f.watch.crash != nil {
		panic(f.watch.crash)
	}
	return len(f.actions) > 0
}

// onWatch reports progress and the wake-up. When the core ends the flight it
// leaves the actions where they are and stops the attempt, which ends the handler's
// read.
func (f *flight) onWatch() {
	defer f.watch.pending.Done()
	f.pool.mu.Lock()
	defer f.pool.mu.Unlock()
	defer func() {
		if p := recover(); p != nil {
			f.watch.crash = &upstream.Panic{Cause: p, Stack: debug.Stack()}
			f.forwarded.StopReading()
		}
	}()
	if !f.watch.on || len(f.actions) > 0 || f.forwarded.Complete() { // the handler reports the end
		return
	}
	if ev, more := f.forwarded.Progress(); more {
		f.setStep(f.core.On(f.g.deps.Now(), ev))
	}
	if len(f.actions) == 0 {
		f.setStep(f.core.On(f.g.deps.Now(), spillway.Event{Kind: spillway.EventWake}))
	}
	f.pool.wakeReady()
	if len(f.actions) > 0 {
		f.forwarded.StopReading()
		return
	}
	f.watch.pending.Add(1)
	f.watch.timer.Reset(f.wakeIn())
}
