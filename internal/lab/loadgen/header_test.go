package loadgen

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

func TestParseHeaders(t *testing.T) {
	got, err := ParseHeaders([]string{"authorization: Bearer a:b", "X-Team:one", "x-team: two ", "X-Empty:", "\tX-Tab:\tc d"})
	want := http.Header{"Authorization": {"Bearer a:b"}, "X-Team": {"one", "two"}, "X-Empty": {""}, "X-Tab": {"c d"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if got, err := ParseHeaders(nil); err != nil || len(got) != 0 {
		t.Errorf("none: %v, %v", got, err)
	}
	for line, want := range map[string]string{
		"hunter2":                        "header 2 has no colon",
		"":                               "header 2 has no colon",
		": hunter2":                      "header 2 has no name",
		"X Y: hunter2":                   "header 2: its name contains",
		"X-Ä: hunter2":                   "header 2: its name contains",
		"X\r\nY: hunter2":                "header 2: its name contains",
		"X-Y: hunter2\r\nZ: 1":           "header X-Y: its value contains",
		"X-Y: hunter2\nZ: 1":             "header X-Y: its value contains",
		"X-Y: hunter2\x00":               "header X-Y: its value contains",
		"content-length: hunter2":        "header Content-Length cannot be set: the request's body",
		"Content-Type: hunter2":          "header Content-Type cannot be set",
		"content-encoding: hunter2":      "header Content-Encoding cannot be set",
		"HOST: hunter2":                  "header Host cannot be set: --target",
		"accept-encoding: hunter2":       "header Accept-Encoding cannot be set: responses",
		"x-stainless-timeout: hunter2":   "header X-Stainless-Timeout cannot be set: --timeout",
		"x-stainless-retry-count: hun":   "header X-Stainless-Retry-Count cannot be set: --retries",
		"transfer-encoding: hunter2":     "header Transfer-Encoding cannot be set: it concerns the connection",
		"TE: hunter2":                    "header Te cannot be set",
		"connection: hunter2":            "header Connection cannot be set",
		"keep-alive: hunter2":            "header Keep-Alive cannot be set",
		"proxy-authorization: hunter2":   "header Proxy-Authorization cannot be set",
		"proxy-authenticate: hunter2":    "header Proxy-Authenticate cannot be set",
		"proxy-connection: hunter2":      "header Proxy-Connection cannot be set",
		"upgrade: hunter2":               "header Upgrade cannot be set",
		"trailer: hunter2":               "header Trailer cannot be set",
		"expect: hunter2":                "header Expect cannot be set",
		"http2-settings : hunter2":       "header Http2-Settings cannot be set",
		"Transfer-Encoding\t: hunter2\t": "header Transfer-Encoding cannot be set",
	} {
		_, err := ParseHeaders([]string{"X-Fine: 1", line})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q without the value", line, err, want)
		}
	}
}

// A target that repeats the request's headers in its error does not make the report
// repeat them, even where the message is cut within one.
func TestReportHidesHeaders(t *testing.T) {
	const secret = "hunter2-hunter2-hunter2"
	target := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, "%s %v", strings.Repeat("x", messageBytes-20), r.Header)
	})
	for _, opt := range []Options{
		{Style: wire.OpenAI, Header: http.Header{"Authorization": {"Bearer " + secret}, "X-Other": {secret + "-longer"}}},
		{Style: wire.OpenAI, Key: secret},
		{Style: wire.Azure, Keys: map[string]string{"batch": secret}},
	} {
		report, err := runVirtual(t, target, opt, &calls{{PromptTokens: 50, OutputTokens: 7, Class: "batch"}})
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		if err := report.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		if len(report.Messages) != 1 || strings.Contains(text.String(), "hunter2") {
			t.Errorf("the report:\n%s", &text)
		}
	}
}

// A target that wants a credential is told apart from one that rejects the one given.
func TestCredentialInHeader(t *testing.T) {
	refuses := says(http.StatusUnauthorized, `{"error":{"message":"no"}}`)
	for want, h := range map[string]http.Header{
		"requires a key":          {"X-Team": {"a"}},
		"rejected the credential": {"Authorization": {"Bearer token"}},
	} {
		_, err := runVirtual(t, refuses, Options{Header: h}, &calls{workload.Call{PromptTokens: 9, OutputTokens: 7}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", h, err, want)
		}
	}
}
