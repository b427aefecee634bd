package policy

import (
	"math/bits"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/breaker"
)

// A failure is evidence about the request, its caller, the deployment and the path
// to it. What it says about the deployment is decided when the flight settles: the
// deployment is blamed when another one served the same request, and the request
// when it failed the same way elsewhere.

// suspect identifies the requests that may fail for the same reason as this one, and
// operation those that ask for the same operation.
func suspect(req *spillway.Request) (who breaker.Suspect, operation uint64) {
	h := hash(fnvOffset, req.Caller)
	who.Caller = h
	operation = hashBit(hash(fnvOffset, req.Route), req.Stream)
	h = hash(operation, req.Model)
	h = hash(h^0xff, req.ServiceTier)
	h = hash(h^0xff, req.Tenant) // which the caller may choose
	for _, flag := range [...]bool{req.Structured, req.Tools, req.Reasoning, req.Choices > 1} {
		h = hashBit(h, flag)
	}
	h = hashByte(h, byte(bits.Len(uint(max(req.BodyBytes, 0)))))
	who.Shape = hashByte(h, byte(bits.Len(uint(max(req.AskTokens, 0)))))
	return who, operation
}

// FNV-1a.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func hashByte(h uint64, b byte) uint64 { return (h ^ uint64(b)) * fnvPrime }

func hashBit(h uint64, bit bool) uint64 {
	if bit {
		return hashByte(h, 1)
	}
	return hashByte(h, 0)
}

func hash(h uint64, s string) uint64 {
	for i := range len(s) {
		h = hashByte(h, s[i])
	}
	return h
}

// serviceTier is the request's service tier; "" is the default one.
func (f *Flight) serviceTier() string {
	switch f.req.ServiceTier {
	case "auto", "default":
		return ""
	}
	return f.req.ServiceTier
}

// accuse ends the permit of an attempt that failed, or keeps it until the flight
// settles when the request may be to blame.
func (f *Flight) accuse(now time.Time, a *attempt) {
	a.endedAt = now
	switch a.failed {
	case spillway.FailureUnreachable:
		// The request was not sent, so it is not to blame.
		a.breaker.Fail(now, a.permit)
	case spillway.FailureBroken, spillway.FailureCut, spillway.FailureUnreadable:
		a.accused = true
	case spillway.FailureSlow, spillway.FailureNone: // none: another attempt was faster
		a.accused = f.monitored(a) && (a.firstAt.IsZero() || a.hung)
	case spillway.FailureInvalid:
		a.accused = a.refusal == refusalOfOperation || a.refusal == refusalOfAll
	}
	if !a.accused && a.failed != spillway.FailureUnreachable {
		a.breaker.Drop(now, a.permit)
	}
}

// judge decides what the failed attempts say about their deployments, once one has
// answered or the flight settles. One request counts against one deployment at most.
func (f *Flight) judge(now time.Time) {
	answered := f.answered()
	for i := range f.n {
		a := f.attempt(i)
		if !a.accused {
			continue
		}
		// A response that broke off says nothing until another one is complete, which
		// may break off too.
		unproven := answered != nil && !a.firstAt.IsZero() && !answered.complete
		if unproven && !f.settled {
			continue
		}
		a.accused = false
		switch {
		case unproven, answered != nil && (answered.deployment == a.deployment || f.blamed):
			a.breaker.Drop(now, a.permit)
		case answered != nil:
			f.blamed = f.confirm(now, a, answered)
		case a.failed == spillway.FailureInvalid, a.failed == spillway.FailureUnreadable:
			// Without a response of another deployment the request is to blame, or
			// the gateway.
			a.breaker.Drop(now, a.permit)
		case a.silent() && !a.hung:
			a.breaker.Drop(now, a.permit)
		case f.blamed:
			a.breaker.Drop(now, a.permit)
		case f.failedElsewhere(a):
			a.breaker.Doubt(now, a.permit)
		case f.req.Pin != "", a.hopeless, f.req.ClientRetry > 0:
			// It was not to be tried elsewhere, or it has failed before.
			a.breaker.Doubt(now, a.permit)
			f.blamed = true
		default:
			a.breaker.Presume(now, a.permit)
			f.blamed = true
		}
	}
}

// silent reports whether an attempt failed by taking too long.
func (a *attempt) silent() bool {
	return a.failed == spillway.FailureSlow || a.failed == spillway.FailureNone
}

// answered returns the attempt that served the request, as far as it got; nil when
// none did.
func (f *Flight) answered() *attempt {
	for i := range f.n {
		a := f.attempt(i)
		switch a.failed {
		case spillway.FailureNone, spillway.FailureGone, spillway.FailureOversized:
			if !a.firstAt.IsZero() || a.complete {
				return a
			}
		case spillway.FailureSlow:
			if !a.firstAt.IsZero() && !a.hung {
				return a
			}
		}
	}
	return nil
}

// confirm blames a's deployment for its failure, now that another one has served the
// request, and reports whether it did. Silence is a failure when the other one took
// much less time.
func (f *Flight) confirm(now time.Time, a, answered *attempt) bool {
	switch {
	case a.failed == spillway.FailureInvalid:
		a.breaker.Refuse(now, a.permit, a.refusal == refusalOfAll)
	case a.silent() && !a.hung && !f.muchSlower(now, a, answered):
		a.breaker.Drop(now, a.permit)
		return false
	default:
		a.breaker.Fail(now, a.permit)
	}
	return true
}

// Silence that another deployment's response shows to be a failure: longer than
// minSilence, than the learned TTFT, and than this many times the other's TTFT.
const (
	minSilence    = time.Second
	silenceFactor = 3
)

func (f *Flight) muchSlower(now time.Time, a, answered *attempt) bool {
	silent := a.endedAt.Sub(a.start)
	if silent < minSilence || answered.firstAt.IsZero() || silent < silenceFactor*answered.firstAt.Sub(answered.start) {
		return false
	}
	s := a.deployment.speed
	return !s.Measured(now) || silent > s.TTFT(now, a.load, 0.99)
}

// failedElsewhere reports whether the request failed at another deployment in a way
// that has the same cause if the request is to blame.
func (f *Flight) failedElsewhere(a *attempt) bool {
	for i := range f.n {
		other := f.attempt(i)
		if other.deployment != a.deployment && !other.live && ambiguous(other.failed) {
			return true
		}
	}
	return false
}

// ambiguous reports whether the request or the deployment may be the cause of a
// failure.
func ambiguous(class spillway.FailureClass) bool {
	switch class {
	case spillway.FailureBroken, spillway.FailureCut, spillway.FailureSlow, spillway.FailureUnreadable:
		return true
	}
	return false
}

// refusal says whom a status of 4xx concerns, besides 408 and 429.
type refusal uint8

const (
	refusalOfRequest   refusal = iota // wrong for every deployment
	refusalOfOperation                // the deployment may not offer the operation
	refusalOfAll                      // our credential or the deployment's name may be wrong
	refusalOfObject                   // the deployment does not hold an object that another may hold
)

func refusalFor(ev *spillway.Event) refusal {
	switch {
	case ev.NotFound:
		return refusalOfObject
	case ev.Missing, ev.Status == 401, ev.Status == 403:
		return refusalOfAll
	case ev.Unsupported, ev.Status == 404, ev.Status == 409, ev.Status == 424:
		return refusalOfOperation
	}
	return refusalOfRequest
}
