package clients

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// faults are the deployments of the failing upstream, by what they do wrong.
var faults = []string{"throttled", "broken", "filtered", "recovers", "cut", "endless", "pauses", "numbered"}

// upstream is an Azure OpenAI resource whose deployments fail in one known way
// each. What it is asked is told apart by the last message, which the tests
// make unique.
type upstream struct {
	mu   sync.Mutex
	seen map[string]int           // asks of "recovers"
	left map[string]chan struct{} // asks of "endless", closed when their client has left
}

func newUpstream() http.Handler {
	u := &upstream{seen: map[string]int{}, left: map[string]chan struct{}{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /openai/deployments/{deployment}/chat/completions", u.chat)
	mux.HandleFunc("GET /left/{mark}", u.waitLeft)
	return mux
}

func (u *upstream) chat(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Stream   bool
		Messages []struct{ Content string }
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &ask)
	}
	if err != nil || len(ask.Messages) == 0 {
		refuse(w, http.StatusBadRequest, "bad_ask", fmt.Sprint("not an ask: ", err))
		return
	}
	mark := ask.Messages[len(ask.Messages)-1].Content
	switch r.PathValue("deployment") {
	case "throttled":
		w.Header().Set("retry-after", "60")
		refuse(w, http.StatusTooManyRequests, "429", "Rate limit is exceeded. Try again in 60 seconds.")
	case "broken":
		refuse(w, http.StatusInternalServerError, "server_error", "The server had an error.")
	case "filtered":
		refuse(w, http.StatusBadRequest, "content_filter", "The prompt was filtered.")
	case "recovers":
		if u.firstAsk(mark) {
			w.Header().Set("retry-after-ms", "200")
			refuse(w, http.StatusTooManyRequests, "429", "Rate limit is exceeded. Try again in 1 second.")
			return
		}
		u.answer(w, ask.Stream)
	case "cut":
		stream(w, 5, nil)
		panic(http.ErrAbortHandler)
	case "pauses", "numbered":
		id := ""
		if r.PathValue("deployment") == "numbered" {
			id = "id: 7\n"
		}
		u.pause(w, r, id)
	case "endless":
		stream(w, 1<<30, r.Context().Done())
		close(u.departure(mark))
	default:
		refuse(w, http.StatusNotFound, "DeploymentNotFound", "The API deployment for this resource does not exist.")
	}
}

// waitLeft answers when the ask with this mark has lost its client.
func (u *upstream) waitLeft(w http.ResponseWriter, r *http.Request) {
	select {
	case <-u.departure(r.PathValue("mark")):
	case <-r.Context().Done():
	}
}

func (u *upstream) departure(mark string) chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.left[mark] == nil {
		u.left[mark] = make(chan struct{})
	}
	return u.left[mark]
}

func (u *upstream) firstAsk(mark string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seen[mark]++
	return u.seen[mark] == 1
}

// pause is how long the stream of "pauses" is silent, in which the gateway sends two
// heartbeats.
const pause = 2500 * time.Millisecond

// pause answers with a stream that is silent after its first chunk, which has an id or
// none.
func (u *upstream) pause(w http.ResponseWriter, r *http.Request, id string) {
	w.Header().Set("content-type", "text/event-stream")
	fmt.Fprint(w, id)
	stream(w, 1, nil)
	select {
	case <-time.After(pause):
	case <-r.Context().Done():
		return
	}
	u.answer(w, true)
}

// answer is a complete one, as a stream or not.
func (u *upstream) answer(w http.ResponseWriter, streamed bool) {
	if streamed {
		stream(w, 3, nil)
		fmt.Fprint(w, `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
			"\n\ndata: [DONE]\n\n")
		return
	}
	w.Header().Set("content-type", "application/json")
	fmt.Fprint(w, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"word word"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`)
}

// stream writes n chunks of one word, one every 10 ms, until done.
func stream(w http.ResponseWriter, n int, done <-chan struct{}) {
	w.Header().Set("content-type", "text/event-stream")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range n {
		fmt.Fprint(w, `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}`, "\n\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("content-type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"code":%q,"message":%q}}`, code, message)
}

// faultyConfig is a gateway with one pool for each deployment of the upstream.
// Its breaker stays closed, so that every test meets the fault itself, and
// nobody waits for a deployment that asks for a minute. A stream has a status until its
// first event, however long a busy machine takes.
func faultyConfig(url string) string {
	var b strings.Builder
	b.WriteString("server: {heartbeat: 1s, first_heartbeat: 0s}\ndeployments:\n")
	for _, name := range faults {
		fmt.Fprintf(&b, "  - {name: %s, endpoint: %q, style: azure, model: gpt-4o-mini, deployment: %s, auth: {api_key: any}}\n", name, url, name)
	}
	b.WriteString("pools:\n")
	for _, name := range faults {
		fmt.Fprintf(&b, "  - {name: %s, tiers: [[%s]]}\n", name, name)
	}
	fmt.Fprintf(&b, `classes:
  - {name: tests, max_wait: 5s}
callers:
  - {name: tests, key: %s, class: tests}
breaker: {consecutive_failures: 1000000, min_requests: 1000000}
records: {stdout: true}
`, key)
	return b.String()
}
