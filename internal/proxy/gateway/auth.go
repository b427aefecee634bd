package gateway

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// The reasons why identify fails.
var (
	errNoKey    = errors.New("missing key")
	errWrongKey = errors.New("unknown key")
)

// anonymousName is the caller of requests without a key.
const anonymousName = "anonymous"

// identity is the caller of a request.
type identity struct {
	name   string
	tenant string
	class  *spillway.Class
	access *permissions
}

// keyring finds callers by key. Keys are looked up by their SHA-256, so that
// the time of a lookup says nothing about the keys that exist. It does not
// change after newKeyring.
type keyring struct {
	callers   map[[sha256.Size]byte]identity
	names     map[string]bool
	anonymous identity // of requests without a key; refused when it has no class
}

// newKeyring makes the keyring of a configuration.
func newKeyring(cfg *Config) (keyring, error) {
	k := keyring{
		callers: make(map[[sha256.Size]byte]identity), names: make(map[string]bool),
		anonymous: identity{name: anonymousName, class: cfg.AnonymousClass, access: cfg.AnonymousAccess.permissions()},
	}
	for _, c := range cfg.Callers {
		if c.Class == nil {
			return keyring{}, fmt.Errorf("caller %q has no class", c.Name)
		}
		access := c.Access.permissions()
		for _, key := range c.Keys {
			if key == "" {
				return keyring{}, fmt.Errorf("caller %q has an empty key", c.Name)
			}
			sum := sha256.Sum256([]byte(key))
			if other, taken := k.callers[sum]; taken {
				return keyring{}, fmt.Errorf("callers %q and %q share a key", other.name, c.Name)
			}
			k.names[c.Name] = true
			k.callers[sum] = identity{name: c.Name, tenant: c.Tenant, class: c.Class, access: access}
		}
	}
	return k, nil
}

// identify returns the caller of a request with headers h: by its api-key, else
// by its bearer token.
func (k keyring) identify(h http.Header) (identity, error) {
	key := wire.ClientKey(h)
	if key == "" {
		if k.anonymous.class == nil {
			return identity{}, errNoKey
		}
		return k.anonymous, nil
	}
	if id, ok := k.callers[sha256.Sum256([]byte(key))]; ok {
		return id, nil
	}
	return identity{}, errWrongKey
}

// hasCaller reports whether a caller of that name is configured.
func (k keyring) hasCaller(caller string) bool {
	if k.names[caller] {
		return true
	}
	return caller == anonymousName && k.anonymous.class != nil
}
