package gateway

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"strconv"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/wire"
)

// patchRoom is what a patch can add to a body, with names of usual length.
const patchRoom = 256

// ask sends the request and returns the response's headers. A deployment that
// refuses stream_options, as old api-versions do, is asked again without.
func (a *attempt) ask() (*http.Response, error) {
	wantUsage := !a.up.noUsage.Load()
	resp, err := a.roundTrip(wantUsage)
	if err != nil || resp.StatusCode != http.StatusBadRequest || !wantUsage || !a.asksUsage() {
		return resp, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, a.f.snap.limits.MaxErrorBytes))
	if err == nil && bytes.Contains(body, []byte("stream_options")) {
		a.up.noUsage.Store(true)
		resp.Body.Close()
		return a.roundTrip(false)
	}
	resp.Body = &rereadBody{Reader: io.MultiReader(bytes.NewReader(body), resp.Body), Closer: resp.Body}
	return resp, nil
}

// rereadBody is a body whose beginning has been read and is read again.
type rereadBody struct {
	io.Reader
	io.Closer
}

// asksUsage reports whether we put stream_options into the request.
func (a *attempt) asksUsage() bool {
	api := a.f.req.API
	streams := a.shape == shapeStream || a.shape == shapeAssembled
	return streams && !a.f.ask.IncludeUsage && (api == spillway.APIChat || api == spillway.APICompletions)
}

// roundTrip encodes the request for the deployment and sends it.
func (a *attempt) roundTrip(wantUsage bool) (*http.Response, error) {
	f := a.f
	header := make(http.Header, len(f.r.Header)+len(a.up.header)+2)
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
	if a.body != nil {
		body := a.encode(wantUsage)
		defer body.drop()
		req.ContentLength = int64(len(body.b))
		req.Body = body.reader()
		req.GetBody = func() (io.ReadCloser, error) { return body.reader(), nil }
	}
	return a.up.transport.RoundTrip(req.WithContext(a.ctx))
}

// credentialError is a failure to authenticate: no request was sent.
type credentialError struct{ cause error }

func (e *credentialError) Error() string {
	return "authenticating to the deployment: " + e.cause.Error()
}
func (e *credentialError) Unwrap() error { return e.cause }

// encode returns the body for this deployment: the client's own bytes, or a
// patched copy. The caller drops it.
func (a *attempt) encode(wantUsage bool) *buffer {
	f := a.f
	patch := wire.Patch{
		SetStream:    a.shape == shapeAssembled,
		Stream:       true,
		TokenField:   wire.TokenField(f.req.API, a.up.reasoning, &f.ask),
		Tokens:       a.grant,
		IncludeUsage: wantUsage && (a.shape == shapeAssembled || a.shape == shapeStream),
	}
	if a.up.target.ModelInBody(f.path) {
		patch.Model = a.up.target.Deployment
	}
	a.strip = a.shape == shapeStream && wantUsage && a.asksUsage()
	room := f.g.buffers.getBody(len(a.body.b) + patchRoom)
	patched := f.ask.Patch(room.b, a.body.b, patch)
	if len(patched) == 0 || &patched[0] == &a.body.b[0] {
		room.drop()
		return a.body.hold()
	}
	room.b = patched
	return room
}

// isEventStream reports whether a response is a stream of events.
func isEventStream(h http.Header) bool {
	const kind = "text/event-stream"
	v := h["Content-Type"]
	return len(v) > 0 && len(v[0]) >= len(kind) && v[0][:len(kind)] == kind
}
