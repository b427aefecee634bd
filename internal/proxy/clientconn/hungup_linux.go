package clientconn

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// hungUp reports whether the peer has closed the connection or its sending side,
// also while bytes of it are unread.
func hungUp(raw syscall.RawConn) (gone bool) {
	err := raw.Control(func(fd uintptr) {
		polled := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(polled[:], 0)
		gone = err == nil && n > 0
	})
	return gone && err == nil
}
