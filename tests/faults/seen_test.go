//go:build linux

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// listener is a test that keeps its errors, so that a test can demand one.
type listener struct {
	testing.TB
	errors []string
}

func (l *listener) Helper() {}

func (l *listener) Error(args ...any) { l.errors = append(l.errors, fmt.Sprint(args...)) }

func (l *listener) Errorf(format string, args ...any) {
	l.errors = append(l.errors, fmt.Sprintf(format, args...))
}

// TestInvariants demands that each invariant is seen to be broken when it is.
func TestInvariants(t *testing.T) {
	now := time.Now()
	fine := func() *reply {
		return &reply{
			mark: "mark1", sent: now, status: 200, took: time.Second, body: `{"choices":[]}`,
			header: map[string][]string{"x-spillway-request-id": {"req_1"}, "x-spillway-deployment": {"a"}},
		}
	}
	refused := func() *reply {
		r := fine()
		r.status, r.body = 503, `{"error":{"code":"x","message":"y"}}`
		return r
	}
	const record = `{"id":"req_1","outcome":"ok"}` + "\n"
	at := func(lane string, after time.Duration) *askSeen {
		return &askSeen{
			target: "/openai/deployments/" + lane + "/chat/completions", at: now.Add(after),
			body: `{"messages":[{"content":"mark1 x"}]}`,
		}
	}
	once := []*askSeen{at("a", 0)}
	cases := []struct {
		name    string
		reply   *reply
		change  func(*reply)
		records string
		seen    []*askSeen
		output  string
		want    string // part of the error; "" wants none
	}{
		{name: "nothing wrong", reply: fine(), records: record, seen: once},
		{name: "an honest refusal", reply: refused(), records: record, seen: once},
		{name: "I1 no record", reply: fine(), seen: once, want: "I1: 0 records"},
		{name: "I1 two records", reply: fine(), records: record + record, seen: once, want: "I1: 2 records"},
		{name: "I1 a record of nobody", reply: fine(), records: record + strings.Replace(record, "req_1", "req_2", 1), seen: once, want: "that nobody sent"},
		{name: "I1 no outcome", reply: fine(), records: `{"id":"req_1"}` + "\n", seen: once, want: "without an outcome"},
		{name: "I2 an attempt after the delivered one", reply: fine(), records: record, seen: []*askSeen{at("a", 0), at("b", 1)}, want: "I2"},
		{name: "a retry before it", reply: fine(), records: record, seen: []*askSeen{at("b", 0), at("a", 1)}},
		{name: "I3 many attempts", reply: fine(), records: record, seen: []*askSeen{at("b", 0), at("b", 1), at("b", 2), at("b", 3), at("b", 4), at("a", 5)}, want: "I3"},
		{name: "I7 in order", reply: fine(), change: func(r *reply) { r.body = "word0 , word1 , word2 " }, records: record, seen: once},
		{name: "I7 out of order", reply: fine(), change: func(r *reply) { r.body = "word0 , word2 , word1 " }, records: record, seen: once, want: "I7"},
		{name: "I7 a gap", reply: fine(), change: func(r *reply) { r.body = "word0 , word2 " }, records: record, seen: once, want: "I7"},
		{name: "I8 late", reply: fine(), change: func(r *reply) { r.late, r.took = time.Second, 20*time.Second }, records: record, seen: once, want: "I8"},
		{name: "I9 not an error object", reply: refused(), change: func(r *reply) { r.body = "<html>" }, records: record, seen: once, want: "I9: not an error"},
		{name: "I9 no request id", reply: refused(), change: func(r *reply) { delete(r.header, "x-spillway-request-id") }, seen: once, want: "I9: no request id"},
		{name: "I11 our credential", reply: fine(), change: func(r *reply) { r.body += upstreamKey("a") }, records: record, seen: once, want: "I11"},
		{name: "I11 a caller's key", reply: fine(), records: record, seen: once, output: key("bob"), want: "I11"},
		{name: "I11 a prompt", reply: fine(), records: strings.Replace(record, "ok", prompt, 1), seen: once, want: "I11"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.change != nil {
				c.change(c.reply)
			}
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, "records"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "records", "records.jsonl"), []byte(c.records), 0o600); err != nil {
				t.Fatal(err)
			}
			heard := &listener{TB: t}
			w := &world{
				t: heard, replies: []*reply{c.reply}, peers: []*peer{{asks: c.seen}},
				gateway: &gateway{t: heard, dir: dir, out: &output{}},
			}
			_, _ = w.gateway.out.Write([]byte(c.output)) // to memory
			w.answered()
			w.attempted()
			w.recorded()
			w.secrets("")
			all := strings.Join(heard.errors, "; ")
			if c.want == "" && all != "" || !strings.Contains(all, c.want) {
				t.Errorf("got %q, want %q", all, c.want)
			}
		})
	}
}
