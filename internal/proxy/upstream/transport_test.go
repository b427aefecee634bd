package upstream

import (
	"context"
	"errors"
	"net"
	"testing"
)

// TestProxy goes by the environment's proxies, except on a network that the
// caller provides.
func TestProxy(t *testing.T) {
	own, err := newTransport(transportKey{}, nil)
	if err != nil || own.main.Proxy == nil || own.single.Proxy == nil {
		t.Errorf("no proxy is looked for: %v", err)
	}
	given, err := newTransport(transportKey{}, func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network") })
	if err != nil || given.main.Proxy != nil || given.shared.Proxy != nil {
		t.Errorf("a proxy is looked for: %v", err)
	}
}
