package azuresim

import (
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/stat"
)

// Server is the emulator. It is safe for concurrent use and starts no
// goroutine of its own.
type Server struct {
	cfg         Config
	clock       clock
	deployments map[string]*deployment
	names       []string
	ids         atomic.Uint64
	stored      store

	faultsMu sync.Mutex
	faults   []fleet.Fault
}

// deployment is one deployment's model and the lock that guards it.
type deployment struct {
	config fleet.Deployment // with defaults

	mu     sync.Mutex
	server *fleet.Server
	status map[int]int // responses by status; spillway.StatusClientGone is a client that left
	cut    int         // responses that a fault broke off
}

// New returns a server of the configured fleet, idle.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, clock: newClock(cfg.Now, cfg.TimeScale), deployments: map[string]*deployment{}}
	deployments := append([]fleet.Deployment(nil), cfg.Deployments...)
	for i := range deployments {
		if deployments[i].CompletionWindow == 0 {
			deployments[i].CompletionWindow = cfg.CompletionWindow
		}
	}
	f, err := fleet.New(fleet.Config{Deployments: deployments, Seed: cfg.Seed}, s.clock.start)
	if err != nil {
		return nil, fmt.Errorf("azuresim: %w", err)
	}
	s.names = f.Names()
	for _, name := range s.names {
		server := f.Server(name)
		s.deployments[name] = &deployment{config: server.Deployment(), server: server, status: map[int]int{}}
	}
	s.SetFaults(cfg.Faults)
	return s, nil
}

// SetFaults replaces the fault schedule. Times in it count from New.
func (s *Server) SetFaults(faults []fleet.Fault) {
	s.faultsMu.Lock()
	defer s.faultsMu.Unlock()
	s.faults = append([]fleet.Fault(nil), faults...)
	for _, d := range s.deployments {
		d.mu.Lock()
		d.server.SetFaults(s.faults)
		d.mu.Unlock()
	}
}

// Faults returns the fault schedule. The caller must not change it.
func (s *Server) Faults() []fleet.Fault {
	s.faultsMu.Lock()
	defer s.faultsMu.Unlock()
	return s.faults
}

// Stats is what a deployment has done and how full it is.
type Stats struct {
	fleet.State
	Status   map[int]int // responses by status, without those below
	Canceled int         // clients that left before their response was complete
	Broken   int         // responses that a fault broke off
}

// Stats returns the statistics of the named deployment.
func (s *Server) Stats(name string) (Stats, bool) {
	d := s.deployments[name]
	if d == nil {
		return Stats{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	st := Stats{State: d.server.State(s.clock.now()), Status: map[int]int{}, Broken: d.cut}
	for status, n := range d.status {
		if status == spillway.StatusClientGone {
			st.Canceled = n
			continue
		}
		st.Status[status] = n
	}
	return st, true
}

// count adds a response to the statistics.
func (d *deployment) count(status int) {
	d.mu.Lock()
	d.status[status]++
	d.mu.Unlock()
}

// offer asks the model, clock read inside the lock.
func (d *deployment) offer(c *clock, ask fleet.Ask) (fleet.Verdict, time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := c.now()
	return d.server.Offer(now, ask), now
}

// complete settles an accepted request.
func (d *deployment) complete(c *clock, id uint64, produced int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.server.Complete(c.now(), id, produced)
}

// nextID is a word that differs for every call and depends on the seed and the
// number of calls alone.
func (s *Server) nextID() uint64 { return stat.Mix(s.cfg.Seed + s.ids.Add(1)<<8) }

// maxBody bounds a request's body.
const maxBody = 64 << 20

// ServeHTTP responses one request as the service would.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{s: s, w: w, r: r, requestID: uuid(s.nextID()), version: r.URL.Query().Get("api-version")}
	x.pace = pacer{clock: &s.clock, ctx: r.Context(), began: s.clock.now()}
	defer x.pace.stop()
	writeCommon(w, r, x.requestID)
	if !s.authorized(r) {
		writeBody(w, http.StatusUnauthorized, []byte(bodyUnauthorized))
		return
	}
	t, ok := parsePath(r.URL.Path)
	if !ok || t.versioned && x.version == "" || !t.op.allows(r.Method) {
		writeBody(w, http.StatusNotFound, []byte(bodyNoResource))
		return
	}
	x.operation = t.op
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil { // too large; a client that left does not read the response
		writeBody(w, http.StatusRequestEntityTooLarge, []byte(bodyTooLarge))
		return
	}
	if err := x.serve(t, body); err != nil {
		x.reject(err)
	}
}

// authorized checks the api-key or the bearer token.
func (s *Server) authorized(r *http.Request) bool {
	if len(s.cfg.Keys) == 0 {
		return true
	}
	key := r.Header.Get("api-key")
	if key == "" {
		key, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	ok := 0
	for _, k := range s.cfg.Keys {
		ok |= subtle.ConstantTimeCompare([]byte(k), []byte(key))
	}
	return ok == 1
}

// find returns the deployment that a request names, or nil. Where the path is
// OpenAI's own, a model name selects the first deployment of that model.
func (s *Server) find(name string, byModel bool) *deployment {
	if d := s.deployments[name]; d != nil || !byModel {
		return d
	}
	for _, n := range s.names {
		if d := s.deployments[n]; d.config.Model == name {
			return d
		}
	}
	return nil
}
