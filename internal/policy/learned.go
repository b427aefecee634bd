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

// LearnedVersion is the version of Learned. It changes when the meaning of a field
// or the resolution of a histogram does. New fields that may be absent do not
// change it.
const LearnedVersion = 1

// futureSlack is how far in the future a state may have been saved: clocks differ.
const futureSlack = time.Minute

// maxAge is longer than anything is remembered.
const maxAge = 365 * 24 * time.Hour

// ErrLearned means that an engine cannot use a state at all.
var ErrLearned = errors.New("not a usable state")

// Learned is what an engine has learned, as plain data: speeds, lengths of responses
// and sizes of prompts, and what meters have learned about their deployments. It
// does not hold short-lived state: levels of meters, breakers, the queue and the
// retry budget.
type Learned struct {
	Version     int                 `json:"version"`
	At          time.Time           `json:"at"` // when it was saved
	Deployments []DeploymentLearned `json:"deployments"`
	AllKeys     length.KeyState     `json:"all_keys"` // of all callers and routes together
	Keys        []length.KeyState   `json:"keys"`

	part int // the next part to add
}

// DeploymentLearned is what was learned of one deployment, and what identifies it.
type DeploymentLearned struct {
	Name  string `json:"name"`
	Model string `json:"model"`
	Kind  string `json:"kind"`
	// PTU, TPM and RPM are the capacity for which Meter holds.
	PTU   int            `json:"ptu,omitempty"`
	TPM   int            `json:"tpm,omitempty"`
	RPM   int            `json:"rpm,omitempty"`
	Speed speed.State    `json:"speed"`
	Meter capacity.State `json:"meter"`
}

// keysPerPart bounds the work of one call of Learned.
const keysPerPart = 64

// MakeRoom allocates space for the next part, so that adding it is quick. It does
// not need the driver's lock.
func (l *Learned) MakeRoom() { l.Keys = slices.Grow(l.Keys, keysPerPart) }

// Learned adds a part of what the engine has learned to l, and reports whether
// there is more. l is the zero value before the first call, and all calls for one
// state pass the same now. There are parts so that the driver holds its lock only
// briefly; changes between two parts may or may not be included.
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

// Restored is what an engine has restored from a state.
type Restored struct {
	Age         time.Duration // of the state
	Deployments int           // restored
	Measured    int           // of them, those with enough responses to budget with
	Keys        int           // callers' routes restored
	Left        int           // deployments and keys not restored
}

// Learn restores what an engine had learned when l was saved, as if it had run
// since without traffic. Call it on an engine that has served nothing. A
// deployment is restored when its name, model and kind are the same, and its
// meter's findings when its capacity is too. of reports whether a caller still
// exists. A state of another version or from the future gives ErrLearned; parts
// that are not valid are skipped.
func (e *Engine) Learn(now time.Time, l *Learned, of func(caller string) bool) (Restored, error) {
	age := now.Sub(l.At)
	switch {
	case l.Version != LearnedVersion:
		return Restored{}, fmt.Errorf("%w: it has version %d, this is %d", ErrLearned, l.Version, LearnedVersion)
	case age < -futureSlack:
		return Restored{}, fmt.Errorf("%w: it was saved %v from now", ErrLearned, -age)
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
