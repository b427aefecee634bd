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

// The tables of comparisons.
const (
	simulated = "Simulated"
	sockets   = "Over sockets"
)

// row is one comparison.
type row struct {
	table         string
	place         int // in its table
	kind, layout  string
	without, with result
}

// sickRow is what became of a deployment that is really sick.
type sickRow struct {
	place            int
	sickness, layout string
	attempts         int
	back             time.Duration
	result           result
}

// results are what the tests found.
type results struct {
	mu   sync.Mutex
	rows []row
	sick []sickRow
}

var board results

// add adds a comparison.
func (r *results) add(x row) {
	x.with.forget()
	x.without.forget()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, x)
}

// addSick adds the case of a sick deployment.
func (r *results) addSick(x sickRow) {
	x.result.forget()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sick = append(r.sick, x)
}

// forget releases what the tables do not show.
func (r *result) forget() { r.world, r.uses = nil, nil }

// markdown returns the tables.
func (r *results) markdown() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortStableFunc(r.rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(b.table, a.table), cmp.Compare(a.place, b.place))
	})
	slices.SortStableFunc(r.sick, func(a, b sickRow) int { return cmp.Compare(a.place, b.place) })
	var out strings.Builder
	heading := func(title string, columns ...string) {
		fmt.Fprintf(&out, "\n### %s\n\n| %s |\n%s|\n", title, strings.Join(columns, " | "), strings.Repeat("|---", len(columns)))
	}
	table := ""
	for _, x := range r.rows {
		if x.table != table {
			table = x.table
			heading(table, "guilty request", "layout", "success without", "success with", "p99 without", "p99 with")
		}
		fmt.Fprintf(&out, "| %s | %s | %.2f%% | %.2f%% | %s | %s |\n", x.kind, x.layout,
			x.without.success(), x.with.success(), seconds(x.without.p99()), seconds(x.with.p99()))
	}
	if len(r.sick) > 0 {
		heading("A sick deployment", "every response", "layout", fmt.Sprintf("attempts in %v", sickUntil-sickFrom), "used again after", "success")
	}
	for _, x := range r.sick {
		fmt.Fprintf(&out, "| %s | %s | %d | %s | %.2f%% |\n", x.sickness, x.layout, x.attempts, seconds(x.back), x.result.success())
	}
	return strings.TrimLeft(out.String(), "\n")
}

// seconds writes a time with milliseconds.
func seconds(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }
