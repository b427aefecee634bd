package upstream

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

const (
	headerEncoding = "Content-Encoding"
	// maxRatio bounds how many times as large as its encoded form a response may be,
	// beyond the first freeBytes: text compresses to a tenth, a stream of
	// equal events to a fiftieth.
	maxRatio  = 200
	freeBytes = 1 << 20
	// maxEncodings bounds the encodings of one response.
	maxEncodings = 3
	// maxWindow bounds the memory that a decoder of zstd takes.
	maxWindow = 8 << 20
)

// identity is the encoding that deployments are asked for.
var identity = []string{"identity"} // constant

var (
	errRatio     = errors.New("response is compressed beyond the size limit")
	errEncodings = errors.New("response has too many encodings")
)

// decode makes the body of a response that is encoded readable, although identity was
// asked for: proxies compress all the same. A response that is relayed stays
// encoded where the client accepts that.
func (a *Attempt) decode(resp *http.Response) {
	a.decoded = nil
	codings := listed(resp.Header[headerEncoding])
	if len(codings) == 0 || a.call.Method == http.MethodHead {
		return
	}
	if a.form == Relayed {
		ok := resp.StatusCode == http.StatusOK && !accepted(a.call.Header, codings)
		if !decodable(codings) || !ok && resp.StatusCode < http.StatusBadRequest {
			return // part of an encoded body cannot be decoded
		}
	}
	a.decoded = &decodedBody{body: resp.Body, codings: codings}
	resp.Body, resp.ContentLength = a.decoded, -1
	delete(resp.Header, headerEncoding)
	delete(resp.Header, "Content-Length")
}

// decodable reports whether all of the encodings are known.
func decodable(codings []string) bool {
	for _, coding := range codings {
		switch coding {
		case "gzip", "x-gzip", "zstd", "deflate", "br":
		default:
			return false
		}
	}
	return true
}

// listed returns the elements of a header that is a list of encodings, in lower case,
// without identity.
func listed(lines []string) (all []string) {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if element = strings.ToLower(strings.TrimSpace(element)); element != "" && element != identity[0] {
				all = append(all, element)
			}
		}
	}
	return all
}

// accepted reports whether a client has asked for all of the encodings. One that says
// nothing is taken to decode none.
func accepted(client http.Header, codings []string) bool {
	wanted := map[string]bool{}
	for _, element := range listed(client["Accept-Encoding"]) {
		name, params, _ := strings.Cut(element, ";")
		quality, found := strings.CutPrefix(strings.TrimSpace(params), "q=")
		q, err := strconv.ParseFloat(quality, 64)
		wanted[strings.TrimSpace(name)] = !found || err == nil && q > 0
	}
	for _, coding := range codings {
		wants, named := wanted[coding]
		if !named {
			wants = wanted["*"]
		}
		if !wants {
			return false
		}
	}
	return true
}

// decodedBody is the body of a response without its encodings.
type decodedBody struct {
	body    io.ReadCloser
	codings []string // in the order in which they were applied
	decoder io.Reader
	closers []func()
	read    int64 // bytes of body
	out     int64 // bytes that came out
	failed  error // why the body cannot be decoded
}

// Read decodes more of the body. It returns as much as is there, so that a stream goes
// on as it comes.
func (d *decodedBody) Read(p []byte) (n int, err error) {
	if d.failed != nil {
		return 0, d.failed
	}
	if d.decoder == nil {
		err = d.open()
	}
	if err == nil {
		n, err = d.decoder.Read(p)
	}
	if d.out += int64(n); err == nil && d.out > freeBytes && d.out/maxRatio > d.read {
		err = errRatio
	}
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
	case !errors.As(err, new(*bodyError)):
		d.failed = err
	}
	return n, err
}

// open makes the decoders.
func (d *decodedBody) open() error {
	if len(d.codings) > maxEncodings {
		return errEncodings
	}
	d.decoder = (*countedBody)(d)
	for k := len(d.codings) - 1; k >= 0; k-- {
		next, err := d.decoderOf(d.codings[k], bufio.NewReader(d.decoder))
		if err != nil {
			d.decoder = nil
			return err
		}
		d.decoder = next
	}
	return nil
}

// The bytes that encoded data begins with.
var (
	gzipMagic = []byte{0x1f, 0x8b}             // constant
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd} // constant
)

// decoderOf returns the decoder of one encoding; for an unknown one, the data as it is.
// Data that is declared to be encoded and is not, as proxies leave the header behind, is
// returned as it is too.
func (d *decodedBody) decoderOf(coding string, in *bufio.Reader) (io.Reader, error) {
	switch coding {
	case "gzip", "x-gzip":
		if plain(in, gzipMagic) {
			return in, nil
		}
		return gzip.NewReader(in)
	case "zstd":
		if plain(in, zstdMagic) {
			return in, nil
		}
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		d.closers = append(d.closers, z.Close)
		return z, nil
	case "deflate":
		// The name means the format of zlib. Some servers send its content alone.
		if head, _ := in.Peek(2); len(head) == 2 && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
			return zlib.NewReader(in)
		}
		return flate.NewReader(in), nil
	case "br":
		return brotli.NewReader(in), nil
	}
	return in, nil // a name that means none, such as utf-8, or else no response is found
}

// plain reports whether data does not begin as encoded data does, but as a response.
func plain(in *bufio.Reader, magic []byte) bool {
	head, _ := in.Peek(len(magic))
	if bytes.Equal(head, magic) {
		return false
	}
	found := judge(head)
	return found == contentJSON || found == contentEvents || found == contentOpen && len(head) > 0
}

// Close closes the body.
func (d *decodedBody) Close() error {
	for _, closer := range d.closers {
		closer()
	}
	d.closers = nil
	return d.body.Close()
}

// countedBody is the encoded body of a decodedBody.
type countedBody decodedBody

// Read counts what it reads, and marks what ended the body early.
func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	c.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &bodyError{err}
	}
	return n, err
}

// bodyError is an error of the connection, not of what it carries.
type bodyError struct{ error }

// Unwrap returns the connection's error.
func (e *bodyError) Unwrap() error { return e.error }
