package upstream

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/buffer"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// event returns an event of this attempt with what its response has said. It is
// a pointer because events passed about by value would make the stack of run's
// goroutine grow.
func (a *Attempt) event(kind spillway.EventKind) *spillway.Event {
	ev := &spillway.Event{
		Kind: kind, Attempt: a.number, RetryAfter: -1, Signals: spillway.NoSignals(),
		Replayable: a.call.Idempotent, Usage: a.usage, Finish: a.finish,
	}
	a.addCounts(ev)
	if a.resp != nil {
		ev.Status, ev.Signals, ev.ServedBy, ev.ServiceTier = a.resp.StatusCode, a.signals, a.servedBy, a.serviceTier
	}
	if a.streamReader != nil {
		ev.ServiceTier = a.stream.ServiceTier()
	}
	return ev
}

// addCounts puts what was counted so far into an event. The hold is read before the
// count, which addTokens writes first: so a token that is read meanwhile shows in one
// of them, and is never taken for silence.
func (a *Attempt) addCounts(ev *spillway.Event) {
	ev.Held = a.held()
	ev.Tokens = int(a.tokens.Load())
	ev.Blocked = time.Duration(a.tokenBlocked.Load())
	if at := a.tokenAt.Load(); at > 0 {
		ev.At = a.started.Add(time.Duration(at))
	}
}

// held is how long the client has held up reading since the newest token was read.
func (a *Attempt) held() time.Duration {
	total := time.Duration(a.blocked.Load())
	if total < 0 {
		total += time.Duration(a.sinceStart(a.call.Now()))
	}
	return max(total-time.Duration(a.tokenBlocked.Load()), 0)
}

// Progress returns the event that says how many tokens have arrived, and whether
// every choice has ended, if that is more than was reported, or how long the client
// holds up reading. It may be called while the response is read, by one goroutine at a
// time.
func (a *Attempt) Progress() (ev spillway.Event, more bool) {
	held := a.held() // before the count, as in addCounts
	n, finish := a.tokens.Load(), spillway.Finish(a.lastFinish.Load())
	ended := finish != spillway.FinishUnknown && !a.finishReported
	if a.canceled || n <= a.reported && !ended && held == 0 {
		return ev, false
	}
	a.reported, a.finishReported = n, a.finishReported || ended
	ev = spillway.Event{Kind: spillway.EventProgress, Attempt: a.number, Finish: finish}
	a.addCounts(&ev)
	return ev, true
}

// EndEvent returns the event of a response that Next has read. err is what ended
// it: io.EOF, or what broke it off.
func (a *Attempt) EndEvent(err error) *spillway.Event {
	switch {
	case a.fault != nil:
		return a.errorEvent(a.fault.Status, nil)
	case errors.Is(err, io.EOF):
		return a.event(spillway.EventDone)
	}
	ev := a.interruptedEvent(err)
	if errors.Is(err, buffer.ErrNoRoom) {
		ev.Class = spillway.FailureUnreadable
	}
	return ev
}

// failedEvent is the event of an attempt that got no response.
func (a *Attempt) failedEvent(err error) *spillway.Event {
	ev := a.event(spillway.EventFailed)
	ev.Class = spillway.FailureBroken
	switch {
	case a.unsent:
		ev.Class, ev.Replayable = spillway.FailureUnreachable, true
	case isTimeout(err):
		ev.Class = spillway.FailureSlow
	case errors.Is(err, buffer.ErrNoRoom):
		ev.Class = spillway.FailureUnreadable
	}
	a.logFailure(err)
	return ev
}

// unreadableEvent is the event of a response that cannot be parsed.
func (a *Attempt) unreadableEvent(err error) *spillway.Event {
	a.unreadable = true
	ev := a.event(spillway.EventFailed)
	ev.Class = spillway.FailureUnreadable
	a.logFailure(err)
	return ev
}

// interruptedEvent is the event of a response that ended early, or whose encoding cannot
// be read.
func (a *Attempt) interruptedEvent(err error) *spillway.Event {
	if d := a.decoded; d != nil && d.failed != nil {
		a.headTruncated = true
		return a.unreadableEvent(d.failed)
	}
	ev := a.event(spillway.EventFailed)
	ev.Class = spillway.FailureCut
	a.logError(slog.LevelDebug, ErrorText{Text: a.deployment.redact("the response ended early: " + err.Error())})
	return ev
}

// errorEvent returns the event of an error status and its body.
func (a *Attempt) errorEvent(status int, body []byte) *spillway.Event {
	ev := a.event(spillway.EventFailed)
	ev.Status = status
	if wait, ok := wire.ParseRetryAfter(a.resp.Header, a.call.Now()); ok {
		ev.RetryAfter = wait
	}
	if v := a.resp.Header[wire.HeaderShouldRetry]; len(v) > 0 && v[0] == "false" {
		ev.Hopeless = true
	}
	ev.Missing = status == http.StatusNotFound &&
		(bytes.Contains(body, []byte(wire.CodeDeploymentNotFound)) || bytes.Contains(body, []byte(wire.CodeModelNotFound)))
	fault := a.fault
	if fault == nil {
		fault = wire.ScanFault(body)
	}
	ev.NotFound = !ev.Missing && wire.ObjectNotFound(status, fault, a.call.Stored)
	if a.call.API != spillway.APIOther && !ev.Missing {
		ev.Unsupported = wire.OperationUnsupported(status, fault)
	}
	a.logError(slog.LevelDebug, ErrorText{Text: a.deployment.redact(describeError(status, fault, body))})
	return ev
}
