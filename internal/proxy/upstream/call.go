package upstream

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/buffer"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// Call is what a client asked, as every attempt at it is sent. The caller fills
// the exported fields before the first Start, and changes none of them while an
// attempt is under way. There are as many calls as streams, so it has room for
// what most of them need: one attempt.
type Call struct {
	// Context ends the attempts under way.
	Context  context.Context
	ID       string
	Method   string
	Header   http.Header // of the client's request
	Path     wire.Path
	RawQuery string
	Ask      *wire.Ask
	API      spillway.API
	Stream   bool // the client wants a stream
	Choices  int  // responses that were asked for
	Hops     int  // gateways that the request has passed
	// SilenceTimeout is the longest wait for more of a body that is not read event by
	// event; 0 is unlimited.
	SilenceTimeout time.Duration
	// Stored says that the request refers to a stored object, which another deployment
	// may hold.
	Stored bool
	// Idempotent is a request that may be sent twice, whatever it asks for.
	Idempotent bool

	*Settings

	reports      chan Report
	running      sync.WaitGroup
	firstAttempt Attempt
	stream       streamReader // of the first attempt
}

// Settings are what calls have in common. They do not change, and must not be
// copied after the first call.
type Settings struct {
	// MaxResponseBytes bounds a response that is buffered or assembled,
	// MaxErrorBytes the body of an error, and MaxEventBytes one event of a
	// stream, and what comes before its first token.
	MaxResponseBytes, MaxErrorBytes int64
	MaxEventBytes                   int

	Buffers *buffer.Pools
	Now     func() time.Time
	Logger  *slog.Logger
	// Trailers are the goroutines that read what follows a complete response, so
	// that its connection can be used again: each ends within 100 ms.
	Trailers *sync.WaitGroup

	assemblers sync.Pool // of *wire.Assembler, with the memory of answers before
}

// Report says what happened to an attempt. A panic of its goroutine is reported
// the same way.
type Report struct {
	Event *spillway.Event // nil when Panic is set
	Panic *Panic
}

// Panic is a recovered panic, and where it was.
type Panic struct {
	Cause any
	Stack []byte
}

// reportsPerAttempt is how many reports one attempt can make: that it is not
// streamed, its first token, and its end.
const reportsPerAttempt = 3

// Reports returns where attempts report. It has room for what all of them can
// say, so that no attempt waits for its reader.
func (c *Call) Reports() <-chan Report {
	if c.reports == nil {
		c.reports = make(chan Report, spillway.MaxAttempts*reportsPerAttempt)
	}
	return c.reports
}

// Send is what one attempt is sent with.
type Send struct {
	Number     int // 1-based
	Deployment *Deployment
	Grant      int // token limit to send; 0 leaves the client's own
	// Stream asks for a stream even though the client did not, to assemble the
	// response from it.
	Stream bool
	Body   *buffer.Buffer // the client's; nil for none. The attempt retains it.
}

// Start begins an attempt.
func (c *Call) Start(s Send) *Attempt {
	c.Reports()
	a := &c.firstAttempt
	if a.call != nil {
		a = new(Attempt)
	}
	a.prepare(c, &s)
	c.running.Add(1)
	go a.run()
	return a
}

// Wait waits for the goroutines of the attempts. It returns soon after each has
// made its last report or was canceled.
func (c *Call) Wait() { c.running.Wait() }

// ReleaseRequest drops what only another attempt would need.
func (c *Call) ReleaseRequest() {
	c.Header, c.Ask, c.reports = nil, nil, nil
}
