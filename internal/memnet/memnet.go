// Package memnet is a network of named hosts in memory, for tests in virtual
// time: a testing/synctest bubble can wait for what happens on it, which it
// cannot for a socket of the operating system.
package memnet

import (
	"context"
	"net"
	"sync"
)

// Net is the network. The zero value has no hosts. It is safe for concurrent
// use.
type Net struct {
	mu    sync.Mutex
	hosts map[string]*listener
}

// Listen accepts connections to a host, in place of whoever did so before.
func (n *Net) Listen(host string) net.Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts == nil {
		n.hosts = map[string]*listener{}
	}
	l := &listener{host: host, conns: make(chan net.Conn), closed: make(chan struct{})}
	n.hosts[host] = l
	return l
}

// Dial connects to the host of an address, whatever its port. Where nobody
// listens the connection is refused. A connection is a net.Pipe: each write
// waits for its reader.
func (n *Net) Dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	l := n.hosts[host]
	n.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: net.ErrClosed}
	if l == nil {
		return nil, refused
	}
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// listener accepts the far ends of pipes.
type listener struct {
	host   string
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Accept returns the next connection.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept, and has connections refused.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is the host, with a port that means nothing.
func (l *listener) Addr() net.Addr { return address(net.JoinHostPort(l.host, "80")) }

type address string

func (a address) Network() string { return "memory" }
func (a address) String() string  { return string(a) }
