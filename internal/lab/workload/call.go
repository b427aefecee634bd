package workload

import "time"

// Call is one request of a workload, as its client means it. Retries are not
// calls: they are what a client makes of a call that fails.
type Call struct {
	At     time.Duration // intended start, after the workload's beginning
	Client string        // the caller; "" if the trace has none
	Class  string        // kind of traffic; "" where the trace does not say
	Model  string        // model asked for; "" where the trace does not say

	PromptTokens int
	// OutputTokens is the length of the response unless it is cut short.
	OutputTokens int
	// MaxTokens is the limit that the client sets; 0 is none.
	MaxTokens int
	Stream    bool // the client reads a stream
	// CanStream says of a synchronous client that it would read a stream where
	// its owner is asked to stream long responses.
	CanStream bool
	// Prefix identifies the prompt's cacheable blocks, as fleet.Ask.Prefix
	// does. It is shared and must not be changed.
	Prefix []uint64
}

// Source is a workload, one call after the other. It is not safe for
// concurrent use.
type Source interface {
	// Next returns the next call, whose At is not before that of the one
	// before, or io.EOF after the last. After another error it returns that
	// error again.
	Next() (Call, error)
}
