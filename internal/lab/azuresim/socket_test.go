package azuresim

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// On a real socket a reset is a reset, not a polite end.
func TestResetOnSocket(t *testing.T) {
	cfg := steadyFleet()
	cfg.TimeScale = 1000
	cfg.Faults = []fleet.Fault{{Kind: fleet.FaultReset, AtToken: 5}}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	defer h.Close()
	r := &rig{t: t, client: h.Client()}
	r.client.Transport = &http.Transport{DialContext: dialTo(h)}
	defer r.client.CloseIdleConnections()
	resp, err := r.post(t.Context(), chatPath("ptu"), streamOf100)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("error %v, want a reset", err)
	}
}

// A client that leaves is noticed, whatever the stream waits for.
func TestCancelOnSocket(t *testing.T) {
	cfg := steadyFleet()
	cfg.Faults = []fleet.Fault{{Kind: fleet.FaultStallAfterHeaders}}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.ServeHTTP(w, req)
		close(ended)
	}))
	defer h.Close()
	r := &rig{t: t, client: &http.Client{Transport: &http.Transport{DialContext: dialTo(h)}}}
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := r.post(ctx, chatPath("ptu"), streamOf100)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	resp.Body.Close()
	<-ended // otherwise it would not end at all
	if st, _ := s.Stats("ptu"); st.Canceled != 1 || st.InFlight != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestTooLarge(t *testing.T) {
	s, err := New(steadyFleet())
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	req := httptest.NewRequest("POST", chatPath("ptu"), io.LimitReader(strings.NewReader(strings.Repeat(" ", maxBody+1)), maxBody+1))
	req.Header.Set("api-key", "azure")
	s.ServeHTTP(w, req)
	if w.Code != 413 || w.Body.String() != bodyTooLarge {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
