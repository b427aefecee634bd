package upstream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// TestLastError describes to operators why a deployment could not be reached, without its
// credential, as a warning once in a while.
func TestLastError(t *testing.T) {
	const key = "secret-key-of-the-deployment"
	certificate := func() tls.Certificate {
		server := httptest.NewUnstartedServer(nil)
		server.StartTLS()
		defer server.Close()
		return server.TLS.Certificates[0]
	}()
	serve := func(play func(net.Conn)) DialFunc {
		return func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				play(far)
			}()
			return near, nil
		}
	}
	fail := func(err error) DialFunc {
		return func(context.Context, string, string) (net.Conn, error) { return nil, err }
	}
	for _, tt := range []struct {
		name, endpoint string
		dial           DialFunc
		class          spillway.FailureClass
		text, hint     string
		warn           bool
	}{
		{
			"no such host", "http://nohost.test", fail(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "nohost.test", IsNotFound: true}}),
			spillway.FailureUnreachable, "lookup nohost.test: no such host", "cannot be resolved", true,
		},
		{
			"refused", "http://peer.test", fail(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}),
			spillway.FailureUnreachable, "connection refused", "nothing listens", true,
		},
		{
			"no route", "http://peer.test", fail(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH}),
			spillway.FailureUnreachable, "no route to host", "firewall", true,
		},
		{
			"certificate", "https://peer.test", serve(func(c net.Conn) {
				tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}}).Handshake()
			}),
			spillway.FailureUnreachable, "certificate", "certificate", true,
		},
		{
			"no TLS", "https://peer.test", serve(func(c net.Conn) {
				io.ReadAtLeast(c, make([]byte, 5), 5)
				go io.Copy(io.Discard, c)
				io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			}),
			spillway.FailureUnreachable, "TLS", "does not speak TLS", true,
		},
		{
			"our key in no HTTP", "http://peer.test", serve(func(c net.Conn) {
				http.ReadRequest(bufio.NewReader(c))
				io.WriteString(c, "key "+key+strings.Repeat("x", 10_000)+"\r\n\r\n")
			}),
			spillway.FailureBroken, "malformed HTTP", "", false,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, nil)
				var log bytes.Buffer
				p.settings.Logger = slog.New(slog.NewTextHandler(&log, nil))
				transports := NewTransports(tt.dial, nil)
				target, err := wire.ParseTarget(wire.Azure, tt.endpoint, "chat", "")
				if err != nil {
					t.Fatal(err)
				}
				d, err := transports.Deployment("east", &Config{Target: target, Credential: APIKey(key)}, nil)
				if err != nil {
					t.Fatal(err)
				}
				for range 3 {
					c, body := p.call("")
					a := c.Start(Send{Number: 1, Deployment: d, Body: body})
					if ev := next(c); ev.Kind != spillway.EventFailed || ev.Class != tt.class {
						t.Errorf("kind %v, class %v; want class %v", ev.Kind, ev.Class, tt.class)
					}
					p.finish(c, a)
					time.Sleep(warnEvery / 2) // the third is due again
				}
				got := d.LastError()
				if !strings.Contains(got.Text, tt.text) || !strings.Contains(got.Hint, tt.hint) || len(got.Text) > maxErrorText+3 {
					t.Errorf("text %q, hint %q; want %q, %q", got.Text, got.Hint, tt.text, tt.hint)
				}
				if strings.Contains(got.Text+log.String(), key) {
					t.Errorf("the key is in %q, or in %s", got.Text, log.String())
				}
				want := 0
				if tt.warn {
					want = 2
				}
				if n := strings.Count(log.String(), "level=WARN"); n != want {
					t.Errorf("%d warnings, want %d:\n%s", n, want, log.String())
				}
				transports.CloseIdle(nil)
			})
		})
	}
}

// TestLastErrorCanceled keeps no error of an attempt that was ended on purpose.
func TestLastErrorCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, nil)
		transports := NewTransports(func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, errors.New("ended")
		}, nil)
		d := p.deployment(transports, nil)
		c, body := p.call("")
		a := c.Start(Send{Number: 1, Deployment: d, Body: body})
		synctest.Wait()
		a.Cancel()
		next(c)
		if got := d.LastError(); got != (ErrorText{}) {
			t.Errorf("last error %+v", got)
		}
		p.finish(c, a)
		time.Sleep(time.Minute) // the dial ends
	})
}
