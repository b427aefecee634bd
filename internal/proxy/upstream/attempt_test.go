package upstream

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// words is a delta of n tokens.
func words(n int) string { return strings.Repeat("word", n) }

// TestCount demands that events carry what was read, and when its newest token
// was: whatever the deltas are like, and whoever is late to look.
func TestCount(t *testing.T) {
	play := func(c *peerConn) {
		c.head("200 OK", "text/event-stream")
		time.Sleep(time.Second)
		c.chunk(delta(words(50)))
		time.Sleep(time.Second)
		c.chunk(delta("a"))
		time.Sleep(time.Second)
		c.chunk(stop)
		time.Sleep(time.Second)
		c.chunk(usage + doneMark)
		c.end()
	}
	for _, tt := range []struct {
		name, more string
		stream     bool
	}{{"streamed", `,"stream":true`, false}, {"assembled", "", true}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, play)
				c, a := p.attempt(tt.more, tt.stream)
				first := next(c)
				if want := a.Started().Add(time.Second); first.Kind != spillway.EventFirstToken || first.Tokens != 50 || !first.At.Equal(want) {
					t.Errorf("first: kind %v, %d tokens, %v after the start; want 50 after 1s", first.Kind, first.Tokens, first.At.Sub(a.Started()))
				}
				var done spillway.Event
				if tt.stream {
					time.Sleep(90 * time.Second) // nobody looks for a while
					done = next(c)
				} else {
					_, err := forwarded(a)
					time.Sleep(90 * time.Second)
					done = *a.EndEvent(err)
				}
				if want := a.Started().Add(2 * time.Second); done.Kind != spillway.EventDone || done.Tokens != 51 || !done.At.Equal(want) {
					t.Errorf("done: kind %v, %d tokens, %v after the start; want 51 after 2s", done.Kind, done.Tokens, done.At.Sub(a.Started()))
				}
				if done.Usage.Completion != 51 || done.Finish != spillway.FinishStop || a.MaxGap() != time.Second {
					t.Errorf("usage %+v, finish %v, longest gap %v", done.Usage, done.Finish, a.MaxGap())
				}
				p.finish(c, a)
			})
		})
	}
}

// TestPieces assembles the same stream from pieces of every size: where they end
// changes nothing.
func TestPieces(t *testing.T) {
	text := delta("") + strings.Repeat(delta("four words here, yes"), 7) + ": a comment\r\n\r\n" + strings.Repeat(delta("word"), 5) + stop + usage + doneMark
	for size := 1; size <= len(text); size += 1 + size/8 {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer(t, func(c *peerConn) {
				c.head("200 OK", "text/event-stream")
				for piece := range slices.Chunk([]byte(text), size) {
					c.chunk(string(piece))
				}
				c.end()
			})
			c, a := p.attempt("", true)
			done := next(c)
			if done.Kind == spillway.EventFirstToken {
				done = next(c)
			}
			c.Wait()
			body, _, err := a.AppendResponse(nil, done.Usage)
			want := `"content":"` + strings.Repeat("four words here, yes", 7) + strings.Repeat("word", 5) + `"`
			if done.Kind != spillway.EventDone || done.Tokens != 7*5+5 || err != nil || !strings.Contains(string(body), want) {
				t.Errorf("pieces of %d: kind %v, %d tokens, %v: %s", size, done.Kind, done.Tokens, err, body)
			}
			p.finish(c, a)
		})
	}
}

// TestProgressGrows looks at a stream again and again while it is read.
func TestProgressGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, func(c *peerConn) {
			c.head("200 OK", "text/event-stream")
			for n := range 40 {
				time.Sleep(250 * time.Millisecond)
				c.chunk(delta(words(1 + n%30)))
			}
			c.chunk(stop + doneMark)
			c.end()
		})
		c, a := p.attempt("", true)
		if ev := next(c); ev.Tokens != 1 {
			t.Errorf("%d tokens at the first", ev.Tokens)
		}
		last := spillway.Event{}
		time.Sleep(100 * time.Millisecond) // between the tokens
		for range 9 {
			time.Sleep(time.Second)
			ev, more := a.Progress()
			if !more || ev.Tokens <= last.Tokens || !ev.At.After(last.At) {
				t.Fatalf("%d tokens at %v after %d at %v", ev.Tokens, ev.At, last.Tokens, last.At)
			}
			if _, again := a.Progress(); again {
				t.Error("the same progress is reported twice")
			}
			last = ev
		}
		if ev := next(c); ev.Kind != spillway.EventDone || ev.Tokens < last.Tokens {
			t.Errorf("kind %v with %d tokens after %d", ev.Kind, ev.Tokens, last.Tokens)
		}
		p.finish(c, a)
	})
}

// TestTrailer ends a stream some time after its [DONE]. The response does not wait
// for that; the connection is used again if it comes soon.
func TestTrailer(t *testing.T) {
	for _, tt := range []struct {
		late  time.Duration
		conns int
	}{{0, 1}, {50 * time.Millisecond, 1}, {time.Minute, 2}} {
		for _, stream := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, func(c *peerConn) {
					c.head("200 OK", "text/event-stream")
					c.chunk(delta("a") + stop + doneMark)
					time.Sleep(tt.late)
					c.end()
				})
				transports := NewTransports(p.dial, nil)
				d := p.deployment(transports, nil)
				for range 2 {
					more := ""
					if !stream {
						more = `,"stream":true`
					}
					c, body := p.call(more)
					began := time.Now()
					a := c.Start(Send{Number: 1, Deployment: d, Stream: stream, Body: body})
					next(c)
					if stream {
						if ev := next(c); ev.Kind != spillway.EventDone {
							t.Fatalf("kind %v", ev.Kind)
						}
					} else if _, err := forwarded(a); err != io.EOF {
						t.Fatal(err)
					}
					if took := time.Since(began); took > 0 || !a.Complete() {
						t.Errorf("late by %v: complete after %v: %v", tt.late, took, a.Complete())
					}
					p.finish(c, a)
				}
				if p.conns != tt.conns {
					t.Errorf("late by %v: %d connections, want %d", tt.late, p.conns, tt.conns)
				}
				transports.CloseIdle(nil)
				time.Sleep(time.Hour) // the peer ends
			})
		}
	}
}

// TestFailures holds every way in which an attempt fails against its event.
func TestFailures(t *testing.T) {
	cut := func(c *peerConn) {
		c.head("200 OK", "text/event-stream")
		c.chunk(delta("a"))
		c.Close()
	}
	for _, tt := range []struct {
		name   string
		stream bool
		play   func(*peerConn)
		want   spillway.Event
	}{
		{"closed before an answer", true, func(c *peerConn) { c.Close() }, spillway.Event{Class: spillway.FailureBroken}},
		{"cut after a token", true, cut, spillway.Event{Class: spillway.FailureCut, Status: 200, Tokens: 1}},
		{"no HTTP", true, func(c *peerConn) { io.WriteString(c, "SSH-2.0-x\r\n\r\n"); c.Close() }, spillway.Event{Class: spillway.FailureBroken}},
		{"no JSON", true, func(c *peerConn) { c.head("200 OK", "text/event-stream"); c.chunk("data: {\n\n"); c.end() }, spillway.Event{Class: spillway.FailureUnreadable, Status: 200}},
		{"no JSON, whole", false, func(c *peerConn) { c.head("200 OK", "application/json"); c.chunk("<html>"); c.end() }, spillway.Event{Class: spillway.FailureUnreadable, Status: 200}},
		{"nothing but comments", true, func(c *peerConn) {
			c.head("200 OK", "text/event-stream")
			for range 2000 {
				c.chunk(": keep-alive\n\n")
			}
			c.end()
		}, spillway.Event{Class: spillway.FailureUnreadable, Status: 200}},
		{"refused", true, func(c *peerConn) {
			io.WriteString(c, "HTTP/1.1 429 Too Many Requests\r\nRetry-After-Ms: 1500\r\nx-should-retry: false\r\nContent-Length: 2\r\n\r\n{}")
		}, spillway.Event{Status: 429, RetryAfter: 1500 * time.Millisecond, Hopeless: true}},
		{"not found", true, func(c *peerConn) {
			body := `{"error":{"code":"DeploymentNotFound","message":"x"}}`
			c.head("404 Not Found", "application/json")
			c.chunk(body)
			c.end()
		}, spillway.Event{Status: 404, Missing: true}},
		{"path not found", true, func(c *peerConn) {
			c.head("404 Not Found", "application/json")
			c.chunk(`{"error":{"code":"404","message":"Resource not found"}}`)
			c.end()
		}, spillway.Event{Status: 404, Unsupported: true}},
		{"operation not supported", false, func(c *peerConn) {
			c.head("400 Bad Request", "application/json")
			c.chunk(`{"error":{"code":"OperationNotSupported","message":"x"}}`)
			c.end()
		}, spillway.Event{Status: 400, Unsupported: true}},
		{"error within the stream", true, func(c *peerConn) {
			c.head("200 OK", "text/event-stream")
			c.chunk(delta("a") + `data: {"error":{"code":"rate_limit_exceeded","message":"x"}}` + "\n\n")
			c.end()
		}, spillway.Event{Status: 429, Tokens: 1}},
		{"error body that does not end", true, func(c *peerConn) {
			c.head("500 Internal Server Error", "text/plain")
			c.chunk("oops")
		}, spillway.Event{Status: 500}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, tt.play)
				c, a := p.attempt("", tt.stream)
				ev := next(c)
				if ev.Kind == spillway.EventFirstToken {
					ev = next(c)
				}
				if ev.Kind != spillway.EventFailed || ev.Class != tt.want.Class || ev.Status != tt.want.Status || ev.Tokens != tt.want.Tokens ||
					ev.Hopeless != tt.want.Hopeless || ev.Missing != tt.want.Missing || ev.Unsupported != tt.want.Unsupported || max(ev.RetryAfter, 0) != tt.want.RetryAfter {
					t.Errorf("got %+v, want %+v", ev, tt.want)
				}
				if a.Complete() {
					t.Error("a failed attempt has a complete answer")
				}
				p.finish(c, a)
			})
		})
	}
}

// TestRefusedDial demands that a request which was not sent may be sent again.
func TestRefusedDial(t *testing.T) {
	for name, cause := range map[string]error{"dial": nil, "credential": errors.New("no token")} {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer(t, nil)
			target, err := wire.ParseTarget(wire.Azure, "http://127.0.0.1:1", "chat", "")
			if err != nil {
				t.Fatal(err)
			}
			transports := NewTransports(nil, nil)
			d, err := transports.Deployment("east", &Config{Target: target, Credential: badCredential{cause}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			c, body := p.call("")
			a := c.Start(Send{Number: 1, Deployment: d, Body: body})
			if ev := next(c); ev.Class != spillway.FailureUnreachable || !ev.Replayable || ev.Status != 0 {
				t.Errorf("%s: %+v", name, ev)
			}
			p.finish(c, a)
		})
	}
}

// badCredential fails with cause.
type badCredential struct{ cause error }

func (b badCredential) Apply(http.Header) error { return b.cause }

// TestNext forwards events in whatever pieces they come, without the usage that
// the client has not asked for.
func TestNext(t *testing.T) {
	whole := delta("a") + delta(words(40)) + stop + usage + doneMark
	want := strings.Replace(whole, usage, "", 1)
	for size := 1; size <= len(whole); size = size*3/2 + 1 {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer(t, func(c *peerConn) {
				c.head("200 OK", "text/event-stream")
				for rest := whole; rest != ""; {
					n := min(size, len(rest))
					c.chunk(rest[:n])
					rest = rest[n:]
				}
				c.end()
			})
			c, a := p.attempt(`,"stream":true`, false)
			if ev := next(c); ev.Kind != spillway.EventFirstToken || string(a.Beginning()) == "" {
				t.Fatalf("pieces of %d: %+v, %q", size, ev, a.Beginning())
			}
			got, err := forwarded(a)
			if got != want || err != io.EOF {
				t.Fatalf("pieces of %d: %v\n%q, want\n%q", size, err, got, want)
			}
			if ev := a.EndEvent(err); ev.Kind != spillway.EventDone || ev.Tokens != 41 || ev.Usage.Completion != 51 {
				t.Errorf("pieces of %d: %+v", size, ev)
			}
			p.finish(c, a)
		})
	}
}

// TestCutAnswer cuts a response that is put together: what has arrived is valid.
func TestCutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, func(c *peerConn) {
			c.head("200 OK", "text/event-stream")
			c.chunk(delta("so far"))
			time.Sleep(time.Hour)
		})
		c, a := p.attempt("", true)
		next(c)
		time.Sleep(time.Second)
		a.Cut()
		c.Wait()
		body, assembled, err := a.AppendResponse(nil, spillway.Usage{Known: true, Completion: 2})
		if err != nil || !assembled || !strings.Contains(string(body), `"so far"`) || !strings.Contains(string(body), `"finish_reason":"length"`) {
			t.Errorf("assembled %v, %v: %s", assembled, err, body)
		}
		p.finish(c, a)
		time.Sleep(2 * time.Hour) // the peer ends
	})
}

// TestUsageRefused asks again without stream_options, and knows it the next time:
// also after a reload that leaves the endpoint as it was, and not after one that
// does not.
func TestUsageRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, func(c *peerConn) {
			if strings.Contains(c.body, "stream_options") {
				c.head("400 Bad Request", "application/json")
				c.chunk(`{"error":{"message":"Unrecognized request argument supplied: stream_options"}}`)
			} else {
				c.head("200 OK", "text/event-stream")
				c.chunk(delta("a") + stop + doneMark)
			}
			c.end()
		})
		send := func(d *Deployment) int {
			before := len(p.asked)
			c, body := p.call("")
			a := c.Start(Send{Number: 1, Deployment: d, Stream: true, Body: body})
			for next(c).Kind != spillway.EventDone {
			}
			p.finish(c, a)
			return len(p.asked) - before
		}
		old := NewTransports(p.dial, nil)
		first := p.deployment(old, nil)
		reloaded := NewTransports(p.dial, old)
		same := p.deployment(reloaded, first)
		for i, tt := range []struct {
			d    *Deployment
			want int
		}{{first, 2}, {first, 1}, {same, 1}, {p.deployment(reloaded, nil), 2}} {
			if got := send(tt.d); got != tt.want {
				t.Errorf("request %d was sent %d times, want %d", i+1, got, tt.want)
			}
		}
		old.CloseIdle(nil)
		reloaded.CloseIdle(nil)
	})
}

// TestTooLarge hands a response over that is too large to keep.
func TestTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := strings.Repeat("x", 100<<10)
		p := newPeer(t, func(c *peerConn) {
			c.head("200 OK", "application/json")
			c.chunk(text)
			c.chunk(text)
			c.end()
		})
		p.settings.MaxResponseBytes = 64 << 10
		c, a := p.attempt("", false)
		if ev := next(c); ev.Kind != spillway.EventFirstToken || a.Form() != Relayed {
			t.Fatalf("%+v, form %v", ev, a.Form())
		}
		if got, err := forwarded(a); got != text+text || err != io.EOF {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		p.finish(c, a)
	})
}

// TestBudget has no room for a large response. One that is whole passes through;
// what needs to be held together fails, and is not the deployment's fault.
func TestBudget(t *testing.T) {
	const budget = 256 << 10
	long := strings.Repeat("x", 600<<10)
	whole := `{"choices":[{"message":{"content":"` + long + `"},"finish_reason":"stop"}]}`
	for _, tt := range []struct {
		name, more string
		stream     bool
		play       func(*peerConn)
		want       spillway.FailureClass // FailureNone passes the response through
	}{
		{"a whole response", "", false, func(c *peerConn) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(whole), whole)
		}, spillway.FailureNone},
		{"one of unknown length", "", false, func(c *peerConn) {
			c.head("200 OK", "application/json")
			c.chunk(whole)
			c.end()
		}, spillway.FailureNone},
		{"an event", `,"stream":true`, false, func(c *peerConn) {
			c.head("200 OK", "text/event-stream")
			c.chunk(delta(long))
		}, spillway.FailureUnreadable},
		{"an event after the first token", `,"stream":true`, false, func(c *peerConn) {
			c.head("200 OK", "text/event-stream")
			c.chunk(delta("a"))
			time.Sleep(time.Second)
			c.chunk(delta(long))
		}, spillway.FailureUnreadable},
		{"an assembled response", "", true, func(c *peerConn) {
			c.head("200 OK", "text/event-stream")
			for range 60 {
				c.chunk(delta(long[:10<<10]))
			}
			c.chunk(stop + doneMark)
		}, spillway.FailureUnreadable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, tt.play)
				p.settings.MaxEventBytes = 1 << 20
				p.buffers.SetLimit(budget)
				c, a := p.attempt(tt.more, tt.stream)
				ev := next(c)
				if ev.Kind == spillway.EventFirstToken && a.Form() != Assembled {
					text, err := forwarded(a)
					if tt.want == spillway.FailureNone && text != whole {
						t.Errorf("%d bytes passed, want %d", len(text), len(whole))
					}
					ev = *a.EndEvent(err)
				} else if ev.Kind == spillway.EventFirstToken {
					ev = next(c)
				}
				if ev.Class != tt.want {
					t.Errorf("class %v of kind %v, want %v", ev.Class, ev.Kind, tt.want)
				}
				p.finish(c, a)
				if used := p.buffers.Used(); used != 0 {
					t.Errorf("%d bytes still in use", used)
				}
			})
		})
	}
}
