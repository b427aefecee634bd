package sink

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/google/uuid"

	"github.com/spillway-ai/spillway/internal/observe/store"
)

// message notifies the ingestion service of one blob.
type message struct {
	ID                  string `json:"Id"`
	BlobPath            string
	DatabaseName        string
	TableName           string
	RetainBlobOnSuccess bool
	// FlushImmediately lets the service not wait for more: what has a tag of
	// its own is not gathered with others in any case.
	FlushImmediately bool
	// ReportLevel 0 reports failures only, and ReportMethod 0 to the
	// service's own queue.
	ReportLevel, ReportMethod int
	SourceMessageCreationTime string
	AdditionalProperties      properties
}

// properties are those of the ingestion. Lists in it are JSON within a string.
type properties struct {
	AuthorizationContext      string `json:"authorizationContext"`
	Format                    string `json:"format"`
	IngestionMappingReference string `json:"ingestionMappingReference"`
	IngestionMappingType      string `json:"ingestionMappingType"`
	Tags                      string `json:"tags"`
	IngestIfNotExists         string `json:"ingestIfNotExists"`
}

// sendTo uploads s to a container and tells a queue of it, both with their
// signatures in the query.
func (e *explorer) sendTo(ctx context.Context, s *store.Segment, container, queue string) error {
	// A name is not used twice: the service removes the blob of an earlier
	// message when it is done with it.
	id := uuid.NewString()
	path, err := below(container, e.database+"__"+e.table+"__"+s.Key+"__"+id+".parquet")
	if err != nil {
		return err
	}
	to, err := blockblob.NewClientWithNoCredential(path, &blockblob.ClientOptions{ClientOptions: azureOptions(e.client)})
	if err != nil {
		return withoutQuery(err)
	}
	if err := uploadBlob(ctx, to, s); err != nil {
		return fmt.Errorf("upload to the cluster's container: %w", err)
	}
	text, err := json.Marshal(e.message(id, path, s))
	if err != nil {
		return err
	}
	if err := e.enqueue(ctx, queue, text); err != nil {
		return fmt.Errorf("write to the cluster's queue: %w", err)
	}
	return nil
}

func (e *explorer) message(id, path string, s *store.Segment) message {
	tags, _ := json.Marshal([]string{"ingest-by:" + s.Key}) // strings always marshal
	unless, _ := json.Marshal([]string{s.Key})
	return message{
		ID: id, BlobPath: path, DatabaseName: e.database, TableName: e.table, FlushImmediately: true,
		SourceMessageCreationTime: e.now().UTC().Format("2006-01-02T15:04:05.0000000Z"),
		AdditionalProperties: properties{
			AuthorizationContext: e.places.identity, Format: "parquet",
			IngestionMappingReference: e.mapping, IngestionMappingType: "Parquet",
			Tags: string(tags), IngestIfNotExists: string(unless),
		},
	}
}

// below is the URL of what lies in a place, with the place's query.
func below(place, name string) (string, error) {
	u, err := url.Parse(place)
	if err != nil {
		return "", errors.New("the cluster returned a location that is not a URL")
	}
	return u.JoinPath(name).String(), nil
}

// enqueue puts a message into an Azure queue. The module of Microsoft for
// queues would be one more for this one request.
func (e *explorer) enqueue(ctx context.Context, queue string, text []byte) error {
	path, err := below(queue, "messages")
	if err != nil {
		return err
	}
	var body bytes.Buffer
	body.WriteString("<QueueMessage><MessageText>")
	body.WriteString(base64.StdEncoding.EncodeToString(text))
	body.WriteString("</MessageText></QueueMessage>")
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, path, &body)
	if err != nil {
		return withoutQuery(err)
	}
	r.Header.Set("Content-Type", "application/xml")
	r.Header.Set("x-ms-version", "2021-12-02")
	answer, err := e.client.Do(r)
	if err != nil {
		return withoutQuery(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		f := failureOf(answer)
		if code := answer.Header.Get("x-ms-error-code"); code != "" {
			f.What = code
		}
		f.What = strings.ReplaceAll(f.What, queue, "")
		return f
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxWhatBytes)) // so that the connection is used again
	return nil
}
