//go:build unix

package upstream

import "syscall"

// readSocket reads what has arrived at a socket.
func (b *burst) readSocket(fd uintptr) (done bool) {
	if n, err := syscall.Read(int(fd), b.room[:]); err == nil {
		b.unread = b.room[:n]
	}
	return true
}
