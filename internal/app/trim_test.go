package app

import "testing"

func TestHolding(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		name           string
		before, now    holding
		calm, wasteful bool
	}{
		{"at rest", holding{allocated: 5 * mib}, holding{resident: 20 * mib, excess: 4 * mib, allocated: 5 * mib}, true, false},
		{"at work", holding{allocated: 5 * mib}, holding{resident: 120 * mib, excess: 70 * mib, allocated: 200 * mib}, false, true},
		{"after a burst", holding{allocated: 300 * mib}, holding{resident: 360 * mib, excess: 150 * mib, allocated: 308 * mib}, true, true},
		{"streams", holding{allocated: 300 * mib}, holding{resident: 200 * mib, excess: 20 * mib, allocated: 302 * mib}, true, false},
		{"after little work", holding{allocated: 60 * mib}, holding{resident: 40 * mib, excess: 25 * mib, allocated: 60 * mib}, true, false},
	} {
		if calm, wasteful := tt.now.calm(tt.before), tt.now.wasteful(); calm != tt.calm || wasteful != tt.wasteful {
			t.Errorf("%s: calm %t, wasteful %t; want %t, %t", tt.name, calm, wasteful, tt.calm, tt.wasteful)
		}
	}
}

func TestSubsided(t *testing.T) {
	for _, tt := range []struct {
		most, now uint64
		want      bool
	}{
		{0, 0, false},
		{1900, 10, false}, // few
		{20_000, 10_001, false},
		{20_000, 10_000, true},
		{2010, 10, true},
		{3000, 1001, false},
	} {
		if got := (holding{goroutines: tt.now}).subsided(tt.most); got != tt.want {
			t.Errorf("%d goroutines of %d: subsided %t, want %t", tt.now, tt.most, got, tt.want)
		}
	}
}

// TestTrim frees what a burst has left behind.
func TestTrim(t *testing.T) {
	before := readHolding()
	garbage := make([][]byte, 64)
	for i := range garbage {
		garbage[i] = make([]byte, 1<<20)
		for k := 0; k < len(garbage[i]); k += 4096 {
			garbage[i][k] = 1
		}
	}
	full := readHolding()
	if full.allocated-before.allocated < 64<<20 || full.calm(before) {
		t.Errorf("%d bytes were allocated of %d, calm %t", full.allocated-before.allocated, 64<<20, full.calm(before))
	}
	clear(garbage)
	trim()
	if left := readHolding(); left.resident+50<<20 > full.resident || left.wasteful() {
		t.Errorf("%d bytes are held of %d, %d of them in excess", left.resident, full.resident, left.excess)
	}
}

// TestTrimmerStops ends the trimmer with the collector.
func TestTrimmerStops(t *testing.T) {
	trimmer := startTrimmer()
	trimmer.stop()
	select {
	case <-trimmer.done:
	default:
		t.Error("it is still running")
	}
}
