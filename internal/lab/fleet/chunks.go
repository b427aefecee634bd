package fleet

import (
	"math"
	"time"

	"github.com/spillway-ai/spillway/internal/stat"
)

// defaultChunkTokens is the mean size of a chunk where the configuration names
// none.
//
// Azure's default content filter collects what the model generates, checks it,
// and releases it as one chunk: "Content isn't returned token-by-token in this
// case, but in 'content chunks' of the respective buffer size" (Microsoft
// Learn, Azure OpenAI, "Content streaming"). The asynchronous filter collects
// nothing. That text comes in batches is documented. How large they are is
// not: clients report a few words to a few sentences at a time, up to two
// seconds apart (github.com/vercel/ai, issue 1066). The mean of 20 tokens,
// about one sentence, and the spread around it are assumptions. Also assumed:
// the check takes no time, and a batch is one event of the stream, although
// some captures show one event per token, released together.
const defaultChunkTokens = 20

// chunkSpread is by how much of the mean a chunk may be smaller or larger than
// the mean, as far as every chunk still holds a token. Sizes are triangular
// between these bounds; the first strays half as far.
const chunkSpread = 0.5

// Released returns how many of the first n tokens of a choice are not held
// back any more: hidden tokens, which have no text, and complete chunks. The
// last chunk is complete when the response is.
func (p *Plan) Released(n int) int {
	if n <= p.ReasoningTokens || n >= p.OutputTokens {
		return n
	}
	visible := n - p.ReasoningTokens
	return p.ReasoningTokens + p.chunkEnd(p.chunksIn(visible))
}

// NextRelease returns how many tokens of a choice there are when the first
// chunk after the first n tokens is released; n must be below OutputTokens.
func (p *Plan) NextRelease(n int) int {
	visible := max(0, n-p.ReasoningTokens)
	return min(p.ReasoningTokens+p.chunkEnd(p.chunksIn(visible)+1), p.OutputTokens)
}

// FirstChunk returns the instant of a stream's first chunk with text, or that
// of the response's end where there is no text.
func (p *Plan) FirstChunk() time.Duration {
	if p.OutputTokens <= p.ReasoningTokens {
		return p.last()
	}
	return p.At(p.NextRelease(0))
}

// chunksIn returns how many complete chunks there are in the first visible
// tokens.
func (p *Plan) chunksIn(visible int) int {
	k := visible/max(p.chunk, 1) + 1
	for p.chunkEnd(k) > visible {
		k--
	}
	return k
}

// chunkEnd returns how many visible tokens the first k chunks hold. The ends
// stray around multiples of the mean, each by itself, so that any of them is
// known without those before it.
func (p *Plan) chunkEnd(k int) int {
	if k <= 0 || p.chunk <= 1 {
		return max(k, 0)
	}
	mean := float64(p.chunk)
	spread := min(chunkSpread, 1-1/mean)
	stray := float64(stat.Mix(^p.jitter+uint64(k))>>11)/(1<<53) - 0.5
	return int(math.Floor(mean*(float64(k)+spread*stray) + 0.5))
}
