package loadgen

import (
	"io"
	"testing"

	"github.com/spillway-ai/spillway/internal/lab/workload"
)

// run replays src.
func run(tb testing.TB, opt Options, src workload.Source) (*Report, error) {
	tb.Helper()
	r, err := New(opt)
	if err != nil {
		tb.Fatal(err)
	}
	return r.Run(tb.Context(), src)
}

// calls is a workload of the test's own.
type calls []workload.Call

// Next implements workload.Source.
func (c *calls) Next() (workload.Call, error) {
	if len(*c) == 0 {
		return workload.Call{}, io.EOF
	}
	call := (*c)[0]
	*c = (*c)[1:]
	return call, nil
}
