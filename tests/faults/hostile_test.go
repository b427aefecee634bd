//go:build linux

package faults

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// forever sends the first text, and then the second until the gateway ends the connection.
func forever(first, more string) func(*askSeen) script {
	endless := func(c *peerConn) error {
		for {
			if err := send(more)(c); err != nil {
				return err
			}
		}
	}
	return always(send(first), endless)
}

// TestHostileDeployments has the only deployment send what HTTP does not allow, or without
// end. The client gets an error of ours and nothing of the response, or the part that is
// valid; and the next request is served.
func TestHostileDeployments(t *testing.T) {
	const jsonHead = "HTTP/1.1 200 OK\r\n" + jsonType
	body := whole("poison", "stop", "1")
	chunked := jsonHead + "Transfer-Encoding: chunked\r\n\r\n"
	length := func(n int, more, text string) func(*askSeen) script {
		return always(send(fmt.Sprintf("%s%sContent-Length: %d\r\n\r\n%s", jsonHead, more, n, text)), hangUp())
	}
	tests := map[string]func(*askSeen) script{
		"endless 100":                 forever("", "HTTP/1.1 100 Continue\r\n\r\n"),
		"endless 103":                 forever("", "HTTP/1.1 103 Early Hints\r\nLink: </poison>\r\n\r\n"),
		"101 that nobody asked for":   always(send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: poison\r\n\r\npoison"), hangUp()),
		"endless header":              forever(jsonHead+"X-A: ", strings.Repeat("y", 1<<16)),
		"endless chunk extension":     forever(chunked+"5;a=", strings.Repeat("y", 1<<16)),
		"chunk extensions":            forever(chunked, "1;"+strings.Repeat("y", 3000)+"\r\n \r\n"),
		"endless blanks":              forever(chunked, chunk(strings.Repeat(" ", 1<<16))),
		"two lengths":                 length(5, "Content-Length: 6\r\n", body),
		"a length too short":          length(len(body)-40, "", body),
		"a length too long":           length(len(body)+40, "", body),
		"a negative length":           length(-5, "", body),
		"an encoding that is unknown": always(send(jsonHead+"Transfer-Encoding: gzip, chunked\r\n\r\n"+chunk(body)+lastChunk), hangUp()),
		"JSON that ends early":        always(send(chunked + chunk(body[:len(body)-40]) + lastChunk)),
		"JSON that ends in its text":  always(send(chunked + chunk(body[:strings.Index(body, "poison")+4]) + lastChunk)),
		"the end within a chunk":      always(send(chunked+"fff\r\n"+body), hangUp()),
		"a reset in a header":         always(send(jsonHead+"X-A: "), reset()),
		"status 99":                   always(send("HTTP/1.1 99 X\r\nContent-Length: 0\r\n\r\n"), hangUp()),
		"status 1000":                 always(send("HTTP/1.1 1000 X\r\nContent-Length: 0\r\n\r\n"), hangUp()),
		"no HTTP":                     always(send(body), hangUp()),
		"CR in a header":              length(len(body), "X-A: a\rSet-Cookie: poison\r\n", body),
		"NUL in a header":             length(len(body), "X-A: poison\x00b\r\n", body),
		"no name":                     length(len(body), ": poison\r\n", body),
		"a redirect":                  always(send("HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/poison\r\nContent-Length: 0\r\n\r\n")),
	}
	for name, play := range tests {
		for _, stream := range []bool{false, true} {
			if stream && name == "endless blanks" {
				continue // relayed for as long as the client reads: a stream has no deadline
			}
			t.Run(fmt.Sprintf("%s/stream=%t", name, stream), func(t *testing.T) {
				t.Parallel()
				w := &world{t: t}
				defer w.end()
				a := w.peer(play)
				w.lanes(setup{server: "max_answer_bytes: 4MiB"}, a)
				r := w.do(ask{stream: stream})
				if r.err != nil || r.status != 502 || r.code() == "" || strings.Contains(fmt.Sprint(r.header, r.body), "poison") {
					t.Errorf("the client got %s", r)
				}
				a.plays(good())
				eventually(t, patience, "the next request is served", func() bool { return w.do(ask{stream: stream}).ok() })
				if text := w.gateway.out.text(); strings.Contains(text, "poison") {
					t.Errorf("the log has content of a response:\n%s", text)
				}
			})
		}
	}
}

// TestUnaskedResponse has a deployment send a second response that nobody asked for: no
// client gets it, and the log does not quote it.
func TestUnaskedResponse(t *testing.T) {
	w := &world{t: t}
	defer w.end()
	first, second := whole("hello", "stop", "1"), whole("poison", "stop", "1")
	a := w.peer(always(send(answer("200", first) + answer("200", second))))
	w.lanes(setup{}, a)
	for range 20 {
		if r := w.do(ask{}); !r.ok() || !strings.Contains(r.body, "hello") || strings.Contains(r.body, "poison") {
			t.Fatalf("the client got %s", r)
		}
	}
	eventually(t, patience, "the log mentions it", func() bool {
		return strings.Contains(w.gateway.out.text(), "Unsolicited response")
	})
	if text := w.gateway.out.text(); strings.Contains(text, "poison") {
		t.Errorf("the log has content of a response:\n%s", text)
	}
}

// TestHostileRequests sends requests that other servers read in other ways. Each is
// refused, or what is forwarded has nothing of the trick.
func TestHostileRequests(t *testing.T) {
	w := &world{t: t}
	defer w.end()
	a := w.peer(good())
	w.lanes(setup{}, a)
	const body = `{"model":"m","messages":[{"role":"user","content":"hi"}]}`
	request := func(line, more, body string) string {
		return line + "\r\nHost: gateway\r\napi-key: " + key("alice") + "\r\nConnection: close\r\n" + more + "\r\n" + body
	}
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	const te, post = "Transfer-Encoding: chunked\r\n", "POST /v1/chat/completions HTTP/1.1"
	chunks := chunk(body) + "0\r\n"
	for name, tt := range map[string]struct {
		text   string
		status []int
	}{
		"chunk extension":         {request(post, te, strings.Replace(chunks, "\r\n", ";a=b;c=\"d\"\r\n", 1)+"\r\n"), []int{200}},
		"long chunk extension":    {request(post, te, strings.Replace(chunks, "\r\n", ";"+strings.Repeat("x", 1<<16)+"\r\n", 1)+"\r\n"), []int{400}},
		"chunk of +":              {request(post, te, "+"+chunks+"\r\n"), []int{400}},
		"chunk of 0x":             {request(post, te, "0x"+chunks+"\r\n"), []int{400}},
		"trailers":                {request(post, te, chunks+"Host: evil\r\nContent-Length: 5\r\nX-Original-Url: /evil\r\nX-Evil: evil\r\n\r\n"), []int{200}},
		"long trailers":           {request(post, te, chunks+strings.Repeat("X-Evil: "+strings.Repeat("y", 1000)+"\r\n", 2000)+"\r\n"), []int{400, 431}},
		"absolute form":           {request("POST http://evil.example/v1/chat/completions HTTP/1.1", length, body), []int{200}},
		"absolute form, bad":      {request("POST http://evil.example/evil HTTP/1.1", length, body), []int{404}},
		"authority form":          {request("CONNECT evil.example:80 HTTP/1.1", length, body), []int{405}},
		"asterisk form":           {request("OPTIONS * HTTP/1.1", length, body), []int{405}},
		"no form":                 {request("POST evil.example:80 HTTP/1.1", length, body), []int{400, 404}},
		"dots":                    {request("POST /v1/evil/../chat/completions HTTP/1.1", length, body), []int{404}},
		"escaped dots":            {request("POST /v1/evil/%2e%2e/chat/completions HTTP/1.1", length, body), []int{404}},
		"escaped slash":           {request("POST /v1/chat%2fcompletions HTTP/1.1", length, body), []int{404}},
		"escaped twice":           {request("POST /v1/chat%252fcompletions HTTP/1.1", length, body), []int{404}},
		"backslash":               {request(`POST /v1\chat\completions HTTP/1.1`, length, body), []int{400, 404}},
		"escaped NUL":             {request("POST /v1/files/a%00b HTTP/1.1", length, body), []int{404}},
		"NUL":                     {request("POST /v1/files/a\x00b HTTP/1.1", length, body), []int{400}},
		"parameter of a segment":  {request("POST /v1/chat/completions;evil=1 HTTP/1.1", length, body), []int{404}},
		"line break in the query": {request("POST /v1/chat/completions?a=%0d%0aX-Evil:evil HTTP/1.1", length, body), []int{200}},
		"URL of 1 MiB":            {request("POST /v1/chat/completions?evil="+strings.Repeat("x", 1<<20)+" HTTP/1.1", length, body), []int{414, 431}},
		"HTTP/1.0":                {request("POST /v1/chat/completions HTTP/1.0", length, body), []int{200}},
		"HTTP/1.0 in chunks":      {request("POST /v1/chat/completions HTTP/1.0", te, chunks+"\r\n"), []int{400}},
		"HTTP/2.0 as text":        {request("POST /v1/chat/completions HTTP/2.0", length, body), []int{400, 505}},
		"another expectation":     {request(post, length+"Expect: evil\r\n", body), []int{417}},
		"h2c upgrade":             {request(post, length+"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: evil\r\n", body), []int{200}},
		"WebSocket": {request("GET /openai/v1/realtime?model=m HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Key: evil\r\nSec-WebSocket-Version: 13\r\n", ""), []int{501}},
		"names with underscores": {request(post, length+"X_Original_Url: /evil\r\nX_Forwarded_For: evil\r\nApi_Key: evil\r\nTransfer_Encoding: evil\r\n", body), []int{200}},
		"names with dots":        {request(post, length+"X.Original.Url: /evil\r\n", body), []int{200}},
		"other clients":          {request(post, length+"Via: evil\r\nX-Real-IP: evil\r\nX-Azure-FDID: evil\r\nProxy: evil\r\n", body), []int{200}},
		"named by Connection":    {request(post, length+"Connection: x-evil, content-type\r\nX-Evil: evil\r\n", body), []int{200}},
	} {
		n := a.count()
		r := w.raw(tt.text)
		if !slices.Contains(tt.status, r.status) {
			t.Errorf("%s: %s, want %v", name, r, tt.status)
		}
		for _, seen := range a.seen()[n:] {
			evil := fmt.Sprint(seen.header, seen.target, seen.body)
			if name == "line break in the query" {
				evil = fmt.Sprint(seen.header, seen.body)
			}
			if strings.Contains(evil, "evil") || len(seen.header["content-length"]) != 1 || seen.header["transfer-encoding"] != nil {
				t.Errorf("%s: the deployment got %s %v %q", name, seen.target, seen.header, seen.body)
			}
		}
		if forwarded := a.count() - n; forwarded != map[bool]int{true: 1, false: 0}[r.status == 200] {
			t.Errorf("%s: status %d, %d upstream requests", name, r.status, forwarded)
		}
	}
}
