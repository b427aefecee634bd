package archtest

import (
	"path"
	"slices"
	"strings"
)

// module is the path that every import of our own starts with.
const module = "github.com/spillway-ai/spillway"

// room is one line of the architecture's table: a directory, what of ours it
// may import, and what it may touch. "." is the module's root package;
// "x/..." is x and everything below it. A package belongs to the room of the
// longest directory that holds it.
type room struct {
	dir  string
	may  []string
	std  []string // when set, the only packages of the standard library
	pure bool     // no clock, goroutine, I/O, log or global randomness
	// clock permits time.Now and timers.
	clock bool
}

// rooms is the architecture's table. A directory with Go files that belongs
// to no room is an error: name the room here and in docs/ARCHITECTURE.md.
var rooms = []room{
	{dir: ".", std: []string{"errors", "time"}, pure: true},
	{dir: "internal/stat", may: []string{"."}, pure: true},
	{dir: "internal/models", may: []string{"."}, pure: true},
	{dir: "internal/defaults", std: []string{"time"}, pure: true},
	{dir: "internal/jsonwalk", pure: true},

	{dir: "internal/policy", may: []string{".", "internal/stat", "internal/models", "internal/policy/..."}, pure: true},
	{dir: "internal/policy/budget", may: []string{".", "internal/stat"}, pure: true},
	{dir: "internal/policy/speed", may: []string{".", "internal/stat"}, pure: true},
	{dir: "internal/policy/capacity", may: []string{".", "internal/stat", "internal/models"}, pure: true},
	{dir: "internal/policy/length", may: []string{".", "internal/stat"}, pure: true},
	{dir: "internal/policy/admit", may: []string{".", "internal/stat"}, pure: true},
	{dir: "internal/policy/route", may: []string{".", "internal/stat"}, pure: true},
	{dir: "internal/policy/retry", may: []string{".", "internal/stat"}, pure: true},
	{dir: "internal/policy/breaker", may: []string{".", "internal/stat"}, pure: true},

	{dir: "internal/lab/fleet", may: []string{".", "internal/stat", "internal/models"}, pure: true},
	{dir: "internal/lab/workload", may: []string{".", "internal/jsonwalk", "internal/stat"}, pure: true},
	{dir: "internal/numeral", pure: true},
	{dir: "internal/chart", may: []string{"internal/numeral"}, pure: true},
	{dir: "internal/lab/report", may: []string{".", "internal/numeral", "internal/stat", "internal/models", "internal/chart"}, pure: true},
	{dir: "internal/observe/cost", may: []string{".", "internal/numeral"}, pure: true},

	{dir: "internal/diagnose", may: []string{".", "internal/numeral"}, pure: true},
	{dir: "internal/diagnose/imports", may: []string{".", "internal/diagnose", "internal/jsonwalk"}},
	{dir: "internal/diagnose/render", may: []string{"internal/chart", "internal/diagnose", "internal/numeral"}, pure: true},
	{dir: "internal/diagnose/replay", may: []string{
		".", "internal/diagnose", "internal/lab/fleet", "internal/lab/report", "internal/lab/whatif", "internal/lab/workload",
		"internal/policy", "internal/policy/admit",
	}, pure: true},
	{dir: "internal/diagnose/rules", may: []string{".", "internal/stat", "internal/diagnose", "internal/numeral"}, pure: true},

	{dir: "internal/config", may: []string{".", "internal/models", "internal/policy/..."}},
	{dir: "internal/proxy/wire", may: []string{".", "internal/jsonwalk", "internal/proxy/wire/..."}},
	{dir: "internal/proxy/buffer"},
	{dir: "internal/proxy/upstream", may: []string{".", "internal/proxy/buffer", "internal/proxy/wire/..."}, clock: true},
	{dir: "internal/proxy/clientconn", may: []string{"internal/proxy/buffer"}, clock: true},
	{dir: "internal/proxy/gateway", may: []string{".", "internal/policy", "internal/proxy/buffer", "internal/proxy/clientconn", "internal/proxy/upstream", "internal/proxy/wire/..."}, clock: true},
	{dir: "internal/lab/whatif", may: []string{".", "internal/policy", "internal/lab/fleet", "internal/lab/report", "internal/lab/workload"}},
	{dir: "internal/lab/plan", may: []string{".", "internal/numeral", "internal/models", "internal/lab/fleet", "internal/policy/...", "internal/lab/report", "internal/lab/whatif", "internal/lab/workload"}, pure: true},
	{dir: "internal/lab/setup", may: []string{".", "examples", "internal/config", "internal/lab/fleet", "internal/lab/whatif"}},
	{dir: "internal/lab/azuresim", may: []string{".", "internal/stat", "internal/lab/fleet", "internal/proxy/wire/..."}, clock: true},
	{dir: "internal/lab/loadgen", may: []string{".", "internal/stat", "internal/lab/workload", "internal/proxy/wire/..."}, clock: true},
	{dir: "internal/observe/genai", may: []string{"."}, pure: true},
	{dir: "internal/observe/lockfile"},
	{dir: "internal/observe/batch", clock: true},
	{dir: "internal/observe/telemetry", may: []string{".", "internal/stat", "internal/observe/batch", "internal/observe/genai", "internal/observe/lockfile"}, clock: true},
	{dir: "internal/observe/otlp", may: []string{".", "internal/observe/batch", "internal/observe/genai"}, clock: true},
	{dir: "internal/observe/store", may: []string{".", "internal/observe/batch", "internal/observe/lockfile"}, clock: true},
	{dir: "internal/observe/export", may: []string{".", "internal/observe/store"}, clock: true},
	{dir: "internal/observe/export/sink", may: []string{"internal/observe/export", "internal/observe/store"}, clock: true},
	{dir: "internal/observe/kql", pure: true},
	{dir: "internal/observe/kql/answer", may: []string{"internal/chart", "internal/observe/kql"}, pure: true},
	{dir: "examples"},
	{dir: "internal/app", may: []string{
		".", "internal/config", "internal/hostlimit", "internal/policy", "internal/proxy/gateway", "internal/proxy/upstream", "internal/proxy/wire", "internal/lab/azuresim", "internal/lab/setup", "internal/lab/whatif",
		"internal/observe/export", "internal/observe/genai", "internal/observe/lockfile", "internal/observe/otlp", "internal/observe/store",
		"internal/observe/telemetry", "internal/diagnose", "internal/diagnose/imports", "internal/diagnose/replay", "internal/diagnose/rules",
	}, clock: true},
	{dir: "internal/cli", may: []string{".", "internal/..."}, clock: true},
	{dir: "cmd/spillway", may: []string{"internal/cli"}},
	{dir: "cmd/spillway-export", may: []string{"internal/observe/export", "internal/observe/export/sink"}},
	{dir: "internal/archtest"},
	{dir: "internal/hostlimit", clock: true},
	{dir: "internal/memnet"}, // a network for tests in virtual time
	{dir: "tests"},           // of the whole program: test files only
}

// everywhere names the rooms that every other may import.
var everywhere = []string{"internal/defaults"}

// behind names the modules and rooms that one room alone may import, so that
// they can be replaced in one place, and so that the gateway does not link the
// libraries of the places that records are exported to.
var behind = map[string]string{
	"github.com/go-json-experiment/json":     "internal/proxy/wire",
	"github.com/KimMachineGun/automemlimit":  "internal/hostlimit",
	"go.opentelemetry.io":                    "internal/observe/otlp",
	"github.com/Azure":                       "internal/observe/export/sink",
	"github.com/minio/minio-go/v7":           "internal/observe/export/sink",
	module + "/internal/observe/export/sink": "cmd/spillway-export",
}

// pureModules are the modules that pure rooms may import: they are pure too.
var pureModules = []string{"github.com/cespare/xxhash/v2"}

// roomOf returns the room that a directory belongs to.
func roomOf(dir string) (room, bool) {
	best, found := room{}, false
	for _, r := range rooms {
		if r.holds(dir) && (!found || len(r.dir) > len(best.dir)) {
			best, found = r, true
		}
	}
	return best, found
}

// families are directories whose packages must each be named, and do not import
// each other: only their parent, or a room above them, puts them together.
var families = []string{"internal/policy", "internal/diagnose"}

// holds reports whether dir is the room's own or lies below it. The root
// package and the families' parents have nothing below them.
func (r room) holds(dir string) bool {
	if dir == r.dir {
		return true
	}
	return r.dir != "." && !slices.Contains(families, r.dir) && strings.HasPrefix(dir, r.dir+"/")
}

// matches reports whether dir is covered by one of the patterns.
func matches(dir string, patterns []string) bool {
	for _, p := range patterns {
		base, below := strings.CutSuffix(p, "/...")
		if dir == base || below && strings.HasPrefix(dir, base+"/") {
			return true
		}
	}
	return false
}

// ownDir returns the directory that an import path of ours names.
func ownDir(importPath string) (dir string, own bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// isStd reports whether an import path is of the standard library: its first
// element has no dot.
func isStd(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// sibling reports whether a and b are different packages of one family.
func sibling(a, b string) bool {
	return a != b && path.Dir(a) == path.Dir(b) && slices.Contains(families, path.Dir(a))
}
