package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// TestProbe says what is wrong with a deployment by the response to a request that
// generates nothing.
func TestProbe(t *testing.T) {
	const key = "secret-key-of-the-deployment"
	for _, tt := range []struct {
		name, status, body string
		ok                 bool
		text, hint         string
	}{
		{"azure", "400 Bad Request", `{"error":{"message":"[] is too short - 'messages'","type":"invalid_request_error","param":"messages","code":null}}`, true, "too short", ""},
		{"validator", "422 Unprocessable Entity", `{"detail":[{"type":"too_short","loc":["body","messages"]}]}`, true, "", ""},
		{"not a chat model", "404 Not Found", `{"error":{"message":"This is not a chat model and thus not supported in the v1/chat/completions endpoint.","type":"invalid_request_error","param":"model","code":null}}`, true, "not a chat model", ""},
		{"embeddings", "400 Bad Request", `{"error":{"code":"OperationNotSupported","message":"The chatCompletion operation does not work with the specified model"}}`, true, "does not work", ""},
		{"busy", "429 Too Many Requests", ``, true, "", ""},
		{"generates", "200 OK", `{"choices":[]}`, true, "", ""},
		{"key", "401 Unauthorized", `{"error":{"code":"401","message":"Access denied due to invalid subscription key ` + key + `"}}`, false, "subscription key ***", "credential is refused"},
		{"network", "403 Forbidden", `{"error":{"code":"403","message":"Public access is disabled."}}`, false, "Public access is disabled.", "network rules"},
		{"deployment", "404 Not Found", `{"error":{"code":"DeploymentNotFound","message":"The API deployment does not exist."}}`, false, "does not exist", "no such deployment"},
		{"model", "404 Not Found", `{"error":{"code":"model_not_found","message":"The model does not exist"}}`, false, "does not exist", "no such deployment"},
		{"path", "404 Not Found", `{"error":{"code":"404","message":"Resource not found"}}`, false, "Resource not found", "api_version"},
		{"fails", "503 Service Unavailable", `upstream connect error`, false, "", "health"},
		{"web page", "200 OK", `<html>hello</html>`, false, "", "not JSON"},
		{"plain HTTP to a TLS port", "400 Bad Request", `<html>The plain HTTP request was sent to HTTPS port</html>`, false, "", "not JSON"},
		{"redirect", "301 Moved Permanently", ``, false, "", "redirects"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, func(c *peerConn) {
					fmt.Fprintf(c, "HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", tt.status, len(tt.body), tt.body)
				})
				transports := NewTransports(p.dial, nil)
				target, err := wire.ParseTarget(wire.OpenAI, "http://peer.test", "", "")
				if err != nil {
					t.Fatal(err)
				}
				d, err := transports.Deployment("east", &Config{Target: target, Credential: Bearer(key)}, nil)
				if err != nil {
					t.Fatal(err)
				}
				got := d.Probe(t.Context(), "gpt-x")
				if got.OK != tt.ok || !strings.Contains(got.Text, tt.text) || !strings.Contains(got.Hint, tt.hint) || (got.Hint == "") != tt.ok {
					t.Errorf("%+v; want ok %v, text %q, hint %q", got, tt.ok, tt.text, tt.hint)
				}
				if strings.Contains(got.Text, key) {
					t.Errorf("the key is in %q", got.Text)
				}
				if want := `{"model":"gpt-x","messages":[],"max_tokens":1}`; p.asked[0] != want {
					t.Errorf("asked %s, want %s", p.asked[0], want)
				}
				transports.CloseIdle(nil)
			})
		})
	}
}

// TestProbeUnreachable explains why there is no response.
func TestProbeUnreachable(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"refused": {syscall.ECONNREFUSED, "nothing listens"},
		"other":   {errors.New("odd"), "check the endpoint and the network"},
	} {
		transports := NewTransports(func(context.Context, string, string) (net.Conn, error) { return nil, tt.err }, nil)
		p := newPeer(t, nil)
		if got := p.deployment(transports, nil).Probe(t.Context(), "m"); got.OK || got.Status != 0 || got.Text == "" || !strings.Contains(got.Hint, tt.want) {
			t.Errorf("%s: %+v, want %q", name, got, tt.want)
		}
	}
}
