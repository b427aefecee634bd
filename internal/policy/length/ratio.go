package length

// The ratio before any usage is reported: one prompt of 4 KiB at a quarter token
// per byte, which the first reports outweigh quickly.
const (
	priorBytes  = 4096
	priorTokens = 1024
)

// keep is the factor for the weight of earlier prompts when one is added: about
// the last 32 count.
const keep = 1 - 1.0/32

// ratio is tokens per byte, weighted by size: the exponentially weighted
// tokens over the exponentially weighted bytes. The zero value is the prior.
type ratio struct {
	tokens, bytes float64
	n             int // prompts seen
}

func (r *ratio) add(bytes, tokens int) {
	if r.n == 0 {
		r.tokens, r.bytes = priorTokens, priorBytes
	}
	r.tokens = r.tokens*keep + float64(tokens)
	r.bytes = r.bytes*keep + float64(bytes)
	r.n++
}

func (r *ratio) value() float64 {
	if r.n == 0 {
		return float64(priorTokens) / priorBytes
	}
	return r.tokens / r.bytes
}
