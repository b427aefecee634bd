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
		{IncompleteResponse(429, 0), 429},
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
