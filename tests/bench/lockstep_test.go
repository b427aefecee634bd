package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
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
		read := make(chan bool)
		up := newDeployment(b, func(conn net.Conn) error { return lockstepAnswer(conn, read) })
		mine, theirs := startSpillway(b, up.addr, "stream"), startRole(b, roleProxy, up.addr)
		var a, z sample
		for range lockstepRounds {
			a = append(a, lockstep(b, mine, read))
			z = append(z, lockstep(b, theirs, read))
		}
		board.add(b, score{
			name: "no chunk held back: time of one / ReverseProxy's", value: a.median() / z.median(), limit: 1.1, unit: "x",
			detail: fmt.Sprintf("µs from write to read, and back by a channel: spillway %v, proxy %v", a, z),
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
// microseconds.
func lockstep(b *testing.B, c *child, read chan<- bool) float64 {
	b.Helper()
	cl := dial(b, c.addr, 1)[0]
	defer cl.conn.Close()
	go func() { read <- true }() // the gateway answers with the first token, not before
	resp, err := cl.ask(request(c.addr, 1<<10, true))
	if err != nil {
		b.Fatalf("%s: %v", c.name, err)
	}
	lines := bufio.NewReader(resp.Body)
	began := time.Now()
	for range lockstepTokens {
		if err := cl.conn.SetReadDeadline(time.Now().Add(lockstepPatience)); err != nil {
			b.Fatal(err)
		}
		for isToken := false; !isToken; {
			line, err := lines.ReadSlice('\n')
			if err != nil {
				b.Fatalf("%s held a token back: %v", c.name, err)
			}
			_, isToken = textIn(line)
		}
		read <- true
	}
	took := time.Since(began)
	read <- false
	if _, err := io.Copy(io.Discard, lines); err != nil {
		b.Fatalf("%s: %v", c.name, err)
	}
	return micros(took) / lockstepTokens
}
