// Package hostlimit reads the limits that the host sets to the process, for memory
// and file descriptors, and watches how much of its memory the process uses.
package hostlimit

import (
	"math"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// Memory returns how much memory the process may use: the limit of its control
// group, or else the memory of the machine. It returns 0 where neither is known.
func Memory() int64 {
	bytes, err := memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem)()
	if err != nil || bytes > math.MaxInt64 {
		return 0
	}
	return int64(bytes)
}
