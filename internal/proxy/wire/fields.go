package wire

import (
	"fmt"

	"github.com/spillway-ai/spillway"
)

// The names of the token limit.
const (
	fieldMaxTokens     = "max_tokens"
	fieldMaxCompletion = "max_completion_tokens"
	fieldMaxOutput     = "max_output_tokens"
)

// limitNames indexes Ask.limits. It is constant.
var limitNames = [3]string{fieldMaxTokens, fieldMaxCompletion, fieldMaxOutput}

// limitIndex says whether key is a token limit of api, and which.
func limitIndex(api spillway.API, key string) (int, bool) {
	switch {
	case key == fieldMaxTokens && (api == spillway.APIChat || api == spillway.APICompletions):
		return 0, true
	case key == fieldMaxCompletion && api == spillway.APIChat:
		return 1, true
	case key == fieldMaxOutput && api == spillway.APIResponses:
		return 2, true
	}
	return 0, false
}

// readField reads one member of the body.
func (r *reader) readField(start int) bool {
	m := member{prev: r.last, key: start, val: r.pos, null: r.at('n')}
	ok := r.readKnownField(&m)
	r.last = r.pos
	r.ask.members++
	return ok
}

// readKnownField reads the value of a member, and keeps m where it can be patched.
func (r *reader) readKnownField(m *member) bool {
	a, key := &r.ask, r.name()
	switch string(key) {
	case "model":
		return r.readText("model", &a.Model) && storeMember(&a.model, m, r.pos)
	case "stream":
		return r.readBool("stream", &a.Stream) && storeMember(&a.stream, m, r.pos)
	case "messages", "input", "prompt":
		return r.readPrompt(string(key) == "prompt")
	case "instructions":
		return r.promptPart(&r.instructions)
	case "tools", "functions":
		return r.readTools(string(key))
	}
	if !a.API.Generates() {
		return r.value()
	}
	if a.API == spillway.APIChat && !m.null {
		a.Since = max(a.Since, memberSince(string(key)))
	}
	switch string(key) {
	case fieldMaxTokens, fieldMaxCompletion, fieldMaxOutput:
		i, ok := limitIndex(a.API, string(key))
		if !ok {
			return r.value()
		}
		floor := 1
		if a.API == spillway.APICompletions {
			floor = 0 // echo and score the prompt
		}
		var tokens int
		return r.readCount(limitNames[i], floor, &tokens) && storeMember(&a.limits[i], m, r.pos)
	case "n":
		return r.readCount("n", 1, &r.n)
	case "best_of":
		ok := r.readCount("best_of", 1, &r.bestOf)
		a.Unstreamable = a.Unstreamable || r.bestOf > 1
		return ok
	case "audio":
		a.Unstreamable = a.Unstreamable || !m.null
		return r.value()
	case "stream_options":
		return r.streamOptions(m)
	case "response_format":
		if a.API != spillway.APIResponses {
			return r.readMembers("response_format", r.formatField)
		}
	case "text":
		if a.API == spillway.APIResponses {
			return r.readMembers("text", r.textField)
		}
	case "reasoning", "reasoning_effort":
		return r.readReasoning()
	case "service_tier":
		return r.readServiceTier()
	case "previous_response_id":
		return r.readText("previous_response_id", &a.PreviousResponseID)
	case "prompt_cache_key":
		return r.readCacheKey(m.null)
	case "background":
		return r.readBool("background", &a.Background)
	}
	return r.value()
}

// readServiceTier reads the service tier. What it may be is for the service to decide,
// so no value is rejected; names that the gateway does not know count as one tier.
func (r *reader) readServiceTier() bool {
	if !r.at('"') {
		return r.value()
	}
	var tier string
	ok := r.readText("service_tier", &tier)
	switch tier {
	case "", "auto", "default", "fast", "flex", "priority", "scale", "ultrafast":
		r.ask.ServiceTier = tier
	default:
		r.ask.ServiceTier = "other"
	}
	return ok
}

// storeMember stores m, whose value ends at end.
func storeMember(at, m *member, end int) bool {
	*at = *m
	at.end = end
	return true
}

// promptPart reads a value that becomes prompt tokens.
func (r *reader) promptPart(at *span) bool {
	r.files, r.fileBytes, r.idleBytes = 0, 0, 0
	at.start = r.pos
	ok := r.value()
	at.end = r.pos
	r.ask.PromptBytes += at.end - at.start - r.fileBytes - r.idleBytes + r.files*fileBytes
	return ok
}

// readTools reads the list of tools.
func (r *reader) readTools(name string) bool {
	if !r.isNull() && !r.at('[') {
		return r.rejectType(name, "an array")
	}
	var at span
	if !r.promptPart(&at) {
		return false
	}
	list := scanner{src: r.src[at.start:at.end], pos: 1}
	if r.src[at.start] == '[' && list.peek() != ']' {
		r.ask.Tools = true
	}
	return true
}

// streamOptions reads the value of stream_options.
func (r *reader) streamOptions(m *member) bool {
	a := &r.ask
	brace := r.pos
	a.optEmpty = true
	last := brace + 1
	ok := r.readMembers("stream_options", func(start int) bool {
		inner := member{prev: last, key: start, val: r.pos, null: r.at('n')}
		a.optEmpty = false
		ok := false
		if string(r.name()) == "include_usage" {
			ok = r.readBool("stream_options.include_usage", &a.IncludeUsage) && storeMember(&a.withUsage, &inner, r.pos)
		} else {
			ok = r.value()
		}
		last = r.pos
		return ok
	})
	if !m.null {
		a.optOpen = brace + 1
	}
	return ok && storeMember(&a.options, m, r.pos)
}

// textField reads a member of text, where Responses keep the format.
func (r *reader) textField(int) bool {
	if string(r.name()) == "format" {
		if r.isNull() {
			return r.value()
		}
		if !r.at('{') {
			return r.rejectType("text.format", "an object")
		}
		return r.object(r.formatField)
	}
	return r.value()
}

// formatField reads a member of response_format or text.format.
func (r *reader) formatField(int) bool {
	if string(r.name()) != "type" {
		return r.value()
	}
	name := "response_format.type"
	if r.ask.API == spillway.APIResponses {
		name = "text.format.type"
	}
	var kind string
	if !r.readText(name, &kind) {
		return false
	}
	if kind == "json_schema" || kind == "json_object" {
		r.ask.Structured = true
	}
	return true
}

// readCacheKey reads prompt_cache_key.
func (r *reader) readCacheKey(null bool) bool {
	if !null && !r.at('"') {
		return r.rejectType("prompt_cache_key", "a string")
	}
	start := r.pos
	ok := r.value()
	if !null && r.pos-start > len(`""`) {
		r.cacheKey = span{start, r.pos}
	}
	return ok
}

// readMembers reads a top-level object or null, field by field.
func (r *reader) readMembers(name string, field func(start int) bool) bool {
	if r.isNull() {
		return r.value()
	}
	if !r.at('{') {
		return r.rejectType(name, "an object")
	}
	return r.object(field)
}

// maxTextBytes bounds a string that is copied from the body, as it is written there:
// a model or an identifier.
const maxTextBytes = 4 << 10

// readText reads a string or null.
func (r *reader) readText(name string, to *string) bool {
	if r.isNull() {
		return r.value()
	}
	if !r.at('"') {
		return r.rejectType(name, "a string")
	}
	start := r.pos
	escaped, ok := r.str()
	if !ok {
		return false
	}
	if r.pos-start > maxTextBytes {
		r.bad = &BadRequest{
			Code: "string_above_max_length", Param: name,
			Message: fmt.Sprintf("Invalid '%s': the string is too long. It may have at most %d bytes.", name, maxTextBytes),
		}
		return false
	}
	if escaped {
		*to = string(unquote(r.src[start:r.pos]))
	} else {
		*to = string(r.src[start+1 : r.pos-1])
	}
	return true
}

// readBool reads true, false or null.
func (r *reader) readBool(name string, to *bool) bool {
	switch {
	case r.at('t'), r.at('f'):
		*to = r.at('t')
	case !r.isNull():
		return r.rejectType(name, "a boolean")
	}
	return r.value()
}

// readCount reads an integer between floor and maxCount, or null.
func (r *reader) readCount(name string, floor int, to *int) bool {
	if r.isNull() {
		return r.value()
	}
	start := r.pos
	if kind := r.kind(); kind != "a number" {
		return r.rejectType(name, "an integer")
	}
	if !r.value() {
		return false
	}
	n, ok := parseCount(r.src[start:r.pos])
	switch {
	case !ok:
		r.bad = &BadRequest{
			Code: CodeInvalidType, Param: name,
			Message: fmt.Sprintf("Invalid type for '%s': it must be an integer, got a decimal number.", name),
		}
	case n < floor:
		r.bad = &BadRequest{
			Code: "integer_below_min_value", Param: name,
			Message: fmt.Sprintf("Invalid '%s': it must be at least %d.", name, floor),
		}
	case n > maxCount:
		r.bad = &BadRequest{
			Code: "integer_above_max_value", Param: name,
			Message: fmt.Sprintf("Invalid '%s': it must be at most %d.", name, maxCount),
		}
	}
	*to = n
	return r.bad == nil
}

// parseCount reads a valid JSON number that is an integer. What is out of
// range comes back as -1 or maxCount+1.
func parseCount(b []byte) (n int, ok bool) {
	digits := b
	if b[0] == '-' {
		digits = b[1:]
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int(c-'0'), maxCount+1)
	}
	if b[0] == '-' && n != 0 {
		n = -1
	}
	return n, true
}

// isNull reports whether a null may follow.
func (r *reader) isNull() bool { return r.at('n') }

// kind names the type of the value at pos.
func (r *reader) kind() string {
	switch r.peek() {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// rejectType refuses the value at pos. When the text is not even JSON there, it
// leaves the fault to explain.
func (r *reader) rejectType(name, want string) bool {
	got := r.kind()
	if r.value() {
		r.bad = &BadRequest{
			Code: CodeInvalidType, Param: name,
			Message: fmt.Sprintf("Invalid type for '%s': it must be %s, got %s.", name, want, got),
		}
	}
	return false
}
