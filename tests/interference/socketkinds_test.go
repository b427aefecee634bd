package interference

import (
	"strings"
	"time"
)

// socketKind is a kind of guilty request over sockets.
type socketKind struct {
	name   string
	script script
	ask    ask // what the request has that healthy ones have not
	tpm    int // configured for every deployment; 0 is none

	openFor time.Duration // of breakers; 0 is 5 s, the default
}

// ask is what a client sends, and how it reads the response.
type ask struct {
	stream  bool
	path    string // "" is chat
	members string // of the JSON body, each followed by a comma
	size    int    // of the prompt, in bytes
	headers []string
	leave   time.Duration // when the client leaves; 0 is never
	stuck   bool          // the client does not read the response
}

// html is what a web application firewall or a proxy sends.
const html = "<!DOCTYPE html><html><head><title>Request blocked</title></head><body><h1>Request blocked</h1></body></html>"

// says refuses with a status and a code.
func says(status int, headers, code string) script {
	return func(x *exchange) bool { return x.refuse(status, headers, code) }
}

// page responds with HTML.
func page(status int) script {
	return func(x *exchange) bool { return x.respond(status, "", "text/html; charset=utf-8", html) }
}

// json responds with a body that claims to be JSON.
func json(body string) script {
	return func(x *exchange) bool { return x.respond(200, "", "application/json", body) }
}

// after waits before it answers.
func after(d time.Duration, s script) script {
	return func(x *exchange) bool {
		x.pause(d)
		return s(x)
	}
}

// onlyAt answers at deployment a; others complete.
func onlyAt(s script) script {
	return func(x *exchange) bool {
		if x.deployment != "a" {
			return healthy(x)
		}
		return s(x)
	}
}

func hang(x *exchange) bool  { return x.hang() }
func reset(x *exchange) bool { return x.reset() }
func hangUp(*exchange) bool  { return false }

// headersOnly sends the response's header and then nothing.
func headersOnly(x *exchange) bool {
	x.write(streamHead)
	return x.hang()
}

func hangsWithin(x *exchange) bool  { begun(x); return x.hang() }
func resetsWithin(x *exchange) bool { begun(x); return x.reset() }
func breaksWithin(x *exchange) bool { begun(x); return false }
func garbage(x *exchange) bool      { x.write("SSH-2.0-OpenSSH_9.6\r\n"); return false }
func manyHeaders(x *exchange) bool {
	return x.refuse(200, "X-A: "+strings.Repeat("a", 1<<20)+"\r\n", "none")
}

func notGzip(x *exchange) bool {
	return x.respond(200, "Content-Encoding: gzip\r\n", "application/json", whole)
}

func badEvent(x *exchange) bool {
	x.write(streamHead)
	x.chunk("data: {\"choices\":[{]}\n\n")
	return false
}
func neverEnds(x *exchange) bool  { return x.flood() }
func slowly(x *exchange) bool     { return complete(x, 3*time.Second, 3) }
func overUsage(x *exchange) bool  { return complete(x, 5*time.Millisecond, 999_999_999) }
func underUsage(x *exchange) bool { return complete(x, 5*time.Millisecond, -5) }
func errorWithin(x *exchange) bool {
	begun(x)
	x.chunk("data: {\"error\":{\"code\":\"500\",\"message\":\"The server had an error.\",\"type\":\"server_error\"}}\n\n")
	x.write("0\r\n\r\n")
	return true
}

// flood streams until the gateway does not take any more.
func (x *exchange) flood() bool {
	x.write(streamHead)
	text := strings.Repeat(event, 100)
	for x.chunk(text) {
		x.pause(time.Millisecond)
	}
	return false
}

// drips streams a token now and then, without end.
func drips(x *exchange) bool {
	x.write(streamHead)
	for x.chunk(event) {
		x.pause(20 * time.Millisecond)
	}
	return false
}

// socketKinds returns every kind. The first is harmless.
func socketKinds() []socketKind {
	const sdkTimeout = "X-Stainless-Timeout: 1"
	gone := 5 * time.Millisecond
	return []socketKind{
		{name: "harmless"},
		{name: "429 for its size, retry-after a day", script: says(429, "Retry-After: 86400\r\n", "429"), ask: ask{size: 160_000}},
		{name: "429 for its size, tpm configured", script: says(429, "Retry-After: 86400\r\n", "429"), ask: ask{size: 160_000}, tpm: 30_000},
		{name: "429 for service tier flex", script: says(429, "Retry-After: 30\r\n", "429"), ask: ask{members: `"service_tier":"flex",`}},
		{name: "429 for one prompt", script: says(429, "Retry-After: 60\r\n", "429")},
		{name: "429 in HTML", script: page(429)},

		{name: "401", script: says(401, "", "401")},
		{name: "401 at one deployment", script: onlyAt(says(401, "", "401"))},
		{name: "403 of a WAF in HTML", script: page(403)},
		{name: "404 model_not_found", script: says(404, "", "model_not_found"), ask: ask{members: `"tools":[{"type":"image_generation","model":"none"}],`}},
		{name: "404 DeploymentNotFound", script: says(404, "", "DeploymentNotFound")},
		{name: "404 for a path", script: says(404, "", "404"), ask: ask{path: "/openai/deployments/pool/rerank?api-version=2024-10-21"}},
		{name: "400", script: says(400, "", "context_length_exceeded")},
		{name: "400 for a stream", script: says(400, "", "unsupported_value"), ask: ask{stream: true}},
		{name: "400 OperationNotSupported", script: says(400, "", "OperationNotSupported")},
		{name: "409", script: says(409, "", "409")},
		{name: "422", script: says(422, "", "422")},
		{name: "302", script: func(x *exchange) bool { return x.respond(302, "Location: /login\r\n", "text/html", html) }},
		{name: "408", script: says(408, "", "Timeout")},

		{name: "500", script: says(500, "", "server_error")},
		{name: "500 at one deployment", script: onlyAt(says(500, "", "server_error"))},
		{name: "502 in HTML", script: page(502)},
		{name: "503, retry-after 60 s", script: says(503, "Retry-After: 60\r\n", "503")},
		{name: "reset before the response", script: reset},
		{name: "closed before the response", script: hangUp},
		{name: "not HTTP", script: garbage},
		{name: "header of 1 MiB", script: manyHeaders},

		{name: "200 in HTML", script: page(200)},
		{name: "200 and empty", script: json("")},
		{name: "200 and half of JSON", script: json(whole[:len(whole)/2])},
		{name: "200 and not gzip", script: notGzip},
		{name: "200 and an error", script: json(`{"error":{"code":"500","message":"The server had an error.","type":"server_error"}}`)},
		{name: "event cannot be read", script: badEvent, ask: ask{stream: true}},

		{name: "silence", script: hang},
		{name: "silence, stream", script: hang, ask: ask{stream: true}},
		{name: "silence at one deployment", script: onlyAt(hang)},
		{name: "silence after the header", script: headersOnly},
		{name: "silence within the response", script: hangsWithin},
		{name: "silence within the stream", script: hangsWithin, ask: ask{stream: true}},
		{name: "reset within the response", script: resetsWithin},
		{name: "reset within the stream", script: resetsWithin, ask: ask{stream: true}},
		{name: "response breaks off", script: breaksWithin},
		{name: "stream breaks off", script: breaksWithin, ask: ask{stream: true}},
		{name: "error within the stream", script: errorWithin, ask: ask{stream: true}},

		{name: "client timeout 1 s", script: slowly, ask: ask{headers: []string{sdkTimeout}, leave: time.Second}},
		{name: "client leaves at once", script: slowly, ask: ask{leave: gone}},
		{name: "client leaves a stream", script: hangsWithin, ask: ask{stream: true, leave: 100 * time.Millisecond}},
		{name: "slow reader", script: neverEnds, ask: ask{stream: true, stuck: true, leave: 1500 * time.Millisecond}},

		{name: "response exceeds the window", script: drips},
		{name: "response exceeds max_answer_bytes", script: neverEnds},
		{name: "max_tokens and n of 1e9", script: slowly, ask: ask{members: `"max_tokens":1000000000,"n":1000000000,`, leave: time.Second}, tpm: 10_000_000},
		{name: "prompt of 2 MB, 400 after 1 s", script: after(time.Second, says(400, "", "context_length_exceeded")), ask: ask{size: 2 << 20}, tpm: 100_000},
		{name: "usage of 999,999,999", script: overUsage, tpm: 10_000_000},
		{name: "usage below zero", script: underUsage, tpm: 10_000_000},
	}
}
