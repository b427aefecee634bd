package loadgen

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Report is what a run measured. Its JSON is documented in docs/LOAD.md and
// stable: fields are added, never changed. Times are in milliseconds; rates
// without a unit are shares from 0 to 1.
type Report struct {
	Target      string  `json:"target"`
	API         string  `json:"api"`
	Workload    string  `json:"workload"` // as the caller of Run titles it
	Seed        uint64  `json:"seed"`
	Interrupted bool    `json:"interrupted"`
	WallSeconds float64 `json:"wall_seconds"`

	Offered      int            `json:"offered"` // calls that were started
	OfferedRPS   float64        `json:"offered_rps"`
	GoodputRPS   float64        `json:"goodput_rps"`
	Attainment   float64        `json:"attainment"` // good ones of those offered, without the unfinished
	Outcomes     map[string]int `json:"outcomes"`
	ErrorRate    float64        `json:"error_rate"`
	Truncated    float64        `json:"truncated_rate"`
	Spilled      float64        `json:"spilled_rate"`
	PeakInFlight int            `json:"peak_in_flight"`

	Attempts int            `json:"attempts"`
	Retries  int            `json:"retries"`
	Retried  int            `json:"retried"` // calls
	Statuses map[string]int `json:"statuses"`
	Failures map[string]int `json:"failures"`
	Messages []Message      `json:"messages"`

	PromptTokens     int     `json:"prompt_tokens"`
	CachedTokens     int     `json:"cached_tokens"`
	CompletionTokens int     `json:"completion_tokens"`
	TokensPerSecond  float64 `json:"completion_tokens_per_second"`

	TTFT     FromBoth     `json:"ttft_ms"`
	TBT      Distribution `json:"tbt_ms"`
	TPOT     Distribution `json:"tpot_ms"`
	E2E      FromBoth     `json:"e2e_ms"`
	Lateness Distribution `json:"lateness_ms"`

	Classes    []Class     `json:"classes"`
	Warnings   []string    `json:"warnings"`
	Assertions []Assertion `json:"assertions"`
}

// Message is what an error said, and how often.
type Message struct {
	Status int    `json:"status"` // 0 without a response
	Text   string `json:"text"`
	Count  int    `json:"count"`
}

// FromBoth is one latency from the intended start, which is what a client of
// the schedule would feel, and from the instant its call was sent.
type FromBoth struct {
	Intended Distribution `json:"intended"`
	Sent     Distribution `json:"sent"`
}

// Distribution is a distribution of times in milliseconds.
type Distribution struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

// Class is what became of one class of calls; times are from intended start.
type Class struct {
	Name       string       `json:"name"`
	Offered    int          `json:"offered"` // calls that ended
	Attainment float64      `json:"attainment"`
	ErrorRate  float64      `json:"error_rate"`
	Truncated  float64      `json:"truncated_rate"`
	TTFT       Distribution `json:"ttft_ms"`
	E2E        Distribution `json:"e2e_ms"`
}

// outcomeNames are the keys of Report.Outcomes.
var outcomeNames = [outcomes]string{
	"complete", "truncated", "throttled", "timeout", "http_error", "broken", "client_timeout", "unfinished",
}

// lateAfter is the lateness at the 99th percentile from which the generator is
// said to have been the bottleneck. Timers alone are late by 1 ms.
const lateAfter = 10 * time.Millisecond

// report returns what was measured until now.
func (t *tally) report(now time.Time) *Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	wall := now.Sub(t.began).Seconds()
	offering := t.lastStart.Sub(t.began).Seconds()
	if t.total.offered < 2 || offering <= 0 {
		offering = wall
	}
	answered := t.total.by[complete] + t.total.by[truncated]
	r := &Report{
		WallSeconds: wall,
		Offered:     t.total.offered, OfferedRPS: per(t.total.offered, offering), GoodputRPS: per(t.total.good, offering),
		Attainment: t.total.attainment(), ErrorRate: t.total.share(t.total.errors()), Truncated: t.total.share(t.total.by[truncated]),
		Spilled: share(t.spilled, answered), PeakInFlight: t.peak,
		Outcomes: map[string]int{}, Attempts: t.attempts, Retries: t.retries, Retried: t.retried,
		Statuses: map[string]int{}, Failures: map[string]int{}, Messages: []Message{},
		PromptTokens: t.prompt, CachedTokens: t.cached, CompletionTokens: t.completion, TokensPerSecond: per(t.completion, wall),
		TTFT: FromBoth{t.total.ttft.distribution(), t.ttftFromSend.distribution()},
		E2E:  FromBoth{t.total.e2e.distribution(), t.e2eFromSend.distribution()},
		TBT:  t.tbt.distribution(), TPOT: t.tpot.distribution(), Lateness: t.lateness.distribution(),
		Classes: []Class{}, Warnings: []string{}, Assertions: []Assertion{},
	}
	for o, name := range outcomeNames {
		r.Outcomes[name] = t.total.by[o]
	}
	for status, count := range t.statuses {
		r.Statuses[strconv.Itoa(status)] = count
	}
	maps.Copy(r.Failures, t.failures)
	for m, count := range t.messages {
		r.Messages = append(r.Messages, Message{m.status, m.text, count})
	}
	slices.SortFunc(r.Messages, func(a, b Message) int {
		return cmp.Or(b.Count-a.Count, a.Status-b.Status, cmp.Compare(a.Text, b.Text))
	})
	for name, g := range t.classes {
		r.Classes = append(r.Classes, g.class(name))
	}
	slices.SortFunc(r.Classes, func(a, b Class) int { return cmp.Compare(a.Name, b.Name) })
	t.warn(r, answered)
	return r
}

// warn says what makes the report mean less than it seems to.
func (t *tally) warn(r *Report, answered int) {
	say := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	if r.Offered == 0 {
		say("no call was started: the workload is empty, or the run was interrupted before the first call")
	}
	if t.heldBack > 0 {
		say("%d calls started late because --max-in-flight was reached: raise it if the target should accept more", t.heldBack)
	} else if late := time.Duration(r.Lateness.P99 * float64(time.Millisecond)); late > lateAfter {
		say("1 in 100 calls started more than %.3g ms late: this machine could not keep the schedule, so latencies from intended start include the load generator", r.Lateness.P99)
	}
	if n := t.failures[failureSockets]; n > 0 {
		say("%d attempts found no free socket on this machine: raise the limit (ulimit -n), or set --connections", n)
	}
	if n := t.total.by[unfinished]; n > 0 {
		say("%d calls did not end and are not in the rates, which therefore favor short calls", n)
	}
	if t.noUsage > 0 {
		say("%d of %d responses reported no usage: their tokens are counted chunks, or 0 for non-streaming responses", t.noUsage, answered)
	}
	if t.droppedMessages > 0 {
		say("%d errors had other texts than the %d that are kept", t.droppedMessages, maxMessages)
	}
	if t.otherClass > 0 {
		say("more than %d classes: %d calls of further classes are counted under the class without a name", maxClasses, t.otherClass)
	}
}

func (g *group) class(name string) Class {
	return Class{
		Name: name, Offered: g.offered, Attainment: g.attainment(), ErrorRate: g.share(g.errors()), Truncated: g.share(g.by[truncated]),
		TTFT: g.ttft.distribution(), E2E: g.e2e.distribution(),
	}
}

func (g *group) attainment() float64 { return g.share(g.good) }

// share is count of the calls that ended by themselves.
func (g *group) share(count int) float64 { return share(count, g.settled()) }

func share(count, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(count) / float64(of)
}

func per(count int, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(count) / seconds
}

func (t timings) distribution() Distribution {
	if t.h.TotalCount() == 0 {
		return Distribution{}
	}
	at := func(percentile float64) float64 { return float64(t.h.ValueAtPercentile(percentile)) / 1e3 }
	return Distribution{
		Count: t.h.TotalCount(), Mean: t.h.Mean() / 1e3, P50: at(50), P90: at(90), P95: at(95), P99: at(99), P999: at(99.9),
		Max: float64(t.h.Max()) / 1e3,
	}
}
