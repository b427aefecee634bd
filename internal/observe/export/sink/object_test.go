package sink

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/spillway-ai/spillway/internal/observe/export"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

func TestObjectName(t *testing.T) {
	s := &store.Segment{Key: "ABCDEF234567-1-65536", From: time.Date(2026, 11, 22, 22, 34, 5, 0, time.UTC)}
	for prefix, want := range map[string]string{
		"":         "date=2026-11-22/requests-20261122T223405Z-ABCDEF234567-1-65536.parquet",
		"spillway": "spillway/date=2026-11-22/requests-20261122T223405Z-ABCDEF234567-1-65536.parquet",
		"/a/b/":    "a/b/date=2026-11-22/requests-20261122T223405Z-ABCDEF234567-1-65536.parquet",
	} {
		if got := objectName(prefix, s); got != want {
			t.Errorf("below %q: %s, want %s", prefix, got, want)
		}
	}
}

// named is what every object must look like.
var named = regexp.MustCompile(`^lake/date=\d{4}-\d\d-\d\d/requests-\d{8}T\d{6}Z-[A-Z2-7]{12}-\d+-\d+\.parquet$`)

func azuriteClient(t *testing.T, url string) *azblob.Client {
	t.Helper()
	key, err := azblob.NewSharedKeyCredential(azuriteAccount, azuriteKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := azblob.NewClientWithSharedKeyCredential(url, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// blobNames lists a container.
func blobNames(t *testing.T, c *azblob.Client, container string) (names []string) {
	t.Helper()
	for pages := c.NewListBlobsFlatPager(container, nil); pages.More(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range page.Segment.BlobItems {
			names = append(names, *b.Name)
		}
	}
	return names
}

func blobBytes(t *testing.T, c *azblob.Client, container, name string) []byte {
	t.Helper()
	r, err := c.DownloadStream(t.Context(), container, name, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Azure Blob Storage, played by Microsoft's own Azurite, with both kinds of
// signature.
func TestAzureBlob(t *testing.T) {
	t.Parallel()
	base, _ := startAzurite(t)
	client := azuriteClient(t, base)
	permissions := sas.AccountPermissions{Create: true, Write: true}
	signed, err := client.ServiceClient().GetSASURL(sas.AccountResourceTypes{Object: true}, permissions, time.Now().Add(time.Hour), &service.GetSASURLOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, signature, _ := strings.Cut(signed, "?")
	for _, tt := range []struct {
		name        string
		auth, wrong export.Auth
	}{
		{"key", export.Auth{AccountKey: azuriteKey}, export.Auth{AccountKey: "d3JvbmctaHVudGVyMg=="}},
		{"sas", export.Auth{SAS: "?" + signature}, export.Auth{SAS: strings.Replace(signature, "sig=", "sig=wrong", 1)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := client.CreateContainer(t.Context(), tt.name, nil); err != nil {
				t.Fatal(err)
			}
			g := newGate(t, through(t, base))
			p := place{gate: g, secrets: []string{azuriteKey, "sig=", "d3JvbmctaHVudGVyMg=="}}
			p.target = export.Target{Kind: export.ObjectStorage, API: export.APIAzure, URL: g.URL + "/" + azuriteAccount, Bucket: tt.name, Prefix: "lake", Auth: tt.auth}
			p.wrong = p.target
			p.wrong.Auth = tt.wrong
			p.ids = func(t *testing.T) (ids []string) {
				for _, name := range blobNames(t, client, tt.name) {
					if !named.MatchString(name) {
						t.Errorf("a blob is called %s", name)
					}
					data := blobBytes(t, client, tt.name, name)
					ids = append(ids, parquetIDs(t, bytes.NewReader(data), int64(len(data)))...)
				}
				return ids
			}
			conform(t, p)
			missing := p.target
			missing.Bucket = "missing"
			sender, err := New(missing)
			if err != nil {
				t.Fatal(err)
			}
			if err := sender.Send(t.Context(), segments(t, 1)[0]); err == nil || export.Refused(err) {
				t.Errorf("a missing container gives %v, want an error that is not a refusal", err)
			}
		})
	}
}

// S3 and what speaks like it. The server does not look at signatures.
func TestS3(t *testing.T) {
	t.Parallel()
	base := startS3(t)
	client, err := minio.New(strings.TrimPrefix(base, "http://"), &minio.Options{Creds: credentials.NewStaticV4("id", "key", ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.MakeBucket(t.Context(), "records", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	g := newGate(t, through(t, base))
	p := place{
		gate: g, silent: true, secrets: []string{"s3-hunter2"},
		target: export.Target{
			Kind: export.ObjectStorage, API: export.APIS3, URL: g.URL, Bucket: "records", Prefix: "lake", Region: "us-east-1",
			Auth: export.Auth{AccessKeyID: "id", SecretAccessKey: "s3-hunter2"},
		},
	}
	p.ids = func(t *testing.T) (ids []string) {
		for o := range client.ListObjects(t.Context(), "records", minio.ListObjectsOptions{Recursive: true}) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
			if !named.MatchString(o.Key) {
				t.Errorf("an object is called %s", o.Key)
			}
			r, err := client.GetObject(t.Context(), "records", o.Key, minio.GetObjectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, parquetIDs(t, r, o.Size)...)
		}
		return ids
	}
	conform(t, p)
	missing := p.target
	missing.Bucket = "missing"
	sender, err := New(missing)
	if err != nil {
		t.Fatal(err)
	}
	if err := sender.Send(t.Context(), segments(t, 1)[0]); err == nil || export.Refused(err) {
		t.Errorf("a missing bucket gives %v, want an error that is not a refusal", err)
	}
}

// Every request to S3 is signed, with the key that was given.
func TestS3Signs(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 10)
	g := newGate(t, signatures(seen))
	sender, err := New(export.Target{
		Kind: export.ObjectStorage, API: export.APIS3, URL: g.URL, Bucket: "records", Region: "eu-central-1",
		Auth: export.Auth{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "s3-hunter2", SessionToken: "token"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := sender.Send(t.Context(), segments(t, 1)[0]); err != nil {
		t.Fatal(err)
	}
	got := <-seen
	if !regexp.MustCompile(`^token AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/eu-central-1/s3/aws4_request, ?SignedHeaders=[a-z0-9;-]+, ?Signature=[0-9a-f]{64}$`).MatchString(got) {
		t.Errorf("the request is signed with %s", got)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, tt := range []export.Target{
		{Kind: "kafka"},
		{Kind: export.ObjectStorage, API: "ftp"},
		{Kind: export.ClickHouse, CAFile: "/nowhere"},
		{Kind: export.ClickHouse, CAFile: "object_test.go"},
		{Kind: export.ObjectStorage, API: export.APIAzure, URL: "https://account.blob.core.windows.net", Auth: export.Auth{AccountKey: "not base64 hunter2"}},
	} {
		if _, err := New(tt); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%+v: %v", tt, err)
		}
	}
	if !slices.Contains([]string{"account"}, mustAccount(t, "https://account.blob.core.windows.net")) || mustAccount(t, "http://127.0.0.1:1/devstoreaccount1") != azuriteAccount {
		t.Error("the account of a URL is not found")
	}
}

func mustAccount(t *testing.T, url string) string {
	t.Helper()
	a, err := accountOf(url)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
