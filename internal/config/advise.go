package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spillway-ai/spillway/internal/defaults"
)

// Check is Load that also returns what is valid and probably not meant; nil
// for nothing.
func Check(path string, env func(string) (string, bool), readFile func(string) ([]byte, error)) (c *Config, warnings *Errors, err error) {
	data, err := readFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read the configuration: %w", err)
	}
	d := newDecoder(env, readFile)
	c, err = d.config(path, data)
	if err != nil {
		return nil, nil, err
	}
	d.advise(c)
	if found, ok := d.err(path).(*Errors); ok {
		warnings = found
	}
	return c, warnings, nil
}

// shellVariable is a reference to the environment in another language. It is
// constant.
var shellVariable = regexp.MustCompile(`^\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?$`)

// advise notes what is probably not meant.
func (d *decoder) advise(c *Config) {
	pooled, used := map[string]bool{}, map[string]bool{c.Anonymous: true}
	for _, p := range c.Pools {
		for _, tier := range p.Tiers {
			for _, name := range tier {
				pooled[name] = true
			}
		}
	}
	for i := range c.Callers {
		x, path := &c.Callers[i], fmt.Sprintf("callers[%d]", i)
		used[x.Class] = true
		d.literal(path+".key", x.Key)
		for k, key := range x.Keys {
			d.literal(fmt.Sprintf("%s.keys[%d]", path, k), key)
		}
	}
	table := c.ModelTable()
	for i := range c.Deployments {
		x, path := &c.Deployments[i], fmt.Sprintf("deployments[%d]", i)
		if !pooled[x.Name] {
			d.addAt(path, "is unused: it is in no pool", "add it to a pool's tiers, or remove it")
		}
		if x.Auth != nil {
			d.literal(path+".auth.api_key", x.Auth.APIKey)
			d.literal(path+".auth.bearer", x.Auth.Bearer)
		}
		if !x.Reasoning && table.Reasons(x.Model) {
			d.addAt(path+".reasoning", "is false for a reasoning model: it accepts only max_completion_tokens, and a lowered limit can end its responses before the text begins", "remove it")
		}
		if x.Reasoning && x.APIVersion != "" && x.APIVersion < defaults.ReasoningAPIVersion[:len("2006-01-02")] {
			d.addAt(path+".api_version", "is older than reasoning models accept", "use "+defaults.ReasoningAPIVersion+" or newer, or remove it")
		}
		d.adviseModel(x, path+".model", table)
	}
	d.adviseModels(c)
	for path, missing := range map[string]bool{
		"store.dir": c.Store.Dir == "", "otlp.endpoint": c.OTLP.Endpoint == "", "records.dir": c.Records.Dir == "" && !c.Records.Stdout,
	} {
		section, option, _ := strings.Cut(path, ".")
		if _, given := d.paths[section]; given && missing {
			d.addAt(section, "has no effect without "+option, "set "+path+", or remove it")
		}
	}
	for i := range c.Classes {
		d.adviseCap(c, &c.Classes[i], fmt.Sprintf("classes[%d]", i))
		if !used[c.Classes[i].Name] {
			d.addAt(fmt.Sprintf("classes[%d]", i), "is unused: no caller has it", "assign it to a caller, or remove it")
		}
	}
}

// literal notes a secret that looks like a variable and is taken as it stands.
func (d *decoder) literal(path string, s Secret) {
	if name := shellVariable.FindStringSubmatch(s.Reveal()); name != nil {
		d.addAt(path, "is used literally, including its $", "write \"${env:"+name[1]+"}\" for the value of the variable")
	}
}

// InEffect is the configuration with the figures that models bring where
// nothing else is given.
func (c *Config) InEffect() *Config {
	filled := *c
	filled.Deployments = slices.Clone(c.Deployments)
	table := c.ModelTable()
	for i := range filled.Deployments {
		x := &filled.Deployments[i]
		d := table.Fill(x.policy())
		x.TokensPerSecond = d.TokensPerSecond
		if x.Kind == "provisioned" {
			x.InputTPMPerPTU, x.OutputRatio, x.CachedRatio = d.InputTPMPerPTU, d.OutputRatio, d.CachedRatio
		}
	}
	return &filled
}
