package length

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

var stateEpoch = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

// restored is a model with what m knew, age later.
func restored(m *Model, age time.Duration) (_ *Model, taken int) {
	again := New(Config{})
	shared := m.Shared()
	again.RestoreShared(age, &shared)
	states, _ := m.AppendKeys(nil, stateEpoch, 0, m.Keys())
	for i := range states {
		if again.Restore(stateEpoch.Add(age), age, &states[i]) {
			taken++
		}
	}
	return again, taken
}

// What was learned is the same at once, is outweighed by a day's responses when
// it is of last week, and unused keys are forgotten.
func TestStateAges(t *testing.T) {
	m := New(Config{})
	old := m.Of(Key{"team", "chat"})
	for i := range 900 {
		old.Observe(stateEpoch, 1000+i%100)
		old.ObservePrompt(stateEpoch, 1000, 500)
	}
	idle := m.Of(Key{"idle", "chat"})
	idle.Observe(stateEpoch.Add(-3*24*time.Hour), 10)
	for _, tt := range []struct {
		age      time.Duration
		n, taken int
	}{
		{0, 900, 2},
		{time.Hour, 874, 2},
		{24 * time.Hour, 450, 2},
		{4 * 24 * time.Hour, 56, 1}, // idle for seven days
		{6 * 24 * time.Hour, 14, 1},
		{7 * 24 * time.Hour, 0, 0},
	} {
		again, taken := restored(m, tt.age)
		if taken != tt.taken {
			t.Errorf("after %v %d keys are restored, want %d", tt.age, taken, tt.taken)
		}
		s := again.Of(old.key)
		if tt.n == 0 {
			continue
		}
		entry := s.known()
		if entry == nil || entry.lengths.count() != tt.n {
			t.Errorf("after %v %+v answers are known, want %d", tt.age, entry, tt.n)
			continue
		}
		got, want := s.Quantile(0.5).Tokens, old.Quantile(0.5).Tokens
		if got < want*94/100 || got > want*106/100 || s.EstimatePrompt(4000) != old.EstimatePrompt(4000) {
			t.Errorf("after %v the median is %d and 4,000 bytes are %d, want %d and %d", tt.age, got, s.EstimatePrompt(4000), want, old.EstimatePrompt(4000))
		}
		if tt.age < 6*24*time.Hour {
			continue
		}
		for range 40 {
			s.Observe(stateEpoch.Add(tt.age), 100)
		}
		if got := s.Quantile(0.7); got.Tokens > 120 {
			t.Errorf("after %v and 40 answers of 100 tokens their 0.7 quantile is %+v", tt.age, got)
		}
	}
}

// What no model can have known, or that is too much, is left out.
func TestRestoreRefusesNonsense(t *testing.T) {
	for name, st := range map[string]KeyState{
		"nothing":                 {Caller: "a"},
		"a negative bucket":       {First: -1, Counts: []uint16{1}},
		"a bucket too far":        {First: binCount, Counts: []uint16{1}},
		"a bucket that wraps":     {First: 1<<63 - 1, Counts: []uint16{1}},
		"more answers than count": {Counts: []uint16{1000, 24}},
		"counts that wrap":        {Counts: []uint16{65535, 65535, 3}},
		"a cut bucket too far":    {CutFirst: binCount, CutCounts: []uint16{1}},
		"more than count, in sum": {Counts: []uint16{1000}, CutCounts: []uint16{24}},
		"a name without end":      {Caller: strings.Repeat("x", 600), Counts: []uint16{1}},
		"unused for weeks":        {Idle: 1000 * time.Hour, Counts: []uint16{1}},
		"of the future":           {Idle: -1, Counts: []uint16{1}},
		"absurd prompts":          {Tokens: 1e300, Bytes: 1},
		"prompts without bytes":   {Tokens: 1},
		"negative prompts":        {Tokens: -1, Bytes: -1},
	} {
		m := New(Config{})
		if m.Restore(stateEpoch, 0, &st) || m.Keys() > 0 {
			t.Errorf("%s is restored", name)
		}
	}
	full := New(Config{MaxKeys: 2})
	for i := range 3 {
		ok := full.Restore(stateEpoch, 0, &KeyState{Caller: fmt.Sprint(i), Counts: []uint16{1}})
		if ok != (i < 2) {
			t.Errorf("key %d of at most 2: %v", i, ok)
		}
	}
	if !full.Restore(stateEpoch, 0, &KeyState{Caller: "1", Counts: []uint16{2}}) {
		t.Error("a key that exists already is not restored")
	}
}

// Responses that were cut are restored as such, and age like the others.
func TestStateKeepsCutAnswers(t *testing.T) {
	m := New(Config{})
	old := m.Of(Key{"team", "chat"})
	for range 200 {
		old.Observe(stateEpoch, 100)
		old.ObserveAtLeast(stateEpoch, 3000)
	}
	for _, age := range []time.Duration{0, 24 * time.Hour} {
		again, _ := restored(m, age)
		s := again.Of(old.key)
		want := Estimate{Tokens: old.Quantile(0.9).Tokens, Answers: 400, Complete: 200, AtLeast: true}
		if age > 0 {
			want.Answers, want.Complete = 200, 100
		}
		if got := s.Quantile(0.9); got != want {
			t.Errorf("after %v: %+v, want %+v", age, got, want)
		}
		if got := s.Quantile(0.4); got.AtLeast || got.Tokens > 103 {
			t.Errorf("after %v: the 0.4 quantile is %+v, want about 100", age, got)
		}
	}
}
