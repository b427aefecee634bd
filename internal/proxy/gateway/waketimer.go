package gateway

import (
	"runtime/debug"
	"sync"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
)

// wakeTimer wakes a flight's core while its handler forwards the response.
//
// active and timer are guarded by the pool's mutex. While active is set the flight's
// actions and wakeAt belong to the timer; after stopWakeTimer they belong to the
// handler again.
type wakeTimer struct {
	active   bool
	timer    *time.Timer
	panicked *upstream.Panic // a panic of the core, for the handler
	pending  sync.WaitGroup  // the timer, from its arming to the end of its function
}

// startWakeTimer arms the timer for the flight's wakeAt. The handler calls it
// before it forwards the response.
func (f *flight) startWakeTimer() {
	f.pool.mu.Lock()
	defer f.pool.mu.Unlock()
	f.wakeTimer.active = true
	f.wakeTimer.pending.Add(1)
	f.wakeTimer.timer = time.AfterFunc(f.wakeIn(), f.onWakeTimer)
	select { // a wake-up that was asked for before now
	case <-f.wakeNow:
		f.wakeTimer.fireNow()
	default:
	}
}

// fireNow makes the timer fire now, unless it has fired already. pool.mu is
// held.
func (w *wakeTimer) fireNow() {
	if w.timer.Stop() {
		w.timer.Reset(0)
	}
}

// never is longer than any stream.
const never = 365 * 24 * time.Hour

// wakeIn is the time until the next wake-up. pool.mu is held.
func (f *flight) wakeIn() time.Duration {
	if f.wakeAt.IsZero() {
		return never
	}
	return f.wakeAt.Sub(f.g.deps.Now())
}

// stopWakeTimer stops the timer and reports whether it has left actions to perform:
// then the core has settled the flight.
func (f *flight) stopWakeTimer() (verdict bool) {
	f.pool.mu.Lock()
	f.wakeTimer.active = false
	if f.wakeTimer.timer.Stop() {
		f.wakeTimer.pending.Done()
	}
	f.pool.mu.Unlock()
	f.wakeTimer.pending.Wait()
	if f.wakeTimer.panicked != nil {
		panic(f.wakeTimer.panicked)
	}
	return len(f.actions) > 0
}

// onWakeTimer reports progress and the wake-up. When the core ends the flight it
// leaves the actions where they are and stops the attempt, which ends the handler's
// read.
func (f *flight) onWakeTimer() {
	defer f.wakeTimer.pending.Done()
	f.pool.mu.Lock()
	defer f.pool.mu.Unlock()
	defer func() {
		if p := recover(); p != nil {
			f.wakeTimer.panicked = &upstream.Panic{Cause: p, Stack: debug.Stack()}
			f.forwarded.StopReading()
		}
	}()
	if !f.wakeTimer.active || len(f.actions) > 0 || f.forwarded.Complete() { // the handler reports the end
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
	f.wakeTimer.pending.Add(1)
	f.wakeTimer.timer.Reset(f.wakeIn())
}
