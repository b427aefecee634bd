package azuresim

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// Config is what New needs. Only Deployments is required.
type Config struct {
	Deployments []fleet.Deployment
	// Traits are those of deployments by name.
	Traits map[string]Traits
	// Keys are accepted as api-key or bearer token; none accepts everything.
	Keys []string
	// Seed makes lengths, speeds, texts and ids repeatable.
	Seed uint64
	// TimeScale makes everything faster by that factor: responses, windows,
	// per-minute limits and the waits in refusals; 0 is 1, real time.
	TimeScale float64
	// Faults is the schedule to begin with, counted from New.
	Faults []fleet.Fault
	// CompletionWindow of deployments that set none; 0 takes 60 s.
	CompletionWindow time.Duration
	// Filters adds content filter annotations to responses, as Azure does.
	Filters bool
	// Now is the clock; nil takes time.Now.
	Now func() time.Time
}

// DefaultFleet returns the deployments that a demonstration needs: a small
// provisioned one, two standard ones in other regions, and embeddings.
func DefaultFleet() []fleet.Deployment {
	standard := func(name, model, region string, tpm int) fleet.Deployment {
		return fleet.Deployment{CompletionWindow: time.Minute, Deployment: spillway.Deployment{
			Name: name, Model: model, Region: region, Kind: spillway.Standard, TPM: tpm, RPM: tpm / 1000 * 6,
		}}
	}
	embed := standard("embed", "text-embedding-3-small", "eastus", 1_000_000)
	embed.Service = fleet.Service{TTFT: 80 * time.Millisecond, TTFTSigma: 0.4}
	return []fleet.Deployment{
		{CompletionWindow: time.Minute, Deployment: spillway.Deployment{
			Name: "ptu-eastus", Model: "gpt-4o-mini", Region: "eastus", Kind: spillway.Provisioned, PTU: 50,
		}},
		standard("std-sweden", "gpt-4o-mini", "swedencentral", 2_000_000),
		standard("std-westus", "gpt-4o-mini", "westus3", 2_000_000),
		embed,
	}
}

// modelVersions is constant: what the service calls a model in its responses.
var modelVersions = map[string]string{
	"gpt-4o-mini":  "gpt-4o-mini-2024-07-18",
	"gpt-4o":       "gpt-4o-2024-11-20",
	"gpt-4.1":      "gpt-4.1-2025-04-14",
	"gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
	"gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
	"gpt-5-mini":   "gpt-5-mini-2025-08-07",
	"gpt-5.1":      "gpt-5.1-2025-11-13",
	"gpt-5.2":      "gpt-5.2-2025-12-11",
	"gpt-5.4":      "gpt-5.4-2026-03-05",
	"gpt-5.4-mini": "gpt-5.4-mini-2026-03-17",
	"gpt-5.5":      "gpt-5.5-2026-04-24",
	"gpt-5.6-sol":  "gpt-5.6-sol-2026-07-09",
	"gpt-6-sol":    "gpt-6-sol-2026-09-22",
	"o4-mini":      "o4-mini-2025-04-16",
	"o3-mini":      "o3-mini-2025-01-31",
}

// regionNames is constant: the display names in x-ms-region.
var regionNames = map[string]string{
	"eastus":        "East US",
	"eastus2":       "East US 2",
	"westus":        "West US",
	"westus3":       "West US 3",
	"swedencentral": "Sweden Central",
	"westeurope":    "West Europe",
	"francecentral": "France Central",
	"uksouth":       "UK South",
	"japaneast":     "Japan East",
}

// display returns the name that names maps key to, or key.
func display(names map[string]string, key string) string {
	if n, ok := names[key]; ok {
		return n
	}
	return key
}
