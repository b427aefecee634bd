package fleet

import (
	"time"

	"github.com/spillway-ai/spillway/internal/stat"
)

// The published prompt cache: a prefix counts from cacheFirst tokens on and
// grows in steps of cacheStep.
const (
	cacheFirst = 1024
	cacheStep  = 128
	cacheTTL   = 10 * time.Minute
	cacheSize  = 1 << 16 // entries of a generation
)

// PrefixBlocks is the number of cacheable blocks of a prompt with that many
// tokens: 0 below 1,024 tokens, then one more for every 128.
func PrefixBlocks(tokens int) int {
	if tokens < cacheFirst {
		return 0
	}
	return 1 + (tokens-cacheFirst)/cacheStep
}

// PrefixChain returns the Ask.Prefix of a prompt of which a known prefix of
// that many tokens is identified by one hash.
func PrefixChain(hash uint64, tokens int) []uint64 {
	chain := make([]uint64, PrefixBlocks(tokens))
	for i := range chain {
		chain[i] = stat.Mix(stat.Mix(hash) + uint64(i))
	}
	return chain
}

// cache remembers prefixes in two generations, so that forgetting costs
// nothing and needs no order.
type cache struct {
	young, old map[uint64]struct{}
	turned     time.Time
}

// match returns how many tokens of the prefix are cached, and remembers all of
// it.
func (c *cache) match(now time.Time, prefix []uint64) int {
	if len(prefix) == 0 {
		return 0
	}
	if len(c.young) >= cacheSize || c.young == nil || now.Sub(c.turned) >= cacheTTL {
		if now.Sub(c.turned) >= 2*cacheTTL {
			c.young = nil
		}
		c.old, c.young, c.turned = c.young, map[uint64]struct{}{}, now
	}
	hit, tokens := true, 0
	for i, h := range prefix {
		_, young := c.young[h]
		_, old := c.old[h]
		if hit = hit && (young || old); hit {
			tokens = cacheFirst + i*cacheStep
		}
		c.young[h] = struct{}{}
	}
	return tokens
}
