package loadgen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/spillway-ai/spillway/internal/proxy/wire"
	"github.com/spillway-ai/spillway/internal/proxy/wire/sse"
)

// Misconfigured says that no call can succeed, and the fix.
type Misconfigured struct{ Text string }

// Error returns the text.
func (e *Misconfigured) Error() string { return e.Text }

// misconfigured ends the run, and says so, when the target has never taken a
// call and what became of this one shows that the command is at fault.
func (r *Runner) misconfigured(x *exchange) bool {
	if r.answered.Load() {
		return false
	}
	if text := x.misconfiguration(); text != "" {
		x.res.outcome = unfinished
		r.stop(&Misconfigured{text})
		return true
	}
	return false
}

// misconfiguration words the command's mistake; "" when it need not be one.
func (x *exchange) misconfiguration() string {
	o, res := &x.run.opt, &x.res
	url := x.to.url.Scheme + "://" + x.to.url.Host
	said := func() string {
		if res.message == "" {
			return "."
		}
		return ": " + strings.TrimSuffix(res.message, ".") + "."
	}
	switch {
	case res.status == http.StatusUnauthorized && !o.authenticated(&x.call):
		return fmt.Sprintf("%s requires a key: set --key or SPILLWAY_LOAD_KEY", url)
	case res.status == http.StatusUnauthorized, res.status == http.StatusForbidden:
		return fmt.Sprintf("%s rejected the credential (%d)%s Correct --key, SPILLWAY_LOAD_KEY or --header", url, res.status, said())
	case res.status == http.StatusNotFound:
		return fmt.Sprintf("%s has no path %s, or no model or deployment %q (404)%s Check --model and --api (now %s)",
			url, x.to.url.Path, x.to.model, said(), o.Style)
	case res.status == http.StatusMethodNotAllowed, res.status >= 300 && res.status < 400:
		return fmt.Sprintf("%s%s is not a chat API (%d)%s Check --target and --api (now %s)", url, x.to.url.Path, res.status, said(), o.Style)
	case res.status == http.StatusBadRequest && strings.Contains(res.message, "HTTP request to an HTTPS server"):
		return fmt.Sprintf("%s uses TLS: write https:// in --target", url)
	}
	switch res.failure {
	case failureRefused:
		return fmt.Sprintf("connection refused by %s: start the target, or check the host and port in --target", url)
	case failureDNS:
		return fmt.Sprintf("unknown host in %s (%s): check --target", url, res.message)
	case failureTLS:
		return fmt.Sprintf("TLS with %s failed: %s. Write http:// if the target does not use TLS, or set SSL_CERT_FILE to your certificate authority", url, res.message)
	}
	return ""
}

// What Report.Failures counts.
const (
	failureRefused   = "connection refused"
	failureReset     = "connection reset"
	failureDNS       = "unknown host"
	failureTLS       = "TLS"
	failureEnded     = "connection ended early"
	failureCut       = "stream ended early"
	failureClient    = "client timeout"
	failureSockets   = "out of local sockets"
	failureOther     = "other"
	failureMalformed = "malformed or failed response"
)

// text words err without addresses and ports, so that equal failures read
// equal.
func text(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.Err
	}
	return err.Error()
}

// describe sorts the failure of an attempt into one of a few kinds.
func describe(err error) string {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return failureDNS
	}
	_, authority := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	switch {
	case authority, record, alert, strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return failureTLS
	case errors.Is(err, syscall.ECONNREFUSED):
		return failureRefused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return failureReset
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.EADDRNOTAVAIL):
		return failureSockets
	case errors.Is(err, errCut):
		return failureCut
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return failureEnded
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return failureClient
	case malformed(err):
		return failureMalformed
	}
	return failureOther
}

// malformed reports whether the target answered something that is no response.
func malformed(err error) bool {
	_, said := errors.AsType[*wire.StreamError](err)
	return said || errors.Is(err, wire.ErrMalformed) || errors.Is(err, wire.ErrTooLarge) || errors.Is(err, sse.ErrTooLong)
}
