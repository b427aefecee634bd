package archtest

import (
	"go/ast"
	"go/token"
	"go/types"
)

// written returns the package variables that some file of the package, tests
// included, writes to or takes the address of, and how.
func (p *pkg) written() map[types.Object]string {
	w := writes{p, map[types.Object]string{}}
	for _, f := range p.files {
		ast.Inspect(f.syntax, w.visit)
	}
	return w.how
}

// writes collects what is written.
type writes struct {
	*pkg
	how map[types.Object]string
}

func (w writes) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.AssignStmt:
		for _, lhs := range n.Lhs {
			w.mark(lhs, "it is assigned to")
		}
	case *ast.IncDecStmt:
		w.mark(n.X, "it is counted up or down")
	case *ast.RangeStmt:
		w.mark(n.Key, "a loop assigns to it")
		w.mark(n.Value, "a loop assigns to it")
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			w.mark(n.X, "its address is taken")
		}
	case *ast.CallExpr:
		w.call(n)
	}
	return true
}

// call marks what a call can change: the first argument of the builtins that
// write, and the receiver of a method with a pointer receiver.
func (w writes) call(c *ast.CallExpr) {
	switch fun := ast.Unparen(c.Fun).(type) {
	case *ast.Ident:
		if b, ok := w.info.Uses[fun].(*types.Builtin); ok && len(c.Args) > 0 {
			switch b.Name() {
			case "clear", "copy", "delete":
				w.mark(c.Args[0], b.Name()+" changes it")
			}
		}
	case *ast.SelectorExpr:
		s := w.info.Selections[fun]
		if s == nil || s.Kind() != types.MethodVal {
			return
		}
		method, ok := s.Obj().(*types.Func)
		if !ok {
			return
		}
		recv := method.Signature().Recv()
		if _, pointer := recv.Type().(*types.Pointer); pointer {
			w.mark(fun.X, "method "+method.Name()+" can change it")
		}
	}
}

// mark follows an operand to the package variable that it is part of.
func (w writes) mark(e ast.Expr, how string) {
	for e != nil {
		switch x := ast.Unparen(e).(type) {
		case *ast.Ident:
			v, ok := w.info.Uses[x].(*types.Var)
			if ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope() && w.how[v] == "" {
				w.how[v] = how
			}
			return
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		default:
			return
		}
	}
}
