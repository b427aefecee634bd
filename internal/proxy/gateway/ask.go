package gateway

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"strconv"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// patchRoom is what a patch can add to a body, with names of usual length.
const patchRoom = 256

// ask sends the request and returns the response's headers. A deployment that
// refuses stream_options, as old api-versions do, is asked again without.
func (a *attempt) ask() (*http.Response, error) {
	resp, err := a.roundTrip()
	if err != nil || resp.StatusCode != http.StatusBadRequest || !a.asksUsage || a.f.ask.SetsStreamOptions() {
		return resp, err
	}
	a.readError(resp)
	if a.overrun || !bytes.Contains(a.head.B, []byte("stream_options")) {
		return resp, nil
	}
	resp.Body.Close()
	a.head.Release()
	a.head = nil
	a.refusedUsage = true
	a.encode()
	resp, err = a.roundTrip()
	if err == nil && resp.StatusCode == http.StatusOK {
		a.up.noUsage.Store(true) // it was that, and will be again
	}
	return resp, err
}

// roundTrip sends the request to the deployment.
func (a *attempt) roundTrip() (*http.Response, error) {
	req, err := a.request()
	if err != nil {
		return nil, err
	}
	return a.up.gate.roundTrip(a.up.transport, req)
}

// request returns the request for the deployment.
func (a *attempt) request() (*http.Request, error) {
	f := a.f
	header := make(http.Header, min(len(f.r.Header)+len(a.up.header)+2, 8)) // a larger map is twice as large, and lives as long as a stream
	wire.CopyRequestHeader(header, f.r.Header)
	maps.Copy(header, a.up.header)
	header[wire.HeaderHops] = []string{strconv.Itoa(f.req.Hops + 1)}
	if a.up.credential != nil {
		if err := a.up.credential.Apply(header); err != nil {
			return nil, &credentialError{err}
		}
	}
	req := &http.Request{
		Method: f.r.Method,
		URL:    a.up.url(f.path, f.r.URL.RawQuery),
		Host:   a.up.base.Host,
		Header: header,
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if _, named := header["User-Agent"]; !named {
		header["User-Agent"] = []string{""} // keeps the transport from adding its own
	}
	if body := a.encoded; body != nil {
		req.ContentLength = int64(len(body.B))
		// A stream holds on to its request, so it had better not be to the body.
		atOnce := a.up.gate.apart.Load() && a.shape != shapeStream
		req.Body = body.Reader(atOnce)
		req.GetBody = func() (io.ReadCloser, error) { return a.encoded.Reader(atOnce), nil }
	}
	return req.WithContext(a.ctx), nil
}

// credentialError is a failure to authenticate: no request was sent.
type credentialError struct{ cause error }

func (e *credentialError) Error() string {
	return "authenticating to the deployment: " + e.cause.Error()
}
func (e *credentialError) Unwrap() error { return e.cause }

// encode sets the body for this deployment: the client's own bytes, or a
// patched copy.
func (a *attempt) encode() {
	f := a.f
	if a.body == nil {
		return
	}
	a.encoded.Release()
	api, streams := f.req.API, a.shape == shapeStream || a.shape == shapeAssembled
	wantUsage := streams && !a.refusedUsage && !a.up.noUsage.Load()
	a.asksUsage = wantUsage && !f.ask.IncludeUsage && (api == spillway.APIChat || api == spillway.APICompletions)
	patch := wire.Patch{
		SetStream:    a.shape == shapeAssembled,
		Stream:       true,
		TokenField:   wire.TokenField(api, a.up.reasoning, f.ask),
		Tokens:       a.grant,
		IncludeUsage: wantUsage,
	}
	if a.up.target.ModelInBody(f.path) {
		patch.Model = a.up.target.Deployment
	}
	room := f.g.buffers.GetBody(len(a.body.B) + patchRoom)
	patched := f.ask.Patch(room.B, a.body.B, patch)
	if len(patched) == 0 || &patched[0] == &a.body.B[0] {
		room.Release()
		a.encoded = a.body.Retain()
		return
	}
	room.B = patched
	a.encoded = room
}

// isEventStream reports whether a response is a stream of events.
func isEventStream(h http.Header) bool {
	const kind = "text/event-stream"
	v := h["Content-Type"]
	return len(v) > 0 && len(v[0]) >= len(kind) && v[0][:len(kind)] == kind
}
