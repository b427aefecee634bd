//go:build linux

package faults

import (
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What a resolver does.
const (
	resolves int32 = iota
	resolvesNothing
	failsToResolve
	staysSilent
)

// resolver is a DNS server on an address of its own.
type resolver struct {
	addr string
	does atomic.Int32
	n    atomic.Int32 // questions
}

// resolverSeq tells the addresses of resolvers apart.
var resolverSeq atomic.Int32

// newResolver starts a resolver on port 53, which needs privileges.
func newResolver(w *world) *resolver {
	w.t.Helper()
	r := &resolver{addr: net.IPv4(127, 53, byte(os.Getpid()), byte(resolverSeq.Add(1))).String()}
	conn, err := net.ListenPacket("udp", net.JoinHostPort(r.addr, "53"))
	if err != nil {
		w.skip("a resolver of our own needs port 53: " + err.Error())
	}
	w.t.Cleanup(func() { conn.Close() })
	go func() {
		room := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(room)
			if err != nil {
				return
			}
			r.n.Add(1)
			if reply := r.reply(room[:n]); reply != nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	return r
}

// reply answers a question with 127.0.0.1, or as the resolver fails.
func (r *resolver) reply(question []byte) []byte {
	does := r.does.Load()
	if does == staysSilent || len(question) < 17 {
		return nil
	}
	end := 12
	for question[end] != 0 {
		end += int(question[end]) + 1
		if end >= len(question)-4 {
			return nil
		}
	}
	end += 5 // the root label, type and class
	kind := binary.BigEndian.Uint16(question[end-4:])
	reply := append([]byte(nil), question[:end]...)
	reply[2], reply[3] = 0x81, 0x80
	binary.BigEndian.PutUint16(reply[6:], 0)
	binary.BigEndian.PutUint16(reply[8:], 0)
	binary.BigEndian.PutUint16(reply[10:], 0)
	switch {
	case does == resolvesNothing:
		reply[3] |= 3
	case does == failsToResolve:
		reply[3] |= 2
	case kind == 1:
		binary.BigEndian.PutUint16(reply[6:], 1)
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1)
	}
	return reply
}

// withResolver is the command that runs a program with a resolver of its own,
// in a mount namespace.
func withResolver(w *world, r *resolver) []string {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte("nameserver "+r.addr+"\noptions timeout:1 attempts:1\n"), 0o644); err != nil {
		w.t.Fatal(err)
	}
	command := []string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" /etc/resolv.conf && exec "$@"`, file}
	if out, err := exec.Command(command[0], append(command[1:], "true")...).CombinedOutput(); err != nil {
		w.skip("a resolver of our own needs a mount namespace: " + strings.TrimSpace(string(out)))
	}
	return command
}

func testResolvers(t *testing.T, w *world) {
	w.part("a name that does not exist", func(t *testing.T, w *world) {
		b := w.peer(good())
		g := w.start(setup{lanes: []lane{{name: "a", url: "http://nowhere.invalid:1"}, {name: "b", peer: b}}})
		w.wantOK("a does not exist", w.many(20, 2, turns), 1)
		if s := g.state("a"); s == "closed" {
			t.Errorf("a is %s after 20 requests", s)
		}
	})
	for name, does := range map[string]int32{"NXDOMAIN": resolvesNothing, "SERVFAIL": failsToResolve, "silent": staysSilent} {
		w.part(name+" from the start", func(t *testing.T, w *world) {
			r := newResolver(w)
			command := withResolver(w, r)
			r.does.Store(does)
			b := w.peer(good())
			g := w.start(setup{window: 8 * time.Second, command: command, lanes: []lane{{name: "a", url: "http://lane-a.test:1"}, {name: "b", peer: b}}})
			w.wantOK("a has no address", w.many(20, 4, turns), 1)
			if r.n.Load() == 0 {
				t.Fatal("the resolver was not asked")
			}
			if s := g.state("a"); s == "closed" {
				t.Errorf("a is %s after 20 requests", s)
			}
		})
		w.part(name+" later", func(t *testing.T, w *world) {
			r := newResolver(w)
			command := withResolver(w, r)
			a := w.peer(func(r *askSeen) script { return append(good()(r), hangUp()) }) // each request needs a connection
			_, port, _ := net.SplitHostPort(a.ln.Addr().String())
			w.start(setup{window: 8 * time.Second, command: command, lanes: []lane{{name: "a", url: "http://lane-a.test:" + port}}})
			w.wantOK("while the resolver answers", w.many(4, 1, turns), 1)
			r.does.Store(does)
			wait(2 * time.Second) // longer than the address may be cached
			w.wantOK("while the resolver fails", w.many(8, 2, turns), 1)
		})
	}
}
