package gateway

import (
	"os"
	"sync"
	"syscall"
)

// lookout watches the connections of clients that stream, all from one
// goroutine. One for each connection, which waits to read what hardly ever
// comes, would be a seventh of what a stream holds. It is safe for concurrent
// use.
type lookout struct {
	epoll int
	file  *os.File        // of epoll, which Go's own poller waits for
	raw   syscall.RawConn // of file

	mu      sync.Mutex
	seats   map[int32]*taken // by file descriptor
	closing bool             // nobody more is added
	closed  bool
}

// newLookout returns a running lookout, or nil, which watches nobody, when the
// system has none to give.
func newLookout() *lookout {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil
	}
	if err := syscall.SetNonblock(epoll, true); err != nil {
		syscall.Close(epoll)
		return nil
	}
	l := &lookout{epoll: epoll, file: os.NewFile(uintptr(epoll), "epoll"), seats: make(map[int32]*taken)}
	if l.raw, err = l.file.SyscallConn(); err != nil {
		l.file.Close()
		return nil
	}
	go l.run()
	return l
}

// run starts the watch of every connection that has something to be read,
// until the lookout is closed and the last connection has left.
func (l *lookout) run() {
	var events [64]syscall.EpollEvent
	for {
		n := 0
		err := l.raw.Read(func(epoll uintptr) bool {
			n, _ = syscall.EpollWait(int(epoll), events[:], 0)
			return n != 0 // below 0 it was interrupted, and is asked again
		})
		if err != nil {
			return
		}
		for i := range n {
			l.ring(events[i].Fd)
		}
	}
}

// ring starts the watch of the connection in a seat, if it is still taken.
func (l *lookout) ring(seat int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.seats[seat]; t != nil {
		l.clear(seat)
		go t.watch()
	}
}

// add has the watch of t, whose connection is conn or runs on it, started once
// the client sends something or leaves. It reports false where that cannot be.
func (l *lookout) add(t *taken, conn syscall.Conn) (added bool) {
	if l == nil {
		return false
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return false
	}
	err = raw.Control(func(fd uintptr) {
		event := syscall.EpollEvent{Fd: int32(fd), Events: syscall.EPOLLIN | syscall.EPOLLRDHUP}
		if syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, int(fd), &event) == nil {
			t.seat, added = event.Fd, true
			l.seats[t.seat] = t
		}
	})
	return added && err == nil
}

// remove ends what add has begun, while the connection is open. It reports
// whether the watch was not started.
func (l *lookout) remove(t *taken) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seats[t.seat] != t {
		return false
	}
	l.clear(t.seat)
	return true
}

// clear empties a seat. mu is held.
func (l *lookout) clear(seat int32) {
	delete(l.seats, seat)
	_ = syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_DEL, int(seat), nil) // it is there
	l.closeIfEmpty()
}

// close ends the lookout, once every connection has left.
func (l *lookout) close() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = true
	l.closeIfEmpty()
}

func (l *lookout) closeIfEmpty() {
	if l.closing && !l.closed && len(l.seats) == 0 {
		l.closed = true
		l.file.Close() // ends run
	}
}
