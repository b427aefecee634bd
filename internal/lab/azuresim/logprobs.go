package azuresim

import (
	"strconv"

	"github.com/spillway-ai/spillway/internal/stat"
)

// logprobOf is a made-up log probability between -2 and 0 that depends on the
// token alone.
func logprobOf(token []byte) float64 {
	h := uint64(0)
	for _, c := range token {
		h = stat.Mix(h ^ uint64(c))
	}
	return -float64(h%2000) / 1000
}

// appendLogprob appends one element of the chat API's logprobs.content, with
// the most likely alternatives, of which the token is the first.
func appendLogprob(b []byte, token []byte, alternatives int) []byte {
	lp := logprobOf(token)
	b = appendLogprobCore(b, token, lp)
	b = append(b, `,"top_logprobs":[`...)
	for i := range alternatives {
		if i > 0 {
			b = append(b, ',')
		}
		other := token
		if i > 0 {
			other = append([]byte(" "), nouns[i%len(nouns)]...)
		}
		b = appendLogprobCore(b, other, lp-float64(i))
		b = append(b, '}')
	}
	return append(b, `]}`...)
}

// appendLogprobCore appends the members token, logprob and bytes, and leaves
// the object open.
func appendLogprobCore(b []byte, token []byte, lp float64) []byte {
	b = append(b, `{"token":`...)
	b = appendQuoted(b, token)
	b = append(b, `,"logprob":`...)
	b = strconv.AppendFloat(b, lp, 'f', -1, 64)
	b = append(b, `,"bytes":[`...)
	for i, c := range token {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(c), 10)
	}
	return append(b, ']')
}

// appendTokenLogprobs appends the logprobs object of legacy completions.
func appendTokenLogprobs(b []byte, tokens []piece) []byte {
	list := func(b []byte, name string, element func(b []byte, token []byte) []byte) []byte {
		b = append(b, `"`+name+`":[`...)
		for i := range tokens {
			if i > 0 {
				b = append(b, ',')
			}
			b = element(b, tokens[i].text)
		}
		return append(b, ']')
	}
	offset := 0
	b = list(append(b, '{'), "tokens", appendQuoted)
	b = list(append(b, ','), "token_logprobs", func(b, token []byte) []byte {
		return strconv.AppendFloat(b, logprobOf(token), 'f', -1, 64)
	})
	b = append(b, `,"top_logprobs":null`...)
	b = list(append(b, ','), "text_offset", func(b, token []byte) []byte {
		b = strconv.AppendInt(b, int64(offset), 10)
		offset += len(token)
		return b
	})
	return append(b, '}')
}
