package archtest

import (
	"go/ast"
	"slices"
	"strconv"
	"strings"
)

// checkPurity keeps goroutines, I/O, logs and global randomness out of pure
// rooms. Their tests are free.
func checkPurity(p *pkg, out *findings) {
	if r, ok := roomOf(p.dir); !ok || !r.pure {
		return
	}
	for _, f := range p.source() {
		for _, spec := range f.syntax.Imports {
			importPath, err := strconv.Unquote(spec.Path.Value)
			if err == nil && isForbidden(importPath) {
				out.add(spec.Pos(), "a pure room imports %s", importPath)
			}
			if spec.Name != nil && spec.Name.Name == "." {
				out.add(spec.Pos(), "a pure room has a dot import")
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				out.add(n.Pos(), "a pure room starts a goroutine")
			case *ast.SelectorExpr:
				if importPath, name, ok := p.imported(n); ok && impure(importPath, name) {
					out.add(n.Pos(), "a pure room uses %s.%s", importPath, name)
				}
			}
			return true
		})
	}
}

// checkClock keeps the wall clock in the rooms that drive.
func checkClock(p *pkg, out *findings) {
	if r, ok := roomOf(p.dir); !ok || r.clock {
		return
	}
	for _, f := range p.source() {
		p.eachClock(f, func(sel *ast.SelectorExpr) {
			out.add(sel.Pos(), "time.%s in a room without a clock: take now as a parameter", sel.Sel.Name)
		})
	}
}

// checkSleep keeps real waiting out of tests: a sleep belongs in a synctest
// bubble, where it takes no time.
func checkSleep(p *pkg, out *findings) {
	if slices.ContainsFunc(p.files, func(f *file) bool { return imports(f, "testing/synctest") }) {
		return
	}
	for _, f := range p.files {
		if !f.test {
			continue
		}
		p.eachClock(f, func(sel *ast.SelectorExpr) {
			if sel.Sel.Name == "Sleep" {
				out.add(sel.Pos(), "time.Sleep in the tests of a package without testing/synctest")
			}
		})
	}
}

// eachClock calls do for every use of the wall clock in f.
func (p *pkg) eachClock(f *file, do func(*ast.SelectorExpr)) {
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		importPath, name, ok := p.imported(sel)
		if ok && importPath == "time" && slices.Contains(clockNames, name) {
			do(sel)
		}
		return true
	})
}

func imports(f *file, importPath string) bool {
	return slices.ContainsFunc(f.syntax.Imports, func(s *ast.ImportSpec) bool {
		return s.Path.Value == strconv.Quote(importPath)
	})
}

func isForbidden(importPath string) bool {
	return slices.ContainsFunc(pureForbidden, func(p string) bool {
		return importPath == p || strings.HasSuffix(p, "/") && strings.HasPrefix(importPath, p)
	})
}

func impure(importPath, name string) bool {
	if importPath == "math/rand" || importPath == "math/rand/v2" {
		return !slices.Contains(seededRandom, name)
	}
	return slices.Contains(pureForbiddenNames[importPath], name)
}
