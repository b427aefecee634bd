package upstream

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"time"
)

// attemptDelay is how long a connection attempt has before another address is
// tried beside it: the Connection Attempt Delay of RFC 8305.
const attemptDelay = 250 * time.Millisecond

// dialer opens connections by name.
type dialer struct {
	names *names
	// dialAddr opens a connection to an address and port.
	dialAddr DialFunc
}

// newDialer returns a dialer that uses the system's resolver and network.
func newDialer() *dialer {
	d := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval, Count: keepAliveProbes,
		},
		Control: setUserTimeout,
	}
	return &dialer{
		names:    &names{resolver: net.DefaultResolver, hosts: map[string]*host{}},
		dialAddr: d.DialContext,
	}
}

// dial opens a connection, as net.Dialer.DialContext does.
func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return d.dialAddr(ctx, network, addr)
	}
	found, err := d.names.find(ctx, name)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	addrs := make([]string, len(found))
	for i, ip := range interleave(found) {
		addrs[i] = net.JoinHostPort(ip.Unmap().String(), port)
	}
	return d.dialAny(ctx, network, addrs)
}

// interleave returns the addresses with the two families in turn, each in its
// order: where one of them cannot be reached, the other is tried soon.
func interleave(addrs []netip.Addr) []netip.Addr {
	var same, other, mixed []netip.Addr
	for _, ip := range addrs {
		if ip.Unmap().Is4() == addrs[0].Unmap().Is4() {
			same = append(same, ip)
		} else {
			other = append(other, ip)
		}
	}
	for len(same) > 0 || len(other) > 0 {
		if len(same) > 0 {
			mixed, same = append(mixed, same[0]), same[1:]
		}
		if len(other) > 0 {
			mixed, other = append(mixed, other[0]), other[1:]
		}
	}
	return mixed
}

// dialed is what became of one connection attempt.
type dialed struct {
	conn net.Conn
	err  error
}

// dialAny opens a connection to the first of the addresses that accepts one. Each
// attempt starts when the one before has failed, or after attemptDelay. The error
// is that of the first failure.
func (d *dialer) dialAny(ctx context.Context, network string, addrs []string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan dialed, len(addrs))
	var failure error
	for started, pending := 0, 0; ; {
		var delay <-chan time.Time
		if started < len(addrs) {
			addr := addrs[started]
			started++
			pending++
			go func() {
				c, err := d.dialAddr(ctx, network, addr)
				results <- dialed{c, err}
			}()
			delay = time.After(attemptDelay)
		}
		for waiting := true; waiting; {
			select {
			case r := <-results:
				pending--
				if r.err == nil {
					go closeUnused(results, pending)
					return r.conn, nil
				}
				if failure = cmp.Or(failure, r.err); pending == 0 && started == len(addrs) {
					return nil, failure
				}
				waiting = started == len(addrs)
			case <-delay:
				waiting = false
			}
		}
	}
}

// closeUnused closes the connections of attempts that are not needed any more.
func closeUnused(results <-chan dialed, pending int) {
	for range pending {
		if r := <-results; r.err == nil {
			r.conn.Close()
		}
	}
}
