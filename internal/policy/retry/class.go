package retry

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// Classify returns the failure class of an upstream's HTTP status. Status 0,
// for a response that never came, is broken. So is 499: the gateway did not close
// the connection, something between it and the model did. 409 is invalid and
// goes to the client, whose SDK retries it. 408 is slow unless Timeout.Class
// says otherwise.
func Classify(status int) spillway.FailureClass {
	switch {
	case status >= 200 && status < 300:
		return spillway.FailureNone
	case status == 429:
		return spillway.FailureRefused
	case status == 408:
		return spillway.FailureSlow
	case status == spillway.StatusClientGone:
		return spillway.FailureBroken
	case status >= 400 && status < 500:
		return spillway.FailureInvalid
	}
	return spillway.FailureBroken
}

// Timeout is what is known of an attempt that ran out of time: a 408 from
// upstream, or our own cut.
type Timeout struct {
	// Unstreamed says that the response was not streamed, so that the next three
	// fields have no meaning.
	Unstreamed bool
	// Tokens had arrived, at a mean time between tokens of TBT. LimitTBT is the
	// slowest that is normal for the deployment; 0 means any.
	Tokens        int
	TBT, LimitTBT time.Duration
	// Granted is the limit that was sent, 0 for none, and Budget what could
	// have been expected to fit, 0 when nothing bounded it.
	Granted, Budget int
}

// Class is oversized when tokens were flowing at normal speed, or when the
// response was not streamed and could be longer than fits; otherwise the
// deployment was slow.
func (t Timeout) Class() spillway.FailureClass {
	if t.Unstreamed {
		if t.Budget > 0 && (t.Granted == 0 || t.Granted > t.Budget) {
			return spillway.FailureOversized
		}
		return spillway.FailureSlow
	}
	if t.Tokens > 0 && (t.LimitTBT <= 0 || t.TBT <= t.LimitTBT) {
		return spillway.FailureOversized
	}
	return spillway.FailureSlow
}
