package azuresim

import (
	"strings"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// storedResponse is a response that later requests may read or continue.
type storedResponse struct {
	id      string
	body    []byte // when it has ended
	input   []byte // as the client sent it
	history string // the conversation so far, as prompt text
	pending *background
}

// background is a response that its client does not wait for. What it is at a time
// follows from its plan.
type background struct {
	dep                        *deployment
	plan                       fleet.Plan
	began                      time.Time
	end                        time.Duration
	queued, running, cancelled []byte // bodies
	stopped                    bool
}

func (r *storedResponse) size() int {
	n := len(r.body) + len(r.input) + len(r.history)
	if b := r.pending; b != nil {
		n += len(b.queued) + len(b.running) + len(b.cancelled)
	}
	return n
}

func (r *storedResponse) json(now time.Time) []byte {
	b := r.pending
	switch {
	case b == nil:
		return r.body
	case b.stopped:
		return b.cancelled
	case now.Sub(b.began) < b.plan.Headers:
		return b.queued
	case now.Sub(b.began) < b.end:
		return b.running
	}
	return r.body
}

// keep stores a response that has been composed, for GET and previous_response_id,
// and adds it to its conversation.
func (r *responses) keep(object []byte) {
	if r.x.offline {
		return
	}
	q, st := r.g.response, &r.x.res.store
	st.do(func() {
		if c, ok := lookup[*conversation](st, q.conversation); ok {
			ids, items := inputItems(q.Input, r.id)
			c.add(st, ids, items)
			c.add(st, r.itemIDs, r.items)
		}
		if !q.stores() {
			return
		}
		var history strings.Builder
		if previous, ok := lookup[*storedResponse](st, q.PreviousResponseID); ok {
			history.WriteString(previous.history)
		}
		history.Write(q.Input)
		history.Write(r.said)
		st.put(r.id, &storedResponse{
			id: r.id, body: append([]byte(nil), object...), input: q.Input, history: history.String(), pending: r.pending,
		})
		for _, id := range r.itemIDs {
			st.keepItem(id)
		}
	})
}

// background reports whether the client does not wait for the response.
func (g *generation) background() bool {
	return g.response != nil && g.response.Background && !g.stream
}

// inBackground answers at once and lets the response come about with time.
func (x *exchange) inBackground(g *generation, answers []answer, r *responses) {
	p := &x.plan
	b := &background{dep: x.dep, plan: *p, began: x.pace.began, end: p.End}
	b.queued = r.object(nil, "queued", nil)
	b.running = r.object(nil, "in_progress", nil)
	b.cancelled = r.object(nil, "cancelled", nil)
	r.pending = b
	produced := p.OutputTokens
	if at, broken := p.BreakAt(); broken && at < p.End {
		b.end, produced = at, min(p.Break.AtToken, p.OutputTokens)
		r.failure = `{"code":"server_error","message":"The model failed to generate a response."}`
		r.keep(r.object(nil, "failed", nil))
	} else {
		u := x.usage(g, p.OutputTokens)
		u.Known = !p.NoUsage
		r.appendWhole(nil, answers, p.OutputTokens-p.ReasoningTokens, p.Finish, u)
	}
	x.dep.completeAt(ending{at: b.began.Add(b.end), id: p.ID, tokens: produced * p.Choices})
	x.dep.count(200)
	x.write(b.queued)
}

func noResponse(id string) error { return missing("Response with id '"+id+"' not found.", "") }

func (x *exchange) getResponse([]byte) error { return show[*storedResponse](x, noResponse) }

func (x *exchange) deleteResponse([]byte) error {
	return remove[*storedResponse](x, "response", noResponse)
}

// cancelResponse stops a background response.
func (x *exchange) cancelResponse([]byte) error {
	var body []byte
	var found bool
	var stopped *background
	now := x.s.clock.now()
	x.res.store.do(func() {
		var r *storedResponse
		if r, found = lookup[*storedResponse](&x.res.store, x.id); !found {
			return
		}
		if b := r.pending; b != nil && !b.stopped && now.Sub(b.began) < b.end {
			b.stopped, stopped = true, b
		}
		if r.pending != nil {
			body = r.json(now)
		}
	})
	switch {
	case !found:
		return noResponse(x.id)
	case body == nil:
		return &badRequest{message: "Cannot cancel a synchronous response."}
	case stopped != nil:
		stopped.dep.complete(&x.s.clock, stopped.plan.ID, stopped.plan.TokensAt(now.Sub(stopped.began))*stopped.plan.Choices)
	}
	x.write(body)
	return nil
}

// listInputItems lists what a response answered, newest first.
func (x *exchange) listInputItems([]byte) error {
	var input []byte
	found := false
	x.res.store.do(func() {
		var r *storedResponse
		if r, found = lookup[*storedResponse](&x.res.store, x.id); found {
			input = r.input
		}
	})
	if !found {
		return noResponse(x.id)
	}
	ids, items := inputItems(input, x.id)
	return x.writeList(reversed(ids), reversed(items))
}
