package cli

import (
	"log/slog"

	"github.com/spillway-ai/spillway/internal/app"
)

type exportCommand struct {
	Config string `short:"c" type:"path" required:"" placeholder:"FILE" help:"The gateway's configuration, with its exports."`
	Store  string `type:"path" placeholder:"DIR" help:"Directory of the record store; overrides the configuration."`
}

// Help is what the command's help says beyond its options.
func (c *exportCommand) Help() string {
	return `Sends the records that are not exported yet, and ends: for a store whose gateway was retired, or
stopped while a place was down. A gateway that runs exports its records itself. The exit status is 0
when all records are sent.

  spillway export --config spillway.yaml`
}

// Run sends what is left.
func (c *exportCommand) Run(w *world) error {
	log := slog.New(slog.NewTextHandler(w.stderr, nil))
	return w.refuse(app.ExportRest(w.ctx, c.Config, c.Store, log))
}
