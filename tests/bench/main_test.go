// Package bench holds the gateway against its targets: CPU per request and per
// chunk, memory per stream, delay, and start. Each contestant is a process of
// its own, so that its CPU time is its own; this process is the clients and
// the deployments. Everything stays on the loopback.
//
// docs/BENCHMARKS.md says how to run it and how to read what it prints.
package bench

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// The environment of a child process: which contestant it is, where its
// deployment listens and which authority it trusts for it, and the gateway's
// configuration.
const (
	envRole     = "SPILLWAY_BENCH_ROLE"
	envUpstream = "SPILLWAY_BENCH_UPSTREAM"
	envCA       = "SPILLWAY_BENCH_CA"
	envConfig   = "SPILLWAY_BENCH_CONFIG"
)

// envProfile is the environment's wish for profiles: where they go, without
// the ends of the names, which are the contestant's and .cpu or .heap.
const envProfile = "SPILLWAY_BENCH_PROFILE"

func TestMain(m *testing.M) {
	if role := os.Getenv(envRole); role != "" {
		os.Exit(runChild(role))
	}
	assert := flag.Bool("assert", false, "exit with status 1 when a target is missed")
	flag.Parse()
	code := m.Run()
	removeBuild()
	if missed := board.print(os.Stdout); missed > 0 && *assert {
		fmt.Printf("%d targets missed\n", missed)
		code = max(code, 1)
	}
	os.Exit(code)
}
