package upstream

import (
	"net/http"
	"testing"

	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// TestJudge tells JSON from events by how they begin, and asks for more bytes only
// while both are possible.
func TestJudge(t *testing.T) {
	for text, want := range map[string]content{
		`{`: contentJSON, ` [`: contentJSON, "\r\n\t {": contentJSON, "\xef\xbb\xbf{": contentJSON,
		"data:": contentEvents, "data: {": contentEvents, "event: x": contentEvents, "id:1": contentEvents,
		"retry: 3\n": contentEvents, ":": contentEvents, ": waiting\n": contentEvents, "\n\ndata:": contentEvents,
		"\r\n: x": contentEvents, "\xef\xbb\xbfdata:": contentEvents, "data\n": contentEvents, "event\r\n": contentEvents,
		"": contentOpen, "\n": contentOpen, " ": contentOpen, "\xef\xbb": contentOpen, "d": contentOpen, "data": contentOpen,
		"even": contentOpen, "id": contentOpen, "\nre": contentOpen,
		"<html>": contentUnknown, "error: no": contentUnknown, "database": contentUnknown, "idle": contentUnknown,
		"Internal": contentUnknown, "null": contentUnknown, `"x"`: contentUnknown, " data:": contentUnknown, "\n :": contentUnknown,
	} {
		if got := judge([]byte(text)); got != want {
			t.Errorf("judge(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestUnfinished(t *testing.T) {
	for json, want := range map[string]bool{
		`{}`: false, `[1,{"a":"}"}]`: false, `{"a":"\"}"}`: false, `{"a":"\\"}`: false, `{"a":NaN}`: false, `{}}`: false,
		`{`: true, `{"a":[1]`: true, `{"a":"}`: true, `{"a":"x\`: true, `["a`: true,
	} {
		if got := unfinished([]byte(json)); got != want {
			t.Errorf("%s: %v", json, got)
		}
	}
}

func TestIsEventStream(t *testing.T) {
	for value, want := range map[string]bool{
		"text/event-stream": true, "Text/Event-Stream": true, "text/event-stream;charset=UTF-8": true,
		"text/event-stream ; x": true, "text/event-streams": false, "text/event-stream+json": false,
		"application/json": false, "": false,
	} {
		if got := isEventStream(http.Header{wire.HeaderContentType: {value}}); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
	if isEventStream(http.Header{}) {
		t.Error("no header is a stream")
	}
}
