package gateway

import (
	"runtime/debug"
	"sync"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
)

// wakeTimer wakes a flight's core while its handler forwards the response, and sends
// the heartbeats of a stream.
//
// Its fields are guarded by the pool's mutex. While active is set the flight's
// actions and wakeAt belong to the timer; after stopWakeTimer they belong to the
// handler again.
type wakeTimer struct {
	active   bool
	due      bool // the engine wants the flight woken, whatever wakeAt
	timer    *time.Timer
	beatAt   time.Time       // when a heartbeat may be due; zero means never
	panicked *upstream.Panic // a panic of the core, for the handler
	pending  sync.WaitGroup  // the timer, from its arming to the end of its function
}

// startWakeTimer arms the timer for the flight's wakeAt. The handler calls it
// before it forwards the response.
func (f *flight) startWakeTimer() {
	f.pool.mu.Lock()
	defer f.pool.mu.Unlock()
	w := &f.wakeTimer
	if every := f.snap.limits.Heartbeat; every > 0 && f.forwarded.Form() == upstream.Streamed {
		w.beatAt = f.g.deps.Now().Add(every)
	}
	w.active = true
	w.pending.Add(1)
	w.timer = time.AfterFunc(f.wakeIn(), f.onWakeTimer)
	select { // a wake-up that was asked for before now
	case <-f.wakeNow:
		w.fireNow()
	default:
	}
}

// fireNow makes the timer fire now, unless it has fired already. pool.mu is
// held.
func (w *wakeTimer) fireNow() {
	w.due = true
	if w.timer.Stop() {
		w.timer.Reset(0)
	}
}

// never is longer than any stream.
const never = 365 * 24 * time.Hour

// wakeIn is the time until the next wake-up or heartbeat. pool.mu is held.
func (f *flight) wakeIn() time.Duration {
	now, wait := f.g.deps.Now(), never
	for _, at := range [...]time.Time{f.wakeAt, f.wakeTimer.beatAt} {
		if !at.IsZero() {
			wait = min(wait, at.Sub(now))
		}
	}
	return wait
}

// stopWakeTimer stops the timer and reports whether it has left actions to perform:
// then the core has settled the flight.
func (f *flight) stopWakeTimer() (verdict bool) {
	f.disarmWakeTimer()
	if f.wakeTimer.panicked != nil {
		panic(f.wakeTimer.panicked)
	}
	return len(f.actions) > 0
}

// disarmWakeTimer stops the timer, if it was started, and waits for it.
func (f *flight) disarmWakeTimer() {
	if f.wakeTimer.timer == nil {
		return
	}
	f.pool.mu.Lock()
	f.wakeTimer.active = false
	if f.wakeTimer.timer.Stop() {
		f.wakeTimer.pending.Done()
	}
	f.pool.mu.Unlock()
	f.wakeTimer.pending.Wait()
}

// onWakeTimer does what is due. A heartbeat is sent after the timer was armed again
// and without the pool's mutex, since the client can hold it up.
func (f *flight) onWakeTimer() {
	defer f.wakeTimer.pending.Done()
	if f.wakeFromTimer() && f.sendHeartbeat() != nil {
		f.leaveFromTimer()
	}
}

// wakeFromTimer wakes the core if that is due, and arms the timer again. When the core
// ends the flight, wakeFromTimer leaves the actions where they are and stops the
// attempt, which ends the handler's read. It reports whether the caller must send a
// heartbeat.
func (f *flight) wakeFromTimer() (beat bool) {
	f.pool.mu.Lock()
	defer f.pool.mu.Unlock()
	defer f.recoverFromTimer()
	w := &f.wakeTimer
	if f.timerIsDone() {
		return false
	}
	now := f.g.deps.Now()
	if w.due || !f.wakeAt.IsZero() && !now.Before(f.wakeAt) {
		w.due = false
		f.reportFromTimer(spillway.EventWake)
	}
	if len(f.actions) > 0 {
		return false
	}
	if !w.beatAt.IsZero() && !now.Before(w.beatAt) {
		w.beatAt, beat = f.claimHeartbeat(now)
	}
	w.pending.Add(1)
	w.timer.Reset(f.wakeIn())
	return beat
}

// leaveFromTimer ends the flight, because a heartbeat did not reach the client.
func (f *flight) leaveFromTimer() {
	f.pool.mu.Lock()
	defer f.pool.mu.Unlock()
	defer f.recoverFromTimer()
	if !f.timerIsDone() {
		f.reportFromTimer(spillway.EventGone)
	}
}

// timerIsDone reports whether the handler reports the end of the flight itself, or the
// timer has left it actions. pool.mu is held.
func (f *flight) timerIsDone() bool {
	return !f.wakeTimer.active || len(f.actions) > 0 || f.forwarded.Complete()
}

// reportFromTimer reports progress and an event to the core. pool.mu is held.
func (f *flight) reportFromTimer(kind spillway.EventKind) {
	if ev, more := f.forwarded.Progress(); more {
		f.setStep(f.core.On(f.g.deps.Now(), ev))
	}
	if len(f.actions) == 0 {
		f.setStep(f.core.On(f.g.deps.Now(), spillway.Event{Kind: kind}))
	}
	f.pool.wakeReady()
	if len(f.actions) > 0 {
		f.forwarded.StopReading()
	}
}

// recoverFromTimer hands a panic of the core over to the handler. pool.mu is held.
func (f *flight) recoverFromTimer() {
	if p := recover(); p != nil {
		f.wakeTimer.panicked = &upstream.Panic{Cause: p, Stack: debug.Stack()}
		f.forwarded.StopReading()
	}
}
