package sink

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spillway-ai/spillway/internal/observe/export"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

// clickHouse inserts segments over ClickHouse's HTTP interface, as the Parquet
// files that they are.
type clickHouse struct {
	url            string
	database       string
	table          string
	user, password string
	client         *http.Client
}

// Send inserts s in one statement. The token makes ClickHouse leave out what
// it has already, and the other settings cut the file into the same blocks
// each time, because each is looked up for itself.
func (c *clickHouse) Send(ctx context.Context, s *store.Segment) error {
	query := url.Values{
		"query":                               {"INSERT INTO " + quoteName(c.table) + " FORMAT Parquet"},
		"database":                            {c.database},
		"insert_deduplication_token":          {s.Key},
		"insert_deduplicate":                  {"1"},
		"async_insert":                        {"0"},
		"max_insert_threads":                  {"1"},
		"input_format_parquet_preserve_order": {"1"},
		"input_format_parquet_allow_missing_columns": {"1"},
		"wait_end_of_query":                          {"1"},
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/?"+query.Encode(), io.NopCloser(s.Data()))
	if err != nil {
		return err
	}
	r.ContentLength = s.Bytes
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(s.Data()), nil }
	r.Header.Set("Content-Type", "application/vnd.apache.parquet")
	if c.user != "" {
		r.Header.Set("X-ClickHouse-User", c.user)
		r.Header.Set("X-ClickHouse-Key", c.password)
	}
	answer, err := c.client.Do(r)
	if err != nil {
		return withoutQuery(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.Header.Get("X-ClickHouse-Exception-Code") != "" {
		return c.failure(answer)
	}
	// An error after the head stands in the body, which is empty otherwise.
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxWhatBytes))
	if err != nil {
		return fmt.Errorf("read the response: %w", err)
	}
	if strings.Contains(string(body), "DB::Exception") {
		return &export.Failure{Status: http.StatusInternalServerError, What: line(string(body))}
	}
	return nil
}

// ClickHouse's own codes for what is not there, or not allowed, which it
// answers with various statuses over its versions.
const (
	codeUnknownTable    = "60"
	codeUnknownDatabase = "81"
	codeTooManyParts    = "252"
	codeMemoryLimit     = "241"
	codeAuthentication  = "516"
)

func (c *clickHouse) failure(answer *http.Response) error {
	f := failureOf(answer)
	switch answer.Header.Get("X-ClickHouse-Exception-Code") {
	case codeUnknownTable, codeUnknownDatabase:
		f.Status = http.StatusNotFound
	case codeTooManyParts, codeMemoryLimit:
		f.Status = http.StatusServiceUnavailable
	case codeAuthentication:
		f.Status = http.StatusUnauthorized
	}
	return f
}

// quoteName writes the name of a table in backquotes.
func quoteName(name string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(name) + "`"
}
