package azuresim

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

const (
	streamOf100 = `{"messages":[{"role":"user","content":"[[tokens=100]]"}],"stream":true}`
	syncOf100   = `{"messages":[{"role":"user","content":"[[tokens=100]]"}]}`
)

func TestStreamPace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := serve(t, steadyFleet())
		began := time.Now()
		resp, err := r.post(t.Context(), chatPath("ptu"), streamOf100)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got := time.Since(began); got != 200*time.Millisecond {
			t.Errorf("headers after %v, want 200ms", got)
		}
		all, when := lines(t, resp.Body, began)
		if len(all) != 1+1+100+1+1 { // filter results, role, tokens, finish, [DONE]
			t.Fatalf("%d events", len(all))
		}
		if when[1] != 400*time.Millisecond || when[2] != when[1] {
			t.Errorf("role at %v, first token at %v, want 400ms", when[1], when[2])
		}
		for i := 3; i < 102; i++ {
			if gap := when[i] - when[i-1]; gap < time.Millisecond || gap > 19*time.Millisecond {
				t.Errorf("token %d came %v after the one before", i-1, gap)
			}
		}
		if last := when[101]; last < 1380*time.Millisecond || last > 1400*time.Millisecond {
			t.Errorf("last token at %v, want 400ms + 99 × 10ms", last)
		}
		if all[103] != "data: [DONE]" || when[103] != when[101] {
			t.Errorf("ends with %q at %v", all[103], when[103])
		}
		synctest.Wait()
		if st, _ := r.server.Stats("ptu"); st.Status[200] != 1 || st.InFlight != 0 || st.Counts.OutputTokens != 100 {
			t.Errorf("stats %+v", st)
		}
	})
}

// Batches come when the last of their tokens has been generated, hold four
// bytes for each, and change neither the text nor its end.
func TestBatchPace(t *testing.T) {
	ask := strings.Replace(streamOf100, `"stream":true`, `"stream":true,"stream_options":{"include_usage":true}`, 1)
	bubble(t, func(t *testing.T) {
		var text [2]string
		for i, chunkTokens := range []int{1, 20} {
			cfg := steadyFleet()
			cfg.Deployments[0].ChunkTokens = chunkTokens
			began := time.Now()
			resp, err := serve(t, cfg).post(t.Context(), chatPath("ptu"), ask)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			all, when := lines(t, resp.Body, began)
			first, chunks := time.Duration(0), 0
			for n, line := range all {
				var chunk struct {
					Choices []struct{ Delta struct{ Content string } }
					Usage   *struct {
						Completion int `json:"completion_tokens"`
					}
				}
				_ = json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &chunk) // [DONE] is none
				if chunk.Usage != nil && chunk.Usage.Completion != 100 {
					t.Errorf("usage %d", chunk.Usage.Completion)
				}
				if len(chunk.Choices) == 0 || chunk.Choices[0].Delta.Content == "" {
					continue
				}
				if chunks++; chunks == 1 {
					first = when[n]
				}
				text[i] += chunk.Choices[0].Delta.Content
				tokens := (when[n]-400*time.Millisecond).Seconds()/0.01 + 1
				if got := float64(len(text[i])) / bytesPerToken; math.Abs(got-tokens) > 1 {
					t.Errorf("%v tokens at %v, when %.1f have been generated", got, when[n], tokens)
				}
			}
			if last := when[len(when)-1]; last < 1380*time.Millisecond || last > 1400*time.Millisecond {
				t.Errorf("%d tokens per chunk: ends at %v", chunkTokens, last)
			}
			if chunkTokens > 1 && (chunks < 4 || chunks > 9 || first < 540*time.Millisecond || first > 650*time.Millisecond) {
				t.Errorf("%d chunks, the first at %v", chunks, first)
			}
		}
		if text[0] != text[1] || len(text[0]) != 100*bytesPerToken {
			t.Errorf("single tokens say %q, batches %q", text[0], text[1])
		}
	})
}

// Tokens of a batch that is not complete when the response breaks off are lost,
// and have been generated.
func TestBreakBetweenBatches(t *testing.T) {
	for _, tc := range []struct{ atToken, least, most int }{{3, 0, 0}, {35, 15, 35}} {
		bubble(t, func(t *testing.T) {
			cfg := steadyFleet()
			cfg.Deployments[0].ChunkTokens = 20
			cfg.Faults = []fleet.Fault{{Kind: fleet.FaultCutStream, AtToken: tc.atToken}}
			r := serve(t, cfg)
			_, body := r.do(chatPath("ptu"), streamOf100)
			got := 0
			for _, part := range strings.Split(body, `"delta":{"content":"`)[1:] {
				text, _, _ := strings.Cut(part, `"`)
				got += len(text) / bytesPerToken
			}
			if got < tc.least || got > tc.most {
				t.Errorf("%d tokens before the cut at %d", got, tc.atToken)
			}
			synctest.Wait()
			if st, _ := r.server.Stats("ptu"); st.Counts.OutputTokens != tc.atToken {
				t.Errorf("%d tokens charged, want %d", st.Counts.OutputTokens, tc.atToken)
			}
		})
	}
}

func TestSyncTakesServiceTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := serve(t, steadyFleet())
		began := time.Now()
		resp, body := r.do(chatPath("ptu"), syncOf100)
		if d := time.Since(began); resp.StatusCode != 200 || d < 1380*time.Millisecond || d > 1400*time.Millisecond {
			t.Errorf("%d after %v: %s", resp.StatusCode, d, body)
		}
		resp, body = r.do(chatPath("ptu"), `{"messages":[{"role":"user","content":"x"}]}`, "x-azuresim-output-tokens", "3")
		if !strings.Contains(body, `"completion_tokens":3,`) {
			t.Errorf("the header does not steer the length: %d %s", resp.StatusCode, body)
		}
	})
}

func TestTimeoutAtTheWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := steadyFleet()
		cfg.CompletionWindow = 5 * time.Second
		r := serve(t, cfg)
		began := time.Now()
		resp, body := r.do(chatPath("ptu"), `{"messages":[{"role":"user","content":"[[tokens=6000]]"}],"max_tokens":16000}`)
		if got := time.Since(began); got != 5*time.Second {
			t.Errorf("answered after %v", got)
		}
		if resp.StatusCode != 408 || len(body) != 75 || body != bodyTimeout {
			t.Errorf("got %d, %d bytes: %s", resp.StatusCode, len(body), body)
		}
		st, _ := r.server.Stats("ptu")
		if n := st.Counts.OutputTokens; n < 455 || n > 465 || st.InFlight != 0 {
			t.Errorf("%d tokens produced in the window, want (5s − 0.4s) / 10ms", n)
		}
	})
}

// A client that leaves ends the generation at that instant, and only what was
// produced is charged.
func TestCancel(t *testing.T) {
	for _, body := range []string{streamOf100, syncOf100} {
		bubble(t, func(t *testing.T) {
			r := serve(t, steadyFleet())
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(900*time.Millisecond, cancel)
			resp, err := r.post(ctx, chatPath("ptu"), body)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			if err == nil {
				t.Fatal("the answer is complete")
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			st, _ := r.server.Stats("ptu")
			if st.Canceled != 1 || st.InFlight != 0 || st.Counts.OutputTokens < 49 || st.Counts.OutputTokens > 53 {
				t.Errorf("1 ms after the client left: %+v", st)
			}
		})
	}
}

// A full deployment says when it has room, and then it has.
func TestRetryAfterIsHonest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := steadyFleet()
		cfg.Deployments[0].PTU, cfg.Deployments[0].MeterDepth = 1, 10*time.Second
		r := serve(t, cfg)
		ask := `{"messages":[{"role":"user","content":"[[tokens=1]]"}],"stream":true,"max_tokens":2000}`
		resp, err := r.post(t.Context(), chatPath("ptu"), ask)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		refused, body := r.do(chatPath("ptu"), ask)
		wait, err := strconv.Atoi(refused.Header.Get("retry-after-ms"))
		if refused.StatusCode != 429 || err != nil || wait < 1000 {
			t.Fatalf("%d, retry-after-ms %d, %v: %s", refused.StatusCode, wait, err, body)
		}
		if u := refused.Header.Get(headerUtilization); u != "127.8%" {
			t.Errorf("utilization %s", u)
		}
		_, _ = io.Copy(io.Discard, resp.Body) // its end frees what it reserved
		time.Sleep(time.Duration(wait) * time.Millisecond)
		if again, body := r.do(chatPath("ptu"), ask); again.StatusCode != 200 {
			t.Errorf("%d after the wait: %s", again.StatusCode, body)
		}
	})
}

func TestTimeScale(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := steadyFleet()
		cfg.TimeScale = 100
		cfg.Faults = []fleet.Fault{{Kind: fleet.FaultStatus429, Deployment: "std", RetryAfter: 50 * time.Second}}
		r := serve(t, cfg)
		began := time.Now()
		_, body := r.do(chatPath("ptu"), streamOf100)
		if d := time.Since(began); d < 13*time.Millisecond || d > 15*time.Millisecond {
			t.Errorf("took %v, want about 14ms", d)
		}
		if n := strings.Count(body, `"delta":{"content":`); n != 101 {
			t.Errorf("%d chunks", n)
		}
		resp, _ := r.do(chatPath("std"), syncOf100)
		if ms := resp.Header.Get("retry-after-ms"); ms != "500" {
			t.Errorf("retry-after-ms %s, want 500", ms)
		}
		resp, _ = r.do(chatPath("ptu"), `{"messages":[{"role":"user","content":"[[tokens=9000]]"}]}`)
		if resp.StatusCode != 408 {
			t.Errorf("status %d, want 408", resp.StatusCode)
		}
	})
}

func TestFaultsOverHTTP(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fault  fleet.Fault
		stream bool
		want   func(t *testing.T, status int, body string, err error, took time.Duration)
	}{
		{"reset stream", fleet.Fault{Kind: fleet.FaultReset, AtToken: 3}, true, func(t *testing.T, _ int, body string, err error, _ time.Duration) {
			if err == nil || strings.Count(body, `"delta":{"content":`) != 4 {
				t.Errorf("error %v after %s", err, body)
			}
		}},
		{"reset before headers", fleet.Fault{Kind: fleet.FaultReset}, true, func(t *testing.T, status int, _ string, err error, _ time.Duration) {
			if err == nil || status != 0 {
				t.Errorf("status %d, error %v", status, err)
			}
		}},
		{"reset", fleet.Fault{Kind: fleet.FaultReset, AtToken: 3}, false, func(t *testing.T, status int, _ string, err error, took time.Duration) {
			if err == nil || status != 0 || took > 450*time.Millisecond {
				t.Errorf("status %d, error %v after %v", status, err, took)
			}
		}},
		{"cut stream", fleet.Fault{Kind: fleet.FaultCutStream, AtToken: 3}, true, func(t *testing.T, _ int, body string, err error, _ time.Duration) {
			if err != nil || strings.Count(body, `"delta":{"content":`) != 4 || strings.Contains(body, "DONE") || strings.Contains(body, `"stop"`) {
				t.Errorf("error %v after %s", err, body)
			}
		}},
		{"cut", fleet.Fault{Kind: fleet.FaultCutStream, AtToken: 3}, false, func(t *testing.T, status int, body string, err error, _ time.Duration) {
			if err == nil || status != 200 || body == "" {
				t.Errorf("status %d, error %v after %s", status, err, body)
			}
		}},
		{"malformed stream", fleet.Fault{Kind: fleet.FaultMalformedStream, AtToken: 3}, true, func(t *testing.T, _ int, body string, err error, _ time.Duration) {
			if err != nil || !strings.HasSuffix(body, malformed) {
				t.Errorf("error %v after %s", err, body)
			}
		}},
		{"malformed", fleet.Fault{Kind: fleet.FaultMalformedStream, AtToken: 3}, false, func(t *testing.T, status int, body string, err error, _ time.Duration) {
			if err != nil || status != 200 || strings.HasSuffix(body, "}}") {
				t.Errorf("status %d, error %v after %s", status, err, body)
			}
		}},
		{"stall before headers", fleet.Fault{Kind: fleet.FaultStallBeforeHeaders, After: 9 * time.Second}, true, func(t *testing.T, status int, _ string, err error, took time.Duration) {
			if err != nil || status != 200 || took < 10*time.Second {
				t.Errorf("status %d, error %v after %v", status, err, took)
			}
		}},
		{"stall for ever", fleet.Fault{Kind: fleet.FaultStallAfterHeaders, AtToken: 2}, true, func(t *testing.T, _ int, body string, err error, took time.Duration) {
			if err == nil || took != 5*time.Minute || strings.Count(body, `"delta":{"content":`) != 3 {
				t.Errorf("error %v at %v after %s", err, took, body)
			}
		}},
		{"stall", fleet.Fault{Kind: fleet.FaultStallBeforeHeaders}, false, func(t *testing.T, status int, _ string, err error, took time.Duration) {
			if err != nil || status != 408 || took != time.Minute {
				t.Errorf("status %d, error %v after %v", status, err, took)
			}
		}},
		{"missing usage", fleet.Fault{Kind: fleet.FaultMissingUsage}, true, func(t *testing.T, _ int, body string, err error, _ time.Duration) {
			if err != nil || strings.Contains(body, `prompt_tokens`) || !strings.Contains(body, `"usage":null`) {
				t.Errorf("error %v after %s", err, body)
			}
		}},
		{"slow", fleet.Fault{Kind: fleet.FaultSlow, Factor: 10}, true, func(t *testing.T, _ int, _ string, _ error, took time.Duration) {
			if took < 13800*time.Millisecond || took > 14*time.Second {
				t.Errorf("took %v", took)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cfg := steadyFleet()
				cfg.Faults = []fleet.Fault{tc.fault}
				r := serve(t, cfg)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				ask := syncOf100
				if tc.stream {
					ask = strings.Replace(streamOf100, `"stream":true`, `"stream":true,"stream_options":{"include_usage":true}`, 1)
				}
				began, status, body := time.Now(), 0, ""
				resp, err := r.post(ctx, chatPath("ptu"), ask)
				if err == nil {
					defer resp.Body.Close()
					var b []byte
					status = resp.StatusCode
					b, err = io.ReadAll(bufio.NewReader(resp.Body))
					body = string(b)
				}
				tc.want(t, status, body, err, time.Since(began))
				synctest.Wait()
				if st, _ := r.server.Stats("ptu"); st.InFlight != 0 {
					t.Errorf("still in flight: %+v", st)
				}
			})
		})
	}
}

func TestStoredResponses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := serve(t, steadyFleet())
		_, body := r.do("/openai/v1/responses", `{"model":"ptu","input":"Hello [[tokens=5]]"}`)
		id, _, _ := strings.Cut(strings.TrimPrefix(body, `{"id":"`), `"`)
		call := func(method string) (int, string) {
			req, err := http.NewRequestWithContext(t.Context(), method, "http://sim/openai/v1/responses/"+id, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("api-key", "azure")
			resp, err := r.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, string(b)
		}
		if status, got := call("GET"); status != 200 || got != body {
			t.Errorf("GET: %d %s, want %s", status, got, body)
		}
		_, next := r.do("/openai/v1/responses", `{"model":"ptu","input":"And? [[tokens=5]]","previous_response_id":"`+id+`","store":false}`)
		if !strings.Contains(next, `"previous_response_id":"`+id+`"`) || strings.Contains(next, `"input_tokens":9,`) {
			t.Errorf("the conversation does not go on: %s", next)
		}
		if status, got := call("DELETE"); status != 200 || !strings.Contains(got, `"deleted":true`) {
			t.Errorf("DELETE: %d %s", status, got)
		}
		if status, got := call("GET"); status != 404 {
			t.Errorf("GET after DELETE: %d %s", status, got)
		}
	})
}

// A request with a seed is answered the same whatever came before it.
func TestSeedHeader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ask := `{"messages":[{"role":"user","content":"x"}]}`
		cfg := steadyFleet()
		cfg.Deployments[0].Service.TTFTSigma = 0.6
		var bodies [2]string
		var took [2]time.Duration
		for i := range bodies {
			r := serve(t, cfg)
			for range i {
				r.do(chatPath("ptu"), ask)
			}
			began := time.Now()
			_, body := r.do(chatPath("ptu"), ask, "x-azuresim-seed", "7")
			_, bodies[i], _ = strings.Cut(body, `"usage"`)
			took[i] = time.Since(began)
		}
		if bodies[0] != bodies[1] || (took[0]-took[1]).Abs() > time.Microsecond {
			t.Errorf("%s in %v, then %s in %v", bodies[0], took[0], bodies[1], took[1])
		}
	})
}
