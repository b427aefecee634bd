package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/lab/azuresim"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

type azuresimCommand struct {
	Fleet     string   `type:"path" help:"Fleet file. Default: one small provisioned deployment, two standard ones, and embeddings."`
	Listen    string   `default:"127.0.0.1:8090" help:"Address to listen on." placeholder:"HOST:PORT"`
	Key       []string `default:"azure" help:"Key that clients send; may be repeated."`
	Seed      uint64   `default:"1" help:"Seed of lengths, speeds and texts."`
	TimeScale float64  `default:"1" help:"Run everything faster by this factor."`
	Chunks    string   `enum:",batches,single" default:"" placeholder:"batches|single" help:"How streams release text, overriding the fleet file: in batches of tokens, as Azure's default content filter does, or token by token."`
	NoFilters bool     `help:"Omit content filter annotations from responses."`
}

// Run serves the fleet until the context ends.
func (c *azuresimCommand) Run(w *world) error {
	cfg := azuresim.Config{
		Deployments: azuresim.DefaultFleet(), Keys: c.Key, Seed: c.Seed, TimeScale: c.TimeScale, Filters: !c.NoFilters,
	}
	if c.Fleet != "" {
		file, f, _, err := readFleet(c.Fleet)
		if err != nil {
			return w.refuse(err)
		}
		cfg.Deployments, cfg.Faults, cfg.Traits = f.Deployments, f.Faults, traits(file)
	}
	c.setChunks(cfg.Deployments)
	sim, err := azuresim.New(cfg)
	if err != nil {
		return fmt.Errorf("build the fleet: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/admin/", sim.Admin())
	mux.Handle("/", sim)
	socket, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("open the listener: %w", err)
	}
	c.greet(w, cfg, socket.Addr().String())
	return serveUntil(w.ctx, &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}, socket)
}

// traits are those of a fleet file's deployments.
func traits(file *config.Fleet) map[string]azuresim.Traits {
	all := map[string]azuresim.Traits{}
	for i := range file.Deployments {
		d := &file.Deployments[i]
		all[d.Name] = azuresim.Traits{
			Resource: d.Resource, Spillover: d.Spillover, ServiceTier: d.ServiceTier, PriorityTPM: d.PriorityTPM,
			RejectStream:        slices.Contains(d.Rejects, "stream"),
			RejectStreamOptions: slices.Contains(d.Rejects, "stream_options"),
		}
	}
	return all
}

// setChunks applies --chunks, if it is given, to every deployment.
func (c *azuresimCommand) setChunks(deployments []fleet.Deployment) {
	for i := range deployments {
		switch d := &deployments[i]; {
		case c.Chunks == "single":
			d.ChunkTokens = 1
		case c.Chunks == "batches" && d.ChunkTokens == 1:
			d.ChunkTokens = 0
		}
	}
}

func (c *azuresimCommand) greet(w *world, cfg azuresim.Config, address string) {
	fmt.Fprintf(w.stderr, "listening data=%s\n", address)
	for _, d := range cfg.Deployments {
		fmt.Fprintf(w.stderr, "  %-12s %s, %v, %s\n", d.Name, d.Model, d.Kind, d.Region)
	}
	fmt.Fprintf(w.stderr, "one resource: http://%s/resource/NAME, where a region is the resource of its deployments\n", address)
	fmt.Fprintf(w.stderr, "faults: http://%[1]s/admin/faults  state: http://%[1]s/admin/state\n", address)
}

// serveUntil serves until ctx ends; requests under way then get five seconds.
func serveUntil(ctx context.Context, server *http.Server, socket net.Listener) error {
	done := make(chan error, 1)
	go func() { done <- server.Serve(socket) }()
	select {
	case err := <-done:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		server.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}
