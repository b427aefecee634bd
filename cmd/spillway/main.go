// Command spillway is an SLA-aware gateway for Azure OpenAI and
// OpenAI-compatible deployments.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spillway-ai/spillway/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	status := cli.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}
