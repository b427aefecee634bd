package wire

import (
	"bytes"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/jsonwalk"
)

const (
	// maxUsageBytes is more than any usage object has.
	maxUsageBytes = 4 << 10
	// maxNameBytes is more than the names that a UsageScanner looks for have.
	maxNameBytes = 16
)

// UsageScanner finds the usage and the service tier in a response that passes in pieces
// and is never whole: JSON, or a stream of events whose data is JSON. They are members of
// the outermost object, or of its member "response". It keeps a few kilobytes at most.
// The zero value is ready.
type UsageScanner struct {
	depth    int
	text     bool   // inside a string
	escaped  bool   // behind a backslash
	response bool   // the object at depth 2 is the member "response"
	name     []byte // the beginning of the last string
	found    []byte // the value of the member that is found, as far as it has come
	finding  int    // the depth of the member whose value is kept; 0 for none
	tierNext bool   // that member is the service tier
	usage    spillway.Usage
	tier     string
}

// Usage returns the last usage that was found.
func (u *UsageScanner) Usage() spillway.Usage { return u.usage }

// ServiceTier returns the last service tier that was found; "" for none.
func (u *UsageScanner) ServiceTier() string { return u.tier }

// Scan reads the next piece.
func (u *UsageScanner) Scan(p []byte) {
	for len(p) > 0 {
		n := 1
		if u.text {
			n = u.scanText(p)
		} else {
			u.scanByte(p[0])
		}
		if u.finding > 0 {
			u.keep(p[:n])
		}
		p = p[n:]
	}
}

// scanText reads what p has of a string, and returns its length.
func (u *UsageScanner) scanText(p []byte) int {
	n := 0
	if u.escaped {
		u.escaped, n = false, 1
	}
	for n < len(p) {
		end := bytes.IndexByte(p[n:], '"')
		part := p[n:]
		if end >= 0 {
			part = part[:end]
		}
		if slash := bytes.IndexByte(part, '\\'); slash >= 0 {
			if n += slash + 2; n > len(p) {
				u.escaped, n = true, len(p)
			}
			continue
		}
		n += len(part)
		if end >= 0 {
			u.text = false
			u.remember(p[:n])
			return n + 1
		}
	}
	u.remember(p[:n])
	return n
}

// remember keeps the beginning of a string.
func (u *UsageScanner) remember(p []byte) {
	u.name = append(u.name, p[:min(len(p), maxNameBytes-len(u.name))]...)
}

// scanByte reads a byte that is in no string.
func (u *UsageScanner) scanByte(b byte) {
	switch b {
	case '"':
		if u.depth > 0 { // elsewhere it is part of a line that is not JSON
			u.text, u.name = true, u.name[:0]
		}
	case '{', '[':
		u.depth++
		if u.depth == 2 {
			u.response = b == '{' && string(u.name) == "response"
		}
	case '}', ']':
		if u.depth = max(u.depth-1, 0); u.finding > u.depth {
			u.end()
		}
	case ',':
		if u.finding == u.depth {
			u.end()
		}
	case ':':
		if u.finding > 0 || u.depth != 1 && (u.depth != 2 || !u.response) {
			return
		}
		switch string(u.name) {
		case "usage", "service_tier":
			u.finding, u.found, u.tierNext = u.depth, u.found[:0], string(u.name) != "usage"
		}
	}
}

// keep adds to the value that is found. One that is too long is none.
func (u *UsageScanner) keep(p []byte) {
	if len(u.found)+len(p) > maxUsageBytes {
		u.finding = 0
		return
	}
	u.found = append(u.found, p...)
}

// end reads the value that is found, which begins with a colon.
func (u *UsageScanner) end() {
	u.finding = 0
	c := jsonwalk.Lax(bytes.TrimPrefix(u.found, colon))
	if u.tierNext {
		if tier := serviceTierOf(c.Text()); tier != "" && c.Done() {
			u.tier = tier
		}
		return
	}
	if usage := readUsage(&c, spillway.APIOther); usage != (spillway.Usage{}) && c.Done() {
		u.usage = usage
	}
}

var colon = []byte(":") // constant
