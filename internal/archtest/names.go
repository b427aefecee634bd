package archtest

import (
	"go/ast"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// checkInit refuses init functions: what happens at start is in app.
func checkInit(p *pkg, out *findings) {
	for _, f := range p.files {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				out.add(fn.Pos(), "init runs where nobody reads it")
			}
		}
	}
}

// checkPackageName refuses names that say nothing.
func checkPackageName(p *pkg, out *findings) {
	for _, name := range []string{path.Base(p.dir), strings.TrimSuffix(p.name, "_test")} {
		if slices.Contains(vagueNames, name) {
			out.add(p.files[0].syntax.Package, "package name %s does not say what it provides", name)
			return
		}
	}
}

// checkDocumented demands a comment on every exported name and every package.
func checkDocumented(p *pkg, out *findings) {
	files := p.source()
	if len(files) == 0 {
		return
	}
	if !slices.ContainsFunc(files, func(f *file) bool { return f.syntax.Doc != nil }) {
		out.add(files[0].syntax.Package, "package %s has no comment", p.name)
	}
	for _, f := range files {
		for _, d := range f.syntax.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && receiverExported(d) && d.Doc == nil {
					out.add(d.Pos(), "%s is exported and has no comment", d.Name.Name)
				}
			case *ast.GenDecl:
				documentedSpecs(d, out)
			}
		}
	}
}

// documentedSpecs checks types one by one; constants and variables may share
// their group's comment.
func documentedSpecs(d *ast.GenDecl, out *findings) {
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && (d.Doc == nil || d.Lparen != token.NoPos) {
				out.add(s.Pos(), "%s is exported and has no comment", s.Name.Name)
			}
		case *ast.ValueSpec:
			if s.Doc != nil || s.Comment != nil || d.Doc != nil {
				continue
			}
			for _, n := range s.Names {
				if n.IsExported() {
					out.add(n.Pos(), "%s is exported and has no comment", n.Name)
				}
			}
		}
	}
}

// receiverExported reports whether fn is a function or a method of an
// exported type.
func receiverExported(fn *ast.FuncDecl) bool {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return true
	}
	t := fn.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

// leftOvers finds the words of unfinished work in every text file.
func leftOvers(t *tree) []finding {
	word := regexp.MustCompile(`\b(` + strings.Join(leftOverWords, "|") + `)\b`)
	var out []finding
	for _, name := range slices.Sorted(maps.Keys(t.texts)) {
		for i, line := range strings.Split(string(t.texts[name]), "\n") {
			if w := word.FindString(line); w != "" {
				out = append(out, finding{"left-over", name, i + 1, "finish it or write it down elsewhere: " + w})
			}
		}
	}
	return out
}

// containsWord reports whether text holds name as a word.
func containsWord(text, name string) bool {
	return slices.Contains(strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' || r == ':' }), name)
}
