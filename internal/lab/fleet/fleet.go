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
// its servers are independent of each other, except those that share a quota.
type Fleet struct {
	servers map[string]*Server
	names   []string
	quotas  map[string]*Server // the first deployment of each shared quota
}

// New returns the idle fleet that the configuration describes. Fault schedules
// count from start. It reports all that is wrong with the configuration.
func New(c Config, start time.Time) (*Fleet, error) {
	f := &Fleet{servers: map[string]*Server{}, quotas: map[string]*Server{}}
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
		if err := f.join(s); err != nil {
			errs = append(errs, fmt.Errorf("deployment %d %q: %w", i, d.Name, err))
			continue
		}
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

// join makes a server share the windows of its quota's first deployment.
func (f *Fleet) join(s *Server) error {
	d := &s.d
	if d.Quota == "" {
		return nil
	}
	first := f.quotas[d.Quota]
	switch {
	case first == nil:
		f.quotas[d.Quota] = s
	case first.d.TPM != d.TPM || first.d.RPM != d.RPM || first.d.RPMWindow != d.RPMWindow:
		return fmt.Errorf("quota %q: its TPM or RPM differs from that of %q", d.Quota, first.d.Name)
	default:
		s.tokens, s.requests = first.tokens, first.requests
	}
	return nil
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
	case d.Quota != "" && d.Kind != spillway.Standard:
		return errors.New("only standard deployments have a quota")
	case d.ChunkTokens < 0:
		return fmt.Errorf("chunk tokens must not be negative, got %d", d.ChunkTokens)
	case d.Service.TBTMean < 0, d.Service.TTFT < 0, d.Service.PrefillTokensPerSecond < 0:
		return errors.New("service time must not be negative")
	}
	return nil
}
