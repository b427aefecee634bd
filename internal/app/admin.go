package app

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/spillway-ai/spillway/internal/observe/telemetry"
)

// adminServer serves health and metrics. It has no authentication: the address
// is loopback unless the configuration says otherwise.
func (a *App) adminServer(metrics *telemetry.Metrics) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.HandleFunc("GET /admin/state", a.serveState)
	if metrics != nil && a.cfg.Metrics.Enabled {
		mux.Handle("GET /metrics", metrics.Handler())
	}
	return &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
}

// readyz reports whether new requests should be sent here, and nothing else: probes
// reach this address from anywhere. A deployment that is down does not make the
// gateway unready: another replica would see the same.
func (a *App) readyz(w http.ResponseWriter, _ *http.Request) {
	status, code := a.readiness()
	writeJSON(w, code, map[string]any{"status": status})
}

// readiness is the status of /readyz.
func (a *App) readiness() (status string, code int) {
	if a.gateway.Leaving() {
		return "draining", http.StatusServiceUnavailable
	}
	return "ready", http.StatusOK
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// An error means that the client is gone.
	_ = json.NewEncoder(w).Encode(body)
}
