package setup

import (
	"fmt"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
)

// Policy is the policy that a gateway configuration describes. A call gets the
// class of the caller with the name of its client, or else the class of
// requests without a key, of the first caller, or the first class.
func Policy(name string, cfg *config.Config) (whatif.Policy, error) {
	p := whatif.Policy{
		Name: name, Pools: cfg.Policies(), Classes: cfg.TrafficClasses(), Callers: map[string]*spillway.Class{},
	}
	for _, c := range cfg.Callers {
		p.Callers[c.Name] = p.Classes[c.Class]
	}
	switch {
	case cfg.Anonymous != "":
		p.Default = p.Classes[cfg.Anonymous]
	case len(cfg.Callers) > 0:
		p.Default = p.Classes[cfg.Callers[0].Class]
	case len(cfg.Classes) > 0:
		p.Default = p.Classes[cfg.Classes[0].Name]
	}
	if len(p.Pools) == 0 || p.Default == nil {
		return p, fmt.Errorf("policy %s: a simulation needs a pool and a class", name)
	}
	return p, nil
}
