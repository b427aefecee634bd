//go:build linux

package faults

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// step is one line of a script. An error ends the connection.
type step func(c *peerConn) error

// script is what a peer does after it has read a request, or when it has
// accepted a connection. A script that does not end the connection leaves it
// open for the next request.
type script []step

// errEnd ends a connection as the script wants.
var errEnd = errors.New("the script ends the connection")

// peer is a scripted TCP server.
type peer struct {
	ln  net.Listener
	tls *tls.Config // nil speaks plain text

	mu       sync.Mutex
	onAccept func(n int) script      // of the nth connection, from 1; nil does nothing
	onAsk    func(r *askSeen) script // of each request
	asks     []*askSeen              // in the order of arrival
	accepted int                     // connections
	open     map[*peerConn]struct{}  // connections
	closing  chan struct{}           // closed at the end
	running  sync.WaitGroup          // connections
}

// askSeen is a request as a peer read it.
type askSeen struct {
	nth    int // at its peer, from 1
	onConn int // on its connection, from 1
	at     time.Time
	method string
	target string
	header map[string][]string // by lower-case name
	body   string
	conn   *peerConn
}

// peerConn is one connection of a peer.
type peerConn struct {
	net.Conn
	peer *peer
	nth  int           // among the peer's, from 1
	gone chan struct{} // closed when the gateway has ended the connection
	// goneAt is when; read after gone.
	goneAt time.Time
}

// newPeer starts a peer that plays the script which onAsk selects.
func newPeer(t testing.TB, onAsk func(r *askSeen) script) *peer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return servePeer(t, ln, nil, onAsk)
}

// servePeer starts a peer on a listener.
func servePeer(t testing.TB, ln net.Listener, config *tls.Config, onAsk func(r *askSeen) script) *peer {
	p := &peer{ln: ln, tls: config, onAsk: onAsk, open: map[*peerConn]struct{}{}, closing: make(chan struct{})}
	go p.accept()
	t.Cleanup(p.close)
	return p
}

// plays changes what the peer does from the next request on.
func (p *peer) plays(onAsk func(r *askSeen) script) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onAsk = onAsk
}

// accepts sets the script that each connection begins with.
func (p *peer) accepts(onAccept func(n int) script) *peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onAccept = onAccept
	return p
}

// url is the peer's address for the configuration.
func (p *peer) url() string {
	scheme := "http://"
	if p.tls != nil {
		scheme = "https://"
	}
	return scheme + p.ln.Addr().String()
}

// count returns how many requests the peer has read.
func (p *peer) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asks)
}

// seen returns the requests read so far.
func (p *peer) seen() []*askSeen {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*askSeen(nil), p.asks...)
}

// hangUpAll ends every connection, so that the gateway holds none to this peer.
func (p *peer) hangUpAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		c.Close()
	}
}

// close ends the peer and waits for its connections.
func (p *peer) close() {
	p.mu.Lock()
	select {
	case <-p.closing:
	default:
		close(p.closing)
	}
	p.mu.Unlock()
	p.ln.Close()
	p.hangUpAll()
	p.running.Wait()
}

func (p *peer) accept() {
	for {
		conn, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		select {
		case <-p.closing:
			p.mu.Unlock()
			conn.Close()
			return
		default:
		}
		p.accepted++
		c := &peerConn{Conn: conn, peer: p, nth: p.accepted, gone: make(chan struct{})}
		p.open[c] = struct{}{}
		first := p.onAccept
		p.running.Add(1)
		p.mu.Unlock()
		go c.serve(first)
	}
}

// serve plays the scripts of one connection. A goroutine reads ahead, so that
// the peer notices at once when the gateway leaves.
func (c *peerConn) serve(first func(n int) script) {
	defer c.peer.running.Done()
	defer func() {
		c.Close()
		c.peer.mu.Lock()
		delete(c.peer.open, c)
		c.peer.mu.Unlock()
	}()
	if first != nil && c.play(first(c.nth)) != nil {
		return
	}
	if c.peer.tls != nil {
		c.Conn = tls.Server(c.Conn, c.peer.tls)
	}
	asks := make(chan *askSeen)
	go c.read(asks)
	for {
		select {
		case r, ok := <-asks:
			if !ok {
				return
			}
			c.peer.mu.Lock()
			c.peer.asks = append(c.peer.asks, r)
			r.nth = len(c.peer.asks)
			onAsk := c.peer.onAsk
			c.peer.mu.Unlock()
			if c.play(onAsk(r)) != nil {
				c.Close()
				for range asks { // until the reader has ended
				}
				return
			}
		case <-c.peer.closing:
			c.Close()
			for range asks {
			}
			return
		}
	}
}

func (c *peerConn) play(s script) error {
	for _, do := range s {
		if err := do(c); err != nil {
			return err
		}
	}
	return nil
}

// read reads requests until the connection ends.
func (c *peerConn) read(asks chan<- *askSeen) {
	defer close(asks)
	defer func() {
		c.goneAt = time.Now()
		close(c.gone)
	}()
	in := bufio.NewReader(c.Conn)
	for n := 1; ; n++ {
		r, err := readAsk(in)
		if err != nil {
			return
		}
		r.onConn, r.conn, r.at = n, c, time.Now()
		select {
		case asks <- r:
		case <-c.peer.closing:
			return
		}
	}
}

// readAsk reads one request of HTTP/1.1.
func readAsk(in *bufio.Reader) (*askSeen, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	words := strings.Fields(line)
	if len(words) != 3 {
		return nil, fmt.Errorf("not a request line: %q", line)
	}
	r := &askSeen{method: words[0], target: words[1]}
	if r.header, err = readHeader(in); err != nil {
		return nil, err
	}
	body, _, err := readBody(in, r.header, false, nil)
	r.body = string(body)
	return r, err
}

// readHeader reads the lines up to the empty one.
func readHeader(in *bufio.Reader) (map[string][]string, error) {
	header := map[string][]string{}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return header, err
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			return header, nil
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return header, fmt.Errorf("not a header: %q", line)
		}
		name = strings.ToLower(name)
		header[name] = append(header[name], strings.TrimSpace(value))
	}
}

// readBody reads a body as its header delimits it: with a length, in chunks, or
// up to the end of the connection if untilEnd. tap, unless nil, is called with
// each piece. It returns what came before an error, and the trailer.
func readBody(in *bufio.Reader, header map[string][]string, untilEnd bool, tap func([]byte)) (body []byte, trailer map[string][]string, err error) {
	add := func(piece []byte) {
		body = append(body, piece...)
		if tap != nil && len(piece) > 0 {
			tap(piece)
		}
	}
	take := func(n int64) error {
		room := make([]byte, min(n, 64<<10))
		for n > 0 {
			got, err := in.Read(room[:min(int64(len(room)), n)])
			add(room[:got])
			if n -= int64(got); err != nil && n > 0 {
				return unexpected(err)
			}
		}
		return nil
	}
	switch {
	case strings.EqualFold(strings.Join(header["transfer-encoding"], ","), "chunked"):
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return body, nil, unexpected(err)
			}
			n, err := strconv.ParseInt(strings.TrimSpace(line), 16, 64)
			if err != nil || n < 0 {
				return body, nil, fmt.Errorf("not a chunk's size: %q", line)
			}
			if n == 0 {
				trailer, err := readHeader(in)
				return body, trailer, unexpected(err)
			}
			if err := take(n); err != nil {
				return body, nil, err
			}
			if _, err := in.ReadString('\n'); err != nil {
				return body, nil, unexpected(err)
			}
		}
	case len(header["content-length"]) == 1:
		n, err := strconv.ParseInt(header["content-length"][0], 10, 64)
		if err != nil {
			return nil, nil, err
		}
		return body, nil, func() error { err := take(n); return err }()
	case untilEnd:
		for {
			room := make([]byte, 64<<10)
			n, err := in.Read(room)
			add(room[:n])
			if errors.Is(err, io.EOF) {
				return body, nil, nil
			}
			if err != nil {
				return body, nil, err
			}
		}
	}
	return nil, nil, nil
}

// unexpected makes an end within a message an error.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// The steps of scripts.

// send writes bytes as they are.
func send(text string) step {
	return func(c *peerConn) error {
		_, err := io.WriteString(c, text)
		return err
	}
}

// trickle writes pieces, one every interval.
func trickle(every time.Duration, pieces ...string) step {
	return func(c *peerConn) error {
		for i, piece := range pieces {
			if i > 0 {
				if err := pause(every)(c); err != nil {
					return err
				}
			}
			if _, err := io.WriteString(c, piece); err != nil {
				return err
			}
		}
		return nil
	}
}

// pause waits, unless the gateway leaves before.
func pause(d time.Duration) step {
	return func(c *peerConn) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-c.gone:
			return errEnd
		case <-c.peer.closing:
			return errEnd
		}
	}
}

// await waits for a signal of the test.
func await(signal <-chan struct{}) step {
	return func(c *peerConn) error {
		select {
		case <-signal:
			return nil
		case <-c.gone:
			return errEnd
		case <-c.peer.closing:
			return errEnd
		}
	}
}

// stall waits until the gateway leaves.
func stall() step { return await(nil) }

// hangUp ends the connection in order.
func hangUp() step { return func(*peerConn) error { return errEnd } }

// reset ends the connection with a RST.
func reset() step {
	return func(c *peerConn) error {
		conn := c.Conn
		if secure, ok := conn.(*tls.Conn); ok {
			conn = secure.NetConn()
		}
		if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
			return err
		}
		conn.Close()
		return errEnd
	}
}

// always plays the same script for every request.
func always(s ...step) func(*askSeen) script {
	return func(*askSeen) script { return s }
}

// inTurn plays one script after the other, and the last one from then on.
func inTurn(plays ...func(*askSeen) script) func(*askSeen) script {
	return func(r *askSeen) script { return plays[min(r.nth, len(plays))-1](r) }
}
