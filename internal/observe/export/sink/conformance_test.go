package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/observe/export"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

// The moods of a gate.
const (
	open     = iota
	lossy    // the answer is lost after the server has done its work
	away     // connections are cut
	throttle // 429 that asks for seven seconds
	sick     // 500
	strict   // 400
	stuck    // no answer at all
)

// gate stands before a real server and fails in the ways that networks and
// servers do.
type gate struct {
	*httptest.Server
	mood atomic.Int32
}

// newGate passes on to backend, in the manner of a client that trusts any host.
func newGate(t *testing.T, backend http.Handler) *gate {
	t.Helper()
	g := &gate{}
	g.Server = httptest.NewServer(g.handler(backend))
	t.Cleanup(g.Close)
	return g
}

// through is a backend that is another server.
func through(t *testing.T, base string) http.Handler {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: u.Scheme, Host: u.Host}) }}
}

func (g *gate) handler(backend http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse := func(status int) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(status)
			fmt.Fprintln(w, "<?xml version=\"1.0\"?><Error><Code>Oh</Code><Message>dear</Message></Error>")
		}
		switch g.mood.Load() {
		case open:
			backend.ServeHTTP(w, r)
		case lossy:
			backend.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case away:
			panic(http.ErrAbortHandler)
		case throttle:
			w.Header().Set("Retry-After", "7")
			refuse(http.StatusTooManyRequests)
		case sick:
			refuse(http.StatusInternalServerError)
		case strict:
			refuse(http.StatusBadRequest)
		case stuck:
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}
	})
}

// place is a kind of sink under test.
type place struct {
	target export.Target
	gate   *gate
	// ids are those of the records that the place has, in any order.
	ids func(t *testing.T) []string
	// wrong is target with a credential that is not valid.
	wrong export.Target
	// silent says that the place tells no Retry-After through its client.
	silent bool
	// secrets must not be told.
	secrets []string
}

// segments are n segments of a store with three records each.
func segments(t *testing.T, n int) []*store.Segment {
	t.Helper()
	w, err := store.NewWriter(store.Config{Dir: t.TempDir(), Feeds: []string{"test"}, SealRecords: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	f := w.Feed("test")
	var all []*store.Segment
	for i := range n {
		for k := range 3 {
			w.Record(sample(i*3 + k + 1))
		}
		s, err := f.Next()
		for err == nil && s == nil {
			<-f.Sealed()
			s, err = f.Next()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		if err := f.Done(s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// sample is a record with something in most columns.
func sample(n int) *spillway.Record {
	r := &spillway.Record{
		ID: fmt.Sprint("req_", n), Time: time.Now().UTC().Truncate(time.Microsecond), Pool: "gpt-4o-mini", Caller: "search", Class: "interactive", Model: "gpt-4o-mini",
		Stream: n%2 == 0, AskTokens: 100 * n, Status: 200, E2E: time.Duration(n) * 1500 * time.Microsecond,
		Usage: spillway.Usage{Prompt: 10, CacheWrite: 2, Completion: n, Known: true},
	}
	for i := range n % 3 {
		r.Attempts = append(r.Attempts, spillway.Attempt{
			Deployment: fmt.Sprint("deployment-", i), Region: "eastus", Status: 200, End: time.Duration(n) * time.Millisecond, Utilization: 0.5,
			Class: spillway.FailureRefused, Error: "too many", ServiceTier: "default", ResetTokens: time.Duration(n) * time.Millisecond,
			UpstreamRequestID: fmt.Sprint("up-", n), ServedRegion: "East US",
		})
	}
	return r
}

// parquetIDs are the ids in a Parquet file.
func parquetIDs(t *testing.T, file io.ReaderAt, size int64) (ids []string) {
	t.Helper()
	type row struct {
		ID string `parquet:"id"`
	}
	rows, err := parquet.Read[row](file, size)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return ids
}

// patience is longer than anything takes that does not hang.
const patience = 5 * time.Minute

// conform holds a sender to what the worker relies on.
func conform(t *testing.T, p place) {
	sender, err := New(p.target)
	if err != nil {
		t.Fatal(err)
	}
	segs := segments(t, 4)
	send := func(s *store.Segment) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return sender.Send(ctx, s)
	}
	has := func(when string, n int) {
		t.Helper()
		var want []string
		for i := range n {
			want = append(want, fmt.Sprint("req_", i+1))
		}
		got := p.ids(t)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: the place has %q, want %q", when, got, want)
		}
	}
	if err := send(segs[0]); err != nil {
		t.Fatalf("the first segment: %v", err)
	}
	has("one segment", 3)
	if err := send(segs[0]); err != nil {
		t.Errorf("the same again: %v", err)
	}
	has("the same segment again", 3)

	p.gate.mood.Store(lossy)
	if err := send(segs[1]); err == nil || export.Refused(err) {
		t.Errorf("the lost answer gives %v, want an error that is not a refusal", err)
	}
	p.gate.mood.Store(open)
	if err := send(segs[1]); err != nil {
		t.Errorf("after the lost answer: %v", err)
	}
	has("after a lost answer", 6)

	p.failures(t, send, segs[2])
	p.gate.mood.Store(open)
	if err := send(segs[2]); err != nil {
		t.Errorf("after all that: %v", err)
	}
	if err := send(segs[3]); err != nil {
		t.Errorf("the last segment: %v", err)
	}
	has("in the end", 12)
	p.credentials(t, segs[3])
}

// failures has each mood, and looks at what is told of it.
func (p place) failures(t *testing.T, send func(*store.Segment) error, s *store.Segment) {
	t.Helper()
	for _, mood := range []struct {
		name    string
		mood    int32
		status  int
		refused bool
	}{
		{"away", away, 0, false}, {"throttle", throttle, 429, false}, {"sick", sick, 500, false}, {"strict", strict, 400, true},
	} {
		p.gate.mood.Store(mood.mood)
		err := send(s)
		if err == nil || export.Refused(err) != mood.refused {
			t.Errorf("%s gives %v, which is a refusal: %v", mood.name, err, export.Refused(err))
			continue
		}
		p.secret(t, err)
		f, ok := errors.AsType[*export.Failure](err)
		if mood.status != 0 && (!ok || f.Status != mood.status) {
			t.Errorf("%s gives %v, want status %d", mood.name, err, mood.status)
		}
		if mood.status == 429 && !p.silent && f.RetryAfter != 7*time.Second {
			t.Errorf("%s asks for %v, want 7s", mood.name, f.RetryAfter)
		}
	}
	p.gate.mood.Store(stuck)
	sender, err := New(p.target)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- sender.Send(ctx, s) }()
	cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a canceled send succeeds")
		}
	case <-time.After(patience):
		t.Error("a canceled send goes on")
	}
}

// credentials tries one that is wrong: it is waited for, and not told.
func (p place) credentials(t *testing.T, s *store.Segment) {
	t.Helper()
	if p.wrong.Kind == "" {
		return
	}
	sender, err := New(p.wrong)
	if err == nil {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		err = sender.Send(ctx, s)
	}
	if err == nil || export.Refused(err) {
		t.Errorf("a wrong credential gives %v, want an error that is not a refusal", err)
		return
	}
	p.secret(t, err)
	t.Logf("a wrong credential: %v", err)
}

func (p place) secret(t *testing.T, err error) {
	t.Helper()
	for _, s := range p.secrets {
		if strings.Contains(err.Error(), s) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
}

func TestClickHouse(t *testing.T) {
	t.Parallel()
	server := startClickHouse(t)
	g := newGate(t, through(t, server))
	p := place{
		gate: g, secrets: []string{housePassword, "wrong-hunter2"},
		target: export.Target{Kind: export.ClickHouse, URL: g.URL, Database: "default", Table: "requests", Auth: export.Auth{User: houseUser, Password: housePassword}},
	}
	p.wrong = p.target
	p.wrong.Auth.Password = "wrong-hunter2"
	p.ids = func(t *testing.T) []string {
		return strings.Fields(askClickHouse(t, server, "SELECT id FROM requests"))
	}
	sender, err := New(p.target)
	if err != nil {
		t.Fatal(err)
	}
	if err := sender.Send(t.Context(), segments(t, 1)[0]); err == nil || export.Refused(err) {
		t.Errorf("without the table: %v, want an error that is not a refusal", err)
	}
	makeTables(t, server)
	conform(t, p)

	if got := askClickHouse(t, server, "SELECT ask_tokens, e2e_ms, stream, completion_tokens, toString(tier), attempt_count, length(attempts) FROM requests WHERE id = 'req_4'"); got != "400\t6\ttrue\t4\t0\t1\t1" {
		t.Errorf("the record 4 is %q", got)
	}
	if got := askClickHouse(t, server, "SELECT request_id, number, deployment, status, end_ms, utilization_ratio FROM attempts WHERE request_id = 'req_5' ORDER BY number"); got != "req_5\t1\tdeployment-0\t200\t5\t0.5\nreq_5\t2\tdeployment-1\t200\t5\t0.5" {
		t.Errorf("the attempts of 5 are %q", got)
	}
}

// TestClickHouseUpgrade sends records to a table of an earlier version, before and after
// the script that is shipped adds the columns that the table lacks.
func TestClickHouseUpgrade(t *testing.T) {
	t.Parallel()
	server := startClickHouse(t)
	runScript(t, server, "testdata/clickhouse-before.sql")
	sender, err := New(export.Target{
		Kind: export.ClickHouse, URL: newGate(t, through(t, server)).URL, Database: "default", Table: "requests",
		Auth: export.Auth{User: houseUser, Password: housePassword},
	})
	if err != nil {
		t.Fatal(err)
	}
	all := segments(t, 2)
	if err := sender.Send(t.Context(), all[0]); err != nil {
		t.Fatalf("to the table of before: %v", err)
	}
	for range 2 { // once more changes nothing
		makeTables(t, server)
	}
	if err := sender.Send(t.Context(), all[1]); err != nil {
		t.Fatalf("to the table of now: %v", err)
	}
	const query = "SELECT request_id, deployment, response_service_tier, upstream_request_id, served_region, error, reset_tokens_ms FROM attempts WHERE number = 1 ORDER BY request_id"
	want := "req_1\tdeployment-0\t\t\t\t\t\\N\n" + "req_2\tdeployment-0\t\t\t\t\t\\N\n" +
		"req_4\tdeployment-0\tdefault\tup-4\tEast US\ttoo many\t4\n" + "req_5\tdeployment-0\tdefault\tup-5\tEast US\ttoo many\t5"
	if got := askClickHouse(t, server, query); got != want {
		t.Errorf("the attempts are\n%q, want\n%q", got, want)
	}
	if got := askClickHouse(t, server, "SELECT id, cache_write_tokens, response_service_tier, error FROM requests WHERE id IN ('req_1', 'req_4') ORDER BY id"); got != "req_1\t\\N\t\t\nreq_4\t2\tdefault\ttoo many" {
		t.Errorf("the requests are %q", got)
	}
}

// signatures is an S3 server that takes all and tells how it was signed.
func signatures(seen chan<- string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		seen <- r.Header.Get("X-Amz-Security-Token") + " " + r.Header.Get("Authorization")
		w.Header().Set("ETag", `"x"`)
	})
}
