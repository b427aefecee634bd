package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/loadgen"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

type loadCommand struct {
	Target     string            `required:"" help:"Base URL, such as http://127.0.0.1:8080 or https://NAME.openai.azure.com." placeholder:"URL"`
	API        string            `name:"api" default:"auto" enum:"auto,azure,azure-v1,openai" help:"Path style: azure, azure-v1 or openai; auto detects it from the URL."`
	APIVersion string            `name:"api-version" help:"API version of style azure."`
	Model      string            `help:"Model or deployment for every call. Default: the trace's, else gpt-4o-mini."`
	Key        string            `env:"SPILLWAY_LOAD_KEY" help:"Key to authenticate with."`
	KeyFor     map[string]string `help:"Key of one client or class of the trace; may be repeated." placeholder:"NAME=KEY"`
	Header     []string          `sep:"none" help:"Header of every request, as 'Name: value'; may be repeated. Its value is never printed." placeholder:"NAME:VALUE"`

	traffic      `embed:""`
	Rate         float64 `help:"Send this many equal calls per second, instead of a trace or scenario, for 30s or --duration." placeholder:"R"`
	Even         bool    `help:"With --rate: equal gaps instead of random ones."`
	PromptTokens int     `default:"500" help:"With --rate: tokens of each prompt."`
	OutputTokens int     `default:"200" help:"With --rate: output tokens that each prompt asks for."`
	MaxTokens    int     `help:"With --rate: output limit of each call; 0 is none." placeholder:"N"`

	Stream     string `default:"trace" enum:"trace,always,never" help:"Which calls stream: trace (as in the trace; all with --rate), always or never."`
	CapOutput  bool   `help:"Send the output length of the trace as the limit of calls that have none."`
	TokenField string `default:"max_tokens" enum:"max_tokens,max_completion_tokens" help:"Field of the output limit; use max_completion_tokens for reasoning models."`

	Timeout     time.Duration `default:"600s" help:"Longest wait for a response, or for a stream's next byte."`
	Retries     int           `help:"Retries of each call; the SDKs' default is 2." placeholder:"N"`
	MaxInFlight int           `default:"20000" help:"Maximum calls in flight; further ones start late."`
	Connections int           `help:"Maximum connections; 0 is unlimited." placeholder:"N"`
	HTTP2       bool          `name:"http2" help:"Use only HTTP/2, also without TLS."`
	Seed        uint64        `default:"1" help:"Seed of arrivals, prompts and waits."`

	TTFT   time.Duration `name:"ttft" help:"Objective: time to the first token of a stream." placeholder:"D"`
	TBT    time.Duration `name:"tbt" help:"Objective: mean time between the tokens of a stream." placeholder:"D"`
	Window time.Duration `help:"Objective: time to the last byte." placeholder:"D"`
	Assert string        `help:"Assertions on the result, such as 'p99_e2e<5s,error_rate<0.1%'; exit status 1 when one fails." placeholder:"LIST"`
	Format string        `default:"text" enum:"text,json" help:"Output format: text or json."`
}

// defaultRateDuration is how long --rate goes on when nobody says.
const defaultRateDuration = 30 * time.Second

// Run loads the target and prints what was measured, also when the context
// ends before the workload.
func (c *loadCommand) Run(w *world) error {
	var demands []loadgen.Assertion
	var err error
	if c.Assert != "" {
		if demands, err = loadgen.ParseAssertions(c.Assert); err != nil {
			return err
		}
	}
	options := c.options()
	if options.Header, err = loadgen.ParseHeaders(c.Header); err != nil {
		return fmt.Errorf("--header: %w", err)
	}
	runner, err := loadgen.New(options)
	if err != nil {
		return err
	}
	src, title, err := c.source()
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		// Requests leave much garbage and little else: collecting at every
		// doubling of so small a heap would cost a fifth of the rate.
		defer debug.SetGCPercent(debug.SetGCPercent(400))
	}
	report, err := c.watch(w, runner, src)
	if _, ok := errors.AsType[*loadgen.Misconfigured](err); ok {
		return err
	}
	report.Workload = title
	met := report.Check(demands)
	if printErr := c.print(w.stdout, report); printErr != nil {
		return printErr
	}
	if err == nil && !met {
		return errNo
	}
	return err
}

// options are what the flags ask of a run.
func (c *loadCommand) options() loadgen.Options {
	o := loadgen.Options{
		Endpoint: c.Target, Style: loadgen.StyleOf(c.Target), APIVersion: c.APIVersion,
		Model: c.Model, Key: c.Key, Keys: c.KeyFor,
		CapOutput: c.CapOutput, TokenField: c.TokenField,
		Timeout: c.Timeout, Retries: c.Retries, MaxInFlight: c.MaxInFlight, Connections: c.Connections, HTTP2: c.HTTP2,
		Objective: loadgen.Objective{TTFT: c.TTFT, TBT: c.TBT, Window: c.Window}, Seed: c.Seed,
	}
	for _, style := range [...]wire.Family{wire.Azure, wire.AzureV1, wire.OpenAI} {
		if c.API == style.String() {
			o.Style = style
		}
	}
	switch c.Stream {
	case "always":
		o.Stream = loadgen.StreamAlways
	case "never":
		o.Stream = loadgen.StreamNever
	}
	return o
}

// source opens what is to be sent, and titles it.
func (c *loadCommand) source() (workload.Source, string, error) {
	switch {
	case c.Rate == 0 && c.Workload == "" && c.Scenario == "":
		return nil, "", errors.New("no traffic given: set --workload FILE, --scenario NAME or --rate R")
	case c.Rate != 0 && (c.Workload != "" || c.Scenario != ""):
		return nil, "", errors.New("--rate excludes --workload and --scenario")
	case c.Rate == 0:
		opened, err := c.traffic.open()
		if err != nil {
			return nil, "", err
		}
		src, err := opened.open(c.Seed)
		return src, opened.title, err
	}
	steady := loadgen.Steady{
		Rate: c.Rate * c.Speed, Duration: cmp.Or(c.Duration, defaultRateDuration), Even: c.Even, Seed: c.Seed,
		Call: workload.Call{PromptTokens: c.PromptTokens, OutputTokens: c.OutputTokens, MaxTokens: c.MaxTokens, Stream: true},
	}
	src, err := steady.Source()
	return src, fmt.Sprintf("%v calls per second for %v", steady.Rate, steady.Duration), err
}

// watch runs the load, with a line of progress where a person sees it.
func (c *loadCommand) watch(w *world, runner *loadgen.Runner, src workload.Source) (*loadgen.Report, error) {
	if !isTerminal(w.stderr) {
		return runner.Run(w.ctx, src)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var line sync.WaitGroup
	line.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(w.stderr, "\r%s\x1b[K", runner.Snapshot())
			case <-ctx.Done():
				fmt.Fprint(w.stderr, "\r\x1b[K")
				return
			}
		}
	})
	report, err := runner.Run(w.ctx, src)
	cancel()
	line.Wait()
	return report, err
}

func (c *loadCommand) print(out io.Writer, report *loadgen.Report) error {
	if c.Format != "json" {
		return report.WriteText(out)
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}
