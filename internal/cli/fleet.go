package cli

import (
	"fmt"
	"os"

	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/setup"
)

// loadFleet reads a fleet file into what the model takes.
func loadFleet(path string) (fleet.Config, error) {
	_, out, err := readFleet(path)
	return out, err
}

// readFleet is loadFleet, with the file.
func readFleet(path string) (*config.Fleet, fleet.Config, error) {
	file, err := config.LoadFleet(path, os.LookupEnv, os.ReadFile)
	if err != nil {
		return nil, fleet.Config{}, err
	}
	out, err := setup.Fleet(file)
	if err != nil {
		return file, out, fmt.Errorf("%s: %w", path, err)
	}
	return file, out, nil
}
