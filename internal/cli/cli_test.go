package cli

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts run the program: this test binary, by that name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"spillway": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			os.Exit(Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
		},
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("ADDR", freeAddress(t))
			samples, err := filepath.Abs("../diagnose/imports/testdata")
			env.Setenv("SAMPLES", samples)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"get": get},
	})
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// get fetches a URL, which may take a moment to be served, and fails unless
// the answer holds the text.
func get(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: get URL TEXT")
	}
	deadline := time.NewTimer(5 * time.Minute) // only a hang takes as long
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		body, err := fetch(args[0])
		if err == nil {
			if !strings.Contains(body, args[1]) {
				ts.Fatalf("%s answers %s", args[0], body)
			}
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			ts.Fatalf("it is not served: %v", err)
		}
	}
}

func fetch(url string) (string, error) {
	resp, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}
