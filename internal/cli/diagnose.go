package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spillway-ai/spillway/internal/app"
	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/diagnose/render"
)

type diagnoseCommand struct {
	Import   []string `sep:"none" placeholder:"FILE" help:"Exported Azure logs instead of a store: ApiManagementGatewayLogs and -LlmLog, AzureDiagnostics, Azure Monitor metrics."`
	Files    []string `arg:"" optional:"" name:"file" help:"More files for --import."`
	Store    []string `sep:"none" type:"path" placeholder:"DIR" help:"Record store of a gateway, running or not; once for each replica. Default: the store in --config."`
	Config   string   `short:"c" type:"path" placeholder:"FILE" help:"Gateway configuration, with the capacity of deployments and the policy."`
	From     string   `placeholder:"TIME" help:"Only requests since this time: 2026-11-22T10:00:00Z, or a duration before now such as 6h."`
	To       string   `placeholder:"TIME" help:"Only requests before this time."`
	NoReplay bool     `help:"Do not predict the effect of remedies."`
	Format   string   `enum:"text,json,html" default:"text" help:"Output format: text, json or html."`
	Output   string   `short:"o" type:"path" placeholder:"FILE" help:"Write to this file instead of standard output."`
}

// Help is what the command's help says beyond its options.
func (c *diagnoseCommand) Help() string {
	return `Lists causes with their evidence, what they are not, the remedy, and the remedy's effect,
predicted by replaying the traffic in virtual time. docs/DIAGNOSE.md describes the report.

  spillway diagnose --store /var/lib/spillway --from 6h
  spillway diagnose --config spillway.yaml --format html -o why.html

Without a Spillway gateway, from Azure's logs (docs/IMPORT.md has the queries that export them):

  spillway diagnose --import gateway.csv llm.csv metrics.json`
}

// Run diagnoses and writes what it found.
func (c *diagnoseCommand) Run(w *world) error {
	d, err := c.diagnosis(w)
	if err != nil {
		return w.refuse(err)
	}
	write := map[string]func(io.Writer, *diagnose.Diagnosis) error{
		"text": render.Text, "json": writeDiagnosis, "html": render.HTML,
	}[c.Format]
	if c.Output != "" {
		return writeFile(c.Output, func(f io.Writer) error { return write(f, d) })
	}
	return write(w.stdout, d)
}

func writeDiagnosis(w io.Writer, d *diagnose.Diagnosis) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(d)
}

func (c *diagnoseCommand) diagnosis(w *world) (*diagnose.Diagnosis, error) {
	how := app.Diagnosis{NoReplay: c.NoReplay}
	var err error
	if how.From, err = instant("--from", c.From); err != nil {
		return nil, err
	}
	if how.To, err = instant("--to", c.To); err != nil {
		return nil, err
	}
	dirs := c.Store
	if c.Config != "" {
		if how.Config, err = loadToRead(c.Config); err != nil {
			return nil, err
		}
		if dir := how.Config.Store.Dir; len(dirs) == 0 && dir != "" {
			dirs = []string{dir}
		}
	}
	if len(c.Import)+len(c.Files) > 0 {
		return c.imported(w, how)
	}
	if len(dirs) == 0 {
		return nil, errors.New("no records given: set --store DIR, --config FILE with a store, or --import FILE... with Azure's logs")
	}
	if err := distinct(dirs); err != nil {
		return nil, err
	}
	all, err := app.StoreObservations(dirs...)
	if err != nil {
		return nil, err
	}
	d, err := how.Diagnose(w.ctx, all)
	if err != nil {
		return nil, err
	}
	if d.Tries == 0 {
		return nil, noRequests(dirs)
	}
	return &d, nil
}

// instant reads a time, or a duration before now; "" is the zero time.
func instant(option, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(-d), nil
	}
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: %q is neither a time such as 2026-11-22T10:00:00Z (UTC by default) nor a duration such as 6h", option, text)
}
