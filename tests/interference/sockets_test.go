package interference

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/app"
)

const (
	// workers send the healthy callers' requests, one after the other, think of
	// time apart.
	workers         = 6
	perWorker       = 40
	think           = 30 * time.Millisecond
	firstGuilty     = 10 // guilty requests before all others, at one time
	bursts          = 2  // of guilty requests among the others
	burstGuilty     = 6  // in each: 5% of the others in all
	sdkRetries      = 2
	guiltyWindow    = 2 * time.Second
	healthyWindow   = 15 * time.Second
	maxSocketP99    = 3 * time.Second // a healthy response takes 10 ms
	socketCases     = 12              // at one time
	guiltyKey       = "key-of-the-guilty-caller-0123456789abcdef"
	healthyKey      = "key-of-healthy-caller-%d-0123456789abcdef"
	healthyCallers  = 3
	firstGuiltyWait = 500 * time.Millisecond
)

// socketConfig is the gateway's configuration: addresses of the deployments,
// tpm, and tiers.
const socketConfig = `
server: {write_timeout: 1s, max_answer_bytes: 1MiB}
deployments:
%[1]s
pools:
  - {name: pool, tiers: %[2]s}
classes:
  - {name: healthy, window: %[3]v, stream_window: %[3]v}
  - {name: guilty, window: %[4]v, stream_window: %[4]v}
callers:
  - {name: guilty, key: %[5]s, class: guilty}
%[6]s
breaker: {open_for: %[7]v}
`

// TestSockets compares the healthy callers' success and latency with and
// without a guilty caller, with the whole gateway before raw peers. The cases
// run at one time, since they mostly wait.
func TestSockets(t *testing.T) {
	var baseline [2]result
	for i, l := range layouts() {
		baseline[i] = newSocketCase(t, l, socketKind{}).healthyTraffic(t, healthyCallers, nil)
	}
	var cases group
	for place, k := range socketKinds() {
		for i, l := range layouts() {
			cases.run(t, k.name+"/"+l.name, func(t *testing.T) {
				r := newSocketCase(t, l, k).withGuilty(t)
				board.add(row{sockets, 2*place + i, k.name, l.name, baseline[i], r})
				r.expectAll(t)
				if p := r.p99(); p > maxSocketP99 {
					t.Errorf("p99 %v, want at most %v; without %v", p, maxSocketP99, baseline[i].p99())
				}
			})
		}
	}
	cases.wait()
}

// expectAll fails unless every healthy request succeeded.
func (r *result) expectAll(t *testing.T) {
	t.Helper()
	if r.succeeded < r.requests {
		t.Errorf("%d of %d healthy requests failed, such as: %s", r.requests-r.succeeded, r.requests, r.failure)
	}
}

// group runs subtests, more at a time than there are processors.
type group struct {
	running sync.WaitGroup
	slots   chan struct{}
}

func (g *group) run(t *testing.T, name string, test func(*testing.T)) {
	if g.slots == nil {
		g.slots = make(chan struct{}, socketCases)
	}
	g.running.Go(func() {
		g.slots <- struct{}{}
		defer func() { <-g.slots }()
		t.Run(name, test)
	})
}

func (g *group) wait() { g.running.Wait() }

// socketCase is a gateway before raw peers.
type socketCase struct {
	kind   socketKind
	url    string
	client http.Client
	peers  []*rawPeer
}

// newSocketCase starts the peers and the gateway. They end with the test.
func newSocketCase(t *testing.T, l layout, k socketKind) *socketCase {
	t.Helper()
	c := &socketCase{kind: k}
	k.openFor = cmp.Or(k.openFor, 5*time.Second)
	var deployments, callers strings.Builder
	for _, m := range l.deployments {
		p := startRawPeer(t, k.script)
		c.peers = append(c.peers, p)
		fmt.Fprintf(&deployments, "  - {name: %s, endpoint: \"http://%s\", style: azure, model: gpt-4o-mini, deployment: %[1]s, tpm: %[3]d, auth: {api_key: secret}}\n",
			m.deployment.Name, p.listener.Addr(), k.tpm)
	}
	for i := range healthyCallers {
		fmt.Fprintf(&callers, "  - {name: healthy-%d, key: %s, class: healthy}\n", i, fmt.Sprintf(healthyKey, i))
	}
	tiers := strings.ReplaceAll(fmt.Sprintf("%q", l.tiers()), `" "`, `", "`)
	tiers = strings.ReplaceAll(tiers, "] [", "], [")
	text := fmt.Sprintf(socketConfig, deployments.String(), tiers, healthyWindow, guiltyWindow, guiltyKey, callers.String(), k.openFor)
	path := filepath.Join(t.TempDir(), "spillway.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	gateway, err := app.Start(app.Options{ConfigPath: path, Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	c.url, c.client.Transport = "http://"+gateway.DataAddr(), transport
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := gateway.Close(); err != nil {
			t.Errorf("closing the gateway: %v", err)
		}
	})
	return c
}

// withGuilty sends the healthy traffic, and the guilty caller's: first alone,
// then in bursts. It returns when all of it has ended.
func (c *socketCase) withGuilty(t *testing.T) result {
	var first, rest sync.WaitGroup
	for range firstGuilty {
		first.Go(func() { c.offend(t) })
	}
	failed := make(chan struct{})
	go func() {
		first.Wait()
		close(failed)
	}()
	select {
	case <-failed:
	case <-time.After(firstGuiltyWait): // they take long: that is their kind
	}
	const every = workers * perWorker / (bursts + 1)
	r := c.healthyTraffic(t, healthyCallers, func(n int) {
		if n%every == 0 && n/every <= bursts {
			for range burstGuilty {
				rest.Go(func() { c.offend(t) })
			}
		}
	})
	rest.Wait()
	<-failed
	return r
}

// healthyTraffic sends the healthy requests of a number of callers. ended, if
// not nil, is told how many have ended, each time that one has. A single caller
// sends one shape of request.
func (c *socketCase) healthyTraffic(t *testing.T, callers int, ended func(n int)) result {
	var r result
	var mu sync.Mutex
	var working sync.WaitGroup
	for w := range workers {
		working.Go(func() {
			pause := time.NewTicker(think)
			defer pause.Stop()
			for i := range perWorker {
				began := time.Now()
				err := c.call(t, w%callers, callers > 1 && (w+i)%2 == 0)
				took := time.Since(began)
				mu.Lock()
				r.note(took, err)
				n := r.requests
				mu.Unlock()
				if ended != nil {
					ended(n)
				}
				<-pause.C
			}
		})
	}
	working.Wait()
	return r
}

// note counts a healthy request that took a time, and failed if err is not nil.
func (r *result) note(took time.Duration, err error) {
	r.requests++
	if err != nil {
		r.failure = err.Error()
		return
	}
	r.succeeded++
	r.took = append(r.took, took)
}

// body is a request's. Every prompt is different.
func (c *socketCase) body(a ask, prompt string) string {
	return fmt.Sprintf(`{%s"stream":%v,"messages":[{"role":"user","content":"%s"}]}`, a.members, a.stream, prompt+strings.Repeat(" word", a.size/5))
}

const chat = "/openai/deployments/pool/chat/completions?api-version=2024-10-21"

// call makes a healthy request, and returns why it failed.
func (c *socketCase) call(t *testing.T, caller int, stream bool) error {
	a := ask{stream: stream, members: `"max_tokens":16,`}
	resp, err := c.post(t.Context(), a, fmt.Sprintf(healthyKey, caller), "hello")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch end := `"finish_reason":"stop"`; {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %.300s", resp.Status, text)
	case !strings.Contains(string(text), end), stream && !strings.HasSuffix(string(text), doneEvent):
		return fmt.Errorf("incomplete response: %.300s", text)
	}
	return nil
}

// offend makes a guilty request, and repeats it as an SDK does that does not
// wait. Whatever becomes of it is fine.
func (c *socketCase) offend(t *testing.T) {
	for retry := range 1 + sdkRetries {
		if !c.offendOnce(t, retry) {
			return
		}
	}
}

// offendOnce makes a guilty request. It reports whether its SDK repeats it.
func (c *socketCase) offendOnce(t *testing.T, retry int) (again bool) {
	ctx := t.Context()
	a := c.kind.ask
	if a.leave > 0 {
		var leave context.CancelFunc
		ctx, leave = context.WithTimeout(ctx, a.leave)
		defer leave()
	}
	a.headers = append([]string{fmt.Sprintf("X-Stainless-Retry-Count: %d", retry)}, a.headers...)
	resp, err := c.post(ctx, a, guiltyKey, poison)
	if err != nil {
		return true
	}
	defer resp.Body.Close()
	if a.stuck {
		<-ctx.Done()
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	status := resp.StatusCode
	return (status == 408 || status == 409 || status == 429 || status >= 500) && resp.Header.Get("X-Should-Retry") != "false"
}

func (c *socketCase) post(ctx context.Context, a ask, key, prompt string) (*http.Response, error) {
	path := chat
	if a.path != "" {
		path = a.path
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+path, strings.NewReader(c.body(a, prompt)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Api-Key", key)
	for _, h := range a.headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	return c.client.Do(req)
}
