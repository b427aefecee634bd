package speed

import (
	"time"

	"github.com/spillway-ai/spillway/internal/stat"
)

// State is what a Model has learned, as plain data that can be saved over a
// restart.
type State struct {
	TTFT BandsState `json:"ttft"`
	TBT  BandsState `json:"tbt"`
}

// BandsState is the measurements of one quantity: all of them, and those of
// each load band.
type BandsState struct {
	All   stat.QuantilesState    `json:"all"`
	Bands [3]stat.QuantilesState `json:"bands"`
}

// State returns a copy of what has been learned by now.
func (m *Model) State(now time.Time) State {
	return State{TTFT: m.ttft.state(now), TBT: m.tbt.state(now)}
}

// Restore replaces what the model knows by st, which was learned up to age before
// now; measurements expire as if the model had run since. When any part of st is
// not valid for this model, nothing changes and ok is false: the bands and
// their sum would contradict each other.
func (m *Model) Restore(now time.Time, age time.Duration, st *State) (ok bool) {
	ttft, ok := m.ttft.restored(now, age, &st.TTFT)
	if !ok {
		return false
	}
	tbt, ok := m.tbt.restored(now, age, &st.TBT)
	if !ok {
		return false
	}
	m.ttft, m.tbt = ttft, tbt
	return true
}

// Measured reports whether there are answers enough for TBT to rest on them
// alone.
func (m *Model) Measured(now time.Time) bool { return m.tbt.all.Count(now) >= m.minSamples }

// Known reports whether the deployment has answered as long as that is remembered.
func (m *Model) Known(now time.Time) bool { return m.ttft.all.Count(now) > 0 }

func (b *bands) state(now time.Time) BandsState {
	st := BandsState{All: b.all.State(now)}
	for i := range b.band {
		st.Bands[i] = b.band[i].State(now)
	}
	return st
}

// restored returns bands like b that hold st.
func (b *bands) restored(now time.Time, age time.Duration, st *BandsState) (bands, bool) {
	fresh := newBands(b.decay)
	ok := fresh.all.Restore(now, age, st.All)
	for i := range fresh.band {
		ok = ok && fresh.band[i].Restore(now, age, st.Bands[i])
	}
	return fresh, ok
}
