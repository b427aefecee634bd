package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/spillway-ai/spillway/internal/observe/store"
)

// request is a line of JSON from the gateway to the program: Open comes first,
// and then either a segment to send, or to cancel the request of that number.
type request struct {
	ID int64
	// Open holds the targets, by the names of their exports.
	Open    map[string]Target `json:",omitempty"`
	Export  string            `json:",omitempty"`
	Segment *store.Segment    `json:",omitempty"`
	Cancel  bool              `json:",omitempty"`
}

// answer is a line of JSON from the program about the request of that number.
type answer struct {
	ID int64
	// Error is what went wrong; "" is nothing. Failure is set where it is, or
	// wraps, a Failure.
	Error   string   `json:",omitempty"`
	Failure *Failure `json:",omitempty"`
}

// err is the error that the program met.
func (a answer) err() error {
	switch {
	case a.Error == "":
		return nil
	case a.Failure == nil:
		return errors.New(a.Error)
	}
	return &remoteError{a.Error, a.Failure}
}

// remoteError is an error of the program's that wraps a Failure.
type remoteError struct {
	text    string
	failure *Failure
}

// Error returns the text.
func (e *remoteError) Error() string { return e.text }

// Unwrap returns the Failure.
func (e *remoteError) Unwrap() error { return e.failure }

// Serve does what a gateway's Process asks for on in, and answers on out, until
// in ends: then the gateway is gone or needs it no more. Sends under way are
// canceled. The senders come from open.
func Serve(in io.Reader, out io.Writer, open func(Target) (Sender, error)) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := &server{open: open, lines: json.NewEncoder(out), cancel: map[int64]context.CancelFunc{}}
	for requests := json.NewDecoder(in); ; {
		var r request
		if err := requests.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading a command: %w", err)
		}
		switch {
		case r.Open != nil:
			s.answer(r.ID, s.openAll(r.Open))
		case r.Segment != nil:
			s.start(ctx, r)
		case r.Cancel:
			s.stop(r.ID)
		}
	}
}

// server is the program's side of the connection.
type server struct {
	open    func(Target) (Sender, error)
	senders map[string]Sender

	mu     sync.Mutex // over the rest, and over writing
	lines  *json.Encoder
	cancel map[int64]context.CancelFunc // of the sends under way
}

func (s *server) openAll(targets map[string]Target) error {
	s.senders = map[string]Sender{}
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		sender, err := s.open(targets[name])
		if err != nil {
			return fmt.Errorf("opening the export %s: %w", name, err)
		}
		s.senders[name] = sender
	}
	return nil
}

// start begins to send a segment. Its answer is written when that is over.
func (s *server) start(ctx context.Context, r request) {
	to, ok := s.senders[r.Export]
	if !ok {
		s.answer(r.ID, fmt.Errorf("unknown export %q", r.Export))
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	s.cancel[r.ID] = cancel
	s.mu.Unlock()
	go func() {
		err := send(ctx, to, r.Segment)
		s.stop(r.ID)
		s.answer(r.ID, err)
	}()
}

func send(ctx context.Context, to Sender, described *store.Segment) error {
	segment, err := described.Reopen()
	if err != nil {
		return err
	}
	defer segment.Close()
	return to.Send(ctx, segment)
}

// stop cancels a send, unless it is over.
func (s *server) stop(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel, ok := s.cancel[id]; ok {
		cancel()
		delete(s.cancel, id)
	}
}

func (s *server) answer(id int64, err error) {
	a := answer{ID: id}
	if err != nil {
		a.Error = err.Error()
		a.Failure, _ = errors.AsType[*Failure](err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.lines.Encode(a) // the gateway is gone: the requests end too
}
