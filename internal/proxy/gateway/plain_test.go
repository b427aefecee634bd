package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
)

// pieces is a random stream in the pieces in which it is sent, most of them
// whole events like the one before.
type pieces struct {
	sent   []string
	wanted string // what the client gets of it
	tokens int
}

func (p *pieces) add(event string, tokens int) string {
	p.wanted += event
	p.tokens += tokens
	return event
}

func newPieces(rng *rand.Rand) *pieces {
	const usageEvent = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5000,"total_tokens":5009}}` + "\n\n"
	p := new(pieces)
	delta := func() string {
		text := strings.Repeat("x", 1+rng.IntN(4))
		if rng.IntN(20) == 0 {
			text = strings.Repeat("long ", 800) // more than is read at once
		}
		return p.add(strings.Replace(firstEvent, `"a"`, `"`+text+`"`, 1), 1)
	}
	for range 40 {
		switch rng.IntN(8) {
		case 0:
			p.sent = append(p.sent, p.add(": ping\n\n", 0))
		case 1:
			p.sent = append(p.sent, delta()+usageEvent+delta()) // what the gateway has asked for, and the client has not
		case 2:
			event := delta()
			at := rng.IntN(len(event))
			p.sent = append(p.sent, event[:at], event[at:])
		case 3:
			p.sent = append(p.sent, delta()+delta()+delta())
		default:
			p.sent = append(p.sent, delta())
		}
	}
	p.sent = append(p.sent, p.add(finalEvent, 1)+p.add(doneEvent, 0))
	return p
}

// TestPlainPieces sends streams whose pieces are plain and others in any order.
// Clients of every protocol get the same bytes, and the record counts each
// token once.
func TestPlainPieces(t *testing.T) {
	for seed := range uint64(8) {
		p := newPieces(rand.New(rand.NewPCG(seed, 0)))
		f := newFront(t, func(w http.ResponseWriter, _ *http.Request) {
			for _, piece := range p.sent {
				io.WriteString(w, piece)
				http.NewResponseController(w).Flush()
			}
		})
		raw := func(proto string) (*http.Response, error) {
			conn := f.dials["TCP"]()
			io.WriteString(conn, ask(proto, ""))
			return http.ReadResponse(bufio.NewReader(conn), nil)
		}
		var both http.Protocols
		both.SetUnencryptedHTTP2(true)
		shared := &http.Transport{Protocols: &both, DialContext: func(context.Context, string, string) (net.Conn, error) {
			return f.dials["TCP"](), nil
		}}
		defer shared.CloseIdleConnections()
		clients := map[string]func() (*http.Response, error){
			"HTTP/1.0": func() (*http.Response, error) { return raw("HTTP/1.0") },
			"HTTP/1.1": func() (*http.Response, error) { return raw("HTTP/1.1") },
			"HTTP/2": func() (*http.Response, error) {
				r, _ := http.NewRequest("POST", "http://gateway.test"+chatPath, strings.NewReader(chat("5", `,"stream":true`)))
				r.Header.Set("Api-Key", "demo")
				return shared.RoundTrip(r)
			},
		}
		for proto, send := range clients {
			t.Run(fmt.Sprint(proto, " seed ", seed), func(t *testing.T) {
				resp, err := send()
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				got, want := strings.SplitAfter(string(body), "\n\n"), strings.SplitAfter(p.wanted, "\n\n")
				if err != nil || len(got) != len(want) {
					t.Errorf("%d events, want %d: %v", len(got), len(want), err)
				}
				for i := range min(len(got), len(want)) {
					if got[i] != want[i] {
						t.Fatalf("event %d is %.300q, want %.300q", i, got[i], want[i])
					}
				}
			})
		}
		if err := f.gateway.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range f.rec.records {
			rec := &f.rec.records[i]
			if got := rec.Attempts[0].Tokens; got != f.rec.records[0].Attempts[0].Tokens || got < p.tokens {
				t.Errorf("a record counts %d tokens, the first %d; %d deltas were sent", got, f.rec.records[0].Attempts[0].Tokens, p.tokens)
			}
		}
	}
}

// TestPlainPieceTooLong has an event beyond the limit refused, however alike it
// is to the one before.
func TestPlainPieceTooLong(t *testing.T) {
	f := newFront(t, func(w http.ResponseWriter, _ *http.Request) {
		for _, piece := range []string{firstEvent, firstEvent, strings.Replace(firstEvent, `"a"`, `"`+strings.Repeat("x", 1500)+`"`, 1), doneEvent} {
			io.WriteString(w, piece)
			http.NewResponseController(w).Flush()
		}
	})
	f.gateway.snap.Load().calls.MaxEventBytes = 1 << 10
	conn := f.dials["TCP"]()
	io.WriteString(conn, ask("HTTP/1.1", ""))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	if got := string(body); !strings.HasPrefix(got, firstEvent+firstEvent) || strings.Contains(got, "xxx") || !strings.Contains(got, `"error"`) {
		t.Errorf("got %.600q", got)
	}
}
