package loadgen

import (
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/memnet"
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

// runVirtual replays src in a bubble of testing/synctest against a server in
// memory.
func runVirtual(t *testing.T, h http.Handler, opt Options, src workload.Source) (report *Report, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var network memnet.Net
		server := &http.Server{Handler: h}
		socket := network.Listen("server.test")
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(socket) })
		opt.Endpoint = "http://server.test"
		r, newErr := New(opt)
		if newErr != nil {
			t.Fatal(newErr)
		}
		r.transport.DialContext = network.Dial
		report, err = r.Run(t.Context(), src)
		server.Close()
		serving.Wait()
	})
	return report, err
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
