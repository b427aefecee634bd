package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// The load of BenchmarkLockstep: one stream whose tokens each wait for the
// client to have read the one before.
const (
	lockstepTokens = 1000 // per round and contestant
	lockstepRounds = 5
	// lockstepPatience is how long a token may take before it counts as held
	// back.
	lockstepPatience = 2 * time.Second
)

// BenchmarkLockstep sees that no chunk is held back: if one were, the next
// would never come. It holds the time of a chunk from the deployment to the
// client, on a stream that is alone, against ReverseProxy's.
func BenchmarkLockstep(b *testing.B) {
	for b.Loop() {
		var gate atomic.Pointer[chan bool]
		up := newDeployment(b, func(conn net.Conn) error { return lockstepAnswer(conn, *gate.Load()) })
		mine, theirs := startSpillway(b, up, "stream"), startRole(b, roleProxy, up)
		var a, z sample
		for range lockstepRounds {
			took, err := lockstep(b, mine, &gate)
			if err != nil {
				b.Fatalf("%s delayed a token: %v", mine.name, err)
			}
			a = append(a, took)
			if took, err = lockstep(b, theirs, &gate); err != nil {
				b.Logf("%s failed, round skipped: %v", theirs.name, err)
				continue
			}
			z = append(z, took)
		}
		if len(z) == 0 {
			b.Fatalf("%s completed no round", theirs.name)
		}
		board.add(b, score{
			name: "time per chunk / ReverseProxy's", value: a.median() / z.median(), limit: 1.1, unit: "x",
			detail: fmt.Sprintf("µs from write to read, plus the reply over a channel: spillway %v, proxy %v", a, z),
		})
	}
}

// lockstepAnswer writes a token for every true on read, and ends with false.
func lockstepAnswer(conn net.Conn, read <-chan bool) error {
	if _, err := io.WriteString(conn, streamStart); err != nil {
		return err
	}
	token := []byte(frame(tokenEvent))
	for <-read {
		if _, err := conn.Write(token); err != nil {
			return err
		}
	}
	_, err := io.WriteString(conn, streamEnd)
	return err
}

// lockstep reads one stream and returns the mean time of a token in
// microseconds. The gate is how it tells the deployment of each token read.
func lockstep(b *testing.B, c *child, gate *atomic.Pointer[chan bool]) (float64, error) {
	b.Helper()
	read := make(chan bool, 1)
	gate.Store(&read)
	defer close(read)
	cl := dial(b, c.addr, 1)[0]
	defer cl.conn.Close()
	read <- true // the gateway answers with the first token, not before
	resp, err := cl.ask(request(c.addr, 1<<10, true))
	if err != nil {
		return 0, err
	}
	lines := bufio.NewReader(resp.Body)
	began := time.Now()
	for range lockstepTokens {
		if err := cl.conn.SetReadDeadline(time.Now().Add(lockstepPatience)); err != nil {
			return 0, err
		}
		for isToken := false; !isToken; {
			line, err := lines.ReadSlice('\n')
			if err != nil {
				return 0, err
			}
			_, isToken = textIn(line)
		}
		read <- true
	}
	took := time.Since(began)
	read <- false
	_, err = io.Copy(io.Discard, lines)
	return micros(took) / lockstepTokens, err
}
