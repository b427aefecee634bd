package imports

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

// Options say how files are read. The zero value is usable.
type Options struct {
	// Dir holds the temporary files; "" is the system's directory for them.
	// They take about 60 bytes for each row and for each request.
	Dir string
	// Known are deployments that the operator has names for. A log's endpoint
	// with the same resource and deployment gets that name.
	Known []Known
	// OnProgress gets the share that is done, 0–1, if not nil.
	OnProgress func(float64)
}

// Known is a deployment that the operator has a name for.
type Known struct {
	Name        string
	Endpoint    string // URL
	Deployment  string // what it is called there
	Model       string
	Provisioned bool
}

// Import is the content of a set of exports. It is not safe for concurrent use.
type Import struct {
	dir      string
	files    []*file
	twice    []string // files that were given more than once
	names    *names
	fleet    *fleet
	joined   joined
	cuts     []uint64 // when the divisions of requests begin, but for the first
	requests *spill
	samples  []sample
	resolved map[series]string // the deployment's name; "" where that is not clear
}

// Read reads exports, each of which may be of any table, and joins the rows of
// each request. It reads all of them to their ends, or returns an error that
// says what is wrong with each file.
func Read(ctx context.Context, paths []string, o Options) (*Import, error) {
	n := newNames()
	im := &Import{dir: o.Dir, names: n, fleet: newFleet(n), resolved: map[series]string{}}
	if o.OnProgress == nil {
		o.OnProgress = func(float64) {}
	}
	if err := im.open(paths); err != nil {
		return nil, err
	}
	rows, err := newSpill(o.Dir, keyDivisions)
	if err != nil {
		return nil, err
	}
	err = im.read(ctx, rows, o.OnProgress)
	if err == nil {
		err = im.join(ctx, rows, func(share float64) { o.OnProgress(0.8 + 0.2*share) })
	}
	if err = errors.Join(err, rows.close()); err != nil {
		return nil, errors.Join(err, im.Close())
	}
	im.fleet.assignLabels(o.Known)
	im.resolve()
	return im, nil
}

// Close removes the temporary files.
func (im *Import) Close() error {
	if im.requests == nil {
		return nil
	}
	return im.requests.close()
}

// open opens all files and finds out their tables before any is read.
func (im *Import) open(paths []string) error {
	var all []error
	for _, path := range paths {
		f, err := openFile(path)
		if err != nil {
			all = append(all, err)
			continue
		}
		if im.alreadyOpen(f) {
			im.twice = append(im.twice, path)
			f.src.close()
			continue
		}
		im.files = append(im.files, f)
	}
	logs := 0
	for _, f := range im.files {
		if f.table.name != metricTable {
			logs++
		}
	}
	if len(all) == 0 && logs == 0 {
		all = append(all, errors.New("metrics contain no requests: import a log too (ApiManagementGatewayLogs or AzureDiagnostics; docs/IMPORT.md shows how to export them)"))
	}
	if len(all) > 0 {
		for _, f := range im.files {
			f.src.close()
		}
	}
	return errors.Join(all...)
}

// alreadyOpen reports whether the file, by whatever name, was given before.
func (im *Import) alreadyOpen(f *file) bool {
	for _, o := range im.files {
		if os.SameFile(o.info, f.info) {
			return true
		}
	}
	return false
}

// read reads all rows.
func (im *Import) read(ctx context.Context, rows *spill, progress func(float64)) error {
	size, done := int64(1), int64(0)
	for _, f := range im.files {
		size += f.src.size
	}
	var times splitter
	var all []error
	for _, f := range im.files {
		err := im.readFile(ctx, f, func(p *piece) error {
			im.joined.pieces[p.kind]++
			times.see(p)
			return rows.add(p.key.division(keyDivisions), p)
		}, func() { progress(0.8 * float64(done+f.src.raw.n) / float64(size)) })
		f.src.close()
		done += f.src.size
		if err == nil {
			err = f.refused()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		all = append(all, err)
	}
	im.cuts = times.cut()
	return errors.Join(all...)
}

// readFile reads one file's rows, and reports its progress every few thousand.
func (im *Import) readFile(ctx context.Context, f *file, keep func(*piece) error, progress func()) error {
	t := &extractor{f: f, names: im.names, backend: f.has(colBackendCode)}
	err := f.read(f.src.Reader, func(r *row) error {
		if f.rows%4096 == 0 {
			progress()
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		if f.table.name == metricTable {
			used, err := f.metric(r, im.names, func(s sample) { im.samples = append(im.samples, s) })
			if used && err == nil {
				f.used++
				f.span(im.samples[len(im.samples)-1:])
			}
			return err
		}
		used, err := t.piece(r)
		if !used || err != nil {
			return err
		}
		f.used++
		f.kinds |= 1 << t.p.kind
		f.extend(t.p.get(factTime))
		return keep(&t.p)
	})
	if err != nil && ctx.Err() == nil {
		return f.broken(err)
	}
	return err
}

func (f *file) span(all []sample) {
	for _, s := range all {
		f.extend(s.at)
	}
}

// extend widens the time that the file covers.
func (f *file) extend(at int64) {
	if f.from == 0 || at < f.from {
		f.from = at
	}
	f.to = max(f.to, at)
}

// resolve finds the deployments of the metrics. It drops samples of a deprecated
// metric where the newer metric was exported too.
func (im *Import) resolve() {
	newer := false
	for _, s := range im.samples {
		_, old := utilization(s.series.metric)
		newer = newer || !old
	}
	kept := im.samples[:0]
	for _, s := range im.samples {
		if _, old := utilization(s.series.metric); old && newer {
			continue
		}
		kept = append(kept, s)
		if _, done := im.resolved[s.series]; done {
			continue
		}
		name := im.fleet.find(s.series)
		im.resolved[s.series] = name
		im.fleet.provision(name)
	}
	im.samples = kept
}

// Requests is how many requests were read.
func (im *Import) Requests() int { return im.joined.requests }

// Blind reports whether the exports say of no request how it ended. Then a
// diagnosis without findings means nothing.
func (im *Import) Blind() bool { return im.joined.first >= kindUsage }

// Span is the time of all logs.
func (im *Import) Span() (from, to time.Time) {
	var all file
	for _, f := range im.files {
		if f.table.name != metricTable && f.to > 0 {
			all.extend(f.from)
			all.extend(f.to)
		}
	}
	return time.UnixMicro(all.from).UTC(), time.UnixMicro(all.to).UTC()
}

// Nothing returns the error of exports without a request.
func (im *Import) Nothing() error {
	var text strings.Builder
	text.WriteString("no LLM request in these files:")
	for _, f := range im.files {
		text.WriteString(fmt.Sprintf("\n  %s: %d rows of %s, %d usable", f.path, f.rows, f.table.name, f.used))
	}
	if im.joined.other > 0 {
		text.WriteString(fmt.Sprintf("\nrequests without /completions, /responses or /embeddings in the URL: %d", im.joined.other))
	}
	if im.joined.first == kindGateway && im.joined.unmatched[kindService] > 0 {
		text.WriteString("\nThe gateway log and AzureDiagnostics have no correlation id in common: import AzureDiagnostics alone")
	}
	return errors.New(text.String())
}

// Sources describes the files that were read.
func (im *Import) Sources() []diagnose.Source {
	var all []diagnose.Source
	for _, f := range im.files {
		s := diagnose.Source{Name: f.path, Table: f.title(), Rows: f.rows, Other: f.rows - f.used - f.bad, Bad: f.bad, Samples: f.samples}
		if f.to > 0 {
			s.From, s.To = time.UnixMicro(f.from).UTC(), time.UnixMicro(f.to).UTC()
		}
		s.Notes = f.notes()
		for _, path := range im.twice {
			if info, err := os.Stat(path); err == nil && os.SameFile(info, f.info) {
				s.Notes = append(s.Notes, "listed more than once, read once")
				break
			}
		}
		all = append(all, s)
	}
	return all
}

// notes are the assumptions under which the file was read.
func (f *file) notes() []string {
	var all []string
	if f.local {
		all = append(all, "times are local without a zone; read as UTC")
	}
	switch f.clock.order {
	case orderEither:
		all = append(all, "dates such as 11/05/2026 are read month first, as the Azure portal writes them")
	case orderDay:
		all = append(all, "dates are read day first, since some have a first number above 12")
	}
	return all
}
