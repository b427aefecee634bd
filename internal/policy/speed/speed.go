// Package speed learns how fast one deployment answers: quantiles of the time
// to first token (TTFT) and of the mean time between tokens (TBT) of a whole
// response, by load band.
//
// A response of n tokens takes TTFT + (n-1)·TBT, so the time left turns into
// tokens by the quantile of the per-response *mean* TBT. The mean over all gaps
// would be too fast for half of the responses: a mean of 9.6 ms with a log-sigma
// of 0.56 has its 0.99 quantile at 9.6·exp(2.326·0.56-0.56²/2) = 30.2 ms.
package speed

import (
	"time"

	"github.com/spillway-ai/spillway/internal/stat"
)

// The figures used while nothing has been measured.
const (
	// DefaultTTFT is the high quantile of TTFT of an unknown deployment.
	DefaultTTFT = 2 * time.Second
	// DefaultTokensPerSecond is the contractual speed of a model whose target
	// is unknown: that of gpt-4o-mini, one of the lowest published.
	DefaultTokensPerSecond = 33.0
	// FastestTTFT and FastestTBT (500 tokens/s) are faster than any
	// deployment we know of, so that they rule out only the impossible.
	FastestTTFT = 50 * time.Millisecond
	FastestTBT  = 2 * time.Millisecond
)

// minTokens is the least number of tokens whose mean TBT is learned. Services
// send tokens in batches (content filters hold them back), so the mean over a
// few tokens says where the batches fell, not how fast the model is.
const minTokens = 15

// fastest is the quantile that Fastest responses.
const fastest = 0.01

// Config says how much evidence is enough. Zero fields mean those of Defaults.
type Config struct {
	// MinSamples is the number of responses in a load band below which the band
	// has too few data.
	MinSamples int
	// Decay is how long a response is remembered.
	Decay time.Duration
}

// Defaults returns the values that zero fields take: 300 samples put three
// responses beyond the 0.99 quantile.
func Defaults() Config { return Config{MinSamples: 300, Decay: 10 * time.Minute} }

func (c Config) minSamples() int {
	if c.MinSamples <= 0 {
		return Defaults().MinSamples
	}
	return c.MinSamples
}

func (c Config) decay() time.Duration {
	if c.Decay <= 0 {
		return Defaults().Decay
	}
	return c.Decay
}

// Model is what has been learned about one deployment. It is not safe for
// concurrent use and allocates nothing after New.
type Model struct {
	minSamples int
	contract   float64 // seconds per token
	ttft, tbt  bands   // seconds
}

// New returns a model without measurements. floorTokensPerSecond is the
// contractual speed of one response; 0 means DefaultTokensPerSecond.
func New(cfg Config, floorTokensPerSecond float64) *Model {
	if floorTokensPerSecond <= 0 {
		floorTokensPerSecond = DefaultTokensPerSecond
	}
	return &Model{
		minSamples: cfg.minSamples(),
		contract:   1 / floorTokensPerSecond,
		ttft:       newBands(cfg.decay()),
		tbt:        newBands(cfg.decay()),
	}
}

// ObserveTTFT learns the time from an attempt's start to its first token.
// load is the deployment's utilization when the attempt started.
func (m *Model) ObserveTTFT(now time.Time, load float64, ttft time.Duration) {
	m.ttft.add(now, load, ttft.Seconds())
}

// ObserveTBT learns the mean time between the tokens of one response, measured
// over that many tokens after its first delta. Fewer than 15 are ignored. Answers
// that were cut count too: without the slow ones, the deployment would look
// fast.
func (m *Model) ObserveTBT(now time.Time, load float64, mean time.Duration, tokens int) {
	if tokens < minTokens {
		return
	}
	m.tbt.add(now, load, mean.Seconds())
}

// TTFT returns the q-quantile (0–1) of the time to first token at a load.
// While there are few data, it is the slower of DefaultTTFT and what was observed.
func (m *Model) TTFT(now time.Time, load, q float64) time.Duration {
	return m.quantile(now, &m.ttft, load, q, DefaultTTFT.Seconds())
}

// TBT returns the q-quantile (0–1) of the per-response mean time between tokens
// at a load. While there are few data, it is the slower of the contractual speed
// and what was observed.
func (m *Model) TBT(now time.Time, load, q float64) time.Duration {
	return m.quantile(now, &m.tbt, load, q, m.contract)
}

// Fastest returns a TTFT and a TBT that almost no response is faster than: the 0.01
// quantile at any load, and at least as fast as FastestTTFT and FastestTBT
// while there are few data. What does not fit at this speed does not fit at all.
func (m *Model) Fastest(now time.Time) (ttft, tbt time.Duration) {
	return m.low(now, m.ttft.all, FastestTTFT), m.low(now, m.tbt.all, FastestTBT)
}

// Typical returns the measured medians of TTFT and TBT at a load. Without a
// measurement it assumes the fastest.
func (m *Model) Typical(now time.Time, load float64) (ttft, tbt time.Duration) {
	return m.median(now, &m.ttft, load, FastestTTFT), m.median(now, &m.tbt, load, FastestTBT)
}

func (m *Model) median(now time.Time, b *bands, load float64, unknown time.Duration) time.Duration {
	v, n := b.band[bandOf(load)].Quantile(now, 0.5)
	if n < m.minSamples {
		if v, n = b.all.Quantile(now, 0.5); n == 0 {
			return unknown
		}
	}
	return duration(v)
}

// quantile returns the band's quantile; that of all bands where the band has few
// data; and the slower of that and the contract where all bands together do.
func (m *Model) quantile(now time.Time, b *bands, load, q, contract float64) time.Duration {
	v, n := b.band[bandOf(load)].Quantile(now, q)
	if n < m.minSamples {
		if v, n = b.all.Quantile(now, q); n < m.minSamples {
			v = max(v, contract)
		}
	}
	return duration(v)
}

func (m *Model) low(now time.Time, s *stat.Quantiles, unknown time.Duration) time.Duration {
	v, n := s.Quantile(now, fastest)
	if n == 0 {
		return unknown
	}
	if n < m.minSamples {
		return min(duration(v), unknown)
	}
	return duration(v)
}

// bands holds the measurements of one quantity.
type bands struct {
	decay time.Duration
	all   *stat.Quantiles
	band  [3]*stat.Quantiles
}

func newBands(decay time.Duration) bands {
	b := bands{decay: decay, all: stat.NewQuantiles(decay)}
	for i := range b.band {
		b.band[i] = stat.NewQuantiles(decay)
	}
	return b
}

func (b *bands) add(now time.Time, load, v float64) {
	b.all.Add(now, v)
	b.band[bandOf(load)].Add(now, v)
}

// bandOf splits utilization where latency starts to rise and where it rises
// fast.
func bandOf(load float64) int {
	switch {
	case load < 0.5:
		return 0
	case load < 0.8:
		return 1
	}
	return 2
}

func duration(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second))
}
