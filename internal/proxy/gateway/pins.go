package gateway

import (
	"bytes"
	"sync"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
)

// maxPins bounds the stored responses whose deployment is remembered.
const maxPins = 65536

// pins remembers which deployment holds which stored response, the newest
// maxPins to 2·maxPins of them: a full young generation becomes the old one,
// and an old entry that is asked for becomes young again. It is safe for
// concurrent use.
type pins struct {
	mu         sync.Mutex
	young, old map[string]location
}

// location is where a stored response lives.
type location struct{ pool, deployment string }

// learn remembers where the response id lives.
func (p *pins) learn(id string, at location) {
	if id == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.put(id, at)
}

// find returns where the response id lives; the zero pin when that is unknown.
func (p *pins) find(id string) location {
	if id == "" {
		return location{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, ok := p.young[id]; ok {
		return at
	}
	at, ok := p.old[id]
	if ok {
		p.put(id, at)
	}
	return at
}

func (p *pins) put(id string, at location) {
	if p.young == nil || len(p.young) >= maxPins {
		p.old, p.young = p.young, make(map[string]location)
	}
	p.young[id] = at
}

// responseMark begins the identifier of a stored response.
var responseMark = []byte(`"resp_`) // constant

// markWithin is how far from its beginning a response names its identifier.
const markWithin = 2 << 10

// learnPin remembers that the deployment of a holds the response that data, an
// response or the beginning of a stream, describes. The identifier is the first
// of its kind there.
func (f *flight) learnPin(a *upstream.Attempt, data []byte) {
	if f.req.API != spillway.APIResponses {
		return
	}
	_, rest, found := bytes.Cut(data[:min(len(data), markWithin)], responseMark)
	if !found {
		return
	}
	if id, _, closed := bytes.Cut(rest, []byte{'"'}); closed {
		f.g.pins.learn("resp_"+string(id), location{f.pool.name, a.Deployment().Name()})
	}
}
