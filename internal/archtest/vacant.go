package archtest

import "strconv"

// vacant returns the entries of the tables that name nothing in the tree: rooms
// without Go files, and modules that nothing imports.
func vacant(t *tree) []string {
	inhabited, imported := map[string]bool{}, map[string]bool{}
	for _, p := range t.packages {
		if r, ok := roomOf(p.dir); ok {
			inhabited[r.dir] = true
		}
		for _, f := range p.files {
			for _, spec := range f.syntax.Imports {
				if importPath, err := strconv.Unquote(spec.Path.Value); err == nil {
					imported[importPath] = true
				}
			}
		}
	}
	var names []string
	for _, r := range rooms {
		if !inhabited[r.dir] {
			names = append(names, "room "+r.dir)
		}
	}
	unused := func(module string) {
		for importPath := range imported {
			if within(importPath, module) {
				return
			}
		}
		names = append(names, "module "+module)
	}
	for m := range behind {
		unused(m)
	}
	for _, m := range pureModules {
		unused(m)
	}
	return names
}
