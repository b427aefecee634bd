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
		answer(w, http.StatusOK, map[string]any{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", a.readyz)
	if metrics != nil && a.cfg.Metrics.Enabled {
		mux.Handle("GET /metrics", metrics.Handler())
	}
	return &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
}

// readyz says whether new requests should come here, and how the deployments
// are. A deployment that is down does not make the gateway unready: another
// replica would see the same.
func (a *App) readyz(w http.ResponseWriter, _ *http.Request) {
	status, code := "ready", http.StatusOK
	if a.draining.Load() {
		status, code = "draining", http.StatusServiceUnavailable
	}
	type deployment struct {
		Name        string  `json:"name"`
		Pool        string  `json:"pool"`
		State       string  `json:"state"`
		Utilization float64 `json:"utilization"`
		InFlight    int     `json:"in_flight"`
	}
	deployments := []deployment{}
	for _, p := range a.gateway.Status(nil) {
		for _, d := range p.Deployments {
			deployments = append(deployments, deployment{d.Name, p.Name, d.State, d.Utilization, d.InFlight})
		}
	}
	answer(w, code, map[string]any{
		"status": status, "in_flight": a.gateway.InFlight(), "policy": a.reloads.state(), "deployments": deployments,
	})
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// The client may be gone, and nobody else wants to know.
	_ = json.NewEncoder(w).Encode(body)
}
