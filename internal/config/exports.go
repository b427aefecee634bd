package config

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Export is one place that records go to besides the store.
type Export struct {
	Name        string        `yaml:"name" required:"true" doc:"Name in metrics, the log and the store's directory: up to 40 of a to z, 0 to 9, _ . -. An export with a new name sends everything in the store."`
	Kind        string        `yaml:"kind" required:"true" enum:"data_explorer|clickhouse|object_storage" doc:"Type of the destination."`
	URL         string        `yaml:"url" required:"true" doc:"Base URL: the cluster, such as https://cluster.westeurope.kusto.windows.net; ClickHouse's HTTP interface, such as https://host:8443; the storage account, such as https://account.blob.core.windows.net, or the S3 endpoint, such as https://s3.eu-central-1.amazonaws.com."`
	Database    string        `yaml:"database" doc:"Database, of data_explorer and clickhouse."`
	Table       string        `yaml:"table" doc:"Table, of data_explorer and clickhouse; requests when empty."`
	Mapping     string        `yaml:"mapping" doc:"Parquet mapping of the table, of data_explorer; requests_parquet when empty."`
	API         string        `yaml:"api" enum:"azure|s3" doc:"API of object_storage. When empty: azure if the host is one of Azure's, else s3."`
	Bucket      string        `yaml:"bucket" doc:"Bucket, or Azure container, of object_storage. It must exist."`
	Prefix      string        `yaml:"prefix" doc:"Path within the bucket, of object_storage; it contains one directory per day."`
	Region      string        `yaml:"region" doc:"Region of an S3 bucket. When empty, the export asks the endpoint."`
	Timeout     time.Duration `yaml:"timeout" default:"2m" min:"1s" doc:"Time to send one file."`
	GiveUpAfter time.Duration `yaml:"give_up_after" default:"24h" min:"0s" doc:"How long to retry a file that the destination refuses, before it is skipped and counted; 0 is forever. Outages, missing tables and wrong credentials are always retried."`
	Auth        *ExportAuth   `yaml:"auth" doc:"Credential. Default: for Azure, the environment (variables, workload identity, managed identity, az login); for S3, the AWS environment; for ClickHouse, its default user."`
	TLS         *UpstreamTLS  `yaml:"tls" doc:"Verification of the destination's certificate."`
}

// ExportAuth is the credential of an export.
type ExportAuth struct {
	User            string `yaml:"user" doc:"ClickHouse user."`
	Password        Secret `yaml:"password" doc:"ClickHouse password."`
	TenantID        string `yaml:"tenant_id" doc:"Entra ID: tenant."`
	ClientID        string `yaml:"client_id" doc:"Entra ID: application, or user-assigned managed identity."`
	ClientSecret    Secret `yaml:"client_secret" doc:"Entra ID: secret of the application."`
	Authority       string `yaml:"authority" doc:"Entra ID: address of another cloud's, such as https://login.microsoftonline.us/."`
	ManagedIdentity bool   `yaml:"managed_identity" doc:"Entra ID: use only the managed identity: the system-assigned one, or that of client_id."`
	AccountKey      Secret `yaml:"account_key" doc:"Azure storage: account key."`
	SAS             Secret `yaml:"sas" doc:"Azure storage: shared access signature that may create and write blobs."`
	AccessKeyID     string `yaml:"access_key_id" doc:"S3: access key id."`
	SecretAccessKey Secret `yaml:"secret_access_key" doc:"S3: secret access key."`
	SessionToken    Secret `yaml:"session_token" doc:"S3: session token of temporary credentials."`
}

// The kinds of exports, and the interfaces of object storage.
const (
	ExportDataExplorer  = "data_explorer"
	ExportClickHouse    = "clickhouse"
	ExportObjectStorage = "object_storage"
	ExportAzure         = "azure"
	ExportS3            = "s3"
)

// deriveExports fills in the defaults that depend on the kind.
func deriveExports(exports []Export) {
	for i := range exports {
		e := &exports[i]
		e.URL = strings.TrimRight(e.URL, "/")
		if e.Kind == ExportObjectStorage {
			if e.API == "" {
				e.API = exportAPI(e.URL)
			}
			continue
		}
		if e.Table == "" {
			e.Table = "requests"
		}
		if e.Kind == ExportDataExplorer && e.Mapping == "" {
			e.Mapping = "requests_parquet"
		}
	}
}

func exportAPI(base string) string {
	if u, err := url.Parse(base); err == nil && strings.Contains(u.Hostname(), ".blob.core.") {
		return ExportAzure
	}
	return ExportS3
}

// exportName is what an export may be called: it stands in the name of a file.
// It is constant.
var exportName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,39}$`)

// exports checks the exports of c.
func (d *decoder) exports(c *Config) {
	if len(c.Exports) > 0 && c.Store.Dir == "" {
		d.add(d.placeOf("exports"), "store.dir", "is missing: exports send the records of the store", "add store: {dir: /var/lib/spillway/store}")
	}
	d.unique("exports", len(c.Exports), func(i int) string { return c.Exports[i].Name })
	for i := range c.Exports {
		d.export(&c.Exports[i], fmt.Sprintf("exports[%d]", i))
	}
}

func (d *decoder) export(e *Export, path string) {
	switch {
	case e.Name == "" || !namePattern.MatchString(e.Name):
	case !exportName.MatchString(e.Name):
		d.addAt(path+".name", d.shown(path+".name", e.Name)+" is not a valid name of an export", "use up to 40 of a to z, 0 to 9, _ . -, the first a letter or digit")
	case e.Name == "file" || e.Name == "stdout" || e.Name == "store":
		d.addAt(path+".name", d.shown(path+".name", e.Name)+" is reserved for an output of the gateway in metrics", "use another name")
	}
	d.exportURL(e, path+".url")
	d.exportPlace(e, path)
	if e.Auth != nil {
		d.exportAuth(e, path+".auth")
	}
	if e.TLS != nil {
		d.authorities(e.TLS, path+".tls.ca_file")
	}
}

// exportURL checks the base URL.
func (d *decoder) exportURL(e *Export, path string) {
	if e.URL == "" {
		return
	}
	u, err := url.Parse(e.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		d.hideQuery(path, e.URL)
		d.addAt(path, "is not a URL", "write https:// and the host")
	case u.User != nil:
		d.hide(d.placeOf(path), e.URL)
		d.addAt(path, "contains a user name", "put credentials into auth")
	case u.RawQuery != "" || u.Fragment != "":
		d.hide(d.placeOf(path), e.URL)
		d.addAt(path, "contains more than a path", "end it before the ?; put a signature into auth.sas")
	case u.Path != "" && e.API == ExportS3:
		d.addAt(path, "contains a path", "write "+u.Scheme+"://"+u.Host+", and the rest into bucket and prefix")
	case u.Path != "" && e.API == ExportAzure && strings.Contains(u.Hostname(), ".blob.core."):
		d.addAt(path, "contains a path", "write "+u.Scheme+"://"+u.Host+", and the rest into bucket and prefix")
	case u.Path != "" && e.Kind == ExportDataExplorer:
		d.addAt(path, "contains a path", "write "+u.Scheme+"://"+u.Host)
	}
}

// hideQuery keeps a text that may be a URL with credentials out of excerpts.
func (d *decoder) hideQuery(path, text string) {
	if strings.ContainsAny(text, "@?#") {
		d.hide(d.placeOf(path), text)
	}
}

// exportPlace checks that the options are those of the kind, and are there.
func (d *decoder) exportPlace(e *Export, path string) {
	storage := e.Kind == ExportObjectStorage
	for _, o := range []struct {
		name, value    string
		takes, demands bool
	}{
		{"database", e.Database, !storage, true},
		{"table", e.Table, !storage, false},
		{"mapping", e.Mapping, e.Kind == ExportDataExplorer, false},
		{"api", e.API, storage, false},
		{"bucket", e.Bucket, storage, true},
		{"prefix", e.Prefix, storage, false},
		{"region", e.Region, storage && e.API == ExportS3, false},
	} {
		switch {
		case !e.known():
		case o.value != "" && !o.takes:
			d.addAt(path+"."+o.name, "does not apply to "+d.kindOf(e), "remove it")
		case o.value == "" && o.takes && o.demands:
			d.addAt(path+"."+o.name, "is missing: "+e.Kind+" needs it", "add "+o.name+":")
		}
	}
}

// known reports whether the kind is one: the enum has complained otherwise.
func (e *Export) known() bool {
	return e.Kind == ExportObjectStorage || e.Kind == ExportDataExplorer || e.Kind == ExportClickHouse
}

// kindOf names the kind with the interface, where it has several.
func (d *decoder) kindOf(e *Export) string {
	if e.Kind == ExportObjectStorage {
		return e.Kind + " with api " + e.API
	}
	return e.Kind
}

// exportAuth checks that the credential is whole, and one that the place takes.
func (d *decoder) exportAuth(e *Export, path string) {
	a := e.Auth
	if !e.known() {
		return
	}
	entra := e.Kind == ExportDataExplorer || e.API == ExportAzure
	for _, o := range []struct {
		name         string
		given, takes bool
	}{
		{"user", a.User != "", e.Kind == ExportClickHouse},
		{"password", a.Password != "", e.Kind == ExportClickHouse},
		{"tenant_id", a.TenantID != "", entra},
		{"client_id", a.ClientID != "", entra},
		{"client_secret", a.ClientSecret != "", entra},
		{"authority", a.Authority != "", entra},
		{"managed_identity", a.ManagedIdentity, entra},
		{"account_key", a.AccountKey != "", e.API == ExportAzure},
		{"sas", a.SAS != "", e.API == ExportAzure},
		{"access_key_id", a.AccessKeyID != "", e.API == ExportS3},
		{"secret_access_key", a.SecretAccessKey != "", e.API == ExportS3},
		{"session_token", a.SessionToken != "", e.API == ExportS3},
	} {
		if o.given && !o.takes {
			d.addAt(path+"."+o.name, "does not apply to "+d.kindOf(e), "remove it")
		}
	}
	d.wholeAuth(a, path)
	d.header(path+".password", a.Password)
	if a.User != "" {
		d.header(path+".user", Secret(a.User))
	}
}

// wholeAuth checks that what belongs together is there together.
func (d *decoder) wholeAuth(a *ExportAuth, path string) {
	missing := func(when bool, name, why string) {
		if when {
			d.addAt(path+"."+name, "is missing: "+why, "add it")
		}
	}
	missing(a.Password != "" && a.User == "", "user", "password needs it")
	missing(a.ClientSecret != "" && a.TenantID == "", "tenant_id", "client_secret needs it")
	missing(a.ClientSecret != "" && a.ClientID == "", "client_id", "client_secret needs it")
	missing(a.AccessKeyID != "" && a.SecretAccessKey == "", "secret_access_key", "access_key_id needs it")
	missing(a.SecretAccessKey != "" && a.AccessKeyID == "", "access_key_id", "secret_access_key needs it")
	missing(a.SessionToken != "" && a.AccessKeyID == "", "access_key_id", "session_token needs it")
	given := 0
	for _, is := range []bool{a.ClientSecret != "", a.ManagedIdentity, a.AccountKey != "", a.SAS != ""} {
		if is {
			given++
		}
	}
	if given > 1 {
		d.addAt(path, "contains several credentials", "set one of client_secret, managed_identity, account_key, sas")
	}
	if a.Authority != "" && !strings.HasPrefix(a.Authority, "https://") {
		d.addAt(path+".authority", "must start with https://", "write https:// and the host")
	}
}
