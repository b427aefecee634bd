package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-ai/spillway/internal/observe/store"
)

// machine runs the program in this process.
type machine struct {
	open    func(Target) (Sender, error)
	started int
	crash   func(error) // ends the program that runs last with an error
	killed  atomic.Int32
	broken  error // the program does not start
}

func (m *machine) launch() (*child, error) {
	if m.broken != nil {
		return nil, m.broken
	}
	m.started++
	in, toProgram := io.Pipe()
	fromProgram, out := io.Pipe()
	ended := make(chan error, 3) // the first counts
	m.crash = func(err error) {
		ended <- err
		out.CloseWithError(io.EOF)
		in.CloseWithError(io.ErrClosedPipe)
	}
	crash := m.crash
	go func() {
		err := Serve(in, out, m.open)
		out.CloseWithError(io.EOF)
		ended <- err
	}()
	return &child{
		in: toProgram, out: fromProgram,
		wait: func() error { return <-ended },
		kill: func() { m.killed.Add(1); crash(errors.New("killed")) },
	}, nil
}

// senderFunc is a function that sends.
type senderFunc func(context.Context, *store.Segment) error

func (f senderFunc) Send(ctx context.Context, s *store.Segment) error { return f(ctx, s) }

// always opens one sender for every target.
func always(f senderFunc) func(Target) (Sender, error) {
	return func(Target) (Sender, error) { return f, nil }
}

func startMachine(t *testing.T, m *machine) (*Process, *logBuffer) {
	t.Helper()
	log := &logBuffer{}
	p, err := startProcess(m.launch, map[string]Target{"lake": {Kind: ObjectStorage, Auth: Auth{SAS: "hunter2"}}}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return p, log
}

// described is a segment that a file stands for.
func described(t *testing.T) *store.Segment {
	t.Helper()
	path := filepath.Join(t.TempDir(), "requests-1.parquet")
	if err := os.WriteFile(path, []byte("PAR1"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &store.Segment{Path: path, Key: "store-1-2", From: time.Unix(1, 0), To: time.Unix(2, 0), First: 1, Last: 2, Bytes: 4}
}

// The program gets the targets and the segments whole.
func TestProcessSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got string
		var secret string
		m := &machine{open: func(target Target) (Sender, error) {
			secret = target.Auth.SAS
			return senderFunc(func(_ context.Context, s *store.Segment) error {
				data, err := io.ReadAll(s.Data())
				got = fmt.Sprint(s.Name(), " ", s.Key, " ", s.Records(), " ", s.From.Unix(), " ", s.To.Unix(), " ", string(data))
				return err
			}), nil
		}}
		p, _ := startMachine(t, m)
		if err := p.Sender("lake").Send(t.Context(), described(t)); err != nil {
			t.Error(err)
		}
		if want := "requests-1.parquet store-1-2 2 1 2 PAR1"; got != want || secret != "hunter2" {
			t.Errorf("the program got %q with %q, want %q", got, secret, want)
		}
		if err := p.Sender("sea").Send(t.Context(), described(t)); err == nil || !strings.Contains(err.Error(), `"sea"`) {
			t.Errorf("a name that is no target's: %v", err)
		}
		p.Close()
		if err := p.Sender("lake").Send(t.Context(), described(t)); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if m.started != 1 || m.killed.Load() != 1 {
			t.Errorf("started %d times, killed %d times, want once, after it has ended", m.started, m.killed.Load())
		}
	})
}

// Errors mean the same on both sides.
func TestProcessErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
	}{
		{"plain", errors.New("no route to host")},
		{"refusal", &Failure{Status: 400, What: "no such column"}},
		{"wrapped", fmt.Errorf("ask the cluster: %w", &Failure{Status: 429, RetryAfter: time.Minute, What: "slow down"})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := startMachine(t, &machine{open: always(func(context.Context, *store.Segment) error { return tt.err })})
				defer p.Close()
				err := p.Sender("lake").Send(t.Context(), described(t))
				if err == nil || err.Error() != tt.err.Error() || Refused(err) != Refused(tt.err) || retryAfter(err) != retryAfter(tt.err) {
					t.Errorf("%v (refused %v, retry after %v), want %v", err, Refused(err), retryAfter(err), tt.err)
				}
			})
		})
	}
}

// A segment that retention has removed is an error, not a crash.
func TestProcessSegmentGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := startMachine(t, &machine{open: always(func(context.Context, *store.Segment) error { return nil })})
		defer p.Close()
		s := described(t)
		s.Path += "x"
		if err := p.Sender("lake").Send(t.Context(), s); err == nil || !strings.Contains(err.Error(), fs.ErrNotExist.Error()) && !strings.Contains(err.Error(), "no such file") {
			t.Errorf("got %v", err)
		}
	})
}

// The end of a try's time cancels it in the program, which goes on with others.
func TestProcessCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		m := &machine{open: always(func(ctx context.Context, _ *store.Segment) error {
			if tries++; tries == 2 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})}
		p, _ := startMachine(t, m)
		defer p.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if err := p.Sender("lake").Send(ctx, described(t)); err == nil || time.Since(began) != time.Minute {
			t.Errorf("%v after %v, want an error after a minute", err, time.Since(began))
		}
		if err := p.Sender("lake").Send(t.Context(), described(t)); err != nil {
			t.Error(err)
		}
		if m.started != 1 || m.killed.Load() != 0 {
			t.Errorf("started %d times, killed %d times", m.started, m.killed.Load())
		}
	})
}

// What was sent in the last moment counts as sent.
func TestProcessSentWhileCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := startMachine(t, &machine{open: always(func(ctx context.Context, _ *store.Segment) error { <-ctx.Done(); return nil })})
		defer p.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.Sender("lake").Send(ctx, described(t)); err != nil {
			t.Errorf("got %v", err)
		}
	})
}

// A program that ends fails what is under way, and export process exited, restarting by the next
// send.
func TestProcessStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		m := &machine{}
		m.open = always(func(ctx context.Context, _ *store.Segment) error {
			if tries++; tries > 1 {
				return nil
			}
			go m.crash(errors.New("exit status 2"))
			<-ctx.Done()
			return ctx.Err()
		})
		p, log := startMachine(t, m)
		defer p.Close()
		if err := p.Sender("lake").Send(t.Context(), described(t)); err == nil || !strings.Contains(err.Error(), "exit status 2") {
			t.Errorf("the program ended, and the send says %v", err)
		}
		m.broken = errors.New("text file busy")
		if err := p.Sender("lake").Send(t.Context(), described(t)); !errors.Is(err, m.broken) {
			t.Errorf("the program cannot be started, and the send says %v", err)
		}
		m.broken = nil
		if err := p.Sender("lake").Send(t.Context(), described(t)); err != nil {
			t.Error(err)
		}
		if m.started != 2 || strings.Count(log.String(), "export process exited, restarting") != 1 {
			t.Errorf("started %d times, logged:\n%s", m.started, log)
		}
	})
}

// A program that hangs is killed: at the end of a try's time, and at Close.
func TestProcessKills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		m := &machine{open: always(func(context.Context, *store.Segment) error { <-hang; return nil })}
		p, _ := startMachine(t, m)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if err := p.Sender("lake").Send(ctx, described(t)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != time.Minute+stopWithin || m.killed.Load() == 0 {
			t.Errorf("killed %d times after %v", m.killed.Load(), took)
		}
		close(hang)
		p.Close()
	})
}

// What cannot be opened is an error at the start.
func TestProcessRefusesTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{open: func(Target) (Sender, error) { return nil, errors.New("no key") }}
		_, err := startProcess(m.launch, map[string]Target{"lake": {}}, slog.New(slog.DiscardHandler))
		if err == nil || err.Error() != "opening the export lake: no key" {
			t.Errorf("got %v", err)
		}
	})
	if _, err := StartProcess(filepath.Join(t.TempDir(), "nothing"), nil, slog.New(slog.DiscardHandler)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a program that is not there: %v", err)
	}
}
