package imports

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math/bits"
)

// kind is the log that a row comes from. Where two kinds have the same fact, the
// lower kind's is used.
type kind uint8

const (
	kindGateway kind = iota // of the gateway: what the client got
	kindService             // of the service: what one attempt got
	kindUsage               // tokens, from the service
	kindLLM                 // tokens, from the gateway
	kindCount
)

// fact is a value that may be known of a request, 0 or more.
type fact uint8

const (
	factTime          fact = iota // µs since 1970
	factStatus                    // what the client got
	factTook                      // µs
	factBackendStatus             // what the deployment answered
	factBackendTook               // µs
	factReason
	factPrompt // tokens
	factCompletion
	factCached
	factAsk
	factFirst // µs to the first token
	factRetry
	factTimeout // µs
	factUtilization
	factStream  // 0 or 1
	factAbout   // 1: the address is an LLM's
	factAccount // names, by number
	factDeployment
	factPool
	factModel
	factCaller
	factRegion
	factKinds // of a joined piece: bit by kind
	factCount
)

// utilizationUnit is how finely utilization is kept.
const utilizationUnit = 1e-4

// piece holds the facts of one row, or of all rows of one request.
type piece struct {
	key    key
	kind   kind
	values [factCount]uint64 // one more than the value; 0 is unknown
}

// know sets a fact.
func (p *piece) know(f fact, n int64) {
	if n >= 0 {
		p.values[f] = uint64(n) + 1
	}
}

// knows reports whether a fact is known.
func (p *piece) knows(f fact) bool { return p.values[f] > 0 }

// get is the fact's value, or -1 where it is unknown.
func (p *piece) get(f fact) int64 { return int64(p.values[f]) - 1 } //nolint:gosec // know took an int64

// has reports whether a joined piece has one of that kind.
func (p *piece) has(k kind) bool { return p.knows(factKinds) && p.get(factKinds)&(1<<k) != 0 }

// append encodes the piece: key, kind, which facts are known, and those.
func (p *piece) append(b []byte) []byte {
	b = append(append(b, p.key[:]...), byte(p.kind))
	known := uint64(0)
	for f, v := range p.values {
		if v > 0 {
			known |= 1 << f
		}
	}
	b = binary.AppendUvarint(b, known)
	for known > 0 {
		b = binary.AppendUvarint(b, p.values[bits.TrailingZeros64(known)]-1)
		known &= known - 1
	}
	return b
}

var errDamaged = errors.New("the temporary file is corrupt")

// decode reads a piece and returns what follows it.
func (p *piece) decode(b []byte) ([]byte, error) {
	if len(b) < len(p.key)+2 {
		return nil, errDamaged
	}
	n := copy(p.key[:], b)
	p.kind = kind(b[n])
	known, m := binary.Uvarint(b[n+1:])
	if m <= 0 || known>>factCount != 0 {
		return nil, errDamaged
	}
	b = b[n+1+m:]
	p.values = [factCount]uint64{}
	for known > 0 {
		v, m := binary.Uvarint(b)
		if m <= 0 {
			return nil, errDamaged
		}
		p.values[bits.TrailingZeros64(known)] = v + 1
		b = b[m:]
		known &= known - 1
	}
	return b, nil
}

// byKey orders pieces by request, and within one by kind.
func byKey(a, b *piece) int {
	if c := compareKeys(a.key, b.key); c != 0 {
		return c
	}
	return cmp.Compare(a.kind, b.kind)
}

// byTime orders joined pieces.
func byTime(a, b *piece) int {
	if c := cmp.Compare(a.values[factTime], b.values[factTime]); c != 0 {
		return c
	}
	return compareKeys(a.key, b.key)
}
