package wire

import (
	"mime"
	"net/http"
	"strings"
)

// WantsWebSocket reports whether a request asks to change its connection to a WebSocket.
func WantsWebSocket(h http.Header) bool {
	return len(h["Upgrade"]) > 0 && isNamed(h["Upgrade"], "websocket") && isNamed(h["Connection"], "upgrade")
}

// Charset returns the character encoding that a content type names, in lower case; ""
// for UTF-8, of which ASCII is a part, and where it names none.
func Charset(h http.Header) string {
	_, params, err := mime.ParseMediaType(get(h, HeaderContentType))
	if err != nil {
		return ""
	}
	switch name := strings.ToLower(params["charset"]); name {
	case "utf-8", "utf8", "us-ascii", "ascii":
		return ""
	default:
		return name
	}
}
