package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spillway-ai/spillway/internal/diagnose/imports"
	"github.com/spillway-ai/spillway/internal/observe/kql"
)

// imported are the tables of exports, in a temporary directory that the
// analyst reads: a JSON object of texts on each line.
type imported struct {
	dir    string
	tables []kql.Table
	files  map[string]*importedFile
}

type importedFile struct {
	file    *os.File
	out     *bufio.Writer
	columns []string
	names   map[string]string // as the table has them, by what the export writes
}

// readImports writes the rows of exports to dir.
func readImports(ctx context.Context, dir string, paths []string) (*imported, error) {
	im := &imported{dir: dir, files: map[string]*importedFile{}}
	defer im.close()
	var wrong []error
	for _, path := range paths {
		if _, err := imports.Rows(ctx, path, im.write); err != nil {
			wrong = append(wrong, err)
		}
	}
	for _, f := range im.files {
		wrong = append(wrong, f.out.Flush())
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	for _, t := range kql.Azure() {
		if f := im.files[t.Name]; f != nil {
			t = kql.Imported(t.Name, f.columns)
		}
		im.tables = append(im.tables, t)
	}
	return im, nil
}

func (im *imported) path(table string) string { return filepath.Join(im.dir, table+".jsonl") }

// write adds a row to its table.
func (im *imported) write(table string, cells []imports.Cell) error {
	f := im.files[table]
	if f == nil {
		file, err := os.Create(im.path(table))
		if err != nil {
			return fmt.Errorf("create a temporary file for the import: %w", err)
		}
		f = &importedFile{file: file, out: bufio.NewWriter(file), names: map[string]string{}}
		im.files[table] = f
	}
	row := make(map[string]string, len(cells))
	for _, cell := range cells {
		name, ok := f.names[cell.Name]
		if !ok {
			name = kql.ImportedName(table, cell.Name)
			f.names[cell.Name] = name
			if !slices.Contains(f.columns, name) {
				f.columns = append(f.columns, name)
			}
		}
		if _, there := row[name]; !there {
			row[name] = cell.Value
		}
	}
	line, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("write a row of the import: %w", err)
	}
	_, err = f.out.Write(append(line, '\n'))
	return err
}

func (im *imported) close() {
	for _, f := range im.files {
		_ = f.file.Close() // an error shows when it is flushed
	}
}

// args are the arguments by which the analyst reads the tables.
func (im *imported) args() []string {
	args := []string{"-dir", im.dir}
	for _, t := range im.tables {
		view := t.EmptyView()
		if im.files[t.Name] != nil {
			view = t.JSONView(im.path(t.Name))
		}
		args = append(args, "-view", t.Name+"="+view)
	}
	return args
}
