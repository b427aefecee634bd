package report

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// Try is one attempt of a client at a call, as that client saw it: the first,
// or one of its SDK's retries. The last one ends the call. Rates of errors are
// shares of tries; goodput, attainment and tokens per request are of calls.
type Try struct {
	At    time.Duration // when it was sent, after the run's beginning
	Retry int           // 0 for the first try
	Last  bool          // no retry follows

	Status  int
	Outcome spillway.Outcome
	// Met says that a complete response kept every condition of its objective and its
	// window. It means nothing for other outcomes.
	Met     bool
	Stream  bool
	Spilled bool // answered by another tier than the first

	// Of tries that were answered, in whole or in part.
	TTFT time.Duration // first output, as upstream made it
	TBT  time.Duration // mean over the response; 0 when it has fewer than two tokens
	E2E  time.Duration // to the last byte; also of tries that ran out of time
	// CallE2E is from the call's intended start to the try's end: with the
	// tries before it and the waits between them.
	CallE2E time.Duration

	PromptTokens, CachedTokens int
	// CompletionTokens is all that was generated for the try, useful or not;
	// UsefulTokens is what the client got.
	CompletionTokens, UsefulTokens int
}
