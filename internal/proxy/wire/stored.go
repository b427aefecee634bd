package wire

import (
	"bytes"
	"net/http"
	"strings"
)

// maxStoredID bounds the length of an identifier.
const maxStoredID = 256

// IsStoredID reports whether a segment of a path is an identifier of a kind that a
// deployment keeps. Stored chat completions are among them here only: every chat response
// has such an identifier, and few are stored.
func IsStoredID(id string) bool {
	return len(id) <= maxStoredID && (isStored([]byte(id)) || strings.HasPrefix(id, "chatcmpl-"))
}

// isStored reports whether text is an identifier of a kind that a deployment keeps.
// Identifiers are random, so they have digits: after some of the prefixes the API has
// words of its own, such as file_search, file_id and run_id.
func isStored(text []byte) bool {
	n := storedPrefix(text)
	if n == 0 || len(text) == n || !isID(text) {
		return false
	}
	switch string(text[:n]) {
	case "file_", "batch_", "thread_", "run_", "upload_", "eval_", "video_":
		return bytes.ContainsAny(text[n:], "0123456789")
	}
	return true
}

// maxPrefix is the length of the longest prefix of storedPrefix.
const maxPrefix = len("assistant-")

// storedPrefix returns the length of the prefix that makes text an identifier of a kind
// that one deployment, or its resource, keeps for later requests: responses,
// conversations, files and so on, and items with encrypted reasoning that only it can
// read. It returns 0 for any other text.
func storedPrefix(text []byte) int {
	for i, c := range text[:min(len(text), maxPrefix)] {
		if c != '_' && c != '-' {
			if c < 'a' || c > 'z' {
				return 0
			}
			continue
		}
		switch string(text[:i+1]) {
		case "resp_", "rs_", "cmp_", "conv_", "cntr_", "cfile_", "file-", "assistant-", "vs_", "vsfb_", "asst_", "ftjob-", "evalrun_",
			"file_", "batch_", "thread_", "run_", "upload_", "eval_", "video_":
			return i + 1
		}
		return 0
	}
	return 0
}

// StoredIDs calls yield with identifiers of stored objects that stand in JSON as whole
// strings, until yield returns false. Text in which one is quoted is escaped, so it does
// not count, and neither do the names of members. JSON may be cut off anywhere.
func StoredIDs(json []byte, yield func(id []byte) bool) {
	for rest := json; ; {
		i := bytes.IndexByte(rest, '"')
		if i < 0 {
			return
		}
		escaped := i > 0 && rest[i-1] == '\\'
		rest = rest[i+1:]
		if escaped || storedPrefix(rest) == 0 {
			continue
		}
		end := bytes.IndexByte(rest[:min(len(rest), maxStoredID+1)], '"')
		if end < 0 || !isStored(rest[:end]) {
			continue
		}
		id := rest[:end]
		rest = rest[end+1:]
		if after := bytes.TrimLeft(rest, " \t\r\n"); len(after) > 0 && after[0] == ':' {
			continue
		}
		if !yield(id) {
			return
		}
	}
}

// isID reports whether text has only what identifiers have.
func isID(text []byte) bool {
	for _, c := range text {
		if !(c == '-' || c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return false
		}
	}
	return true
}

// notFoundPhrases are how services say, in lower case, that they do not have an object.
var notFoundPhrases = [...]string{ // constant
	"not_found", "notfound", "not found", "not find", "not be found", "no such", "not exist", "n't exist", "unable to find", "unknown id",
}

// ObjectNotFound reports whether an error says that the deployment does not hold an
// object of the request, or cannot read what another one has encrypted. stored says
// whether the request names an object. e is the error in the body; nil for none.
func ObjectNotFound(status int, e *StreamError, stored bool) bool {
	switch {
	case status != http.StatusNotFound && status != http.StatusBadRequest:
		return false
	case e != nil && (e.Code == "previous_response_not_found" || e.Code == "invalid_encrypted_content"):
		return true
	case !stored:
		return false
	case status == http.StatusNotFound:
		return true
	}
	message := ""
	if e != nil {
		message = strings.ToLower(e.Code + " " + e.Message)
	}
	for _, phrase := range notFoundPhrases {
		if strings.Contains(message, phrase) {
			return true
		}
	}
	return false
}
