package policy

import (
	"fmt"
	"math"
	"strings"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/breaker"
	"github.com/spillway-ai/spillway/internal/policy/capacity"
)

// Reason says, as a sentence, why a deployment gets requests or not, what that rests on,
// and what would change it.
func (d *DeploymentStatus) Reason(now time.Time) string {
	e := &d.Evidence
	parts := []string{mainReason(now, d)}
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if d.State == "open" || d.State == "half_open" {
		if wait := e.Until.Sub(now); wait > 0 {
			add("next probe in %v", tenths(wait))
		}
	} else {
		if text := opens(e); e.Failures > 0 {
			add("%s", text)
		}
		if e.Doubtful > 0 {
			add("%s that failed at other deployments too: not counted, but %d in a row of different callers, or %d of one over %v, open the breaker",
				counted(e.Doubtful, "request"), e.Limits.ConsecutiveFailures, breaker.ManyDoubts, breaker.DoubtPeriod)
		}
	}
	if q := d.Silence; q.Requests > 0 {
		whose, who := "", "one request"
		if q.OneCaller {
			whose, who = " of one caller", "one request of that caller"
		}
		add("silent: %s%s under way, none answered for %v; while other deployments can serve them, %s per second is sent here",
			counted(q.Requests, "request"), whose, tenths(now.Sub(q.Since)), who)
	}
	if e.Excluded > 0 {
		add("kinds of requests that only others serve and are sent there: %d", e.Excluded)
	}
	for i := range d.Pauses {
		parts = append(parts, pauseReason(now, &d.Pauses[i]))
	}
	return strings.Join(parts, "; ")
}

const lately = "in the last %v"

// mainReason is the first part of a reason.
func mainReason(now time.Time, d *DeploymentStatus) string {
	e := &d.Evidence
	since := ""
	if !e.OpenedAt.IsZero() {
		since = fmt.Sprintf(" for %v", tenths(now.Sub(e.OpenedAt)))
	}
	switch {
	case e.Ejected:
		return fmt.Sprintf("ejected%s, used only when no other deployment is left: it refused different requests that other deployments served%s", since, lastFailure(d))
	case d.State == "open":
		return fmt.Sprintf("open%s, used only when no other deployment is left: %s", since, opened(d))
	case d.State == "half_open":
		return fmt.Sprintf("open%s, gets %s at a time: %s", since, counted(max(e.Limits.Probes, 1), "probe"), opened(d))
	case d.Utilization >= d.SpillAt:
		text := fmt.Sprintf("full: utilization %.0f%%, spills at %.0f%%", 100*d.Utilization, 100*d.SpillAt)
		if e.Failures > 0 {
			text += "; " + failed(d, lately)
		}
		return text
	case e.Failures > 0:
		return "gets requests: " + failed(d, lately)
	case d.Tier > 0:
		return fmt.Sprintf("gets requests that tier %d cannot serve", d.Tier)
	}
	return "gets requests"
}

// opened says what opened a breaker.
func opened(d *DeploymentStatus) string {
	e := &d.Evidence
	if e.Doubtful > e.Failures {
		return fmt.Sprintf("%s failed in a row, most of them elsewhere too%s", counted(e.Doubtful+e.Failures, "request"), lastFailure(d))
	}
	return failed(d, "within %v before that")
}

// failed says how many requests failed, when, of whom, and how.
func failed(d *DeploymentStatus, when string) string {
	e := &d.Evidence
	requests := max(e.Requests, e.Failures)
	text := fmt.Sprintf("%d of %s failed "+when+" (%.0f%%)", e.Failures, counted(requests, "request"), e.Limits.Window, percent(e.Failures, requests))
	if e.Consecutive > 1 {
		text += fmt.Sprintf(", %d in a row", e.Consecutive)
	}
	if e.AllCallers > 0 {
		callers := counted(e.AllCallers, "caller")
		if e.AllCallers >= breaker.MaxCallers {
			callers = fmt.Sprintf("%d callers or more", e.AllCallers)
		}
		text += fmt.Sprintf(", from %d of %s", e.FailedCallers, callers)
	}
	return text + lastFailure(d)
}

// percent is a share in percent. It is rounded, but never to 0 or 100.
func percent(part, whole int) float64 {
	share := math.Round(100 * float64(part) / float64(max(whole, 1)))
	if part > 0 && part < whole {
		share = min(max(share, 1), 99)
	}
	return share
}

// opens says why a breaker with failures is closed, and what would open it.
func opens(e *breaker.Evidence) string {
	switch e.Spared {
	case breaker.SparedByCaller:
		return "not open, because one caller has the most failures and the requests of others succeed; opens when theirs fail too"
	case breaker.SparedByShape:
		return "not open, because one kind of request has the most failures and other kinds succeed; opens when those fail too"
	case breaker.SparedByBurst:
		return "not open yet; opens at the next failure, unless all have come within a second"
	}
	l := &e.Limits
	if e.Requests < l.MinRequests {
		return fmt.Sprintf("not open: opens at %d failures in a row, or %.0f%% of at least %d requests", l.ConsecutiveFailures, 100*l.ErrorRate, l.MinRequests)
	}
	return fmt.Sprintf("not open: opens at %.0f%%, or %d failures in a row", 100*l.ErrorRate, l.ConsecutiveFailures)
}

// pauseReason says who waits after a 429, and how long.
func pauseReason(now time.Time, p *capacity.Pause) string {
	text := "429: all requests"
	if p.Tokens > 0 {
		text = fmt.Sprintf("429: requests of %d tokens or more", p.Tokens)
	}
	if p.Tier != "" {
		text += " of service tier " + p.Tier
	}
	if p.OneCaller {
		text += " of one caller"
	}
	text += fmt.Sprintf(" wait %v", tenths(p.Until.Sub(now)))
	switch wait := p.CheckAt.Sub(now); {
	case p.CheckAt.IsZero(), !p.CheckAt.Before(p.Until):
	case wait > 0:
		text += fmt.Sprintf(" or less, one checks in %v", tenths(wait))
	default:
		text += " or less, the next one checks"
	}
	if p.Smaller {
		text += ", smaller ones are sent"
	}
	return text
}

// lastFailure describes the last failure, for the middle of a sentence.
func lastFailure(d *DeploymentStatus) string {
	f := d.LastFailure
	switch {
	case f.Class == spillway.FailureNone:
		return ""
	case f.Status > 0:
		return fmt.Sprintf(", the last with status %d (%s)", f.Status, f.Class)
	}
	if f.Error != "" {
		return fmt.Sprintf(", the last was %s (%s)", f.Class, f.Error)
	}
	return fmt.Sprintf(", the last was %s", f.Class)
}

// counted writes a number of things.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func tenths(d time.Duration) time.Duration { return d.Round(time.Second / 10) }
