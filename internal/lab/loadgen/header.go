package loadgen

import (
	"cmp"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// ParseHeaders reads headers written as "Name: value", of which one name may occur
// several times. Errors tell which one is wrong by its place and name, never by its
// value, which may be a credential.
func ParseHeaders(lines []string) (http.Header, error) {
	h := http.Header{}
	for i, line := range lines {
		name, value, found := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.Trim(value, " \t")
		switch {
		case !found:
			return nil, fmt.Errorf("header %d has no colon: write 'Name: value'", i+1)
		case name == "":
			return nil, fmt.Errorf("header %d has no name before its colon: write 'Name: value'", i+1)
		case !httpguts.ValidHeaderFieldName(name):
			return nil, fmt.Errorf("header %d: its name contains characters that a name cannot contain: use letters, digits and hyphens", i+1)
		case !httpguts.ValidHeaderFieldValue(value):
			return nil, fmt.Errorf("header %s: its value contains a line break or another control character: remove it", name)
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		if fix := managed(name); fix != "" {
			return nil, fmt.Errorf("header %s cannot be set: %s", name, fix)
		}
		h[name] = append(h[name], value)
	}
	return h, nil
}

// managed says what decides a header that the generator or its connection sets; "" is
// a header that a user may set.
func managed(name string) string {
	switch name {
	case "Content-Length", "Content-Type", "Content-Encoding":
		return "the request's body decides it"
	case "Host":
		return "--target decides it"
	case "Accept-Encoding":
		return "responses are read uncompressed"
	case textproto.CanonicalMIMEHeaderKey(wire.HeaderSDKRetryCount):
		return "--retries decides it"
	case textproto.CanonicalMIMEHeaderKey(wire.HeaderSDKTimeout):
		return "--timeout decides it"
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Expect", "Http2-Settings":
		return "it concerns the connection, not the request"
	}
	return ""
}

// authHeader is the header that carries the key.
func (o *Options) authHeader() string {
	if o.Style == wire.OpenAI {
		return wire.HeaderAuthorization
	}
	return wire.HeaderAPIKey
}

// hidden masks what the target must not make the report repeat: keys and values of
// headers. Short values, such as true or 1, are no secrets and occur in any text.
func (o *Options) hidden() *strings.Replacer {
	const shortest = 8
	var secrets []string
	hide := func(text string) {
		for part := range strings.FieldsSeq(text) {
			if len(part) >= shortest {
				secrets = append(secrets, part)
			}
		}
	}
	hide(o.Key)
	for _, key := range o.Keys {
		hide(key)
	}
	for _, values := range o.Header {
		for _, v := range values {
			hide(v)
		}
	}
	// The longest first: of one that begins like another, nothing may remain.
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, s := range secrets {
		pairs = append(pairs, s, "***")
	}
	return strings.NewReplacer(pairs...)
}

// authenticated reports whether the requests of a call have a credential.
func (o *Options) authenticated(c *workload.Call) bool {
	return o.key(c) != "" || o.Header[wire.HeaderAuthorization] != nil || o.Header[wire.HeaderAPIKey] != nil
}
