package upstream

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// lookupWait is how long a dial waits for addresses where it has others from
	// before, and lookupTimeout how long a lookup may take in all.
	lookupWait    = time.Second
	lookupTimeout = 20 * time.Second
	// maxStale is for how long addresses from before are used once lookups fail.
	maxStale = 5 * time.Minute
)

// resolver finds the addresses of a host, the best first, as net.Resolver does.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// names finds the addresses of hosts. When the resolver fails or is silent, it
// returns the last ones that were found. It is safe for concurrent use.
type names struct {
	resolver resolver
	mu       sync.Mutex
	hosts    map[string]*host
}

// host is what is known of one host.
type host struct {
	found []netip.Addr // by the last lookup that succeeded
	// failing is since when lookups fail or are late; zero when the last was good.
	failing time.Time
	current *lookup // under way; nil for none
}

// lookup is one lookup, which all who want its result wait for.
type lookup struct {
	done  chan struct{} // closed when the fields below are set
	began time.Time
	found []netip.Addr
	err   error
}

// find returns the addresses of a host. It waits for them only for a moment if
// it has others from before, and not at all while lookups fail.
func (n *names) find(ctx context.Context, name string) ([]netip.Addr, error) {
	look, stale, wait := n.begin(name)
	if stale == nil {
		select {
		case <-look.done:
			return look.found, look.err
		case <-ctx.Done():
			return nil, &net.DNSError{Err: "timeout", Name: name, IsTimeout: true}
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-look.done:
		if look.err == nil {
			return look.found, nil
		}
	case <-timer.C:
		n.late(name, look)
	}
	return stale, nil
}

// begin joins the lookup that is under way, or starts one. It returns the
// addresses to use without it, nil for none, and how long to wait for it first.
func (n *names) begin(name string) (look *lookup, stale []netip.Addr, wait time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[name]
	if h == nil {
		h = new(host)
		n.hosts[name] = h
	}
	now := time.Now()
	if h.current == nil {
		h.current = &lookup{done: make(chan struct{}), began: now}
		go n.run(name, h.current)
	}
	switch {
	case h.failing.IsZero():
		return h.current, h.found, lookupWait - now.Sub(h.current.began)
	case now.Sub(h.failing) < maxStale:
		return h.current, h.found, 0
	}
	return h.current, nil, 0
}

// late notes that a lookup takes too long.
func (n *names) late(name string, look *lookup) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.hosts[name]; h.current == look && h.failing.IsZero() {
		h.failing = time.Now()
	}
}

// run performs a lookup. It outlives the dial that has started it, because others
// may wait for it.
func (n *names) run(name string, look *lookup) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	look.found, look.err = n.resolver.LookupNetIP(ctx, "ip", name)
	if look.err == nil && len(look.found) == 0 {
		look.err = &net.DNSError{Err: "no addresses", Name: name, IsNotFound: true}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[name]
	h.current = nil
	switch {
	case look.err == nil:
		h.found, h.failing = look.found, time.Time{}
	case h.failing.IsZero():
		h.failing = time.Now()
	}
	close(look.done)
}
