package spillway

import "testing"

// The attempt that the client heard of.
func TestRecordAnswer(t *testing.T) {
	failed := FailureBroken
	tests := []struct {
		name     string
		attempts []Attempt
		want     string
	}{
		{"none", nil, ""},
		{"one", []Attempt{{Deployment: "a"}}, "a"},
		{"after a failure", []Attempt{{Deployment: "a", Class: failed, End: 1}, {Deployment: "b", End: 2}}, "b"},
		{"the hedge lost", []Attempt{{Deployment: "a", End: 9}, {Deployment: "b", End: 5, Hedge: true}}, "a"},
		{"the hedge failed late", []Attempt{{Deployment: "a", End: 5}, {Deployment: "b", End: 9, Class: failed}}, "a"},
		{"all failed", []Attempt{{Deployment: "a", End: 5, Class: failed}, {Deployment: "b", End: 9, Class: failed}}, "b"},
	}
	for _, tt := range tests {
		got := ""
		if a := (&Record{Attempts: tt.attempts}).Answer(); a != nil {
			got = a.Deployment
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
