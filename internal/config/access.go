package config

import (
	"fmt"

	spillway "github.com/spillway-ai/spillway"
)

// deriveAccess gives each caller what its class may use, unless it has lists of
// its own.
func deriveAccess(c *Config) {
	classes := make(map[string]*Class, len(c.Classes))
	for i := range c.Classes {
		classes[c.Classes[i].Name] = &c.Classes[i]
	}
	for i := range c.Callers {
		caller := &c.Callers[i]
		class := classes[caller.Class]
		if class == nil {
			continue
		}
		if caller.Operations == nil {
			caller.Operations = class.Operations
		}
		if caller.Pools == nil {
			caller.Pools = class.Pools
		}
	}
}

// access checks the lists of operations and pools. What a caller takes from its
// class is checked there.
func (d *decoder) access(c *Config) {
	pools := make([]string, 0, len(c.Pools)+1)
	for _, p := range c.Pools {
		pools = append(pools, p.Name)
	}
	pools = append(pools, spillway.OperationAll)
	for i := range c.Classes {
		d.allowed(fmt.Sprintf("classes[%d]", i), c.Classes[i].Operations, c.Classes[i].Pools, pools)
	}
	for i := range c.Callers {
		d.allowed(fmt.Sprintf("callers[%d]", i), c.Callers[i].Operations, c.Callers[i].Pools, pools)
	}
}

// allowed checks the two lists of the class or caller at path. known are the names
// that its list of pools may contain.
func (d *decoder) allowed(path string, operations, pools, known []string) {
	for option, list := range map[string][]string{path + ".operations": operations, path + ".pools": pools} {
		if _, given := d.paths[option]; !given {
			continue
		}
		if len(list) == 0 {
			d.addAt(option, "is empty: it allows nothing", "remove it to use the default, or list what is allowed")
		}
		first := map[string]bool{}
		for i, name := range list {
			if first[name] && name != "" {
				at := fmt.Sprintf("%s[%d]", option, i)
				d.addAt(at, d.shown(at, name)+" is duplicate", "remove one")
			}
			first[name] = true
		}
	}
	if _, given := d.paths[path+".pools"]; given {
		for i, name := range pools {
			d.oneOf(fmt.Sprintf("%s.pools[%d]", path, i), "pool", name, known)
		}
	}
}

// adviseCap notes what a hard cap of the class at path does not bind.
func (d *decoder) adviseCap(c *Config, class *Class, path string) {
	if !class.Budget.HardCap {
		return
	}
	if class.Budget.Mode == "observe" {
		d.addAt(path+".budget.hard_cap", "has no effect in mode observe", "set mode: clamp or mode: reject, or remove it")
	}
	d.adviseUncapped(path+".operations", class.Operations)
	for i := range c.Callers {
		if c.Callers[i].Class == class.Name {
			d.adviseUncapped(fmt.Sprintf("callers[%d].operations", i), c.Callers[i].Operations)
		}
	}
}

// adviseUncapped notes which of the operations listed at path generate text in spite
// of a hard cap.
func (d *decoder) adviseUncapped(path string, operations []string) {
	if _, given := d.paths[path]; !given {
		return
	}
	for i, name := range operations {
		switch name {
		case spillway.OperationAll, spillway.OperationOther, "assistants", "batches", "evals", "realtime", "responses/compact", "threads":
			d.addAt(fmt.Sprintf("%s[%d]", path, i), fmt.Sprintf("%q generates text that the hard cap of the class does not bind", name),
				"remove it, or accept that")
		}
	}
}
