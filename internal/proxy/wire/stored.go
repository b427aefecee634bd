package wire

import (
	"bytes"
	"net/http"
	"strings"
)

// storedPrefixes begin the identifiers of objects that one deployment, or its resource,
// keeps for later requests: responses, conversations, files and so on, and items with
// encrypted reasoning that only it can read.
var storedPrefixes = [...]string{ // constant
	"resp_", "conv_", "file-", "file_", "batch_", "vs_", "rs_", "cntr_", "asst_", "thread_", "run_", "upload_", "ftjob-", "eval_", "video_",
}

// maxStoredID bounds the length of an identifier.
const maxStoredID = 256

// IsStoredID reports whether an identifier is of a kind that a deployment keeps.
func IsStoredID(id string) bool {
	for _, prefix := range storedPrefixes {
		if strings.HasPrefix(id, prefix) && len(id) <= maxStoredID {
			return true
		}
	}
	return false
}

// StoredIDs calls yield with identifiers of stored objects that stand in JSON as whole
// strings, kind by kind, until yield returns false. Text in which one is quoted is
// escaped, so it does not count. JSON may be cut off anywhere.
func StoredIDs(json []byte, yield func(id []byte) bool) {
	var room [16]byte
	for _, prefix := range storedPrefixes {
		mark := append(append(room[:0], '"'), prefix...)
		for rest := json; ; {
			i := bytes.Index(rest, mark)
			if i < 0 {
				break
			}
			escaped := i > 0 && rest[i-1] == '\\'
			rest = rest[i+1:]
			end := bytes.IndexByte(rest[:min(len(rest), maxStoredID+1)], '"')
			if escaped || end <= len(prefix) || !isID(rest[:end]) {
				continue
			}
			if !yield(rest[:end]) {
				return
			}
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
	return strings.Contains(message, "not_found") || strings.Contains(message, "not found") || strings.Contains(message, "no such")
}
