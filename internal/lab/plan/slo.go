package plan

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/report"
)

// SLO is a service level: every condition has to hold.
type SLO []Condition

// Condition is one demand on a summary, such as "408<0.1%" or "p99_e2e<30s".
type Condition struct {
	Text string
	term string  // canonical: rate_408, ttft_p95
	op   string  // < <= > >=
	at   float64 // the bound: a share, or milliseconds
}

// ConditionResult is how a condition did: the worst value of several runs.
type ConditionResult struct {
	Text  string  `json:"text"`
	Bound float64 `json:"bound"` // a share, or milliseconds
	Value float64 `json:"value"`
	Met   bool    `json:"met"`
	// Margin is how much of what the condition allows was left, 1 for all of it;
	// it is negative where the condition was missed. A lower bound of a share
	// allows what is missing from the whole.
	Margin float64 `json:"margin"`
}

// share is a term that is a share of something.
type share struct {
	name, short string
	of          func(*report.Summary) float64
}

// shares is constant.
var shares = [...]share{
	{"rate_408", "408", func(s *report.Summary) float64 { return s.Rate408 }},
	{"rate_429", "429", func(s *report.Summary) float64 { return s.Rate429 }},
	{"error_rate", "errors", func(s *report.Summary) float64 { return s.ErrorRate }},
	{"truncated_rate", "truncated", func(s *report.Summary) float64 { return s.TruncatedRate }},
	{"spilled_rate", "spilled", func(s *report.Summary) float64 { return s.SpilledRate }},
	{"complete_rate", "complete", func(s *report.Summary) float64 { return s.CompleteRate }},
	{"attainment", "attainment", func(s *report.Summary) float64 { return s.Attainment }},
}

// timing is a term with percentiles.
type timing struct {
	name string
	of   func(*report.Summary) report.Percentiles
}

// timings is constant.
var timings = [...]timing{
	{"ttft", func(s *report.Summary) report.Percentiles { return s.TTFT }},
	{"tbt", func(s *report.Summary) report.Percentiles { return s.TBT }},
	{"e2e", func(s *report.Summary) report.Percentiles { return s.E2E }},
	{"call_e2e", func(s *report.Summary) report.Percentiles { return s.CallE2E }},
}

// terms says what a condition can be about.
const terms = "408, 429, errors, truncated, spilled, complete, attainment, or p50, p95, p99 of ttft, tbt, e2e, call_e2e such as p99_e2e"

// ParseSLO reads conditions separated by commas. Each is a term, one of < <= > >=,
// and a bound: a percentage or a number within 0 and 1 for shares, a duration
// for times. The error names every bad condition and the column where it begins.
func ParseSLO(text string) (SLO, error) {
	var slo SLO
	var errs []error
	column := 1
	for part := range strings.SplitSeq(text, ",") {
		condition, err := parseCondition(strings.TrimSpace(part))
		if err != nil {
			indent := len(part) - len(strings.TrimLeft(part, " \t"))
			errs = append(errs, fmt.Errorf("column %d: %w", column+indent, err))
		}
		slo = append(slo, condition)
		column += len(part) + 1
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return slo, nil
}

func parseCondition(text string) (Condition, error) {
	at := strings.IndexAny(text, "<>")
	if at < 0 {
		return Condition{}, fmt.Errorf("%q has no < or >: write it as in 408<0.1%%", text)
	}
	l := Condition{Text: text, op: text[at : at+1]}
	bound := text[at+1:]
	if rest, ok := strings.CutPrefix(bound, "="); ok {
		l.op, bound = l.op+"=", rest
	}
	name, bound := strings.TrimSpace(text[:at]), strings.TrimSpace(bound)
	for _, s := range shares {
		if name == s.name || name == s.short {
			l.term = s.name
			return l, l.setShare(text, bound)
		}
	}
	if l.term = timingTerm(name); l.term == "" {
		return l, fmt.Errorf("%q: unknown term %q: use %s", text, name, terms)
	}
	d, err := time.ParseDuration(bound)
	if err != nil || d <= 0 {
		return l, fmt.Errorf("%q: %q is not a positive duration such as 250ms or 30s", text, bound)
	}
	l.at = float64(d) / float64(time.Millisecond)
	return l, nil
}

func (l *Condition) setShare(text, bound string) error {
	number, percent := strings.CutSuffix(bound, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return fmt.Errorf("%q: %q is not a share from 0%% to 100%%, such as 0.1%% or 0.001", text, bound)
	}
	l.at = v
	return nil
}

// timingTerm returns the canonical form of p99_e2e or e2e_p99; "" for no such.
func timingTerm(name string) string {
	for _, t := range timings {
		for _, p := range []string{"p50", "p95", "p99"} {
			canonical := t.name + "_" + p
			if name == canonical || name == p+"_"+t.name {
				return canonical
			}
		}
	}
	return ""
}

// value is what a summary has of the condition; false where there are no data.
func (l *Condition) value(s *report.Summary) (float64, bool) {
	for _, share := range shares {
		if share.name == l.term {
			return share.of(s), s.Calls > 0
		}
	}
	for _, t := range timings {
		of, ok := strings.CutPrefix(l.term, t.name+"_")
		if !ok {
			continue
		}
		p := t.of(s)
		v := map[string]float64{"p50": p.P50, "p95": p.P95, "p99": p.P99}[of]
		return v, v > 0
	}
	return 0, false
}

// timed reports whether the condition is about a time.
func (l *Condition) timed() bool { return timingTerm(l.term) != "" }

// upper reports whether the bound is an upper one.
func (l *Condition) upper() bool { return l.op[0] == '<' }

// satisfied reports whether a value keeps the bound.
func (l *Condition) satisfied(v float64) bool {
	switch l.op {
	case "<":
		return v < l.at
	case "<=":
		return v <= l.at
	case ">":
		return v > l.at
	}
	return v >= l.at
}

// check holds the condition against a summary.
func (l *Condition) check(s *report.Summary) ConditionResult {
	v, measured := l.value(s)
	h := ConditionResult{Text: l.Text, Bound: l.at, Value: v, Met: measured && l.satisfied(v)}
	allowed, used := l.at, v
	if !l.upper() && !l.timed() {
		allowed, used = 1-l.at, 1-v
	} else if !l.upper() {
		used = 2*l.at - v
	}
	switch {
	case allowed > 0:
		h.Margin = max(-99, 1-used/allowed)
	case !h.Met:
		h.Margin = -99
	}
	if !h.Met {
		h.Margin = math.Min(h.Margin, 0)
	}
	return h
}

// Check holds the service level against summaries of several runs: each condition
// against the worst of them.
func (slo SLO) Check(runs ...*report.Summary) ([]ConditionResult, bool) {
	out := make([]ConditionResult, len(slo))
	met := true
	for i := range slo {
		for k, s := range runs {
			if h := slo[i].check(s); k == 0 || h.Margin < out[i].Margin || out[i].Met && !h.Met {
				out[i] = h
			}
		}
		met = met && out[i].Met
	}
	return out, met && len(runs) > 0
}

// String is the service level as it was written.
func (slo SLO) String() string {
	parts := make([]string, len(slo))
	for i := range slo {
		parts[i] = slo[i].Text
	}
	return strings.Join(parts, ",")
}
