package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// child is a contestant: a process that serves on the loopback.
type child struct {
	cmd     *exec.Cmd
	name    string
	addr    string        // where clients connect
	startup time.Duration // from exec to its first answer; the gateway's only
	stderr  bytes.Buffer  // shown when the benchmark fails
}

// patience is how long a child may take for anything: only a hang takes longer.
const patience = 5 * time.Minute

// startRole starts this test binary as the contestant of that name, before a
// deployment. It says where it listens on its standard output.
func startRole(tb testing.TB, role string, up *deployment) *child {
	tb.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	defer out.Close()
	c := &child{cmd: exec.Command(os.Args[0]), name: role}
	c.cmd.Env = append(os.Environ(), envRole+"="+role, envUpstream+"="+up.base, envCA+"="+up.caFile)
	c.cmd.Stdout = in
	c.start(tb)
	in.Close()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatalf("%s did not print its listen address: %v", role, err)
	}
	c.addr = strings.TrimSpace(line)
	return c
}

// startContestant starts the contestant of that role, which may be the gateway.
func startContestant(tb testing.TB, role string, up *deployment) *child {
	tb.Helper()
	if role == roleSpillway {
		return startSpillway(tb, up, "stream")
	}
	return startRole(tb, role, up)
}

// start starts the process, which does not outlive tb or this process. That it
// ends before is an error.
func (c *child) start(tb testing.TB) {
	tb.Helper()
	c.cmd.Stderr = &c.stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.cmd.Start(); err != nil {
		tb.Fatalf("starting %s: %v", c.name, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = c.cmd.Wait() // told below
	}()
	tb.Cleanup(func() {
		select {
		case <-ended:
			tb.Errorf("%s exited early: %v", c.name, c.cmd.ProcessState)
		default:
			_ = c.cmd.Process.Signal(syscall.SIGTERM)
		}
		kill := time.AfterFunc(patience, func() { _ = c.cmd.Process.Kill() })
		defer kill.Stop()
		<-ended
		if tb.Failed() {
			tb.Logf("stderr of %s:\n%s", c.name, c.stderr.Bytes())
		}
	})
}

// awaitListener waits until something accepts connections at addr.
func awaitListener(tb testing.TB, addr string) {
	tb.Helper()
	poll := time.NewTicker(500 * time.Microsecond)
	defer poll.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-poll.C {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return
		}
	}
	tb.Fatalf("nothing listens at %s", addr)
}

// freeAddr returns an address that nothing listens at.
func freeAddr(tb testing.TB) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// cpu returns the CPU time that the process has used, user and system, from
// the kernel's own clock of it, which counts in nanoseconds.
func (c *child) cpu(tb testing.TB) time.Duration {
	tb.Helper()
	const schedClock = 2 // CPUCLOCK_SCHED, see clock_getcpuclockid(3)
	id := int32(^c.cmd.Process.Pid)<<3 | schedClock
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(uint32(id)), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		tb.Fatalf("CPU clock of %s: %v", c.name, errno)
	}
	return time.Duration(ts.Nano())
}

// writes returns how many system calls the process has made that write.
func (c *child) writes(tb testing.TB) int {
	tb.Helper()
	io, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", c.cmd.Process.Pid))
	if err != nil {
		tb.Fatal(err)
	}
	return number(tb, io, "syscw:", "")
}

// memory is what a process holds, in bytes.
type memory struct {
	resident int
	peak     int // of resident, since the process started
}

// memory returns what the process holds now.
func (c *child) memory(tb testing.TB) memory {
	tb.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		tb.Fatal(err)
	}
	return memory{resident: kilobytes(tb, status, "VmRSS:"), peak: kilobytes(tb, status, "VmHWM:")}
}

// kilobytes reads a line such as "VmRSS:  1234 kB" and returns bytes.
func kilobytes(tb testing.TB, status []byte, name string) int {
	tb.Helper()
	return number(tb, status, name, " kB") << 10
}

// number reads a line of a name, a number, and its unit.
func number(tb testing.TB, status []byte, name, unit string) int {
	tb.Helper()
	_, rest, _ := bytes.Cut(status, []byte(name))
	line, _, _ := strings.Cut(string(rest), "\n")
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(line, unit)))
	if err != nil {
		tb.Fatalf("%s of the process: %v", name, err)
	}
	return n
}
