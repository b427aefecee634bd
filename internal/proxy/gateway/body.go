package gateway

import (
	"errors"
	"io"
	"os"

	"github.com/spillway-ai/spillway/internal/proxy/clientconn"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// firstReadBytes is the room for a body of unknown length, before it grows.
const firstReadBytes = 16 << 10

// maxTrustedBytes is how much of an announced length is reserved at once.
const maxTrustedBytes = 1 << 20

// readBody reads the client's body once into f.body. A request without a body
// leaves it nil.
func (f *flight) readBody() *wire.Error {
	limits := &f.snap.limits
	length := f.r.ContentLength
	switch {
	case length == 0:
		return nil
	case length > limits.MaxBodyBytes:
		return new(wire.BodyTooLarge(limits.MaxBodyBytes))
	}
	room := firstReadBytes
	if length > 0 {
		room = int(min(length, maxTrustedBytes)) + 1 // one more sees the end without growing
	}
	buf := f.g.buffers.GetBody(room)
	within, err := f.out.ReadBody(buf, clientconn.BodyLimits{MaxBytes: limits.MaxBodyBytes, Timeout: limits.BodyTimeout, MinRate: limits.MinBodyRate})
	if err == nil && within {
		f.body = buf
		return nil
	}
	buf.Release()
	switch {
	case !within:
		return new(wire.BodyTooLarge(limits.MaxBodyBytes))
	case f.endedByGateway():
		return new(shuttingDown())
	case errors.Is(err, os.ErrDeadlineExceeded):
		return new(slowBody())
	}
	if f.call.Context.Err() != nil || errors.Is(err, io.ErrUnexpectedEOF) {
		f.out.MarkGone()
	}
	return new(cutBody())
}
