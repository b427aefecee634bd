// Command spillway-export sends segments of the record store to Azure Data
// Explorer, ClickHouse and object storage. The gateway starts it if exports are
// configured and controls it over stdin and stdout; it has no interface for
// people.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spillway-ai/spillway/internal/observe/export"
	"github.com/spillway-ai/spillway/internal/observe/export/sink"
)

func main() {
	// A terminal or a supervisor stops the gateway and this program at once, but
	// the gateway has still its last records to send.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	if err := export.Serve(os.Stdin, os.Stdout, sink.New); err != nil {
		fmt.Fprintln(os.Stderr, "spillway-export:", err)
		os.Exit(1)
	}
}
