package gateway

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	spillway "github.com/spillway-ai/spillway"
)

// encoder is a writer that compresses.
type encoder interface {
	io.WriteCloser
	Flush() error
}

// encoders are those that responses may come in, by the name of their encoding.
func encoders() map[string]func(io.Writer) encoder {
	return map[string]func(io.Writer) encoder{
		"gzip":    func(w io.Writer) encoder { return gzip.NewWriter(w) },
		"X-GZIP":  func(w io.Writer) encoder { return gzip.NewWriter(w) },
		"deflate": func(w io.Writer) encoder { return zlib.NewWriter(w) },
		"Deflate": func(w io.Writer) encoder { // its other meaning
			raw, _ := flate.NewWriter(w, 5)
			return raw
		},
		"br": func(w io.Writer) encoder { return brotli.NewWriter(w) },
		"zstd": func(w io.Writer) encoder {
			z, _ := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
			return z
		},
		"gzip, identity, br": func(w io.Writer) encoder {
			outer := brotli.NewWriter(w)
			return twice{gzip.NewWriter(outer), outer}
		},
	}
}

// twice is an encoder whose output is encoded again.
type twice struct{ encoder, outer encoder }

func (e twice) Write(p []byte) (int, error) { return e.encoder.Write(p) }

func (e twice) Flush() error {
	_ = e.encoder.Flush()
	return e.outer.Flush()
}

func (e twice) Close() error {
	_ = e.encoder.Close()
	return e.outer.Close()
}

func encode(newEncoder func(io.Writer) encoder, text string) string {
	var b bytes.Buffer
	e := newEncoder(&b)
	io.WriteString(e, text)
	e.Close()
	return b.String()
}

// TestEncodedResponse has a deployment encode what identity was asked for.
func TestEncodedResponse(t *testing.T) {
	const problem = `{"error":{"code":"bad","message":"no such thing"}}`
	for name, newEncoder := range encoders() {
		for form, tt := range map[string]struct {
			more, kind, body string
			status           int
		}{
			"streamed":           {`,"stream":true`, "text/event-stream", firstEvent + finalEvent + doneEvent, 200},
			"assembled":          {``, "text/event-stream", firstEvent + finalEvent + doneEvent, 200},
			"whole":              {``, "application/json", wholeChat, 200},
			"error":              {``, "application/json", problem, 400},
			"error for a stream": {`,"stream":true`, "application/json", problem, 400},
		} {
			t.Run(name+" "+form, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var asked string
					w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
						asked = r.Header.Get("Accept-Encoding")
						rw.Header().Set("Content-Encoding", name)
						rw.Header().Set("Content-Type", tt.kind)
						rw.WriteHeader(tt.status)
						io.WriteString(rw, encode(newEncoder, tt.body))
					}, nil)
					got := w.post(chat("5", tt.more), "Accept-Encoding", "gzip, br")
					w.want(got, tt.status)
					if form == "assembled" {
						if c := w.completion(got.body); c.Choices[0].Message.Content != "ab" {
							t.Errorf("body %s", got.body)
						}
					} else if got.body != tt.body {
						t.Errorf("body %q", got.body)
					}
					if asked != "identity" || got.header.Get("Content-Encoding") != "" {
						t.Errorf("asked for %q, got %v", asked, got.header)
					}
					if rec := w.record(); tt.status == 200 && (rec.Outcome != spillway.OutcomeOK || rec.Finish != spillway.FinishStop) {
						t.Errorf("outcome %v, finish %v", rec.Outcome, rec.Finish)
					}
					w.idle()
				})
			})
		}
	}
}

// TestEncodedStreamIsNotKept forwards the first event of an encoded stream before the
// second is there.
func TestEncodedStreamIsNotKept(t *testing.T) {
	for name, newEncoder := range encoders() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
					rw.Header().Set("Content-Encoding", name)
					rw.Header().Set("Content-Type", "text/event-stream")
					e := newEncoder(rw)
					for _, event := range []string{firstEvent, finalEvent, doneEvent} {
						io.WriteString(e, event)
						e.Flush()
						send(rw, "")
						pause(r, 10*time.Second)
					}
					e.Close()
				}, nil)
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gateway.test"+chatPath, strings.NewReader(chat("5", `,"stream":true`)))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("api-key", "demo")
				began := time.Now()
				resp, err := w.client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				for k, event := range []string{firstEvent, finalEvent, doneEvent} {
					part := make([]byte, len(event))
					if _, err := io.ReadFull(resp.Body, part); err != nil || string(part) != event || time.Since(began) >= time.Duration(k+1)*10*time.Second {
						t.Errorf("event %d after %v: %q, %v", k, time.Since(began), part, err)
					}
				}
				w.client.CloseIdleConnections()
			})
		})
	}
}

// TestUndecodableResponse tries the next deployment after a response whose encoding
// cannot be read, and after one that grows beyond reason.
func TestUndecodableResponse(t *testing.T) {
	zip := encoders()["gzip"]
	bomb := encode(zip, `{"choices":[{"finish_reason":"stop"}],"x":"`+strings.Repeat("a", 8<<20)+`"}`)
	comments := encode(zip, strings.Repeat(": a\n\n", 2<<20)+firstEvent+finalEvent+doneEvent)
	for name, tt := range map[string]struct {
		coding, body string
		class        spillway.FailureClass
	}{
		"unknown encoding":   {"snappy", "\xff\x06\x00\x00sNaPpY", spillway.FailureUnreadable},
		"too many encodings": {"gzip,gzip,gzip,gzip", wholeChat, spillway.FailureUnreadable},
		"no brotli":          {"br", "<html>" + wholeChat, spillway.FailureUnreadable},
		"no gzip":            {"gzip", "<html>Maintenance</html>", spillway.FailureUnreadable},
		"no zstd":            {"zstd", "<html>Maintenance</html>", spillway.FailureUnreadable},
		"damaged":            {"gzip", encode(zip, wholeChat)[:40] + "damaged damaged damaged damaged", spillway.FailureUnreadable},
		"cut":                {"gzip", encode(zip, wholeChat)[:60], spillway.FailureCut},
		"bomb":               {"gzip", bomb, spillway.FailureUnreadable},
		"bomb of comments":   {"gzip", comments, spillway.FailureUnreadable},
		"empty":              {"gzip", "", spillway.FailureUnreadable},
	} {
		for form, more := range map[string]string{"streamed": `,"stream":true`, "synchronous": ""} {
			for _, deployments := range []int{1, 2} {
				t.Run(name+" "+form, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t, two()[:deployments], func(w *world) {
							w.serve("east.test", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
								rw.Header().Set("Content-Encoding", tt.coding)
								rw.Header().Set("Content-Type", "application/json")
								io.WriteString(rw, tt.body)
							}))
							w.upstream("east", "http://east.test")
						})
						got := w.post(chat("5", more))
						status := 200
						if deployments == 1 {
							status = 502
						}
						if name != "unknown encoding" || deployments > 1 { // which passes as it came
							w.want(got, status)
						}
						if rec := w.record(); rec.Attempts[0].Class != tt.class || deployments == 2 && rec.Outcome != spillway.OutcomeOK {
							t.Errorf("outcome %v, %+v", rec.Outcome, rec.Attempts)
						}
						w.idle()
					})
				})
			}
		}
	}
}

// TestLeftOverEncoding reads a response that a proxy has decoded without saying so.
func TestLeftOverEncoding(t *testing.T) {
	for _, coding := range []string{"gzip", "zstd", "utf-8", "none", "identity", "gzip, gzip"} {
		for more, body := range map[string]string{"": wholeChat, `,"stream":true`: firstEvent + finalEvent + doneEvent} {
			synctest.Test(t, func(t *testing.T) {
				w := playing(t, func(rw http.ResponseWriter, _ *http.Request) {
					rw.Header().Set("Content-Encoding", coding)
					io.WriteString(rw, body)
				}, nil)
				got := w.post(chat("5", more))
				if w.want(got, 200); got.body != body {
					t.Errorf("%s%s: %q", coding, more, got.body)
				}
				w.idle()
			})
		}
	}
}

// TestEncodedFile keeps a relayed response encoded for a client that accepts that, and
// decodes it for any other.
func TestEncodedFile(t *testing.T) {
	const text = `{"id":"file-1"}`
	for accept, keeps := range map[string]bool{
		"gzip": true, "br, GZIP;q=0.5": true, "*": true, "": false, "br": false, "gzip;q=0": false, "gzip;q=0, *": false,
		"identity": false, "*;q=0": false, "gzip; q=0.1": true,
	} {
		synctest.Test(t, func(t *testing.T) {
			zipped := encode(encoders()["gzip"], text)
			w := playing(t, func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Encoding", "gzip")
				io.WriteString(rw, zipped)
			}, nil)
			w.client.Transport.(*http.Transport).DisableCompression = true
			got := w.do(http.MethodGet, "/openai/v1/files/x", "", "Accept-Encoding", accept)
			w.want(got, 200)
			if kept := got.body == zipped && got.header.Get("Content-Encoding") == "gzip"; kept != keeps || !kept && (got.body != text || got.header.Get("Content-Encoding") != "") {
				t.Errorf("accept-encoding %q: %v, %q", accept, got.header, got.body)
			}
			w.idle()
		})
	}
}
