package gateway

import (
	"io"
	"net/http"

	"github.com/spillway-ai/spillway/internal/proxy/clientconn"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// serveHealth answers the probes of load balancers, which have no key: /healthz
// or /health, and /readyz, which is 503 once clients are to leave. It says nothing else of the
// gateway and leaves no record. It reports false for any other path.
func (g *Gateway) serveHealth(w http.ResponseWriter, r *http.Request) bool {
	status, body := http.StatusOK, `{"status":"ok"}`
	switch r.URL.Path {
	case "/healthz", "/health": // tools and load balancers probe either
	case "/readyz":
		body = `{"status":"ready"}`
		if g.Leaving() {
			status, body = http.StatusServiceUnavailable, `{"status":"draining"}`
		}
	default:
		return false
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.ContentLength != 0 {
		return false // the server would wait for a body
	}
	clientconn.HeaderRead(r)
	w.Header()[wire.HeaderContentType] = []string{"application/json"}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // an error means that the client is gone
	return true
}
