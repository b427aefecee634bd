package archtest

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// checkGlobals refuses package variables that can change. Permitted are
// compile-time guards (_), sentinel errors, embedded files, and unexported
// tables and compiled patterns that no file of the package writes to.
func checkGlobals(p *pkg, out *findings) {
	written := p.written()
	for _, f := range p.source() {
		for _, d := range f.syntax.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				p.checkVar(g, s.(*ast.ValueSpec), written, out)
			}
		}
	}
}

func (p *pkg) checkVar(g *ast.GenDecl, s *ast.ValueSpec, written map[types.Object]string, out *findings) {
	embedded := isEmbed(g.Doc) || isEmbed(s.Doc)
	for i, id := range s.Names {
		if id.Name == "_" {
			continue
		}
		if how := written[p.info.Defs[id]]; how != "" {
			out.add(id.Pos(), "package variable %s is not constant: %s", id.Name, how)
			continue
		}
		if embedded {
			continue
		}
		if i >= len(s.Values) {
			out.add(id.Pos(), "package variable %s has no value of its own, so something must change it", id.Name)
			continue
		}
		if why := p.refuseValue(id, s.Values[i]); why != "" {
			out.add(id.Pos(), "package variable %s %s", id.Name, why)
		}
	}
}

// refuseValue returns why a variable must not be declared with value, or "".
func (p *pkg) refuseValue(id *ast.Ident, value ast.Expr) string {
	if id.IsExported() && !strings.HasPrefix(id.Name, "Err") {
		return "is exported, so any package can change it"
	}
	switch v := value.(type) {
	case *ast.CompositeLit:
		return p.refuseLiteral(v)
	case *ast.CallExpr:
		if strings.HasPrefix(id.Name, "Err") && !p.callsTo(v, "errors.New", "fmt.Errorf") {
			return "is named as a sentinel error and is none"
		}
		return p.refuseCall(v)
	case *ast.BasicLit, *ast.BinaryExpr:
		return "should be a constant"
	}
	return "is neither a table, a pattern nor a sentinel error"
}

// refuseLiteral accepts tables and refuses what holds shared state.
func (p *pkg) refuseLiteral(lit *ast.CompositeLit) string {
	why := ""
	ast.Inspect(lit, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				why = "holds a pointer, so what it points to can change"
			}
		case *ast.SelectorExpr:
			if importPath, name, ok := p.imported(n); ok && holdsState(importPath) {
				why = "holds " + importPath + "." + name + ", which changes"
			}
		}
		return why == ""
	})
	return why
}

// refuseCall accepts conversions, tables that a function of this package
// builds, and the listed constructors.
func (p *pkg) refuseCall(call *ast.CallExpr) string {
	if p.callsTo(call, constructors...) {
		return ""
	}
	fun := ast.Unparen(call.Fun)
	if tv, ok := p.info.Types[fun]; ok && tv.IsType() {
		return ""
	}
	switch fun.(type) {
	case *ast.ArrayType, *ast.FuncLit:
		return ""
	case *ast.Ident, *ast.IndexExpr:
		if isTable(p.info.TypeOf(call)) {
			return ""
		}
	}
	return "is the result of a call that is not known to be constant"
}

// callsTo reports whether call is of one of the named imported functions.
func (p *pkg) callsTo(call *ast.CallExpr, names ...string) bool {
	fun := ast.Unparen(call.Fun)
	if generic, ok := fun.(*ast.IndexExpr); ok {
		fun = generic.X
	}
	sel, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	importPath, name, ok := p.imported(sel)
	return ok && slices.Contains(names, importPath+"."+name)
}

// isTable reports whether a value of type t is data by itself. An unknown
// type, of another package, counts as one.
func isTable(t types.Type) bool {
	if t == nil {
		return true
	}
	switch u := t.Underlying().(type) {
	case *types.Array, *types.Slice, *types.Map, *types.Struct:
		return true
	case *types.Basic:
		return u.Kind() == types.Invalid
	}
	return false
}

func holdsState(importPath string) bool {
	return slices.Contains([]string{"sync", "sync/atomic", "net/http", "bytes", "expvar", "log", "log/slog"}, importPath)
}

func isEmbed(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool {
		return strings.HasPrefix(c.Text, "//go:embed ")
	})
}
