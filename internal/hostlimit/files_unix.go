//go:build unix

package hostlimit

import (
	"math"
	"syscall"
)

// Files returns how many file descriptors the process may have open; 0 where that
// is not known. The Go runtime has raised the soft limit to the hard one.
func Files() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(uint64(limit.Cur), math.MaxInt32))
}
