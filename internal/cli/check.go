package cli

import (
	"os"

	"github.com/spillway-ai/spillway/internal/config"
)

type checkCommand struct {
	Config string `arg:"" type:"path" help:"Configuration file."`
	Quiet  bool   `short:"q" help:"Do not print the effective configuration."`
}

// Run prints the effective configuration, or every error with its place.
func (c *checkCommand) Run(w *world) error {
	cfg, err := config.Load(c.Config, os.LookupEnv, os.ReadFile)
	if err != nil {
		return w.refuse(err)
	}
	if c.Quiet {
		return nil
	}
	_, err = w.stdout.Write(cfg.Effective())
	return err
}
