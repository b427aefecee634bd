package cli

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spillway-ai/spillway/internal/lab/workload"
)

type workloadCommand struct {
	Describe describeCommand `cmd:"" help:"Print the statistics of a trace."`
	Generate generateCommand `cmd:"" help:"Write a trace from a scenario or a specification."`
	Convert  convertCommand  `cmd:"" help:"Write traces of any format as one CSV trace."`
}

// traceFlags say how traces are read.
type traceFlags struct {
	From     string        `enum:"auto,csv,azure,mooncake,burstgpt,records" default:"auto" help:"Format of the files: csv, azure, mooncake, burstgpt or records; auto detects it from the first line."`
	SkipBad  bool          `help:"Skip and count bad rows."`
	Spread   bool          `help:"Spread calls with the same timestamp over the time to the next one."`
	Seed     uint64        `default:"1" help:"Seed of random choices."`
	Censored string        `enum:"impute,limit,skip" default:"impute" help:"How to replace unknown output lengths of records: impute a recent longer one, use the client's limit, or skip the record."`
	Window   time.Duration `default:"10m" help:"How much later than its arrival a record may appear in the file."`
}

// open opens the files as one trace; "-" is the standard input.
func (f *traceFlags) open(files []string) (*workload.Reader, workload.Source, func(), error) {
	opt := workload.ReadOptions{SkipBad: f.SkipBad, Window: f.Window}
	if f.From != "auto" {
		opt.Format = workload.Format(f.From)
	}
	if f.Censored != "impute" {
		opt.Censored = workload.Censored(f.Censored)
	}
	var open []*os.File
	closeAll := func() {
		for _, file := range open {
			_ = file.Close() // it was only read
		}
	}
	var parts []workload.Part
	for _, name := range files {
		file := os.Stdin
		if name != "-" {
			var err error
			if file, err = os.Open(name); err != nil {
				closeAll()
				return nil, nil, nil, err
			}
			open = append(open, file)
		} else {
			name = "standard input"
		}
		content, err := unpacked(file)
		if err != nil {
			closeAll()
			return nil, nil, nil, fmt.Errorf("read %s: %w", name, err)
		}
		parts = append(parts, workload.Part{Name: name, Reader: content})
	}
	r, err := workload.OpenParts(parts, opt)
	if err != nil {
		closeAll()
		return nil, nil, nil, err
	}
	var src workload.Source = r
	if f.Spread {
		src = workload.Spread(src, f.Seed)
	}
	return r, src, closeAll, nil
}

// unpacked reads what r compresses with gzip, or r where it does not.
func unpacked(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	magic, _ := b.Peek(2) // an error comes again with the first read
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return b, nil
	}
	return gzip.NewReader(b)
}

type describeCommand struct {
	Files  []string `arg:"" name:"file" help:"Files of the trace in order, also gzipped; - is standard input."`
	Format string   `enum:"text,json" default:"text" help:"Output format: text or json."`
	traceFlags
}

// Run prints the statistics of the files' trace.
func (c *describeCommand) Run(w *world) error {
	r, src, done, err := c.open(c.Files)
	if err != nil {
		return err
	}
	defer done()
	d, err := workload.Describe(w.watched(src))
	if err != nil {
		return err
	}
	if c.Format == "json" {
		e := json.NewEncoder(w.stdout)
		e.SetIndent("", "  ")
		return e.Encode(struct {
			Trace workload.Tally `json:"trace"`
			workload.Description
		}{r.Tally(), d})
	}
	fmt.Fprintf(w.stdout, "format     %s\n", r.Tally().Format)
	if err := d.WriteText(w.stdout); err != nil {
		return err
	}
	tell(w.stdout, r.Tally())
	return nil
}

// tell writes what a reader left out.
func tell(w io.Writer, t workload.Tally) {
	for _, n := range []struct {
		n    int
		what string
	}{
		{t.Retries, "skipped as retries of a call"},
		{t.Others, "skipped because they generate nothing or were refused as invalid"},
		{t.Failed, "skipped because they have no output length"},
		{t.Censored, "with an incomplete response, so that the output length is unknown"},
		{t.Skipped, "skipped as bad"},
	} {
		if n.n > 0 {
			fmt.Fprintf(w, "rows %s: %d\n", n.what, n.n)
		}
	}
	for _, reason := range t.Reasons {
		fmt.Fprintln(w, " ", reason)
	}
	if len(t.Ignored) > 0 {
		fmt.Fprintf(w, "ignored columns: %s\n", strings.Join(t.Ignored, ", "))
	}
}

type generateCommand struct {
	Scenario string        `help:"Built-in scenario: incident, steady, burst or chat-diurnal." xor:"what" required:""`
	Spec     string        `help:"YAML file of a specification (docs/WORKLOADS.md)." xor:"what" required:"" type:"path"`
	Scale    float64       `default:"1" help:"Multiply the rate by this factor."`
	Duration time.Duration `help:"Replace the duration of the scenario or specification."`
	Seed     uint64        `default:"1" help:"Seed of the trace. Equal seeds give equal traces."`
	Output   string        `short:"o" default:"-" help:"File to write, gzipped when its name ends in .gz; - is standard output."`
}

// Run writes the generated trace.
func (c *generateCommand) Run(w *world) error {
	spec, err := c.spec()
	if err != nil {
		return err
	}
	spec.Rate *= c.Scale
	if c.Duration != 0 {
		spec.Duration = c.Duration
	}
	src, err := workload.Generate(spec, c.Seed)
	if err != nil {
		return err
	}
	columns := workload.Columns{Client: true, Model: spec.Model != ""}
	for _, k := range spec.Classes {
		columns.Class = columns.Class || k.Name != ""
		columns.MaxTokens = columns.MaxTokens || k.MaxTokens > 0
		columns.Stream = columns.Stream || k.Stream > 0
		columns.CanStream = columns.CanStream || k.CanStream > 0
	}
	return w.writeTrace(c.Output, src, columns)
}

func (c *generateCommand) spec() (workload.Spec, error) {
	if c.Spec == "" {
		spec, ok := workload.Scenario(c.Scenario)
		if !ok {
			return spec, fmt.Errorf("unknown scenario %q: use one of %s", c.Scenario, strings.Join(workload.Scenarios(), ", "))
		}
		return spec, nil
	}
	data, err := os.ReadFile(c.Spec)
	if err != nil {
		return workload.Spec{}, err
	}
	var spec workload.Spec
	if err := yaml.UnmarshalWithOptions(data, &spec, yaml.Strict()); err != nil {
		return spec, fmt.Errorf("%s: %w", c.Spec, err)
	}
	return spec, nil
}

type convertCommand struct {
	Files  []string `arg:"" name:"file" help:"Files of the trace in order, also gzipped; - is standard input."`
	Output string   `short:"o" default:"-" help:"File to write, gzipped when its name ends in .gz; - is standard output."`
	traceFlags
}

// Run writes the files' trace as CSV.
func (c *convertCommand) Run(w *world) error {
	r, src, done, err := c.open(c.Files)
	if err != nil {
		return err
	}
	defer done()
	if err := c.checkOutput(); err != nil {
		return err
	}
	if err := w.writeTrace(c.Output, src, r.Columns()); err != nil {
		return err
	}
	tell(w.stderr, r.Tally())
	return nil
}

// checkOutput refuses to write over what is being read.
func (c *convertCommand) checkOutput() error {
	out, err := os.Stat(c.Output)
	if err != nil {
		return nil //nolint:nilerr // what does not exist is nobody's input
	}
	for _, name := range c.Files {
		if in, err := os.Stat(name); err == nil && os.SameFile(in, out) {
			return fmt.Errorf("%s is both input and output: set another --output", c.Output)
		}
	}
	return nil
}

// writeTrace writes src to a file, or to the standard output. A file that
// could not be finished is removed.
func (w *world) writeTrace(name string, src workload.Source, columns workload.Columns) error {
	if name == "-" {
		return w.copyTrace(w.stdout, src, columns)
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	var out io.WriteCloser = file
	if strings.HasSuffix(name, ".gz") {
		out = gzip.NewWriter(file)
	}
	err = w.copyTrace(out, src, columns)
	if out != file {
		err = errors.Join(err, out.Close())
	}
	if err = errors.Join(err, file.Close()); err == nil {
		return nil
	}
	if info, bad := os.Lstat(name); bad == nil && info.Mode().IsRegular() {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

func (w *world) copyTrace(to io.Writer, src workload.Source, columns workload.Columns) error {
	out := workload.NewWriter(to)
	out.Require(columns)
	src = w.watched(src)
	for {
		c, err := src.Next()
		if errors.Is(err, io.EOF) {
			return out.Flush()
		}
		if err != nil {
			return err
		}
		if err := out.Write(c); err != nil {
			return fmt.Errorf("write the trace: %w", err)
		}
	}
}

// watched returns src, ended by the world's end and with progress on a
// terminal.
func (w *world) watched(src workload.Source) workload.Source {
	s := &watchedSource{src: src, w: w, last: time.Now()}
	if file, ok := w.stderr.(*os.File); ok {
		info, err := file.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

type watchedSource struct {
	src      workload.Source
	w        *world
	n        int
	last     time.Time
	terminal bool
	shown    bool
}

func (s *watchedSource) Next() (workload.Call, error) {
	c, err := s.src.Next()
	if err != nil {
		if s.shown {
			fmt.Fprint(s.w.stderr, "\r\x1b[K")
		}
		return c, err
	}
	if s.n++; s.n%8192 != 0 {
		return c, nil
	}
	if err := s.w.ctx.Err(); err != nil {
		return workload.Call{}, errors.New("interrupted")
	}
	if now := time.Now(); s.terminal && now.Sub(s.last) > 500*time.Millisecond {
		fmt.Fprintf(s.w.stderr, "\r%d calls, at %v\x1b[K", s.n, c.At.Round(time.Second))
		s.last, s.shown = now, true
	}
	return c, nil
}
