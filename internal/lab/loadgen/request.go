package loadgen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// endpoint is where the calls of one model go. It is immutable.
type endpoint struct {
	model string
	url   *url.URL
	// head is the body up to the text of the message.
	head []byte
}

// newEndpoint returns where calls for the model go.
func newEndpoint(o *Options, model string) (*endpoint, error) {
	target, err := wire.ParseTarget(o.Style, o.Endpoint, model, o.APIVersion)
	if err != nil {
		return nil, err
	}
	path, query := target.URL(wire.Path{Family: o.Style, API: spillway.APIChat, Deployment: model, Operation: "chat/completions"}, "")
	u, err := url.Parse(target.Base + path)
	if err != nil {
		return nil, fmt.Errorf("endpoint of %q: %w", model, err)
	}
	u.RawQuery = query
	name, err := json.Marshal(model)
	if err != nil {
		return nil, fmt.Errorf("model %q: %w", model, err)
	}
	head := append([]byte(`{"model":`), name...)
	return &endpoint{model: model, url: u, head: append(head, `,"messages":[{"role":"user","content":"`...)}, nil
}

// streams reports whether the call asks for a stream.
func (o *Options) streams(c *workload.Call) bool {
	return o.Stream == StreamAlways || o.Stream == StreamAsCall && c.Stream
}

// limit is the output limit that the call's client sets; 0 is none.
func (o *Options) limit(c *workload.Call) int {
	if c.MaxTokens == 0 && o.CapOutput {
		return c.OutputTokens
	}
	return c.MaxTokens
}

// key is what the call's client authenticates with.
func (o *Options) key(c *workload.Call) string {
	for _, name := range [...]string{c.Client, c.Class} {
		if key, ok := o.Keys[name]; ok && name != "" {
			return key
		}
	}
	return o.Key
}

// body returns the request of the call. It is never used again: the transport
// may read it until after the response.
func (r *Runner) body(to *endpoint, c *workload.Call, unique uint64) []byte {
	const rest = 256 // bytes for the request for a length and the fields after the prompt
	dst := make([]byte, 0, len(to.head)+bytesPerToken*max(c.PromptTokens, 1)+rest)
	dst = append(dst, to.head...)
	dst = r.filler.appendPrompt(dst, c, unique)
	dst = append(dst, `"}]`...)
	if r.opt.streams(c) {
		dst = append(dst, `,"stream":true,"stream_options":{"include_usage":true}`...)
	}
	if limit := r.opt.limit(c); limit > 0 {
		dst = append(dst, `,"`...)
		dst = append(dst, r.opt.TokenField...)
		dst = append(dst, `":`...)
		dst = strconv.AppendInt(dst, int64(limit), 10)
	}
	return append(dst, '}')
}

// header returns the headers of the call, as an SDK would send them.
func (r *Runner) header(c *workload.Call, retry int) http.Header {
	h := http.Header{
		wire.HeaderContentType:   {"application/json"},
		"User-Agent":             {"spillway-load"},
		wire.HeaderSDKRetryCount: {strconv.Itoa(retry)},
		wire.HeaderSDKTimeout:    {r.sdkTimeout},
	}
	if key := r.opt.key(c); key != "" {
		if r.opt.Style == wire.OpenAI {
			key = "Bearer " + key
		}
		h[r.opt.authHeader()] = []string{key}
	}
	if c.Client != "" {
		h[wire.HeaderTenant] = []string{c.Client}
	}
	maps.Copy(h, r.opt.Header) // the slices are shared: nothing changes them
	return h
}

// request makes the HTTP request of one attempt. Its body
// is of a kind that the transport knows to be in memory: then head and body
// leave in one write.
func (x *exchange) request(body []byte, retry int) *http.Request {
	again := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req := *x.base
	req.URL, req.Host, req.Header = x.to.url, x.to.url.Host, x.run.header(&x.call, retry)
	req.Body, req.GetBody, req.ContentLength = io.NopCloser(bytes.NewReader(body)), again, int64(len(body))
	return &req
}
