package app

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/spillway-ai/spillway/internal/config"
)

// quietPeriod is how long the file must be unchanged before a change counts:
// editors write in several steps.
const quietPeriod = 100 * time.Millisecond

// reloader holds the result of the last reload.
type reloader struct {
	mu      sync.Mutex
	digest  [sha256.Size]byte // of the file as last tried
	at      time.Time         // when the configuration in force was loaded
	reloads int
	failed  string // why the last reload failed; "" when it did not
}

func (r *reloader) loaded() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

func (r *reloader) lastFailed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed != ""
}

// state is the reloads for /admin/state.
func (r *reloader) state() map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := map[string]any{"reloads": r.reloads}
	if r.failed != "" {
		s["last_error"] = r.failed
	}
	return s
}

// Reload reads the configuration again and applies it. When it is invalid the
// old one stays in force, and the log says what is wrong.
func (a *App) Reload() {
	err := a.reload()
	a.reloads.mu.Lock()
	defer a.reloads.mu.Unlock()
	if err != nil {
		a.reloads.failed = err.Error()
		list, ok := errors.AsType[*config.Errors](err)
		if !ok {
			a.opts.Log.Error("configuration not reloaded, the old one stays active", "error", err)
			return
		}
		a.reloads.failed = list.Brief() // not its values: the admin listener has no authentication
		a.opts.Log.Error("configuration not reloaded, the old one stays active", "problems", len(list.Problems))
		for _, p := range list.Problems {
			at := fmt.Sprintf("%s:%d:%d", list.File, p.Line, p.Column)
			a.opts.Log.Error("configuration problem", "at", at, "option", p.Path, "problem", p.Message, "fix", p.Fix)
		}
		return
	}
	a.reloads.failed, a.reloads.at = "", time.Now()
	a.reloads.reloads++
	a.opts.Log.Info("configuration reloaded", "reloads", a.reloads.reloads)
}

func (a *App) reload() error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	settings, err := build(cfg)
	if err != nil {
		return err
	}
	a.limits.apply(&settings.Limits)
	certificate, err := loadCertificate(cfg.Server.TLS)
	if err != nil {
		return err
	}
	if err := a.gateway.Apply(settings); err != nil {
		return fmt.Errorf("applying %s: %w", a.opts.ConfigPath, err)
	}
	a.providers.Store(providers(cfg))
	if certificate != nil {
		a.certificate.Store(certificate)
	}
	if waiting := waitForStart(a.cfg, cfg); len(waiting) > 0 {
		a.opts.Log.Warn("some changed settings need a restart", "settings", strings.Join(waiting, ", "))
	}
	return nil
}

// waitForStart names the settings that differ and that no reload changes.
func waitForStart(was, is *config.Config) (names []string) {
	for _, s := range []struct {
		name    string
		differs bool
	}{
		{"server.listen", was.Server.Listen != is.Server.Listen},
		{"server.admin", was.Server.Admin != is.Server.Admin},
		{"server.tls", (was.Server.TLS == nil) != (is.Server.TLS == nil)},
		{"server.header_timeout", was.Server.HeaderTimeout != is.Server.HeaderTimeout},
		{"server.idle_timeout", was.Server.IdleTimeout != is.Server.IdleTimeout},
		{"server.h2c", was.Server.H2C != is.Server.H2C},
		{"server.shutdown_delay", was.Server.ShutdownDelay != is.Server.ShutdownDelay},
		{"server.drain_timeout", was.Server.DrainTimeout != is.Server.DrainTimeout},
		{"server.max_header_bytes", was.Server.MaxHeaderBytes != is.Server.MaxHeaderBytes},
		{"server.max_connections", was.Server.MaxConnections != is.Server.MaxConnections},
		{"server.memory_limit", was.Server.MemoryLimit != is.Server.MemoryLimit},
		{"server.leave_streams", was.Server.LeaveStreams != is.Server.LeaveStreams},
		{"records", was.Records != is.Records},
		{"store", was.Store != is.Store},
		{"exports", !reflect.DeepEqual(was.Exports, is.Exports)},
		{"metrics", was.Metrics != is.Metrics},
		{"otlp", !reflect.DeepEqual(was.OTLP, is.OTLP)},
	} {
		if s.differs {
			names = append(names, s.name)
		}
	}
	return names
}

// readFile reads a file for the configuration, and notes what the
// configuration itself was like: a change is what differs from that.
func (a *App) readFile(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if path == a.opts.ConfigPath {
		a.reloads.mu.Lock()
		defer a.reloads.mu.Unlock()
		if a.reloads.digest = sha256.Sum256(data); err != nil {
			a.reloads.digest = [sha256.Size]byte{} // whatever comes next is a change
		}
	}
	return data, err
}

// reloadChanged reloads when the file's content has changed since it was last
// tried: a touched file is no news.
func (a *App) reloadChanged() {
	data, err := os.ReadFile(a.opts.ConfigPath)
	if err != nil {
		// Between the steps of a replacement, or gone. The next event tells.
		return
	}
	a.reloads.mu.Lock()
	same := sha256.Sum256(data) == a.reloads.digest
	a.reloads.mu.Unlock()
	if !same {
		a.Reload()
	}
}

// watcher reports changes of the configuration file once they have settled.
type watcher struct {
	changed chan struct{}
	path    string
	files   *fsnotify.Watcher
	done    chan struct{}
}

// watch follows the file's directory: editors and Kubernetes replace files
// instead of writing to them. Where the file is a link, it follows the directory
// that this leads to besides. Without a file it reports nothing.
func (a *App) watch() (*watcher, error) {
	w := &watcher{changed: make(chan struct{}, 1), path: a.opts.ConfigPath, done: make(chan struct{})}
	if a.opts.ConfigPath == "" {
		close(w.done)
		return w, nil
	}
	var err error
	if w.files, err = fsnotify.NewWatcher(); err != nil {
		return nil, fmt.Errorf("watching the configuration: %w", err)
	}
	if err := w.files.Add(filepath.Dir(a.opts.ConfigPath)); err != nil {
		_ = w.files.Close() // nothing is written through it
		return nil, fmt.Errorf("watching %s: %w", filepath.Dir(a.opts.ConfigPath), err)
	}
	w.followLink()
	w.changed <- struct{}{} // it may have changed since it was loaded
	go w.run()
	return w, nil
}

// followLink watches the directory where the file really is. Links may lead
// elsewhere after each change; the directories that they have left are few, so
// they stay watched until they are deleted.
func (w *watcher) followLink() {
	target, err := filepath.EvalSymlinks(w.path)
	if err != nil {
		return // between the steps of a replacement: the next event tells
	}
	_ = w.files.Add(filepath.Dir(target)) // it may be gone again, which is an event too
}

// run reports changes after a quiet period, until the watcher is closed.
func (w *watcher) run() {
	defer close(w.done)
	quiet := time.NewTimer(0)
	if !quiet.Stop() {
		<-quiet.C
	}
	for {
		select {
		case _, ok := <-w.files.Events:
			if !ok {
				return
			}
			quiet.Reset(quietPeriod)
		case _, ok := <-w.files.Errors:
			if !ok {
				return
			}
			quiet.Reset(quietPeriod) // an overflow: look at the file
		case <-quiet.C:
			w.followLink()
			select {
			case w.changed <- struct{}{}:
			default:
			}
		}
	}
}

// Close ends the watcher and waits for it.
func (w *watcher) Close() {
	if w.files != nil {
		_ = w.files.Close() // nothing is written through it
	}
	<-w.done
}
