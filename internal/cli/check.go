package cli

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spillway-ai/spillway/internal/app"
	"github.com/spillway-ai/spillway/internal/config"
)

type checkCommand struct {
	Config     string `arg:"" type:"path" help:"Configuration file."`
	Quiet      bool   `short:"q" help:"Do not print the effective configuration."`
	WithoutEnv bool   `name:"without-env" xor:"secrets" help:"Accept unset environment variables and missing secret files, to check a configuration without its secrets."`
	Strict     bool   `help:"Warnings count as errors."`
	Connect    bool   `xor:"secrets" help:"Also send every deployment a request that generates nothing, to check its endpoint, credential and name. Prints the results instead of the effective configuration."`
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
	if c.Connect {
		return w.probe(cfg, c.Quiet)
	}
	if c.Quiet {
		return nil
	}
	_, err = w.stdout.Write(cfg.InEffect().Effective())
	return err
}

// probe probes the deployments and prints a line for each, or, if quiet, for those that
// fail.
func (w *world) probe(cfg *config.Config, quiet bool) error {
	probes, err := app.ProbeDeployments(w.ctx, cfg)
	if err != nil {
		return err
	}
	failed := false
	table := tabwriter.NewWriter(w.stdout, 0, 0, 2, ' ', 0)
	for i := range probes {
		p := &probes[i]
		failed = failed || !p.OK
		if p.OK && quiet {
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", p.Deployment, p.Endpoint, probeText(p))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if failed {
		return errNo
	}
	return nil
}

// probeText says what a probe found, and what to do.
func probeText(p *app.Probe) string {
	took := p.Took.Round(time.Millisecond)
	switch {
	case p.OK && p.Status == http.StatusTooManyRequests:
		return fmt.Sprintf("ok in %v, but it has no capacity now (status 429)", took)
	case p.OK:
		return fmt.Sprintf("ok in %v", took)
	}
	text := "failed: "
	if p.Status > 0 {
		text = fmt.Sprintf("failed with status %d: ", p.Status)
	}
	if p.Text != "" {
		text += strings.TrimRight(p.Text, ". ") + "; "
	}
	return text + p.Hint
}
