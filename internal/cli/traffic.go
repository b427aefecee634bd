package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
)

// traffic is where a command's calls come from.
type traffic struct {
	Scenario string        `placeholder:"NAME" help:"Built-in scenario: incident, steady, burst or chat-diurnal."`
	Scale    float64       `default:"1" help:"Share of the scenario's rate, and of the incident's fleet."`
	Workload string        `type:"path" placeholder:"FILE" help:"Trace to replay, in any format that workload describe reads, also gzipped."`
	From     string        `placeholder:"FORMAT" help:"Format of the trace: csv, azure, mooncake, burstgpt or records. Default: detected from the first line."`
	SkipBad  bool          `help:"Count and skip bad rows instead of stopping at the first."`
	Speed    float64       `default:"1" help:"Replay faster by this factor."`
	Duration time.Duration `help:"Duration of the traffic to use; 0 is all."`
}

// opened is traffic that has been read once and is known to be sound.
type opened struct {
	title string
	span  time.Duration
	open  func(seed uint64) (workload.Source, error)
}

// open checks the traffic.
func (t *traffic) open() (opened, error) {
	switch {
	case t.Scenario != "" && t.Workload != "":
		return opened{}, errors.New("--scenario and --workload exclude each other")
	case t.Scenario == "" && t.Workload == "":
		return opened{}, errors.New("no traffic given: set --workload FILE or --scenario NAME")
	case t.Speed <= 0:
		return opened{}, errors.New("--speed: must be positive")
	case t.Scale <= 0:
		return opened{}, errors.New("--scale: must be positive")
	case t.Scenario != "":
		return t.scenario()
	}
	return t.trace()
}

// scenario is generated traffic. Every seed is another run of it.
func (t *traffic) scenario() (opened, error) {
	spec, ok := workload.Scenario(t.Scenario)
	if !ok {
		return opened{}, fmt.Errorf("--scenario: unknown scenario %q: use one of %s", t.Scenario, strings.Join(workload.Scenarios(), ", "))
	}
	spec.Rate *= t.Scale
	if t.Duration > 0 {
		spec.Duration = t.Duration
	}
	if err := spec.Check(); err != nil {
		return opened{}, fmt.Errorf("--scenario %s: %w", t.Scenario, err)
	}
	return opened{
		title: fmt.Sprintf("%s: %s calls/s for %v", t.Scenario, strconv.FormatFloat(spec.Rate*t.Speed, 'g', 4, 64), spec.Duration),
		span:  time.Duration(float64(spec.Duration) / t.Speed),
		open: func(seed uint64) (workload.Source, error) {
			src, err := workload.Generate(spec, seed)
			if err != nil {
				return nil, err
			}
			return workload.Speed(src, t.Speed), nil
		},
	}, nil
}

// trace is a file. It is read once to the end before anything else, so that a
// bad row is told of before anything runs.
func (t *traffic) trace() (opened, error) {
	src, err := t.read()
	if err != nil {
		return opened{}, err
	}
	defer src.close()
	calls, span := 0, time.Duration(0)
	for {
		call, err := src.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return opened{}, err
		}
		calls, span = calls+1, call.At
	}
	title := fmt.Sprintf("%s: %d calls in %v", filepath.Base(t.Workload), calls, span.Round(max(time.Millisecond, min(span/1000, time.Second))))
	if src.skipped() > 0 {
		title += fmt.Sprintf(", %d bad rows skipped", src.skipped())
	}
	return opened{title: title, span: span, open: func(uint64) (workload.Source, error) {
		s, err := t.read()
		if err != nil {
			return nil, err
		}
		return s, nil
	}}, nil
}

// traceFile is a trace that is being read. It closes its file at the end.
type traceFile struct {
	workload.Source
	reader *workload.Reader
	file   *os.File
}

// read opens the trace.
func (t *traffic) read() (*traceFile, error) {
	f, err := os.Open(t.Workload)
	if err != nil {
		return nil, fmt.Errorf("read the workload: %w", err)
	}
	in, err := unpacked(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", t.Workload, err), f.Close())
	}
	r, err := workload.Open(in, t.Workload, workload.ReadOptions{Format: workload.Format(t.From), SkipBad: t.SkipBad})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	var src workload.Source = r
	if t.Speed != 1 {
		src = workload.Speed(src, t.Speed)
	}
	if t.Duration > 0 {
		src = workload.Limit(src, t.Duration)
	}
	return &traceFile{Source: src, reader: r, file: f}, nil
}

// Next is the trace's next call.
func (s *traceFile) Next() (workload.Call, error) {
	c, err := s.Source.Next()
	if err != nil {
		s.close()
	}
	return c, err
}

func (s *traceFile) close() { _ = s.file.Close() } // it was only read

func (s *traceFile) skipped() int { return s.reader.Skipped() }

// parseSweep reads cap, cap=500,1000, quantile or quantile=0.9,0.99.
func parseSweep(spec string) (parameter string, values []float64, err error) {
	parameter, list, given := strings.Cut(spec, "=")
	values, ok := map[string][]float64{
		whatif.SweepCap:      {500, 1000, 1500, 2000, 2500, 3000, 4000, 6000, 8000},
		whatif.SweepQuantile: {0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999},
	}[parameter]
	if !ok {
		return "", nil, fmt.Errorf("--sweep: %q is neither cap nor quantile", parameter)
	}
	if !given {
		return parameter, values, nil
	}
	values = nil
	for text := range strings.SplitSeq(list, ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		switch {
		case err != nil:
			return "", nil, fmt.Errorf("--sweep %s: %q is not a valid number", parameter, text)
		case parameter == whatif.SweepCap && (v < 1 || v != float64(int(v))):
			return "", nil, fmt.Errorf("--sweep cap: %v is not a number of tokens", v)
		case parameter == whatif.SweepQuantile && (v < 0.5 || v > 0.999):
			return "", nil, fmt.Errorf("--sweep quantile: %v is not within 0.5 to 0.999", v)
		}
		values = append(values, v)
	}
	return parameter, values, nil
}
