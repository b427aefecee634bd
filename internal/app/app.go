package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/observe/export"
	"github.com/spillway-ai/spillway/internal/observe/genai"
	"github.com/spillway-ai/spillway/internal/observe/telemetry"
	"github.com/spillway-ai/spillway/internal/proxy/gateway"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
)

// Options are what a start needs besides the configuration.
type Options struct {
	// ConfigPath is the configuration; "" serves the embedded demo fleet.
	ConfigPath string
	// Listen and Admin override the configuration's addresses.
	Listen, Admin string
	// Store overrides the directory of the configuration's record store.
	Store string
	// Version is the program's, for telemetry.
	Version string
	// Stdout gets the records where the configuration sends them there.
	Stdout io.Writer
	Log    *slog.Logger
	// Reload requests a reload, as a change of the file does; nil never does.
	Reload <-chan os.Signal

	// In tests, listen and dial are those of a network in memory, and lastExport,
	// which bounds what is sent at the end, is as long as only a hang takes.
	listen     func(address string) (net.Listener, error)
	dial       upstream.DialFunc
	lastExport time.Duration
}

// App is a running gateway. Start makes it, Close ends it.
type App struct {
	opts    Options
	cfg     *config.Config // as started: what a reload cannot change comes from here
	gateway *gateway.Gateway
	demo    *demo
	outputs []output        // where records go
	exports *export.Exports // nil without any
	losses  []lossCounter   // of exports: records that were not sent in time
	data    *listener
	admin   *listener // nil without an admin address
	// providers are the GenAI provider names of the deployments that are not
	// Azure's; a reload replaces them.
	providers atomic.Pointer[map[string]string]
	// counts are the metrics; nil until they are made, and where the configuration
	// has none.
	counts atomic.Pointer[telemetry.Metrics]
	// certificate is the listener's; a reload reads it again.
	certificate atomic.Pointer[tls.Certificate]
	reloads     reloader
	collector   *collector
	learner     *learner // nil without a store
	limits      processLimits
}

// listener is a server with its socket.
type listener struct {
	server  *http.Server
	socket  net.Listener
	tls     bool
	serveOn func(net.Listener) error // serves with server
	done    chan error
}

// Start loads the configuration, opens the listeners and serves. When it
// returns, the listeners accept.
func Start(opts Options) (*App, error) {
	a := &App{opts: opts, collector: startCollector()}
	if opts.ConfigPath == "" {
		d, err := startDemo()
		if err != nil {
			a.collector.stop()
			return nil, err
		}
		a.demo = d
	}
	if err := a.start(); err != nil {
		return nil, errors.Join(err, a.closeBackends())
	}
	return a, nil
}

func (a *App) start() error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	a.cfg, a.reloads.at = cfg, time.Now()
	a.limits = a.newProcessLimits(cfg.Server)
	a.providers.Store(providers(cfg))
	settings, err := build(cfg)
	if err != nil {
		return err
	}
	a.limits.apply(&settings.Limits)
	outputs, err := a.openOutputs()
	if err != nil {
		return err
	}
	metrics, recorders := a.metrics(), slices.Clone(outputs)
	if metrics != nil {
		recorders = append(recorders, metrics)
	}
	a.gateway, err = gateway.New(settings, gateway.Deps{
		Recorder: recorders, Unauthenticated: unauthenticatedRecorder(outputs, metrics),
		Logger: a.opts.Log, Dial: a.opts.dial, Scarce: a.limits.scarce,
	})
	if err != nil {
		return fmt.Errorf("starting the gateway: %w", err)
	}
	if dir := a.storeDir(); dir != "" {
		a.learner = startLearner(a.gateway, dir, a.opts.Log)
	}
	return a.listen(metrics)
}

// load reads the configuration file, or the embedded one of the demo fleet.
func (a *App) load() (*config.Config, error) {
	if a.demo != nil {
		return a.demo.config()
	}
	return config.Load(a.opts.ConfigPath, os.LookupEnv, a.readFile)
}

// provider is the GenAI provider name of a deployment.
func (a *App) provider(deployment string) string {
	if p, ok := (*a.providers.Load())[deployment]; ok {
		return p
	}
	return genai.DefaultProvider
}

// status is the state of the pools for the metrics.
func (a *App) status() telemetry.Status {
	s := telemetry.Status{LoadedAt: a.reloads.loaded(), ReloadFailed: a.reloads.lastFailed()}
	for _, p := range a.gateway.Status(nil) {
		s.Pools = append(s.Pools, telemetry.PoolStatus{Pool: p.Name, Waiting: p.Waiting})
		for _, d := range p.Deployments {
			s.Deployments = append(s.Deployments, telemetry.DeploymentStatus{
				Pool: p.Name, Deployment: d.Name, State: d.State, Utilization: d.Utilization, InFlight: d.InFlight,
			})
		}
	}
	return s
}

// listen opens both listeners before either serves.
func (a *App) listen(metrics *telemetry.Metrics) error {
	certificate, err := loadCertificate(a.cfg.Server.TLS)
	if err != nil {
		return err
	}
	a.data, err = a.newListener("data", cmp.Or(a.opts.Listen, a.cfg.Server.Listen), a.gateway.Server(a.serverTLS(certificate)))
	if err != nil {
		return err
	}
	a.data.serveOn = func(l net.Listener) error { return a.gateway.Serve(a.data.server, l) }
	if address := cmp.Or(a.opts.Admin, a.cfg.Server.Admin); address != "" {
		a.admin, err = a.newListener("admin", address, a.adminServer(metrics))
		if err != nil {
			a.data.socket.Close()
			return err
		}
		a.limitConns(a.admin, a.limits.admin)
		a.admin.serve()
	}
	a.limitConns(a.data, a.limits.connections)
	a.data.serve()
	return nil
}

// limitConns has l keep at most so many connections open; 0 is not a limit.
func (a *App) limitConns(l *listener, most int) {
	if most > 0 {
		l.socket = a.gateway.LimitConns(l.socket, most, a.limits.refusals, l.server.TLSConfig)
	}
}

// loadCertificate reads the listener's certificate; nil where it speaks no TLS.
func loadCertificate(files *config.ServerTLS) (*tls.Certificate, error) {
	if files == nil {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, fmt.Errorf("loading the listener's certificate: %w", err)
	}
	return &pair, nil
}

// serverTLS serves the certificate in force, which is first this one; nil
// without one.
func (a *App) serverTLS(certificate *tls.Certificate) *tls.Config {
	if certificate == nil {
		return nil
	}
	a.certificate.Store(certificate)
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.certificate.Load(), nil },
		MinVersion:     tls.VersionTLS12,
	}
}

// newListener opens the socket of a server; name says which in an error.
func (a *App) newListener(name, address string, server *http.Server) (*listener, error) {
	listen := a.opts.listen
	if listen == nil {
		listen = func(address string) (net.Listener, error) { return net.Listen("tcp", address) }
	}
	socket, err := listen(address)
	if err != nil {
		return nil, fmt.Errorf("opening the %s listener: %w", name, err)
	}
	return &listener{server: server, socket: socket, tls: server.TLSConfig != nil, serveOn: server.Serve, done: make(chan error, 1)}, nil
}

func (l *listener) serve() {
	go func() { l.done <- l.serveOn(l.socket) }()
}

// shutdown stops accepting, waits for requests until ctx ends, and closes the
// remaining connections.
func (l *listener) shutdown(ctx context.Context) error {
	if l == nil {
		return nil
	}
	if err := l.server.Shutdown(ctx); err != nil {
		l.server.Close()
	}
	if err := <-l.done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// DataAddr is the address that the data listener got, such as 127.0.0.1:8080.
func (a *App) DataAddr() string { return a.data.socket.Addr().String() }

// AdminAddr is the address of the admin listener; "" when there is none.
func (a *App) AdminAddr() string {
	if a.admin == nil {
		return ""
	}
	return a.admin.socket.Addr().String()
}

// TLS reports whether the data listener speaks TLS.
func (a *App) TLS() bool { return a.data.tls }

// Run reloads when the file changes or a reload is asked for, until ctx ends
// or a listener fails. It does not close the app.
func (a *App) Run(ctx context.Context) error {
	watch, err := a.watch()
	if err != nil {
		return err
	}
	defer watch.Close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-a.data.done:
			a.data.done <- err
			return fmt.Errorf("serving: %w", err)
		case <-a.opts.Reload:
			a.Reload()
		case <-watch.changed:
			a.reloadChanged()
		}
	}
}

// lastWait is how long requests that are cut off at the end of the drain get
// to finish their responses, and then again to write their records.
const lastWait = time.Second

// Close drains: /readyz returns 503; after shutdown_delay the listener stops
// accepting; requests in flight get drain_timeout and are then cut off, which the
// log says and is no error; and records are flushed.
func (a *App) Close() error {
	a.gateway.CloseAfterResponse()
	a.awaitLoadBalancers()
	ctx, cancel := context.WithTimeout(context.Background(), max(a.cfg.Server.DrainTimeout, time.Millisecond))
	defer cancel()
	if n := a.gateway.InFlight(); n > 0 {
		a.opts.Log.Info("draining", "in_flight", n, "at_most", a.cfg.Server.DrainTimeout)
	}
	a.drain(ctx)
	return errors.Join(a.data.shutdown(ctx), a.admin.shutdown(ctx), a.closeBackends())
}

// awaitLoadBalancers serves for shutdown_delay, or until the listener fails.
func (a *App) awaitLoadBalancers() {
	if a.cfg.Server.ShutdownDelay == 0 {
		return
	}
	a.opts.Log.Info("not ready, serving for shutdown_delay", "shutdown_delay", a.cfg.Server.ShutdownDelay)
	delay := time.NewTimer(a.cfg.Server.ShutdownDelay)
	defer delay.Stop()
	select {
	case <-delay.C:
	case err := <-a.data.done:
		a.data.done <- err
	}
}

// drain waits for the requests in flight until ctx ends, and then ends the
// remaining ones.
func (a *App) drain(ctx context.Context) {
	if a.data.server.Shutdown(ctx) == nil && a.gateway.Drain(ctx) == nil {
		return
	}
	n := a.gateway.InFlight()
	if n == 0 {
		return // connections without a request
	}
	a.opts.Log.Warn("drain_timeout expired, cutting requests off", "requests", n, "drain_timeout", a.cfg.Server.DrainTimeout)
	a.gateway.EndRequests()
	last, cancel := context.WithTimeout(context.Background(), lastWait)
	defer cancel()
	if a.data.server.Shutdown(last) != nil || a.gateway.Drain(last) != nil {
		a.data.server.Close()
		a.gateway.CutStreams()
		records, cancel := context.WithTimeout(context.Background(), lastWait)
		defer cancel()
		if a.gateway.Drain(records) != nil {
			a.opts.Log.Error("requests still in flight at exit", "in_flight", a.gateway.InFlight())
		}
	}
}

// closeBackends closes what the gateway depends on.
func (a *App) closeBackends() error {
	a.collector.stop()
	a.limits.restore()
	a.learner.stop() // before the store is closed
	var errs []error
	for _, o := range a.outputs {
		errs = append(errs, o.Close())
	}
	if a.demo != nil {
		errs = append(errs, a.demo.close())
	}
	return errors.Join(errs...)
}
