package gateway

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// TestEarlyHeartbeat has a deployment send nothing for some time before its first event.
// The client of a stream gets a heartbeat then, and the request can still move.
func TestEarlyHeartbeat(t *testing.T) {
	const whole = firstEvent + finalEvent + doneEvent
	const jsonBody = `{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}]}`
	stream := func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		send(rw, whole)
	}
	after := func(d time.Duration, h http.HandlerFunc) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			pause(r, d)
			h(rw, r)
		}
	}
	status := func(code int, body string) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			rw.WriteHeader(code)
			io.WriteString(rw, body)
		}
	}
	for _, tt := range []struct {
		name       string
		first      time.Duration // of the limits
		east       http.HandlerFunc
		deployment string // that the client learns of; in a trailer if a heartbeat came
		body       string // "" where the rest holds
		contains   string
		status     int // of the record
		outcome    spillway.Outcome
	}{
		{"soon", 0, after(4*time.Second, stream), "east", whole, "", 200, spillway.OutcomeOK},
		{"late headers", 0, after(12*time.Second, stream), "east", heartbeat + whole, "", 200, spillway.OutcomeOK},
		{"headers and comments at once", 0, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			for range 4 {
				send(rw, ": ping\n\n")
				pause(r, 3*time.Second)
			}
			send(rw, whole)
		}, "east", "", heartbeat, 200, spillway.OutcomeOK},
		{"very late", 0, after(22*time.Second, stream), "east", heartbeat + heartbeat + whole, "", 200, spillway.OutcomeOK},
		{"other time", 10 * time.Second, after(12*time.Second, stream), "east", heartbeat + whole, "", 200, spillway.OutcomeOK},
		{"turned off", -1, after(12*time.Second, stream), "east", whole, "", 200, spillway.OutcomeOK},
		{"another deployment", 0, after(7*time.Second, status(500, `{"error":{"message":"broken"}}`)), "west", heartbeat + whole, "", 200, spillway.OutcomeOK},
		{
			"an error", 0, after(7*time.Second, status(400, `{"error":{"code":"bad","message":"no such thing"}}`)), "east",
			"", heartbeat + `data: {"error":{"code":"bad","message":"no such thing"`, 400, spillway.OutcomeRefusedInvalid,
		},
		{
			"a page as error", 0, after(7*time.Second, status(400, `<html>`)), "east",
			"", heartbeat + `data: {"error":{"code":"400","message":"The deployment returned status 400 without a readable error.`, 400, spillway.OutcomeRefusedInvalid,
		},
		{
			"no stream", 0, after(7*time.Second, status(200, jsonBody)), "east",
			"", heartbeat + `data: {"error":{"code":"upstream_unavailable"`, 502, spillway.OutcomeUpstreamError,
		},
		{
			"deadline", 0, after(time.Hour, stream), "east",
			"", `data: {"error":{"code":"Timeout"`, 408, spillway.OutcomeTimeout,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, two(), func(w *world) {
					w.serve("east.test", tt.east)
					w.upstream("east", "http://east.test")
					w.serve("west.test", http.HandlerFunc(stream))
					w.upstream("west", "http://west.test")
					w.cfg.Limits.FirstHeartbeat, w.class.StreamWindow = tt.first, 30*time.Second
					if tt.deployment == "east" {
						w.cfg.Pools[0].Pool.MaxTiers = 1
					}
				})
				got := w.post(chat("5", `,"stream":true`))
				w.want(got, 200)
				if tt.body != "" && got.body != tt.body || !strings.Contains(got.body, tt.contains) {
					t.Errorf("got\n%s\nwant\n%s%s", got.body, tt.body, tt.contains)
				}
				early, about := strings.HasPrefix(got.body, heartbeat), got.header
				if early {
					about = got.trailer
				}
				if d := about.Get("x-spillway-deployment"); d != tt.deployment || early && got.header.Get("x-spillway-deployment") != "" {
					t.Errorf("deployment %q, want %q; headers %v, trailers %v", d, tt.deployment, got.header, got.trailer)
				}
				if kind := got.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
					t.Errorf("content type %q", kind)
				}
				if rec := w.record(); rec.Status != tt.status || rec.Outcome != tt.outcome {
					t.Errorf("record: status %d, outcome %v; want %d, %v", rec.Status, rec.Outcome, tt.status, tt.outcome)
				}
				w.idle()
			})
		})
	}
}

// TestEarlyHeartbeatNot sends no heartbeat to a client that does not stream, nor in the
// queue, where most refusals come from.
func TestEarlyHeartbeatNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			pause(r, 20*time.Second)
			send(rw, firstEvent+finalEvent+doneEvent)
		}, func(w *world) {
			w.cfg.Pools[0].Deployments[0].MaxInFlight = 1
			w.class.MaxWait, w.class.SilenceTimeout = 7*time.Second, time.Hour
		})
		first := make(chan answer)
		go func() { first <- w.post(chat("5", "")) }()
		synctest.Wait()
		got := w.post(chat("5", `,"stream":true`))
		w.want(got, 429)
		if got.took < 6*time.Second || strings.Contains(got.body, "keep-alive") {
			t.Errorf("after %v: %s", got.took, got.body)
		}
		got = <-first
		w.want(got, 200)
		if kind := got.header.Get("Content-Type"); kind != "application/json" || got.header.Get("x-spillway-deployment") != "east" {
			t.Errorf("headers %v", got.header)
		}
		w.idle()
	})
}

// TestEarlyHeartbeatToNobody ends a request whose client leaves while it gets nothing
// but heartbeats.
func TestEarlyHeartbeatToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := playing(t, func(_ http.ResponseWriter, r *http.Request) { pause(r, time.Hour) }, func(w *world) { w.class.SilenceTimeout = time.Hour })
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gateway.test"+chatPath, strings.NewReader(chat("5", `,"stream":true`)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("api-key", "demo")
		resp, err := w.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		beat := make([]byte, len(heartbeat))
		if _, err := io.ReadFull(resp.Body, beat); err != nil || string(beat) != heartbeat {
			t.Errorf("read %q, %v", beat, err)
		}
		resp.Body.Close()
		if rec := w.record(); rec.Outcome != spillway.OutcomeClientGone || rec.Status != spillway.StatusClientGone {
			t.Errorf("outcome %v, status %d", rec.Outcome, rec.Status)
		}
		w.idle()
	})
}

// TestEarlyHeartbeatOverHTTP2 has the first event of a stream to an HTTP/2 client come
// late.
func TestEarlyHeartbeatOverHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			pause(r, 12*time.Second)
			send(rw, firstEvent+finalEvent+doneEvent)
		}, nil)
		var h2 http.Protocols
		h2.SetUnencryptedHTTP2(true)
		w.client.Transport = &http.Transport{Protocols: &h2, DialContext: w.net.Dial}
		got := w.post(chat("5", `,"stream":true`))
		w.want(got, 200)
		if want := heartbeat + firstEvent + finalEvent + doneEvent; got.body != want {
			t.Errorf("got\n%s\nwant\n%s", got.body, want)
		}
		if got.trailer.Get("x-spillway-deployment") != "east" {
			t.Errorf("trailers %v", got.trailer)
		}
		w.idle()
		w.client.CloseIdleConnections()
	})
}
