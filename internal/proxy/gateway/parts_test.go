package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	spillway "github.com/spillway-ai/spillway"
)

// TestProxy goes by the environment's proxies, except on a network that the
// caller provides.
func TestProxy(t *testing.T) {
	own, err := newTransport(transportKey{}, nil)
	if err != nil || own.Proxy == nil {
		t.Errorf("no proxy is looked for: %v", err)
	}
	given, err := newTransport(transportKey{}, new(memoryNet).dial)
	if err != nil || given.Proxy != nil {
		t.Errorf("a proxy is looked for: %v", err)
	}
}

func TestPinsAreBounded(t *testing.T) {
	var p pins
	for i := range 3 * maxPins {
		p.learn(strconv.Itoa(i), pin{"pool", "east"})
		if i%1000 == 0 {
			p.find("0") // keeps it young
		}
	}
	if n := len(p.young) + len(p.old); n > 2*maxPins {
		t.Errorf("%d pins are kept", n)
	}
	if p.find("0").deployment != "east" || p.find(strconv.Itoa(3*maxPins-1)).deployment != "east" {
		t.Error("a pin in use was forgotten")
	}
	if p.find("1") != (pin{}) || p.find("") != (pin{}) {
		t.Error("a pin out of use is kept")
	}
}

func TestBufferReadFrom(t *testing.T) {
	var pools bufferPools
	for _, size := range []int{0, 1, 1023, 1024, 1025, 5000, 1 << 20, 1<<20 + 1} {
		for _, limit := range []int{size, size - 1} {
			buf := pools.get(100)
			within, err := buf.readFrom(bytes.NewReader(make([]byte, size)), int64(limit))
			if err != nil || within != (size <= limit) {
				t.Errorf("%d bytes within %d: %v, %v", size, limit, within, err)
			}
			if within && len(buf.b) != size {
				t.Errorf("read %d bytes, want %d", len(buf.b), size)
			}
			buf.drop()
		}
	}
}

// TestRequestBody keeps the memory until it has been read or closed.
func TestRequestBody(t *testing.T) {
	var pools bufferPools
	buf := pools.get(5000)
	buf.b = append(buf.b, "hello"...)
	body := buf.reader(true)
	unread := buf.reader(true)
	buf.drop()
	var part [2]byte
	if n, err := body.Read(part[:]); n != 2 || err != nil || buf.refs.Load() != 2 {
		t.Errorf("read %d, %v; %d holders, want 2", n, err, buf.refs.Load())
	}
	if got, err := io.ReadAll(body); err != nil || string(got) != "llo" || buf.refs.Load() != 1 {
		t.Errorf("read %q, %v; %d holders, want 1", got, err, buf.refs.Load())
	}
	if n, err := body.Read(part[:]); n != 0 || err != io.EOF {
		t.Errorf("read %d, %v after the end", n, err)
	}
	unread.Close()
	if n := buf.refs.Load(); n != 0 {
		t.Errorf("%d holders, want none", n)
	}
	body.Close()
	body.Close()
	if _, err := body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("read after close: %v", err)
	}
}

func TestKeyring(t *testing.T) {
	class := &spillway.Class{Name: "c"}
	keys, err := newKeyring([]Caller{{Name: "a", Keys: []string{"one", "two"}, Class: class}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, value string
		who         string
		err         error
	}{
		{"Api-Key", "one", "a", nil},
		{"Authorization", "Bearer two", "a", nil},
		{"Authorization", "bearer two", "a", nil},
		{"Authorization", "Basic two", "", errNoKey},
		{"Api-Key", "three", "", errWrongKey},
		{"Other", "one", "", errNoKey},
	}
	for _, tt := range tests {
		who, err := keys.identify(http.Header{tt.name: {tt.value}})
		if who.name != tt.who || !errors.Is(err, tt.err) {
			t.Errorf("%s: %s gives %q, %v", tt.name, tt.value, who.name, err)
		}
	}
}

// TestCredentialsAreNotPrinted formats a configuration in every way.
func TestCredentialsAreNotPrinted(t *testing.T) {
	u := Upstream{Credential: APIKey("secret")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(verb, u); strings.Contains(s, "secret") {
			t.Errorf("%s prints %s", verb, s)
		}
	}
}

func TestRequestIDsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := newRequestID()
		if len(id) != 36 || !strings.HasPrefix(id, "req_") || seen[id] {
			t.Fatalf("unexpected id %q", id)
		}
		seen[id] = true
	}
}
