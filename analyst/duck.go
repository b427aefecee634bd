package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2" // and the driver
)

type options struct {
	tables  tables
	dirs    dirs
	views   views
	memory  string
	threads int
}

// open makes a database in memory that can read the tables' files and nothing
// else, and whose settings cannot be changed any more.
func open(ctx context.Context, o options) (*sql.DB, error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, fmt.Errorf("opening DuckDB: %w", err)
	}
	db.SetMaxOpenConns(1) // the database is the connection's
	for _, statement := range o.statements() {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			db.Close()
			return nil, fmt.Errorf("open the records: %s (move this file away to read the others)", plainly(err))
		}
	}
	return db, nil
}

// plainly is what DuckDB says of a file, without the statement.
func plainly(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

func (o options) statements() []string {
	all := []string{
		"SET memory_limit = " + quote(o.memory),
		"SET TimeZone = 'UTC'",
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
		"SET temp_directory = ''",
	}
	if o.threads > 0 {
		all = append(all, fmt.Sprintf("SET threads = %d", o.threads))
	}
	var dirs []string
	for _, t := range o.tables {
		for i, glob := range t.globs {
			if full, err := filepath.Abs(glob); err == nil {
				t.globs[i] = full
			}
			dirs = append(dirs, quote(fixed(t.globs[i])))
		}
	}
	for _, dir := range o.dirs {
		if full, err := filepath.Abs(dir); err == nil {
			dir = full
		}
		dirs = append(dirs, quote(dir+"/"))
	}
	all = append(all, "SET allowed_directories = ["+strings.Join(dirs, ", ")+"]", "SET enable_external_access = false")
	for _, t := range o.tables {
		globs := make([]string, len(t.globs))
		for i, glob := range t.globs {
			globs[i] = quote(glob)
		}
		all = append(all, "CREATE VIEW "+identifier(t.name)+" AS SELECT * FROM read_parquet(["+strings.Join(globs, ", ")+"], union_by_name = true)")
	}
	for _, v := range o.views {
		all = append(all, "CREATE VIEW "+identifier(v.name)+" AS "+v.sql)
	}
	return append(all, "SET lock_configuration = true")
}

// fixed is the directory of a glob before its first pattern.
func fixed(glob string) string {
	if i := strings.IndexAny(glob, "*?["); i >= 0 {
		glob = glob[:i]
	}
	return filepath.Dir(glob) + "/"
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func identifier(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// column heads a column of the answer.
type column struct {
	Name string `json:"name"`
	Type string `json:"type"` // DuckDB's
}

// answerSQL writes the columns and rows of a query that reads.
func answerSQL(ctx context.Context, db *sql.DB, query string, w *bufio.Writer) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return because(ctx, err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return fmt.Errorf("read the columns: %w", err)
	}
	head := struct {
		Columns []column `json:"columns"`
	}{}
	values, pointers := make([]any, len(types)), make([]any, len(types))
	for i, t := range types {
		head.Columns = append(head.Columns, column{t.Name(), t.DatabaseTypeName()})
		pointers[i] = &values[i]
	}
	encoder := json.NewEncoder(w) // ends each value with a new line
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(head); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	for rows.Next() {
		if err := rows.Scan(pointers...); err != nil {
			return fmt.Errorf("read a row: %w", err)
		}
		for i, v := range values {
			values[i] = plain(v)
		}
		if err := encoder.Encode(values); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	}
	return because(ctx, rows.Err())
}

// because puts a query's failure in words; nil stays nil.
func because(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return errors.New("the query was canceled")
	}
	reason, _, _ := strings.Cut(err.Error(), "\n")
	problem, ok := errors.AsType[*duckdb.Error](err)
	switch {
	case !ok:
		return fmt.Errorf("run the query: %w", err)
	case problem.Type == duckdb.ErrorTypeOutOfMemory:
		return fmt.Errorf("the query needs more memory than allowed: use a shorter time range, fewer columns or larger groups, or increase --memory (%s)", reason)
	case slices.Contains([]duckdb.ErrorType{duckdb.ErrorTypeOutOfRange, duckdb.ErrorTypeConversion, duckdb.ErrorTypeDecimal, duckdb.ErrorTypeDivideByZero}, problem.Type):
		return fmt.Errorf("a value is out of range: integers have 64 bits (use todouble for more), times end in the year 294247 (%s)", reason)
	}
	return fmt.Errorf("run the query: %s", reason)
}

// plain is a value as JSON holds it: datetimes in RFC 3339, and as strings
// the numbers that JSON lacks.
func plain(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
	case time.Time:
		return v.UTC().Format("2006-01-02T15:04:05.999999Z07:00")
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = plain(v[name])
		}
	}
	return v
}
