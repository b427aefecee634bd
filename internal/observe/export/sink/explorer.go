package sink

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-kusto-go/azkustodata"
	kustoerrors "github.com/Azure/azure-kusto-go/azkustodata/errors"
	"github.com/Azure/azure-kusto-go/azkustodata/kql"
	"github.com/Azure/azure-kusto-go/azkustodata/query"

	"github.com/spillway-ai/spillway/internal/observe/export"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

// resourcesFor is how long the places that the cluster names for uploads are
// used; their signatures last longer.
const resourcesFor = time.Hour

// explorer gives segments to Azure Data Explorer by queued ingestion: the file
// goes into a container of the cluster's, and a message about it into a queue
// of the cluster's. Streaming ingestion would be one request, but takes only
// 4 MB and no tags, and so could not leave out what is there already. It is
// used by one goroutine.
type explorer struct {
	database, table, mapping string
	service                  *azkustodata.Client // of ingestion
	client                   *http.Client        // to storage
	pace                     *pace               // of service
	now                      func() time.Time

	places  places
	asked   time.Time // when places was asked for
	uploads int       // tries so far: each takes the next place
}

// places are where uploads go, as the cluster says. They hold signatures and
// must not be told.
type places struct {
	containers, queues []string
	identity           string // says to the cluster that we may
}

func newExplorer(t export.Target, client *http.Client) (*explorer, error) {
	ingestion, err := ingestionURL(t.URL)
	if err != nil {
		return nil, err
	}
	credential, err := azureCredential(t.Auth, client)
	if err != nil {
		return nil, err
	}
	p := &pace{next: client.Transport}
	watched := &http.Client{Transport: p, CheckRedirect: client.CheckRedirect}
	service, err := azkustodata.New(azkustodata.NewConnectionStringBuilder(ingestion).WithTokenCredential(credential), azkustodata.WithHttpClient(watched))
	if err != nil {
		return nil, fmt.Errorf("create a client for %s: %w", t.URL, err)
	}
	return &explorer{
		database: t.Database, table: t.Table, mapping: t.Mapping, service: service, client: client, pace: p, now: time.Now,
	}, nil
}

// ingestionURL is the address of a cluster's ingestion service, which has the
// prefix ingest-. Loopback has none.
func ingestionURL(cluster string) (string, error) {
	u, err := url.Parse(cluster)
	if err != nil {
		return "", err
	}
	switch host := u.Hostname(); {
	case strings.HasPrefix(host, "ingest-"), host == "localhost", host == "127.0.0.1", host == "::1":
	default:
		u.Host = "ingest-" + u.Host
	}
	return u.String(), nil
}

// Send uploads s and queues it. The cluster leaves a segment out whose tag the
// table has already. Where something fails, the places are asked for anew
// before the next try: one of them may be gone.
func (e *explorer) Send(ctx context.Context, s *store.Segment) error {
	if err := e.refresh(ctx); err != nil {
		return fmt.Errorf("get the cluster's upload locations: %w", e.failure(err))
	}
	err := e.sendTo(ctx, s, pick(e.places.containers, e.uploads), pick(e.places.queues, e.uploads))
	e.uploads++
	if err != nil {
		e.asked = time.Time{}
	}
	return err
}

func pick(from []string, n int) string { return from[n%len(from)] }

// refresh asks for the places when they are old.
func (e *explorer) refresh(ctx context.Context) error {
	if now := e.now(); e.asked.IsZero() || now.Sub(e.asked) >= resourcesFor {
		p, err := e.ask(ctx)
		if err != nil {
			return err
		}
		e.places, e.asked = p, now
	}
	return nil
}

// resource is a row of the answer to .get ingestion resources.
type resource struct {
	Name string `kusto:"ResourceTypeName"`
	Root string `kusto:"StorageRoot"`
}

// identity is the row of the answer to .get kusto identity token.
type identity struct {
	Context string `kusto:"AuthorizationContext"`
}

func (e *explorer) ask(ctx context.Context) (places, error) {
	answer, err := e.service.Mgmt(ctx, "NetDefaultDB", kql.New(".get ingestion resources"))
	if err != nil {
		return places{}, err
	}
	resources, err := query.ToStructs[resource](answer)
	if err != nil {
		return places{}, err
	}
	var p places
	for _, r := range resources {
		switch r.Name {
		case "TempStorage":
			p.containers = append(p.containers, r.Root)
		case "SecuredReadyForAggregationQueue":
			p.queues = append(p.queues, r.Root)
		}
	}
	if len(p.containers) == 0 || len(p.queues) == 0 {
		return places{}, errors.New("the response has no container or no queue")
	}
	answer, err = e.service.Mgmt(ctx, "NetDefaultDB", kql.New(".get kusto identity token"))
	if err != nil {
		return places{}, err
	}
	tokens, err := query.ToStructs[identity](answer)
	if err != nil || len(tokens) != 1 || tokens[0].Context == "" {
		return places{}, errors.Join(errors.New("the response has no identity token"), err)
	}
	p.identity = tokens[0].Context
	return p, nil
}

// failure makes a Failure of an error of the SDK.
func (e *explorer) failure(err error) error {
	after := time.Duration(e.pace.after.Swap(0))
	if h, ok := errors.AsType[*kustoerrors.HttpError](err); ok {
		return &export.Failure{Status: h.StatusCode, RetryAfter: after, What: line(h.Error())}
	}
	return withoutQuery(err)
}

// pace remembers how long the service asked to be left alone: the SDK's errors
// do not tell.
type pace struct {
	next  http.RoundTripper
	after atomic.Int64
}

// RoundTrip passes r on.
func (p *pace) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := p.next.RoundTrip(r)
	if err == nil {
		p.after.Store(int64(readRetryAfter(answer.Header)))
	}
	return answer, err
}
