package cli

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestLibraryLog(t *testing.T) {
	for message, want := range map[string]string{
		"Unsolicited response received on idle HTTP channel starting with \"secret\\\"s\"; err=<nil>\n": "Unsolicited response received on idle HTTP channel",
		"http: unexpected \"secret\" in a response\n":                                                   "http: unexpected",
		"plain\n": "plain",
	} {
		var out bytes.Buffer
		_, _ = fmt.Fprint(libraryLog{slog.New(slog.NewTextHandler(&out, nil))}, message) // to memory
		if got := out.String(); !strings.Contains(got, want) || strings.Contains(got, "secret") {
			t.Errorf("%q: logged %s", message, got)
		}
	}
}
