package loadgen

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// outcome is how a call ended.
type outcome uint8

const (
	complete   outcome = iota
	truncated          // a valid response that was cut short, not by its client
	throttled          // 429
	timedOut           // 408
	failed             // another status
	broken             // no connection, a response that broke off or does not parse
	gaveUp             // the client's own timeout
	unfinished         // the run was interrupted first
	outcomes
)

// answered reports whether the client got a response that it can use.
func (o outcome) answered() bool { return o == complete || o == truncated }

// tally counts what becomes of calls. It is safe for concurrent use.
type tally struct {
	mu        sync.Mutex
	began     time.Time
	lastStart time.Time
	total     group
	classes   map[string]*group

	inFlight, peak, heldBack int
	attempts, retries        int
	retried                  int // calls
	statuses                 map[int]int
	failures                 map[string]int
	messages                 map[message]int

	streamed, spilled, noUsage  int
	prompt, cached, completion  int // tokens
	lateness, tbt, tpot         timings
	ttftFromSend, e2eFromSend   timings
	droppedMessages, otherClass int
}

// message is one text of an error.
type message struct {
	status int // 0 without a response
	text   string
}

// group is what is counted of a class as well as of all.
type group struct {
	offered, good int
	by            [outcomes]int
	ttft, e2e     timings // from intended start
}

// Limits of what a long run may keep.
const (
	maxClasses  = 20
	maxMessages = 20
)

func newTally() *tally {
	return &tally{
		classes: map[string]*group{}, statuses: map[int]int{}, failures: map[string]int{}, messages: map[message]int{},
		total: newGroup(), lateness: newTimings(), tbt: newTimings(), tpot: newTimings(),
		ttftFromSend: newTimings(), e2eFromSend: newTimings(),
	}
}

func newGroup() group { return group{ttft: newTimings(), e2e: newTimings()} }

// timings is a distribution of durations, exact to three digits.
type timings struct{ h *hdrhistogram.Histogram }

// A timing is recorded in microseconds; longer ones than this count as this.
const longestTiming = 2 * time.Hour

func newTimings() timings {
	return timings{hdrhistogram.New(1, longestTiming.Microseconds(), 3)}
}

func (t timings) add(d time.Duration) {
	_ = t.h.RecordValue(min(max(d, 0), longestTiming).Microseconds()) // within its range
}

func (t *tally) begin(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.began, t.lastStart = now, now
}

// holdBack counts a call that had to wait for room.
func (t *tally) holdBack() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heldBack++
}

// start counts a call that starts at now, late after its intended start.
func (t *tally) start(now time.Time, late time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lastStart = now
	t.total.offered++
	t.inFlight++
	t.peak = max(t.peak, t.inFlight)
	t.lateness.add(late)
}

// record takes in gaps between the chunks of a stream.
func (t *tally) record(gaps []time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range gaps {
		t.tbt.add(g)
	}
}

// attempted counts an attempt: the status of its response, or what failed.
func (t *tally) attempted(res *result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.attempts++
	if res.status != 0 {
		t.statuses[res.status]++
	}
	if res.failure != "" {
		t.failures[res.failure]++
	}
	if res.message == "" {
		return
	}
	m := message{res.status, res.message}
	if _, known := t.messages[m]; known || len(t.messages) < maxMessages {
		t.messages[m]++
	} else {
		t.droppedMessages++
	}
}

// addResult counts a call that has ended.
func (t *tally) addResult(x *exchange) {
	res := &x.res
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inFlight--
	t.retries += res.retries
	if res.retries > 0 {
		t.retried++
	}
	for _, g := range x.gaps {
		t.tbt.add(g)
	}
	good := res.good(x.due, x.run.opt.Objective)
	t.total.addResult(res, x.due, good)
	class := t.class(x.call.Class)
	class.offered++
	class.addResult(res, x.due, good)
	if !res.first.IsZero() {
		t.ttftFromSend.add(res.first.Sub(res.sent))
	}
	if !res.outcome.answered() {
		return
	}
	t.e2eFromSend.add(res.end.Sub(res.sent))
	if tpot, ok := res.tpot(); ok {
		t.tpot.add(tpot)
	}
	if res.streamed {
		t.streamed++
	}
	if res.spilled {
		t.spilled++
	}
	if !res.usage.Known {
		t.noUsage++
	}
	t.prompt += res.usage.Prompt
	t.cached += res.usage.Cached
	t.completion += res.outputTokens()
}

// class returns the group of a class; the one that is not named when there are
// too many.
func (t *tally) class(name string) *group {
	g := t.classes[name]
	if g == nil && len(t.classes) >= maxClasses {
		t.otherClass++
		name = ""
		g = t.classes[name]
	}
	if g == nil {
		fresh := newGroup()
		g = &fresh
		t.classes[name] = g
	}
	return g
}

func (g *group) addResult(res *result, due time.Time, good bool) {
	g.by[res.outcome]++
	if good {
		g.good++
	}
	if !res.first.IsZero() {
		g.ttft.add(res.first.Sub(due))
	}
	if res.outcome.answered() {
		g.e2e.add(res.end.Sub(due))
	}
}

// settled is how many calls have ended by themselves.
func (g *group) settled() int {
	n := 0
	for o, count := range g.by {
		if outcome(o) != unfinished {
			n += count
		}
	}
	return n
}

// errors is how many of them got no response.
func (g *group) errors() int { return g.settled() - g.by[complete] - g.by[truncated] }

// outputTokens is what the response held: as reported, or our own count.
func (res *result) outputTokens() int {
	if res.usage.Known {
		return res.usage.Completion
	}
	return res.tokens
}

// tpot is the mean time between the tokens of a stream.
func (res *result) tpot() (time.Duration, bool) {
	n := res.outputTokens()
	if res.first.IsZero() || n < 2 {
		return 0, false
	}
	return res.end.Sub(res.first) / time.Duration(n-1), true
}

// good reports whether the response is complete and within the objective.
func (res *result) good(due time.Time, want Objective) bool {
	if res.outcome != complete || want.Window > 0 && res.end.Sub(due) > want.Window {
		return false
	}
	if want.TTFT > 0 && !res.first.IsZero() && res.first.Sub(due) > want.TTFT {
		return false
	}
	tpot, ok := res.tpot()
	return want.TBT == 0 || !ok || tpot <= want.TBT
}
