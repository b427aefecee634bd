package loadgen

import (
	"bytes"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestPrompt(t *testing.T) {
	f := newFiller(1)
	text := func(tokens int, unique uint64, prefix ...uint64) string {
		return string(f.appendPrompt(nil, &workload.Call{PromptTokens: tokens, Prefix: prefix}, unique))
	}
	for _, tokens := range [...]int{1, 5, 12, 100, 1024, 5000, 100_000} {
		if got, want := len(text(tokens, 7)), max(tokens-messageTokens, 1)*bytesPerToken; got != want {
			t.Errorf("%d tokens: %d bytes, want %d", tokens, got, want)
		}
	}
	common := func(a, b string) int {
		n := 0
		for n < min(len(a), len(b)) && a[n] == b[n] {
			n++
		}
		return n / bytesPerToken
	}
	for _, c := range []struct {
		name     string
		a, b     string
		from, to int // tokens in common
	}{
		{"no prefix", text(3000, 1), text(3000, 2), 0, 10},
		{"the same prefix", text(3000, 1, 11, 12), text(4000, 2, 11, 12), 1152, 1162},
		{"prefix that ends before", text(3000, 1, 11, 12), text(4000, 2, 11, 13), 1024, 1034},
		{"prefix longer than the prompt", text(500, 1, 11), text(500, 2, 11), 0, 10},
	} {
		if n := common(c.a, c.b); n < c.from || n > c.to {
			t.Errorf("%s: %d tokens in common, want %d to %d", c.name, n, c.from, c.to)
		}
	}
}

// A prompt ends with the request for a length, which takes the place of other text
// after the cacheable blocks and costs what it is long.
func TestPromptAsksForLength(t *testing.T) {
	f := newFiller(1)
	const ask = "Write about 150 words (200 tokens) on any topic."
	for _, c := range []struct {
		name           string
		tokens, output int
		prefix         []uint64
		bytes          int
		end            string
	}{
		{"room", 100, 200, nil, (100 - messageTokens) * bytesPerToken, ask},
		{"one token", 100, 1, nil, (100-messageTokens-12)*bytesPerToken + 45, "Write about 1 words (1 tokens) on any topic."},
		{"short prompt", 3, 200, nil, len(ask), ask},
		{"blocks stay whole", 1024 + messageTokens, 200, []uint64{5}, 1024*bytesPerToken + len(ask), ask},
		{"no length", 100, 0, nil, (100 - messageTokens) * bytesPerToken, ""},
	} {
		got := string(f.appendPrompt(nil, &workload.Call{PromptTokens: c.tokens, OutputTokens: c.output, Prefix: c.prefix}, 7))
		if n := (len(got) + 3) / 4; n != (c.bytes+3)/4 || !strings.HasSuffix(got, c.end) {
			t.Errorf("%s: %d tokens, want %d; ends with %q", c.name, n, (c.bytes+3)/4, got[max(0, len(got)-60):])
		}
		if c.output == 0 && strings.Contains(got, "Write") {
			t.Errorf("%s: asks for a length", c.name)
		}
	}
	short := string(f.appendPrompt(nil, &workload.Call{PromptTokens: 2000, OutputTokens: 9, Prefix: []uint64{5}}, 1))
	long := string(f.appendPrompt(nil, &workload.Call{PromptTokens: 2000, OutputTokens: 9000, Prefix: []uint64{5}}, 2))
	if short[:1024*bytesPerToken] != long[:1024*bytesPerToken] {
		t.Error("calls that share a prefix and differ in output length have different blocks")
	}
}

func TestRequest(t *testing.T) {
	call := workload.Call{PromptTokens: 50, OutputTokens: 70, Client: "ann", Class: "batch"}
	capped, streamed := call, call
	capped.MaxTokens = 30
	streamed.Stream = true
	for _, c := range []struct {
		name      string
		opt       Options
		call      workload.Call
		path      string
		want, not []string // in the body
		header    [2]string
	}{
		{"OpenAI", Options{Style: wire.OpenAI, Key: "k"}, call, "/v1/chat/completions", []string{`"model":"gpt-4o-mini"`}, []string{"stream", "max_"}, [2]string{"Authorization", "Bearer k"}},
		{"Azure", Options{Style: wire.Azure, Model: "a b", Key: "k"}, call, "/openai/deployments/a%20b/chat/completions?api-version=2024-10-21", nil, nil, [2]string{"Api-Key", "k"}},
		{"Azure v1", Options{Style: wire.AzureV1}, capped, "/openai/v1/chat/completions", []string{`"max_tokens":30`}, nil, [2]string{"Api-Key", ""}},
		{"stream", Options{Style: wire.OpenAI}, streamed, "/v1/chat/completions", []string{`"stream":true`, `"include_usage":true`}, nil, [2]string{"X-Azuresim-Output-Tokens", ""}},
		{"asks for its length", Options{Style: wire.OpenAI}, call, "/v1/chat/completions", []string{` Write about 52 words (70 tokens) on any topic."}]`}, nil, [2]string{}},
		{"own header", Options{Style: wire.OpenAI, Header: http.Header{"X-Team": {"a", "b"}, "User-Agent": {"mine"}}}, call, "/v1/chat/completions", nil, nil, [2]string{"User-Agent", "mine"}},
		{"own credential", Options{Style: wire.Azure, Header: http.Header{"Authorization": {"Bearer t"}}}, call, "/openai/deployments/gpt-4o-mini/chat/completions?api-version=2024-10-21", nil, nil, [2]string{"Authorization", "Bearer t"}},
		{"stream forced", Options{Style: wire.OpenAI, Stream: StreamAlways}, call, "/v1/chat/completions", []string{`"stream":true`}, nil, [2]string{"X-Spillway-Tenant", "ann"}},
		{"stream forbidden", Options{Style: wire.OpenAI, Stream: StreamNever}, streamed, "/v1/chat/completions", nil, []string{"stream"}, [2]string{"X-Stainless-Timeout", "600"}},
		{"cap", Options{Style: wire.OpenAI, CapOutput: true}, call, "/v1/chat/completions", []string{`"max_tokens":70`}, nil, [2]string{}},
		{"own cap", Options{Style: wire.OpenAI, CapOutput: true, TokenField: "max_completion_tokens"}, capped, "/v1/chat/completions", []string{`"max_completion_tokens":30`}, nil, [2]string{}},
		{"key of a class", Options{Style: wire.OpenAI, Key: "k", Keys: map[string]string{"batch": "b"}}, call, "/v1/chat/completions", nil, nil, [2]string{"Authorization", "Bearer b"}},
		{"key of a client", Options{Style: wire.OpenAI, Key: "k", Keys: map[string]string{"batch": "b", "ann": "a"}}, call, "/v1/chat/completions", nil, nil, [2]string{"Authorization", "Bearer a"}},
	} {
		c.opt.Endpoint = "http://h:1"
		r, err := New(c.opt)
		if err != nil {
			t.Fatal(err)
		}
		to, err := r.endpoint(c.call.Model)
		if err != nil {
			t.Fatal(err)
		}
		body := string(r.body(to, &c.call, 1))
		if got := to.url.String(); got != c.opt.Endpoint+c.path {
			t.Errorf("%s: URL %s", c.name, got)
		}
		if !json.Valid([]byte(body)) {
			t.Errorf("%s: not JSON: %s", c.name, body)
		}
		for _, part := range c.want {
			if !strings.Contains(body, part) {
				t.Errorf("%s: no %s in %s", c.name, part, body)
			}
		}
		for _, part := range c.not {
			if strings.Contains(body, part) {
				t.Errorf("%s: %s in %s", c.name, part, body)
			}
		}
		if got := r.header(&c.call, 0).Get(c.header[0]); c.header[0] != "" && got != c.header[1] {
			t.Errorf("%s: %s is %q", c.name, c.header[0], got)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		opt  Options
		want string
	}{
		{Options{Endpoint: "127.0.0.1:80"}, "write http://127.0.0.1:80"},
		{Options{Endpoint: "http://h", Retries: -1}, "retries -1"},
		{Options{Endpoint: "ftp://h"}, "https:// or http://"},
		{Options{Endpoint: "http://h", Style: wire.OpenAI, Key: "k", Header: http.Header{"Authorization": {"Bearer t"}}}, "Authorization and a key"},
		{Options{Endpoint: "http://h", Style: wire.Azure, Keys: map[string]string{"a": "k"}, Header: http.Header{"Api-Key": {"t"}}}, "Api-Key and a key"},
	} {
		if _, err := New(c.opt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.opt, err, c.want)
		}
	}
	for endpoint, want := range map[string]wire.Family{
		"http://127.0.0.1:8080": wire.OpenAI, "https://x.openai.azure.com": wire.Azure, "https://x.openai.azure.com/openai/v1/": wire.AzureV1,
		"https://x.openai.azure.us": wire.Azure, "https://x.openai.azure.cn/": wire.Azure, "https://x.services.ai.azure.com": wire.Azure,
		"https://x.azure.com": wire.OpenAI, "https://openai.azure.us.test": wire.OpenAI,
		"http://h/openai": wire.Azure, "https://api.openai.com/v1": wire.OpenAI,
	} {
		if got := StyleOf(endpoint); got != want {
			t.Errorf("%s is %v, want %v", endpoint, got, want)
		}
	}
}

func TestBackoff(t *testing.T) {
	random := rand.NewPCG(1, 1)
	for _, c := range []struct {
		header   http.Header
		retry    int
		min, max time.Duration
	}{
		{nil, 0, 375 * time.Millisecond, 500 * time.Millisecond},
		{nil, 1, 750 * time.Millisecond, time.Second},
		{nil, 4, 6 * time.Second, 8 * time.Second},
		{nil, 400, 6 * time.Second, 8 * time.Second},
		{http.Header{"Retry-After-Ms": {"1500"}, "Retry-After": {"9"}}, 3, 1500 * time.Millisecond, 1500 * time.Millisecond},
		{http.Header{"Retry-After": {"9"}}, 0, 9 * time.Second, 9 * time.Second},
		{http.Header{"Retry-After": {"61"}}, 0, 375 * time.Millisecond, 500 * time.Millisecond},
		{http.Header{"Retry-After": {"0"}}, 0, 375 * time.Millisecond, 500 * time.Millisecond},
	} {
		for range 100 {
			if got := backoff(c.header, c.retry, random); got < c.min || got > c.max {
				t.Fatalf("%v retry %d: %v, want %v to %v", c.header, c.retry, got, c.min, c.max)
			}
		}
	}
}

func TestAssertions(t *testing.T) {
	r := &Report{Offered: 10, ErrorRate: 0.0005, GoodputRPS: 12, E2E: FromBoth{Intended: Distribution{Count: 9, P99: 4000}, Sent: Distribution{Count: 9, P99: 100}}}
	for text, want := range map[string]bool{
		"p99_e2e<5s": true, "p99_e2e < 4s": false, "p99_e2e<=4s": true, "p99_e2e_sent<101ms": true, "error_rate<0.1%": true,
		"error_rate<0.0004": false, "goodput_rps>=12": true, "goodput_rps>12": false, "p99_e2e<5s,goodput_rps>12": false,
		"p50_tbt<1s": false, // never measured
	} {
		all, err := ParseAssertions(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := r.Check(all); got != want {
			t.Errorf("%s: %v, %+v", text, got, r.Assertions)
		}
	}
	for text, want := range map[string]string{
		"": "has no <", "p99_e2e": "has no <", "p98_e2e<1s": "unknown metric", "p99_e2e<5": "needs a duration",
		"error_rate<x": "neither a number", "error_rate<NaN": "neither a number",
	} {
		if _, err := ParseAssertions(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestSteady(t *testing.T) {
	count := func(s Steady) (n int) {
		src, err := s.Source()
		if err != nil {
			t.Fatal(err)
		}
		last := time.Duration(-1)
		for {
			c, err := src.Next()
			if err != nil {
				return n
			}
			if c.At < last || c.At >= s.Duration || c.PromptTokens != s.Call.PromptTokens {
				t.Fatalf("call %d: %+v after %v", n, c, last)
			}
			last = c.At
			n++
		}
	}
	call := workload.Call{PromptTokens: 1, OutputTokens: 1}
	if n := count(Steady{Rate: 100, Duration: 10 * time.Second, Even: true, Call: call}); n < 999 || n > 1001 {
		t.Errorf("even: %d calls", n)
	}
	poisson := Steady{Rate: 100, Duration: 100 * time.Second, Call: call, Seed: 3}
	if n := count(poisson); n < 9600 || n > 10400 || n != count(poisson) {
		t.Errorf("poisson: %d calls, and then %d", n, count(poisson))
	}
	for _, s := range []Steady{{Duration: 1, Call: call}, {Rate: 1, Call: call}, {Rate: 1, Duration: 1}} {
		if _, err := s.Source(); err == nil {
			t.Errorf("%+v is taken", s)
		}
	}
}

func TestSnapshotLine(t *testing.T) {
	for want, s := range map[string]Snapshot{
		"    0s  sent 0  in flight 0  complete 0": {},
		"   61s  sent 9  in flight 1  complete 4  429 3  errors 1  TTFT 250ms/1.5s  E2E 12.3s/101s  late by 20ms": {
			Elapsed: 61 * time.Second, Offered: 9, InFlight: 1, Complete: 4, Throttled: 3, Errors: 1,
			TTFTP50: 250 * time.Millisecond, TTFTP99: 1500 * time.Millisecond, E2EP50: 12_345 * time.Millisecond, E2EP99: 101 * time.Second,
			LatenessP99: 20 * time.Millisecond,
		},
	} {
		if got := s.String(); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

// The report's forms are stable.
func TestReportForms(t *testing.T) {
	d := Distribution{Count: 10, Mean: 12.3456, P50: 0.5, P90: 1234.5, P95: 20_000, P99: 123_456, P999: 123_456, Max: 130_000}
	r := &Report{
		Target: "http://h", API: "openai", Workload: "trace.csv: 11 calls in 10s", Seed: 1, WallSeconds: 9.87, Offered: 11, OfferedRPS: 1.1, GoodputRPS: 0.8, Attainment: 0.727,
		Outcomes:  map[string]int{"complete": 8, "truncated": 2, "throttled": 1, "timeout": 0, "http_error": 0, "broken": 0, "client_timeout": 0, "unfinished": 0},
		ErrorRate: 0.0909, Truncated: 0.18, Spilled: 0.0002, PeakInFlight: 4, Attempts: 13, Retries: 2, Retried: 1,
		Statuses: map[string]int{"200": 10, "429": 3}, Failures: map[string]int{failureReset: 1},
		Messages:     []Message{{429, "full", 3}, {0, "connection reset by peer", 1}},
		PromptTokens: 100, CachedTokens: 3, CompletionTokens: 80, TokensPerSecond: 8.1,
		TTFT: FromBoth{d, d}, TBT: d, E2E: FromBoth{d, d}, Lateness: d,
		Classes:  []Class{{Name: "", Offered: 4, Attainment: 1, E2E: d}, {Name: "batch", Offered: 7, ErrorRate: 0.5, TTFT: d, E2E: d}},
		Warnings: []string{"the sky is low"},
	}
	all, err := ParseAssertions("p99_e2e<5s,error_rate<10%,p50_tpot<1ms")
	if err != nil {
		t.Fatal(err)
	}
	r.Check(all)
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	form, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"report.txt": text.Bytes(), "report.json": append(form, '\n')} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s has changed:\n%s", name, got)
		}
	}
}
