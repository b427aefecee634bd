package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spillway-ai/spillway/internal/app"
)

type statusCommand struct {
	Admin  string `default:"127.0.0.1:8081" placeholder:"HOST:PORT" help:"Admin address of the gateway (${default})."`
	Format string `enum:"text,json" default:"text" help:"Output format: text or json."`
}

// Help is what the command's help says beyond its options.
func (c *statusCommand) Help() string {
	return `Shows for each deployment whether it gets requests, and why: the state of its breaker,
429s in force, utilization, and the failures that this rests on. docs/RELIABILITY.md says
what each failure means.`
}

// statusTimeout bounds the request to the gateway, and maxStateBytes its response.
const (
	statusTimeout = 5 * time.Second
	maxStateBytes = 16 << 20
)

// Run fetches and prints the state.
func (c *statusCommand) Run(w *world) error {
	ctx, cancel := context.WithTimeout(w.ctx, statusTimeout)
	defer cancel()
	url := c.Admin
	if !strings.Contains(url, "://") {
		url = "http://" + url
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+"/admin/state", nil)
	if err != nil {
		return fmt.Errorf("--admin: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking the gateway: %w; is its admin listener at %s? (--admin, server.admin)", err, c.Admin)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking the gateway: %s returned %s", req.URL, resp.Status)
	}
	var s app.State
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStateBytes)).Decode(&s); err != nil {
		return fmt.Errorf("reading the gateway's state: %w", err)
	}
	if c.Format == "json" {
		e := json.NewEncoder(w.stdout)
		e.SetIndent("", "  ")
		return e.Encode(s)
	}
	return writeState(w.stdout, &s)
}

// writeState prints a table for each pool.
func writeState(w io.Writer, s *app.State) error {
	fmt.Fprintf(w, "%s, %d requests in flight\n", s.Status, s.InFlight)
	for _, p := range s.Pools {
		fmt.Fprintf(w, "\npool %s, %d requests wait\n", p.Name, p.Waiting)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "TIER\tDEPLOYMENT\tSTATE\tUTILIZATION\tIN FLIGHT\tTTFT p50/p99\tREASON")
		for _, d := range p.Deployments {
			fmt.Fprintf(t, "%d\t%s\t%s\t%.0f%%\t%d\t%s/%s\t%s\n", d.Tier+1, d.Name, d.State, 100*d.Utilization, d.InFlight,
				readableMillis(d.TTFT.P50), readableMillis(d.TTFT.P99), d.Reason)
		}
		if err := t.Flush(); err != nil {
			return fmt.Errorf("writing the state: %w", err)
		}
	}
	return nil
}

func readableMillis(ms float64) string {
	return time.Duration(ms * float64(time.Millisecond)).Round(time.Millisecond).String()
}
