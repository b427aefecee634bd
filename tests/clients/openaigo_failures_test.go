package clients

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

const long = "Write a long report. [[tokens=6000]]"

// mark returns a text that no other ask has.
func mark(t *testing.T) string {
	return fmt.Sprintf("%s-%d", strings.ReplaceAll(t.Name(), "/", "-"), time.Now().UnixNano())
}

// wantStatus demands the SDK's error with one of the statuses and a code.
func wantStatus(t *testing.T, err error, statuses ...int) {
	t.Helper()
	failure, ok := errors.AsType[*openai.Error](err)
	if !ok {
		t.Errorf("got=%v, want=an error with status %v", err, statuses)
		return
	}
	for _, s := range statuses {
		if failure.StatusCode == s && failure.Message != "" && failure.Code != "" {
			return
		}
	}
	t.Errorf("got=%d %s, want=status %v with code and message", failure.StatusCode, failure.RawJSON(), statuses)
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	for _, family := range families {
		c := connect(family, demoURL, "wrong")
		_, err := c.Chat.Completions.New(t.Context(), chat(model, "Hi."))
		wantStatus(t, err, http.StatusUnauthorized)
	}
}

func TestUnknownModel(t *testing.T) {
	eachFamily(t, func(t *testing.T, c openai.Client) {
		_, err := c.Chat.Completions.New(t.Context(), chat("no-such-deployment", "Hi."))
		wantStatus(t, err, http.StatusNotFound)
	})
}

func TestInvalid(t *testing.T) {
	eachFamily(t, func(t *testing.T, c openai.Client) {
		ask := chat(model, "Hi.")
		ask.MaxTokens = openai.Int(-1)
		_, err := c.Chat.Completions.New(t.Context(), ask)
		wantStatus(t, err, http.StatusBadRequest)
	})
}

func TestUpstreamFails(t *testing.T) {
	wants := map[string][]int{
		"throttled": {http.StatusTooManyRequests},
		"broken":    {http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable},
		"filtered":  {http.StatusBadRequest},
	}
	eachFaulty(t, func(t *testing.T, c openai.Client) {
		for fault, statuses := range wants {
			_, err := c.Chat.Completions.New(t.Context(), chat(fault, "Hi."))
			wantStatus(t, err, statuses...)
			stream := c.Chat.Completions.NewStreaming(t.Context(), chat(fault, "Hi."))
			for stream.Next() {
				t.Errorf("%s: a chunk of a failed ask", fault)
			}
			wantStatus(t, stream.Err(), statuses...)
			stream.Close()
		}
	})
}

func TestThrottledForAMoment(t *testing.T) {
	eachFaulty(t, func(t *testing.T, c openai.Client) {
		answer, err := c.Chat.Completions.New(t.Context(), chat("recovers", mark(t)))
		if err != nil {
			t.Fatal(err)
		}
		if answer.Choices[0].Message.Content == "" {
			t.Errorf("got=%s, want=an answer", answer.RawJSON())
		}
	})
}

func TestBrokenStream(t *testing.T) {
	eachFaulty(t, func(t *testing.T, c openai.Client) {
		stream := c.Chat.Completions.NewStreaming(t.Context(), chat("cut", "Hi."))
		defer stream.Close()
		for stream.Next() {
		}
		if stream.Err() == nil {
			t.Error("got=a short answer, want=an error")
		}
	})
}

// TestHeartbeats reads streams that pause. The gateway's heartbeats are no events.
func TestHeartbeats(t *testing.T) {
	eachFaulty(t, func(t *testing.T, c openai.Client) {
		for _, model := range []string{"pauses", "numbered"} {
			stream := c.Chat.Completions.NewStreaming(t.Context(), chat(model, "Hi."))
			words := 0
			for stream.Next() {
				words += strings.Count(stream.Current().Choices[0].Delta.Content, "word")
			}
			if err := stream.Err(); err != nil || words != 4 {
				t.Errorf("%s: %d words, %v; want 4", model, words, err)
			}
			stream.Close()
		}
	})
}

// windows are deadlines, all shorter than the whole answer takes. On a busy
// machine there may be no token in time: the next is longer.
var windows = []string{"3000", "10000", "40000"}

// noToken reports whether the deadline came before the first token.
func noToken(err error) bool {
	refused, ok := errors.AsType[*openai.Error](err)
	return ok && refused.StatusCode == http.StatusRequestTimeout
}

func TestCutAtTheDeadline(t *testing.T) {
	eachFamily(t, func(t *testing.T, c openai.Client) {
		ask := chat(model, long)
		ask.MaxTokens = openai.Int(8000)
		var res *http.Response
		var answer *openai.ChatCompletion
		var err error
		for _, window := range windows {
			answer, err = c.Chat.Completions.New(t.Context(), ask,
				option.WithHeader("x-spillway-deadline-ms", window), option.WithResponseInto(&res))
			if !noToken(err) {
				break
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get("x-spillway-truncated"); got != "deadline" {
			t.Errorf("x-spillway-truncated: got=%q, want=deadline", got)
		}
		if choice := answer.Choices[0]; choice.FinishReason != "length" || choice.Message.Content == "" {
			t.Errorf("got=%s, want=a part of the answer", answer.RawJSON())
		}
	})
}

// The SDK says how long it waits, so the answer comes before it gives up. On a
// busy machine it can be late, and is tried again.
func TestClientTimeoutIsTheDeadline(t *testing.T) {
	eachFamily(t, func(t *testing.T, c openai.Client) {
		answer, err := c.Chat.Completions.New(t.Context(), chat(model, long),
			option.WithRequestTimeout(3*time.Second), option.WithMaxRetries(10))
		if err != nil {
			t.Fatal(err)
		}
		if got := answer.Choices[0].FinishReason; got != "length" {
			t.Errorf("got=%s, want=length", got)
		}
	})
}

// TestSaysItsTimeout reads what the SDK says of timeouts. A context's deadline is not among
// it.
func TestSaysItsTimeout(t *testing.T) {
	t.Parallel()
	seven := option.WithRequestTimeout(7 * time.Second)
	for name, tt := range map[string]struct {
		client, request []option.RequestOption
		deadline        bool
		want            string
	}{
		"none":       {nil, nil, false, ""},
		"of client":  {[]option.RequestOption{seven}, nil, false, "7"},
		"of request": {nil, []option.RequestOption{seven}, false, "7"},
		"of context": {nil, nil, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r.Header.Get("x-stainless-timeout")
				refuse(w, http.StatusBadRequest, "any", "Any.")
			}))
			defer server.Close()
			ctx := t.Context()
			if tt.deadline {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, suiteTimeout)
				defer cancel()
			}
			c := openai.NewClient(append(tt.client, option.WithBaseURL(server.URL), option.WithAPIKey(key), option.WithMaxRetries(0))...)
			_, err := c.Chat.Completions.New(ctx, chat(model, "Hi."), tt.request...)
			wantStatus(t, err, http.StatusBadRequest)
			if got != tt.want {
				t.Errorf("x-stainless-timeout: got=%q, want=%q", got, tt.want)
			}
		})
	}
}

func TestNoTokenInTime(t *testing.T) {
	eachFamily(t, func(t *testing.T, c openai.Client) {
		_, err := c.Chat.Completions.New(t.Context(), chat(model, long), option.WithHeader("x-spillway-deadline-ms", "20"))
		wantStatus(t, err, http.StatusRequestTimeout)
	})
}

func TestClientTimesOut(t *testing.T) {
	eachFamily(t, func(t *testing.T, c openai.Client) {
		_, err := c.Chat.Completions.New(t.Context(), chat(model, long),
			option.WithRequestTimeout(time.Second), option.WithHeaderDel("X-Stainless-Timeout"))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got=%v, want=the client's own timeout", err)
		}
	})
}

func TestClientLeaves(t *testing.T) {
	eachFaulty(t, func(t *testing.T, c openai.Client) {
		mark := mark(t)
		stream := c.Chat.Completions.NewStreaming(t.Context(), chat("endless", mark))
		for range 10 {
			if !stream.Next() {
				t.Fatalf("the stream ended: %v", stream.Err())
			}
		}
		stream.Close()
		ctx, cancel := context.WithTimeout(t.Context(), suiteTimeout)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, upstreamURL+"/left/"+mark, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatalf("the upstream still generates for a client that left: %v", err)
		}
		res.Body.Close()
	})
}
