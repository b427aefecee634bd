package policy

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spillway-ai/spillway/internal/policy/capacity"
	"github.com/spillway-ai/spillway/internal/policy/length"
	"github.com/spillway-ai/spillway/internal/policy/speed"
)

// LearnedVersion is the version of Learned's meaning. It changes when a field,
// or the resolution of a histogram, comes to mean something else.
const LearnedVersion = 1

// futureSlack is how far in the future a state may have been taken: clocks
// differ.
const futureSlack = time.Minute

// maxAge is beyond anything that is remembered.
const maxAge = 365 * 24 * time.Hour

// ErrLearned is a state that an engine cannot take up as a whole.
var ErrLearned = errors.New("not a usable state")

// Learned is what an engine has learned, as plain data: speeds, the lengths of
// answers and the size of prompts, and what meters found out about their
// deployments. It does not hold what passes by itself: the level of meters,
// breakers, the queue, the retry budget.
type Learned struct {
	Version     int                 `json:"version"`
	At          time.Time           `json:"at"` // when it was taken
	Deployments []DeploymentLearned `json:"deployments"`
	AllKeys     length.KeyState     `json:"all_keys"` // of all callers and routes together
	Keys        []length.KeyState   `json:"keys"`

	part int // the next one to take
}

// DeploymentLearned is what was learned of one deployment, and which one that
// was.
type DeploymentLearned struct {
	Name  string `json:"name"`
	Model string `json:"model"`
	Kind  string `json:"kind"`
	// PTU, TPM and RPM are what the meter's findings are about.
	PTU   int            `json:"ptu,omitempty"`
	TPM   int            `json:"tpm,omitempty"`
	RPM   int            `json:"rpm,omitempty"`
	Speed speed.State    `json:"speed"`
	Meter capacity.State `json:"meter"`
}

// keysPerPart bounds the work of one call of Learned.
const keysPerPart = 64

// MakeRoom makes room for the next part, so that taking it is quick: a driver
// need not hold its lock here.
func (l *Learned) MakeRoom() { l.Keys = slices.Grow(l.Keys, keysPerPart) }

// Learned adds a part of what the engine has learned to l, which is the zero
// value before the first call, and reports whether there is more. Calls with
// one now make one state; they are parts so that the driver need not hold its
// lock for long. What changes between two parts is in it or not.
func (e *Engine) Learned(now time.Time, l *Learned) (more bool) {
	part := l.part
	l.part++
	if part == 0 {
		l.Version, l.At, l.AllKeys = LearnedVersion, now.UTC(), e.lengths.Shared()
	}
	if part < len(e.deployments) {
		d := e.deployments[part]
		l.Deployments = append(l.Deployments, DeploymentLearned{
			Name: d.Name, Model: d.Model, Kind: d.Kind.String(), PTU: d.PTU, TPM: d.TPM, RPM: d.RPM,
			Speed: d.speed.State(now), Meter: d.meter.State(),
		})
		return true
	}
	first := (part - len(e.deployments)) * keysPerPart
	l.Keys, more = e.lengths.AppendKeys(l.Keys, now, first, first+keysPerPart)
	return more
}

// Restored is what an engine took up.
type Restored struct {
	Age         time.Duration // of the state
	Deployments int           // whose state was taken up
	Measured    int           // of them, those that are budgeted by it alone
	Keys        int           // callers' routes
	Left        int           // deployments and keys that were not taken up
}

// Learn takes up what an engine had learned when l was taken, as if it had
// gone on since without traffic. It is meant for an engine that has served
// nothing. A deployment takes it up when it has the same name, model and kind;
// what its meter found out also wants the same capacity. of says which callers
// there are. A state of another version or of the future is ErrLearned; parts
// that cannot be are left out.
func (e *Engine) Learn(now time.Time, l *Learned, of func(caller string) bool) (Restored, error) {
	age := now.Sub(l.At)
	switch {
	case l.Version != LearnedVersion:
		return Restored{}, fmt.Errorf("%w: it has version %d, this is %d", ErrLearned, l.Version, LearnedVersion)
	case age < -futureSlack:
		return Restored{}, fmt.Errorf("%w: it was taken %v from now", ErrLearned, -age)
	}
	age = min(max(age, 0), maxAge)
	r := Restored{Age: age}
	for i := range l.Deployments {
		st := &l.Deployments[i]
		d := e.find(st.Name)
		if d == nil || d.Model != st.Model || d.Kind.String() != st.Kind || !d.speed.Restore(now, age, &st.Speed) {
			r.Left++
			continue
		}
		if d.PTU == st.PTU && d.TPM == st.TPM && d.RPM == st.RPM {
			d.meter.Restore(age, st.Meter)
		}
		r.Deployments++
		if d.speed.Measured(now) {
			r.Measured++
		}
	}
	e.lengths.RestoreShared(age, &l.AllKeys)
	for i := range l.Keys {
		if st := &l.Keys[i]; of(st.Caller) && e.lengths.Restore(now, age, st) {
			r.Keys++
		} else {
			r.Left++
		}
	}
	return r, nil
}
