package upstream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeResolver answers as the test says.
type fakeResolver struct {
	mu      sync.Mutex
	lookups int
	after   time.Duration // before an answer
	found   []netip.Addr
	err     error
}

func (r *fakeResolver) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	r.mu.Lock()
	r.lookups++
	after, found, err := r.after, r.found, r.err
	r.mu.Unlock()
	select {
	case <-time.After(after):
		return found, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// set changes the answers to come.
func (r *fakeResolver) set(after time.Duration, err error, found ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.after, r.found, r.err = after, nil, err
	for _, text := range found {
		r.found = append(r.found, netip.MustParseAddr(text))
	}
}

func newNames(r resolver) *names { return &names{resolver: r, hosts: map[string]*host{}} }

var errServFail = &net.DNSError{Err: "server misbehaving", IsTemporary: true}

// TestStaleAddresses asks for the addresses of a host while its resolver works,
// fails, is silent, and works again.
func TestStaleAddresses(t *testing.T) {
	const forever = time.Hour
	type step struct {
		wait   time.Duration // before the step
		after  time.Duration // what the resolver takes
		err    error
		found  string // what it says
		want   string // "" is an error
		within time.Duration
	}
	for name, steps := range map[string][]step{
		"works":     {{0, 0, nil, "10.0.0.1", "10.0.0.1", 0}, {0, 0, nil, "10.0.0.2", "10.0.0.2", 0}},
		"slow":      {{0, 3 * time.Second, nil, "10.0.0.1", "10.0.0.1", 3 * time.Second}},
		"never did": {{0, 0, errServFail, "", "", 0}, {0, forever, nil, "", "", 5 * time.Second}},
		"no addresses": {
			{0, 0, nil, "", "", 0},
		},
		"SERVFAIL": {
			{0, 0, nil, "10.0.0.1", "10.0.0.1", 0},
			{time.Hour, 0, errServFail, "", "10.0.0.1", 0},
			{4 * time.Minute, 0, errServFail, "", "10.0.0.1", 0},
			{2 * time.Minute, 0, errServFail, "", "", 0},
			{time.Minute, 0, nil, "10.0.0.2", "10.0.0.2", 0},
			{time.Minute, 0, errServFail, "", "10.0.0.2", 0},
		},
		"silent": {
			{0, 0, nil, "10.0.0.1", "10.0.0.1", 0},
			{time.Minute, forever, nil, "", "10.0.0.1", lookupWait},
			{0, forever, nil, "", "10.0.0.1", 0}, // while that lookup waits
			{time.Minute, forever, nil, "", "10.0.0.1", 0},
			{5 * time.Minute, forever, nil, "", "", 5 * time.Second},
			{time.Minute, 0, nil, "10.0.0.2", "10.0.0.2", 0},
		},
		"late": {
			{0, 0, nil, "10.0.0.1", "10.0.0.1", 0},
			{time.Minute, 2 * time.Second, nil, "10.0.0.2", "10.0.0.1", lookupWait},
			{2 * time.Second, 0, nil, "10.0.0.2", "10.0.0.2", 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := new(fakeResolver)
				n := newNames(r)
				for i, s := range steps {
					time.Sleep(s.wait)
					r.set(s.after, s.err)
					if s.found != "" {
						r.set(s.after, s.err, s.found)
					}
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					began := time.Now()
					found, err := n.find(ctx, "east.test")
					took := time.Since(began)
					cancel()
					got := ""
					if err == nil {
						got = found[0].String()
					}
					if got != s.want || took > s.within {
						t.Errorf("step %d: %q, %v after %v; want %q within %v", i+1, got, err, took, s.want, s.within)
					}
				}
				time.Sleep(lookupTimeout) // the last lookup ends
			})
		})
	}
}

// TestSharedLookup has many ask for a host at once: one lookup serves all.
func TestSharedLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(fakeResolver)
		r.set(time.Second, nil, "10.0.0.1")
		n := newNames(r)
		var asking sync.WaitGroup
		for range 100 {
			asking.Go(func() {
				if found, err := n.find(t.Context(), "east.test"); err != nil || len(found) != 1 {
					t.Errorf("%v, %v", found, err)
				}
			})
		}
		asking.Wait()
		if r.lookups != 1 {
			t.Errorf("%d lookups, want 1", r.lookups)
		}
	})
}

// TestDialAny dials a host of several addresses, some of which fail or hang.
func TestDialAny(t *testing.T) {
	const hang = -1
	const v4a, v4b, v6a, v6b = "10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"
	type peers map[string]time.Duration // accept after so long; hang never; others refuse
	for _, tt := range []struct {
		name   string
		found  []string
		peers  peers
		want   string // "" is an error
		within time.Duration
		dialed []string
	}{
		{"the first accepts", []string{v6a, v4a}, peers{v6a: 0, v4a: 0}, v6a, 0, []string{v6a}},
		{"the first refuses", []string{v6a, v4a}, peers{v4a: 0}, v4a, 0, []string{v6a, v4a}},
		{"the first hangs", []string{v6a, v4a}, peers{v6a: hang, v4a: 0}, v4a, attemptDelay, []string{v6a, v4a}},
		{"the first is slow", []string{v6a, v4a}, peers{v6a: 400 * time.Millisecond, v4a: hang}, v6a, 400 * time.Millisecond, []string{v6a, v4a}},
		{"a family hangs", []string{v6a, v6b, v4a, v4b}, peers{v6a: hang, v6b: hang, v4a: 0}, v4a, attemptDelay, []string{v6a, v4a}},
		{"all but the last hang", []string{v4a, v4b, v6a}, peers{v4a: hang, v4b: 0, v6a: hang}, v4b, 2 * attemptDelay, []string{v4a, v6a, v4b}},
		{"all refuse", []string{v4a, v4b}, nil, "", 0, []string{v4a, v4b}},
		{"all hang", []string{v4a, v4b}, peers{v4a: hang, v4b: hang}, "", 5 * time.Second, []string{v4a, v4b}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := new(fakeResolver)
				r.set(0, nil, tt.found...)
				var mu sync.Mutex
				var dialed []string
				open := map[string]net.Conn{}
				d := &dialer{names: newNames(r), dialAddr: func(ctx context.Context, _, addr string) (net.Conn, error) {
					ip, port, err := net.SplitHostPort(addr)
					if err != nil || port != "443" {
						t.Errorf("dialed %s: %v", addr, err)
					}
					mu.Lock()
					dialed = append(dialed, ip)
					mu.Unlock()
					after, known := tt.peers[ip]
					switch {
					case !known:
						return nil, errors.New("refused")
					case after == hang:
						<-ctx.Done()
						return nil, ctx.Err()
					}
					time.Sleep(after)
					near, _ := net.Pipe()
					mu.Lock()
					open[ip] = near
					mu.Unlock()
					return near, nil
				}}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				began := time.Now()
				c, err := d.dial(ctx, "tcp", "east.test:443")
				took := time.Since(began)
				time.Sleep(time.Minute)
				got := ""
				for ip, near := range open {
					if c == near {
						got = ip
					}
				}
				if got != tt.want || (err == nil) != (tt.want != "") || took > tt.within {
					t.Errorf("connected to %q after %v: %v; want %q within %v", got, took, err, tt.want, tt.within)
				}
				if !slices.Equal(dialed, tt.dialed) {
					t.Errorf("dialed %v, want %v", dialed, tt.dialed)
				}
			})
		})
	}
}

// TestDialClosesUnused has two addresses accept: one connection is kept.
func TestDialClosesUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(fakeResolver)
		r.set(0, nil, "10.0.0.1", "10.0.0.2")
		far := make(chan net.Conn, 2)
		d := &dialer{names: newNames(r), dialAddr: func(context.Context, string, string) (net.Conn, error) {
			time.Sleep(time.Second)
			a, b := net.Pipe()
			far <- b
			return a, nil
		}}
		kept, err := d.dial(t.Context(), "tcp", "east.test:443")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		closed := 0
		for range 2 {
			c := <-far
			c.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
				closed++
			}
		}
		if closed != 1 {
			t.Errorf("%d of 2 connections were closed, want 1", closed)
		}
		kept.Close()
	})
}

// TestDialAddress dials an address without asking the resolver, and reports what
// the resolver says as a failed dial.
func TestDialAddress(t *testing.T) {
	r := new(fakeResolver)
	r.set(0, errServFail)
	var dialed string
	d := &dialer{names: newNames(r), dialAddr: func(_ context.Context, _, addr string) (net.Conn, error) {
		dialed = addr
		return nil, errors.New("refused")
	}}
	if d.dial(t.Context(), "tcp", "[2001:db8::1]:80"); dialed != "[2001:db8::1]:80" || r.lookups != 0 {
		t.Errorf("dialed %q after %d lookups", dialed, r.lookups)
	}
	var op *net.OpError
	if _, err := d.dial(t.Context(), "tcp", "east.test:80"); !errors.As(err, &op) || op.Op != "dial" || !errors.Is(err, errServFail) {
		t.Errorf("error %v", err)
	}
}
