package wire

import (
	"bytes"

	spillway "github.com/spillway-ai/spillway"
)

// unsizedFields are the fields of parts and sources whose tokens their own bytes do not
// bound, split at an underscore.
var unsizedFields = [...]struct{ before, after string }{ // constant
	{"image", `url"`},
	{"input", `audio"`},
	{"file", `id"`},
	{"file", `data"`},
	{"data", `sources"`},
	{"web_search", `options"`},
}

// Unsized reports whether the prompt of a request can have more tokens than its body has
// bytes: it refers to images, audio, files or sources, or is a request for a Response,
// which continues stored conversations and adds the results of tools.
func Unsized(api spillway.API, body []byte) bool {
	if api == spillway.APIResponses {
		return true
	}
	for at := 0; ; at++ {
		next := bytes.IndexByte(body[at:], '_')
		if next < 0 {
			return false
		}
		at += next
		for _, field := range unsizedFields {
			after := body[at+1:]
			if len(after) >= len(field.after) && string(after[:len(field.after)]) == field.after &&
				at >= len(field.before) && string(body[at-len(field.before):at]) == field.before {
				return true
			}
		}
	}
}
