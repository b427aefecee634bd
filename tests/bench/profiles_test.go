package bench

import (
	"errors"
	"os"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"
)

// heapSignal asks a child for a profile of its heap.
const heapSignal = syscall.SIGUSR1

// profiles are written by a child, if the environment asks for it.
type profiles struct {
	prefix string // of the files; "" writes none
	cpu    *os.File
}

func startProfiles(role string) (*profiles, error) {
	prefix := os.Getenv(envProfile)
	if prefix == "" {
		return &profiles{}, nil
	}
	p := &profiles{prefix: prefix + "." + role}
	var err error
	if p.cpu, err = os.Create(p.prefix + ".cpu"); err != nil {
		return nil, err
	}
	return p, pprof.StartCPUProfile(p.cpu)
}

// stop ends the profile of the CPU.
func (p *profiles) stop() error {
	if p.cpu == nil {
		return nil
	}
	pprof.StopCPUProfile()
	return p.cpu.Close()
}

// heap writes a profile of what lives now, with the runtime's own account of its
// memory at the end.
func (p *profiles) heap() error {
	if p.prefix == "" {
		return nil
	}
	file, err := os.Create(p.prefix + ".heap")
	if err != nil {
		return err
	}
	runtime.GC()
	return errors.Join(pprof.Lookup("heap").WriteTo(file, 1), file.Close())
}

// profileHeap has the child write its heap's profile, if the environment asks
// for it, and gives it the time to do so.
func (c *child) profileHeap() {
	if os.Getenv(envProfile) == "" {
		return
	}
	_ = c.cmd.Process.Signal(heapSignal)
	<-time.After(time.Second)
}
