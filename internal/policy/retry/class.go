package retry

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// Classify is the failure class of an upstream's HTTP status; 0, for an answer
// that never came, is broken. 499 is broken too: we did not leave, somebody
// between us and the model did. 409 is invalid and goes to the client, whose
// SDK retries it. 408 is slow unless Timeout.Class knows better.
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
	// Blind says that the answer was not streamed, so that the next three
	// fields say nothing.
	Blind bool
	// Tokens had arrived at TBT, on average; LimitTBT is the slowest pace that
	// is normal for the deployment. A limit of 0 calls any pace normal.
	Tokens        int
	TBT, LimitTBT time.Duration
	// Granted is the limit that was sent, 0 for none, and Budget what could
	// have been expected to fit, 0 when nothing bounded it.
	Granted, Budget int
}

// Class is oversized when tokens were flowing at normal speed, or when the
// answer was not streamed and could be longer than fits; otherwise the
// deployment was slow.
func (t Timeout) Class() spillway.FailureClass {
	if t.Blind {
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
