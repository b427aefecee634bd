package app

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long the file must be quiet before a change counts: editors
// write in several steps.
const settle = 100 * time.Millisecond

// reloader remembers how the last reload went.
type reloader struct {
	mu      sync.Mutex
	digest  [sha256.Size]byte // of the file as last tried
	reloads int
	failed  string // why the last reload failed; "" when it did not
}

// state is the reloads for /readyz.
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
		a.opts.Log.Error("the configuration was not reloaded; the old one stays in force\n" + err.Error())
		return
	}
	a.reloads.failed = ""
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
	if err := a.gateway.Apply(settings); err != nil {
		return fmt.Errorf("applying %s: %w", a.opts.ConfigPath, err)
	}
	a.providers.Store(providers(cfg))
	was, is := a.cfg.Server, cfg.Server
	if was.Listen != is.Listen || was.Admin != is.Admin || a.cfg.Records != cfg.Records || a.cfg.Metrics != cfg.Metrics {
		a.opts.Log.Warn("addresses, records and metrics change at the next start only")
	}
	return nil
}

// readFile reads a file for the configuration, and notes what the
// configuration itself was like: a change is what differs from that.
func (a *App) readFile(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err == nil && path == a.opts.ConfigPath {
		a.reloads.mu.Lock()
		a.reloads.digest = sha256.Sum256(data)
		a.reloads.mu.Unlock()
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
	files   *fsnotify.Watcher
	done    chan struct{}
}

// watch follows the file's directory: editors and Kubernetes replace files
// instead of writing to them. Without a file it reports nothing.
func (a *App) watch() (*watcher, error) {
	w := &watcher{changed: make(chan struct{}, 1), done: make(chan struct{})}
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
	w.changed <- struct{}{} // it may have changed since it was loaded
	go w.run()
	return w, nil
}

// run passes changes on after a quiet time, until the watcher is closed.
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
			quiet.Reset(settle)
		case _, ok := <-w.files.Errors:
			if !ok {
				return
			}
			quiet.Reset(settle) // an overflow: look at the file
		case <-quiet.C:
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
