package upstream

import (
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
// refuses what the gateway has added to the request is asked again without: for
// stream_options, as old api-versions do, and for a stream that the client did not ask
// for, as models and organizations do that may not stream. One that needs a newer
// api-version, and says which, gets it.
func (a *Attempt) exchange() (*http.Response, error) {
	for {
		resp, err := a.roundTrip()
		if err == nil && resp.StatusCode == http.StatusOK {
			a.learnRefused()
		}
		if err != nil || !a.withoutRefused(resp) && !a.withNewerVersion(resp) {
			return resp, err
		}
	}
}

// withNewerVersion reports whether the deployment has refused the request for its
// api-version, and has named a newer one that it may be sent with. If so, it drops the
// response. What the model needs is remembered.
func (a *Attempt) withNewerVersion(resp *http.Response) bool {
	t := &a.deployment.target
	if resp.StatusCode != http.StatusBadRequest || t.Style != wire.Azure || t.APIVersion != "" || a.call.API != spillway.APIChat {
		return false
	}
	if a.head == nil {
		a.readError(resp)
	}
	if a.headTruncated {
		return false
	}
	since, model := wire.EnabledSince(a.head.B)
	if since <= a.since {
		return false
	}
	a.since = since
	if model {
		a.deployment.endpoint.since.Store(&since)
	}
	resp.Body.Close()
	a.releaseConn()
	a.head.Release()
	a.head = nil
	return true
}

// path is what the client asked, with the api-version that it needs here.
func (a *Attempt) path() wire.Path {
	p := a.call.Path
	if a.call.Ask != nil {
		p.Since = a.call.Ask.Since
	}
	if learned := a.deployment.endpoint.since.Load(); learned != nil {
		p.Since = max(p.Since, *learned)
	}
	p.Since = max(p.Since, a.since)
	return p
}

// withoutRefused reports whether the deployment has refused a member that the gateway
// has added. If so, it drops the response and encodes the request without that member.
func (a *Attempt) withoutRefused(resp *http.Response) bool {
	ownUsage := a.asksUsage && !a.call.Ask.SetsStreamOptions()
	if !wire.MayRefuseMember(resp.StatusCode) || !ownUsage && a.form != Assembled {
		return false
	}
	a.readError(resp)
	if a.headTruncated {
		return false
	}
	switch refused := wire.RefusedMember(a.head.B); {
	case refused == wire.MemberStreamOptions && ownUsage:
		a.refusedUsage = true
	case refused == wire.MemberStream && a.form == Assembled:
		a.refusedStream, a.form = true, Whole
		a.report(a.event(spillway.EventUnstreamed))
	default:
		return false
	}
	resp.Body.Close()
	a.releaseConn()
	a.head.Release()
	a.head = nil
	a.encode()
	return true
}

// learnRefused remembers what the deployment has refused: without that, it has accepted
// the request.
func (a *Attempt) learnRefused() {
	switch e := a.deployment.endpoint; {
	case a.refusedStream:
		e.unstreamed.add(a.model(), a.call.Now())
	case a.refusedUsage:
		e.refusesUsage.Store(true)
	}
}

// model is the model that the request names to the deployment; "" where the deployment
// has only one.
func (a *Attempt) model() string {
	if a.deployment.target.Deployment != "" || a.call.Ask == nil {
		return ""
	}
	return a.call.Ask.Model
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
		URL:    d.url(a.path(), c.RawQuery),
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
		TokenField:   wire.TokenField(api, a.needsCompletionTokens(), c.Ask),
		Tokens:       a.grant,
		IncludeUsage: wantUsage,
	}
	if d.target.ModelInBody(c.Path) && (c.Ask.Model != "" || c.Path.TakesModel()) {
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
