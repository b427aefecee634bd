package telemetry

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

const (
	// flushEvery bounds how long a line stays in memory.
	flushEvery = 250 * time.Millisecond
	// reopenEvery is the pause between attempts to open a failed output.
	reopenEvery = time.Second
	// defaultQueue is WriterConfig.Queue's default, in lines.
	defaultQueue = 8192
	// maxPendingBytes bounds what waits for the output, whatever the lines' size.
	maxPendingBytes = 64 << 20
)

// Open opens a Writer's output. It is called once at the start and again after
// the output failed. Each Write of what it returns gets whole lines; a Write
// that fails must report how many bytes will stay.
type Open func() (io.WriteCloser, error)

// WriterConfig says how a Writer behaves. The zero value is usable.
type WriterConfig struct {
	// Queue bounds the lines that wait for the output; 0 takes 8192. Lines
	// beyond it are dropped and counted.
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
	queue int
	log   *slog.Logger

	mu      sync.Mutex
	pending []byte // whole lines
	lines   int
	closed  bool

	scratch sync.Pool     // of *[]byte
	wake    chan struct{} // the first line of a batch; capacity 1
	full    chan struct{} // half the queue is used, or Close; capacity 1
	done    chan struct{} // closed when the goroutine has ended
	dropped atomic.Uint64

	// Owned by the goroutine.
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
	w := &Writer{
		open:    open,
		queue:   cfg.Queue,
		log:     cfg.Log,
		scratch: sync.Pool{New: func() any { return new([]byte) }},
		wake:    make(chan struct{}, 1),
		full:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		out:     out,
	}
	if w.queue <= 0 {
		w.queue = defaultQueue
	}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	go w.run()
	return w, nil
}

// Record queues r's line. It never blocks: when the queue is full or the
// writer closed, the line is dropped and counted.
func (w *Writer) Record(r *spillway.Record) {
	buf := w.scratch.Get().(*[]byte)
	*buf = AppendRecord((*buf)[:0], r)
	w.enqueue(*buf)
	w.scratch.Put(buf)
}

// enqueue copies a line into the batch that is gathering.
func (w *Writer) enqueue(line []byte) {
	w.mu.Lock()
	if w.closed || w.lines >= w.queue || len(w.pending)+len(line) > maxPendingBytes {
		w.mu.Unlock()
		w.dropped.Add(1)
		return
	}
	w.pending = append(w.pending, line...)
	w.lines++
	lines := w.lines
	w.mu.Unlock()
	if lines == 1 {
		notify(w.wake)
	}
	if lines == (w.queue+1)/2 {
		notify(w.full)
	}
}

// Dropped is the number of records lost so far: the queue was full, the output
// failed, or the writer was closed.
func (w *Writer) Dropped() uint64 { return w.dropped.Load() }

// Close writes what is queued, closes the output and waits for both. The error
// is that of the last write or of the closing. Records that come later are
// dropped. Close may be called again; an output that hangs makes it wait.
func (w *Writer) Close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	notify(w.full)
	notify(w.wake)
	<-w.done
	return w.lastErr
}

// run is the writer's goroutine.
func (w *Writer) run() {
	defer close(w.done)
	timer := time.NewTimer(flushEvery)
	defer timer.Stop()
	var spare []byte
	for {
		<-w.wake
		timer.Reset(flushEvery)
		select {
		case <-timer.C:
		case <-w.full:
		}
		w.mu.Lock()
		batch, lines, closed := w.pending, w.lines, w.closed
		w.pending, w.lines = spare[:0], 0
		w.mu.Unlock()
		if lines > 0 {
			w.write(batch, lines)
		}
		spare = batch
		if closed {
			w.finish()
			return
		}
	}
}

// write writes one batch, or counts what is lost of it.
func (w *Writer) write(batch []byte, lines int) {
	now := time.Now()
	if w.out == nil {
		if now.Before(w.reopenAt) {
			w.dropped.Add(uint64(lines))
			return
		}
		out, err := w.open()
		if err != nil {
			w.fail(now, err, lines)
			return
		}
		w.out = out
	}
	n, err := w.out.Write(batch)
	if err != nil {
		err = errors.Join(err, w.out.Close())
		w.out = nil
		w.fail(now, err, lines-bytes.Count(batch[:n], []byte{'\n'}))
		return
	}
	w.lastErr = nil
	if w.failed {
		w.failed = false
		w.log.Info("writing records recovered", slog.Uint64("dropped_total", w.Dropped()))
	}
}

// fail counts the lost lines and tells of the first failure of a row.
func (w *Writer) fail(now time.Time, err error, lost int) {
	w.dropped.Add(uint64(lost))
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

// notify makes a capacity-one channel readable, if it is not so already.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
