package azuresim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// FaultSpec is a fault as JSON. Durations are Go's, such as "1m30s"; their
// defaults and the meaning of every field are those of fleet.Fault.
type FaultSpec struct {
	Kind        string  `json:"kind"`
	Deployment  string  `json:"deployment,omitempty"`
	Region      string  `json:"region,omitempty"`
	ServiceTier string  `json:"service_tier,omitempty"`
	From        string  `json:"from,omitempty"` // since the server's start
	Until       string  `json:"until,omitempty"`
	Probability float64 `json:"probability,omitempty"`
	Status      int     `json:"status,omitempty"`
	After       string  `json:"after,omitempty"`
	AtToken     int     `json:"at_token,omitempty"`
	Factor      float64 `json:"factor,omitempty"`
	RetryAfter  string  `json:"retry_after,omitempty"`
}

// Fault converts the specification.
func (f FaultSpec) Fault() (fleet.Fault, error) {
	kind, err := fleet.ParseFaultKind(f.Kind)
	out := fleet.Fault{
		Kind: kind, Deployment: f.Deployment, Region: f.Region, ServiceTier: f.ServiceTier, Probability: f.Probability,
		Status: f.Status, AtToken: f.AtToken, Factor: f.Factor,
	}
	errs := []error{err}
	for _, d := range []struct {
		name, text string
		to         *time.Duration
	}{
		{"from", f.From, &out.From},
		{"until", f.Until, &out.Until},
		{"after", f.After, &out.After},
		{"retry_after", f.RetryAfter, &out.RetryAfter},
	} {
		if d.text == "" {
			continue
		}
		if *d.to, err = time.ParseDuration(d.text); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", d.name, err))
		}
	}
	if f.Probability < 0 || f.Probability > 1 {
		errs = append(errs, errors.New("probability: outside 0 to 1"))
	}
	if f.Status != 0 && (f.Status < 500 || f.Status > 599) {
		errs = append(errs, errors.New("status: outside 500 to 599"))
	}
	if f.AtToken < 0 || f.Factor < 0 || out.After < 0 || out.RetryAfter < 0 {
		errs = append(errs, errors.New("negative number"))
	}
	return out, errors.Join(errs...)
}

// SpecOf is the inverse of FaultSpec.Fault.
func SpecOf(f fleet.Fault) FaultSpec {
	text := func(d time.Duration) string {
		if d == 0 {
			return ""
		}
		return d.String()
	}
	return FaultSpec{
		Kind: f.Kind.String(), Deployment: f.Deployment, Region: f.Region, ServiceTier: f.ServiceTier,
		From: text(f.From), Until: text(f.Until), Probability: f.Probability, Status: f.Status,
		After: text(f.After), AtToken: f.AtToken, Factor: f.Factor, RetryAfter: text(f.RetryAfter),
	}
}

// deploymentState is one deployment in the admin API.
type deploymentState struct {
	Name         string      `json:"name"`
	Kind         string      `json:"kind"`
	Region       string      `json:"region"`
	Utilization  float64     `json:"utilization"`
	Load         float64     `json:"load"`
	InFlight     int         `json:"in_flight"`
	Offered      int         `json:"offered"`
	Accepted     int         `json:"accepted"`
	Refused      int         `json:"refused"`
	Faulted      int         `json:"faulted"`
	Completed    int         `json:"completed"`
	Canceled     int         `json:"cancelled"`
	Broken       int         `json:"broken"`
	PromptTokens int         `json:"prompt_tokens"`
	OutputTokens int         `json:"output_tokens"`
	Status       map[int]int `json:"status"`
}

// Admin returns the handler of the operator's API: GET, PUT and DELETE of
// /admin/faults (a JSON list of FaultSpec), and GET /admin/state. It has no
// authentication: listen on loopback.
func (s *Server) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /admin/faults", s.getFaults)
	mux.HandleFunc("PUT /admin/faults", s.putFaults)
	mux.HandleFunc("DELETE /admin/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.SetFaults(nil)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /admin/state", s.getState)
	return mux
}

func (s *Server) getFaults(w http.ResponseWriter, _ *http.Request) {
	specs := []FaultSpec{}
	for _, f := range s.Faults() {
		specs = append(specs, SpecOf(f))
	}
	writeJSON(w, specs)
}

func (s *Server) putFaults(w http.ResponseWriter, r *http.Request) {
	var specs []FaultSpec
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(&specs); err != nil {
		http.Error(w, "faults: "+err.Error(), http.StatusBadRequest)
		return
	}
	faults := make([]fleet.Fault, len(specs))
	var errs []error
	for i, spec := range specs {
		var err error
		if faults[i], err = spec.Fault(); err != nil {
			errs = append(errs, fmt.Errorf("fault %d: %w", i, err))
		}
		if spec.Deployment != "" && s.deployments[spec.Deployment] == nil {
			errs = append(errs, fmt.Errorf("fault %d: unknown deployment %q", i, spec.Deployment))
		}
	}
	if err := errors.Join(errs...); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.SetFaults(faults)
	s.getFaults(w, r)
}

func (s *Server) getState(w http.ResponseWriter, _ *http.Request) {
	all := make([]deploymentState, 0, len(s.names))
	for _, name := range s.names {
		st, _ := s.Stats(name)
		d, n := &s.deployments[name].config, st.Counts
		all = append(all, deploymentState{
			Name: name, Kind: d.Kind.String(), Region: d.Region,
			Utilization: st.Utilization, Load: st.Load, InFlight: st.InFlight,
			Offered: n.Offered, Accepted: n.Accepted, Refused: n.Refused, Faulted: n.Faulted, Completed: n.Completed,
			Canceled: st.Canceled, Broken: st.Broken, PromptTokens: n.PromptTokens, OutputTokens: n.OutputTokens,
			Status: st.Status,
		})
	}
	writeJSON(w, map[string]any{"deployments": all, "elapsed_ms": s.clock.now().Sub(s.clock.start).Milliseconds()})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // the client left
}
