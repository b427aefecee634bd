package sink

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
)

const (
	tenant, application, secret = "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000", "entra-hunter2"
	identityToken               = "identity-of-the-cluster"
	tempStorage, readyQueue     = "temp", "ready"
)

// cluster plays Azure Data Explorer over TLS: Entra ID's tokens, the
// management commands of ingestion, and the ingestion itself, out of a real
// container and a real queue of Azurite.
type cluster struct {
	t     *testing.T
	tls   *httptest.Server
	ca    string
	gate  *gate  // in front of Azurite and of the commands
	blobs string // where uploads go, with a signature
	queue string // where messages go, with a signature
	base  string // of the queue service itself

	mu       sync.Mutex
	tags     map[string]bool
	ids      []string
	messages []message
	commands map[string]int
	// loseQueue has the answer of the queue lost, after the message is there.
	loseQueue bool
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	blob, queue := startAzurite(t)
	c := &cluster{t: t, tags: map[string]bool{}, commands: map[string]int{}, base: queue}
	storage := http.NewServeMux()
	toBlobs, toQueue := through(t, blob), through(t, queue)
	storage.Handle("/"+azuriteAccount+"/"+tempStorage+"/", toBlobs)
	storage.HandleFunc("/"+azuriteAccount+"/"+readyQueue+"/", func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		lose := c.loseQueue
		c.mu.Unlock()
		if lose {
			toQueue.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		toQueue.ServeHTTP(w, r)
	})
	c.gate = newGate(t, storage)

	client := azuriteClient(t, blob)
	if _, err := client.CreateContainer(t.Context(), tempStorage, nil); err != nil {
		t.Fatal(err)
	}
	signed, err := client.ServiceClient().NewContainerClient(tempStorage).GetSASURL(
		sas.ContainerPermissions{Read: true, Write: true, Create: true, Delete: true}, time.Now().Add(time.Hour), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, query, _ := strings.Cut(signed, "?")
	c.blobs = c.gate.URL + "/" + azuriteAccount + "/" + tempStorage + "?" + query
	c.queue = c.gate.URL + "/" + azuriteAccount + "/" + readyQueue + "?" + queueSignature()
	c.call(http.MethodPut, c.base+"/"+readyQueue+"?"+queueSignature())

	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/rest/auth/metadata", c.metadata)
	mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", c.openID)
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", c.token)
	mux.Handle("POST /v1/rest/mgmt", c.gate.handler(http.HandlerFunc(c.command)))
	c.tls = httptest.NewTLSServer(mux)
	t.Cleanup(c.tls.Close)
	c.ca = filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.tls.Certificate().Raw})
	if err := os.WriteFile(c.ca, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// queueSignature signs for the queue service of Azurite.
func queueSignature() string {
	key, _ := base64.StdEncoding.DecodeString(azuriteKey)
	expiry := time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05Z")
	const permissions, services, types, protocol, version = "rwdlacup", "q", "sco", "https,http", "2020-12-06"
	mac := hmac.New(sha256.New, key)
	fmt.Fprint(mac, strings.Join([]string{azuriteAccount, permissions, services, types, "", expiry, "", protocol, version, "", ""}, "\n"))
	return url.Values{
		"sv": {version}, "ss": {services}, "srt": {types}, "sp": {permissions}, "se": {expiry}, "spr": {protocol},
		"sig": {base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}.Encode()
}

// call asks Azurite, past the gate.
func (c *cluster) call(method, url string) []byte {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, url, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode > 299 {
		c.t.Fatalf("%s %.80s: status %d, %v: %s", method, url, answer.StatusCode, err, body)
	}
	return body
}

func (c *cluster) metadata(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, map[string]any{"AzureAD": map[string]any{
		"LoginEndpoint": c.tls.URL, "LoginMfaRequired": false, "KustoClientAppId": "x", "KustoClientRedirectUri": "http://localhost",
		"KustoServiceResourceId": "https://kusto.kusto.windows.net", "FirstPartyAuthorityUrl": c.tls.URL,
	}})
}

func (c *cluster) openID(w http.ResponseWriter, r *http.Request) {
	base := c.tls.URL + "/" + r.PathValue("tenant")
	answerJSON(w, map[string]any{
		"issuer": base + "/v2.0", "authorization_endpoint": base + "/oauth2/v2.0/authorize", "token_endpoint": base + "/oauth2/v2.0/token",
	})
}

func (c *cluster) token(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.PathValue("tenant") != tenant, r.FormValue("client_id") != application, r.FormValue("client_secret") != secret:
		w.WriteHeader(http.StatusUnauthorized)
		answerJSON(w, map[string]any{"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."})
	case !strings.HasPrefix(r.FormValue("scope"), "https://kusto.kusto.windows.net"):
		w.WriteHeader(http.StatusBadRequest)
		answerJSON(w, map[string]any{"error": "invalid_scope", "error_description": r.FormValue("scope")})
	default:
		answerJSON(w, map[string]any{"token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 3600, "access_token": "the-token"})
	}
}

func (c *cluster) command(w http.ResponseWriter, r *http.Request) {
	var in struct {
		DB  string `json:"db"`
		CSL string `json:"csl"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.DB != "NetDefaultDB" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if r.Header.Get("Authorization") != "Bearer the-token" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	c.mu.Lock()
	c.commands[in.CSL]++
	c.mu.Unlock()
	switch in.CSL {
	case ".get ingestion resources":
		answerTable(w, []string{"ResourceTypeName", "StorageRoot"}, [][]any{
			{"SecuredReadyForAggregationQueue", c.queue}, {"FailedIngestionsQueue", c.queue}, {"TempStorage", c.blobs}, {"IngestionsStatusTable", c.blobs},
		})
	case ".get kusto identity token":
		answerTable(w, []string{"AuthorizationContext"}, [][]any{{identityToken}})
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func answerTable(w http.ResponseWriter, columns []string, rows [][]any) {
	var heads []map[string]any
	for _, c := range columns {
		heads = append(heads, map[string]any{"ColumnName": c, "DataType": "String", "ColumnType": "string"})
	}
	answerJSON(w, map[string]any{"Tables": []any{map[string]any{"TableName": "Table_0", "Columns": heads, "Rows": rows}}})
}

// ingest does what the service does with its queue: a blob whose tag is there
// already is left out.
func (c *cluster) ingest() []string {
	c.t.Helper()
	for {
		var list struct {
			Messages []struct{ MessageID, PopReceipt, MessageText string } `xml:"QueueMessage"`
		}
		body := c.call(http.MethodGet, c.base+"/"+readyQueue+"/messages?numofmessages=32&"+queueSignature())
		if err := xml.Unmarshal(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), &list); err != nil {
			c.t.Fatal(err)
		}
		if len(list.Messages) == 0 {
			return slices.Clone(c.ids)
		}
		for _, m := range list.Messages {
			text, err := base64.StdEncoding.DecodeString(m.MessageText)
			if err != nil {
				c.t.Fatal(err)
			}
			c.take(text)
		}
	}
}

// take ingests what one message tells of.
func (c *cluster) take(text []byte) {
	c.t.Helper()
	var m message
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&m); err != nil {
		c.t.Fatalf("%v: %s", err, text)
	}
	c.messages = append(c.messages, m)
	var tags, unless []string
	for from, to := range map[string]*[]string{m.AdditionalProperties.Tags: &tags, m.AdditionalProperties.IngestIfNotExists: &unless} {
		if err := json.Unmarshal([]byte(from), to); err != nil {
			c.t.Fatalf("%v: %s", err, text)
		}
	}
	data := c.call(http.MethodGet, m.BlobPath)
	c.call(http.MethodDelete, m.BlobPath)
	for _, u := range unless {
		if c.tags["ingest-by:"+u] {
			return
		}
	}
	maps.Copy(c.tags, set(tags))
	c.ids = append(c.ids, parquetIDs(c.t, bytes.NewReader(data), int64(len(data)))...)
}

func set(all []string) map[string]bool {
	out := map[string]bool{}
	for _, s := range all {
		out[s] = true
	}
	return out
}
