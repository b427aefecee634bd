package azuresim

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// discard is a response writer without a network.
type discard struct {
	header http.Header
	bytes  int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { d.bytes += len(b); return len(b), nil }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Flush()                      {}

// The simulator's own work for a stream of 500 tokens, without pace or network.
func BenchmarkStream500(b *testing.B) {
	cfg := steadyFleet()
	cfg.TimeScale = 1e7
	cfg.Deployments[0].PTU = 1_000_000
	s, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	body := `{"messages":[{"role":"user","content":"[[tokens=500]]"}],"stream":true,"max_tokens":500}`
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", chatPath("ptu"), strings.NewReader(body))
		r.Header.Set("api-key", "azure")
		w := &discard{header: http.Header{}}
		s.ServeHTTP(w, r)
		b.SetBytes(int64(w.bytes))
	}
}

func BenchmarkChunk(b *testing.B) {
	cfg := steadyFleet()
	s, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	x := &exchange{s: s, dep: s.deployments["ptu"]}
	g := &generation{choices: 1}
	out, p := newChat(x, g), prose{seed: 1}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = out.appendChunk(buf[:0], 0, []piece{{text: p.next()}})
	}
}
