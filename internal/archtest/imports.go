package archtest

import (
	"slices"
	"strconv"
	"strings"
)

// checkRoom demands that every package belongs to a room.
func checkRoom(p *pkg, out *findings) {
	if _, ok := roomOf(p.dir); !ok {
		out.add(p.files[0].syntax.Package, "directory %s belongs to no room", p.dir)
	}
}

// checkTestsOnly keeps what others could import out of the tests of the whole
// program.
func checkTestsOnly(p *pkg, out *findings) {
	if files := p.source(); within(p.dir, "tests") && len(files) > 0 {
		out.add(files[0].syntax.Package, "code that is no test among the tests of the whole program")
	}
}

// checkImports holds imports against the table. Tests may import what they
// need to drive their subject, except a package of the same family.
func checkImports(p *pkg, out *findings) {
	r, ok := roomOf(p.dir)
	if !ok {
		return
	}
	for _, f := range p.files {
		for _, spec := range f.syntax.Imports {
			importPath, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // the parser has refused it already
			}
			if why := refuse(r, p.dir, importPath, f.test); why != "" {
				out.add(spec.Pos(), "%s imports %s: %s", p.dir, importPath, why)
			}
		}
	}
}

// refuse returns why a package in dir must not import importPath, or "".
func refuse(r room, dir, importPath string, test bool) string {
	own, isOwn := ownDir(importPath)
	switch {
	case isOwn && sibling(dir, own):
		return "packages of a family do not import each other"
	case test:
		return ""
	case onlyMay(importPath) != "" && !within(dir, onlyMay(importPath)):
		return "only " + onlyMay(importPath) + " may"
	case isOwn:
		if r.holds(own) || matches(own, r.may) || slices.Contains(everywhere, own) {
			return ""
		}
		return "the room's table does not allow it"
	case isStd(importPath):
		if r.std != nil && !slices.Contains(r.std, importPath) {
			return "the room is limited to " + strings.Join(r.std, ", ")
		}
		return ""
	case r.pure && !slices.ContainsFunc(pureModules, func(m string) bool { return within(importPath, m) }):
		return "not among the modules of pure rooms"
	}
	return ""
}

// onlyMay returns the room that alone may import importPath; "" is no such.
func onlyMay(importPath string) string {
	for m, only := range behind {
		if within(importPath, m) {
			return only
		}
	}
	return ""
}

// within reports whether name is parent or lies below it.
func within(name, parent string) bool {
	return name == parent || strings.HasPrefix(name, parent+"/")
}
