package wire

import (
	"encoding/binary"
	"math/bits"

	"github.com/spillway-ai/spillway"
)

// Ask is what a request's body asks for: the few top-level fields that matter
// and where they stand. It refers to no part of the body.
type Ask struct {
	API    spillway.API
	Model  string // "" when absent
	Stream bool

	// TokenField is the client's own limit field, "" when it set none, and
	// Tokens its value. Only completions take an explicit 0.
	TokenField string
	Tokens     int
	Choices    int // the larger of n and best_of, for each prompt; at least 1

	Tools        bool // tools or functions are offered
	Structured   bool // the response must parse: json_object or json_schema
	Reasoning    bool // reasoning settings are present that do not turn it off
	NoReasoning  bool // the reasoning effort is "none"
	IncludeUsage bool // the client asked for usage in its stream
	Background   bool // background is true
	Unstreamable bool // no service streams it: best_of above 1, spoken responses

	// ServiceTier is one of the tiers that services document, "other" for any other
	// value, or "" when absent.
	ServiceTier        string
	PreviousResponseID string
	// Since is the first api-version of Azure that knows all of the request's members
	// of chat; "" when every version in use does.
	Since string

	// PromptBytes is the size of what becomes prompt tokens: messages, input,
	// prompt, instructions, tools, without white space around values, and escapes as
	// what they stand for. An embedded file counts as fileBytes.
	PromptBytes int
	// Affinity is a hash of the prompt's cacheable prefix and of
	// prompt_cache_key, the same in every process; 0 means none.
	Affinity uint64

	formDelimiter string // of the parts, if the body is a multipart form
	formModel     span   // the value of its field model
	object        bool   // the body is an object, so it can be patched
	open          int    // offset after the opening brace, or of a form's first delimiter
	members       int    // of the body
	model         member
	stream        member
	limits        [3]member // by limitNames
	options       member    // stream_options
	optOpen       int       // offset after its brace; 0 when it is null
	optEmpty      bool      // it has no members
	withUsage     member    // stream_options.include_usage
}

// member is the position of one object member, as byte offsets; a zero key means
// that it is absent.
type member struct {
	prev int // end of the preceding member's value, or after the brace
	key  int // the name's opening quote
	val  int // the value's first byte
	end  int // after the value
	null bool
}

// present reports whether the member is in the body, even as null.
func (m member) present() bool { return m.key != 0 }

const (
	// maxCount bounds every count that a client can ask for.
	maxCount = 1_000_000_000
	// fileBytes is the size of an embedded file in PromptBytes. A one-megapixel
	// image is 765 tokens at high detail, about four bytes each.
	fileBytes = 3060
	// prefixBytes is how much of a prompt makes its affinity. Prompt caches
	// start at 1,024 tokens, about four bytes each, so a shorter prompt has none.
	prefixBytes = 4096
)

// reader fills an Ask while its scanner walks the body.
type reader struct {
	scanner
	ask        Ask
	bad        *BadRequest
	last       int // end of the preceding member's value
	n          int
	bestOf     int
	effortNone bool // the reasoning setting that was read last turns it off
	// prompts is the number of prompts of a completions request.
	prompts int

	prompt       span // messages, input or prompt
	instructions span
	cacheKey     span
}

// ReadAsk finds the fields of body that matter to api. It checks the whole
// text, as json.go says, and the types of those fields, but decodes nothing
// else. The body of an unknown operation may be anything: then it reads what
// it can and never fails. An error is a *BadRequest.
func ReadAsk(api spillway.API, body []byte) (Ask, error) {
	var room [20]name
	r := reader{ask: Ask{API: api, Choices: 1}}
	r.src, r.names = body, room[:0]
	ok := r.readBody()
	if ok {
		return r.ask, nil
	}
	if api == spillway.APIOther {
		return Ask{API: api, Choices: 1}, nil
	}
	if r.bad == nil {
		r.bad = r.explain()
	}
	return Ask{}, r.bad
}

// readBody walks the body. When it reports false, bad says why, or is nil if the
// body is not JSON.
func (r *reader) readBody() bool {
	if r.peek() != '{' {
		if r.value() && r.end() {
			r.bad = &BadRequest{Code: CodeInvalidType, Message: "The request body must be a JSON object."}
		}
		return false
	}
	r.ask.object = true
	r.ask.open = r.pos + 1
	r.last = r.pos + 1
	if !r.object(r.readField) || !r.end() {
		return false
	}
	r.ask.Choices = min(max(r.n, r.bestOf, 1)*max(r.prompts, 1), maxCount)
	r.ask.Affinity = r.affinity()
	return r.tokenLimit()
}

// tokenLimit picks the client's token field.
func (r *reader) tokenLimit() bool {
	a := &r.ask
	for i, m := range a.limits {
		if !m.present() || m.null {
			continue
		}
		if a.TokenField != "" {
			r.bad = &BadRequest{
				Code: "invalid_parameter_combination", Param: fieldMaxTokens,
				Message: "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported. Send one of them.",
			}
			return false
		}
		a.TokenField = limitNames[i]
		a.Tokens, _ = parseCount(r.src[m.val:m.end])
	}
	return true
}

// affinity hashes the cacheable prefix.
func (r *reader) affinity() uint64 {
	key := r.src[r.cacheKey.start:r.cacheKey.end]
	instructions := r.src[r.instructions.start:r.instructions.end]
	prompt := r.src[r.prompt.start:r.prompt.end]

	hash := mixHash(0, key)
	if len(instructions)+len(prompt) >= prefixBytes {
		head := instructions[:min(len(instructions), prefixBytes)]
		hash = mixHash(hash, head)
		hash = mixHash(hash, prompt[:min(len(prompt), prefixBytes-len(head))])
	} else if len(key) == 0 {
		return 0
	}
	return max(hash, 1)
}

// mixHash folds text into hash, eight bytes at a time: each is multiplied to 128
// bits, and the halves are joined. It withstands accidents, not attackers.
func mixHash(hash uint64, text []byte) uint64 {
	const odd = 0x9E3779B97F4A7C15 // near 2^64/φ
	hash ^= uint64(len(text))
	for len(text) > 0 {
		var word uint64
		if len(text) >= 8 {
			word = binary.LittleEndian.Uint64(text)
			text = text[8:]
		} else {
			var last [8]byte
			copy(last[:], text)
			word = binary.LittleEndian.Uint64(last[:])
			text = nil
		}
		high, low := bits.Mul64(hash^word^odd, odd)
		hash = high ^ low
	}
	return hash
}

// SetsStreamOptions reports whether the client itself sent stream_options.
func (a *Ask) SetsStreamOptions() bool { return a.options.present() && !a.options.null }

// Fill copies the ask into r. It leaves alone what the body does not say.
func (a *Ask) Fill(r *spillway.Request) {
	r.API = a.API
	r.Stream = a.Stream
	r.Choices = a.Choices
	r.AskTokens = a.Tokens
	r.BodyBytes = a.PromptBytes
	r.Structured = a.Structured
	r.Tools = a.Tools
	r.Reasoning = a.Reasoning
	r.NoReasoning = a.NoReasoning && !a.Reasoning
	r.Affinity = a.Affinity
	r.ServiceTier = a.ServiceTier
}
