package cli

import (
	"fmt"
	"os"

	"github.com/spillway-ai/spillway/internal/config"
)

type checkCommand struct {
	Config     string `arg:"" type:"path" help:"Configuration file."`
	Quiet      bool   `short:"q" help:"Do not print the effective configuration."`
	WithoutEnv bool   `name:"without-env" help:"Accept unset environment variables and missing secret files, to check a configuration without its secrets."`
	Strict     bool   `help:"Warnings count as errors."`
}

// Run prints the effective configuration and warnings, or every error with its
// place.
func (c *checkCommand) Run(w *world) error {
	env, readFile := os.LookupEnv, os.ReadFile
	if c.WithoutEnv {
		env, readFile = unsetIsEmpty, presentOr(c.Config)
	}
	cfg, warnings, err := config.Check(c.Config, env, readFile)
	if err != nil {
		return w.refuse(err)
	}
	if warnings != nil {
		fmt.Fprintf(w.stderr, "warnings:\n%v\n", warnings)
		if c.Strict {
			return errNo
		}
	}
	if c.Quiet {
		return nil
	}
	_, err = w.stdout.Write(cfg.InEffect().Effective())
	return err
}
