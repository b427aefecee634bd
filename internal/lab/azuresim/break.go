package azuresim

import (
	"net"
	"net/http"
	"strconv"

	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// malformed is what a broken stream says.
const malformed = "data: {\"choices\":[{\"delta\":{\"content\":\"\n\n"

// breakSync ends a synchronous response the way the fault wants.
func (x *exchange) breakSync(kind fleet.BreakKind, body []byte) {
	x.dep.complete(&x.s.clock, x.plan.ID, x.plan.TokensAt(x.pace.elapsed())*x.plan.Choices)
	x.dep.countBroken()
	half := body[:len(body)/2]
	switch kind {
	case fleet.BreakReset:
		x.reset()
	case fleet.BreakCut: // less than the length that was announced
		h := x.w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		x.w.WriteHeader(http.StatusOK)
		_, _ = x.w.Write(half)
		_ = http.NewResponseController(x.w).Flush()
		panic(http.ErrAbortHandler)
	default:
		writeBody(x.w, http.StatusOK, half)
	}
}

// breakStream ends a stream the way the fault wants.
func (x *exchange) breakStream(kind fleet.BreakKind) {
	x.dep.countBroken()
	switch kind {
	case fleet.BreakReset:
		x.reset()
	case fleet.BreakMalformed:
		_, _ = x.w.Write([]byte(malformed))
	}
}

// countBroken counts a response that a fault broke off.
func (d *deployment) countBroken() {
	d.mu.Lock()
	d.cut++
	d.mu.Unlock()
}

// reset ends the connection with a TCP reset where there is TCP.
func (x *exchange) reset() {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil { // HTTP/2: only the stream is reset
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
