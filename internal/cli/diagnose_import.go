package cli

import (
	"errors"
	"fmt"

	"github.com/spillway-ai/spillway/internal/app"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

// imported diagnoses what others logged.
func (c *diagnoseCommand) imported(w *world, how app.Diagnosis) (*diagnose.Diagnosis, error) {
	switch {
	case len(c.Import) == 0:
		return nil, fmt.Errorf("unexpected argument %s: put --import before the files", c.Files[0])
	case len(c.Store) > 0:
		return nil, errors.New("--import and --store exclude each other")
	}
	p := newProgress(w.stderr, "reading")
	how.OnProgress = p.set
	d, err := how.DiagnoseFiles(w.ctx, append(c.Import, c.Files...))
	p.end()
	if err != nil {
		return nil, err
	}
	return &d, nil
}
