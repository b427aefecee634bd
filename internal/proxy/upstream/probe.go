package upstream

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"

	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// ProbeResult is what a deployment returned to Probe.
type ProbeResult struct {
	OK     bool // the endpoint, the credential, and the name of the deployment are right
	Status int  // 0 when there was no response
	// Text is the error, or the message of the response; it contains no credential.
	Text string
	Hint string // what to check; "" for a deployment that is OK
}

// maxProbeBytes bounds how much of a response is read.
const maxProbeBytes = 64 << 10

// Probe asks the deployment for a completion without messages, which needs the right
// endpoint, credential, and deployment, and generates nothing: a deployment refuses it
// with status 400. model is sent where the deployment names none.
func (d *Deployment) Probe(ctx context.Context, model string) ProbeResult {
	path, _ := wire.ParsePath("/openai/v1/chat/completions", "")
	body, err := json.Marshal(struct {
		Model     string   `json:"model"`
		Messages  []string `json:"messages"`
		MaxTokens int      `json:"max_tokens"`
	}{cmp.Or(d.target.Deployment, model), []string{}, 1})
	if err != nil {
		return ProbeResult{Text: err.Error()}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url(path, "").String(), bytes.NewReader(body))
	if err != nil {
		return ProbeResult{Text: err.Error(), Hint: "check the endpoint"}
	}
	maps.Copy(req.Header, d.header)
	req.Header.Set(wire.HeaderContentType, "application/json")
	if d.credential != nil {
		if err := d.credential.Apply(req.Header); err != nil {
			e := d.errorText(&credentialError{err})
			return ProbeResult{Text: e.Text, Hint: e.Hint}
		}
	}
	resp, err := d.transport.main.RoundTrip(req)
	if err != nil {
		e := d.errorText(err)
		return ProbeResult{Text: e.Text, Hint: cmp.Or(e.Hint, "check the endpoint and the network")}
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxProbeBytes)) // the status alone decides, if need be
	return d.probed(resp.StatusCode, text)
}

// probed reads the response to a probe.
func (d *Deployment) probed(status int, body []byte) ProbeResult {
	r := ProbeResult{Status: status}
	fault := wire.ScanFault(body)
	if fault != nil {
		r.Text = fault.Message
	} else if status >= http.StatusBadRequest {
		r.Text, _ = wire.ReadErrorBody(body)
	}
	r.Text = d.redact(strings.Join(strings.Fields(r.Text), " "))
	missing := bytes.Contains(body, []byte(wire.CodeDeploymentNotFound)) || bytes.Contains(body, []byte(wire.CodeModelNotFound))
	switch {
	case missing:
		r.Hint = "no such deployment or model at this endpoint: check deployment and model"
	case status == http.StatusUnauthorized:
		r.Hint = "the credential is refused: check auth, and that the key belongs to this endpoint"
	case status == http.StatusForbidden:
		r.Hint = "access is refused: check the permissions of the credential, and the network rules of the endpoint"
	case status == http.StatusNotFound && fault != nil && strings.Contains(fault.Message, "not a chat model"):
		r.OK = true
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		r.Hint = "no such path at this endpoint: check endpoint, style and api_version"
	case status/100 == 3:
		r.Hint = "the endpoint redirects: check endpoint"
	case status >= http.StatusInternalServerError:
		r.Hint = "the service fails: try again, and check its health"
	case status != http.StatusTooManyRequests && !json.Valid(body):
		r.Hint = "the response is not JSON, so this is no model's API: check endpoint"
	default: // such as 400, for the missing messages, or 429
		r.OK = true
	}
	return r
}
