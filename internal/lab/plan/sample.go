package plan

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/models"
)

// The default part to simulate: the busiest part of the workload, of at
// most this length and so many calls.
const (
	defaultSample = 10 * time.Minute
	sampleCalls   = 100_000
)

// slot is the grain in which the busiest part is looked for.
const slot = 10 * time.Second

// amount is what calls amount to.
type amount struct {
	calls         int
	input, output float64 // tokens
}

func (a *amount) add(b amount) {
	a.calls += b.calls
	a.input += b.input
	a.output += b.output
}

// work is the amount in input-token equivalents.
func (a *amount) work(m *models.Model) float64 { return a.input + m.OutputRatio*a.output }

// survey is what a first reading finds: the amounts of every slot, by model.
type survey struct {
	slots map[string][]amount
	first time.Duration
	last  time.Duration
}

// Bounds of what a survey remembers.
const (
	maxModels = 64 // distinct models
	maxSpan   = 366 * 24 * time.Hour
)

// look reads a workload to its end.
func look(src workload.Source) (*survey, error) {
	s := &survey{slots: map[string][]amount{}, first: -1}
	for {
		c, err := src.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the workload: %w", err)
		}
		if s.first < 0 {
			s.first = c.At
		}
		s.last = c.At
		if c.At-s.first > maxSpan {
			return nil, fmt.Errorf("the workload is longer than %d days", maxSpan/(24*time.Hour))
		}
		i := int((c.At - s.first) / slot)
		of := s.slots[c.Model]
		if of == nil && len(s.slots) == maxModels {
			return nil, fmt.Errorf("the workload names more than %d models", maxModels)
		}
		if n := i + 1 - len(of); n > 0 {
			of = append(of, make([]amount, n)...)
		}
		of[i].add(amountOf(&c))
		s.slots[c.Model] = of
	}
	if s.first < 0 {
		return nil, workload.ErrEmpty
	}
	return s, nil
}

func amountOf(c *workload.Call) amount {
	output := c.OutputTokens
	if c.MaxTokens > 0 {
		output = min(output, c.MaxTokens)
	}
	return amount{1, float64(c.PromptTokens), float64(output)}
}

// model is the model to plan for: the one asked for, or the only one named.
func (s *survey) model(asked string) (string, error) {
	if asked != "" {
		return asked, nil
	}
	named := slices.DeleteFunc(slices.Sorted(maps.Keys(s.slots)), func(m string) bool { return m == "" })
	switch len(named) {
	case 0:
		return "", errors.New("the workload names no model: set --model")
	case 1:
		return named[0], nil
	}
	return "", fmt.Errorf("the workload has the models %s: set --model to one of them", strings.Join(named, ", "))
}

// counts reports whether calls that name a model are a part of the plan for
// another: their own, and those that name none. When the workload does not
// name the plan's model, all are.
func (s *survey) counts(named, planned string) bool {
	return named == "" || named == planned || s.slots[planned] == nil
}

// merged is the amounts of the slots of all calls that count.
func (s *survey) merged(model string) []amount {
	out := make([]amount, int((s.last-s.first)/slot)+1)
	for named, of := range s.slots {
		if s.counts(named, model) {
			for i := range of {
				out[i].add(of[i])
			}
		}
	}
	return out
}

// part is a part of a workload: what comes at from or later, before until.
type part struct {
	from, until time.Duration
	amount
}

func (p *part) span() time.Duration { return p.until - p.from }

// whole is all of the workload.
func (s *survey) whole(slots []amount) part {
	p := part{from: s.first, until: max(s.last, s.first+time.Second) + 1}
	for i := range slots {
		p.add(slots[i])
	}
	return p
}

// busiest is the part of that length with the most work.
func (s *survey) busiest(slots []amount, length time.Duration, m *models.Model) part {
	n := max(1, int(length/slot))
	if n >= len(slots) {
		return s.whole(slots)
	}
	var sum, best amount
	at := 0
	for i := range slots {
		sum.add(slots[i])
		if i >= n {
			sum.add(amount{-slots[i-n].calls, -slots[i-n].input, -slots[i-n].output})
		}
		if i == n-1 || i >= n && cmp.Compare(sum.work(m), best.work(m)) > 0 {
			best, at = sum, i-n+1
		}
	}
	from := s.first + time.Duration(at)*slot
	return part{from, from + time.Duration(n)*slot, best}
}

// choose is the part to simulate: the whole, the busiest of a length, or where
// length is zero the busiest that stays within the bounds.
func (s *survey) choose(slots []amount, whole bool, length time.Duration, m *models.Model) part {
	if whole {
		return s.whole(slots)
	}
	if length > 0 {
		return s.busiest(slots, length, m)
	}
	p := s.busiest(slots, defaultSample, m)
	for p.calls > sampleCalls && p.span() > 2*time.Minute {
		shorter := time.Duration(float64(p.span()) * sampleCalls / float64(p.calls))
		p = s.busiest(slots, max(2*time.Minute, min(shorter, p.span()-slot)), m)
	}
	return p
}

// cut reads the calls of a part; their times count from its beginning.
func (s *survey) cut(src workload.Source, p part, model string) ([]workload.Call, error) {
	calls := make([]workload.Call, 0, p.calls)
	for {
		c, err := src.Next()
		if errors.Is(err, io.EOF) || err == nil && c.At >= p.until {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the workload: %w", err)
		}
		if c.At < p.from || !s.counts(c.Model, model) {
			continue
		}
		c.At -= p.from
		c.Model = model
		calls = append(calls, c)
	}
	if len(calls) == 0 {
		return nil, fmt.Errorf("model %s: %w", model, workload.ErrEmpty)
	}
	return calls, nil
}
