package gateway

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// TestAnnouncedFrame announces a large HTTP/2 frame and does not send it. The server would
// make room for it at once, so it is refused.
func TestAnnouncedFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), nil)
		conn, err := w.net.Dial(t.Context(), "tcp", "gateway.test:80")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		const settings, frame = "\x00\x00\x00\x04\x00\x00\x00\x00\x00", "\x01\x00\x00\x01\x00\x00\x00\x00\x01" // HEADERS of 64 KiB
		go func() {                                                                                            // the connection holds nothing, so both sides must read
			_, _ = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+settings+frame+"x") // seen in what the server sends
		}()
		began := time.Now()
		got, _ := io.ReadAll(conn) // until the server closes it
		const goAway = "\x07\x00\x00\x00\x00\x00"
		const frameSizeError = "\x00\x00\x00\x06"
		at := bytes.Index(got, []byte(goAway))
		if at < 0 || !bytes.Contains(got[at:], []byte(frameSizeError)) {
			t.Errorf("the server sent %q", got)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
}
