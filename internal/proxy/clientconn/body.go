package clientconn

import (
	"io"
	"sync"
	"time"

	"github.com/spillway-ai/spillway/internal/proxy/buffer"
)

// unreadTimeout is how long the server may wait for what is left of a body
// that the handler did not read: it reads the rest before it sends the response.
const unreadTimeout = time.Second

// BodyLimits bound the body of a request. It may take Timeout, and the time
// that its bytes so far take at MinRate.
type BodyLimits struct {
	MaxBytes int64
	Timeout  time.Duration
	MinRate  int64 // bytes per second
}

// ReadBody reads the body of the request into b. within is false if the body is
// larger than limits.MaxBytes; the error is os.ErrDeadlineExceeded if it was
// too slow, and buffer.ErrNoRoom if it does not fit into the budget.
func (c *Conn) ReadBody(b *buffer.Buffer, limits BodyLimits) (within bool, err error) {
	r := bodyReader{conn: c, body: c.r.Body, limits: limits, began: c.now()}
	r.fired.Add(1)
	r.timerBytes = r.stepBytes()
	r.timer = time.AfterFunc(limits.Timeout, r.expire)
	within, err = b.ReadAtMost(&r, c.r.ContentLength, limits.MaxBytes)
	if !r.timer.Stop() {
		r.fired.Wait()
		c.setDeadline(c.control.SetReadDeadline, time.Time{})
	}
	return within, err
}

// SkipBody keeps the response from waiting long for a body that was not read.
func (c *Conn) SkipBody() {
	if c.r.ContentLength != 0 {
		c.setDeadline(c.control.SetReadDeadline, c.now().Add(unreadTimeout))
	}
}

// bodyReader reads a body that has to come at a least rate. Most bodies are
// there already, so it sets a read deadline only once one has passed: a timer
// costs less than a deadline of the connection.
type bodyReader struct {
	conn       *Conn
	body       io.Reader
	limits     BodyLimits
	timer      *time.Timer
	fired      sync.WaitGroup // done once the timer has fired
	began      time.Time
	read       int64
	timerBytes int64 // the timer is set anew after so many bytes
}

// Read reads the next bytes of the body.
func (r *bodyReader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	r.conn.frames.credit(1 + n/creditBodyBytes)
	if r.read += int64(n); r.read >= r.timerBytes && r.timer.Stop() {
		earned := time.Duration(float64(r.read) / float64(r.limits.MinRate) * float64(time.Second))
		r.timer.Reset(r.limits.Timeout + earned - r.conn.now().Sub(r.began))
		r.timerBytes = r.read + r.stepBytes()
	}
	return n, err
}

// stepBytes is how many bytes must come within Timeout.
func (r *bodyReader) stepBytes() int64 {
	return max(int64(r.limits.Timeout.Seconds()*float64(r.limits.MinRate)), 1)
}

// expire ends the read under way.
func (r *bodyReader) expire() {
	defer r.fired.Done()
	r.conn.setDeadline(r.conn.control.SetReadDeadline, r.began)
}
