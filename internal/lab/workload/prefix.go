package workload

import (
	"bytes"
	"strconv"
)

// The published prompt cache counts a prefix from cacheFirst tokens on, in
// steps of cacheStep, as package fleet models it.
const (
	cacheFirst = 1024
	cacheStep  = 128
)

// mooncakeBlock is the number of tokens that one of Mooncake's hash_ids
// stands for. An id names its block and all before it.
const mooncakeBlock = 512

// maxPrefix bounds the blocks of one call.
const maxPrefix = maxTokens / cacheStep

// mooncakePrefix maps Mooncake's blocks to those of the prompt cache: each
// cacheable block takes the id of the block that holds its last token and its
// place in there. So two prompts share as much as their ids say, rounded down
// to whole blocks of 512.
func mooncakePrefix(ids []uint64, tokens int) []uint64 {
	tokens = min(tokens, len(ids)*mooncakeBlock)
	if tokens < cacheFirst {
		return nil
	}
	prefix := make([]uint64, 0, 1+(tokens-cacheFirst)/cacheStep)
	for end := cacheFirst; end <= tokens; end += cacheStep {
		last := end - 1
		place := last % mooncakeBlock / cacheStep
		prefix = append(prefix, ids[last/mooncakeBlock]*(mooncakeBlock/cacheStep)+uint64(place))
	}
	return prefix
}

// appendPrefix writes a prefix as runs of successive values in hexadecimal,
// with spaces between: "7+4 20" is 7, 8, 9, 10, 32.
func appendPrefix(dst []byte, prefix []uint64) []byte {
	for i := 0; i < len(prefix); {
		n := 1
		for i+n < len(prefix) && prefix[i+n] == prefix[i]+uint64(n) {
			n++
		}
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = strconv.AppendUint(dst, prefix[i], 16)
		if n > 1 {
			dst = append(dst, '+')
			dst = strconv.AppendInt(dst, int64(n), 10)
		}
		i += n
	}
	return dst
}

// parsePrefix reads what appendPrefix writes.
func parsePrefix(b []byte) ([]uint64, error) {
	var prefix []uint64
	for len(b) > 0 {
		run, rest, _ := bytes.Cut(b, []byte{' '})
		b = rest
		first, count, many := bytes.Cut(run, []byte{'+'})
		v, err := strconv.ParseUint(string(first), 16, 64)
		n := 1
		if err == nil && many {
			n, err = strconv.Atoi(string(count))
		}
		if err != nil || n < 1 || len(prefix)+n > maxPrefix {
			return nil, reasonf("prefix %.40q is not a list of hexadecimal hashes and runs, such as 7+4 20", run)
		}
		for i := range n {
			prefix = append(prefix, v+uint64(i))
		}
	}
	return prefix, nil
}
