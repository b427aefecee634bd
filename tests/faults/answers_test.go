//go:build linux

package faults

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Bytes of deployments, written by hand.

// response is a whole response with a length. header lines end in \r\n.
func response(status int, header, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d Status\r\n%sContent-Length: %d\r\n\r\n%s", status, header, len(body), body)
}

const (
	jsonType = "Content-Type: application/json\r\n"
	htmlType = "Content-Type: text/html\r\n"
	// streamHead begins a stream in chunks, endHead one that ends with its
	// connection.
	streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	endHead    = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
	lastChunk  = "0\r\n\r\n"
	done       = "data: [DONE]\n\n"
)

// chunk is one chunk of a chunked body.
func chunk(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }

// delta is an event with one piece of text; quoted must be the inside of a JSON
// string.
func delta(quoted string) string {
	return `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"` +
		quoted + `"},"finish_reason":null}]}` + "\n\n"
}

// finish is the event that ends a choice.
func finish(reason string) string {
	return `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"` +
		reason + `"}]}` + "\n\n"
}

// usage is the event with the usage; counts are JSON values.
func usage(prompt, completion string) string {
	return `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":` +
		prompt + `,"completion_tokens":` + completion + `,"total_tokens":` + completion + "}}\n\n"
}

// whole is a chat completion; text must be the inside of a JSON string.
func whole(text, reason, completion string) string {
	return `{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"` +
		text + `"},"finish_reason":"` + reason + `"}],"usage":{"prompt_tokens":7,"completion_tokens":` + completion + `,"total_tokens":` + completion + `}}`
}

// words are n distinct words.
func words(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("word%d ", i)
	}
	return list
}

// fields are the members of a request's body that scripts look at.
type fields struct {
	Model         string
	Stream        bool
	MaxTokens     *int64 `json:"max_tokens"`
	N             *int64
	StreamOptions *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Messages []struct{ Content string }
}

// read decodes the body of a request; what is not JSON gives the zero fields.
func (r *askSeen) read() fields {
	var f fields
	if json.Unmarshal([]byte(r.body), &f) != nil {
		return fields{}
	}
	return f
}

// mark is what tells requests apart: the first word of the last message.
func (r *askSeen) mark() string {
	f := r.read()
	if len(f.Messages) == 0 {
		return ""
	}
	mark, _, _ := strings.Cut(f.Messages[len(f.Messages)-1].Content, " ")
	return mark
}

// answers is a good deployment: n words, one every interval, as a stream or
// not.
func answers(n int, every time.Duration) func(*askSeen) script {
	return after(0, n, every)
}

// good is a fast deployment that answers three words.
func good() func(*askSeen) script { return answers(3, 0) }

// after is a good deployment whose first token takes a while.
func after(wait time.Duration, n int, every time.Duration) func(*askSeen) script {
	list := words(n)
	return func(r *askSeen) script {
		f := r.read()
		if !f.Stream {
			text := strings.Join(list, "")
			return script{
				pause(wait + time.Duration(n)*every),
				send(response(200, jsonType, whole(text, "stop", fmt.Sprint(n)))),
			}
		}
		pieces := make([]string, n)
		for i, word := range list {
			pieces[i] = chunk(delta(word))
		}
		if every == 0 {
			pieces = []string{strings.Join(pieces, "")}
		}
		end := chunk(finish("stop"))
		if f.StreamOptions != nil && f.StreamOptions.IncludeUsage {
			end += chunk(usage("7", fmt.Sprint(n)))
		}
		return script{pause(wait), send(streamHead), trickle(every, pieces...), send(end + chunk(done) + lastChunk)}
	}
}

// fails is a deployment that answers every request with an error.
func fails(status int, header, body string) func(*askSeen) script {
	return always(send(response(status, header, body)))
}

// errorBody is an error in the service's shape.
func errorBody(code, message string) string {
	return fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`, code, message)
}

// unavailable is a 503 as the service words it.
func unavailable() func(*askSeen) script {
	return fails(503, jsonType, errorBody("503", "The service is temporarily unable to process your request."))
}

// throttled is a 429 with these header lines.
func throttled(header string) func(*askSeen) script {
	return fails(429, jsonType+header, errorBody("429", "Rate limit is exceeded."))
}

// timedOut is the 408 of the service.
func timedOut() func(*askSeen) script {
	return fails(408, jsonType, errorBody("Timeout", "The operation was timeout."))
}

// silent reads each request and never answers.
func silent() func(*askSeen) script { return always(stall()) }
