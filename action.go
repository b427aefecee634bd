package spillway

import "time"

// ActionKind is something that the driver must do for a flight.
type ActionKind uint8

const (
	// ActionSend starts attempt Attempt at deployment Deployment.
	ActionSend ActionKind = iota
	// ActionForward commits the flight: the attempt's bytes go to the client.
	ActionForward
	// ActionCut ends the attempt's response where it is: what has arrived is
	// delivered as a valid response that ended for length.
	ActionCut
	// ActionCancel ends an attempt whose bytes never reach the client.
	ActionCancel
	// ActionSettle ends the flight: the client gets its response, if it has not
	// had it, and the record is complete.
	ActionSettle
)

var actionNames = [...]string{"send", "forward", "cut", "cancel", "settle"}

// String returns the action's name.
func (k ActionKind) String() string { return name(actionNames[:], uint8(k)) }

// Action is one thing to do. Which fields count depends on Kind.
type Action struct {
	Kind    ActionKind
	Attempt int // 1-based; for a settle, the attempt whose response is delivered, or 0

	// Of a send.
	Deployment string
	// Grant is the output token limit to send; 0 leaves the client's own.
	Grant int
	// Stream says to ask upstream for a stream, although the client did not.
	Stream bool

	// Of a settle with Attempt 0: the error that the client gets.
	Refusal Refusal
	// Of a settle with an error: a retry by the client cannot help.
	NoRetry bool
}

// RefusalCode names an error of our own that a client can get.
type RefusalCode string

// The refusals. They appear as error.code in the body, except for the deadline's,
// which is Azure's own code for a 408.
const (
	RefusalNone       RefusalCode = ""
	RefusalTooLarge   RefusalCode = "output_exceeds_window" // the ask cannot finish in time
	RefusalDeadline   RefusalCode = "deadline_exceeded"     // no token in time
	RefusalQueueFull  RefusalCode = "queue_full"            // too many wait already
	RefusalNoCapacity RefusalCode = "no_capacity"           // no deployment can take it in time
	RefusalUpstream   RefusalCode = "upstream_unavailable"  // all attempts failed
	RefusalNoHealthy  RefusalCode = "no_healthy_deployment" // every deployment has an open breaker or is paused
	RefusalLoop       RefusalCode = "gateway_loop"          // the request came round again
	RefusalEnding     RefusalCode = "shutting_down"         // the gateway ends
	RefusalNeverFits  RefusalCode = "exceeds_capacity"      // larger than any deployment's capacity
)

// Status returns the HTTP status of a refusal, in the response and in the
// record; 0 for RefusalNone.
func (c RefusalCode) Status() int {
	switch c {
	case RefusalNone:
		return 0
	case RefusalTooLarge, RefusalNeverFits:
		return 400
	case RefusalDeadline:
		return 408
	case RefusalQueueFull, RefusalNoCapacity:
		return 429
	case RefusalUpstream:
		return 502
	case RefusalNoHealthy, RefusalEnding:
		return 503
	case RefusalLoop:
		return 508
	}
	return 500
}

// NoRetry reports whether the same request would be refused again, so that the
// client must not repeat it.
func (c RefusalCode) NoRetry() bool {
	switch c {
	case RefusalTooLarge, RefusalNeverFits, RefusalDeadline, RefusalLoop:
		return true
	}
	return false
}

// StatusClientGone is the status in records of a client that left before its
// response: nginx's code for it. No client receives it.
const StatusClientGone = 499

// Bounds of a wait that an upstream asks for in a retry-after header. Azure is
// known to ask for a day.
const (
	MinRetryAfter = 50 * time.Millisecond
	MaxRetryAfter = time.Minute
)

// Refusal is an error of our own, as data: the edge renders it.
type Refusal struct {
	Code       RefusalCode
	RetryAfter time.Duration // 0 means no hint
	FitTokens  int           // what would fit: output tokens of RefusalTooLarge, prompt and output of RefusalNeverFits
	// Capped says that a fixed cap set FitTokens, not the time left. Then 0 means
	// more choices than the cap has tokens.
	Capped bool
}

// Step is the core's response to an event. Actions is valid until the next call
// on the same engine; copy what must live longer.
type Step struct {
	Actions []Action
	// WakeAt is when the flight wants an EventWake; zero means never.
	WakeAt time.Time
}
