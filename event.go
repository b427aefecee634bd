package spillway

import "time"

// FailureClass says what a failed attempt tells about the deployment and about
// what may be tried next.
type FailureClass uint8

// The failure classes.
const (
	FailureNone        FailureClass = iota
	FailureRefused                  // 429: full, not sick
	FailureOversized                // too much output for the window, at normal speed
	FailureSlow                     // far beyond the learned latency
	FailureBroken                   // reset or 5xx: the request reached the deployment
	FailureCut                      // the response ended early
	FailureInvalid                  // the request itself is refused (4xx)
	FailureGone                     // the client left
	FailureUnreachable              // DNS, connect, TLS: the request was not sent
	FailureUnreadable               // the gateway cannot parse the response
)

var failureNames = [...]string{
	"", "refused", "oversized", "slow", "broken", "cut", "invalid", "gone", "unreachable", "unreadable",
}

// String returns the name used in records and metrics; "" for none.
func (c FailureClass) String() string { return name(failureNames[:], uint8(c)) }

// EventKind is what happened to a flight.
type EventKind uint8

const (
	// EventWake is the passing of Step.WakeAt. Report pending progress first.
	EventWake EventKind = iota
	// EventFirstToken is the first output of an attempt: the first non-empty
	// delta of a stream, or the start of a response that is passed through.
	EventFirstToken
	// EventProgress says how many output tokens an attempt has produced.
	EventProgress
	// EventDone is the complete end of an attempt's response.
	EventDone
	// EventFailed is the failure of an attempt: Class says which, or Status
	// does.
	EventFailed
	// EventGone is the client's departure. Report pending progress first.
	EventGone
	// EventUnstreamed says that an attempt which was to ask for a stream, to assemble
	// the response, does not: nothing more is known of it until it ends.
	EventUnstreamed
	// EventEnd is the driver's own end: what has arrived of the response has to
	// do. Report pending progress first.
	EventEnd
)

// Finish is why a response ended.
type Finish uint8

// The ends of a response. FinishOther covers every reason that needs no decision.
const (
	FinishUnknown Finish = iota
	FinishStop
	FinishLength
	FinishFilter
	FinishTools
	FinishOther
)

var finishNames = [...]string{"", "stop", "length", "content_filter", "tool_calls", "other"}

// String returns the name used in records; "" when unknown.
func (f Finish) String() string { return name(finishNames[:], uint8(f)) }

// Signals are what a deployment's response headers say about its capacity. A
// field is -1 where the header was absent.
type Signals struct {
	Utilization       float64 // azure-openai-deployment-utilization, 0–1 and above
	LimitTokens       int     // x-ratelimit-limit-tokens
	RemainingTokens   int     // x-ratelimit-remaining-tokens
	RemainingRequests int     // x-ratelimit-remaining-requests
	// ResetTokens and ResetRequests are when these limits are restored, from the
	// arrival of the response on (x-ratelimit-reset-tokens and -requests).
	ResetTokens, ResetRequests time.Duration
}

// NoSignals is a response without capacity headers.
func NoSignals() Signals {
	return Signals{
		Utilization: -1, LimitTokens: -1, RemainingTokens: -1, RemainingRequests: -1, ResetTokens: -1, ResetRequests: -1,
	}
}

// Wait is how long it takes until every limit of which nothing remains is restored; -1
// when there is no such limit, or it is not known.
func (s Signals) Wait() time.Duration {
	wait := time.Duration(-1)
	if s.RemainingTokens == 0 && s.ResetTokens > 0 {
		wait = s.ResetTokens
	}
	if s.RemainingRequests == 0 && s.ResetRequests > 0 {
		wait = max(wait, s.ResetRequests)
	}
	return wait
}

// Event is one thing that happened to a flight, read at the instant passed
// beside it. Which fields count depends on Kind.
type Event struct {
	Kind    EventKind
	Attempt int // 1-based; 0 for events of the request itself
	// At is when the newest of Tokens was read from upstream, which may be
	// before the event is reported; zero means at the instant of the report.
	At     time.Time
	Class  FailureClass
	Status int // upstream's HTTP status; 0 when there was none
	// RetryAfter is the wait that upstream asked for; -1 when it named none.
	RetryAfter time.Duration
	// Hopeless says that upstream forbade a retry (x-should-retry: false).
	Hopeless bool
	// Replayable says that the failed attempt cannot have had an effect.
	Replayable bool
	// Missing says that upstream does not know the deployment.
	Missing bool
	// Unsupported says that the deployment does not offer the operation.
	Unsupported bool
	// NotFound says that the deployment does not hold an object which the request refers
	// to, such as a stored response. Another one may, and none is to blame.
	NotFound bool
	// Tokens is how many output tokens have been read so far, over all choices.
	// The reader of the stream counts them, once: it never shrinks.
	Tokens int
	// Blocked is how long reading the response waited for the client until At, and
	// Held how long since then, which says nothing about the deployment.
	Blocked, Held time.Duration
	Usage         Usage
	// Finish is why the response ended. In EventProgress it says that every choice
	// has ended, although the end of the stream has not been read.
	Finish  Finish
	Signals Signals
	// ServedBy is the deployment that Azure's own spillover moved the request
	// to; "" when there was none.
	ServedBy string
	// ServiceTier is the one that the response has named last so far; "" for none.
	ServiceTier string
}
