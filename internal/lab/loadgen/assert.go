package loadgen

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Assertion is one demand on a report, such as "p99_e2e<5s".
type Assertion struct {
	Text  string  `json:"text"`
	Value float64 `json:"value"` // what was measured: milliseconds, a share, or per second
	Met   bool    `json:"met"`

	metric string
	op     string
	bound  float64
	none   bool // nothing was measured
}

// measures are what an assertion can be about, besides the distributions.
var measures = map[string]func(*Report) float64{
	"error_rate":     func(r *Report) float64 { return r.ErrorRate },
	"truncated_rate": func(r *Report) float64 { return r.Truncated },
	"spilled_rate":   func(r *Report) float64 { return r.Spilled },
	"attainment":     func(r *Report) float64 { return r.Attainment },
	"goodput_rps":    func(r *Report) float64 { return r.GoodputRPS },
	"offered_rps":    func(r *Report) float64 { return r.OfferedRPS },
	"retries":        func(r *Report) float64 { return float64(r.Retries) },
}

// distributions are the timings that an assertion can be about.
var distributions = map[string]func(*Report) Distribution{
	"ttft":      func(r *Report) Distribution { return r.TTFT.Intended },
	"ttft_sent": func(r *Report) Distribution { return r.TTFT.Sent },
	"tbt":       func(r *Report) Distribution { return r.TBT },
	"tpot":      func(r *Report) Distribution { return r.TPOT },
	"e2e":       func(r *Report) Distribution { return r.E2E.Intended },
	"e2e_sent":  func(r *Report) Distribution { return r.E2E.Sent },
	"lateness":  func(r *Report) Distribution { return r.Lateness },
}

// statistics are the ends of a distribution's assertion.
var statistics = map[string]func(Distribution) float64{
	"mean": func(d Distribution) float64 { return d.Mean },
	"p50":  func(d Distribution) float64 { return d.P50 },
	"p90":  func(d Distribution) float64 { return d.P90 },
	"p95":  func(d Distribution) float64 { return d.P95 },
	"p99":  func(d Distribution) float64 { return d.P99 },
	"p999": func(d Distribution) float64 { return d.P999 },
	"max":  func(d Distribution) float64 { return d.Max },
}

// ParseAssertions reads demands separated by commas. Each is a metric, one of
// < <= > >=, and a value: a duration for times, a number or a percentage for
// shares, a number else.
func ParseAssertions(text string) ([]Assertion, error) {
	var all []Assertion
	var errs []error
	for part := range strings.SplitSeq(text, ",") {
		a, err := parseAssertion(strings.TrimSpace(part))
		if err != nil {
			errs = append(errs, err)
		}
		all = append(all, a)
	}
	return all, errors.Join(errs...)
}

func parseAssertion(text string) (Assertion, error) {
	at := strings.IndexAny(text, "<>")
	if at < 0 {
		return Assertion{}, fmt.Errorf("assertion %q has no < or >: write it as in p99_e2e<5s", text)
	}
	a := Assertion{Text: text, metric: strings.TrimSpace(text[:at]), op: text[at : at+1]}
	value := text[at+1:]
	if rest, ok := strings.CutPrefix(value, "="); ok {
		a.op, value = a.op+"=", rest
	}
	value = strings.TrimSpace(value)
	var err error
	switch _, of, timed := timing(a.metric); {
	case timed:
		var d time.Duration
		if d, err = time.ParseDuration(value); err != nil {
			err = fmt.Errorf("assertion %q: %s needs a duration such as 250ms or 5s, got %q", text, of, value)
		}
		a.bound = float64(d) / float64(time.Millisecond)
	case measures[a.metric] == nil:
		err = fmt.Errorf("assertion %q: unknown metric %q: use one of %s, or {p50,p90,p95,p99,p999,mean,max}_{%s}",
			text, a.metric, names(measures), strings.ReplaceAll(names(distributions), " ", ""))
	default:
		number, percent := strings.CutSuffix(value, "%")
		if a.bound, err = strconv.ParseFloat(strings.TrimSpace(number), 64); err != nil || math.IsNaN(a.bound) {
			err = fmt.Errorf("assertion %q: %q is neither a number nor a percentage", text, value)
		}
		if percent {
			a.bound /= 100
		}
	}
	return a, err
}

// timing takes the metric of a distribution apart.
func timing(metric string) (statistic, of string, ok bool) {
	statistic, of, ok = strings.Cut(metric, "_")
	return statistic, of, ok && statistics[statistic] != nil && distributions[of] != nil
}

// Check holds the report against the assertions, enters what came out, and
// reports whether all are met. A time that was never measured meets none.
func (r *Report) Check(all []Assertion) bool {
	met := true
	r.Assertions = make([]Assertion, 0, len(all))
	for _, a := range all {
		measured := r.Offered > 0
		if statistic, of, ok := timing(a.metric); ok {
			d := distributions[of](r)
			a.Value, measured = statistics[statistic](d), d.Count > 0
		} else {
			a.Value = measures[a.metric](r)
		}
		a.none = !measured
		a.Met = measured && holds(a.Value, a.op, a.bound)
		met = met && a.Met
		r.Assertions = append(r.Assertions, a)
	}
	return met
}

func holds(value float64, op string, bound float64) bool {
	switch op {
	case "<":
		return value < bound
	case "<=":
		return value <= bound
	case ">":
		return value > bound
	}
	return value >= bound
}
