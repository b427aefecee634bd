package gateway

import (
	"net/http"
	"testing"
	"testing/synctest"
)

// The client's trace context goes into the record, also of a request that no
// pool has seen, and upstream as it came.
func TestTraceParent(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, tt := range []struct {
		name, header, key string
		status            int
		want              string
	}{
		{"answer", parent, "demo", 200, parent},
		{"nonsense", "nonsense", "demo", 200, ""},
		{"refusal", parent, "wrong", 401, parent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sent := tt.header
				w := newWorld(t, one(), func(w *world) {
					w.serve("east.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						sent = r.Header.Get("traceparent")
						w.azure.ServeHTTP(rw, r)
					}))
					w.upstream("east", "http://east.test")
				})
				w.want(w.post(chat("5", ""), "traceparent", tt.header, "api-key", tt.key), tt.status)
				if got := w.record().TraceParent; got != tt.want {
					t.Errorf("recorded %q, want %q", got, tt.want)
				}
				if sent != tt.header {
					t.Errorf("sent %q, want %q", sent, tt.header)
				}
			})
		})
	}
}
