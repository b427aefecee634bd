package gateway

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
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
	clock := bodyClock{f: f}
	within, err := clock.read(buf)
	if err == nil && within {
		f.body = buf
		return nil
	}
	buf.Release()
	switch {
	case !within:
		return new(wire.BodyTooLarge(limits.MaxBodyBytes))
	case f.mustEnd():
		return new(shuttingDown())
	case errors.Is(err, os.ErrDeadlineExceeded):
		return new(slowBody())
	}
	f.out.gone = f.ctx.Err() != nil || errors.Is(err, io.ErrUnexpectedEOF)
	return new(cutBody())
}

// bodyClock reads the client's body and gives it the time that the bytes so
// far have earned. Most bodies are there already, so it does not burden the
// connection with a deadline before one is due: a timer is cheaper.
type bodyClock struct {
	f     *flight
	timer *time.Timer
	armed sync.WaitGroup // the timer, until it is stopped or has ended the read
	began time.Time
	got   int64
	until int64 // the timer is set for this many bytes
}

// read reads the body into buf. within is false when it exceeds the limit.
func (c *bodyClock) read(buf *buffer.Buffer) (within bool, err error) {
	limits := &c.f.snap.limits
	c.began = c.f.g.deps.Now()
	c.armed.Add(1)
	c.until = c.stretch()
	c.timer = time.AfterFunc(limits.BodyTimeout, c.ring)
	within, err = buf.ReadAtMost(c, limits.MaxBodyBytes)
	if !c.timer.Stop() {
		c.armed.Wait()
		c.f.out.setReadDeadline(time.Time{})
	}
	return within, err
}

// ring ends the read.
func (c *bodyClock) ring() {
	defer c.armed.Done()
	c.f.out.setReadDeadline(c.began)
}

// stretch is how many bytes must come within BodyTimeout.
func (c *bodyClock) stretch() int64 {
	limits := &c.f.snap.limits
	return max(int64(limits.BodyTimeout.Seconds()*float64(limits.MinBodyRate)), 1)
}

// Read reads the next piece of the body.
func (c *bodyClock) Read(p []byte) (int, error) {
	n, err := c.f.r.Body.Read(p)
	if c.got += int64(n); c.got >= c.until && c.timer.Stop() {
		limits := &c.f.snap.limits
		earned := time.Duration(float64(c.got) / float64(limits.MinBodyRate) * float64(time.Second))
		c.timer.Reset(limits.BodyTimeout + earned - c.f.g.deps.Now().Sub(c.began))
		c.until = c.got + c.stretch()
	}
	return n, err
}
