package export

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// The kinds of places.
const (
	DataExplorer  = "data_explorer"
	ClickHouse    = "clickhouse"
	ObjectStorage = "object_storage"
)

// The interfaces of object storage.
const (
	APIAzure = "azure"
	APIS3    = "s3"
)

// Target says where and how to send. Fields that the kind does not use are
// ignored.
type Target struct {
	Kind string
	// URL is the cluster, the server, or the storage account or endpoint.
	URL string
	// Database, Table and Mapping are those of Data Explorer; the first two
	// also of ClickHouse.
	Database, Table, Mapping string
	// API, Bucket, Prefix and Region are of object storage; a bucket is a
	// container at Azure.
	API, Bucket, Prefix, Region string
	Auth                        Auth
	// CAFile holds the authorities to trust instead of the system's.
	CAFile string
	// Insecure trusts any certificate.
	Insecure bool
}

// Auth is a credential. Those of Azure that are not given here are looked for
// where the Azure SDK looks: environment, workload identity, managed identity,
// command line.
type Auth struct {
	User, Password                   string // ClickHouse
	TenantID, ClientID, ClientSecret string // Entra ID
	Authority                        string // Entra ID; "" is the public cloud's
	ManagedIdentity                  bool
	AccountKey, SAS                  string // Azure Blob
	AccessKeyID, SecretAccessKey     string // S3
	SessionToken                     string
}

// New returns what sends to t. It does not connect.
func New(t Target) (Sender, error) {
	client, err := newClient(t)
	if err != nil {
		return nil, err
	}
	switch {
	case t.Kind == ClickHouse:
		return &clickHouse{
			url: t.URL, database: t.Database, table: t.Table, user: t.Auth.User, password: t.Auth.Password, client: client,
		}, nil
	case t.Kind == DataExplorer:
		return newExplorer(t, client)
	case t.Kind == ObjectStorage && t.API == APIAzure:
		return newBlobs(t, client)
	case t.Kind == ObjectStorage && t.API == APIS3:
		return newS3(t, client)
	}
	return nil, fmt.Errorf("unknown export kind %q", t.Kind)
}

// headerTimeout is how long an answer may take to begin once all is sent.
const headerTimeout = time.Minute

// newClient is a client of its own for each export, so that one sink's
// connections and certificates are not another's. It follows no redirects: a
// credential must not travel to another place.
func newClient(t Target) (*http.Client, error) {
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
