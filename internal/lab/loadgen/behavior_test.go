package loadgen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/workload"
)

const (
	answerWhole  = `{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":7,"total_tokens":16}}`
	answerLength = `{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"length"}],"usage":{"prompt_tokens":9,"completion_tokens":7,"total_tokens":16}}`
	chunk        = "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n"
	chunkStop    = "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
	chunkUsage   = "data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,\"total_tokens\":12}}\n\n"
	chunkDone    = "data: [DONE]\n\n"
	chunkError   = "data: {\"error\":{\"message\":\"no\",\"code\":\"server_error\"}}\n\n"
)

// serve starts a server for the test.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// stream responds with events.
func stream(events ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, e := range events {
			_, _ = io.WriteString(w, e)
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// says responds with a status, headers as "Name: value", and a body.
func says(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// hangs answers nothing until the client leaves.
func hangs(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.ReadAll(r.Body) // a server sees that its client leaves only when it has read all
	<-r.Context().Done()
}

func resets(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

func TestOutcomes(t *testing.T) {
	sync, streamed := workload.Call{PromptTokens: 9, OutputTokens: 7}, workload.Call{PromptTokens: 9, OutputTokens: 3, Stream: true}
	capped := workload.Call{PromptTokens: 9, OutputTokens: 7, MaxTokens: 7}
	roomy := workload.Call{PromptTokens: 9, OutputTokens: 7, MaxTokens: 70}
	for _, c := range []struct {
		name    string
		call    workload.Call
		answer  http.HandlerFunc
		want    string
		failure string
	}{
		{"whole", sync, says(200, answerWhole), "complete", ""},
		{"stream", streamed, stream(chunk, chunk, chunk, chunkStop, chunkUsage, chunkDone), "complete", ""},
		{"stream asked, whole given", streamed, says(200, answerWhole, "Content-Type: application/json"), "complete", ""},
		{"length of its own limit", capped, says(200, answerLength), "complete", ""},
		{"length below its own limit", roomy, says(200, answerLength), "truncated", ""},
		{"length without a limit", sync, says(200, answerLength), "truncated", ""},
		{"cut at the deadline", capped, says(200, answerLength, "X-Spillway-Truncated: deadline"), "truncated", ""},
		{"granted less", capped, says(200, answerLength, "X-Spillway-Requested-Tokens: 70", "X-Spillway-Granted-Tokens: 7"), "truncated", ""},
		{"granted less, not needed", capped, says(200, answerWhole, "X-Spillway-Requested-Tokens: 70", "X-Spillway-Granted-Tokens: 7"), "complete", ""},
		{"408", sync, says(408, `{"error":{"code":"Timeout","message":"late"}}`), "timeout", ""},
		{"429", sync, says(429, `{"error":{"code":"429","message":"full"}}`), "throttled", ""},
		{"500", sync, says(500, "oh"), "http_error", ""},
		{"400", sync, says(400, "bad"), "http_error", ""},
		{"error with status 200", sync, says(200, `{"error":{"message":"no"}}`), "broken", failureMalformed},
		{"not JSON", sync, says(200, "<html>"), "broken", failureMalformed},
		{"stream cut", streamed, stream(chunk, chunk), "broken", failureCut},
		{"stream that says an error", streamed, stream(chunk, chunkError), "broken", failureMalformed},
		{"stream that is not JSON", streamed, stream(chunk, "data: {\n\n"), "broken", failureMalformed},
		{"reset", sync, resets, "broken", ""},
		{"hangs", sync, hangs, "client_timeout", failureClient},
		{"stream hangs", streamed, func(w http.ResponseWriter, r *http.Request) { stream(chunk)(w, r); hangs(w, r) }, "client_timeout", failureClient},
	} {
		t.Run(c.name, func(t *testing.T) {
			opt := Options{Endpoint: serve(t, c.answer), Timeout: 5 * time.Minute}
			if c.want == "client_timeout" {
				opt.Timeout = 50 * time.Millisecond
			}
			report, err := run(t, opt, &calls{c.call})
			if err != nil {
				t.Fatal(err)
			}
			if report.Outcomes[c.want] != 1 || c.failure != "" && report.Failures[c.failure] != 1 {
				t.Errorf("got %v, failures %v, want %s %s", report.Outcomes, report.Failures, c.want, c.failure)
			}
		})
	}
}

func TestStreamTimings(t *testing.T) {
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, part := range [...]string{chunk, chunk, chunk + chunkStop + chunkUsage + chunkDone} {
			stream(part)(w, r)
			<-time.After(30 * time.Millisecond)
		}
	})
	report, err := runVirtual(t, server, Options{Objective: Objective{TBT: time.Millisecond}}, &calls{{PromptTokens: 9, OutputTokens: 3, Stream: true}})
	if err != nil {
		t.Fatal(err)
	}
	if report.TBT.Count != 2 || report.TBT.Mean < 29 || report.TBT.Mean > 31 || report.TTFT.Sent.Count != 1 || report.TTFT.Sent.Max >= report.E2E.Sent.Max {
		t.Errorf("TBT %+v TTFT %+v E2E %+v", report.TBT, report.TTFT.Sent, report.E2E.Sent)
	}
	if report.Attainment != 0 || report.Outcomes["complete"] != 1 || report.CompletionTokens != 3 {
		t.Errorf("attainment %v, outcomes %v, %d tokens", report.Attainment, report.Outcomes, report.CompletionTokens)
	}
}

// A server that stalls once keeps all calls behind it waiting. From the
// instant of sending, one call in a hundred was slow; those who meant to call
// waited for much more.
func TestCoordinatedOmission(t *testing.T) {
	var served atomic.Int32
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if served.Add(1) == 10 {
			<-time.After(600 * time.Millisecond)
		}
		says(200, answerWhole)(w, r)
	})
	src, err := Steady{Rate: 150, Duration: 667 * time.Millisecond, Even: true, Call: workload.Call{PromptTokens: 50, OutputTokens: 20}}.Source()
	if err != nil {
		t.Fatal(err)
	}
	report, err := runVirtual(t, server, Options{MaxInFlight: 1}, src)
	if err != nil {
		t.Fatal(err)
	}
	if report.E2E.Sent.P50 > report.E2E.Intended.P50/2 || report.E2E.Intended.P50 < 100 {
		t.Errorf("p50 from intended start %v ms, from send %v ms", report.E2E.Intended.P50, report.E2E.Sent.P50)
	}
	if len(report.Warnings) == 0 || !strings.Contains(report.Warnings[0], "started late") {
		t.Errorf("warnings %q", report.Warnings)
	}
}

func TestRetries(t *testing.T) {
	for _, c := range []struct {
		name     string
		retries  int
		first    http.HandlerFunc
		attempts int
		outcome  string
	}{
		{"429", 2, says(429, "", "Retry-After-Ms: 5"), 2, "complete"},
		{"503", 1, says(503, "", "Retry-After-Ms: 5"), 2, "complete"},
		{"reset", 1, resets, 2, "complete"},
		{"not wanted", 0, says(429, "", "Retry-After-Ms: 5"), 1, "throttled"},
		{"forbidden", 2, says(503, "", "X-Should-Retry: false"), 1, "http_error"},
		{"ordered", 2, says(400, "", "X-Should-Retry: true", "Retry-After-Ms: 5"), 2, "complete"},
		{"useless", 2, says(400, ""), 1, "http_error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var seen []string
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				seen = append(seen, r.Header.Get("X-Stainless-Retry-Count"))
				n := len(seen)
				mu.Unlock()
				if body, err := io.ReadAll(r.Body); err != nil || !json.Valid(body) {
					t.Errorf("attempt %d: body %q, %v", n, body, err)
				}
				if n == 1 {
					c.first(w, r)
				} else {
					says(200, answerWhole)(w, r)
				}
			})
			report, err := run(t, Options{Endpoint: url, Retries: c.retries}, &calls{{PromptTokens: 9, OutputTokens: 7}})
			if err != nil {
				t.Fatal(err)
			}
			if want := []string{"0", "1"}[:c.attempts]; !slices.Equal(seen, want) || report.Outcomes[c.outcome] != 1 || report.Attempts != c.attempts {
				t.Errorf("retry counts %q, %d attempts, outcomes %v", seen, report.Attempts, report.Outcomes)
			}
		})
	}
}

// Calls that an interrupted run does not wait for are no errors.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var begun atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if begun.Add(1) == 3 {
			cancel()
		}
		hangs(w, r)
	})
	r, err := New(Options{Endpoint: url, Grace: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	src := calls{{PromptTokens: 9}, {PromptTokens: 9}, {PromptTokens: 9}, {PromptTokens: 9, At: time.Hour}}
	report, err := r.Run(ctx, &src)
	if err != nil {
		t.Fatal(err)
	}
	if report.Offered != 3 || report.Outcomes["unfinished"] != 3 || report.ErrorRate != 0 || !report.Interrupted {
		t.Errorf("got %+v", report)
	}
}

// What shows that the command is wrong is said once and ends the run.
func TestMisconfigured(t *testing.T) {
	unused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unused.Close()
	secure := httptest.NewUnstartedServer(says(200, answerWhole))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for _, c := range []struct {
		name, endpoint, key, want string
	}{
		{"no key", serve(t, says(401, "")), "", "requires a key"},
		{"wrong key", serve(t, says(401, `{"error":{"message":"Not \n\u001byours."}}`)), "k", "rejected the credential (401): Not yours. Correct"},
		{"model", serve(t, says(404, "")), "k", `no model or deployment "gpt-4o-mini"`},
		{"no API", serve(t, says(405, "")), "k", "not a chat API"},
		{"elsewhere", serve(t, says(301, "", "Location: http://x/")), "k", "redirects to http://x/"},
		{"refused", "http://" + unused.Addr().String(), "k", "connection refused by"},
		{"no TLS", strings.Replace(serve(t, says(200, "")), "http", "https", 1), "k", "Write http://"},
		{"TLS", strings.Replace(secure.URL, "https", "http", 1), "k", "write https://"},
		{"authority", secure.URL, "k", "SSL_CERT_FILE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := calls{{PromptTokens: 9}, {PromptTokens: 9, At: time.Hour}}
			_, err := run(t, Options{Endpoint: c.endpoint, Key: c.key, Retries: 2}, &src)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// A target that has once answered is not misconfigured by a fault.
func TestFaultIsNoMistake(t *testing.T) {
	var served atomic.Int32
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if served.Add(1) == 1 {
			says(200, answerWhole)(w, r)
		} else {
			says(401, "")(w, r)
		}
	})
	report, err := runVirtual(t, server, Options{}, &calls{{PromptTokens: 9}, {PromptTokens: 9, At: 100 * time.Millisecond}})
	if err != nil || report.Outcomes["http_error"] != 1 {
		t.Errorf("got %v, %+v", err, report)
	}
}

func TestClasses(t *testing.T) {
	src := calls{}
	for i := range 5 {
		src = append(src, workload.Call{At: time.Duration(i) * 10 * time.Millisecond, PromptTokens: 9, Class: fmt.Sprint("c", i%2)})
	}
	report, err := run(t, Options{Endpoint: serve(t, says(200, answerWhole))}, &src)
	if err != nil {
		t.Fatal(err)
	}
	if report.Offered != 5 || report.WallSeconds < 0.04 || len(report.Classes) != 2 || report.Classes[0].Offered != 3 || report.Classes[1].Attainment != 1 {
		t.Errorf("offered %d in %v s, classes %+v", report.Offered, report.WallSeconds, report.Classes)
	}
}

func TestHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("called by %s", r.Proto)
		}
		stream(chunk, chunkStop, chunkUsage, chunkDone)(w, r)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	report, err := run(t, Options{Endpoint: server.URL, HTTP2: true}, &calls{{PromptTokens: 9, Stream: true}})
	if err != nil || report.Outcomes["complete"] != 1 {
		t.Errorf("%v, %+v", err, report)
	}
}

// spoilt is a source that fails after some calls.
type spoilt struct{ calls }

func (s *spoilt) Next() (workload.Call, error) {
	call, err := s.calls.Next()
	if err != nil {
		err = errors.New("row 2 is bad")
	}
	return call, err
}

// What was sent before a bad row is still reported.
func TestBadSource(t *testing.T) {
	report, err := run(t, Options{Endpoint: serve(t, says(200, answerWhole))}, &spoilt{calls{{PromptTokens: 9}}})
	if err == nil || !strings.Contains(err.Error(), "row 2 is bad") || report.Outcomes["complete"] != 1 {
		t.Errorf("%v, %+v", err, report)
	}
}
