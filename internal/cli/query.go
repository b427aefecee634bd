package cli

import (
	"bytes"
	"cmp"
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
	Query  string   `arg:"" optional:"" help:"The query in KQL: 'requests | where status == 429 | count'."`
	File   string   `short:"f" type:"path" help:"Read the query from this file; - is standard input." placeholder:"FILE"`
	Store  []string `sep:"none" type:"path" help:"Directory of a record store; may be repeated, to read several as one. Default: the working directory." placeholder:"DIR"`
	Import []string `sep:"none" help:"Exported Azure logs instead of a store: ApiManagementGatewayLogs and -LlmLog, AzureDiagnostics, Azure Monitor metrics; may be repeated." placeholder:"FILE"`
	Format string   `default:"text" enum:"text,json,csv,html" help:"Output format: text, json, csv or html."`
	Memory string   `default:"1GB" help:"Maximum memory of the query. Default: 1GB." placeholder:"SIZE"`
}

// analystName is the program that runs queries.
const analystName = "spillway-analyst"

// findAnalyst is the path of the program that runs queries.
func findAnalyst() (string, error) {
	return app.FindProgram(analystName, "make analyst (it needs a C compiler)")
}

// Run translates the query, has it answered, and shows the answer. A query
// that is wrong is a "no".
func (c *queryCommand) Run(w *world) error {
	text, err := c.text()
	if err != nil {
		return err
	}
	lines, q, err := c.answer(w, text)
	if wrong, ok := errors.AsType[*kql.Error](err); ok {
		fmt.Fprintln(w.stderr, wrong)
		return errNo
	}
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

// maxFound bounds how often a query is translated anew with what rows say of
// its columns.
const maxFound = 8

// answer translates the query and has it answered. A query that is wrong is a
// *kql.Error.
func (c *queryCommand) answer(w *world, text string) ([]byte, kql.Query, error) {
	if len(c.Import) > 0 && len(c.Store) > 0 {
		return nil, kql.Query{}, errors.New("--import and --store exclude each other")
	}
	if err := distinct(c.Store); err != nil {
		return nil, kql.Query{}, err
	}
	if !memorySize.MatchString(c.Memory) {
		return nil, kql.Query{}, fmt.Errorf("--memory: must be a size such as 512MB or 2GB, got %q", c.Memory)
	}
	dir, err := os.MkdirTemp("", "spillway-query-")
	if err != nil {
		return nil, kql.Query{}, fmt.Errorf("create a temporary directory for the records: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system clears what stays
	now, tables := time.Now(), slices.Concat(kql.Records(), kql.Azure())
	ask := c.ask
	if len(c.Import) > 0 {
		program, err := findAnalyst() // before the files, which may take long
		if err != nil {
			return nil, kql.Query{}, err
		}
		im, err := readImports(w.ctx, dir, c.Import)
		if err != nil {
			return nil, kql.Query{}, err
		}
		tables = im.tables
		ask = func(w *world, q kql.Query, _ string) ([]byte, error) {
			return c.run(w.ctx, program, cmp.Or(q.SQL, q.Names), im.args())
		}
	}
	var found [][]kql.Name
	for {
		q, err := kql.Translate(now, text, tables, found...)
		if err != nil {
			return nil, q, err
		}
		lines, err := ask(w, q, dir)
		if err != nil || q.Names == "" {
			return lines, q, err
		}
		names, err := answer.ReadNames(bytes.NewReader(lines))
		if found = append(found, names); err != nil || len(found) > maxFound {
			return nil, q, errors.Join(err, errors.New("the query has too many evaluate operators"))
		}
	}
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

// ask runs the query in a process of its own and returns what it printed. The
// newest records go to dir.
func (c *queryCommand) ask(w *world, q kql.Query, dir string) ([]byte, error) {
	program, err := findAnalyst()
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		var paths []string
		if len(q.Tables) > 0 {
			if paths, err = c.files(q, dir); err != nil {
				return nil, err
			}
		}
		if len(paths) == 0 && len(q.Tables) > 0 {
			if err := c.nothingThen(w.stderr, q); err != nil {
				return nil, err
			}
		}
		out, err := c.run(w.ctx, program, cmp.Or(q.SQL, q.Names), storeArgs(paths))
		if err == nil || try == tries || !gone(paths) {
			return out, err
		}
	}
}

// stores are the directories to read.
func (c *queryCommand) stores() []string {
	if len(c.Store) == 0 {
		return []string{"."}
	}
	return c.Store
}

// nothingThen says that the stores have no records of the times that the query
// asks for, and of which they have. Stores without any are an error.
func (c *queryCommand) nothingThen(w io.Writer, q kql.Query) error {
	from, to, err := spanOf(c.stores())
	if err != nil {
		return err
	}
	named := strings.Join(c.stores(), ", ")
	if from.IsZero() {
		return fmt.Errorf("no records in %s: set --store to the directory of the record store", named)
	}
	asked := ""
	if !q.From.IsZero() {
		asked += " from " + q.From.Format(time.RFC3339)
	}
	if !q.To.IsZero() {
		asked += " to " + q.To.Add(-time.Microsecond).Format(time.RFC3339)
	}
	_, err = fmt.Fprintf(w, "no records%s: %s has records from %s to %s\n", asked, named, from.Format(time.RFC3339), to.Format(time.RFC3339))
	return err
}

// files are those of the stores that the query may want, and of each the
// records that are in none yet as one more, written to temporary.
func (c *queryCommand) files(q kql.Query, temporary string) ([]string, error) {
	var all []string
	for i, dir := range c.stores() {
		paths, err := storeFiles(dir, q, filepath.Join(temporary, fmt.Sprintf("unsealed-%d.parquet", i)))
		if err != nil {
			return nil, err
		}
		all = append(all, paths...)
	}
	return all, nil
}

func storeFiles(dir string, q kql.Query, unsealed string) ([]string, error) {
	records, err := store.Open(dir)
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

// storeArgs are the arguments by which the analyst reads the files of stores.
func storeArgs(paths []string) []string {
	var args []string
	for _, p := range paths {
		args = append(args, "-table", "requests="+p)
	}
	if len(paths) > 0 {
		args = append(args, "-view", "attempts="+kql.AttemptsView)
		for _, t := range kql.Azure() {
			args = append(args, "-view", t.Name+"="+kql.AzureView(t.Name))
		}
		return args
	}
	for _, t := range slices.Concat(kql.Records(), kql.Azure()) {
		args = append(args, "-view", t.Name+"="+t.EmptyView())
	}
	return args
}

// run starts the program once.
func (c *queryCommand) run(ctx context.Context, program, sql string, tables []string) ([]byte, error) {
	args := append([]string{"-memory", c.Memory}, tables...)
	var out answerBuffer
	var complaint bytes.Buffer
	command := exec.CommandContext(ctx, program, args...)
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(sql), &out, &complaint
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
