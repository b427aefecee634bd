package imports

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// key is a correlation id, or its hash.
type key [16]byte

// keyOf returns the key of a correlation id: the bytes of a UUID, as nearly all
// ids are, or else a hash.
func keyOf(id string) (k key) {
	if len(id) == 36 && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-' {
		var plain [32]byte
		n := copy(plain[:], id[:8])
		n += copy(plain[n:], id[9:13])
		n += copy(plain[n:], id[14:18])
		n += copy(plain[n:], id[19:23])
		copy(plain[n:], id[24:])
		if _, err := hex.Decode(k[:], plain[:]); err == nil {
			return k
		}
	}
	sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(id))))
	copy(k[:], sum[:])
	return k
}

// division spreads keys evenly.
func (k key) division(n int) int {
	return int((binary.BigEndian.Uint64(k[:8]) ^ binary.BigEndian.Uint64(k[8:])) % uint64(n)) //nolint:gosec // n is small
}

func compareKeys(a, b key) int {
	high := cmp.Compare(binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(b[:8]))
	return cmp.Or(high, cmp.Compare(binary.BigEndian.Uint64(a[8:]), binary.BigEndian.Uint64(b[8:])))
}
