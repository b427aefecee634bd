package loadgen

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// envNull makes this test binary the null server, in a process of its own so
// that its CPU time is not the generator's. It says where it listens, and ends
// with its standard input.
const envNull = "SPILLWAY_LOADGEN_NULL"

func TestMain(m *testing.M) {
	if os.Getenv(envNull) == "" {
		os.Exit(m.Run())
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(ln.Addr())
	go serveNull(ln)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// nullAnswer is what the null server says to everything.
const nullAnswer = `{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],` +
	`"usage":{"prompt_tokens":10,"completion_tokens":1,"total_tokens":11}}`

// serveNull answers every request on sight. It does less than any real server
// can: it looks for the end of the head and the length of the body.
func serveNull(ln net.Listener) {
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(nullAnswer), nullAnswer)
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			buf := make([]byte, 16<<10)
			for n := 0; ; {
				m, err := conn.Read(buf[n:])
				if err != nil {
					return
				}
				if n += m; nullWhole(buf[:n]) {
					if bytes.Contains(buf[:n], []byte(`"stream":true`)) {
						streamNull(conn)
						return
					}
					n = 0
					if _, err := conn.Write(answer); err != nil {
						return
					}
				}
			}
		}()
	}
}

// nullChunks is the length of the null server's streams.
const nullChunks = 10

// streamNull sends a chunk every half second and closes the connection.
func streamNull(conn net.Conn) {
	const event = `data: {"id":"x","choices":[{"index":0,"delta":{"content":"word"},"finish_reason":null}]}` + "\n\n"
	const last = `data: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
	text := "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + event
	for range nullChunks {
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
		text = event
		<-time.After(500 * time.Millisecond)
	}
	_, _ = io.WriteString(conn, last) // the client sees what is missing
}

// nullWhole reports whether b is a whole request.
func nullWhole(b []byte) bool {
	head, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok {
		return false
	}
	_, rest, _ := bytes.Cut(head, []byte("Content-Length: "))
	digits, _, _ := bytes.Cut(rest, []byte("\r"))
	size, err := strconv.Atoi(string(digits))
	return err == nil && len(body) >= size
}

// startNull starts the null server and returns its URL.
func startNull(tb testing.TB) string {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envNull+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("the null server: %v", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		tb.Fatalf("the null server did not say where it listens: %v", err)
	}
	return "http://" + strings.TrimSpace(line)
}

// rusage is what this process has used.
func rusage(tb testing.TB) syscall.Rusage {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return u
}

// cpuTime is the CPU time of this process, user and system.
func cpuTime(tb testing.TB) time.Duration {
	u := rusage(tb)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkNull offers a rate to a null server for three seconds and tells
// what came of it, and what a call costs the generator.
func BenchmarkNull(b *testing.B) {
	for _, rate := range [...]float64{5_000, 10_000, 20_000} {
		b.Run(fmt.Sprint(rate), func(b *testing.B) {
			url := startNull(b)
			for b.Loop() {
				before := cpuTime(b)
				report := load(b, Options{Endpoint: url, Key: "k", Connections: 64}, Steady{Rate: rate, Duration: 3 * time.Second})
				used := cpuTime(b) - before
				if report.ErrorRate > 0 {
					b.Errorf("errors: %v %v", report.Outcomes, report.Failures)
				}
				b.ReportMetric(float64(report.Offered)/report.WallSeconds, "calls/s")
				b.ReportMetric(float64(used.Microseconds())/float64(report.Offered), "cpu-µs/call")
				b.ReportMetric(report.Lateness.P99, "late-p99-ms")
				b.ReportMetric(report.E2E.Intended.P99, "e2e-p99-ms")
			}
		})
	}
}

// load runs a steady load of short calls and returns its report.
func load(tb testing.TB, opt Options, s Steady) *Report {
	tb.Helper()
	if s.Call.PromptTokens == 0 {
		s.Call.PromptTokens = 50
	}
	if s.Call.OutputTokens == 0 {
		s.Call.OutputTokens = 20
	}
	src, err := s.Source()
	if err != nil {
		tb.Fatal(err)
	}
	report, err := run(tb, opt, src)
	if err != nil {
		tb.Fatal(err)
	}
	return report
}
