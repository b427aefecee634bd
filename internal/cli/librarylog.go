package cli

import (
	stdlog "log"
	"log/slog"
	"strings"
)

// redirectLibraryLog has log record what libraries write to the standard logger.
func redirectLibraryLog(log *slog.Logger) {
	stdlog.SetFlags(0)
	stdlog.SetOutput(libraryLog{log})
}

// libraryLog is the output of the standard logger. It leaves out what others have sent:
// net/http quotes the beginning of a response that nobody has asked for, which can be
// content of a model.
type libraryLog struct{ log *slog.Logger }

// Write logs a message.
func (l libraryLog) Write(message []byte) (int, error) {
	text, _, _ := strings.Cut(strings.TrimSpace(string(message)), " starting with ")
	if i := strings.IndexByte(text, '"'); i >= 0 {
		text = strings.TrimSpace(text[:i])
	}
	l.log.Warn("a library reports", "message", text)
	return len(message), nil
}
