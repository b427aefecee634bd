package app

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/lab/azuresim"
)

// demoYAML is the configuration of the embedded fleet; users read it too.
//
//go:embed demo.yaml
var demoYAML []byte

// The key of the embedded fleet, and the variable that holds its address.
const (
	demoFleetKey = "azure"
	demoFleetURL = "SPILLWAY_DEMO_FLEET"
)

// demo is the embedded fleet: the Azure emulator on a loopback port, so that the
// gateway connects to it over a real socket.
type demo struct {
	server *http.Server
	url    string
	done   chan error
}

func startDemo() (*demo, error) {
	sim, err := azuresim.New(azuresim.Config{
		Deployments: azuresim.DefaultFleet(), Keys: []string{demoFleetKey}, Seed: 1, Filters: true,
	})
	if err != nil {
		return nil, fmt.Errorf("building the demo fleet: %w", err)
	}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening the demo fleet's listener: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/admin/", sim.Admin())
	mux.Handle("/", sim)
	d := &demo{
		server: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second},
		url:    "http://" + socket.Addr().String(),
		done:   make(chan error, 1),
	}
	go func() { d.done <- d.server.Serve(socket) }()
	return d, nil
}

// config is the embedded configuration with the fleet's address in it.
func (d *demo) config() (*config.Config, error) {
	env := func(name string) (string, bool) {
		if name == demoFleetURL {
			return d.url, true
		}
		return os.LookupEnv(name)
	}
	return config.Parse("demo.yaml", demoYAML, env, os.ReadFile)
}

func (d *demo) close() error {
	d.server.Close()
	if err := <-d.done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// FleetURL is the address of the embedded fleet; "" when a configuration is
// served.
func (a *App) FleetURL() string {
	if a.demo == nil {
		return ""
	}
	return a.demo.url
}
