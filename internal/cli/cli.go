// Package cli is the command line, with one file per subcommand. It parses
// flags, calls the package that does the work, and writes the result. Exit
// statuses and error output are the same for all subcommands.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"
	"github.com/spillway-ai/spillway/internal/config"
)

// The exit statuses.
const (
	exitFine    = 0
	exitNo      = 1 // the answer is "no": an invalid configuration, for one
	exitFailure = 2 // wrong usage, or it could not be done
)

// commands are the subcommands; a field's tags are its help.
type commands struct {
	Serve    serveCommand    `cmd:"" help:"Run the gateway. Without a configuration, serve an embedded demo fleet that needs no cloud account."`
	Azuresim azuresimCommand `cmd:"" help:"Emulate Azure OpenAI over HTTP: provisioned and standard deployments, and faults."`
	Load     loadCommand     `cmd:"" help:"Send open-loop load from a trace or at a rate; report percentiles, goodput and errors."`
	Workload workloadCommand `cmd:"" help:"Describe, generate and convert traces of traffic."`
	Plan     planCommand     `cmd:"" help:"Find how many PTUs your traffic needs to meet a service level, and at what cost."`
	Simulate simulateCommand `cmd:"" help:"Compare policies on a workload in virtual time."`
	Query    queryCommand    `cmd:"" help:"Run a KQL query on the record store; print a table, chart, CSV or JSON."`
	Diagnose diagnoseCommand `cmd:"" help:"Report why there are 408s and 429s, from the record store or from Azure's logs."`
	Cost     costCommand     `cmd:"" help:"Report cost by deployment, caller, tenant, class or model."`
	Export   exportCommand   `cmd:"" help:"Send the records that a stopped gateway has not exported yet."`
	Status   statusCommand   `cmd:"" help:"Show for each deployment of a running gateway whether it gets requests, and why."`
	Check    checkCommand    `cmd:"" help:"Validate a configuration and print the effective one."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
}

// world is what a command sees of its surroundings.
type world struct {
	ctx            context.Context
	stdout, stderr io.Writer
}

// errNo ends a command with exit status 1; it has said why already.
var errNo = errors.New("no")

// refuse ends a command on a file that is invalid, which is a "no" and not a
// failure, and passes other errors on.
func (w *world) refuse(err error) error {
	if bad, ok := errors.AsType[*config.Errors](err); ok {
		fmt.Fprintln(w.stderr, bad)
		return errNo
	}
	return err
}

// exit carries the exit status that the parser asks for out of it.
type exit int

// Run runs the command line args (without the program's name) until it is done
// or ctx ends, and returns the exit status.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	defer func() {
		// The parser leaves by Exit when it has printed help.
		if r := recover(); r != nil {
			code, ok := r.(exit)
			if !ok {
				panic(r)
			}
			status = int(code)
		}
	}()
	var c commands
	parser, err := kong.New(&c,
		kong.Name("spillway"),
		kong.Description("An SLA-aware gateway for Azure OpenAI and OpenAI-compatible deployments."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "spillway:", err)
		return exitFailure
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "spillway: %v\nSee: spillway --help\n", err)
		return exitFailure
	}
	switch err := parsed.Run(&world{ctx: ctx, stdout: stdout, stderr: stderr}); {
	case err == nil:
		return exitFine
	case errors.Is(err, errNo):
		return exitNo
	default:
		fmt.Fprintln(stderr, "spillway:", err)
		return exitFailure
	}
}
