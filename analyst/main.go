// Spillway-analyst runs SQL over Parquet files with DuckDB, for spillway
// query. It is a program of its own so that the gateway needs no C and shares
// no memory with an analysis.
//
// It reads a query from its standard input and writes lines of JSON: first
// {"columns": [{"name", "type"}]}, then an array for each row. What the query
// can read is the directories of the given files, and those given; it can write nothing, load nothing, and reach
// no network.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// tables are the -table flags: NAME=GLOB; a name that is given again has more
// globs.
type tables []table

// views are the -view flags: NAME=SQL.
type views []view

type view struct{ name, sql string }

// String implements flag.Value.
func (v *views) String() string { return "" }

// Set implements flag.Value.
func (v *views) Set(s string) error {
	name, sql, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return fmt.Errorf("want NAME=SQL")
	}
	*v = append(*v, view{name, sql})
	return nil
}

// dirs are the -dir flags.
type dirs []string

// String implements flag.Value.
func (d *dirs) String() string { return "" }

// Set implements flag.Value.
func (d *dirs) Set(s string) error {
	*d = append(*d, s)
	return nil
}

type table struct {
	name  string
	globs []string
}

// String implements flag.Value.
func (t *tables) String() string { return "" }

// Set implements flag.Value.
func (t *tables) Set(s string) error {
	name, glob, ok := strings.Cut(s, "=")
	if !ok || name == "" || glob == "" {
		return fmt.Errorf("want NAME=GLOB")
	}
	for i := range *t {
		if (*t)[i].name == name {
			(*t)[i].globs = append((*t)[i].globs, glob)
			return nil
		}
	}
	*t = append(*t, table{name, []string{glob}})
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "spillway-analyst:", err)
		os.Exit(2)
	}
}

// run answers one query.
func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	var o options
	flags := flag.NewFlagSet("spillway-analyst", flag.ContinueOnError)
	flags.Var(&o.tables, "table", "NAME=GLOB of the Parquet files of a table; may be repeated")
	flags.Var(&o.views, "view", "NAME=SQL of a view over the tables; may be repeated")
	flags.Var(&o.dirs, "dir", "directory that views may read; may be repeated")
	flags.StringVar(&o.memory, "memory", "1GB", "maximum memory of a query")
	flags.IntVar(&o.threads, "threads", 0, "threads; 0 is one for each core")
	if err := flags.Parse(args); err != nil {
		return err
	}
	query, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read the query: %w", err)
	}
	db, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer db.Close()
	w := bufio.NewWriterSize(out, 1<<16)
	if err := answerSQL(ctx, db, string(query), w); err != nil {
		return err
	}
	return w.Flush()
}
