package setup

import (
	"errors"
	"fmt"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// Fleet is the fleet that a fleet file describes.
func Fleet(file *config.Fleet) (fleet.Config, error) {
	var out fleet.Config
	table := file.ModelTable()
	for _, d := range file.Deployments {
		modeled := deployment(d)
		modeled.Deployment = table.Fill(modeled.Deployment)
		out.Deployments = append(out.Deployments, modeled)
	}
	for i, f := range file.Faults {
		kind, err := fleet.ParseFaultKind(f.Kind)
		if err != nil {
			return out, fmt.Errorf("faults[%d]: %w", i, err)
		}
		out.Faults = append(out.Faults, fleet.Fault{
			Kind: kind, Deployment: f.Deployment, Region: f.Region, ServiceTier: f.ServiceTier, From: f.From, Until: f.Until,
			Probability: f.Probability, Status: f.Status, After: f.After, AtToken: f.AtToken,
			Factor: f.Factor, RetryAfter: f.RetryAfter,
		})
	}
	return out, nil
}

// FleetOf is the fleet of the deployments in the pools of gateway
// configurations, at the usual speeds of their kinds. A deployment that several
// configurations have is as the first of them describes it.
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

// deployment is the model of one deployment of a fleet file.
func deployment(d config.FleetDeployment) fleet.Deployment {
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
		OutputMedian: d.OutputMedian, OutputSigma: d.OutputSigma, Quota: d.Quota,
	}
	if out.ChunkTokens = d.ChunkTokens; d.Chunks == "single" {
		out.ChunkTokens = 1
	}
	if d.Kind == spillway.Provisioned.String() {
		out.Kind = spillway.Provisioned
	}
	return out
}
