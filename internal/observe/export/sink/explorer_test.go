package sink

import (
	"strings"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/observe/export"
)

// Azure Data Explorer, played by a cluster that takes from real storage.
func TestDataExplorer(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	p := place{gate: c.gate, secrets: []string{secret, "wrong-hunter2", identityToken, "sig=", "the-token"}}
	p.target = export.Target{
		Kind: export.DataExplorer, URL: c.tls.URL, Database: "gateway", Table: "requests", Mapping: "requests_parquet", CAFile: c.ca,
		Auth: export.Auth{TenantID: tenant, ClientID: application, ClientSecret: secret, Authority: c.tls.URL + "/"},
	}
	p.wrong = p.target
	p.wrong.Auth.ClientSecret = "wrong-hunter2"
	p.ids = func(*testing.T) []string { return c.ingest() }
	conform(t, p)
	for _, m := range c.messages {
		a := m.AdditionalProperties
		if m.DatabaseName != "gateway" || m.TableName != "requests" || m.ID == "" || !m.FlushImmediately ||
			a.AuthorizationContext != identityToken || a.Format != "parquet" || a.IngestionMappingReference != "requests_parquet" || a.IngestionMappingType != "Parquet" {
			t.Errorf("a message is %+v", m)
		}
		if at, err := time.Parse(time.RFC3339, m.SourceMessageCreationTime); err != nil || time.Since(at) > time.Hour {
			t.Errorf("a message was made at %s", m.SourceMessageCreationTime)
		}
	}

	// The message is in the queue, and the answer is lost.
	before := len(c.ids)
	sender, err := New(p.target)
	if err != nil {
		t.Fatal(err)
	}
	s := segments(t, 1)[0]
	c.loseQueue = true
	if err := sender.Send(t.Context(), s); err == nil || export.Refused(err) || strings.Contains(err.Error(), "sig=") {
		t.Errorf("the lost answer gives %v", err)
	}
	c.loseQueue = false
	if err := sender.Send(t.Context(), s); err != nil {
		t.Error(err)
	}
	messages := len(c.messages)
	if got := len(c.ingest()) - before; got != 3 || len(c.messages)-messages != 2 {
		t.Errorf("%d records came in %d messages, want 3 in 2", got, len(c.messages)-messages)
	}
	asksAgain(t, c, p.target)
}

// asksAgain shows that the places for uploads are asked for once an hour, and
// after a failure.
func asksAgain(t *testing.T, c *cluster, target export.Target) {
	t.Helper()
	sender, err := New(target)
	if err != nil {
		t.Fatal(err)
	}
	before, had := c.commands[".get ingestion resources"], len(c.ids)
	now := time.Now()
	e := sender.(*explorer)
	e.now = func() time.Time { return now }
	segs := segments(t, 4)
	asked := func() int { return c.commands[".get ingestion resources"] - before }
	for i, want := range []int{1, 1, 2} {
		if i == 2 {
			now = now.Add(resourcesFor)
		}
		if err := e.Send(t.Context(), segs[i]); err != nil || asked() != want {
			t.Errorf("send %d: %v after %d questions, want %d", i, err, asked(), want)
		}
	}
	good := c.blobs
	e.places.containers = []string{strings.Replace(good, "sig=", "sig=x", 1)} // has run out
	if err := e.Send(t.Context(), segs[3]); err == nil || export.Refused(err) {
		t.Errorf("a signature that has run out gives %v, want an error that is not a refusal", err)
	}
	if err := e.Send(t.Context(), segs[3]); err != nil || asked() != 3 {
		t.Errorf("then: %v after %d questions, want 3", err, asked())
	}
	if got := len(c.ingest()) - had; got != 12 {
		t.Errorf("%d records came, want 12", got)
	}
}

func TestIngestionURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://c.westeurope.kusto.windows.net":        "https://ingest-c.westeurope.kusto.windows.net",
		"https://ingest-c.westeurope.kusto.windows.net": "https://ingest-c.westeurope.kusto.windows.net",
		"https://127.0.0.1:8443":                        "https://127.0.0.1:8443",
	} {
		if got, err := ingestionURL(in); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", in, got, err, want)
		}
	}
}
