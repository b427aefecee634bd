// Package sink implements the destinations to which spillway-export sends
// segments, with their vendors' libraries. The gateway does not link it.
package sink

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/spillway-ai/spillway/internal/observe/export"
)

// New returns what sends to t. It does not connect.
func New(t export.Target) (export.Sender, error) {
	client, err := newClient(t)
	if err != nil {
		return nil, err
	}
	switch {
	case t.Kind == export.ClickHouse:
		return &clickHouse{
			url: t.URL, database: t.Database, table: t.Table, user: t.Auth.User, password: t.Auth.Password, client: client,
		}, nil
	case t.Kind == export.DataExplorer:
		return newExplorer(t, client)
	case t.Kind == export.ObjectStorage && t.API == export.APIAzure:
		return newBlobs(t, client)
	case t.Kind == export.ObjectStorage && t.API == export.APIS3:
		return newS3(t, client)
	}
	return nil, fmt.Errorf("unknown export kind %q", t.Kind)
}

// headerTimeout is how long an answer may take to begin once all is sent.
const headerTimeout = time.Minute

// newClient is a client of its own for each export, so that one sink's
// connections and certificates are not another's. It follows no redirects: a
// credential must not travel to another place.
func newClient(t export.Target) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = headerTimeout
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.Insecure} //nolint:gosec // the operator's wish
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificate authorities: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, errors.New("the file of certificate authorities contains no certificate")
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
