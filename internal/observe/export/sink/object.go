package sink

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/spillway-ai/spillway/internal/observe/export"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

const parquetType = "application/vnd.apache.parquet"

// objectName is where a segment goes: by the day of its first record, in the
// form that readers of partitions know. It is the same each time, so that a
// segment that is sent again takes its own place.
func objectName(prefix string, s *store.Segment) string {
	name := "date=" + s.From.UTC().Format("2006-01-02") + "/requests-" + s.From.UTC().Format("20060102T150405Z") + "-" + s.Key + ".parquet"
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		name = prefix + "/" + name
	}
	return name
}

// blobs puts segments into a container of Azure Blob Storage.
type blobs struct {
	client            *azblob.Client
	container, prefix string
}

func newBlobs(t export.Target, client *http.Client) (*blobs, error) {
	options := &azblob.ClientOptions{ClientOptions: azureOptions(client)}
	c, err := blobClient(t, client, options)
	if err != nil {
		return nil, withoutQuery(err)
	}
	return &blobs{client: c, container: t.Bucket, prefix: t.Prefix}, nil
}

func blobClient(t export.Target, client *http.Client, options *azblob.ClientOptions) (*azblob.Client, error) {
	switch {
	case t.Auth.SAS != "":
		return azblob.NewClientWithNoCredential(t.URL+"/?"+strings.TrimPrefix(t.Auth.SAS, "?"), options)
	case t.Auth.AccountKey != "":
		account, err := accountOf(t.URL)
		if err != nil {
			return nil, err
		}
		key, err := azblob.NewSharedKeyCredential(account, t.Auth.AccountKey)
		if err != nil {
			return nil, errors.New("auth.account_key is not a storage account key: it must be base64")
		}
		return azblob.NewClientWithSharedKeyCredential(t.URL+"/", key, options)
	}
	credential, err := azureCredential(t.Auth, client)
	if err != nil {
		return nil, err
	}
	return azblob.NewClient(t.URL+"/", credential, options)
}

// accountOf is the storage account of a URL: the first label of the host, or
// the path where the host is a number.
func accountOf(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	if path := strings.Trim(u.Path, "/"); path != "" {
		return path, nil
	}
	account, _, _ := strings.Cut(u.Hostname(), ".")
	return account, nil
}

// Send writes s as one blob.
func (b *blobs) Send(ctx context.Context, s *store.Segment) error {
	target := b.client.ServiceClient().NewContainerClient(b.container).NewBlockBlobClient(objectName(b.prefix, s))
	return uploadBlob(ctx, target, s)
}

// uploadBlob writes s as one blob, in place of what is there.
func uploadBlob(ctx context.Context, to *blockblob.Client, s *store.Segment) error {
	contentType := parquetType
	_, err := to.Upload(ctx, streaming.NopCloser(s.Data()), &blockblob.UploadOptions{
		HTTPHeaders: &blob.HTTPHeaders{BlobContentType: &contentType},
	})
	return azureError(err)
}

// s3 puts segments into a bucket of S3 or what speaks like it.
type s3 struct {
	client         *minio.Client
	bucket, prefix string
}

func newS3(t export.Target, client *http.Client) (*s3, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return nil, err
	}
	var keys *credentials.Credentials
	if t.Auth.AccessKeyID != "" {
		keys = credentials.NewStaticV4(t.Auth.AccessKeyID, t.Auth.SecretAccessKey, t.Auth.SessionToken)
	} else {
		keys = credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{},
		})
	}
	c, err := minio.New(u.Host, &minio.Options{
		Creds: keys, Secure: u.Scheme == "https", Region: t.Region, Transport: client.Transport, MaxRetries: 1,
		BucketLookup: minio.BucketLookupAuto,
	})
	if err != nil {
		return nil, err
	}
	return &s3{client: c, bucket: t.Bucket, prefix: t.Prefix}, nil
}

// Send writes s as one object.
func (o *s3) Send(ctx context.Context, s *store.Segment) error {
	_, err := o.client.PutObject(ctx, o.bucket, objectName(o.prefix, s), s.Data(), s.Bytes, minio.PutObjectOptions{
		ContentType: parquetType, SendContentMd5: true,
	})
	if r, ok := errors.AsType[minio.ErrorResponse](err); ok && r.StatusCode != 0 {
		return &export.Failure{Status: r.StatusCode, What: line(r.Code + ": " + r.Message)}
	}
	if err != nil {
		return withoutQuery(err)
	}
	return nil
}
