package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// tree is the module's source, parsed.
type tree struct {
	fsys     fs.FS
	fset     *token.FileSet
	packages []*pkg
	texts    map[string][]byte // text files by path, Go files among them
	broken   []finding         // files that do not parse
}

// pkg is the files of one directory that share a package name; an external
// test package is a pkg of its own.
type pkg struct {
	dir   string
	name  string
	files []*file
	info  *types.Info
}

// file is one Go file.
type file struct {
	path      string
	test      bool
	generated bool
	lines     int
	syntax    *ast.File
}

// load parses every Go file of the module in fsys. It skips what the go tool
// skips (testdata, hidden and underscored directories), nested modules, and
// directories of dependencies.
func load(fsys fs.FS) (*tree, error) {
	t := &tree{fsys: fsys, fset: token.NewFileSet(), texts: map[string][]byte{}}
	byKey := map[string]*pkg{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && skipDir(fsys, name) {
				return fs.SkipDir
			}
			return nil
		}
		if !isText(name) {
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		t.texts[name] = src
		if path.Ext(name) == ".go" {
			t.addGo(byKey, name, src)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, p := range byKey {
		p.resolve(t.fset)
		t.packages = append(t.packages, p)
	}
	return t, nil
}

// addGo parses one file into its package.
func (t *tree) addGo(byKey map[string]*pkg, name string, src []byte) {
	syntax, err := parser.ParseFile(t.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.broken = append(t.broken, finding{rule: "syntax", path: name, text: err.Error()})
		return
	}
	key := path.Dir(name) + " " + syntax.Name.Name
	p := byKey[key]
	if p == nil {
		p = &pkg{dir: path.Dir(name), name: syntax.Name.Name}
		byKey[key] = p
	}
	p.files = append(p.files, &file{
		path:      name,
		test:      strings.HasSuffix(name, "_test.go"),
		generated: ast.IsGenerated(syntax),
		lines:     t.fset.File(syntax.Pos()).LineCount(),
		syntax:    syntax,
	})
}

// source returns the package's files that are neither tests nor generated.
func (p *pkg) source() []*file {
	return slices.DeleteFunc(slices.Clone(p.files), func(f *file) bool { return f.test || f.generated })
}

// resolve binds identifiers to what they name. Imported packages stay empty,
// so that types of other packages are unknown; names of this package, package
// names and shadowing come out right, which is what the checks need.
func (p *pkg) resolve(fset *token.FileSet) {
	p.info = &types.Info{
		Defs:       map[*ast.Ident]types.Object{},
		Uses:       map[*ast.Ident]types.Object{},
		Types:      map[ast.Expr]types.TypeAndValue{},
		Selections: map[*ast.SelectorExpr]*types.Selection{},
	}
	conf := types.Config{Importer: emptyImporter{}, Error: func(error) {}}
	files := make([]*ast.File, len(p.files))
	for i, f := range p.files {
		files[i] = f.syntax
	}
	// The error only repeats that imported packages are empty.
	_, _ = conf.Check(p.dir, fset, files, p.info)
}

// emptyImporter answers every import with a package that declares nothing.
type emptyImporter struct{}

// Import implements types.Importer.
func (emptyImporter) Import(importPath string) (*types.Package, error) {
	name := path.Base(importPath)
	if len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == "" {
		name = path.Base(path.Dir(importPath))
	}
	p := types.NewPackage(importPath, name)
	p.MarkComplete()
	return p, nil
}

// imported returns the path and name of what sel selects from an imported
// package, or false when sel selects anything else.
func (p *pkg) imported(sel *ast.SelectorExpr) (importPath, name string, ok bool) {
	id, ok := sel.X.(*ast.Ident)
	if !ok {
		return "", "", false
	}
	pn, ok := p.info.Uses[id].(*types.PkgName)
	if !ok {
		return "", "", false
	}
	return pn.Imported().Path(), sel.Sel.Name, true
}

func skipDir(fsys fs.FS, name string) bool {
	base := path.Base(name)
	if strings.HasPrefix(base, ".") && base != ".ci" || strings.HasPrefix(base, "_") {
		return true
	}
	if slices.Contains([]string{"bin", "node_modules", "testdata", "vendor", "__pycache__"}, base) {
		return true
	}
	_, err := fs.Stat(fsys, path.Join(name, "go.mod"))
	return err == nil
}

func isText(name string) bool {
	return slices.Contains([]string{".go", ".md", ".yml", ".yaml", ".py", ".js", ".mjs", ".ts", ".tsx", ".sh", ".css", ".html"}, path.Ext(name)) ||
		path.Base(name) == "Makefile" || name == ".ci/run"
}
