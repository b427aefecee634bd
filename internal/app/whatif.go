package app

import (
	"errors"
	"fmt"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
)

// Policy is what a simulation takes of a gateway's configuration: the sections
// that decide. Calls have the class of the caller that their client is named
// like, else that of requests without a key, else that of the first caller,
// else the first.
func Policy(name string, cfg *config.Config) (whatif.Policy, error) {
	p := whatif.Policy{
		Name: name, Pools: cfg.Policies(), Classes: cfg.TrafficClasses(), Callers: map[string]*spillway.Class{},
	}
	for _, c := range cfg.Callers {
		p.Callers[c.Name] = p.Classes[c.Class]
	}
	switch {
	case cfg.Anonymous != "":
		p.Default = p.Classes[cfg.Anonymous]
	case len(cfg.Callers) > 0:
		p.Default = p.Classes[cfg.Callers[0].Class]
	case len(cfg.Classes) > 0:
		p.Default = p.Classes[cfg.Classes[0].Name]
	}
	if len(p.Pools) == 0 || p.Default == nil {
		return p, fmt.Errorf("policy %s: a simulation needs a pool and a class", name)
	}
	return p, nil
}

// Fleet is what the model takes of a fleet file.
func Fleet(file *config.Fleet) (fleet.Config, error) {
	var out fleet.Config
	for _, d := range file.Deployments {
		out.Deployments = append(out.Deployments, modelled(d))
	}
	for i, f := range file.Faults {
		kind, err := fleet.ParseFaultKind(f.Kind)
		if err != nil {
			return out, fmt.Errorf("faults[%d]: %w", i, err)
		}
		out.Faults = append(out.Faults, fleet.Fault{
			Kind: kind, Deployment: f.Deployment, Region: f.Region, From: f.From, Until: f.Until,
			Probability: f.Probability, Status: f.Status, After: f.After, AtToken: f.AtToken,
			Factor: f.Factor, RetryAfter: f.RetryAfter,
		})
	}
	return out, nil
}

// FleetOf is the fleet that gateway configurations describe: their deployments,
// each as the first of them has it, at the usual speeds of its kind.
func FleetOf(configs ...*config.Config) (fleet.Config, error) {
	var out fleet.Config
	known := map[string]bool{}
	for _, cfg := range configs {
		for _, pool := range cfg.Policies() {
			for _, d := range pool.Deployments {
				if !known[d.Name] {
					known[d.Name] = true
					out.Deployments = append(out.Deployments, fleet.Deployment{Deployment: d})
				}
			}
		}
	}
	if len(out.Deployments) == 0 {
		return out, errors.New("the configurations have no deployment in a pool")
	}
	return out, nil
}

// modelled is one deployment of the file as the model takes it.
func modelled(d config.FleetDeployment) fleet.Deployment {
	out := fleet.Deployment{
		Deployment: spillway.Deployment{
			Name: d.Name, Model: d.Model, Region: d.Region, PTU: d.PTU, MeterDepth: d.MeterDepth,
			TPM: d.TPM, RPM: d.RPM, Reasoning: d.Reasoning,
		},
		Service: fleet.Service{
			TBTMean: d.TBTMean, TBTSigma: d.TBTSigma, TTFT: d.TTFT, TTFTSigma: d.TTFTSigma,
			PrefillTokensPerSecond: d.PrefillTokensPerSecond,
		},
		CompletionWindow: d.CompletionWindow, DefaultOutput: d.DefaultOutput, MaxOutput: d.MaxOutput,
		OutputMedian: d.OutputMedian, OutputSigma: d.OutputSigma,
	}
	if d.Kind == spillway.Provisioned.String() {
		out.Kind = spillway.Provisioned
	}
	if out.ChunkTokens = d.ChunkTokens; d.Chunks == "single" {
		out.ChunkTokens = 1
	}
	return out
}
