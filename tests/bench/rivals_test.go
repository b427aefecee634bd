package bench

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// The roles that this binary plays as a child.
const (
	roleProxy  = "reverseproxy" // what the gateway is held against
	roleSlowed = "slowedproxy"  // the same with a handicap, to see what a load makes of that
	rolePooled = "pooledproxy"  // the same with a buffer pool, for comparison
	rolePump   = "pump"         // the least that net/http needs to forward a stream
	roleReader = "reader"       // reads streams and throws them away
)

// runChild plays a role until it is told to end, and returns the exit status.
func runChild(role string) int {
	if err := play(role); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return 0
}

func play(role string) error {
	addr, end, err := startRolePlay(role)
	if err != nil {
		return err
	}
	profiles, err := startProfiles(role)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, heapSignal)
	fmt.Println(addr)
	for sig := range signals {
		if sig == syscall.SIGTERM {
			break
		}
		if err := profiles.heap(); err != nil {
			return err
		}
	}
	return errors.Join(profiles.stop(), end())
}

// startRolePlay starts what plays the role. It returns where that listens, and
// its end.
func startRolePlay(role string) (addr string, end func() error, err error) {
	base, err := url.Parse(os.Getenv(envUpstream))
	if err != nil {
		return "", nil, err
	}
	transport, err := newTransport(os.Getenv(envCA))
	if err != nil {
		return "", nil, err
	}
	var handler http.Handler
	switch role {
	case roleSpillway:
		return startInProcess()
	case roleProxy:
		handler = newReverseProxy(base, transport, nil)
	case roleSlowed:
		proxy := newReverseProxy(base, transport, nil)
		proxy.ModifyResponse = func(r *http.Response) error {
			r.Body = slowed{r.Body}
			return nil
		}
		handler = proxy
	case rolePooled:
		handler = newReverseProxy(base, transport, make(bufferPool, 64))
	case rolePump:
		transport.ReadBufferSize, transport.WriteBufferSize = pumpBytes, pumpBytes
		handler = &pump{base: *base, transport: transport}
	case roleReader:
		handler = &reader{base: *base, transport: transport}
	default:
		return "", nil, fmt.Errorf("unknown role %q", role)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: handler, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 1000}
	go server.Serve(ln)
	return ln.Addr().String(), ln.Close, nil
}

// newTransport returns a transport with the gateway's settings where they
// matter: it keeps every connection, leaves bodies as they are, and speaks
// HTTP/2 with deployments of TLS. It trusts the authority in caFile.
func newTransport(caFile string) (*http.Transport, error) {
	t := &http.Transport{MaxIdleConnsPerHost: 100_000, DisableCompression: true, ForceAttemptHTTP2: true}
	if caFile == "" {
		return t, nil
	}
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no PEM certificate", caFile)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: authorities}
	return t, nil
}

// newReverseProxy returns the least that proxies: everything goes to base. Of
// itself it flushes each chunk of an event stream, as if FlushInterval were -1,
// and nothing else.
func newReverseProxy(base *url.URL, transport *http.Transport, pool httputil.BufferPool) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(base) },
		Transport:  transport,
		BufferPool: pool,
	}
}

// handicap is the CPU time that each read of an answer costs in addition,
// through a slowed proxy.
const handicap = 4 * time.Microsecond

// slowed is the body of an answer with that handicap.
type slowed struct{ io.ReadCloser }

// Read reads, and then wastes time.
func (s slowed) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	for since := time.Now(); time.Since(since) < handicap; {
	}
	return n, err
}

// bufferPool implements httputil.BufferPool.
type bufferPool chan []byte

// Get returns a buffer.
func (p bufferPool) Get() []byte {
	select {
	case b := <-p:
		return b
	default:
		return make([]byte, 32<<10)
	}
}

// Put gives one back.
func (p bufferPool) Put(b []byte) {
	select {
	case p <- b:
	default:
	}
}

// reader asks its deployment what it was asked, reads the answer line by line,
// and tells its client only that it has ended. What the gateway spends beyond
// that is the price of taking the stream apart.
type reader struct {
	base      url.URL
	transport *http.Transport
}

// ServeHTTP serves one request.
func (d *reader) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = d.base.Scheme, d.base.Host, ""
	resp, err := d.transport.RoundTrip(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for err == nil {
		_, err = lines.ReadSlice('\n')
	}
	if err != io.EOF {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, "{}")
}

// pump forwards streams with buffers as small as the gateway's, and nothing
// else: what it holds per stream is what net/http needs for two HTTP/1.1
// connections and their headers.
type pump struct {
	base      url.URL
	transport *http.Transport
}

// pumpBytes is the size of each of a pump's buffers.
const pumpBytes = 2 << 10

// ServeHTTP serves one request.
func (p *pump) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = p.base.Scheme, p.base.Host, ""
	resp, err := p.transport.RoundTrip(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	maps.Copy(w.Header(), resp.Header)
	control := http.NewResponseController(w)
	buf := make([]byte, pumpBytes)
	for err == nil {
		var n int
		n, err = resp.Body.Read(buf)
		w.Write(buf[:n])
		control.Flush()
	}
}
