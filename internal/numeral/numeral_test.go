package numeral

import "testing"

func TestNumerals(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{Whole(0), "0"},
		{Whole(-0.4), "0"},
		{Whole(999.6), "1,000"},
		{Whole(-1234567), "−1,234,567"},
		{Exact(0), "0"},
		{Exact(0.1 + 0.2), "0.3"},
		{Exact(2.5e-7), "0.00000025"},
		{Exact(999), "999"},
		{Exact(-1000), "−1,000"},
		{Exact(1234567.8), "1,234,570"},
		{Exact(1234.5), "1,234.5"},
		{Significant(0, 3), "0"},
		{Significant(0.012345, 2), "0.012"},
		{Significant(9.996, 3), "10.0"},
		{Significant(98765, 2), "98,765"},
		{Share(0), "0"},
		{Share(0.0193), "1.93%"},
		{Share(0.00017), "0.017%"},
		{Share(0.5), "50.0%"},
		{Share(1e-9), "<0.0001%"},
		{USD(0), "$0"},
		{USD(0.000123), "$0.00012"},
		{USD(0.0999), "$0.100"},
		{USD(0.25), "$0.25"},
		{USD(12), "$12.00"},
		{USD(1.995), "$2.00"},
		{USD(1234567.891), "$1,234,567.89"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %s, want %s", tc.got, tc.want)
		}
	}
}
