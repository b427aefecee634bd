package cli

import (
	"fmt"
	"os"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/fleet"
)

// loadFleet reads a fleet file into what the model takes.
func loadFleet(path string) ([]fleet.Deployment, []fleet.Fault, error) {
	file, err := config.LoadFleet(path, os.LookupEnv, os.ReadFile)
	if err != nil {
		return nil, nil, err
	}
	var deployments []fleet.Deployment
	for _, d := range file.Deployments {
		deployments = append(deployments, modelled(d))
	}
	var faults []fleet.Fault
	for i, f := range file.Faults {
		kind, err := fleet.ParseFaultKind(f.Kind)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: faults[%d]: %w", path, i, err)
		}
		faults = append(faults, fleet.Fault{
			Kind: kind, Deployment: f.Deployment, Region: f.Region, From: f.From, Until: f.Until,
			Probability: f.Probability, Status: f.Status, After: f.After, AtToken: f.AtToken,
			Factor: f.Factor, RetryAfter: f.RetryAfter,
		})
	}
	return deployments, faults, nil
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
	return out
}
