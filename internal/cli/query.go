package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spillway-ai/spillway/internal/app"
	"github.com/spillway-ai/spillway/internal/observe/kql"
	"github.com/spillway-ai/spillway/internal/observe/kql/answer"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

type queryCommand struct {
	Query  string `arg:"" optional:"" help:"The query in KQL: 'requests | where status == 429 | count'."`
	File   string `short:"f" type:"path" help:"Read the query from this file; - is standard input." placeholder:"FILE"`
	Store  string `default:"." type:"path" help:"Directory of the record store. Default: the working directory." placeholder:"DIR"`
	Format string `default:"text" enum:"text,json,csv,html" help:"Output format: text, json, csv or html."`
	Memory string `default:"1GB" help:"Maximum memory of the query. Default: 1GB." placeholder:"SIZE"`
}

// analystName is the program that runs queries.
const analystName = "spillway-analyst"

// Run translates the query, has it answered, and shows the answer. A query
// that is wrong is a "no".
func (c *queryCommand) Run(w *world) error {
	text, err := c.text()
	if err != nil {
		return err
	}
	q, err := kql.Translate(time.Now(), text, kql.Records())
	if wrong, ok := errors.AsType[*kql.Error](err); ok {
		fmt.Fprintln(w.stderr, wrong)
		return errNo
	}
	if err != nil {
		return err
	}
	if !memorySize.MatchString(c.Memory) {
		return fmt.Errorf("--memory: must be a size such as 512MB or 2GB, got %q", c.Memory)
	}
	lines, err := c.ask(w, q)
	if err != nil {
		return err
	}
	a, err := answer.Read(bytes.NewReader(lines), q)
	if err != nil {
		return err
	}
	a.Query = strings.TrimSpace(text)
	switch c.Format {
	case "json":
		return a.WriteJSON(w.stdout)
	case "csv":
		return a.WriteCSV(w.stdout)
	case "html":
		return a.WriteHTML(w.stdout)
	}
	return a.WriteText(w.stdout, terminalWidth(w.stdout))
}

// memorySize is what the analyst takes as one.
var memorySize = regexp.MustCompile(`(?i)^\d+(\.\d+)? ?[KMGT]i?B$`)

// text is the query as given.
func (c *queryCommand) text() (string, error) {
	var data []byte
	var err error
	switch {
	case c.Query != "" && c.File != "":
		return "", errors.New("a query argument and --file exclude each other")
	case c.Query != "":
		return c.Query, nil
	case c.File == "":
		return "", errors.New("no query given: pass it as an argument, or set --file FILE")
	case c.File == "-":
		data, err = io.ReadAll(os.Stdin)
	default:
		data, err = os.ReadFile(c.File)
	}
	if err != nil {
		return "", fmt.Errorf("read the query: %w", err)
	}
	return string(data), nil
}

// tries bounds how often a query begins anew because a file that it was to
// read was replaced meanwhile.
const tries = 3

// ask runs the query in a process of its own and returns what it printed.
func (c *queryCommand) ask(w *world, q kql.Query) ([]byte, error) {
	program, err := app.FindProgram(analystName, "make analyst")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "spillway-query-")
	if err != nil {
		return nil, fmt.Errorf("create a temporary directory for the newest records: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system clears what stays
	for try := 1; ; try++ {
		var paths []string
		if len(q.Tables) > 0 {
			if paths, err = c.files(q, filepath.Join(dir, "unsealed.parquet")); err != nil {
				return nil, err
			}
		}
		if len(paths) == 0 && len(q.Tables) > 0 {
			if err := c.nothingThen(w.stderr, q); err != nil {
				return nil, err
			}
		}
		out, err := c.run(w.ctx, program, q, paths)
		if err == nil || try == tries || !gone(paths) {
			return out, err
		}
	}
}

// nothingThen says that the store has no records of the times that the query
// asks for, and of which it has. A store without any is an error.
func (c *queryCommand) nothingThen(w io.Writer, q kql.Query) error {
	records, err := store.Open(c.Store)
	if err != nil {
		return err
	}
	from, to, err := records.Span()
	if err != nil {
		return fmt.Errorf("read the store: %w", err)
	}
	if from.IsZero() {
		return fmt.Errorf("no records in %s: set --store to the directory of the record store", c.Store)
	}
	asked := ""
	if !q.From.IsZero() {
		asked += " from " + q.From.Format(time.RFC3339)
	}
	if !q.To.IsZero() {
		asked += " to " + q.To.Add(-time.Microsecond).Format(time.RFC3339)
	}
	_, err = fmt.Fprintf(w, "no records%s: %s has records from %s to %s\n", asked, c.Store, from.Format(time.RFC3339), to.Format(time.RFC3339))
	return err
}

// files are those of the store that the query may want, and the records that
// are in none yet as one more.
func (c *queryCommand) files(q kql.Query, unsealed string) ([]string, error) {
	records, err := store.Open(c.Store)
	if err != nil {
		return nil, err
	}
	rest, err := os.Create(unsealed)
	if err != nil {
		return nil, fmt.Errorf("create a temporary directory for the newest records: %w", err)
	}
	paths, n, err := records.Files(store.Query{From: q.From, To: q.To}, rest)
	if err := errors.Join(err, rest.Close()); err != nil {
		return nil, fmt.Errorf("read the store: %w", err)
	}
	if n > 0 || len(paths) > 0 { // for the columns that older segments lack
		paths = append(paths, unsealed)
	}
	return paths, nil
}

// gone reports whether one of the files is no longer there.
func gone(paths []string) bool {
	return slices.ContainsFunc(paths, func(p string) bool {
		_, err := os.Stat(p)
		return errors.Is(err, os.ErrNotExist)
	})
}

// run starts the program once.
func (c *queryCommand) run(ctx context.Context, program string, q kql.Query, paths []string) ([]byte, error) {
	args := []string{"-memory", c.Memory}
	for _, p := range paths {
		args = append(args, "-table", "requests="+p)
	}
	if len(paths) > 0 {
		args = append(args, "-view", "attempts="+kql.AttemptsView)
	} else {
		for _, t := range kql.Records() {
			args = append(args, "-view", t.Name+"="+t.EmptyView())
		}
	}
	var out answerBuffer
	var complaint bytes.Buffer
	command := exec.CommandContext(ctx, program, args...)
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(q.SQL), &out, &complaint
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGINT) }
	command.WaitDelay = 5 * time.Second
	err := command.Run()
	switch {
	case ctx.Err() != nil:
		return nil, errors.New("the query was canceled")
	case out.full:
		return nil, fmt.Errorf("the result is larger than %d MiB: use count, summarize or take, or project fewer columns", maxAnswer>>20)
	case err != nil && complaint.Len() > 0:
		return nil, errors.New(strings.TrimPrefix(strings.TrimSpace(complaint.String()), analystName+": "))
	case err != nil:
		return nil, fmt.Errorf("running %s: %w", analystName, err)
	}
	return out.Bytes(), nil
}

// maxAnswer bounds an answer, in bytes of JSON.
const maxAnswer = 64 << 20

// answerBuffer takes no more than that.
type answerBuffer struct {
	bytes.Buffer
	full bool
}

// Write implements io.Writer.
func (b *answerBuffer) Write(p []byte) (int, error) {
	if b.full = b.full || b.Len()+len(p) > maxAnswer; b.full {
		return 0, io.ErrShortBuffer
	}
	return b.Buffer.Write(p)
}

// ReadFrom implements io.ReaderFrom, within the same bound.
func (b *answerBuffer) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(writer{b}, r)
}

// writer hides all but Write.
type writer struct{ io.Writer }

// terminalWidth is the number of characters in a line of the terminal that w
// is, or 0 when nothing bounds a line.
func terminalWidth(w io.Writer) int {
	if !isTerminal(w) {
		return 0
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil {
		return n
	}
	size := exec.Command("stty", "size")
	size.Stdin, _ = w.(*os.File)
	out, err := size.Output()
	if err != nil {
		return 80
	}
	_, columns, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if n, err := strconv.Atoi(columns); err == nil && n > 0 {
		return n
	}
	return 80
}
