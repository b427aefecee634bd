package gateway

import (
	"cmp"
	"errors"
	"net/http"
	"runtime/debug"
	"strings"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/clientconn"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// ServeHTTP serves one request. It aborts the connection, by panicking with
// http.ErrAbortHandler, when a response cannot be ended validly.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.serveHealth(w, r) {
		return
	}
	f := &flight{g: g, snap: g.snap.Load(), r: r, accepted: g.deps.Now()}
	f.call.ID, f.call.Context = g.deps.RequestID(), r.Context()
	f.out.Init(w, r, clientconn.Options{Now: g.deps.Now, WriteTimeout: f.snap.limits.WriteTimeout})
	if refused := f.enter(); refused != nil {
		_, _ = f.identify() // for the record
		f.reject(refused)
		f.out.EndResponse(true)
		return
	}
	detached := false
	defer func() {
		if !detached {
			g.inFlight.Leave()
		}
	}()
	if detached = f.serve(); detached {
		go f.serveDetached()
		return
	}
	f.out.EndResponse(!f.aborted && f.out.Status() != 0) // a client that has left gets no empty 200
}

// enter counts the request as in flight, unless there are too many or memory is
// scarce. A connection would take memory as well, so it is closed then.
func (f *flight) enter() *wire.Error {
	if f.g.deps.Scarce(f.accepted) {
		if f.r.ProtoMajor == 1 {
			f.out.Header()["Connection"] = []string{"close"}
		}
		return new(memoryScarce())
	}
	if !f.g.inFlight.Enter(f.snap.limits.MaxInFlight) {
		return new(overloaded())
	}
	return nil
}

// serve serves the request and recovers from panics. It reports
// whether the flight was detached: then the handler must return.
func (f *flight) serve() (detached bool) {
	defer func() {
		if p := recover(); p != nil {
			f.onPanic(p)
		}
	}()
	local, e := f.admit()
	switch {
	case e != nil:
		f.reject(e)
	case local:
	default:
		if f.req.Stream {
			f.call.Context = f.out.PrepareDetach()
		}
		if f.run() {
			return true
		}
		f.writeResponse()
		f.finish()
	}
	return false
}

// admit authenticates the caller, parses the request and selects the pool. It
// reports local if it has served the request itself, without a deployment.
func (f *flight) admit() (local bool, refused *wire.Error) {
	path, known := wire.ParsePath(f.r.URL.EscapedPath(), f.r.URL.RawQuery)
	if path.API == spillway.APIChat && f.r.Method == http.MethodGet {
		path.API = spillway.APIOther // the list of stored completions
	}
	f.call.Path = path
	f.req.ID, f.req.TraceParent = f.call.ID, wire.TraceParent(f.r.Header)
	who, refused := f.identify()
	if !relayed(f.r.Method) {
		return false, f.wrongMethod(relayedMethods) // also without a key: browsers send no key with OPTIONS
	}
	if refused != nil {
		return false, refused
	}
	if !known {
		return false, new(wire.UnknownPath())
	}
	f.req.Route = path.Route()
	if wire.WantsWebSocket(f.r.Header) {
		return false, new(wire.NoWebSocket())
	}
	if e := who.access.check(&path, f.r.Method); e != nil {
		return false, e
	}
	if f.serveModels(who.access) {
		return true, nil
	}
	if path.API != spillway.APIOther && f.r.Method != http.MethodPost {
		return false, f.wrongMethod(http.MethodPost)
	}
	hints, err := wire.ClientHints(f.r.Header)
	if err != nil {
		return false, badRequest(err)
	}
	if e := f.readBody(); e != nil {
		return false, e
	}
	if e := f.readAsk(&hints); e != nil {
		return false, e
	}
	if who.tenant != "" {
		f.req.Tenant = who.tenant // what the client says counts only where nothing is configured
	}
	return false, f.choosePool(who.access)
}

// relayedMethods are the methods that relayed accepts, for clients.
const relayedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"

// relayed reports whether deployments get requests with the method. TRACE has the
// peer return the request, with the gateway's own key in it; what unknown methods do
// is unknown; and OPTIONS comes from browsers, which should not have a key.
func relayed(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return true
	}
	return false
}

// wrongMethod refuses a method other than those allowed, which are separated by
// commas.
func (f *flight) wrongMethod(allowed string) *wire.Error {
	f.out.Header()["Allow"] = []string{allowed}
	return new(wire.WrongMethod(f.r.Method, allowed))
}

// identify finds the caller of the request by its key.
func (f *flight) identify() (identity, *wire.Error) {
	size := headerBytes(f.r)
	if limit := f.snap.limits.MaxHeaderBytes; size > limit {
		return identity{}, new(headerTooLarge(limit))
	}
	who, err := f.snap.keys.identify(f.r.Header)
	if err != nil {
		return identity{}, new(wire.Unauthorized(f.call.Path.Family))
	}
	f.req.Caller, f.req.Class = who.name, who.class
	f.out.Accepted()
	if who.name != anonymousName {
		f.out.Authenticated(size)
	}
	return who, nil
}

// headerBytes is the size of a request's header as HTTP/1.1 writes it, about.
func headerBytes(r *http.Request) int {
	size := len(r.Method) + len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	return size
}

// readAsk reads what the body asks for.
func (f *flight) readAsk(hints *wire.Hints) *wire.Error {
	var body []byte
	if f.body != nil {
		body = f.body.B
	}
	ask, err := wire.ReadAsk(f.call.Path.API, body)
	if err != nil {
		return f.badBody(err)
	}
	if ask.API == spillway.APIOther && len(body) > 0 && ask.Model == "" {
		if err := ask.ReadForm(f.r.Header.Get(wire.HeaderContentType), body); err != nil {
			return badRequest(err)
		}
	}
	f.call.Ask, f.includesUsage = &ask, ask.IncludeUsage
	ask.Fill(&f.req)
	f.req.Unsized = wire.Unsized(ask.API, body)
	f.req.Stream = ask.Stream && ask.API.Generates()
	f.req.CanStream = ask.API.Generates() && !ask.Background && !ask.Unstreamable
	hints.Fill(&f.req)
	return nil
}

// badBody is badRequest for an error of the body, which may be in another character
// encoding than JSON's.
func (f *flight) badBody(err error) *wire.Error {
	var bad *wire.BadRequest
	if errors.As(err, &bad) && bad.Code == wire.CodeInvalidJSON {
		if charset := wire.Charset(f.r.Header); charset != "" {
			return new(wire.UnsupportedEncoding(charset))
		}
	}
	return badRequest(err)
}

// choosePool finds the pool that the path or the body names, or that holds
// the stored response which the request refers to. A pool that the caller may not
// use is as unknown as one that does not exist.
func (f *flight) choosePool(access *permissions) *wire.Error {
	name := f.call.Path.Deployment
	if name == "" {
		name = f.call.Ask.Model
	}
	at := f.findHolder()
	switch holder := access.usable(f.snap.pool(at.pool)); {
	case name != "":
		f.pool = access.usable(f.snap.byModel[name])
	case holder != nil:
		f.pool = holder
	default:
		f.pool = f.snap.defaultPool(access)
	}
	f.req.Model = name
	if f.pool == nil {
		switch {
		case name != "":
			f.req.Model = strings.ToValidUTF8(name[:min(len(name), maxUnknownName)], "")
			return new(wire.UnknownModel(f.call.Path.Family, name))
		case f.call.Path.API == spillway.APIOther:
			return new(noModel())
		}
		return badRequest(&wire.BadRequest{Code: "missing_required_parameter", Param: "model", Message: "you must provide a model parameter"})
	}
	if name == "" {
		f.req.Model = f.pool.name
	}
	if at.pool == f.pool.name {
		f.req.Pin = at.deployment
	}
	return nil
}

// maxUnknownName bounds the recorded length of an unknown model name.
const maxUnknownName = 128

func badRequest(err error) *wire.Error {
	var bad *wire.BadRequest
	if !errors.As(err, &bad) {
		bad = &wire.BadRequest{Code: wire.CodeInvalidJSON, Message: err.Error()}
	}
	return new(bad.ErrorResponse())
}

// reject answers a request with an error before it reaches a pool, and records
// it.
func (f *flight) reject(e *wire.Error) {
	outcome, status := spillway.OutcomeRefusedInvalid, e.Status
	switch {
	case f.out.Gone():
		outcome, status = spillway.OutcomeClientGone, spillway.StatusClientGone
	case e.Status == http.StatusServiceUnavailable:
		outcome = spillway.OutcomeRefusedQueue
	}
	if f.body == nil {
		f.out.SkipBody()
	}
	f.dropBody()
	f.writeError(*e)
	f.record(outcome, status, spillway.RefusalCode(e.Code))
}

// record records a request that did not reach a pool.
func (f *flight) record(outcome spillway.Outcome, status int, refusal spillway.RefusalCode) {
	rec := spillway.Record{
		ID: f.call.ID, Time: f.accepted, Caller: f.req.Caller, Tenant: f.req.Tenant, Model: f.req.Model,
		Route: f.req.Route, API: f.call.Path.API, Stream: f.req.Stream, Choices: 1, AskTokens: f.req.AskTokens,
		ServiceTier: f.req.ServiceTier, Outcome: outcome, Refusal: refusal, Status: status,
		TraceParent: f.req.TraceParent, E2E: f.g.deps.Now().Sub(f.accepted),
	}
	if f.req.Class != nil {
		rec.Class, rec.Mode = f.req.Class.Name, f.req.Class.Budget.Mode
	}
	if f.req.Caller == "" {
		f.g.deps.Unauthenticated.Record(&rec)
		return
	}
	f.g.deps.Recorder.Record(&rec)
}

// finish stops the attempts, records the request, and releases the flight in
// the engine.
func (f *flight) finish() {
	f.stopAttempts()
	rec := f.core.Record()
	if status := f.out.Status(); status != 0 && !f.begunEarly { // else the client knows it by an event
		rec.Status = status
	}
	if f.undelivered {
		rec.Outcome, rec.Status = spillway.OutcomeUpstreamError, http.StatusBadGateway
	}
	f.recordResponses(rec)
	if a := f.deliveredAttempt(); a != nil {
		if a.MaxGap() > 0 {
			rec.TBTMax = a.MaxGap()
		}
		if a.WithheldStatus() > 0 {
			f.ourWords(wire.WithheldResponse(a.WithheldStatus()))
		}
	}
	f.g.deps.Recorder.Record(rec)
	f.pool.release(f)
}

// recordResponses adds what the core need not know of the attempts' responses.
func (f *flight) recordResponses(rec *spillway.Record) {
	for _, a := range f.attempts {
		t := &rec.Attempts[a.Number()-1]
		t.UpstreamRequestID, t.ServedRegion = a.RequestID(), a.Region()
		if t.Class != spillway.FailureNone {
			t.Error = cmp.Or(a.ErrorText(), endedBecause(t.Class))
		}
	}
}

// endedBecause is why the gateway itself ended an attempt with that failure.
func endedBecause(class spillway.FailureClass) string {
	switch class {
	case spillway.FailureSlow:
		return "the gateway ended the attempt: the deployment is too slow"
	case spillway.FailureOversized:
		return "the gateway ended the attempt: more output than the time allows"
	case spillway.FailureCut:
		return "the gateway ended the attempt: nothing more of the response came"
	}
	return ""
}

// deliveredAttempt returns the attempt whose response the client got, or nil.
func (f *flight) deliveredAttempt() *upstream.Attempt {
	if f.forwarded != nil {
		return f.forwarded
	}
	if k := f.verdict.Attempt; k > 0 {
		return f.attempt(k)
	}
	return nil
}

// onPanic ends a request that panicked: its flight settles, so that what it
// holds returns, and its client gets an error.
func (f *flight) onPanic(p any) {
	cause, stack := p, debug.Stack()
	if c, ok := p.(*upstream.Panic); ok {
		cause, stack = c.Cause, c.Stack
	}
	f.disarmWakeTimer()
	f.g.deps.Logger.Error("request panicked", "request_id", f.call.ID, "panic", cause, "stack", string(stack))
	if f.out.Status() == 0 {
		clear(f.out.Header())
		f.writeError(internalError())
	} else {
		f.aborted = true
	}
	defer func() {
		if p := recover(); p != nil { // the engine panicked
			f.g.deps.Logger.Error("engine panicked while settling, flight lost", "request_id", f.call.ID, "panic", p)
		}
	}()
	if f.core == nil {
		f.stopAttempts()
		f.record(spillway.OutcomeUpstreamError, f.out.Status(), "")
		return
	}
	if !f.settled {
		f.pool.on(f, spillway.Event{Kind: spillway.EventGone})
	}
	rec := f.core.Record()
	rec.Outcome = spillway.OutcomeUpstreamError
	f.finish()
}
