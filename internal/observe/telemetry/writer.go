package telemetry

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/defaults"
	"github.com/spillway-ai/spillway/internal/observe/batch"
)

const (
	// flushEvery bounds how long a line stays in memory.
	flushEvery = 250 * time.Millisecond
	// reopenEvery is the pause between attempts to open a failed output.
	reopenEvery = time.Second
	// maxPendingBytes bounds what waits for the output, whatever the lines' size.
	maxPendingBytes = 64 << 20
	// spareBytes bounds the memory that is kept from batch to batch.
	spareBytes = 4 << 20
)

// Open opens a Writer's output. It is called once at the start and again after
// the output failed. Each Write of what it returns gets whole lines; a Write
// that fails must report how many bytes will stay.
type Open func() (io.WriteCloser, error)

// WriterConfig says how a Writer behaves. The zero value is usable.
type WriterConfig struct {
	// Queue bounds the lines that wait for the output; 0 takes
	// defaults.Queue. Lines beyond it are dropped and counted.
	Queue int
	// Log hears of an output that fails and of one that works again; nil is
	// silent.
	Log *slog.Logger
}

// Writer writes records as JSON lines. Record does not wait for the output:
// one goroutine, which Close ends, writes what has gathered at least every
// 250 ms. While the output fails, lines are lost and counted, and it is opened
// anew every second. Safe for concurrent use.
type Writer struct {
	open  Open
	log   *slog.Logger
	queue *batch.Queue[[]byte] // of lines

	// Owned by the queue's goroutine.
	lines    []byte         // of a batch, to use again
	out      io.WriteCloser // nil while failed
	failed   bool
	reopenAt time.Time
	lastErr  error
}

// NewWriter opens the output and starts the writer; Close ends it. An output
// that cannot be opened is an error here, not a loss later.
func NewWriter(open Open, cfg WriterConfig) (*Writer, error) {
	out, err := open()
	if err != nil {
		return nil, err
	}
	if cfg.Queue <= 0 {
		cfg.Queue = defaults.Queue
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	w := &Writer{open: open, log: cfg.Log, out: out}
	w.queue = batch.Start(batch.Config[[]byte]{
		Limit: cfg.Queue, MaxBytes: maxPendingBytes, Every: flushEvery, Flush: w.write, End: w.finish,
	})
	return w, nil
}

// Record queues r's line. It never blocks: when the queue is full or the
// writer closed, the line is dropped and counted.
func (w *Writer) Record(r *spillway.Record) {
	line := w.queue.Get()
	*line = AppendRecord((*line)[:0], r)
	w.queue.Put(line, len(*line))
}

// Dropped is the number of records lost so far: the queue was full, the output
// failed, or the writer was closed.
func (w *Writer) Dropped() uint64 { return w.queue.Dropped() }

// Close writes what is queued, closes the output and waits for both. The error
// is that of the last write or of the closing. Records that come later are
// dropped. Close may be called again; an output that hangs makes it wait.
func (w *Writer) Close() error {
	w.queue.Close()
	return w.lastErr
}

// write writes one batch, and returns how many of its lines are lost.
func (w *Writer) write(lines []*[]byte) (lost int) {
	if len(lines) == 0 {
		return 0
	}
	now := time.Now()
	if w.out == nil {
		if now.Before(w.reopenAt) {
			return len(lines)
		}
		out, err := w.open()
		if err != nil {
			w.fail(now, err)
			return len(lines)
		}
		w.out = out
	}
	if cap(w.lines) > spareBytes {
		w.lines = nil // a burst's: it would never be given back
	}
	w.lines = w.lines[:0]
	for _, line := range lines {
		w.lines = append(w.lines, *line...)
	}
	n, err := w.out.Write(w.lines)
	if err != nil {
		w.fail(now, errors.Join(err, w.out.Close()))
		w.out = nil
		return len(lines) - bytes.Count(w.lines[:n], []byte{'\n'})
	}
	w.lastErr = nil
	if w.failed {
		w.failed = false
		w.log.Info("writing records recovered", slog.Uint64("dropped_total", w.Dropped()))
	}
	return 0
}

// fail notes a failure and logs the first in a row.
func (w *Writer) fail(now time.Time, err error) {
	w.lastErr = err
	w.reopenAt = now.Add(reopenEvery)
	if !w.failed {
		w.failed = true
		w.log.Error("writing records failed, records are dropped", slog.Any("error", err))
	}
}

// finish closes the output at the end.
func (w *Writer) finish() {
	if w.out != nil {
		w.lastErr = errors.Join(w.lastErr, w.out.Close())
		w.out = nil
	}
}
