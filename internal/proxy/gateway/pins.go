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
	mu               sync.Mutex
	recent, previous map[string]location
}

// location is where a stored response lives.
type location struct{ pool, deployment string }

// remember remembers where the response id lives.
func (p *pins) remember(id string, at location) {
	if id == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.store(id, at)
}

// find returns where the response id lives; the zero pin when that is unknown.
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
	p.recent[id] = at
}

// responseMark begins the identifier of a stored response.
var responseMark = []byte(`"resp_`) // constant

// markWithin is how far from its beginning a response names its identifier.
const markWithin = 2 << 10

// rememberPin remembers that the deployment of a holds the response that data, a
// response or the beginning of a stream, describes. The identifier is the first
// of its kind there.
func (f *flight) rememberPin(a *upstream.Attempt, data []byte) {
	if f.req.API != spillway.APIResponses {
		return
	}
	_, rest, found := bytes.Cut(data[:min(len(data), markWithin)], responseMark)
	if !found {
		return
	}
	if id, _, closed := bytes.Cut(rest, []byte{'"'}); closed {
		f.g.pins.remember("resp_"+string(id), location{f.pool.name, a.Deployment().Name()})
	}
}
