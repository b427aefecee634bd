package fleet

import (
	"math"
	"math/rand/v2"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/stat"
)

// Server is the state of one deployment. It is not safe for concurrent use,
// and its methods want times that do not go back.
type Server struct {
	d      Deployment
	start  time.Time
	seed   uint64
	own    *rand.Rand // the deployment's own sequence
	source rand.PCG   // of seeded, set anew for every request that brings a seed
	seeded *rand.Rand
	faults []Fault

	ptu      bucket
	tokens   *window // shared by the deployments of one quota
	requests *window // shared likewise
	prompts  decayed // input-token equivalents of prompts
	decode   float64 // input-token equivalents per second of responses in flight
	cache    cache
	flights  flights
	counts   Counts
	verdict  Verdict // under way
}

// NewServer returns an idle deployment. Its randomness depends only on the
// seed and the deployment's name; fault schedules and minutes count from start.
func NewServer(d Deployment, seed uint64, start time.Time) *Server {
	d = d.WithDefaults()
	for _, c := range []byte(d.Name) {
		seed = stat.Mix(seed ^ uint64(c))
	}
	s := &Server{d: d, start: start, seed: seed, own: rand.New(rand.NewPCG(seed, stat.Mix(seed)))}
	s.seeded = rand.New(&s.source)
	s.ptu = bucket{drain: d.drain(), full: d.drain() * d.MeterDepth.Seconds(), at: start}
	s.tokens = &window{period: time.Minute, limit: d.TPM, end: start.Add(time.Minute)}
	s.requests = &window{period: d.RPMWindow, end: start.Add(d.RPMWindow)}
	if d.RPM > 0 {
		s.requests.limit = max(1, int(float64(d.RPM)*d.RPMWindow.Minutes()))
	}
	s.prompts.at = start
	return s
}

// Deployment returns the configuration with its defaults filled in.
func (s *Server) Deployment() Deployment { return s.d }

// SetFaults replaces the fault schedule. The server keeps the slice.
func (s *Server) SetFaults(faults []Fault) { s.faults = faults }

// Offer decides about a request. An accepted one counts against capacity until
// Complete is called with its plan's ID.
func (s *Server) Offer(now time.Time, ask Ask) Verdict {
	s.advance(now)
	s.counts.Offered++
	ask.Choices = max(1, ask.Choices)
	rng := s.own
	if ask.Seed != 0 {
		s.source.Seed(s.seed, ask.Seed)
		rng = s.seeded
	}
	v := &s.verdict
	*v = Verdict{Status: 200}
	s.strike(now, rng, ask.ServiceTier, v)
	if s.d.Kind == spillway.Standard {
		s.requests.used++ // unsuccessful requests count too
	}
	if v.Status != 200 {
		v.Reason = RefusedFault
		s.counts.Faulted++
	} else if v.Reason, v.RetryAfter = s.refusal(now, &ask); v.Reason != Accepted {
		v.Status = 429
		v.RetryAfter = roundUp(v.RetryAfter, s.d.RetryRound)
		s.counts.Refused++
	} else {
		s.accept(now, rng, &ask, &v.Plan)
	}
	v.Limits = s.limits(now)
	return *v
}

// Complete ends an accepted request that has produced that many output tokens
// over all its choices, and corrects what was reserved for it. An unknown ID
// is ignored, so that ending twice is harmless.
func (s *Server) Complete(now time.Time, id uint64, produced int) {
	f, ok := s.flights.remove(id)
	if !ok {
		return
	}
	s.advance(now)
	s.decode -= f.rate
	if s.flights.count() == 0 {
		s.decode = 0 // sheds rounding
	}
	if s.d.Kind == spillway.Provisioned {
		s.ptu.add(s.d.OutputRatio*float64(produced) - f.reserved)
	}
	s.counts.Completed++
	s.counts.OutputTokens += produced
}

// State returns the deployment as of now.
func (s *Server) State(now time.Time) State {
	s.advance(now)
	st := State{Load: s.load(), InFlight: s.flights.count(), Counts: s.counts}
	if s.d.Kind == spillway.Provisioned {
		st.Utilization = s.ptu.utilization()
	} else if s.tokens.limit > 0 {
		st.Utilization = float64(s.tokens.used) / float64(s.tokens.limit)
	}
	return st
}

func (s *Server) advance(now time.Time) {
	s.prompts.advance(now)
	if s.d.Kind == spillway.Provisioned {
		s.ptu.advance(now)
		return
	}
	s.tokens.advance(now)
	s.requests.advance(now)
}

// load is the work done per second against the provisioned capacity: responses
// in flight at their own pace, plus prompts of the last seconds. Reservations
// do not slow anything down, so it is not the meter's utilization.
func (s *Server) load() float64 {
	if s.ptu.drain <= 0 {
		return s.d.Service.Load.Reference
	}
	return max(s.decode+s.prompts.perSecond(), 0) / s.ptu.drain // rates added and taken away may round below zero
}

// tooLargeRetry is what the service says of a request that is larger than the
// deployment's TPM, according to several public reports: it never fits.
const tooLargeRetry = 24 * time.Hour

// refusal is the meters' response to one more request.
func (s *Server) refusal(now time.Time, ask *Ask) (Reason, time.Duration) {
	if s.d.Kind == spillway.Provisioned {
		if s.ptu.utilization() > 1 {
			return RefusedCapacity, s.ptu.wait()
		}
		return Accepted, 0
	}
	if s.requests.limit > 0 && s.requests.used > s.requests.limit {
		return RefusedRequests, s.requests.reset(now)
	}
	if limit := s.tokens.limit; limit > 0 && ask.PromptTokens+s.reserve(ask) > limit {
		return RefusedTokens, tooLargeRetry
	}
	if s.tokens.full() {
		return RefusedTokens, s.tokens.reset(now)
	}
	return Accepted, 0
}

// accept fills the plan, which faults have already marked, and charges for it.
func (s *Server) accept(now time.Time, rng *rand.Rand, ask *Ask, p *Plan) {
	s.counts.Accepted++
	s.counts.PromptTokens += ask.PromptTokens
	p.Choices, p.chunk = ask.Choices, s.d.ChunkTokens
	p.CachedTokens = min(s.cache.match(now, ask.Prefix), ask.PromptTokens)
	s.drawLength(rng, ask, p)
	s.drawPace(rng, ask, p)

	p.Status, p.End = 200, p.last()
	if w := s.d.CompletionWindow; !ask.Stream && w > 0 && p.End > w {
		p.Status, p.End = 408, w
	}
	s.charge(ask, p)
}

// charge reserves capacity for an accepted request.
func (s *Server) charge(ask *Ask, p *Plan) {
	reserve := s.reserve(ask)
	f := flight{reserved: s.d.OutputRatio * float64(reserve)}
	if p.OutputTokens > 0 && p.TBT > 0 {
		f.rate = s.d.OutputRatio * float64(ask.Choices) / p.TBT.Seconds()
	}
	prompt := float64(ask.PromptTokens - p.CachedTokens)
	s.prompts.sum += prompt
	s.decode += f.rate
	if s.d.Kind == spillway.Provisioned {
		s.ptu.add(prompt + s.d.CachedRatio*float64(p.CachedTokens) + f.reserved)
	} else {
		s.tokens.used += ask.PromptTokens + reserve
	}
	p.ID = s.flights.add(f)
}

// reserve is how many output tokens are reserved for a request.
func (s *Server) reserve(ask *Ask) int {
	if ask.Prefill {
		return 0
	}
	if ask.MaxTokens == 0 {
		return s.d.DefaultOutput * ask.Choices
	}
	return ask.MaxTokens * ask.Choices
}

// drawLength fixes how many tokens each choice has and why it ends.
func (s *Server) drawLength(rng *rand.Rand, ask *Ask, p *Plan) {
	if ask.Prefill {
		p.Finish = spillway.FinishStop
		return
	}
	visible := ask.OutputTokens
	drawn := rng.NormFloat64()
	if visible < 0 {
		visible = max(1, int(s.d.OutputMedian*math.Exp(s.d.OutputSigma*drawn)))
	}
	if s.d.Reasoning {
		hidden := 64 * (1 + int(4*rng.ExpFloat64()))
		if p.ReasoningTokens = ask.ReasoningTokens; p.ReasoningTokens < 0 {
			p.ReasoningTokens = hidden
		}
	}
	limit := s.d.MaxOutput
	if ask.MaxTokens > 0 {
		limit = min(limit, ask.MaxTokens)
	}
	p.OutputTokens, p.Finish = p.ReasoningTokens+visible, spillway.FinishStop
	if p.OutputTokens > limit {
		p.OutputTokens, p.Finish = limit, spillway.FinishLength
		p.ReasoningTokens = min(p.ReasoningTokens, limit)
	}
}

// drawPace fixes when the tokens come. The per-request mean TBT is lognormal
// around the service's mean; TTFT is lognormal around its median.
func (s *Server) drawPace(rng *rand.Rand, ask *Ask, p *Plan) {
	sv, slow := &s.d.Service, max(p.Slow, 0)
	if slow == 0 {
		slow = 1
	}
	u := s.load()
	mean := sv.TBTMean.Seconds() * sv.Load.Relative(u) * slow
	tbt := mean * math.Exp(sv.TBTSigma*rng.NormFloat64()-sv.TBTSigma*sv.TBTSigma/2)
	ttft := sv.TTFT.Seconds() * sv.Load.At(u) * math.Exp(sv.TTFTSigma*rng.NormFloat64())
	ttft += float64(ask.PromptTokens-p.CachedTokens) / sv.PrefillTokensPerSecond
	p.TBT = time.Duration(tbt * float64(time.Second))
	p.TTFT = time.Duration(ttft * slow * float64(time.Second))
	p.Headers = p.TTFT / 2
	p.jitter = rng.Uint64()
	if p.Stall.Headers {
		p.Headers += p.Stall.For
	}
}

// limits describes capacity after the request was counted.
func (s *Server) limits(now time.Time) Limits {
	if s.d.Kind == spillway.Provisioned {
		return Limits{Utilization: s.ptu.utilization()}
	}
	l := Limits{Utilization: -1, TPM: s.d.TPM, RPM: s.d.RPM}
	l.RemainingTokens, l.ResetTokens = s.tokens.remaining(), s.tokens.reset(now)
	l.RemainingRequests, l.ResetRequests = s.requests.remaining(), s.requests.reset(now)
	return l
}
