package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// playing is a world whose only deployment the handler plays.
func playing(t *testing.T, play func(http.ResponseWriter, *http.Request), change func(*world)) *world {
	return newWorld(t, one(), func(w *world) {
		w.serve("east.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			play(rw, r)
		}))
		w.upstream("east", "http://east.test")
		if change != nil {
			change(w)
		}
	})
}

// send sends part of a response.
func send(rw http.ResponseWriter, part string) {
	io.WriteString(rw, part)
	http.NewResponseController(rw).Flush()
}

// pause waits, unless the client leaves.
func pause(r *http.Request, d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
}

// TestSilentBody has responses that are not streams of tokens fall silent. Each ends by
// its deadline or after the class's silence timeout, and the client sees an error.
func TestSilentBody(t *testing.T) {
	embeddings := func(w *world, headers ...string) answer {
		return w.do(http.MethodPost, strings.Replace(chatPath, "chat/completions", "embeddings", 1), `{"input":"hello"}`, headers...)
	}
	get := func(w *world, headers ...string) answer {
		return w.do(http.MethodGet, "/openai/v1/files/x/content", "", headers...)
	}
	stall := func(rw http.ResponseWriter, r *http.Request) {
		send(rw, "half of")
		<-r.Context().Done()
	}
	large := func(rw http.ResponseWriter, r *http.Request) {
		send(rw, `{"data":"`+strings.Repeat("a", 2<<10))
		<-r.Context().Done()
	}
	drip := func(rw http.ResponseWriter, r *http.Request) {
		for range 10 {
			send(rw, "x")
			pause(r, 4*time.Second)
		}
	}
	small := func(w *world) { w.cfg.Limits.MaxResponseBytes = 1 << 10 }
	unbounded := func(w *world) { w.class.Window, w.class.Sync = 0, spillway.SyncPass }
	for _, tt := range []struct {
		name    string
		play    func(http.ResponseWriter, *http.Request)
		send    func(*world, ...string) answer
		headers []string
		change  func(*world)
		took    time.Duration
		status  int // 0: the response breaks off
		outcome spillway.Outcome
	}{
		{"any path", stall, get, nil, nil, 5 * time.Second, 0, spillway.OutcomePartial},
		{"of known length", func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Length", "1000")
			stall(rw, r)
		}, get, nil, nil, 5 * time.Second, 0, spillway.OutcomePartial},
		{"nothing but the header", func(rw http.ResponseWriter, r *http.Request) {
			send(rw, "")
			<-r.Context().Done()
		}, get, nil, nil, 5 * time.Second, 0, spillway.OutcomePartial},
		{"with a deadline", stall, get, []string{"x-spillway-deadline-ms", "2000"}, nil, 2 * time.Second, 0, spillway.OutcomePartial},
		{"slow, but not silent", drip, get, nil, nil, 40 * time.Second, 200, spillway.OutcomeOK},
		{"slow, with a deadline", drip, get, []string{"x-spillway-deadline-ms", "10000"}, nil, 10 * time.Second, 0, spillway.OutcomePartial},
		{"slow, with the SDK's timeout", drip, get, []string{"x-stainless-timeout", "10"}, nil, 40 * time.Second, 200, spillway.OutcomeOK},
		{"silent, with the SDK's timeout", stall, get, []string{"x-stainless-timeout", "2"}, nil, 5 * time.Second, 0, spillway.OutcomePartial},
		{"large embeddings", large, embeddings, nil, small, 5 * time.Second, 0, spillway.OutcomePartial},
		{"large embeddings with a deadline", large, embeddings, []string{"x-spillway-deadline-ms", "2000"}, small, 2 * time.Second, 0, spillway.OutcomePartial},
		{"an answer without a window", stall, (*world).askWhole, nil, unbounded, 5 * time.Second, 502, spillway.OutcomeUpstreamError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := playing(t, tt.play, func(w *world) {
					w.class.SilenceTimeout = 5 * time.Second
					w.cfg.Pools[0].Retry.MaxAttempts = 1
					if tt.change != nil {
						tt.change(w)
					}
				})
				got := tt.send(w, tt.headers...)
				if got.status != tt.status && tt.status != 0 || (got.err == nil) != (tt.status != 0) {
					t.Errorf("status %d, error %v; want status %d", got.status, got.err, tt.status)
				}
				if got.took < tt.took*8/10 || got.took > tt.took+time.Second {
					t.Errorf("took %v, want %v", got.took, tt.took)
				}
				if rec := w.record(); rec.Outcome != tt.outcome || rec.Attempts[0].End == 0 {
					t.Errorf("outcome %v, attempts %+v; want %v", rec.Outcome, rec.Attempts, tt.outcome)
				}
				w.idle()
				if n := w.gateway.InFlight(); n != 0 {
					t.Errorf("%d in flight", n)
				}
			})
		})
	}
}

// askWhole asks for a response that is not a stream.
func (w *world) askWhole(headers ...string) answer { return w.post(chat("5", ""), headers...) }

// TestSilentStream ends a stream that falls silent after the class's timeout.
func TestSilentStream(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{0: time.Minute, 5 * time.Second: 5 * time.Second, 5 * time.Minute: 5 * time.Minute} {
		t.Run(timeout.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
					rw.Header().Set("Content-Type", "text/event-stream")
					send(rw, firstEvent)
					pause(r, 3*time.Second)
					send(rw, firstEvent)
					<-r.Context().Done()
				}, func(w *world) { w.class.SilenceTimeout, w.cfg.Limits.Heartbeat = timeout, -1 })
				got := w.post(chat("5", `,"stream":true`))
				w.want(got, 200)
				rest, begins := strings.CutPrefix(got.body, firstEvent+firstEvent)
				if !begins || !strings.Contains(rest, `"error"`) || !strings.Contains(rest, "sent nothing for too long") {
					t.Errorf("body %s", got.body)
				}
				if silent := got.took - 3*time.Second; silent < want || silent > want+time.Second {
					t.Errorf("silent for %v, want %v", silent, want)
				}
				if rec := w.record(); rec.Outcome != spillway.OutcomePartial {
					t.Errorf("outcome %v", rec.Outcome)
				}
				w.idle()
			})
		})
	}
}

// TestSlowReaderIsNotSilence has a client read nothing for longer than the silence
// timeout, while the deployment has more to send: its stream does not end for that.
func TestSlowReaderIsNotSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			for range 10 {
				send(rw, firstEvent)
				pause(r, time.Second)
			}
			send(rw, finalEvent+doneEvent)
		}, func(w *world) { w.class.SilenceTimeout, w.cfg.Limits.Heartbeat = 5*time.Second, -1 })
		conn, err := w.net.Dial(t.Context(), "tcp", "gateway.test:80")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, ask("HTTP/1.1", ""))
		in := bufio.NewReaderSize(conn, 16)
		if _, err := in.Peek(1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if want := strings.Repeat(firstEvent, 10) + finalEvent + doneEvent; err != nil || string(body) != want {
			t.Errorf("%v: %s", err, body)
		}
		if rec := w.record(); rec.Outcome != spillway.OutcomeOK {
			t.Errorf("outcome %v", rec.Outcome)
		}
		w.idle()
	})
}

// TestHeartbeat has streams pause. A heartbeat comes after each 15 s without an event,
// and stands between events.
func TestHeartbeat(t *testing.T) {
	const every = 15 * time.Second
	named := "id: 1\n" + firstEvent
	for _, tt := range []struct {
		name  string
		every time.Duration
		play  func(http.ResponseWriter, *http.Request)
		want  string
	}{
		{"a pause", every, func(rw http.ResponseWriter, r *http.Request) {
			send(rw, firstEvent)
			pause(r, 40*time.Second)
			send(rw, finalEvent+doneEvent)
		}, firstEvent + heartbeat + heartbeat + finalEvent + doneEvent},
		{"by default", 0, func(rw http.ResponseWriter, r *http.Request) {
			send(rw, firstEvent)
			pause(r, 20*time.Second)
			send(rw, finalEvent+doneEvent)
		}, firstEvent + heartbeat + finalEvent + doneEvent},
		{"turned off", -1, func(rw http.ResponseWriter, r *http.Request) {
			send(rw, firstEvent)
			pause(r, 40*time.Second)
			send(rw, finalEvent+doneEvent)
		}, firstEvent + finalEvent + doneEvent},
		{"short pauses", every, func(rw http.ResponseWriter, r *http.Request) {
			for range 5 {
				send(rw, firstEvent)
				pause(r, 14*time.Second)
			}
			send(rw, finalEvent+doneEvent)
		}, strings.Repeat(firstEvent, 5) + finalEvent + doneEvent},
		{"two pauses", every, func(rw http.ResponseWriter, r *http.Request) {
			for range 2 {
				send(rw, firstEvent)
				pause(r, 10*time.Second)
				send(rw, firstEvent)
				pause(r, 20*time.Second)
			}
			send(rw, finalEvent+doneEvent)
		}, strings.Repeat(firstEvent+firstEvent+heartbeat, 2) + finalEvent + doneEvent},
		{"within an event", every, func(rw http.ResponseWriter, r *http.Request) {
			send(rw, firstEvent+finalEvent[:20])
			pause(r, 20*time.Second)
			send(rw, finalEvent[20:]+doneEvent)
		}, firstEvent + heartbeat + finalEvent + doneEvent},
		{"the deployment's own comments", every, func(rw http.ResponseWriter, r *http.Request) {
			send(rw, firstEvent)
			for range 4 {
				pause(r, 10*time.Second)
				send(rw, ": ping\n\n")
			}
			send(rw, finalEvent+doneEvent)
		}, firstEvent + strings.Repeat(": ping\n\n", 4) + finalEvent + doneEvent},
		{"a first event with an id", every, func(rw http.ResponseWriter, r *http.Request) {
			send(rw, named)
			pause(r, 20*time.Second)
			send(rw, finalEvent+doneEvent)
		}, named + bareHeartbeat + finalEvent + doneEvent},
		{"events with ids", every, func(rw http.ResponseWriter, r *http.Request) {
			send(rw, firstEvent)
			send(rw, named)
			pause(r, 20*time.Second)
			send(rw, finalEvent+doneEvent)
		}, firstEvent + named + bareHeartbeat + finalEvent + doneEvent},
		{"before the first token", every, func(rw http.ResponseWriter, r *http.Request) {
			send(rw, "")
			pause(r, 19*time.Second) // one after 5 s, and the next 15 s after it
			send(rw, firstEvent)
			pause(r, 16*time.Second)
			send(rw, finalEvent+doneEvent)
		}, heartbeat + firstEvent + heartbeat + finalEvent + doneEvent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
					rw.Header().Set("Content-Type", "text/event-stream")
					tt.play(rw, r)
				}, func(w *world) {
					w.cfg.Limits.Heartbeat, w.class.SilenceTimeout = tt.every, time.Hour
				})
				w.class.Window = 0
				got := w.post(chat("5", `,"stream":true`))
				w.want(got, 200)
				if got.body != tt.want {
					t.Errorf("got\n%s\nwant\n%s", got.body, tt.want)
				}
				if rec := w.record(); rec.Outcome != spillway.OutcomeOK || rec.Attempts[0].Tokens > 20 {
					t.Errorf("outcome %v, %d tokens", rec.Outcome, rec.Attempts[0].Tokens)
				}
				w.idle()
			})
		})
	}
}

// TestHeartbeatWithoutComment has a stream pause whose client rejects comments: it gets
// blank lines, before the first event too.
func TestHeartbeatWithoutComment(t *testing.T) {
	for agent, beat := range map[string]string{
		"azsdk-python-ai-inference/1.0.0b9 Python/3.11.7":      "\n",
		"ours azsdk-python-ai-inference/1.0.0b9 Python/3.11.7": "\n",
		"azsdk-js-ai-inference-rest/1.0.0":                     heartbeat,
	} {
		t.Run(agent, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
					rw.Header().Set("Content-Type", "text/event-stream")
					pause(r, 12*time.Second)
					send(rw, firstEvent)
					pause(r, 20*time.Second)
					send(rw, finalEvent+doneEvent)
				}, func(w *world) { w.class.SilenceTimeout = time.Hour })
				w.class.Window = 0
				got := w.post(chat("5", `,"stream":true`), "User-Agent", agent)
				w.want(got, 200)
				if want := beat + firstEvent + beat + finalEvent + doneEvent; got.body != want {
					t.Errorf("got\n%q\nwant\n%q", got.body, want)
				}
				w.idle()
			})
		})
	}
}

// TestHeartbeatOverHTTP2 has a stream to an HTTP/2 client pause.
func TestHeartbeatOverHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			send(rw, firstEvent)
			pause(r, 40*time.Second)
			send(rw, finalEvent+doneEvent)
		}, nil)
		var h2 http.Protocols
		h2.SetUnencryptedHTTP2(true)
		w.client.Transport = &http.Transport{Protocols: &h2, DialContext: w.net.Dial}
		got := w.post(chat("5", `,"stream":true`))
		w.want(got, 200)
		if want := firstEvent + heartbeat + heartbeat + finalEvent + doneEvent; got.body != want {
			t.Errorf("got\n%s\nwant\n%s", got.body, want)
		}
		w.idle()
		w.client.CloseIdleConnections()
	})
}

// TestHeartbeatEndsAtSilence has a stream end by the silence timeout although heartbeats
// are sent.
func TestHeartbeatEndsAtSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			send(rw, firstEvent)
			<-r.Context().Done()
		}, nil)
		got := w.post(chat("5", `,"stream":true`))
		w.want(got, 200)
		if n := strings.Count(got.body, heartbeat); n < 3 || n > 4 || got.took < time.Minute || got.took > 61*time.Second {
			t.Errorf("%d heartbeats in %v: %s", n, got.took, got.body)
		}
		w.idle()
	})
}

// TestHeartbeatToNobody has a client stop reading while its stream is silent: the
// heartbeats find out.
func TestHeartbeatToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			send(rw, firstEvent)
			<-r.Context().Done()
		}, func(w *world) { w.class.SilenceTimeout = time.Hour })
		conn, err := w.net.Dial(t.Context(), "tcp", "gateway.test:80")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, ask("HTTP/1.1", ""))
		in := bufio.NewReader(conn)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, len(firstEvent))); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if rec := w.record(); rec.Outcome != spillway.OutcomeClientGone {
			t.Errorf("outcome %v", rec.Outcome)
		}
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("took %v", took)
		}
		w.idle()
	})
}

// TestManyHeartbeats mixes events and heartbeats at the same instants: each client gets
// every event whole and in order.
func TestManyHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 200
		w := playing(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			for i := range n {
				send(rw, strings.Replace(firstEvent, `"a"`, fmt.Sprintf(`"%d"`, i), 1))
				pause(r, time.Second)
			}
			send(rw, finalEvent+doneEvent)
		}, func(w *world) { w.cfg.Limits.Heartbeat = time.Second })
		got := w.post(chat("5", `,"stream":true`))
		w.want(got, 200)
		data := events(strings.ReplaceAll(got.body, heartbeat, ""))
		for i := range n {
			if !strings.Contains(data[i], fmt.Sprintf(`"%d"`, i)) {
				t.Fatalf("event %d is %s", i, data[i])
			}
		}
		if len(data) != n+2 {
			t.Errorf("%d events, want %d", len(data), n+2)
		}
	})
}
