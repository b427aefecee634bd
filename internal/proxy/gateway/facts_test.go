package gateway

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
)

// tierStream is a response that was asked for at priority and is served at default.
func tierStream(t *testing.T) string {
	t.Helper()
	script, err := os.ReadFile("../wire/testdata/transcripts/chat_azure_tier.sse")
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}

// tierWhole is the same response at once.
func tierWhole(t *testing.T) string {
	t.Helper()
	body, err := os.ReadFile("../wire/testdata/transcripts/chat_azure_tier.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestResponseFacts records what a response says of its service tier, its prompt cache,
// its rate limits and who served it, and prices it by that.
func TestResponseFacts(t *testing.T) {
	const responses = `{"id":"resp_1","object":"response","status":"completed","service_tier":"default","output":[],` +
		`"usage":{"input_tokens":2006,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":1920},"output_tokens":9}}`
	for name, tt := range map[string]struct {
		path, ask, kind, body string
		sync                  spillway.SyncMode
	}{
		"stream":    {chatPath, chat("5", `,"stream":true,"service_tier":"priority"`), "text/event-stream", tierStream(t), spillway.SyncStream},
		"assembled": {chatPath, chat("5", `,"service_tier":"priority"`), "text/event-stream", tierStream(t), spillway.SyncStream},
		"whole":     {chatPath, chat("5", `,"service_tier":"priority"`), "application/json", tierWhole(t), spillway.SyncPass},
		"responses": {responsesPath, `{"model":"gpt-4o-mini","input":"hello","service_tier":"priority"}`, "application/json", responses, spillway.SyncPass},
		"responses stream": {
			responsesPath, `{"model":"gpt-4o-mini","input":"hello","service_tier":"priority","stream":true}`, "text/event-stream",
			"data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\",\"service_tier\":\"auto\"}}\n\n" +
				"data: {\"type\":\"response.completed\",\"response\":" + responses + "}\n\n", spillway.SyncStream,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := playing(t, func(rw http.ResponseWriter, _ *http.Request) {
					for name, value := range map[string]string{
						"Content-Type": tt.kind, "apim-request-id": "0b8c1f9a", "x-request-id": "other", "x-ms-region": "East US 2",
						"x-ratelimit-remaining-tokens": "90", "x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-reset-requests": "17",
					} {
						rw.Header().Set(name, value)
					}
					io.WriteString(rw, tt.body)
				}, func(w *world) {
					w.class.Sync = tt.sync
					w.cfg.Pools[0].Deployments[0].Model = "gpt-5.6-sol"
				})
				w.want(w.do(http.MethodPost, tt.path, tt.ask), 200)
				rec := w.record()
				if want := (spillway.Usage{Prompt: 2006, CacheWrite: 1920, Completion: 9, Known: true}); rec.Usage != want {
					t.Errorf("usage %+v, want %+v", rec.Usage, want)
				}
				a := rec.Attempts[0]
				if rec.ServiceTier != "priority" || a.ServiceTier != "default" {
					t.Errorf("asked for %q, served at %q", rec.ServiceTier, a.ServiceTier)
				}
				if want := (86*4 + 1920*5. + 9*20) / 1e6; math.Abs(a.CostUSD-want) > 1e-12 { // of the default tier
					t.Errorf("cost %v, want %v", a.CostUSD, want)
				}
				if a.UpstreamRequestID != "0b8c1f9a" || a.ServedRegion != "East US 2" || a.ResetTokens != 6*time.Minute || a.ResetRequests != 17*time.Second {
					t.Errorf("attempt %+v", a)
				}
				if a.Error != "" || rec.Error() != "" || rec.Refusal != "" {
					t.Errorf("error %q, refusal %q of a response", a.Error, rec.Refusal)
				}
				w.idle()
			})
		})
	}
}

// TestUsageNotAskedFor hides the usage that only the gateway asked for from chunks, in
// every form, and leaves all of it to clients that ask.
func TestUsageNotAskedFor(t *testing.T) {
	chunk := func(text, more string) string {
		return `data: {"id":"c","choices":[{"index":0,"delta":{"content":"` + text + `"}` + more + "\n\n"
	}
	const usage = `"usage":{"prompt_tokens":9,"completion_tokens":4}`
	streams := map[string]struct{ sent, hidden string }{
		"azure": {
			chunk("a", `}],"usage":null}`) + chunk("b", `}],"usage":null}`) + chunk("c", `}],"usage":null}`) + chunk("", `,"finish_reason":"stop"}],"usage":null}`) +
				`data: {"id":"c","choices":[],` + usage + "}\n\n" + doneEvent,
			chunk("a", `}]}`) + chunk("b", `}]}`) + chunk("c", `}]}`) + chunk("", `,"finish_reason":"stop"}]}`) + doneEvent,
		},
		"with the finish": {
			chunk("a", `}]}`) + chunk("b", `}]}`) + chunk("c", `,"finish_reason":"stop"}],`+usage+`}`) + doneEvent,
			chunk("a", `}]}`) + chunk("b", `}]}`) + chunk("c", `,"finish_reason":"stop"}]}`) + doneEvent,
		},
		"in every chunk": {
			chunk("a", `}],`+usage+`}`) + chunk("b", `}],`+usage+`}`) + chunk("c", `,"finish_reason":"stop"}],`+usage+`}`) + doneEvent,
			chunk("a", `}]}`) + chunk("b", `}]}`) + chunk("c", `,"finish_reason":"stop"}]}`) + doneEvent,
		},
		"without a last blank line": {
			chunk("a", `}],"usage":null}`) + strings.TrimSuffix(chunk("c", `,"finish_reason":"stop"}],`+usage+`}`), "\n"),
			chunk("a", `}]}`) + chunk("c", `,"finish_reason":"stop"}]}`),
		},
	}
	for name, s := range streams {
		for _, asks := range []bool{false, true} {
			for _, apart := range []bool{false, true} {
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := playing(t, func(rw http.ResponseWriter, _ *http.Request) {
							rw.Header().Set("Content-Type", "text/event-stream")
							for event := range strings.SplitAfterSeq(s.sent, "\n\n") {
								if send(rw, event); apart {
									time.Sleep(time.Millisecond)
								}
							}
						}, nil)
						more, want := `,"stream":true`, s.hidden
						if asks {
							more, want = more+`,"stream_options":{"include_usage":true}`, s.sent
							if !strings.HasSuffix(want, "\n\n") {
								want += "\n"
							}
						}
						got := w.post(chat("5", more))
						if w.want(got, 200); got.body != want {
							t.Errorf("asks %v: the client reads\n%s\nwant\n%s", asks, got.body, want)
						}
						if u := w.record().Usage; u != (spillway.Usage{Prompt: 9, Completion: 4, Known: true}) {
							t.Errorf("asks %v: recorded %+v", asks, u)
						}
						w.idle()
					})
				})
			}
		}
	}
}

// TestErrorRecorded records why an attempt failed, and the code of the error that the
// gateway words for it, without the credential of the gateway.
func TestErrorRecorded(t *testing.T) {
	fails := func(status int, kind, body string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", kind)
			rw.Header().Set("apim-request-id", "0b8c1f9a")
			rw.WriteHeader(status)
			io.WriteString(rw, body)
		}
	}
	const secret = "azure-key-0123456789"
	long := strings.Repeat("é", 400)
	for name, tt := range map[string]struct {
		play    http.HandlerFunc
		error   string // the beginning, and all of it where it ends with a period
		refusal string
	}{
		"code and message":  {fails(400, "application/json", `{"error":{"code":"content_filter","message":"The prompt was filtered."}}`), "content_filter: The prompt was filtered.", ""},
		"message":           {fails(429, "application/json", `{"error":{"code":null,"message":"Too many."}}`), "Too many.", ""},
		"code":              {fails(503, "application/json", `{"error":{"code":"overloaded."}}`), "overloaded.", ""},
		"numeric code":      {fails(429, "application/json", `{"error":{"code":429,"message":"Wait."}}`), "429: Wait.", ""},
		"API Management":    {fails(401, "application/json", `{"statusCode":401,"message":"Access denied."}`), "Access denied.", "401"},
		"HTML":              {fails(502, "text/html", `<html>Bad gateway</html>`), "status 502 without a readable error", "502"},
		"nothing":           {fails(500, "", ``), "status 500 without a readable error", "500"},
		"long":              {fails(400, "application/json", `{"error":{"message":"`+long+`"}}`), "é", ""},
		"credential":        {fails(401, "application/json", `{"error":{"code":"401","message":"bad key `+secret+`."}}`), "401: bad key ***.", "401"},
		"error with 200":    {fails(200, "application/json", `{"error":{"code":"429","message":"Busy."}}`), "429: Busy.", ""},
		"unreadable":        {fails(200, "application/json", `{"choices":}`), "malformed JSON", ""}, // passed on as it is
		"JSON cut early":    {fails(200, "application/json", `{"choices":`), "malformed JSON", "upstream_unavailable"},
		"error in a stream": {fails(200, "text/event-stream", `data: {"error":{"code":"server_error","message":"Broken."}}`+"\n\n"), "server_error: Broken.", ""},
		"stream cut early":  {fails(200, "text/event-stream", ": hello\n\n"), "the response ended early", "upstream_unavailable"},
		"stream cut":        {fails(200, "text/event-stream", firstEvent), "the response ended early", "upstream_unavailable"},
		"closed":            {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", "upstream_unavailable"},
	} {
		for _, more := range []string{"", `,"stream":true`} {
			t.Run(name+more, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var log lockedBuffer
					w := playing(t, tt.play, func(w *world) {
						up := w.cfg.Upstreams["east"]
						up.Credential = upstream.APIKey(secret)
						w.cfg.Upstreams["east"] = up
						w.logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
					})
					got := w.post(chat("5", more))
					rec := w.record()
					text := rec.Error()
					if !strings.HasPrefix(text, tt.error) || strings.HasSuffix(tt.error, ".") && text != tt.error || text == "" || len(text) > spillway.MaxErrorText {
						t.Errorf("error %q, want %q", text, tt.error)
					}
					if last := rec.Attempts[len(rec.Attempts)-1]; last.Error != text || last.Class == spillway.FailureNone {
						t.Errorf("last attempt %+v", last)
					}
					if string(rec.Refusal) != tt.refusal {
						t.Errorf("refusal %q, want %q; the client reads %q", rec.Refusal, tt.refusal, got.body)
					}
					if tt.refusal != "" && !strings.Contains(got.body, `"code":"`+tt.refusal+`"`) {
						t.Errorf("the client reads %q, want the code %q", got.body, tt.refusal)
					}
					line := ""
					for l := range strings.Lines(log.String()) {
						if strings.Contains(l, `msg="attempt failed"`) {
							line = l
						}
					}
					if answered := name != "closed"; strings.Contains(line, "upstream_request_id=0b8c1f9a") != answered || !strings.Contains(line, "error=") {
						t.Errorf("log line %q", line)
					}
					var written bytes.Buffer
					_ = json.NewEncoder(&written).Encode(rec)
					if strings.Contains(log.String()+written.String(), secret) {
						t.Error("the credential is logged or recorded")
					}
					w.idle()
				})
			})
		}
	}
}

// TestWaitForReset pauses a deployment that refuses without saying for how long, until
// its limit is restored: requests go elsewhere meanwhile, and return afterwards.
func TestWaitForReset(t *testing.T) {
	for text, wait := range map[string]time.Duration{"12s": 12 * time.Second, "12": 12 * time.Second, "1m30s": spillway.MaxRetryAfter, "x": time.Second} {
		t.Run(text, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				refuses := true
				w := newWorld(t, two(), func(w *world) {
					w.serve("east.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						if io.Copy(io.Discard, r.Body); !refuses {
							io.WriteString(rw, wholeChat)
							return
						}
						rw.Header().Set("x-ratelimit-remaining-requests", "0")
						rw.Header().Set("x-ratelimit-remaining-tokens", "90000000")
						rw.Header().Set("x-ratelimit-reset-requests", text)
						rw.Header().Set("x-ratelimit-reset-tokens", "1h")
						rw.WriteHeader(http.StatusTooManyRequests)
						io.WriteString(rw, `{"error":{"code":"rate_limit_exceeded","message":"Too many requests."}}`)
					}))
					w.upstream("east", "http://east.test")
				})
				served := func() string {
					got := w.post(chat("5", ""))
					w.want(got, 200)
					return got.header.Get("x-spillway-deployment")
				}
				began := time.Now()
				if by := served(); by != "west" {
					t.Errorf("served by %s", by)
				}
				pauses := w.gateway.Status(nil)[0].Deployments[0].Pauses
				if len(pauses) != 1 || pauses[0].Until.Before(began.Add(wait)) || pauses[0].Until.After(began.Add(wait+time.Second)) {
					t.Fatalf("pauses %+v, want %v", pauses, wait)
				}
				refuses = false
				time.Sleep(time.Until(pauses[0].Until) + 2*time.Second)
				if by := served(); by != "east" {
					t.Errorf("after the wait, served by %s", by)
				}
				w.idle()
			})
		})
	}
}

// TestRetryAfterOfReset tells the client of a refusal without a wait when the limit is
// restored, within bounds.
func TestRetryAfterOfReset(t *testing.T) {
	for text, want := range map[string]string{"12s": "12", "45": "45", "6m0s": "60", "x": "1", "": "1"} {
		synctest.Test(t, func(t *testing.T) {
			w := playing(t, func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("x-ratelimit-remaining-tokens", "0")
				rw.Header().Set("x-ratelimit-reset-tokens", text)
				rw.WriteHeader(http.StatusTooManyRequests)
				io.WriteString(rw, `{"error":{"code":"rate_limit_exceeded","message":"Too many tokens."}}`)
			}, func(w *world) { w.class.Window = time.Second })
			got := w.post(chat("5", ""))
			w.want(got, http.StatusTooManyRequests)
			if after := got.header.Get("Retry-After"); after != want {
				t.Errorf("%q: Retry-After %q, want %q", text, after, want)
			}
			if rec := w.record(); rec.Outcome != spillway.OutcomeThrottled || rec.Error() != "rate_limit_exceeded: Too many tokens." {
				t.Errorf("outcome %v, error %q", rec.Outcome, rec.Error())
			}
			w.idle()
		})
	}
}
