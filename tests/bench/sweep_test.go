package bench

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
)

// sweepTurns is how many turns of a pacer it takes until a sweep comes back to
// a client: a fifth of a second.
const sweepTurns = 200

// promptEvery is how many clients there are for each that reads what it gets at
// once, where others are swept.
const promptEvery = 50

// sweep reads what many clients have got, a part of them at each turn of the
// pacer. Nothing waits for their connections, and a system call fetches some
// tokens at once: so they cost little, and leave the processors to the
// contestant. When a token has arrived is left to others to tell.
type sweep struct {
	mu      sync.Mutex
	clients [sweepTurns][]*swept // by turn
	count   int                  // of clients so far
	room    []byte
}

// swept is one client of a sweep.
type swept struct {
	conn int    // its socket
	last []byte // what it got last, as much as streamLast has
	end  chan error
}

// streamLast is what the body of a whole stream ends with, however contestants
// cut it.
const streamLast = doneEvent + "\r\n0\r\n\r\n"

// receive asks for a stream, has it read to its end, and returns then.
func (w *sweep) receive(c *client, req []byte) error {
	if _, err := c.ask(req); err != nil {
		return err
	}
	conn, err := socketOf(c.conn)
	if err != nil {
		return err
	}
	defer syscall.Close(conn)
	early, err := c.in.Peek(c.in.Buffered())
	if err != nil {
		return err
	}
	s := &swept{conn: conn, end: make(chan error, 1)}
	s.keep(early)
	w.mu.Lock()
	turn := w.count % sweepTurns
	w.count++
	w.clients[turn] = append(w.clients[turn], s)
	w.mu.Unlock()
	return <-s.end
}

// socketOf returns the socket of a connection, and closes that: the runtime
// does not watch the socket any more.
func socketOf(conn net.Conn) (socket int, err error) {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	if err = raw.Control(func(fd uintptr) { socket, failed = syscall.Dup(int(fd)) }); err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, failed
	}
	return socket, conn.Close()
}

// turn reads what the clients of the i-th turn have got.
func (w *sweep) turn(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.clients[i%sweepTurns]
	open := list[:0]
	for _, s := range list {
		switch err := s.read(w.room); err {
		case nil:
			open = append(open, s)
		case io.EOF:
			s.end <- nil
		default:
			s.end <- err
		}
	}
	clear(list[len(open):])
	w.clients[i%sweepTurns] = open
}

// abandon ends the clients that are left.
func (w *sweep) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, list := range w.clients {
		for _, s := range list {
			s.end <- net.ErrClosed
		}
	}
}

// read reads what is there. It returns io.EOF after a whole stream.
func (s *swept) read(room []byte) error {
	n, err := syscall.Read(s.conn, room)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		return nil
	}
	if err != nil {
		return err
	}
	if n == 0 {
		return errNoDone
	}
	s.keep(room[:n])
	if bytes.Equal(s.last, []byte(streamLast)) {
		return io.EOF
	}
	return nil
}

// keep adds what was read to the last of it.
func (s *swept) keep(read []byte) {
	read = read[max(len(read)-len(streamLast), 0):]
	s.last = append(s.last, read...)
	s.last = append(s.last[:0], s.last[max(len(s.last)-len(streamLast), 0):]...)
}
