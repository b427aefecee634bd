package upstream

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// minSecretBytes is the length from which a credential is recognized: a shorter one
// may be an ordinary word.
const minSecretBytes = 8

// withhold removes the credential that we sent from a response that was read into
// head and is not a generated one: an upstream that echoes its requests would give
// it to the caller. An error is replaced by one of our own, and any other body is
// not passed on.
func (a *Attempt) withhold() {
	secret := a.secret()
	if secret == nil {
		return
	}
	for name, values := range a.resp.Header {
		if strings.Contains(strings.Join(values, " "), string(secret)) {
			delete(a.resp.Header, name)
		}
	}
	if !bytes.Contains(a.head.B, secret) {
		return
	}
	a.logWithheld()
	if a.resp.StatusCode/100 == 2 {
		a.headTruncated = true
		return
	}
	a.withheld = a.resp.StatusCode
	e := wire.WithheldResponse(a.withheld)
	e.RequestID = a.call.ID
	a.head.B, a.headTruncated = wire.AppendError(a.head.B[:0], e), false
	a.resp.Header.Del("Content-Encoding")
	a.resp.Header[wire.HeaderContentType] = []string{"application/json"}
}

// withholdFault replaces the error that ended the response if it repeats the
// credential that we sent, and reports whether it did. raw is how it came.
func (a *Attempt) withholdFault(raw []byte) bool {
	secret := a.secret()
	e := a.fault
	if secret == nil || !bytes.Contains(raw, secret) && !strings.Contains(e.Code+"\n"+e.Type+"\n"+e.Message+"\n"+e.Param, string(secret)) {
		return false
	}
	a.logWithheld()
	a.withheld = e.Status
	own := wire.WithheldResponse(a.withheld)
	a.fault = &wire.StreamError{Status: own.Status, Code: own.Code, Type: own.Type, Message: own.Message}
	return true
}

// secret is the credential that requests to the deployment carry; nil for none.
func (a *Attempt) secret() []byte { return a.deployment.secret() }

func (d *Deployment) secret() []byte {
	header := http.Header{}
	if c := d.credential; c == nil || c.Apply(header) != nil {
		return nil
	}
	if key := wire.ClientKey(header); len(key) >= minSecretBytes {
		return []byte(key)
	}
	return nil
}

func (a *Attempt) logWithheld() {
	a.call.Logger.Warn("deployment's error repeats our credential, body withheld", "request_id", a.call.ID, "deployment", a.deployment.name)
}
