package cli

import (
	"fmt"
	"os"

	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/setup"
	"github.com/spillway-ai/spillway/internal/models"
)

// loadFleet reads a fleet file into what the simulation takes, with the figures of
// models that it has or, without any, that the first of the configurations has.
func loadFleet(path string, configs ...*config.Config) (fleet.Config, models.Table, error) {
	_, out, table, err := readFleet(path, configs...)
	return out, table, err
}

// readFleet is loadFleet, with the file.
func readFleet(path string, configs ...*config.Config) (*config.Fleet, fleet.Config, models.Table, error) {
	file, err := config.LoadFleet(path, os.LookupEnv, os.ReadFile)
	if err != nil {
		return nil, fleet.Config{}, models.Table{}, err
	}
	if len(file.Models) == 0 && len(configs) > 0 {
		file.Models = configs[0].Models
	}
	out, err := setup.Fleet(file)
	if err != nil {
		return file, out, models.Table{}, fmt.Errorf("%s: %w", path, err)
	}
	return file, out, file.ModelTable(), nil
}
