package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
)

func TestPinsAreBounded(t *testing.T) {
	var p pins
	for i := range 3 * maxPins {
		p.remember(strconv.Itoa(i), location{"pool", "east"})
		if i%1000 == 0 {
			p.find("0") // keeps it young
		}
	}
	if n := len(p.recent) + len(p.previous); n > 2*maxPins {
		t.Errorf("%d pins are kept", n)
	}
	if p.find("0").deployment != "east" || p.find(strconv.Itoa(3*maxPins-1)).deployment != "east" {
		t.Error("a pin in use was forgotten")
	}
	if p.find("1") != (location{}) || p.find("") != (location{}) {
		t.Error("a pin out of use is kept")
	}
}

func TestKeyring(t *testing.T) {
	class := &spillway.Class{Name: "c"}
	keys, err := newKeyring(&Config{Callers: []Caller{{Name: "a", Keys: []string{"one", "two"}, Class: class}}})
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
	u := upstream.Config{Credential: upstream.APIKey("secret")}
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
