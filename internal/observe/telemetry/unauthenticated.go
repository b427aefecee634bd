package telemetry

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	spillway "github.com/spillway-ai/spillway"
)

// Sample passes on at most perSecond records in each second, and drops the others.
// It is safe for concurrent use.
func Sample(to Recorder, perSecond int) Recorder { return &sampler{to: to, perSecond: perSecond} }

type sampler struct {
	to        Recorder
	perSecond int

	mu     sync.Mutex
	second int64 // Unix time
	passed int   // in this second
}

// Record passes r on, or drops it.
func (s *sampler) Record(r *spillway.Record) {
	if s.pass(time.Now().Unix()) {
		s.to.Record(r)
	}
}

func (s *sampler) pass(second int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if second != s.second {
		s.second, s.passed = second, 0
	}
	if s.passed >= s.perSecond {
		return false
	}
	s.passed++
	return true
}

// unauthenticated counts the requests that were refused before their caller was
// known, by reason and like all requests.
type unauthenticated struct {
	m        *Metrics
	byStatus map[int]prometheus.Counter
	other    prometheus.Counter
}

// Unauthenticated returns the recorder of requests that were refused before their
// caller was known. Call it once.
func (m *Metrics) Unauthenticated() Recorder {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "spillway_unauthenticated_requests_total",
		Help: "Requests refused before their caller was known, by reason.",
	}, []string{"reason"})
	m.registry.MustRegister(vec)
	return &unauthenticated{m: m, other: vec.WithLabelValues(other), byStatus: map[int]prometheus.Counter{
		http.StatusUnauthorized:                vec.WithLabelValues("invalid_key"),
		http.StatusMethodNotAllowed:            vec.WithLabelValues("method"),
		http.StatusRequestHeaderFieldsTooLarge: vec.WithLabelValues("header_too_large"),
		http.StatusServiceUnavailable:          vec.WithLabelValues("overloaded"),
		spillway.StatusClientGone:              vec.WithLabelValues("client_gone"),
	}}
}

// Record counts r.
func (u *unauthenticated) Record(r *spillway.Record) {
	if counter, ok := u.byStatus[r.Status]; ok {
		counter.Inc()
	} else {
		u.other.Inc()
	}
	u.m.Record(r)
}
