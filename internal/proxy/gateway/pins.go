package gateway

import (
	"strings"
	"sync"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// maxPins bounds the stored objects whose deployment is remembered, and maxIDBytes the
// length of their identifiers, which clients choose in part.
const (
	maxPins    = 65536
	maxIDBytes = 256
)

// pins remembers which deployment holds which stored object, the newest
// maxPins to 2·maxPins of them: a full young generation becomes the old one,
// and an old entry that is asked for becomes young again. It is safe for
// concurrent use.
type pins struct {
	mu               sync.Mutex
	recent, previous map[string]location
	version          uint64 // changes with every entry
}

// location is where a stored object lives.
type location struct{ pool, deployment string }

// remember remembers where the object id lives.
func (p *pins) remember(id string, at location) {
	if id == "" || len(id) > maxIDBytes {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.recent[id] == at {
		return
	}
	p.version++
	p.store(id, at)
}

// find returns where the object id lives; the zero location when that is unknown.
func (p *pins) find(id string) location {
	if id == "" {
		return location{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, ok := p.recent[id]; ok {
		return at
	}
	at, ok := p.previous[id]
	if ok {
		p.store(id, at)
	}
	return at
}

func (p *pins) store(id string, at location) {
	if p.recent == nil || len(p.recent) >= maxPins {
		p.previous, p.recent = p.recent, make(map[string]location)
	}
	p.recent[strings.Clone(id)] = at // id may be a part of a whole request
}

const (
	// maxIDsPerResponse bounds the objects of one response that are remembered: lists
	// have thousands.
	maxIDsPerResponse = 256
	// maxIDsPerRequest bounds the objects of one request that are looked for.
	maxIDsPerRequest = 64
	// maxScanBytes bounds what is searched at either end of a request's body.
	maxScanBytes = 1 << 20
)

// findHolder returns where the objects that the request refers to live: the first whose
// place is known. The first of them is remembered for later.
func (f *flight) findHolder() (at location) {
	seen := 0
	look := func(id string) bool {
		if f.storedID == "" {
			f.storedID = id
		}
		at = f.g.pins.find(id)
		seen++
		return at == location{} && seen < maxIDsPerRequest
	}
	defer func() { f.call.Stored = f.storedID != "" }()
	if id := f.call.Path.ResourceID; id != "" && !look(id) {
		return at
	}
	if id := f.call.Ask.PreviousResponseID; id != "" && !look(id) {
		return at
	}
	if f.req.API != spillway.APIOther && f.req.API != spillway.APIResponses {
		return at
	}
	for segment := range strings.SplitSeq(f.call.Path.Operation, "/") {
		if wire.IsStoredID(segment) && !look(segment) {
			return at
		}
	}
	if f.body == nil {
		return at
	}
	body := f.body.B
	for _, part := range [...][]byte{body[:min(len(body), maxScanBytes)], body[max(min(len(body), maxScanBytes), len(body)-maxScanBytes):]} {
		more := true
		wire.StoredIDs(part, func(id []byte) bool {
			more = look(string(id))
			return more
		})
		if !more {
			return at
		}
	}
	return at
}

// rememberPin remembers that the deployment of a holds the objects that data, a
// response or the beginning of one, names, and the one that the request refers to.
func (f *flight) rememberPin(a *upstream.Attempt, data []byte) {
	if f.req.API != spillway.APIResponses && f.req.API != spillway.APIOther || a.Response().StatusCode/100 != 2 {
		return
	}
	at := location{f.pool.name, a.Deployment().Name()}
	f.g.pins.remember(f.storedID, at)
	seen := 0
	wire.StoredIDs(data, func(id []byte) bool {
		f.g.pins.remember(string(id), at)
		seen++
		return seen < maxIDsPerResponse
	})
}

// rememberRelayed is rememberPin for a piece of a response that is relayed, if that is
// JSON: anything else is the content of an object.
func (f *flight) rememberRelayed(a *upstream.Attempt, piece []byte) {
	if a.Form() == upstream.Relayed && strings.Contains(a.Response().Header.Get(wire.HeaderContentType), "json") {
		f.rememberPin(a, piece)
	}
}

// StoredObject says which deployment holds a stored object, such as a response.
type StoredObject struct {
	ID         string `json:"id"`
	Pool       string `json:"pool"`
	Deployment string `json:"deployment"`
}

// StoredObjects returns the objects whose deployment is remembered, those that were used
// last at the end, if that has changed since the version; and the version now.
func (g *Gateway) StoredObjects(since uint64) (list []StoredObject, version uint64) {
	p := &g.pins
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.version == since {
		return nil, since
	}
	list = make([]StoredObject, 0, len(p.previous)+len(p.recent))
	for id, at := range p.previous {
		if _, again := p.recent[id]; !again {
			list = append(list, StoredObject{id, at.pool, at.deployment})
		}
	}
	for id, at := range p.recent {
		list = append(list, StoredObject{id, at.pool, at.deployment})
	}
	return list, p.version
}

// RestoreStoredObjects remembers objects of before. Those whose pool or deployment is
// gone are ignored. It returns how many it remembers.
func (g *Gateway) RestoreStoredObjects(list []StoredObject) (restored int) {
	s := g.snap.Load()
	for _, o := range list {
		if len(o.ID) <= maxIDBytes && s.pool(o.Pool) != nil && s.deployments[o.Deployment] != nil {
			g.pins.remember(strings.Clone(o.ID), location{o.Pool, o.Deployment})
			restored++
		}
	}
	return restored
}
