// Package archtest enforces the project's structure as tests: which package may
// import which, what a pure package may use, size limits, and what must be
// documented. The tables are in rooms.go and limits.go; the rest checks the
// source tree against them without building it.
package archtest

import (
	"cmp"
	"fmt"
	"go/token"
	"slices"
)

// finding is one break of one rule.
type finding struct {
	rule string
	path string // relative to the module's root, with slashes
	line int
	text string
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.path, f.line, f.rule, f.text)
}

// check is one rule over one package.
type check struct {
	rule string
	run  func(*pkg, *findings)
}

// checks lists every rule by the name that exceptions use.
var checks = []check{
	{"room", checkRoom},
	{"tests-only", checkTestsOnly},
	{"imports", checkImports},
	{"purity", checkPurity},
	{"clock", checkClock},
	{"sleep", checkSleep},
	{"file-size", checkFileSize},
	{"func-size", checkFuncSize},
	{"parameters", checkParameters},
	{"interface-size", checkInterfaceSize},
	{"main-size", checkMainSize},
	{"init", checkInit},
	{"globals", checkGlobals},
	{"documented", checkDocumented},
	{"package-name", checkPackageName},
}

// findings collects what the checks of one package report.
type findings struct {
	fset *token.FileSet
	rule string
	all  []finding
}

// add reports a break of the running rule at pos.
func (fs *findings) add(pos token.Pos, format string, args ...any) {
	at := fs.fset.Position(pos)
	fs.all = append(fs.all, finding{fs.rule, at.Filename, at.Line, fmt.Sprintf(format, args...)})
}

// checkTree runs every rule over every package, and those of left-over words and
// dead links over text files. The order of its findings is stable.
func checkTree(t *tree) []finding {
	out := &findings{fset: t.fset, all: slices.Clone(t.broken)}
	for _, p := range t.packages {
		for _, c := range checks {
			out.rule = c.rule
			c.run(p, out)
		}
	}
	out.all = append(out.all, leftOvers(t)...)
	out.all = append(out.all, deadLinks(t)...)
	slices.SortStableFunc(out.all, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.line, b.line), cmp.Compare(a.rule, b.rule))
	})
	return out.all
}

// excuse takes the findings that an exception covers out of all, and returns
// the exceptions that covered none, which are stale.
func excuse(all []finding, list []exception) (left []finding, stale []exception) {
	used := make([]bool, len(list))
	for _, f := range all {
		i := slices.IndexFunc(list, func(e exception) bool {
			return e.rule == f.rule && e.path == f.path && (e.name == "" || containsWord(f.text, e.name))
		})
		if i < 0 {
			left = append(left, f)
			continue
		}
		used[i] = true
	}
	for i, e := range list {
		if !used[i] {
			stale = append(stale, e)
		}
	}
	return left, stale
}
