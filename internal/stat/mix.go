package stat

// Mix spreads the bits of x over all 64, one to one: the finalizer of
// SplitMix64. Neighboring seeds and counters become numbers that look
// unrelated. It is no protection against chosen values.
func Mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
