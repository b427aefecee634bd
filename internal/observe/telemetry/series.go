package telemetry

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/observe/genai"
)

// The sizes of the enumerations that label series, one more than the last.
const (
	numOutcomes    = int(spillway.OutcomeClientGone) + 1
	numFailures    = int(spillway.FailureUnreadable) + 1
	numSpills      = int(spillway.SpillSlow) + 1
	numTruncations = int(spillway.TruncatedDeadline) + 1
)

// bounded is i, or 0 where it is out of range.
func bounded(i uint8, size int) int {
	if int(i) < size {
		return int(i)
	}
	return 0
}

const (
	// maxSeries bounds the combinations of labels of one cache.
	maxSeries = 1024
	// other is every label of the combinations beyond it.
	other = "other"
)

// seriesKey is a combination of labels.
type seriesKey struct {
	pool, class, model, provider, deployment string
	api                                      spillway.API
	outcome                                  spillway.Outcome
}

// otherKey is the combination that counts for those beyond maxSeries. It is
// constant.
var otherKey = seriesKey{pool: other, class: other, model: other, provider: other, deployment: other}

// cache maps label combinations to their series. Reading takes no lock; a new
// combination copies the map. The zero value is empty. Safe for concurrent use.
type cache[S any] struct {
	series atomic.Pointer[map[seriesKey]S]
	mu     sync.Mutex // one copier at a time
}

// get returns the series of key, or false when there are none yet.
func (c *cache[S]) get(key seriesKey) (S, bool) {
	if at := c.series.Load(); at != nil {
		s, ok := (*at)[key]
		return s, ok
	}
	var none S
	return none, false
}

// add makes the series of key, or finds those of otherKey when there are too
// many already.
func (c *cache[S]) add(key seriesKey, build func(seriesKey) S) S {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := map[seriesKey]S{}
	if at := c.series.Load(); at != nil {
		known = *at
	}
	if s, ok := known[key]; ok {
		return s
	}
	if len(known) >= maxSeries {
		if s, ok := known[otherKey]; ok {
			return s
		}
		key = otherKey
	}
	next := make(map[seriesKey]S, len(known)+1)
	maps.Copy(next, known)
	key = key.clone()
	s := build(key)
	next[key] = s
	c.series.Store(&next)
	return s
}

// clone frees the key of the buffers that its strings point into.
func (k seriesKey) clone() seriesKey {
	k.pool, k.class, k.model = label(k.pool), label(k.class), label(k.model)
	k.provider, k.deployment = label(k.provider), label(k.deployment)
	return k
}

// label is s as a label value: valid UTF-8.
func label(s string) string { return strings.Clone(strings.ToValidUTF8(s, "\ufffd")) }

// poolSeries are the series of one pool and class.
type poolSeries struct {
	requests       [numOutcomes]prometheus.Counter
	spills         [numSpills]prometheus.Counter      // nil for none
	truncated      [numTruncations]prometheus.Counter // as spills
	granted, queue prometheus.Observer

	attained, retries, hedges prometheus.Counter
}

// countRetries counts the attempts after the first.
func (s *poolSeries) countRetries(attempts []spillway.Attempt) {
	for i := range attempts {
		switch {
		case attempts[i].Hedge:
			s.hedges.Inc()
		case i > 0:
			s.retries.Inc()
		}
	}
}

func (m *Metrics) pool(pool, class string) *poolSeries {
	key := seriesKey{pool: pool, class: class}
	if s, ok := m.pools.get(key); ok {
		return s
	}
	return m.pools.add(key, m.buildPool)
}

// buildPool makes every outcome at once, so that a rate over one that has not
// happened yet is 0 and not absent.
func (m *Metrics) buildPool(k seriesKey) *poolSeries {
	s := &poolSeries{
		granted: m.vecs.granted.WithLabelValues(k.pool, k.class),
		queue:   m.vecs.queue.WithLabelValues(k.pool, k.class),

		attained: m.vecs.attained.WithLabelValues(k.pool, k.class),
		retries:  m.vecs.retries.WithLabelValues(k.pool, k.class),
		hedges:   m.vecs.hedges.WithLabelValues(k.pool, k.class),
	}
	for i, outcome := range spillway.Outcomes() {
		s.requests[i] = m.vecs.requests.WithLabelValues(k.pool, k.class, outcome.String())
	}
	for i := range s.spills {
		if reason := spillway.SpillReason(i); reason != spillway.SpillNone {
			s.spills[i] = m.vecs.spills.WithLabelValues(k.pool, reason.String())
		}
	}
	for i := range s.truncated {
		if cause := spillway.Truncation(i); cause != spillway.TruncatedNot {
			s.truncated[i] = m.vecs.truncated.WithLabelValues(k.pool, k.class, cause.String())
		}
	}
	return s
}

// callSeries are the series that the conventions for generative AI name, of
// one outcome. All but the duration are shared by the outcomes.
type callSeries struct {
	duration, input, output, first, perOutput prometheus.Observer
}

func (m *Metrics) call(r *spillway.Record) *callSeries {
	key := seriesKey{pool: r.Pool, class: r.Class, api: r.API, outcome: r.Outcome, provider: m.provider(r)}
	if r.Pool != "" { // otherwise the model is any text of a client
		key.model = r.Model
	}
	if s, ok := m.calls.get(key); ok {
		return s
	}
	return m.calls.add(key, m.buildCall)
}

// provider is that of the last deployment tried.
func (m *Metrics) provider(r *spillway.Record) string {
	if m.cfg.Provider == nil || len(r.Attempts) == 0 {
		return genai.DefaultProvider
	}
	return m.cfg.Provider(r.Attempts[len(r.Attempts)-1].Deployment)
}

func (m *Metrics) buildCall(k seriesKey) *callSeries {
	operation := genai.Operation(k.api)
	with := func(v *prometheus.HistogramVec, more ...string) prometheus.Observer {
		return v.WithLabelValues(append([]string{k.pool, k.class, operation, k.provider, k.model}, more...)...)
	}
	return &callSeries{
		duration:  with(m.vecs.duration, genai.Error(k.outcome)),
		input:     with(m.vecs.tokens, genai.TokenInput),
		output:    with(m.vecs.tokens, genai.TokenOutput),
		first:     with(m.vecs.first),
		perOutput: with(m.vecs.perOutput),
	}
}

// trySeries are the series of one deployment.
type trySeries struct {
	attempts [numFailures]prometheus.Counter
	suspect  prometheus.Counter
}

func (m *Metrics) attemptSeries(deployment string) *trySeries {
	key := seriesKey{deployment: deployment}
	if s, ok := m.tries.get(key); ok {
		return s
	}
	return m.tries.add(key, m.buildTry)
}

func (m *Metrics) buildTry(k seriesKey) *trySeries {
	s := &trySeries{suspect: m.vecs.suspect.WithLabelValues(k.deployment)}
	for i := range s.attempts {
		failure := spillway.FailureClass(i).String()
		if failure == "" {
			failure = "none"
		}
		s.attempts[i] = m.vecs.attempts.WithLabelValues(k.deployment, failure)
	}
	return s
}
