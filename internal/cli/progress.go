package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// progress shows on a terminal how far something is; elsewhere it is silent.
// It is safe for concurrent use.
type progress struct {
	mu    sync.Mutex
	out   io.Writer // nil where nobody looks
	label string
	shown int // percent; -1 before anything was shown
}

// newProgress shows progress on w, if that is a terminal.
func newProgress(w io.Writer, label string) *progress {
	p := &progress{label: label, shown: -1}
	if isTerminal(w) {
		p.out = w
	}
	return p
}

// isTerminal reports whether somebody may be looking.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// set says which share is done, 0–1.
func (p *progress) set(share float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	percent := int(100 * share)
	if p.out == nil || percent == p.shown {
		return
	}
	p.shown = percent
	const width = 30
	done := width * percent / 100
	fmt.Fprintf(p.out, "\r%s [%s%s] %d%%", p.label, strings.Repeat("#", done), strings.Repeat(" ", width-done), percent)
}

// end removes what was shown.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out != nil && p.shown >= 0 {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
