//go:build !linux

package upstream

import "syscall"

// setUserTimeout does nothing: keep-alive probes find most dead peers.
func setUserTimeout(_, _ string, _ syscall.RawConn) error { return nil }
