package wire

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spillway-ai/spillway"
)

// headers makes a header from pairs.
func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		h    http.Header
		want time.Duration
		ok   bool
	}{
		{headers(), 0, false},
		{headers("retry-after", "7"), 7 * time.Second, true},
		{headers("retry-after", " 1.5 "), 1500 * time.Millisecond, true},
		{headers("retry-after", "86400"), 24 * time.Hour, true},
		{headers("retry-after", "7", "retry-after-ms", "250"), 250 * time.Millisecond, true},
		{headers("retry-after", "7", "x-ms-retry-after-ms", "300"), 300 * time.Millisecond, true},
		{headers("retry-after-ms", "soon", "retry-after", "7"), 7 * time.Second, true},
		{headers("retry-after-ms", "-1"), 0, false},
		{headers("retry-after", "0"), 0, true},
		{headers("retry-after", "NaN"), 0, false},
		{headers("retry-after", "1e300"), 0, false},
		{headers("retry-after", "Sun, 01 Mar 2026 12:00:05 GMT"), 5 * time.Second, true},
		{headers("retry-after", "Sun, 01 Mar 2026 11:00:00 GMT"), 0, true},
		{headers("retry-after", "tomorrow"), 0, false},
	}
	for _, tt := range tests {
		if got, ok := ParseRetryAfter(tt.h, now); got != tt.want || ok != tt.ok {
			t.Errorf("%v: got %v, %v, want %v, %v", tt.h, got, ok, tt.want, tt.ok)
		}
	}
}

// TestParseReset reads when a limit is restored, in the forms of OpenAI and Azure.
func TestParseReset(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1s": time.Second, "6m0s": 6 * time.Minute, "120ms": 120 * time.Millisecond, "1h2m3s": time.Hour + 2*time.Minute + 3*time.Second,
		"2m59.56s": 2*time.Minute + 59560*time.Millisecond, "0s": 0, "0": 0, "12": 12 * time.Second, "1.5": 1500 * time.Millisecond,
		" 3s ": 3 * time.Second, " 4 ": 4 * time.Second, "17us": 17 * time.Microsecond, "2400h": 2400 * time.Hour,
		"": -1, " ": -1, "-1s": -1, "-5": -1, "NaN": -1, "Inf": -1, "soon": -1, "1d": -1, "s": -1, "1735689600": -1, "9999999h": -1,
		"99999999999999999999s": -1, "1e300": -1, "2026-01-01T00:00:00Z": -1, "1s,2s": -1,
	} {
		got := ParseSignals(headers(HeaderResetTokens, text, HeaderResetRequests, text))
		if got.ResetTokens != want || got.ResetRequests != want {
			t.Errorf("%q: %v and %v, want %v", text, got.ResetTokens, got.ResetRequests, want)
		}
	}
}

// TestParseNames reads who answered: the deployment's own request id, and its region.
func TestParseNames(t *testing.T) {
	long := strings.Repeat("x", maxNamed)
	for _, tt := range []struct {
		h          http.Header
		id, region string
	}{
		{headers(), "", ""},
		{headers(HeaderAzureRequestID, "a-1", HeaderXRequestID, "b-2", HeaderRegion, "East US"), "a-1", "East US"},
		{headers(HeaderXRequestID, " req_3 "), "req_3", ""},
		{headers(HeaderAzureRequestID, long, HeaderRegion, long), long, long},
		{headers(HeaderAzureRequestID, long+"x", HeaderXRequestID, "b-2"), "b-2", ""},
		{headers(HeaderAzureRequestID, "a\tb", HeaderRegion, "\x7f"), "", ""},
		{headers(HeaderAzureRequestID, "\u00e9", HeaderRegion, "Sweden\x00"), "", ""},
	} {
		if id, region := ParseRequestID(tt.h), ParseRegion(tt.h); id != tt.id || region != tt.region {
			t.Errorf("%v: %q, %q; want %q, %q", tt.h, id, region, tt.id, tt.region)
		}
	}
}

func TestParseSignals(t *testing.T) {
	if got := ParseSignals(headers()); got != spillway.NoSignals() {
		t.Errorf("no headers: %+v", got)
	}
	got := ParseSignals(headers("azure-openai-deployment-utilization", "112.5%", "x-ratelimit-limit-tokens", "150000",
		"x-ratelimit-remaining-tokens", "0", "x-ratelimit-remaining-requests", "59"))
	want := spillway.Signals{Utilization: 1.125, LimitTokens: 150000, RemainingTokens: 0, RemainingRequests: 59, ResetTokens: -1, ResetRequests: -1}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, text := range []string{"", "%", "x%", "50", "-1%", "NaN%", "Inf%"} {
		if got := ParseSignals(headers(HeaderUtilization, text, HeaderRemainingTokens, "-5")); got != spillway.NoSignals() {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestClientHints(t *testing.T) {
	got, err := ClientHints(headers("x-spillway-deadline-ms", "1500", "x-stainless-timeout", "600", "x-stainless-read-timeout", "30.5",
		"x-slo-ttft-ms", "250", "x-slo-tpot-ms", "30", "x-stainless-retry-count", "2", "x-spillway-hops", "1", "x-spillway-tenant", "acme"))
	want := Hints{
		Deadline: 1500 * time.Millisecond, SDKTimeout: 30500 * time.Millisecond, TTFT: 250 * time.Millisecond,
		TPOT: 30 * time.Millisecond, ClientRetry: 2, Hops: 1, Tenant: "acme",
	}
	if err != nil || got != want {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	got, err = ClientHints(headers("x-stainless-timeout", "never", "x-slo-ttft-ms", "-1", "x-stainless-retry-count", "x"))
	if err != nil || got != (Hints{}) {
		t.Errorf("got %+v, %v, want nothing", got, err)
	}
	for _, h := range []http.Header{
		headers("x-spillway-deadline-ms", "0"), headers("x-spillway-deadline-ms", "-5"), headers("x-spillway-deadline-ms", "1s"),
		headers("x-spillway-hops", "-1"), headers("x-spillway-hops", "many"), headers("x-spillway-hops", "1001"),
	} {
		if _, err := ClientHints(h); err == nil {
			t.Errorf("%v: no error", h)
		}
	}
}

func TestHintsFill(t *testing.T) {
	tests := []struct {
		hints  Hints
		stream bool
		want   time.Duration
	}{
		{Hints{}, false, 0},
		{Hints{Deadline: 2}, false, 2},
		{Hints{SDKTimeout: 3}, false, 3},
		{Hints{Deadline: 2, SDKTimeout: 3}, false, 2},
		{Hints{Deadline: 4, SDKTimeout: 3}, false, 3},
		{Hints{SDKTimeout: 3}, true, 0},
		{Hints{Deadline: 4, SDKTimeout: 3}, true, 4},
	}
	for _, tt := range tests {
		r := spillway.Request{Stream: tt.stream}
		tt.hints.Fill(&r)
		if r.Deadline != tt.want || r.ReadTimeout != (tt.want > 0 && tt.want == tt.hints.SDKTimeout) {
			t.Errorf("%+v, stream %v: got %d, want %d", tt.hints, tt.stream, r.Deadline, tt.want)
		}
	}
}

func TestClientKey(t *testing.T) {
	tests := []struct {
		h    http.Header
		want string
	}{
		{headers(), ""},
		{headers("api-key", "k"), "k"},
		{headers("Authorization", "Bearer t"), "t"},
		{headers("Authorization", "bearer  t "), "t"},
		{headers("Authorization", "Basic t"), ""},
		{headers("Authorization", "Bearer"), ""},
		{headers("api-key", "k", "Authorization", "Bearer t"), "k"},
		{headers("Ocp-Apim-Subscription-Key", "s"), "s"},
		{headers("X-API-Key", "x"), "x"},
		{headers("X-API-Key", "x", "Ocp-Apim-Subscription-Key", "s"), "s"},
		{headers("X-API-Key", "x", "Authorization", "Bearer t"), "t"},
		{headers("X-API-Key", "x", "Authorization", "Bearer "), "x"},
		{headers("X-API-Key", "x", "Authorization", "Basic t"), "x"},
	}
	for _, tt := range tests {
		if got := ClientKey(tt.h); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.h, got, tt.want)
		}
	}
}

func TestWantsWebSocket(t *testing.T) {
	for _, tt := range []struct {
		h    http.Header
		want bool
	}{
		{headers("Connection", "Upgrade", "Upgrade", "websocket"), true},
		{headers("Connection", "keep-alive, upgrade", "Upgrade", "WebSocket"), true},
		{headers("Connection", "keep-alive", "Connection", "upgrade", "Upgrade", "h2c, websocket"), true},
		{headers("Connection", "Upgrade", "Upgrade", "h2c"), false},
		{headers("Connection", "close", "Upgrade", "websocket"), false},
		{headers("Upgrade", "websocket"), false},
		{headers(), false},
	} {
		if got := WantsWebSocket(tt.h); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.h, got, tt.want)
		}
	}
}

func TestCharset(t *testing.T) {
	for contentType, want := range map[string]string{
		"": "", "application/json": "", "application/json; charset=utf-8": "", "application/json;charset=UTF8": "",
		"text/plain; charset=US-ASCII": "", "application/json; charset=\"UTF-16LE\"": "utf-16le",
		"application/json; charset=latin1": "latin1", "application/json; charset": "", ";": "",
	} {
		if got := Charset(headers("Content-Type", contentType)); got != want {
			t.Errorf("%q: %q, want %q", contentType, got, want)
		}
	}
}

// TestHeaderNames demands canonical constants, because they index http.Header
// directly.
func TestHeaderNames(t *testing.T) {
	for _, name := range []string{
		HeaderRequestID, HeaderDeployment, HeaderAttempts, HeaderGrantedTokens, HeaderRequestedTokens, HeaderTruncated, HeaderSpill,
		HeaderServerTiming, HeaderDeadlineMS, HeaderHops, HeaderTenant, HeaderSLOTTFTMS, HeaderSLOTPOTMS, HeaderSDKTimeout,
		HeaderSDKReadTime, HeaderSDKRetryCount, HeaderAPIKey, HeaderAuthorization, HeaderRetryAfter, HeaderRetryAfterMS,
		HeaderMSRetryAfterMS, HeaderShouldRetry, HeaderUtilization, HeaderLimitTokens, HeaderRemainingTokens,
		HeaderRemainingRequests,
		HeaderContentType,
	} {
		if got := http.CanonicalHeaderKey(name); got != name {
			t.Errorf("%s must be %s", name, got)
		}
	}
}

func TestParseServedBy(t *testing.T) {
	for _, tc := range []struct{ from, spilled, failure, by, want string }{
		{"ptu-eastus", "", "", "std-native", "std-native"},
		{"", "", "", "ptu-eastus", ""}, // every response names its deployment
		{"ptu-eastus", "", "", "", "unknown"},
		{"", "true", "", "", "unknown"},
		{"", "True", "", "std-native", "std-native"},
		{"", "1", "", "", "unknown"},
		{"", "", "429", "std-native", "std-native"},
		{"", "false", "", "ptu-eastus", ""},
		{"", "maybe", "", "ptu-eastus", ""},
	} {
		h := http.Header{}
		for name, value := range map[string]string{
			HeaderSpilloverFrom: tc.from, HeaderSpilledOver: tc.spilled, HeaderSpilloverError: tc.failure, HeaderServedBy: tc.by,
		} {
			if value != "" {
				h.Set(name, value)
			}
		}
		if got := ParseServedBy(h); got != tc.want {
			t.Errorf("%v: %q, want %q", h, got, tc.want)
		}
	}
}

func TestLimitRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, name := range []string{HeaderRetryAfter, HeaderRetryAfterMS, HeaderMSRetryAfterMS} {
		seconds := name == HeaderRetryAfter
		most := "60000"
		if seconds {
			most = "60"
		}
		for value, want := range map[string]string{
			"0": "0", "1": "1", "1.5": "1.5", " 3 ": " 3 ", most: most,
			"864000": most, "1e6": most, "": "",
			"-5": "", "NaN": "", "Inf": "", "+Inf": "", "soon": "", "1s": "", "99999999999999999999999": "", "0x10": "",
			"Sun, 01 Mar 2026 12:00:09 GMT": "Sun, 01 Mar 2026 12:00:09 GMT",
			"Mon, 02 Mar 2026 12:00:00 GMT": "60",
			"Fri, 27 Feb 2026 12:00:00 GMT": "Fri, 27 Feb 2026 12:00:00 GMT",
		} {
			if len(value) == 29 && !seconds {
				want = "" // only one of them can say a date
			}
			h := http.Header{name: {value}}
			LimitRetryAfter(h, now, time.Minute)
			if got := h.Get(name); got != want || want == "" && len(h) > 0 {
				t.Errorf("%s: %q: %q, want %q", name, value, h, want)
			}
		}
		h := http.Header{name: {"7", "86400000"}}
		if LimitRetryAfter(h, now, time.Minute); len(h[name]) != 1 || h.Get(name) != "7" {
			t.Errorf("%s twice: %q", name, h)
		}
	}
	h := http.Header{"X": {"1"}}
	if LimitRetryAfter(h, now, time.Minute); len(h) != 1 {
		t.Errorf("another header: %v", h)
	}
}
