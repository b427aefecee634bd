package wire

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestCopyHeader(t *testing.T) {
	src := headers("Connection", "close, X-Private", "Connection", "x-other", "X-Private", "1", "X-Other", "2", "Transfer-Encoding", "chunked",
		"Keep-Alive", "5", "Te", "trailers", "Apim-Request-Id", "a", "Vary", "a", "Vary", "b",
		"Set-Cookie", "a", "Alt-Svc", "h3", "Strict-Transport-Security", "max-age=1")
	dst := http.Header{}
	CopyHeader(dst, src)
	want := headers("Apim-Request-Id", "a", "Vary", "a", "Vary", "b")
	if !reflect.DeepEqual(dst, want) {
		t.Errorf("got %v, want %v", dst, want)
	}
	dst.Add("Vary", "c")
	if got := src.Values("Vary"); len(got) != 2 || cap(dst["Apim-Request-Id"]) != 1 {
		t.Errorf("appending reached the source: %v", got)
	}
}

// TestWithheld sends each header by itself, in every way of writing it that servers
// take for the same name.
func TestWithheld(t *testing.T) {
	withheld := map[string][]string{
		"credentials": {"Api-Key", "Authorization", "X-Api-Key", "Ocp-Apim-Subscription-Key", "Cookie", "Cookie2"},
		"who serves and whom to bill": {
			"OpenAI-Organization", "OpenAI-Project", "X-Ms-Spillover-Deployment", "azureml-model-deployment",
			"x-litellm-api-key", "cf-aig-authorization", "Helicone-OpenAI-Api-Base", "x-portkey-config", "x-portkey-provider",
		},
		"meant for the gateway": {
			"X-Slo-Ttft-Ms", "X-Slo-Tpot-Ms", "X-Spillway-Deadline-Ms", "X-Spillway-Hops", "X-Spillway-Tenant",
			"X-Stainless-Lang", "X-Stainless-Retry-Count", "X-Stainless-Timeout", "Ocp-Apim-Trace",
		},
		"set by the transport": {"Accept-Encoding", "Content-Length", "Expect", "Host"},
		"hop by hop": {
			"Connection", "Proxy-Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "HTTP2-Settings",
			"Proxy-Authorization", "Proxy-Authenticate",
		},
		"another path": {
			"X-Original-URL", "X-Original-Uri", "X-Original-Path", "X-Rewrite-URL", "X-Rewrite-Uri", "X-Envoy-Original-Path",
			"X-WAWS-Unencoded-URL", "X-Ms-Original-Url", "X-Http-Path-Override", "X-Http-Destinationurl", "Request-Uri", "X-Request-Uri",
			"X-Uri", "X-Proxy-Url", "Path-Info", "X-Path-Info", "Script-Name", "X-Script-Name", "X-Forwarded-Prefix", "X-Forwarded-Uri",
			"X-Accel-Mapping", "X-Sendfile-Type",
		},
		"another method": {
			"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Method", "X-Original-Method", "X-Forwarded-Method",
		},
		"another host": {
			"X-Host", "X-HTTP-Host-Override", "X-Original-Host", "X-Forwarded-Host", "X-Forwarded-Server", "X-Backend-Host",
			"X-Server-Name", "X-Portkey-Custom-Host", "Helicone-Target-Url", "X-Target-Url",
		},
		"another client": {
			"Forwarded", "Forwarded-For", "X-Forwarded", "X-Forwarded-For", "X-Forward-For", "X-Forwarded-Proto", "X-Forwarded-Port",
			"X-Forwarded-User", "X-Forwarded-Client-Cert", "X-Original-Forwarded-For", "X-Real-IP", "True-Client-IP",
			"CF-Connecting-IP", "CF-Connecting-IPv6", "CF-Connecting-O2O", "CF-Pseudo-IPv4", "CF-IPCountry", "CF-Visitor", "CF-Worker",
			"X-Client-IP", "X-Client-Port", "X-Client-Cert", "X-Cluster-Client-IP", "X-ProxyUser-Ip", "X-Remote-IP", "X-Remote-Addr",
			"X-Originating-IP", "Client-IP", "Fastly-Client-IP", "Fastly-SSL", "Fly-Client-IP", "Do-Connecting-IP",
			"X-Nf-Client-Connection-Ip", "X-Appengine-User-Ip", "Incap-Client-IP", "Akamai-Origin-Hop", "CloudFront-Viewer-Address",
			"WL-Proxy-Client-IP", "X-Wl-Proxy-Client-Ip", "X-Envoy-External-Address", "X-Envoy-Internal",
			"X-Azure-ClientIP", "X-Azure-SocketIP", "X-Azure-FDID", "X-Azure-Ref", "X-FD-HealthProbe", "X-AppGw-Trace-Id",
			"X-ARR-ClientCert", "X-ARR-LOG-ID", "X-ARR-SSL", "X-WAF-Original-Ip", "X-Ssl-Client-Verify", "Ssl-Client-Cert",
			"Client-Cert", "Client-Cert-Chain", "X-Client-Dn", "X-Client-Verify",
			"X-Ms-Client-Principal", "X-Ms-Client-Principal-Name", "X-Ms-Token-Aad-Access-Token", "X-Auth-Request-User",
			"X-Goog-Authenticated-User-Email", "X-Goog-Iap-Jwt-Assertion", "X-Amzn-Oidc-Identity",
			"Remote-User", "X-Remote-User", "X-Remote-Group", "X-Remote-Extra-Scopes", "Impersonate-User",
			"X-Middleware-Subrequest",
		},
		"servers that the request has passed": {"Via", "CDN-Loop", "Proxy", "Proxy-Host"},
	}
	for reason, names := range withheld {
		for _, name := range names {
			for _, spelled := range spellings(name) {
				h := headers(spelled, "1", "Accept", "application/json")
				dst := http.Header{}
				if CopyRequestHeader(dst, h); len(dst) != 1 {
					t.Errorf("%s: %s was forwarded", reason, spelled)
				}
			}
		}
	}
	for _, name := range []string{"X_Anything", "X.Anything", "X~Anything", "any_thing", "X-Any_thing", "_", "!"} {
		dst := http.Header{}
		if CopyRequestHeader(dst, headers(name, "1")); len(dst) != 0 {
			t.Errorf("%s was forwarded", name)
		}
	}
}

// spellings returns a header's name as clients can write it: in other cases, and with
// the characters that some servers take for a hyphen.
func spellings(name string) []string {
	all := []string{name, strings.ToLower(name), strings.ToUpper(name)}
	if strings.Contains(name, "-") {
		all = append(all, strings.ReplaceAll(name, "-", "_"), strings.Replace(name, "-", "_", 1), strings.ReplaceAll(name, "-", "."))
	}
	return all
}

// TestForwarded has what SDKs and frameworks send to a deployment.
func TestForwarded(t *testing.T) {
	src := http.Header{}
	for _, name := range []string{
		"Accept", "Accept-Language", "Content-Type", "Content-Encoding", "User-Agent", "Origin", "Referer", "Range", "If-None-Match",
		"OpenAI-Beta", "X-Client-Request-Id", "X-Request-Id", "Idempotency-Key",
		"X-Ms-Client-Request-Id", "X-Ms-Useragent", "X-Ms-Enable-Preview", "X-Ms-Oai-Image-Generation-Deployment", "Azureml-Model-Session",
		"Aoai-Evals", "Extra-Parameters", "X-Policy-Id", "Traceparent", "Tracestate", "Baggage", "X-Cloud-Trace-Context", "X-Amzn-Trace-Id",
		"HTTP-Referer", "X-Title", "Helicone-Property-App", "Cf-Aig-Metadata", "Anthropic-Version", "Anthropic-Beta", "X-Goog-Api-Client",
		"X", "X-", "X--", "-", "-X", "Ocp", "Ocp-", "X-Ms", "X-Ms-", "X-Auth", "X-Goog-", "Https", "X-Ips", "X-Hostname", // no family
		"Mcp-Session-Id", "X-Session-Id", "X-User-Id", "X-Custom-9",
	} {
		src.Set(name, "1")
	}
	dst := http.Header{}
	CopyRequestHeader(dst, src)
	for _, name := range slices.Sorted(maps.Keys(src)) {
		if len(dst[name]) != 1 {
			t.Errorf("%s was not forwarded", name)
		}
	}
	dst.Add("Accept", "2")
	if len(src["Accept"]) != 1 {
		t.Error("appending reached the source")
	}
	src.Set("Connection", "x-custom-9, Accept")
	dst = http.Header{}
	if CopyRequestHeader(dst, src); dst["X-Custom-9"] != nil || dst["Accept"] != nil {
		t.Error("a header that Connection names was forwarded")
	}
}

// FuzzCopyRequestHeader forwards no header of a client that another spelling of it would
// not, and none of the gateway's own, whatever the name.
func FuzzCopyRequestHeader(f *testing.F) {
	for _, name := range []string{"X", "X-", "-", "X-Ms", "Ocp-", "X_Forwarded_For", "api-key", ""} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		forwards := func(name string) bool {
			dst := http.Header{}
			CopyRequestHeader(dst, http.Header{http.CanonicalHeaderKey(name): {"1"}})
			return len(dst) > 0
		}
		got := forwards(name)
		if got && (strings.ContainsAny(name, "_.~ \r\n\x00:") || strings.HasPrefix(strings.ToLower(name), "x-spillway-")) {
			t.Errorf("%q was forwarded", name)
		}
		if got != forwards(strings.ToLower(name)) && http.CanonicalHeaderKey(name) == http.CanonicalHeaderKey(strings.ToLower(name)) {
			t.Errorf("%q: forwarded %v, and otherwise in lower case", name, got)
		}
	})
}

func BenchmarkCopyRequestHeader(b *testing.B) {
	src := headers("Accept", "application/json", "Accept-Encoding", "gzip", "Api-Key", "k", "Content-Length", "9",
		"Content-Type", "application/json", "User-Agent", "sdk", "X-Stainless-Arch", "x64", "X-Stainless-Async", "false",
		"X-Stainless-Lang", "python", "X-Stainless-Os", "Linux", "X-Stainless-Package-Version", "1", "X-Ms-Client-Request-Id", "c")
	dst := http.Header{}
	b.ReportAllocs()
	for b.Loop() {
		CopyRequestHeader(dst, src)
	}
}
