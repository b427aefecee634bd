package app

import (
	"log/slog"
	"math"
	"runtime/debug"
	"testing"

	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/proxy/gateway"
)

// TestLimitFiles shares descriptors out: what can be open at one time is within the
// limit.
func TestLimitFiles(t *testing.T) {
	const others = 16 // standard streams, sockets of listeners, the poller, files of records
	for _, files := range []int{64, 256, 1024, 4096, 20_000, 1 << 20, math.MaxInt32} {
		var l processLimits
		l.limitFiles(files)
		if l.connections < 1 || l.inFlight < 1 || l.idle < 1 || l.admin < 1 || l.refusals < 1 {
			t.Errorf("%d: %+v", files, l)
		}
		most := l.connections + l.inFlight + l.idle + l.admin + 2*l.refusals + others
		if files >= 128 && most > files {
			t.Errorf("%d descriptors, and up to %d open: %+v", files, most, l)
		}
		if l.connections < files/4 {
			t.Errorf("%d descriptors, and %d connections", files, l.connections)
		}
	}
}

// TestProcessLimits derives limits from the configuration and the environment.
func TestProcessLimits(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	const gib = 1 << 30
	for _, tt := range []struct {
		name        string
		server      config.Server
		environment int64 // GOMEMLIMIT
		runtime     int64 // 0 is not checked
		buffers     int64
		connections int
	}{
		{"of the host", config.Server{}, 0, 0, 0, 0},
		{"configured", config.Server{MemoryLimit: gib}, 0, gib / 100 * 80, gib / 100 * 80 / 100 * 50, 0},
		{"of the environment", config.Server{}, gib, gib, gib / 100 * 50, 0},
		{"both", config.Server{MemoryLimit: gib}, 2 * gib, gib / 100 * 80, gib / 100 * 80 / 100 * 50, 0},
		{"buffers and connections", config.Server{MemoryLimit: gib, BufferLimit: 1 << 20, MaxConnections: 7}, 0, 0, 1 << 20, 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("GOMEMLIMIT", "")
			if tt.environment > 0 {
				t.Setenv("GOMEMLIMIT", "set")
				debug.SetMemoryLimit(tt.environment)
				defer debug.SetMemoryLimit(before)
			}
			a := &App{opts: Options{Log: slog.New(slog.DiscardHandler)}}
			l := a.newProcessLimits(tt.server)
			limits := gateway.Limits{MaxInFlight: 1 << 30, BufferBytes: int64(tt.server.BufferLimit)}
			l.apply(&limits)
			if got := debug.SetMemoryLimit(-1); got != l.runtimeBytes || tt.runtime > 0 && got != tt.runtime {
				t.Errorf("the runtime's limit is %d, want %d", got, tt.runtime)
			}
			if limits.BufferBytes < 1 || tt.buffers > 0 && limits.BufferBytes != tt.buffers {
				t.Errorf("%d bytes of buffers, want %d", limits.BufferBytes, tt.buffers)
			}
			if l.connections < 1 || tt.connections > 0 && l.connections != tt.connections {
				t.Errorf("%d connections, want %d", l.connections, tt.connections)
			}
			if limits.MaxInFlight < 1 || int64(limits.MaxInFlight)*requestBytes > l.watermark() {
				t.Errorf("%d requests in flight", limits.MaxInFlight)
			}
			l.restore()
			if got := debug.SetMemoryLimit(-1); got != max(tt.environment, before*int64(1-min(tt.environment, 1))) {
				t.Errorf("the runtime's limit is %d afterwards", got)
			}
		})
	}
}
