package clientconn

import (
	"sync/atomic"
	"time"
)

// An HTTP/2 client has a budget for frames that do not move a request forward.
// The server answers PING and SETTINGS, decodes headers and processes resets at
// any rate, and keyless clients can send them at the cost of a few bytes each. So
// each frame costs 1, and 1 more per frameCostBytes of payload, which pays for
// decoding headers; large DATA frames are free, because flow control bounds them.
// The budget grows by controlRate per second, and by what requests achieve.
const (
	controlBurst   = 4096 // suffices for 1,000 requests sent at one time
	controlRate    = 256  // per second
	controlMax     = 16 * controlBurst
	frameCostBytes = 256
	freeDataBytes  = 256

	creditAuthenticated = 64  // a request of a known caller: its own frames, a reset, window updates
	creditResponse      = 4   // a response that the client has waited for
	creditFlush         = 4   // a part of a response: window updates
	creditHeaderBytes   = 128 // bytes of a known caller's header per unit
	creditBodyBytes     = 64  // bytes of a known caller's body per unit
	creditWriteBytes    = 1024
)

// preface is what an HTTP/2 client sends first.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const (
	frameHeaderBytes = 9

	// The types of frames.
	frameData         = 0x0
	frameHeaders      = 0x1
	frameContinuation = 0x9

	flagEndHeaders = 0x4 // of HEADERS and CONTINUATION
)

// protocol is what a client speaks.
type protocol uint8

const (
	protocolUnknown protocol = iota
	protocolHTTP1
	protocolHTTP2
)

// frameGuard follows the frames that an HTTP/2 client sends. The zero value is
// ready for use. One goroutine reads; credit is safe for concurrent use.
type frameGuard struct {
	budget   atomic.Int64
	refilled time.Time // when controlRate was last added to the budget

	protocol protocol
	matched  uint8 // bytes of the preface so far
	got      uint8 // bytes of header
	header   [frameHeaderBytes]byte
	payload  int // bytes of the frame under way that are still to come

	headerBytes int // of a request's header that is not complete
}

// read takes what the client has sent next. It returns false once the client has
// used up its budget.
func (g *frameGuard) read(p []byte, now func() time.Time) bool {
	if g.protocol == protocolUnknown {
		p = g.readPreface(p, now)
	}
	if g.protocol != protocolHTTP2 {
		return true
	}
	cost := 0
	for len(p) > 0 {
		if g.payload > 0 {
			n := min(g.payload, len(p))
			g.payload -= n
			p = p[n:]
			continue
		}
		n := copy(g.header[g.got:], p)
		g.got += uint8(n)
		p = p[n:]
		if g.got < frameHeaderBytes {
			break
		}
		g.got = 0
		g.payload = int(g.header[0])<<16 | int(g.header[1])<<8 | int(g.header[2])
		kind, flags := g.header[3], g.header[4]
		cost += frameCost(kind, g.payload)
		if kind == frameHeaders || kind == frameContinuation {
			g.headerBytes += g.payload
			if flags&flagEndHeaders != 0 {
				g.headerBytes = 0
			}
		}
	}
	return cost == 0 || g.spend(int64(cost), now)
}

// readPreface finds out which protocol the client speaks, and returns what
// follows the preface.
func (g *frameGuard) readPreface(p []byte, now func() time.Time) []byte {
	for i, c := range p {
		if c != preface[g.matched] {
			g.protocol = protocolHTTP1
			return nil
		}
		if g.matched++; int(g.matched) == len(preface) {
			g.protocol = protocolHTTP2
			g.budget.Store(controlBurst)
			g.refilled = now()
			return p[i+1:]
		}
	}
	return nil
}

func frameCost(kind byte, length int) int {
	if kind == frameData && length >= freeDataBytes {
		return 0
	}
	return 1 + length/frameCostBytes
}

// spend takes cost off the budget, and reports whether it sufficed.
func (g *frameGuard) spend(cost int64, now func() time.Time) bool {
	if g.budget.Add(-cost) >= 0 {
		return true
	}
	at := now()
	earned := min(at.Sub(g.refilled).Seconds()*controlRate, controlBurst)
	g.refilled = at
	return g.budget.Add(int64(earned)) >= 0
}

// credit adds to the budget what a request has achieved. A nil guard, that of a
// client without HTTP/2, ignores it.
func (g *frameGuard) credit(n int) {
	if g != nil && g.budget.Load() < controlMax {
		g.budget.Add(int64(n))
	}
}
