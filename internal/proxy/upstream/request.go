package upstream

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"strconv"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// patchRoom is what a patch can add to a body, with names of usual length.
const patchRoom = 256

// exchange sends the request and returns the response's headers. A deployment that
// refuses stream_options, as old api-versions do, is asked again without.
func (a *Attempt) exchange() (*http.Response, error) {
	resp, err := a.roundTrip()
	if err != nil || resp.StatusCode != http.StatusBadRequest || !a.asksUsage || a.call.Ask.SetsStreamOptions() {
		return resp, err
	}
	a.readError(resp)
	if a.headTruncated || !bytes.Contains(a.head.B, []byte("stream_options")) {
		return resp, nil
	}
	resp.Body.Close()
	a.releaseConn()
	a.head.Release()
	a.head = nil
	a.refusedUsage = true
	a.encode()
	resp, err = a.roundTrip()
	if err == nil && resp.StatusCode == http.StatusOK {
		a.deployment.endpoint.refusesUsage.Store(true) // it was that, and will be again
	}
	return resp, err
}

// request returns the request for the deployment.
func (a *Attempt) request(ctx context.Context) (*http.Request, error) {
	c, d := a.call, a.deployment
	header := make(http.Header, min(len(c.Header)+len(d.header)+2, 8)) // a larger map is twice as large, and lives as long as a stream
	wire.CopyRequestHeader(header, c.Header)
	maps.Copy(header, d.header)
	header["Accept-Encoding"] = identity
	header[wire.HeaderHops] = []string{strconv.Itoa(c.Hops + 1)}
	if d.credential != nil {
		if err := d.credential.Apply(header); err != nil {
			return nil, &credentialError{err}
		}
	}
	req := &http.Request{
		Method: c.Method,
		URL:    d.url(c.Path, c.RawQuery),
		Host:   d.base.Host,
		Header: header,
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if _, named := header["User-Agent"]; !named {
		header["User-Agent"] = []string{""} // keeps the transport from adding its own
	}
	if body := a.encoded; body != nil {
		req.ContentLength = int64(len(body.B))
		// A stream holds on to its request, so it had better not be to the body.
		oneWrite := d.endpoint.dials.unshared.Load() && a.form != Streamed
		req.Body = body.Reader(oneWrite)
		req.GetBody = func() (io.ReadCloser, error) { return a.encoded.Reader(oneWrite), nil }
	}
	return req.WithContext(ctx), nil
}

// encode sets the body for this deployment: the client's own bytes, or a
// patched copy.
func (a *Attempt) encode() {
	c, d := a.call, a.deployment
	if a.body == nil {
		return
	}
	a.encoded.Release()
	api, streams := c.API, a.form == Streamed || a.form == Assembled
	wantUsage := streams && !a.refusedUsage && !d.endpoint.refusesUsage.Load()
	a.asksUsage = wantUsage && !c.Ask.IncludeUsage && (api == spillway.APIChat || api == spillway.APICompletions)
	patch := wire.Patch{
		SetStream:    a.form == Assembled,
		Stream:       true,
		TokenField:   wire.TokenField(api, d.reasoning, c.Ask),
		Tokens:       a.grant,
		IncludeUsage: wantUsage,
	}
	if d.target.ModelInBody(c.Path) {
		patch.Model = d.target.Deployment
	}
	room := c.Buffers.GetBody(len(a.body.B) + patchRoom)
	patched := c.Ask.Patch(room.B, a.body.B, patch)
	if len(patched) == 0 || &patched[0] == &a.body.B[0] {
		room.Release()
		a.encoded = a.body.Retain()
		return
	}
	room.B = patched
	a.encoded = room
}
