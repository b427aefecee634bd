package app

import (
	"os"
	"runtime/debug"
	"time"

	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/hostlimit"
	"github.com/spillway-ai/spillway/internal/proxy/gateway"
)

// Shares of memory_limit, in percent.
const (
	// runtimePercent is what the Go runtime may use. The kernel counts sockets and
	// cached files toward a container's limit as well.
	runtimePercent = 80
	// watermarkPercent is the part of runtimePercent from which on new requests are
	// refused: what is under way still grows.
	watermarkPercent = 85
	// bufferPercent is the part of runtimePercent for large buffers.
	bufferPercent = 50
)

const (
	// requestBytes is the least that a request in flight takes, and connBytes the
	// least that a connection does. They bound what can arrive before a measurement
	// shows it.
	requestBytes = 32 << 10
	connBytes    = 16 << 10
)

// Shares of the descriptor limit. What is left goes in halves to clients and to
// requests in flight, because a stream takes a connection of each kind.
const (
	reservedFilesShare = 4 // for files, the admin listener, refusals and name resolution, at most maxReservedFiles
	maxReservedFiles   = 512
	idleFilesShare     = 8 // for idle connections to deployments
	adminFilesShare    = 4 // of the reserved ones, for the admin listener's connections
	refusedFilesShare  = 8 // of the reserved ones, for those that each listener refuses
)

// processLimits are what the process may use of the host. Zero fields are not limited.
type processLimits struct {
	runtimeBytes int64 // memory of the Go runtime
	scarce       func(now time.Time) bool
	inFlight     int   // requests
	connections  int   // of clients
	admin        int   // connections of the admin listener
	idle         int   // connections to deployments that are idle
	refusals     int   // connections that each listener refuses at one time
	before       int64 // the runtime's memory limit to put back
}

// newProcessLimits reads the limits of the host and sets the runtime's.
func (a *App) newProcessLimits(s config.Server) processLimits {
	l := processLimits{before: debug.SetMemoryLimit(-1), refusals: maxReservedFiles / refusedFilesShare}
	l.runtimeBytes = runtimeBytes(int64(s.MemoryLimit), l.before)
	if l.runtimeBytes > 0 {
		debug.SetMemoryLimit(l.runtimeBytes)
		l.scarce = hostlimit.NewWatch(l.watermark(), a.opts.Log, nil).Scarce
		l.inFlight = max(int(l.watermark()/requestBytes), 1)
		l.connections = max(int(l.watermark()/connBytes), 1)
	}
	if files := hostlimit.Files(); files > 0 {
		l.limitFiles(files)
	}
	if s.MaxConnections > 0 {
		l.connections = s.MaxConnections
	}
	return l
}

// limitFiles shares the descriptors out.
func (l *processLimits) limitFiles(files int) {
	reserved := min(files/reservedFilesShare, maxReservedFiles)
	l.admin, l.refusals = max(reserved/adminFilesShare, 1), max(reserved/refusedFilesShare, 1)
	l.idle = max(files/idleFilesShare, 1)
	clients := max((files-reserved-l.idle)/2, 1)
	l.connections, l.inFlight = lower(l.connections, clients), lower(l.inFlight, clients)
}

// lower returns the lower of two limits, of which 0 is none.
func lower(a, b int) int {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// runtimeBytes is how much memory the Go runtime may use: a share of limit, which
// the configuration sets; what the environment sets; or a share of what the host
// allows. 0 means that nothing is known.
func runtimeBytes(limit, environment int64) int64 {
	switch {
	case limit > 0:
	case os.Getenv("GOMEMLIMIT") != "":
		return environment
	default:
		limit = hostlimit.Memory()
	}
	return limit / 100 * runtimePercent
}

// watermark is the use of memory from which on new requests are refused.
func (l *processLimits) watermark() int64 { return l.runtimeBytes / 100 * watermarkPercent }

// apply lowers the limits of the gateway to those of the process.
func (l *processLimits) apply(to *gateway.Limits) {
	to.MaxIdleConns = l.idle
	to.MaxInFlight = lower(to.MaxInFlight, l.inFlight)
	if to.BufferBytes == 0 {
		to.BufferBytes = l.runtimeBytes / 100 * bufferPercent
	}
}

// restore puts back the runtime's memory limit. It does nothing to zero limits.
func (l *processLimits) restore() {
	if l.runtimeBytes > 0 {
		debug.SetMemoryLimit(l.before)
	}
}
