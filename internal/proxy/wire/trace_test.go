package wire

import (
	"net/http"
	"testing"
)

func TestTraceParent(t *testing.T) {
	const (
		trace = "4bf92f3577b34da6a3ce929d0e0e4736"
		span  = "00f067aa0ba902b7"
		good  = "00-" + trace + "-" + span + "-01"
	)
	for text, want := range map[string]string{
		good:                                     good,
		"cc-" + trace + "-" + span + "-01":       "cc-" + trace + "-" + span + "-01",
		"cc-" + trace + "-" + span + "-01-later": "cc-" + trace + "-" + span + "-01",
		"":                                       "",
		good + "-later":                          "",
		"cc-" + trace + "-" + span + "-01x":      "",
		"ff-" + trace + "-" + span + "-01":       "",
		"00-" + trace + "-" + span + "-0":        "",
		"00-" + trace + "_" + span + "-01":       "",
		"00-" + trace + "-" + span + "-0G":       "",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-" + span + "-01": "",
		"00-00000000000000000000000000000000-" + span + "-01": "",
		"00-" + trace + "-0000000000000000-01":                "",
	} {
		if got := TraceParent(headers("traceparent", text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := TraceParent(http.Header{}); got != "" {
		t.Errorf("without the header: %q", got)
	}
	h := headers("traceparent", good)
	if n := testing.AllocsPerRun(100, func() { TraceParent(h) }); n != 0 {
		t.Errorf("allocates %v times", n)
	}
}

func BenchmarkTraceParent(b *testing.B) {
	h := headers("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	b.ReportAllocs()
	for b.Loop() {
		TraceParent(h)
	}
}
