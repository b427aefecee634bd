package archtest

import (
	"go/ast"
	"go/types"
	"path"
)

// checkFileSize bounds files, tests too.
func checkFileSize(p *pkg, out *findings) {
	for _, f := range p.files {
		if !f.generated && f.lines > maxFileLines {
			out.add(f.syntax.Package, "%d lines, at most %d", f.lines, maxFileLines)
		}
	}
}

// checkMainSize keeps programs to a call.
func checkMainSize(p *pkg, out *findings) {
	if path.Dir(p.dir) != "cmd" {
		return
	}
	for _, f := range p.source() {
		if f.lines > maxMainLines {
			out.add(f.syntax.Package, "%d lines, at most %d in a main", f.lines, maxMainLines)
		}
	}
}

// checkFuncSize bounds functions, from the word func to the closing brace.
func checkFuncSize(p *pkg, out *findings) {
	for _, f := range p.source() {
		for _, d := range f.syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := out.fset.Position(fn.End()).Line - out.fset.Position(fn.Type.Func).Line + 1
			if lines > maxFuncLines {
				out.add(fn.Pos(), "%s has %d lines, at most %d", fn.Name.Name, lines, maxFuncLines)
			}
		}
	}
}

// checkParameters bounds the parameters of functions and function literals.
func checkParameters(p *pkg, out *findings) {
	for _, f := range p.files {
		if f.generated {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			name, typ := "a function literal", (*ast.FuncType)(nil)
			switch n := n.(type) {
			case *ast.FuncDecl:
				name, typ = n.Name.Name, n.Type
			case *ast.FuncLit:
				typ = n.Type
			default:
				return true
			}
			if count := typ.Params.NumFields(); count > maxParameters {
				out.add(n.Pos(), "%s takes %d parameters, at most %d", name, count, maxParameters)
			}
			return true
		})
	}
}

// checkInterfaceSize bounds interfaces, embedded ones of the same package
// counted with their methods.
func checkInterfaceSize(p *pkg, out *findings) {
	for _, f := range p.source() {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			it, ok := spec.Type.(*ast.InterfaceType)
			if !ok {
				return true
			}
			if count := p.methods(it); count > maxInterfaceMethods {
				out.add(spec.Pos(), "%s has %d methods, at most %d", spec.Name.Name, count, maxInterfaceMethods)
			}
			return true
		})
	}
}

// methods counts an interface's methods; an embedded interface of another
// package counts as one.
func (p *pkg) methods(it *ast.InterfaceType) int {
	count := 0
	for _, m := range it.Methods.List {
		if len(m.Names) > 0 {
			count += len(m.Names)
			continue
		}
		if t := p.info.TypeOf(m.Type); t != nil {
			if inner, ok := t.Underlying().(*types.Interface); ok {
				count += inner.NumMethods()
				continue
			}
		}
		count++
	}
	return count
}
