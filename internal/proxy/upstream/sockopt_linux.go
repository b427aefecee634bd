package upstream

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// setUserTimeout has the kernel close a connection whose peer confirms nothing of
// what was sent for userTimeout. Where the kernel cannot, keep-alive probes find
// most dead peers.
func setUserTimeout(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
	})
}
