package gateway

import (
	"errors"
	"os"
	"time"

	"github.com/spillway-ai/spillway/internal/wire"
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
		return refusal(wire.BodyTooLarge(limits.MaxBodyBytes))
	}
	room := firstReadBytes
	if length > 0 {
		room = int(min(length, maxTrustedBytes)) + 1 // one more sees the end without growing
	}
	buf := f.g.buffers.get(room)
	reader := slowReader{f: f}
	within, err := buf.readFrom(&reader, limits.MaxBodyBytes)
	if err == nil && within {
		f.body = buf
		f.out.setReadDeadline(time.Time{})
		return nil
	}
	buf.drop()
	switch {
	case !within:
		return refusal(wire.BodyTooLarge(limits.MaxBodyBytes))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refusal(slowBody())
	}
	return refusal(cutBody())
}

// slowReader reads the client's body and gives it the time that the bytes so
// far have earned.
type slowReader struct {
	f       *flight
	started time.Time
	read    int64
	until   int64 // the deadline in force is good for this many bytes
}

func (s *slowReader) Read(p []byte) (int, error) {
	if s.read >= s.until {
		s.extend()
	}
	n, err := s.f.r.Body.Read(p)
	s.read += int64(n)
	return n, err
}

// extend sets the deadline for the next stretch of the body.
func (s *slowReader) extend() {
	if s.started.IsZero() {
		s.started = s.f.g.deps.Now()
	}
	limits := &s.f.snap.limits
	earned := time.Duration(float64(s.read) / float64(limits.MinBodyRate) * float64(time.Second))
	s.f.out.setReadDeadline(s.started.Add(limits.BodyTimeout + earned))
	s.until = s.read + max(int64(limits.BodyTimeout.Seconds()*float64(limits.MinBodyRate)), 1)
}
