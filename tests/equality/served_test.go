package equality

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/azuresim"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/memnet"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/proxy/gateway"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// served is what a case comes to in the gateway in front of azuresim.
func (c *test) served(t *testing.T) outcome {
	w := newWorld(t, c)
	for _, change := range c.changes {
		w.running.Go(func() {
			time.Sleep(change.At)
			if err := w.gateway.Apply(w.config(change.Pools)); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range c.calls {
		w.running.Go(func() { w.call(i+1, &c.calls[i]) })
	}
	w.running.Wait()
	if err := w.gateway.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	synctest.Wait() // azuresim has seen that the last client is gone
	out := outcome{records: w.records, counts: map[string]fleet.Counts{}}
	for _, d := range c.fleet.Deployments {
		st, _ := w.azure.Stats(d.Name)
		out.counts[d.Name] = st.Counts
	}
	for _, p := range w.gateway.Status(nil) {
		for _, d := range p.Deployments {
			if d.InFlight != 0 || d.OutstandingTokens != 0 || p.Waiting != 0 {
				t.Errorf("gateway: %s: %d in flight, %v tokens reserved, %d waiting; want none", d.Name, d.InFlight, d.OutstandingTokens, p.Waiting)
			}
		}
	}
	return out
}

// world is a gateway among its clients and deployments.
type world struct {
	*testing.T
	*test
	net     memnet.Net
	azure   *azuresim.Server
	gateway *gateway.Gateway
	client  http.Client
	running sync.WaitGroup // clients and changes

	mu      sync.Mutex
	records []spillway.Record
}

// Record keeps a copy of a record.
func (w *world) Record(rec *spillway.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, clone(rec))
}

func clone(rec *spillway.Record) spillway.Record {
	kept := *rec
	kept.Attempts = slices.Clone(rec.Attempts)
	return kept
}

func newWorld(t *testing.T, c *test) *world {
	w := &world{T: t, test: c}
	var err error
	w.azure, err = azuresim.New(azuresim.Config{
		Deployments: c.fleet.Deployments, Faults: c.fleet.Faults, Seed: c.fleet.Seed,
	})
	if err != nil {
		t.Fatal(err)
	}
	// A reset on a connection that was used before is the connection's failure, and
	// the model knows no connections.
	azure := &http.Server{Handler: newEmulator(w.azure)}
	azure.SetKeepAlivesEnabled(false)
	w.serve("azure.test", azure)
	w.gateway, err = gateway.New(w.config(c.pools), gateway.Deps{
		Recorder: w, Dial: w.net.Dial, Rand: rand.New(rand.NewPCG(c.seed, 0x5b111)).Float64, // as whatif does
	})
	if err != nil {
		t.Fatal(err)
	}
	w.serve("gateway.test", w.gateway.Server(nil))
	t.Cleanup(func() { time.Sleep(time.Second) }) // servers linger on connections that were cut off
	transport := &http.Transport{DialContext: w.net.Dial}
	w.client.Transport = transport
	t.Cleanup(transport.CloseIdleConnections)
	return w
}

// serve answers for a host until the test ends.
func (w *world) serve(host string, server *http.Server) {
	l := w.net.Listen(host)
	var done sync.WaitGroup
	done.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			w.Errorf("%s: %v", host, err)
		}
	})
	w.Cleanup(func() {
		server.Close()
		done.Wait()
	})
}

// config is the gateway's configuration with those pools.
func (w *world) config(pools []policy.Config) gateway.Config {
	cfg := gateway.Config{Pools: pools, Upstreams: map[string]upstream.Config{}}
	for _, pool := range pools {
		for _, d := range pool.Deployments {
			target, err := wire.ParseTarget(wire.Azure, "http://azure.test", d.Name, "")
			if err != nil {
				w.Fatal(err)
			}
			cfg.Upstreams[d.Name] = upstream.Config{Target: target}
		}
	}
	for name, class := range w.callers {
		cfg.Callers = append(cfg.Callers, gateway.Caller{Name: name, Keys: []string{"key-" + name}, Class: class})
	}
	return cfg
}

// call makes a call, and makes it again as its client's SDK would.
func (w *world) call(index int, call *workload.Call) {
	time.Sleep(call.At)
	for try := 1; ; try++ {
		status, retryAfter := w.try(index, try, call)
		wait, again := w.sdk.Retry(try, status, retryAfter, nil) // without jitter there is nothing to draw
		if !again {
			return
		}
		time.Sleep(wait)
	}
}

// final is a status that no SDK tries again after.
const final = http.StatusOK

// try posts the call and reads its answer to the end, or until its client's
// patience ends. It returns the status, 0 for none, and what the answer says of
// a retry.
func (w *world) try(index, try int, call *workload.Call) (status int, retryAfter time.Duration) {
	ctx := w.Context()
	if w.sdk.Timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, w.sdk.Timeout)
		defer stop()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost,
		"http://gateway.test/openai/deployments/"+call.Model+"/chat/completions?api-version=2024-10-21", strings.NewReader(body(call)))
	if err != nil {
		w.Error(err)
		return final, 0
	}
	req.Header.Set("Api-Key", "key-"+call.Client)
	req.Header.Set(headerTokens, strconv.Itoa(call.OutputTokens))
	req.Header.Set(headerSeed, strconv.Itoa(firstAttempt(index, try)))
	req.Header.Set("X-Stainless-Retry-Count", strconv.Itoa(try-1))
	if w.sdk.Timeout > 0 {
		req.Header.Set("X-Stainless-Timeout", strconv.FormatFloat(w.sdk.Timeout.Seconds(), 'f', -1, 64))
	}
	resp, err := w.client.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			w.Errorf("call %d: %v", index, err)
		}
		return 0, 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // records say how it ended
	if resp.Header.Get("X-Should-Retry") == "false" {
		return final, 0
	}
	retryAfter, _ = wire.ParseRetryAfter(resp.Header, time.Now())
	return resp.StatusCode, retryAfter
}

// message is the only one of a prompt, whose text makes azuresim count the
// call's tokens: a role's, 3 for the message, and one for every 4 bytes.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Tokens of a prompt that are not its text.
const messageTokens = 1 + 3

// messages is the prompt of a call. Prompts that have a cacheable prefix agree
// with others of their class as far as both go, and with no others.
func messages(call *workload.Call) []message {
	size := 4 * (call.PromptTokens - messageTokens)
	about := call.Class
	if len(call.Prefix) == 0 {
		about = strconv.FormatInt(int64(call.At), 36)
	}
	return []message{{"user", strings.Repeat(about+" ", size/len(about)+1)[:size]}}
}

// body is the call as its client sends it.
func body(call *workload.Call) string {
	b, err := json.Marshal(struct {
		Messages  []message `json:"messages"`
		Stream    bool      `json:"stream,omitempty"`
		MaxTokens int       `json:"max_tokens,omitempty"`
	}{messages(call), call.Stream, call.MaxTokens})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// promptBytes is what the gateway will find the prompt's size to be.
func promptBytes(call *workload.Call) int {
	ask, err := wire.ReadAsk(spillway.APIChat, []byte(body(call)))
	if err != nil {
		panic(err)
	}
	return ask.PromptBytes
}
