package stat

import "testing"

// The first numbers of SplitMix64 with seed 0, as its authors publish them.
func TestMix(t *testing.T) {
	const step = 0x9e3779b97f4a7c15
	for i, want := range []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f, 0xf88bb8a8724c81ec} {
		if got := Mix(uint64(i) * step); got != want {
			t.Errorf("number %d is %x, want %x", i, got, want)
		}
	}
}
