package cli

import (
	"testing"

	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// --chunks is stronger than the fleet file, which counts without it.
func TestChunksFlag(t *testing.T) {
	for flag, want := range map[string][3]int{
		"": {0, 1, 8}, "single": {1, 1, 1}, "batches": {0, 0, 8},
	} {
		deployments := []fleet.Deployment{{}, {ChunkTokens: 1}, {ChunkTokens: 8}}
		(&azuresimCommand{Chunks: flag}).setChunks(deployments)
		for i, d := range deployments {
			if d.ChunkTokens != want[i] {
				t.Errorf("--chunks %q: deployment %d has %d tokens per chunk, want %d", flag, i, d.ChunkTokens, want[i])
			}
		}
	}
}
