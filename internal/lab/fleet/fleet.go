package fleet

import (
	"errors"
	"fmt"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// Config describes a fleet.
type Config struct {
	Deployments []Deployment
	Faults      []Fault
	Seed        uint64
}

// Fleet is a set of deployments by name. It is not safe for concurrent use;
// its servers are independent of each other.
type Fleet struct {
	servers map[string]*Server
	names   []string
}

// New returns the idle fleet that the configuration describes. Fault schedules
// count from start. It reports all that is wrong with the configuration.
func New(c Config, start time.Time) (*Fleet, error) {
	f := &Fleet{servers: map[string]*Server{}}
	var errs []error
	for i, d := range c.Deployments {
		if err := d.validate(); err != nil {
			errs = append(errs, fmt.Errorf("deployment %d %q: %w", i, d.Name, err))
			continue
		}
		if f.servers[d.Name] != nil {
			errs = append(errs, fmt.Errorf("deployment %d %q: duplicate name", i, d.Name))
			continue
		}
		s := NewServer(d, c.Seed, start)
		s.SetFaults(c.Faults)
		f.servers[d.Name] = s
		f.names = append(f.names, d.Name)
	}
	if len(c.Deployments) == 0 {
		errs = append(errs, errors.New("no deployments"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	return f, nil
}

// Server returns the named deployment, or nil.
func (f *Fleet) Server(name string) *Server { return f.servers[name] }

// Names lists the deployments in the order of the configuration. The caller
// must not change it.
func (f *Fleet) Names() []string { return f.names }

func (d *Deployment) validate() error {
	switch {
	case d.Name == "":
		return errors.New("name is required")
	case d.Kind == spillway.Provisioned && d.PTU <= 0:
		return errors.New("a provisioned deployment needs ptu")
	case d.PTU < 0, d.TPM < 0, d.RPM < 0, d.InputTPMPerPTU < 0, d.OutputRatio < 0, d.MeterDepth < 0:
		return errors.New("capacity must not be negative")
	case d.ChunkTokens < 0:
		return fmt.Errorf("chunk tokens must not be negative, got %d", d.ChunkTokens)
	case d.Service.TBTMean < 0, d.Service.TTFT < 0, d.Service.PrefillTokensPerSecond < 0:
		return errors.New("service time must not be negative")
	}
	return nil
}
