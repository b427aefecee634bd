// Package interference tests that one caller's requests do not harm another's,
// whatever becomes of them, and that a deployment that is really sick is still
// left and used again. It does so in virtual time, with the policy core alone,
// and over sockets, with the whole gateway.
package interference

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var tableFile = flag.String("table", "", "file to write the results to, as Markdown tables")

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if *tableFile != "" {
		if err := os.WriteFile(*tableFile, []byte(board.markdown()), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// The tables.
const (
	simulated = "Simulated"
	sockets   = "Over sockets"
)

// row is one comparison.
type row struct {
	table, kind, layout string
	without, with       string // success
	before, after       time.Duration
}

// sickRow is what became of a deployment that is really sick.
type sickRow struct {
	sickness, layout, success string
	attempts                  int
	back                      time.Duration
}

// results are what the tests found.
type results struct {
	mu   sync.Mutex
	rows []row
	sick []sickRow
}

var board results

// add adds a comparison.
func (r *results) add(table, kind, layout string, with, without result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, row{
		table, kind, layout,
		fmt.Sprintf("%.2f%%", without.success()), fmt.Sprintf("%.2f%%", with.success()), without.p99(), with.p99(),
	})
}

// addSick adds the case of a sick deployment.
func (r *results) addSick(f *fault, attempts int, back time.Duration, of result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sick = append(r.sick, sickRow{f.name, f.layout.name, fmt.Sprintf("%.2f%%", of.success()), attempts, back})
}

// markdown returns the tables.
func (r *results) markdown() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortStableFunc(r.rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(a.kind, b.kind), cmp.Compare(a.layout, b.layout))
	})
	var out strings.Builder
	table := ""
	for _, x := range r.rows {
		if x.table != table {
			table = x.table
			fmt.Fprintf(&out, "\n### %s\n\n| kind | layout | success without | with | p99 without | with |\n|---|---|---|---|---|---|\n", table)
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %s |\n", x.kind, x.layout, x.without, x.with, x.before.Round(time.Millisecond), x.after.Round(time.Millisecond))
	}
	return strings.TrimLeft(out.String(), "\n")
}
