package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/spillway-ai/spillway/internal/observe/store"
)

const (
	// openWithin is how long the program may take to start.
	openWithin = time.Minute
	// stopWithin is how long the program may take to cancel a send, and to end.
	stopWithin = 2 * time.Second
)

// ErrClosed is the error of a send after Close.
var ErrClosed = errors.New("the export process is closed")

// Process sends segments by a program of its own, spillway-export, which links
// the libraries of the places. When the program ends, the sends under way
// fail, and the next one starts it again: the pauses between tries are those
// of the exports. Make it with StartProcess, end it with Close. Safe for
// concurrent use.
type Process struct {
	launch  func() (*child, error)
	targets map[string]Target
	log     *slog.Logger

	mu     sync.Mutex // held while the program starts
	conn   *conn      // nil: it did not start
	closed bool
}

// child is a started program.
type child struct {
	in   io.WriteCloser // its end ends the program
	out  io.Reader
	wait func() error // after out has ended
	kill func()
}

// StartProcess starts the program at path, which is to send to the targets, by
// the names of their exports. A target that it refuses is an error here.
func StartProcess(path string, targets map[string]Target, log *slog.Logger) (*Process, error) {
	return startProcess(func() (*child, error) { return run(path) }, targets, log)
}

func startProcess(launch func() (*child, error), targets map[string]Target, log *slog.Logger) (*Process, error) {
	p := &Process{launch: launch, targets: targets, log: log}
	_, err := p.connect()
	return p, err
}

// run starts the program. Its standard error is ours.
func run(path string) (*child, error) {
	cmd := exec.Command(path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the export process: %w", err)
	}
	kill := func() { _ = cmd.Process.Kill() } // it fails when the program has ended
	return &child{in: in, out: out, wait: cmd.Wait, kill: kill}, nil
}

// Sender returns what sends to the target of that name.
func (p *Process) Sender(name string) Sender { return sender{p, name} }

type sender struct {
	process *Process
	name    string
}

// Send has the program send s.
func (x sender) Send(ctx context.Context, s *store.Segment) error {
	c, err := x.process.connect()
	if err != nil {
		return err
	}
	return c.call(ctx, request{Export: x.name, Segment: s})
}

// Close ends the program, if need be by force after two seconds. Sends must be
// over.
func (p *Process) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.conn != nil {
		p.conn.close()
	}
}

// connect returns the connection to the program, which it starts if it does
// not run.
func (p *Process) connect() (*conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, ErrClosed
	case p.conn != nil && !p.conn.isOver():
		return p.conn, nil
	case p.conn != nil:
		p.log.Warn("export process exited, restarting", slog.Any("error", p.conn.err))
		p.conn = nil
	}
	running, err := p.launch()
	if err != nil {
		return nil, err
	}
	c := newConn(running)
	ctx, cancel := context.WithTimeout(context.Background(), openWithin)
	defer cancel()
	if err := c.call(ctx, request{Open: p.targets}); err != nil {
		c.close()
		return nil, err
	}
	p.conn = c
	return c, nil
}

// conn is the connection to one run of the program.
type conn struct {
	child *child
	over  chan struct{} // closed when the program has ended
	err   error         // how it ended; valid once over is closed

	mu    sync.Mutex // over the rest, and over writing
	lines *json.Encoder
	calls map[int64]chan answer // under way, by number
	last  int64                 // number of a call
}

func newConn(running *child) *conn {
	c := &conn{
		child: running, over: make(chan struct{}), lines: json.NewEncoder(running.in), calls: map[int64]chan answer{},
	}
	go c.read()
	return c
}

// read gives answers to their calls until the program ends.
func (c *conn) read() {
	for lines := json.NewDecoder(c.child.out); ; {
		var a answer
		if lines.Decode(&a) != nil {
			break
		}
		c.mu.Lock()
		to := c.calls[a.ID]
		delete(c.calls, a.ID)
		c.mu.Unlock()
		if to != nil {
			to <- a
		}
	}
	c.child.kill() // what does not answer any more is of no use
	if c.err = c.child.wait(); c.err == nil {
		c.err = io.EOF
	}
	close(c.over)
}

func (c *conn) isOver() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

// call has the program do something, and returns how that went. When ctx ends,
// the program is told to stop it, and is killed where it does not.
func (c *conn) call(ctx context.Context, r request) error {
	answers := make(chan answer, 1)
	c.mu.Lock()
	c.last++
	r.ID = c.last
	c.calls[r.ID] = answers
	// What ends the writing ends the reading too.
	_ = c.lines.Encode(r)
	c.mu.Unlock()
	select {
	case a := <-answers:
		return a.err()
	case <-c.over:
		return fmt.Errorf("the export process exited: %w", c.err)
	case <-ctx.Done():
	}
	c.mu.Lock()
	_ = c.lines.Encode(request{ID: r.ID, Cancel: true})
	c.mu.Unlock()
	patience := time.NewTimer(stopWithin)
	defer patience.Stop()
	select {
	case a := <-answers:
		return a.err() // it may have been sent in the last moment
	case <-c.over:
	case <-patience.C:
		c.child.kill()
	}
	return fmt.Errorf("the export process did not respond in time: %w", ctx.Err())
}

// close ends the program and waits for it.
func (c *conn) close() {
	_ = c.child.in.Close() // it ends, or is killed
	patience := time.AfterFunc(stopWithin, c.child.kill)
	defer patience.Stop()
	<-c.over
}
