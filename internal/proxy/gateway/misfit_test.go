package gateway

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy"
)

// oddWorld is a world whose only deployment is h. Calls keeps what it was asked.
func oddWorld(t *testing.T, h http.HandlerFunc, change func(*world)) (w *world, calls *calls) {
	calls = newCalls(h)
	return newWorld(t, one(), func(w *world) {
		w.serve("east.test", calls)
		w.upstream("east", "http://east.test")
		if change != nil {
			change(w)
		}
	}), calls
}

// calls remembers the requests that it passes on to a handler.
type calls struct {
	next http.HandlerFunc
	mu   sync.Mutex
	uris []string
	head []http.Header
	body []string
}

func newCalls(next http.HandlerFunc) *calls { return &calls{next: next} }

// ServeHTTP records the request and calls the handler.
func (c *calls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	c.uris, c.head, c.body = append(c.uris, r.RequestURI), append(c.head, r.Header), append(c.body, string(body))
	c.mu.Unlock()
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	c.next(w, r)
}

// speak responds with a stream of those choices, and what comes after them.
func speak(w http.ResponseWriter, tail string, choices ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, choice := range choices {
		io.WriteString(w, `data: {"id":"c","created":1,"model":"m","choices":[`+choice+"]}\n\n")
	}
	io.WriteString(w, tail)
}

const (
	doneTail   = "data: [DONE]\n\n"
	wholeFirst = `{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":"stop"}`
	openSecond = `{"index":1,"delta":{"role":"assistant","content":"b"},"finish_reason":null}`
)

// TestStreamOptionsLearned learns that a deployment takes no stream_options only
// where ours were the reason of a refusal.
func TestStreamOptionsLearned(t *testing.T) {
	refuse := func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":{"message":"Unrecognized request argument supplied: stream_options"}}`)
	}
	for _, tt := range []struct {
		name, more string
		old, stiff bool // refuses stream_options; refuses everything
		status     int
		asked      int
		learned    bool
	}{
		{"old version", ``, true, false, 200, 2, true},
		{"old version, wrong in another way too", ``, true, true, 400, 2, false},
		{"the client's own", `,"stream":true,"stream_options":{"bogus":1}`, true, false, 400, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, calls := oddWorld(t, func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					if tt.stiff || strings.Contains(string(body), "stream_options") {
						refuse(w)
						return
					}
					speak(w, doneTail, wholeFirst)
				}, nil)
				w.want(w.post(chat("5", tt.more)), tt.status)
				if len(calls.body) != tt.asked {
					t.Errorf("asked %d times, want %d: %q", len(calls.body), tt.asked, calls.body)
				}
				if err := w.gateway.Apply(w.cfg); err != nil { // what is learned outlives a reload
					t.Fatal(err)
				}
				w.want(w.post(chat("5", tt.more)), tt.status)
				if again, learned := len(calls.body)-tt.asked, 1; tt.learned && again != learned || !tt.learned && again != tt.asked {
					t.Errorf("asked %d times the second time, learned: %v", again, tt.learned)
				}
				w.idle()
			})
		})
	}
}

// TestStalledError keeps the status of an error whose body does not come.
func TestStalledError(t *testing.T) {
	for _, status := range []int{400, 404, 429} {
		synctest.Test(t, func(t *testing.T) {
			w, _ := oddWorld(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "86400")
				w.WriteHeader(status)
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			}, nil)
			got := w.post(chat("5", ""))
			w.want(got, status)
			if wait := got.header.Get("Retry-After"); wait != "60" || got.took > 3*time.Second {
				t.Errorf("%d after %v, retry-after %s: %s", status, got.took, wait, got.body)
			}
			w.idle()
		})
	}
}

// TestUnfinishedChoice ends a stream of two choices, without a mark, in the
// middle of the second or before it.
func TestUnfinishedChoice(t *testing.T) {
	for _, choices := range [][]string{{wholeFirst, openSecond}, {wholeFirst}} {
		for _, more := range []string{`,"n":2`, `,"n":2,"stream":true`} {
			synctest.Test(t, func(t *testing.T) {
				w, _ := oddWorld(t, func(w http.ResponseWriter, _ *http.Request) { speak(w, "", choices...) }, nil)
				w.post(chat("5", more))
				if rec := w.record(); rec.Outcome != spillway.OutcomeUpstreamError && rec.Outcome != spillway.OutcomePartial {
					t.Errorf("%d choices%s: outcome %v", len(choices), more, rec.Outcome)
				}
			})
		}
	}
}

// TestGrantedTokensOfTheClient tells the limit that was sent, whoever set it.
func TestGrantedTokensOfTheClient(t *testing.T) {
	for _, mode := range []spillway.BudgetMode{spillway.BudgetWindow, spillway.BudgetClamp, spillway.BudgetObserve} {
		for _, more := range []string{`,"max_tokens":100`, `,"max_tokens":100,"stream":true`} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, one(), func(w *world) { w.class.Budget.Mode = mode })
				got := w.post(chat("5", more))
				w.want(got, 200)
				if granted := got.header.Get("x-spillway-granted-tokens"); granted != "100" || w.record().GrantTokens != 100 {
					t.Errorf("%v%s: granted %q, %v", mode, more, granted, got.header)
				}
			})
		}
	}
}

// TestUnstreamable leaves alone what no service streams.
func TestUnstreamable(t *testing.T) {
	for _, tt := range []struct{ path, body string }{
		{"/openai/deployments/gpt-4o-mini/completions?api-version=2024-10-21", `{"prompt":"x","best_of":3}`},
		{chatPath, `{"messages":[],"audio":{"voice":"alloy","format":"mp3"}}`},
	} {
		synctest.Test(t, func(t *testing.T) {
			w, calls := oddWorld(t, func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, `{"choices":[{"index":0,"finish_reason":"stop"}]}`)
			}, nil)
			w.want(w.do(http.MethodPost, tt.path, tt.body), 200)
			if len(calls.body) != 1 || strings.Contains(calls.body[0], "stream") {
				t.Errorf("asked %q", calls.body)
			}
		})
	}
}

// TestErrorWithStatus200 takes an error for one, whatever its status.
func TestErrorWithStatus200(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, two(), func(w *world) {
			w.class.Sync = spillway.SyncPass
			w.serve("east.test", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				io.WriteString(rw, `{"error":{"code":"overloaded","message":"try later"}}`)
			}))
			w.upstream("east", "http://east.test")
		})
		got := w.post(chat("5", ""))
		w.want(got, 200)
		if got.header.Get("x-spillway-deployment") != "west" {
			t.Errorf("%v\n%s", got.header, got.body)
		}
		if rec := w.record(); rec.Attempts[0].Class != spillway.FailureBroken || rec.Attempts[0].Status != 503 {
			t.Errorf("unexpected attempts: %+v", rec.Attempts)
		}
		w.idle()
	})
}

// TestOwnErrorsExplain has the headers of a response on an error of our own.
func TestOwnErrorsExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, two(), func(w *world) {
			w.upstream("east", "http://nowhere.test")
			w.upstream("west", "http://nowhere.test")
			w.cfg.Pools[0].Retry.MaxAttempts = 2
		})
		got := w.post(chat("5", ""))
		w.want(got, 502)
		for _, name := range []string{"x-spillway-deployment", "x-spillway-attempts", "x-spillway-spill", "server-timing"} {
			if got.header.Get(name) == "" {
				t.Errorf("no %s in %v", name, got.header)
			}
		}
	})
}

// TestNotModified passes on what is no failure, however often it comes.
func TestNotModified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := oddWorld(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("If-None-Match") != "" {
				w.Header().Set("ETag", `"a"`)
				w.WriteHeader(http.StatusNotModified)
				return
			}
			speak(w, doneTail, wholeFirst)
		}, nil)
		for range 6 {
			got := w.do(http.MethodGet, "/openai/v1/files/x", "", "If-None-Match", `"a"`)
			w.want(got, 304)
			if got.header.Get("ETag") != `"a"` || got.body != "" {
				t.Errorf("%v\n%s", got.header, got.body)
			}
		}
		w.want(w.post(chat("5", "")), 200)
		w.idle()
	})
}

// TestNoModelNamed says what to do where only one pool would need no name.
func TestNoModelNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, one(), func(w *world) {
			other := deployment("other")
			w.upstream("other", "http://azure.test")
			w.cfg.Pools = append(w.cfg.Pools, policy.Config{
				Version: "test", Pool: spillway.Pool{Name: "other", Tiers: [][]string{{"other"}}},
				Deployments: []spillway.Deployment{other.Deployment},
			})
		})
		got := w.do(http.MethodGet, "/openai/v1/files", "")
		w.want(got, 400)
		for _, want := range []string{"routing.default_pool", "/openai/deployments/"} {
			if !strings.Contains(got.body, want) {
				t.Errorf("no %s in %s", want, got.body)
			}
		}
	})
}

// TestSteering keeps from a deployment what would choose another, and from the
// client what means another server.
func TestSteering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, calls := oddWorld(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", "a=b")
			w.Header().Set("Alt-Svc", `h3=":443"`)
			w.Header().Set("Strict-Transport-Security", "max-age=1")
			speak(w, doneTail, wholeFirst)
		}, nil)
		got := w.do(http.MethodPost, chatPath+"&subscription-key=k&api-key=k", chat("5", ""),
			"x-ms-spillover-deployment", "other", "openai-project", "p", "openai-organization", "o", "x-api-key", "k")
		w.want(got, 200)
		for _, name := range []string{"Set-Cookie", "Alt-Svc", "Strict-Transport-Security"} {
			if got.header.Get(name) != "" {
				t.Errorf("the client sees %s", name)
			}
		}
		for _, name := range []string{"X-Ms-Spillover-Deployment", "Openai-Project", "Openai-Organization", "X-Api-Key"} {
			if calls.head[0].Get(name) != "" {
				t.Errorf("the deployment sees %s", name)
			}
		}
		if strings.Contains(calls.uris[0], "-key") {
			t.Errorf("asked for %s", calls.uris[0])
		}
	})
}

// TestStoredCompletions lists what only a POST would make.
func TestStoredCompletions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, calls := oddWorld(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"data":[]}`) }, nil)
		got := w.do(http.MethodGet, "/v1/chat/completions?limit=1", "")
		w.want(got, 200)
		if got.body != `{"data":[]}` || len(calls.uris) != 1 {
			t.Errorf("asked %q, got %s", calls.uris, got.body)
		}
		if rec := w.record(); rec.API != spillway.APIOther || rec.Route != "openai/chat/stored" {
			t.Errorf("unexpected record: %+v", rec)
		}
	})
}
