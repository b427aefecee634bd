package setup

import (
	"fmt"
	"math"
	"time"

	"github.com/spillway-ai/spillway/examples"
	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
)

// IncidentWindow is the completion window of the reference incident.
const IncidentWindow = time.Minute

// streamAbove is the token limit above which clients of the incident that can
// stream are asked to.
const streamAbove = 2000

// IncidentFleet is the fleet of the reference incident at a share of its size.
func IncidentFleet(scale float64) (fleet.Config, error) {
	file, err := config.LoadFleet("incident/fleet.yaml", noEnvironment, examples.Incident.ReadFile)
	if err != nil {
		return fleet.Config{}, err
	}
	f, err := Fleet(file)
	for i := range f.Deployments {
		d := &f.Deployments[i]
		d.PTU, d.TPM, d.RPM = scaled(d.PTU, scale), scaled(d.TPM, scale), scaled(d.RPM, scale)
	}
	return f, err
}

// IncidentPolicies are the policies that are compared on the reference
// incident, at a share of its size: first no gateway at all, then the
// configurations of examples/incident.
func IncidentPolicies(scale float64) ([]whatif.Policy, error) {
	policies := []whatif.Policy{{Name: "baseline", Direct: "ptu-eastus"}}
	for _, name := range []string{"cap-2000", "measured", "window", "spill-only", "all"} {
		cfg, err := IncidentConfig(name, scale)
		if err != nil {
			return nil, err
		}
		p, err := Policy(name, cfg)
		if err != nil {
			return nil, err
		}
		if name == "all" {
			p.StreamLong = streamAbove
		}
		policies = append(policies, p)
	}
	return policies, nil
}

// IncidentConfig is one of the configurations of examples/incident, at a share
// of its size.
func IncidentConfig(name string, scale float64) (*config.Config, error) {
	cfg, err := config.Load("incident/"+name+".yaml", noEnvironment, examples.Incident.ReadFile)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", name, err)
	}
	for i := range cfg.Deployments {
		d := &cfg.Deployments[i]
		d.PTU, d.TPM, d.RPM = scaled(d.PTU, scale), scaled(d.TPM, scale), scaled(d.RPM, scale)
	}
	return cfg, nil
}

// scaled is a share of a capacity, of which 0 means not limited.
func scaled(n int, scale float64) int {
	if n == 0 {
		return 0
	}
	return max(1, int(math.Round(float64(n)*scale)))
}

func noEnvironment(string) (string, bool) { return "", false }
