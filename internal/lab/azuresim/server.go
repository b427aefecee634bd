package azuresim

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
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
	resources   map[string]*resource
	ids         atomic.Uint64

	faultsMu sync.Mutex
	faults   []fleet.Fault
}

// deployment is one deployment's model and the lock that guards it.
type deployment struct {
	config   fleet.Deployment // with defaults
	traits   Traits
	resource string

	mu       *sync.Mutex // shared by the deployments of one quota
	server   *fleet.Server
	batches  *fleet.Server // the model of its batches, which have a quota of their own
	status   map[int]int   // responses by status; spillway.StatusClientGone is a client that left
	cut      int           // responses that a fault broke off
	later    []ending      // of background responses, soonest first
	priority rise
}

// ending is when an accepted request that nobody waits for is complete.
type ending struct {
	at     time.Time
	id     uint64
	tokens int
}

// New returns a server of the configured fleet, idle.
func New(cfg Config) (*Server, error) {
	s := &Server{
		cfg: cfg, clock: newClock(cfg.Now, cfg.TimeScale), deployments: map[string]*deployment{},
		resources: map[string]*resource{"": {}},
	}
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
	locks := map[string]*sync.Mutex{}
	for _, name := range s.names {
		s.addDeployment(f.Server(name), locks)
	}
	for name := range cfg.Traits {
		if err := s.checkTraits(name); err != nil {
			return nil, fmt.Errorf("azuresim: deployment %q: %w", name, err)
		}
	}
	s.SetFaults(cfg.Faults)
	return s, nil
}

// addDeployment makes a modeled deployment reachable. locks are those of quotas.
func (s *Server) addDeployment(server *fleet.Server, locks map[string]*sync.Mutex) {
	d := &deployment{config: server.Deployment(), server: server, status: map[int]int{}, mu: &sync.Mutex{}}
	d.traits = s.cfg.Traits[d.config.Name]
	offline := d.config
	offline.Kind, offline.TPM, offline.RPM, offline.Quota = spillway.Standard, 0, 0, ""
	d.batches = fleet.NewServer(offline, stat.Mix(s.cfg.Seed), s.clock.start)
	d.resource = s.addResource(&d.traits, d.config.Region)
	if q := d.config.Quota; q != "" {
		if locks[q] == nil {
			locks[q] = d.mu
		}
		d.mu = locks[q]
	}
	s.deployments[d.config.Name] = d
}

// checkTraits reports what is wrong with the traits of a name.
func (s *Server) checkTraits(name string) error {
	d := s.deployments[name]
	if d == nil {
		return errors.New("has traits, but does not exist")
	}
	to := s.spillsTo(d, d.traits.Spillover)
	if d.traits.Spillover != "" && (to == nil || to.resource != d.resource) {
		return fmt.Errorf("cannot spill over to %q: it is not a standard deployment of the same resource and model", d.traits.Spillover)
	}
	return nil
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
	now := s.clock.now()
	d.endLater(now)
	st := Stats{State: d.server.State(now), Status: map[int]int{}, Broken: d.cut}
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
	d.endLater(now)
	return d.server.Offer(now, ask), now
}

// complete settles an accepted request.
func (d *deployment) complete(c *clock, id uint64, produced int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := c.now()
	d.endLater(now)
	d.server.Complete(now, id, produced)
}

// completeAt settles a request that nobody waits for at a time to come.
func (d *deployment) completeAt(e ending) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, _ := slices.BinarySearchFunc(d.later, e, func(a, b ending) int { return a.at.Compare(b.at) })
	d.later = slices.Insert(d.later, i, e)
}

// endLater settles what has ended by now. The caller holds the lock. Whatever was
// settled before its time is ignored.
func (d *deployment) endLater(now time.Time) {
	for len(d.later) > 0 && !d.later[0].at.After(now) {
		d.server.Complete(d.later[0].at, d.later[0].id, d.later[0].tokens)
		d.later = d.later[1:]
	}
}

// nextID is a word that differs for every call and depends on the seed and the
// number of calls alone.
func (s *Server) nextID() uint64 { return stat.Mix(s.cfg.Seed + s.ids.Add(1)<<8) }

// maxBody bounds a request's body.
const maxBody = 64 << 20

// ServeHTTP answers one request as the service would.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{s: s, w: w, r: r, requestID: uuid(s.nextID()), version: r.URL.Query().Get("api-version")}
	x.pace = pacer{clock: &s.clock, ctx: r.Context(), began: s.clock.now()}
	defer x.pace.stop()
	writeCommon(w, r, x.requestID)
	if !s.authorized(r) {
		writeBody(w, http.StatusUnauthorized, []byte(bodyUnauthorized))
		return
	}
	res, path := s.address(r.Host, r.URL.Path)
	t, ok := parsePath(r.Method, path)
	if res == nil || !ok {
		writeBody(w, http.StatusNotFound, []byte(bodyNoResource))
		return
	}
	x.res, x.id, x.item = res, t.id, t.item
	if err := x.checkVersion(&t); err != nil {
		x.reject(err)
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
func (x *exchange) find(name string, byModel bool) *deployment {
	if d := x.s.deployments[name]; d != nil {
		if x.res.holds(d) {
			return d
		}
		return nil
	}
	if !byModel {
		return nil
	}
	for _, n := range x.s.names {
		if d := x.s.deployments[n]; d.config.Model == name && x.res.holds(d) {
			return d
		}
	}
	return nil
}
