package numeral

import "testing"

func TestProse(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{Percent(0), "0%"},
		{Percent(0.00001), "<0.01%"},
		{Percent(0.0001), "0.01%"},
		{Percent(0.0176), "1.76%"},
		{Percent(0.075), "7.5%"},
		{Percent(0.09999), "10.0%"},
		{Percent(0.27), "27%"},
		{Percent(1), "100%"},
		{Decimals(-0.41, 2), "−0.41"},
		{Decimals(2, 1), "2.0"},
		{Signed(12.4), "+12"},
		{Signed(-1234), "−1,234"},
		{Signed(0), "0"},
		{Seconds(0.25), "250 ms"},
		{Seconds(1.5), "1.5 s"},
		{Seconds(60), "60 s"},
		{Seconds(119.96), "120 s"},
		{Seconds(120), "2 min"},
		{Seconds(3600), "60 min"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
}
