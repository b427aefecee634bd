package loadgen

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/workload"
)

// Steady is a workload of equal calls at a constant rate.
type Steady struct {
	Rate     float64 // calls per second
	Duration time.Duration
	Even     bool // equal gaps; otherwise those of independent clients (Poisson)
	Call     workload.Call
	Seed     uint64
}

// Source returns the workload, from its start.
func (s Steady) Source() (workload.Source, error) {
	var errs []error
	if !(s.Rate > 0) || math.IsInf(s.Rate, 0) {
		errs = append(errs, fmt.Errorf("rate %v must be positive", s.Rate))
	}
	if s.Duration <= 0 {
		errs = append(errs, fmt.Errorf("duration %v must be positive", s.Duration))
	}
	if s.Call.PromptTokens < 1 || s.Call.OutputTokens < 1 || s.Call.MaxTokens < 0 {
		errs = append(errs, errors.New("prompt and output tokens must be at least 1, and limits must not be negative"))
	}
	return &steadySource{Steady: s, random: rand.New(rand.NewPCG(s.Seed, 2))}, errors.Join(errs...)
}

type steadySource struct {
	Steady
	random *rand.Rand
	at     float64 // seconds
}

// Next implements workload.Source.
func (s *steadySource) Next() (workload.Call, error) {
	call := s.Call
	call.At = time.Duration(s.at * float64(time.Second))
	if call.At >= s.Duration {
		return workload.Call{}, io.EOF
	}
	if s.Even {
		s.at += 1 / s.Rate
	} else {
		s.at += s.random.ExpFloat64() / s.Rate
	}
	return call, nil
}
