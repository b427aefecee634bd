package capacity

import (
	"time"

	"github.com/spillway-ai/spillway"
)

// limitMemory is how long a limit that a response header reported is used
// without another report: the service may lower a limit for a while.
const limitMemory = time.Hour

// State is what a meter has learned of its deployment, as plain data that can
// be saved over a restart. The level is not part of it: a bucket drains and a
// minute ends.
type State struct {
	// DepthSeconds is the drain time of a full bucket; 0 where it was not
	// learned.
	DepthSeconds float64 `json:"depth_s,omitempty"`
	// LimitTokens is the limit of tokens per minute that headers reported; 0
	// where it is the configured one.
	LimitTokens int64 `json:"limit_tokens,omitempty"`
}

// State returns what has been learned so far.
func (m *Meter) State() State {
	b, q := &m.provisioned, &m.standard
	switch {
	case m.kind == spillway.Provisioned && !b.fixedDepth && b.depth != defaultDepth.Seconds():
		return State{DepthSeconds: b.depth}
	case m.kind != spillway.Provisioned && q.limit != q.configured:
		return State{LimitTokens: q.limit}
	}
	return State{}
}

// Restore gives an idle meter what was learned of the same deployment age ago.
// Impossible values are ignored.
func (m *Meter) Restore(age time.Duration, st State) {
	if m.kind == spillway.Provisioned {
		b := &m.provisioned
		if !b.fixedDepth && st.DepthSeconds >= minDepth.Seconds() && st.DepthSeconds <= maxDepth.Seconds() {
			b.depth = st.DepthSeconds
		}
		return
	}
	if q := &m.standard; st.LimitTokens > 0 && age < limitMemory {
		q.limit, q.limitReports = st.LimitTokens, sureReports
		if q.configured > 0 {
			q.limit = min(q.limit, q.configured)
		}
	}
}
