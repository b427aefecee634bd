package gateway

import (
	"errors"
	"io"
	"os"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
	"github.com/spillway-ai/spillway/internal/proxy/clientconn"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// firstReadBytes is the room for a body before it grows, whatever length is
// announced: a client that sends nothing must not take more.
const firstReadBytes = 16 << 10

// readBody reads the client's body once into f.body. A request without a body
// leaves it nil.
func (f *flight) readBody() *wire.Error {
	if e := f.decodeBody(); e != nil {
		return e
	}
	limits := &f.snap.limits
	length, most := f.r.ContentLength, limits.MaxBodyBytes
	if fits := f.g.buffers.MaxBody(); fits > 0 {
		most = min(most, fits)
	}
	switch {
	case length == 0:
		return nil
	case length > most:
		return new(wire.BodyTooLarge(most))
	}
	room := firstReadBytes
	if length > 0 {
		room = int(min(length, firstReadBytes-1)) + 1 // one more sees the end without growing
	}
	buf := f.g.buffers.GetBody(room)
	within, err := f.out.ReadBody(buf, clientconn.BodyLimits{MaxBytes: most, Timeout: limits.BodyTimeout, MinRate: limits.MinBodyRate})
	if err == nil && within {
		f.body = buf
		return nil
	}
	buf.Release()
	switch {
	case !within:
		return new(wire.BodyTooLarge(most))
	case errors.Is(err, errNotGzip):
		return new(wire.WrongEncoding())
	case errors.Is(err, buffer.ErrNoRoom):
		return new(memoryScarce())
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
