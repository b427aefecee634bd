package fleet

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// ending is an accepted request's end in a simulation.
type ending struct {
	at     time.Duration
	id     uint64
	tokens int
}

type endings []ending

func (e endings) Len() int           { return len(e) }
func (e endings) Less(i, j int) bool { return e[i].at < e[j].at }
func (e endings) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *endings) Push(x any)        { *e = append(*e, x.(ending)) }
func (e *endings) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}

// A tenth of the reference incident, with plain Poisson arrivals: one request
// in fifty asks for 6,000 to 8,000 tokens, and those are what runs into the
// 60 s window while utilization stays healthy. A cap of 2,000 ends it.
func TestReferenceIncident(t *testing.T) {
	run := func(limit int) (timeouts, refusals, tbt float64) {
		d := Deployment{Deployment: spillway.Deployment{Name: "ptu", Model: "gpt-4o-mini", Kind: spillway.Provisioned, PTU: 320}}
		s := NewServer(d, 11, start)
		rng := rand.New(rand.NewPCG(1, 2))
		var open endings
		n, late, refused, sum := 0, 0, 0, 0.0
		for now := time.Duration(0); now < 300*time.Second; {
			now += time.Duration(rng.ExpFloat64() / 90 * float64(time.Second))
			for len(open) > 0 && open[0].at <= now {
				e := heap.Pop(&open).(ending)
				s.Complete(at(e.at), e.id, e.tokens)
			}
			ask := Ask{PromptTokens: int(455 * rng.ExpFloat64()), OutputTokens: 1 + int(67*rng.ExpFloat64()), MaxTokens: 4096}
			if rng.IntN(50) == 0 {
				ask.OutputTokens, ask.MaxTokens = 6000+rng.IntN(2000), 16_384
			}
			if limit > 0 {
				ask.MaxTokens = limit
			}
			n++
			v := s.Offer(at(now), ask)
			if v.Status != 200 {
				refused++
				continue
			}
			if v.Plan.Status == 408 {
				late++
			}
			sum += v.Plan.TBT.Seconds()
			heap.Push(&open, ending{now + v.Plan.End, v.Plan.ID, v.Plan.TokensAt(v.Plan.End)})
		}
		return float64(late) / float64(n), float64(refused) / float64(n), sum / float64(n-refused)
	}
	timeouts, refusals, tbt := run(0)
	t.Logf("without a cap: %.3f%% 408, %.3f%% 429, mean TBT %.2f ms", 100*timeouts, 100*refusals, 1000*tbt)
	if timeouts < 0.008 || timeouts > 0.021 || refusals > 0.02 || math.Abs(tbt-0.009) > 0.0015 {
		t.Error("that is not the incident")
	}
	timeouts, refusals, tbt = run(2000)
	t.Logf("capped at 2,000: %.3f%% 408, %.3f%% 429, mean TBT %.2f ms", 100*timeouts, 100*refusals, 1000*tbt)
	if timeouts > 0.0005 || refusals > 0 {
		t.Error("the cap does not help")
	}
}
