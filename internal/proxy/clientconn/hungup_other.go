//go:build !linux

package clientconn

import "syscall"

// hungUp reports false: only Linux tells about a peer whose bytes are unread. Such
// a client is noticed when the next write to it fails.
func hungUp(syscall.RawConn) bool { return false }
