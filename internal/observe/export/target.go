package export

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
