package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/report"
	"github.com/spillway-ai/spillway/internal/lab/setup"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

type simulateCommand struct {
	traffic  `embed:""`
	Policy   []string        `type:"path" placeholder:"FILE" help:"Gateway configuration to compare; may be repeated. With --scenario incident, replaces the built-in policies."`
	Fleet    string          `type:"path" placeholder:"FILE" help:"Fleet file. Default: the deployments of the configurations, at the usual speeds."`
	Baseline string          `placeholder:"NAME" help:"Deployment that clients call directly, without a gateway, in the first column. Default: the first of the fleet; none omits the column."`
	Seeds    int             `default:"1" help:"Runs of each policy with different seeds; the report shows the range."`
	Seed     uint64          `default:"1" help:"The first seed. Equal seeds give equal results."`
	Window   time.Duration   `default:"60s" help:"Objective: time to the last byte of a non-streaming response."`
	TTFT     time.Duration   `name:"ttft" help:"Objective: time to the first token; 0 is none."`
	TBT      time.Duration   `name:"tbt" help:"Objective: mean time between the tokens of a response; 0 is none."`
	Retries  int             `default:"2" help:"Retries of a client's SDK after 408, 409, 429 or 5xx."`
	Stream   int             `name:"stream-above" placeholder:"TOKENS" help:"Clients that can stream do so above this many output tokens."`
	Depths   []time.Duration `placeholder:"DURATION" help:"Further depths of the PTU meter to simulate. Default with --scenario incident: 10s,30s,60s,120s."`
	Sweep    []string        `sep:"none" placeholder:"cap[=N,...]|quantile[=Q,...]" help:"Show the frontier of a fixed cap, or of the measured cap's quantile; may be repeated."`
	Store    string          `type:"path" placeholder:"DIR" help:"Write the records of the last policy to this directory, for query, diagnose and cost. It must not contain a store."`
	NoOracle bool            `help:"Omit the oracle, the upper bound of any policy."`
	Format   string          `enum:"text,json,html" default:"text" help:"Output format: text, json or html."`
	HTML     string          `name:"html" type:"path" placeholder:"FILE" help:"Also write a page with plots to this file."`
	Output   string          `short:"o" type:"path" placeholder:"FILE" help:"Write to this file instead of standard output."`
}

// Help is what the command's help says beyond its options.
func (c *simulateCommand) Help() string {
	return `All policies get the same calls, with the same lengths and random draws. docs/SIMULATE.md
describes the model and the JSON.

  spillway simulate --scenario incident
  spillway simulate --scenario incident --policy examples/incident/watch.yaml --store /tmp/watched
  spillway simulate --workload traffic.csv --policy now.yaml --policy then.yaml --sweep cap --html report.html`
}

// Run simulates and writes the comparison.
func (c *simulateCommand) Run(w *world) error {
	study, err := c.study()
	if err != nil {
		return w.refuse(err)
	}
	bar := newProgress(w.stderr, "simulating")
	study.OnProgress = bar.set
	comparison, err := c.simulate(w, study)
	bar.end()
	if err != nil {
		return fmt.Errorf("simulating: %w", err)
	}
	if c.HTML != "" {
		if err := writeFile(c.HTML, func(f io.Writer) error { return report.WriteHTML(f, comparison) }); err != nil {
			return err
		}
	}
	write := map[string]func(io.Writer, report.Comparison) error{
		"text": report.WriteText, "json": report.WriteJSON, "html": report.WriteHTML,
	}[c.Format]
	if c.Output != "" {
		return writeFile(c.Output, func(f io.Writer) error { return write(f, comparison) })
	}
	return write(w.stdout, comparison)
}

// simulate runs the study, and keeps its records if that is wanted.
func (c *simulateCommand) simulate(w *world, s *whatif.Study) (report.Comparison, error) {
	if c.Store == "" {
		return s.Run(w.ctx)
	}
	if err := unused(c.Store); err != nil {
		return report.Comparison{}, err
	}
	records, err := store.NewWriter(store.Config{Dir: c.Store, Queue: 1 << 20})
	if err != nil {
		return report.Comparison{}, err
	}
	s.OnRecord, s.Start = records.Record, time.Now().Add(-s.Span-lastRetries)
	comparison, err := s.Run(w.ctx)
	err = errors.Join(err, records.Close())
	if n := records.Dropped(); err == nil && n > 0 {
		err = fmt.Errorf("%s: %d records were lost because the disk is too slow: set a shorter --duration, or use a faster disk", c.Store, n)
	}
	return comparison, err
}

// lastRetries is how long after the last call clients may still try again.
const lastRetries = 4 * time.Minute

// unused reports a directory that holds records already: simulated ones are not
// to be taken for others.
func unused(dir string) error {
	s, err := store.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	from, _, err := s.Span()
	if err != nil {
		return err
	}
	if !from.IsZero() {
		return fmt.Errorf("--store: %s already contains records: use another directory", dir)
	}
	return nil
}

// study puts together what is compared, and checks all of it.
func (c *simulateCommand) study() (*whatif.Study, error) {
	calls, err := c.open()
	if err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	client := fleet.OpenAISDK()
	client.Retries = c.Retries
	s := &whatif.Study{
		Title: calls.title, OpenWorkload: calls.open, Span: calls.span, Client: client, NoOracle: c.NoOracle, Now: time.Now,
		Objective: whatif.Objective{Window: c.Window, TTFT: c.TTFT, TBT: c.TBT},
	}
	for i := range c.Seeds {
		s.Seeds = append(s.Seeds, c.Seed+uint64(i))
	}
	if err := c.policies(s); err != nil {
		return nil, err
	}
	if err := c.sweeps(s); err != nil {
		return nil, err
	}
	s.Depths = c.Depths
	if s.Depths == nil && c.Scenario == incident {
		s.Depths = []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute}
	}
	s.DepthPolicies = []whatif.Policy{s.Policies[0]}
	if last := len(s.Policies) - 1; last > 0 {
		s.DepthPolicies = append(s.DepthPolicies, s.Policies[last])
	}
	return s, s.Check()
}

// check reports options that mean nothing.
func (c *simulateCommand) check() error {
	if c.Seeds < 1 {
		return errors.New("--seeds: must be at least 1")
	}
	if c.Retries < 0 {
		return errors.New("--retries: must not be negative")
	}
	if min(c.Window, c.TTFT, c.TBT) < 0 {
		return errors.New("--window, --ttft, --tbt: must not be negative")
	}
	for _, depth := range c.Depths {
		if depth <= 0 {
			return fmt.Errorf("--depths: meter depth must be positive, got %v", depth)
		}
	}
	return nil
}

// incident is the scenario that has a fleet and policies of its own.
const incident = "incident"

// policies fills in the fleet and the policies.
func (c *simulateCommand) policies(s *whatif.Study) error {
	var err error
	configs, err := loadConfigs(c.Policy)
	if err != nil {
		return err
	}
	own := c.Scenario == incident
	switch {
	case c.Fleet != "":
		s.Fleet, _, err = loadFleet(c.Fleet, configs...)
	case own:
		s.Fleet, err = setup.IncidentFleet(c.Scale)
	case len(configs) > 0:
		s.Fleet, err = setup.FleetOf(configs...)
	default:
		err = errors.New("--fleet or --policy is required with --workload")
	}
	if err != nil {
		return err
	}
	if own && len(configs) == 0 {
		s.Policies, err = setup.IncidentPolicies(c.Scale)
		return err
	}
	if c.Baseline != "none" {
		s.Policies = append(s.Policies, whatif.Policy{
			Name: "baseline", Direct: cmp.Or(c.Baseline, s.Fleet.Deployments[0].Name),
		})
	}
	for i, cfg := range configs {
		p, err := setup.Policy(policyName(c.Policy[i]), cfg)
		if err != nil {
			return err
		}
		p.StreamLong = c.Stream
		s.Policies = append(s.Policies, p)
	}
	if len(s.Policies) == 0 {
		return errors.New("nothing to compare: set --policy, or remove --baseline none")
	}
	return nil
}

// loadConfigs reads gateway configurations.
func loadConfigs(paths []string) ([]*config.Config, error) {
	var configs []*config.Config
	for _, path := range paths {
		cfg, err := loadToRead(path)
		if err != nil {
			return nil, err
		}
		configs = append(configs, cfg)
	}
	return configs, nil
}

// loadToRead reads the configuration for a command that calls nobody: it needs
// no credential.
func loadToRead(path string) (*config.Config, error) {
	return config.Load(path, unsetIsEmpty, presentOr(path))
}

// presentOr reads files, and stands in for those that are not there, but for
// the one at path.
func presentOr(path string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		data, err := os.ReadFile(name)
		if name != path && errors.Is(err, fs.ErrNotExist) {
			return []byte(absent(name)), nil
		}
		return data, err
	}
}

// unsetIsEmpty is an environment in which every variable has a value.
func unsetIsEmpty(name string) (string, bool) {
	if v, ok := os.LookupEnv(name); ok {
		return v, true
	}
	return absent(name), true
}

// absent stands in for a secret that is not there; no two are alike, as keys
// must not be.
func absent(name string) string { return "absent:" + strings.ReplaceAll(name, " ", "_") }

// policyName is what a policy is called: its file without what follows the
// name.
func policyName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	return name
}

// writeFile writes a file whole, or leaves what was there.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is not there any more when all went well
	err = errors.Join(write(f), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// sweeps adds the variants of --sweep. A fixed cap varies the policy that caps,
// where the scenario has one, and otherwise the last.
func (c *simulateCommand) sweeps(s *whatif.Study) error {
	for _, spec := range c.Sweep {
		parameter, values, err := parseSweep(spec)
		if err != nil {
			return err
		}
		base := s.Policies[len(s.Policies)-1]
		if i := slices.IndexFunc(s.Policies, func(p whatif.Policy) bool { return p.Name == sweepBase[parameter] }); i >= 0 {
			base = s.Policies[i]
		}
		if base.Direct != "" {
			return errors.New("--sweep: needs a policy to vary: set --policy")
		}
		for _, v := range values {
			s.Sweep = append(s.Sweep, whatif.Sweep(base, parameter, v))
		}
	}
	return nil
}

// sweepBase is constant: the policies of the incident that a sweep varies.
var sweepBase = map[string]string{whatif.SweepCap: "cap-2000", whatif.SweepQuantile: "measured"}
