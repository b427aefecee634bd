package wire

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spillway-ai/spillway"
)

func TestAppendError(t *testing.T) {
	tests := []struct {
		name string
		e    Error
		want string
	}{
		{
			"full",
			Error{Code: "c", Type: "t", Message: `say "hi"` + "\n", Param: "p", RequestID: "r"},
			`{"error":{"code":"c","message":"say \"hi\"\n","type":"t","param":"p","request_id":"r"}}`,
		},
		{"nulls", Error{Type: "t", Message: "m"}, `{"error":{"code":null,"message":"m","type":"t","param":null}}`},
		{"invalid text", Error{Code: "c", Message: "a\xffb"}, "{\"error\":{\"code\":\"c\",\"message\":\"a\ufffdb\"}}"},
		{"azure 401", Unauthorized(Azure), `{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}`},
		{"azure 404", UnknownModel(Azure, "x"), `{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again."}}`},
		{"openai 404", UnknownModel(OpenAI, "x"), `{"error":{"code":"model_not_found","message":"The model 'x' does not exist or you do not have access to it.","type":"invalid_request_error","param":"model"}}`},
		{"path", UnknownPath(), `{"error":{"code":"404","message":"Resource not found"}}`},
		{"size", BodyTooLarge(1024), `{"error":{"code":"request_too_large","message":"The request body exceeds the gateway's limit of 1024 bytes. Send a smaller request.","type":"invalid_request_error","param":null}}`},
	}
	for _, tt := range tests {
		if got := string(AppendError(nil, tt.e)); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestErrorStatuses(t *testing.T) {
	tests := []struct {
		e    Error
		want int
	}{
		{(&BadRequest{Message: "m"}).ErrorResponse(), 400},
		{Unauthorized(OpenAI), 401},
		{Unauthorized(AzureV1), 401},
		{UnknownModel(AzureV1, "m"), 404},
		{UnknownPath(), 404},
		{WrongMethod("PUT", "POST"), 405},
		{WithheldResponse(401), 401},
		{UnreadableResponse(), 502},
		{UpstreamError(429, "without a readable error.", 0), 429},
		{BodyTooLarge(1), 413},
	}
	for _, tt := range tests {
		if tt.e.Status != tt.want || tt.e.Message == "" {
			t.Errorf("%+v: want %d", tt.e, tt.want)
		}
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		in      spillway.Refusal
		status  int
		code    string
		kind    string
		message string
	}{
		{spillway.Refusal{Code: spillway.RefusalTooLarge, FitTokens: 1955}, 400, "output_exceeds_window", "invalid_request_error", "within 1m0s; about 1955 tokens can"},
		{spillway.Refusal{Code: spillway.RefusalTooLarge, FitTokens: 500, Capped: true}, 400, "output_exceeds_window", "invalid_request_error", "the limit of 500 tokens for each choice"},
		{spillway.Refusal{Code: spillway.RefusalTooLarge, Capped: true}, 400, "output_exceeds_window", "invalid_request_error", "Lower n, best_of"},
		{spillway.Refusal{Code: spillway.RefusalDeadline}, 408, "Timeout", "timeout_error", "The operation was timeout."},
		{spillway.Refusal{Code: spillway.RefusalQueueFull, RetryAfter: 1500 * time.Millisecond}, 429, "queue_full", "rate_limit_error", "Please retry after 1.5s."},
		{spillway.Refusal{Code: spillway.RefusalNoCapacity}, 429, "no_capacity", "rate_limit_error", "Please retry later."},
		{spillway.Refusal{Code: spillway.RefusalUpstream}, 502, "upstream_unavailable", "server_error", "failed"},
		{spillway.Refusal{Code: spillway.RefusalNoHealthy}, 503, "no_healthy_deployment", "server_error", "open breaker or is paused"},
		{spillway.Refusal{Code: spillway.RefusalLoop}, 508, "gateway_loop", "server_error", "endpoint"},
		{spillway.Refusal{Code: "new"}, 500, "new", "server_error", "gateway"},
	}
	for _, tt := range tests {
		got := Refused(tt.in, time.Minute)
		if got.Status != tt.status || got.Code != tt.code || got.Type != tt.kind || !strings.Contains(got.Message, tt.message) {
			t.Errorf("got %+v\nwant %+v", got, tt)
		}
		if got.RetryAfter != tt.in.RetryAfter {
			t.Errorf("%s: retry after %v", tt.code, got.RetryAfter)
		}
	}
}

func TestErrorSetHeaders(t *testing.T) {
	h := http.Header{}
	Error{RetryAfter: 1200 * time.Millisecond, NoRetry: true}.SetHeaders(h)
	want := http.Header{
		"Content-Type": {"application/json"}, "Retry-After": {"2"}, "Retry-After-Ms": {"1200"}, "X-Should-Retry": {"false"},
	}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got %v, want %v", h, want)
	}
	h = http.Header{}
	Error{}.SetHeaders(h)
	if len(h) != 1 {
		t.Errorf("got %v", h)
	}
}

func TestAppendStreamError(t *testing.T) {
	e := Error{Code: "c", Type: "t", Message: "m", RequestID: "r"}
	got := string(AppendStreamError(nil, spillway.APIChat, e))
	if want := "data: " + `{"error":{"code":"c","message":"m","type":"t","param":null,"request_id":"r"}}` + "\n\n"; got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	got = string(AppendStreamError(nil, spillway.APIResponses, e))
	data, ok := strings.CutPrefix(got, "event: error\ndata: ")
	if !ok || !strings.HasSuffix(got, "\n\n") {
		t.Fatalf("not an event: %q", got)
	}
	var event struct {
		Type, Code, Message string
		Error               struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(data), &event); err != nil {
		t.Fatal(err)
	}
	if event.Type != "error" || event.Code != "c" || event.Message != "m" || event.Error.Code != "c" || event.Error.Message != "m" {
		t.Errorf("got %+v", event)
	}
}

func TestAppendModels(t *testing.T) {
	models := []Model{{ID: "a", Created: 5}, {ID: `b"`, OwnedBy: "us"}}
	got := string(AppendModels(nil, OpenAI, models))
	want := `{"object":"list","data":[{"id":"a","object":"model","created":5,"owned_by":"spillway"},{"id":"b\"","object":"model","created":0,"owned_by":"us"}]}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = string(AppendModels(nil, Azure, models[:1]))
	want = `{"object":"list","data":[{"id":"a","object":"model","status":"succeeded","lifecycle_status":"generally-available","created_at":5}]}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := string(AppendModels(nil, AzureV1, nil)); got != `{"object":"list","data":[]}` {
		t.Errorf("none: %s", got)
	}
}

// TestOperationUnsupported tells a deployment that lacks the operation from one that
// lacks something that the request names.
func TestOperationUnsupported(t *testing.T) {
	for body, want := range map[string]map[int]bool{
		`{"error":{"code":"OperationNotSupported","message":"The chatCompletion operation does not work with the specified model, x."}}`: {400: true, 403: false},
		`{"error":{"code":"content_filter","message":"OperationNotSupported"}}`:                                                          {400: false},
		`{"error":{"code":"404","message":"Resource not found"}}`:                                                                        {404: true, 400: false, 409: true, 424: true, 500: false},
		`{"error":{"code":"NotFound","message":"Resource not found."}}`:                                                                  {404: true},
		`{"error":{"message":"Invalid URL (POST /v1/x)","type":"invalid_request_error","param":null,"code":null}}`:                       {404: true},
		`{"error":"Not Found"}`:        {404: true},
		`{"detail":"Not Found"}`:       {404: true},
		`<html><h1>404 Not Found</h1>`: {404: true, 400: false},
		``:                             {404: true, 424: true},
		`{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}`:             {404: false},
		`{"error":{"code":"model_not_found","message":"The model 'x' does not exist"}}`:                                        {404: false},
		`{"error":{"message":"Response with id 'resp_1' not found.","type":"invalid_request_error","param":null,"code":null}}`: {404: false},
		`{"error":{"code":"previous_response_not_found","message":"not found"}}`:                                               {404: false, 400: false},
	} {
		for status, want := range want {
			if got := OperationUnsupported(status, ScanFault([]byte(body))); got != want {
				t.Errorf("%d %s: %v, want %v", status, body, got, want)
			}
		}
	}
}

func TestUpstreamError(t *testing.T) {
	for _, tt := range []struct {
		status int
		asked  time.Duration
		kind   string
		wait   time.Duration
	}{
		{429, 0, "rate_limit_error", time.Second},
		{429, 5 * time.Second, "rate_limit_error", 5 * time.Second},
		{408, 0, "timeout_error", 0},
		{403, 0, "invalid_request_error", 0},
		{502, 0, "server_error", 0},
		{503, time.Minute, "server_error", time.Minute},
	} {
		e := UpstreamError(tt.status, "without a readable error.", tt.asked)
		if e.Status != tt.status || e.Type != tt.kind || e.RetryAfter != tt.wait || !strings.Contains(e.Message, "without a readable error") {
			t.Errorf("%d after %v: %+v", tt.status, tt.asked, e)
		}
	}
}

func TestReadErrorBody(t *testing.T) {
	for body, want := range map[string]struct {
		message  string
		readable bool
	}{
		`{"error":{"code":"429","message":"m"}}`:           {"", true},
		` {"id":"x","error":{}} `:                          {"", true},
		`{"message":"m","error":{"message":"m"}}`:          {"", true},
		`{"statusCode":429,"message":"Rate \"limit\"."}`:   {`Rate "limit".`, false},
		`{"detail":"Not Found"}`:                           {"Not Found", false},
		`{"error":"no such model"}`:                        {"no such model", false},
		`{"message":"` + strings.Repeat("a", 2<<10) + `"}`: {strings.Repeat("a", maxQuoted), false},
		`{"error":null}`:                                   {"", false},
		`{"detail":[{"msg":"m"}]}`:                         {"", false},
		`[{"error":{"message":"m"}}]`:                      {"", false},
		`{"error":{"message":"cut`:                         {"", false},
		`{"error":{"message":"m"}} and more`:               {"", false},
		`<html><body>429 Too Many Requests</body></html>`:  {"", false},
		`{"error":{message}}`:                              {"", false},
		`"error"`:                                          {"", false},
		``:                                                 {"", false},
	} {
		message, readable := ReadErrorBody([]byte(body))
		if message != want.message || readable != want.readable {
			t.Errorf("%.80s: %q, %v; want %q, %v", body, message, readable, want.message, want.readable)
		}
	}
}
