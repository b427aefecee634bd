package upstream

import (
	"bytes"
	"net/http"

	spillway "github.com/spillway-ai/spillway"
)

// completionTokens names the only token limit that reasoning models take in chat.
var completionTokens = []byte("max_completion_tokens") // constant

// tokenLimit is what an attempt knows of max_tokens in chat.
type tokenLimit struct {
	sends   bool // the request has it
	refused bool // the deployment has refused it
}

// exchangeLimit is exchange. A deployment that refuses max_tokens, because its model
// is a reasoning model, is asked again with max_completion_tokens.
func (a *Attempt) exchangeLimit() (*http.Response, error) {
	resp, err := a.exchange()
	if err != nil || !a.tokenLimit.sends || resp.StatusCode != http.StatusBadRequest && resp.StatusCode != http.StatusUnprocessableEntity {
		return resp, err
	}
	if a.head == nil {
		a.readError(resp)
	}
	if a.headTruncated || !bytes.Contains(a.head.B, completionTokens) {
		return resp, nil
	}
	resp.Body.Close()
	a.releaseConn()
	a.head.Release()
	a.head = nil
	a.tokenLimit.refused = true
	a.encode()
	resp, err = a.exchange()
	if err == nil && resp.StatusCode == http.StatusOK {
		a.deployment.endpoint.refusesMaxTokens.Store(true)
	}
	return resp, err
}

// needsCompletionTokens reports whether the deployment takes only
// max_completion_tokens in chat, as far as is known. A request that has no limit or
// uses that field already cannot be refused for it.
func (a *Attempt) needsCompletionTokens() bool {
	needs := a.deployment.reasoning || a.tokenLimit.refused || a.deployment.endpoint.refusesMaxTokens.Load()
	a.tokenLimit.sends = !needs && a.call.API == spillway.APIChat && a.call.Ask.TokenField != string(completionTokens) &&
		(a.grant > 0 || a.call.Ask.TokenField != "")
	return needs
}
