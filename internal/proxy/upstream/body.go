package upstream

import "time"

// timedBody reads the body of a response that is not read event by event. It ends the
// attempt when nothing comes for the call's SilenceTimeout: nobody else notices, as such
// a response has no tokens to wait for. Only time in Read counts, so a client that
// reads slowly ends nothing.
type timedBody struct {
	attempt *Attempt
	timer   *time.Timer // nil until the first Read
}

// Read reads more of the body.
func (b *timedBody) Read(p []byte) (int, error) {
	a := b.attempt
	timeout := a.call.SilenceTimeout
	if timeout <= 0 {
		return a.resp.Body.Read(p)
	}
	if b.timer == nil {
		b.timer = time.AfterFunc(timeout, a.stop)
	} else {
		b.timer.Reset(timeout)
	}
	defer b.timer.Stop()
	return a.resp.Body.Read(p)
}
