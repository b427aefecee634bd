//go:build linux

// Package faults runs the built gateway against peers that are broken on
// purpose: deployments, clients, resolvers and disks that misbehave on the wire
// as a script says. It shares no code with the gateway or the emulator, so that
// a mistake in one of their parsers cannot hide here.
//
// Each row of the matrix starts a gateway of its own. After every row the
// invariants of invariants_test.go must hold.
package faults

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var (
	soak     = flag.Bool("soak", false, "also run the rows that take minutes")
	newTable = flag.Bool("table", false, "write the matrix with its results into docs/RELIABILITY.md; with -soak and as root it is complete")
)

// matrix is every row, in the order of the table.
var matrix = [][]row{
	deploymentRows, networkRows, streamRows, clientRows, clockRows, storeRows,
	outputRows, lifecycleRows, overloadRows, harmRows,
}

// row is one fault, and what must happen.
type row struct {
	id    string
	fault string
	want  string
	// absent says why a row does not apply; such a row has no run.
	absent string
	// long keeps the row for -soak.
	long bool
	run  func(t *testing.T, w *world)
}

// results are the outcomes of rows by id.
var results struct {
	sync.Mutex
	of map[string]string
}

// program is the path of the gateway.
var program string

// atOnce is how many rows run at one time unless -parallel says otherwise. Most
// of them wait most of the time.
const atOnce = "12"

func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		_ = flag.Set("test.parallel", atOnce) // the flag exists
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// run builds the gateway, runs the tests and writes the table.
func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "spillway-faults-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	program = cmp.Or(os.Getenv("SPILLWAY_BIN"), filepath.Join(dir, "spillway"))
	if os.Getenv("SPILLWAY_BIN") == "" {
		if err := build(program); err != nil {
			return 1, err
		}
	}
	if program, err = filepath.Abs(program); err != nil {
		return 1, err
	}
	results.of = map[string]string{}
	code = m.Run()
	if *newTable {
		err = writeTable()
	}
	return code, err
}

// build builds the gateway; flags come before its package.
func build(path string, flags ...string) error {
	cmd := exec.Command("go", append(append([]string{"build", "-trimpath", "-o", path}, flags...), "../../cmd/spillway")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("building the gateway: %w", err), errors.New(string(out)))
	}
	return nil
}

// TestMatrix runs every row.
func TestMatrix(t *testing.T) {
	for _, part := range matrix {
		for _, r := range part {
			runRow(t, r)
		}
	}
}

// runRow runs one row as a parallel test.
func runRow(t *testing.T, r row) {
	t.Run(r.id, func(t *testing.T) {
		switch {
		case r.absent != "":
			setResult(r.id, "not applicable: "+r.absent)
			t.Skip(r.absent)
		case r.long && !*soak:
			setResult(r.id, "not run: needs -soak")
			t.Skip("takes minutes: -soak")
		}
		t.Parallel()
		setResult(r.id, "did not end")
		w := &world{t: t}
		t.Cleanup(func() {
			switch {
			case t.Failed():
				setResult(r.id, "**fail**")
			case t.Skipped():
				setResult(r.id, "not run: "+w.skipped)
			default:
				setResult(r.id, "pass"+w.note)
			}
		})
		defer w.end()
		r.run(t, w)
	})
}

func setResult(id, result string) {
	results.Lock()
	defer results.Unlock()
	results.of[id] = result
}

// TestRows holds the matrix against itself.
func TestRows(t *testing.T) {
	seen := map[string]bool{}
	for _, part := range matrix {
		for _, r := range part {
			if seen[r.id] {
				t.Errorf("row %s is listed twice", r.id)
			}
			seen[r.id] = true
			if (r.run == nil) == (r.absent == "") || r.fault == "" || r.want == "" {
				t.Errorf("row %s needs a fault, what must happen, and either a test or the reason why it does not apply", r.id)
			}
		}
	}
	for kind, n := range map[string]int{"U": 9, "N": 11, "S": 8, "C": 10, "T": 2, "R": 3, "O": 5, "L": 5, "X": 3} {
		for i := 1; i <= n; i++ {
			if id := fmt.Sprint(kind, i); !seen[id] {
				t.Errorf("row %s is missing", id)
			}
		}
	}
}

// The table stands in a document between two lines.
const (
	document   = "../../docs/RELIABILITY.md"
	tableBegin = "<!-- faults: go test ./tests/faults -soak -count 1 -table -->\n"
	tableEnd   = "<!-- end of faults -->\n"
)

// cells are the first cells of a row of the table.
func (r *row) cells() string { return fmt.Sprintf("| %s | %s | %s |", r.id, r.fault, r.want) }

// writeTable writes the matrix with its results into the document.
func writeTable() error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), tableBegin)
	_, after, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		return fmt.Errorf("%s has no lines %q and %q", document, tableBegin, tableEnd)
	}
	results.Lock()
	defer results.Unlock()
	var b strings.Builder
	b.WriteString("| row | fault | what the gateway does | result |\n|---|---|---|---|\n")
	for _, part := range matrix {
		for _, r := range part {
			fmt.Fprintf(&b, "%s %s |\n", r.cells(), cmp.Or(results.of[r.id], "not run"))
		}
	}
	return os.WriteFile(document, []byte(before+tableBegin+b.String()+tableEnd+after), 0o644)
}

// TestTable demands that the document has every row as it stands here.
func TestTable(t *testing.T) {
	if *newTable {
		t.Skip("it is being written")
	}
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, part := range matrix {
		for _, r := range part {
			rows++
			if !strings.Contains(string(text), "\n"+r.cells()) {
				t.Errorf("%s does not have row %s as it is", document, r.id)
			}
		}
	}
	_, table, _ := strings.Cut(string(text), tableBegin)
	table, _, _ = strings.Cut(table, tableEnd)
	if n := strings.Count(table, "\n") - 2; n != rows {
		t.Errorf("%s has %d rows of %d", document, n, rows)
	}
}
