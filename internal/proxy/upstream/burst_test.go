//go:build unix

package upstream

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
)

// countingConn counts the reads that may wait.
type countingConn struct {
	*net.TCPConn
	reads int
}

func (c *countingConn) Read(p []byte) (int, error) {
	c.reads++
	return c.TCPConn.Read(p)
}

// socketPair returns the ends of a connection.
func socketPair(t *testing.T) (near, far *net.TCPConn) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialed, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	return dialed.(*net.TCPConn), accepted.(*net.TCPConn)
}

// TestBurst reads bursts of many sizes through small buffers: the bytes are the
// same, the reads few, and no large buffer is held after them.
func TestBurst(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{1, connReadBytes - 1, connReadBytes, connReadBytes + 1, 8 << 10, burstBytes, connReadBytes + burstBytes, 60 << 10} {
		near, far := socketPair(t)
		counting := &countingConn{TCPConn: near}
		var pool sync.Pool
		c := newBurstConn(counting, &pool)
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(rnd.Uint32())
		}
		if _, err := far.Write(want); err != nil {
			t.Fatal(err)
		}
		waitUnread(t, near, size)
		got := make([]byte, size)
		in := bufio.NewReaderSize(c, connReadBytes)
		for read := 0; read < size; { // pieces as a stream is read in
			n, err := in.Read(got[read:min(read+700, size)])
			if err != nil {
				t.Fatal(err)
			}
			read += n
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes: they differ", size)
		}
		if counting.reads > 1+size/burstBytes {
			t.Errorf("%d bytes: %d reads that may wait", size, counting.reads)
		}
		far.Close()
		if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
			t.Errorf("%d bytes: %d more, %v", size, len(rest), err)
		}
		if c.(*burstConn).burst != nil {
			t.Errorf("%d bytes: a large buffer is held", size)
		}
	}
}

// waitUnread waits until so many bytes have arrived at a socket.
func waitUnread(t *testing.T, c *net.TCPConn, size int) {
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Read(func(fd uintptr) bool {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, size), syscall.MSG_PEEK)
		return err == nil && n == size
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestBurstConnOfMemory leaves connections alone that are no sockets.
func TestBurstConnOfMemory(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	defer near.Close()
	if c := newBurstConn(near, new(sync.Pool)); c != near {
		t.Errorf("got %T", c)
	}
}
