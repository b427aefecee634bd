package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

const (
	// warnEvery is how often failures to reach an endpoint are logged as warnings.
	warnEvery = time.Minute
	// maxErrorText bounds the text of an error, in bytes: a peer can choose part of it.
	maxErrorText = 512
)

// ErrorText is an error of a connection or of a response that cannot be read, for
// operators. It contains no credential.
type ErrorText struct {
	Text string
	Hint string // what to check; "" when the text says all
}

// lastError is the newest error of an endpoint. It is safe for concurrent use.
type lastError struct {
	text   atomic.Pointer[ErrorText]
	warned atomic.Int64 // when an error was last logged as a warning, in Unix nanoseconds
}

// claimWarning reports whether a warning is due. If one is, the caller must log it.
func (l *lastError) claimWarning(now time.Time) bool {
	was := l.warned.Load()
	return (was == 0 || now.UnixNano()-was >= int64(warnEvery)) && l.warned.CompareAndSwap(was, now.UnixNano())
}

// LastError returns the newest error of the deployment that had no HTTP status; the
// zero value when there was none.
func (d *Deployment) LastError() ErrorText {
	if e := d.endpoint.lastError.text.Load(); e != nil {
		return *e
	}
	return ErrorText{}
}

// logFailure logs why an attempt got no usable response, and keeps it for LastError. An
// endpoint that cannot be reached or read is a warning, at most one in warnEvery.
func (a *Attempt) logFailure(err error) {
	level := slog.LevelDebug
	text := a.deployment.errorText(err)
	if a.ctx.Err() == nil { // otherwise we ended it ourselves
		last := &a.deployment.endpoint.lastError
		last.text.Store(&text)
		if (a.unsent || a.unreadable) && last.claimWarning(a.call.Now()) {
			level = slog.LevelWarn
		}
	}
	a.logError(level, text)
}

// logError logs why the attempt failed, and keeps it for ErrorText: once we have ended
// the attempt ourselves, only if the deployment has answered with an error.
func (a *Attempt) logError(level slog.Level, text ErrorText) {
	if a.ctx.Err() == nil || a.answeredError() {
		a.errorText = bound(text.Text, spillway.MaxErrorText)
	}
	a.call.Logger.Log(context.WithoutCancel(a.ctx), level, "attempt failed", "request_id", a.call.ID,
		"deployment", a.deployment.name, "upstream_request_id", a.requestID, "served_region", a.region,
		"error", text.Text, "hint", text.Hint)
}

// answeredError reports whether the deployment has answered with an error.
func (a *Attempt) answeredError() bool {
	return a.fault != nil || a.resp != nil && a.resp.StatusCode >= http.StatusBadRequest
}

// describeError is the error of a deployment in one line: its code and message, as far
// as its body says them.
func describeError(status int, fault *wire.StreamError, body []byte) string {
	if fault == nil {
		fault = new(wire.StreamError)
		fault.Message, _ = wire.ReadErrorBody(body)
	}
	switch {
	case fault.Code == "" && fault.Message == "":
		return fmt.Sprintf("status %d without a readable error", status)
	case fault.Code == "":
		return fault.Message
	case fault.Message == "":
		return fault.Code
	}
	return fault.Code + ": " + fault.Message
}

// errorText describes an error. Bytes of the peer that repeat our credential are left
// out.
func (d *Deployment) errorText(err error) ErrorText {
	return ErrorText{d.redact(err.Error()), errorHint(err)}
}

// redact bounds a text that a peer can have chosen, and removes our credential from it.
func (d *Deployment) redact(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if secret := d.secret(); secret != nil {
		text = strings.ReplaceAll(text, string(secret), "***")
	}
	return bound(text, maxErrorText)
}

// bound shortens a text to at most so many bytes.
func bound(text string, most int) string {
	const omission = "…"
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len(omission)], "") + omission
}

// errorHint says what an operator should check first.
func errorHint(err error) string {
	var unknownAuthority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var name *net.DNSError
	switch {
	case errors.As(err, &name):
		return "the host name of the endpoint cannot be resolved: check the endpoint, the resolver, and the private DNS zone if it has a private endpoint"
	case errors.As(err, &unknownAuthority):
		return "the authority of the certificate is not trusted: check the endpoint, or set tls.ca_file to the authority's certificate"
	case errors.As(err, &hostname):
		return "the certificate is for another host: check the host name of the endpoint"
	case errors.As(err, &invalid):
		return "the certificate is not valid: check its dates, and the clock of this machine"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "the endpoint does not speak TLS: check its port, or use http://"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at this address: check the port, and that the service runs"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "there is no route to the address: check the network and the firewall"
	case errors.As(err, new(*credentialError)):
		return "check auth of the deployment"
	case isTimeout(err), errors.Is(err, context.DeadlineExceeded):
		return "nothing was received in time: check the firewall, the proxy, and the endpoint's network rules"
	}
	return ""
}
