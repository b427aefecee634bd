package gateway

import (
	"compress/gzip"
	"errors"
	"io"
	"strings"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// errNotGzip says that a body is not what its Content-Encoding announces.
var errNotGzip = errors.New("request body is not valid gzip")

// decodeBody makes reads of a compressed body return its plain bytes, so that the limits
// on bodies apply to those. Another encoding is refused where the body has to be read,
// and left to the deployment elsewhere.
func (f *flight) decodeBody() *wire.Error {
	encodings := f.r.Header["Content-Encoding"]
	if len(encodings) == 0 { // the usual case
		return nil
	}
	switch encoding := strings.ToLower(strings.TrimSpace(strings.Join(encodings, ","))); encoding {
	case "gzip", "x-gzip":
		f.r.Body, f.r.ContentLength = &gzipBody{ReadCloser: f.r.Body}, -1
	case "", "identity":
	default:
		if f.call.Path.API == spillway.APIOther {
			return nil
		}
		f.out.Header()["Accept-Encoding"] = []string{"gzip"}
		return new(wire.UnsupportedEncoding(encoding))
	}
	delete(f.r.Header, "Content-Encoding")
	return nil
}

// gzipBody is a compressed request body. Its Read returns errNotGzip for what is no
// gzip, and the error of the connection as it is.
type gzipBody struct {
	io.ReadCloser // compressed
	plain         *gzip.Reader
	sourceError   error // of the connection; io.EOF once the compressed body has ended
}

// Read returns plain bytes.
func (b *gzipBody) Read(p []byte) (n int, err error) {
	if b.plain == nil {
		b.plain, err = gzip.NewReader(gzipSource{b}) // not earlier: it reads
	}
	if err == nil {
		n, err = b.plain.Read(p)
	}
	switch {
	case err == nil, err == io.EOF && b.plain != nil:
		return n, err
	case b.sourceError != nil && b.sourceError != io.EOF:
		return n, b.sourceError
	}
	return n, errNotGzip
}

// gzipSource reads the compressed bytes of a body.
type gzipSource struct{ body *gzipBody }

func (s gzipSource) Read(p []byte) (int, error) {
	n, err := s.body.ReadCloser.Read(p)
	if err != nil {
		s.body.sourceError = err
	}
	return n, err
}
