package store

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// attemptsName is the nested column, which stands last.
const attemptsName = "attempts"

type (
	record  = spillway.Record
	attempt = spillway.Attempt
)

// recordColumns are the columns of a request in the order of the file. The
// first is the time, which everything is sorted by.
var recordColumns = requestTable()

// attemptColumns are the fields of an element of attempts.
var attemptColumns = attemptTable()

func requestTable() []column[record] {
	var all []column[record]
	for _, part := range [][]column[record]{identity(), ask(), decision(), end(), usage(), answeredBy(), added()} {
		all = append(all, part...)
	}
	return all
}

func identity() []column[record] {
	return []column[record]{
		spreads(column[record]{
			name: "time", kind: instant,
			number:    func(r *record) (int64, bool) { return r.Time.UnixMicro(), true },
			setNumber: func(r *record, v int64) { r.Time = time.UnixMicro(v).UTC() },
		}),
		spreads(words("id", func(r *record) *string { return &r.ID })),
		words("pool", func(r *record) *string { return &r.Pool }),
		words("caller", func(r *record) *string { return &r.Caller }),
		words("tenant", func(r *record) *string { return &r.Tenant }),
		words("class", func(r *record) *string { return &r.Class }),
		words("model", func(r *record) *string { return &r.Model }),
		words("route", func(r *record) *string { return &r.Route }),
		names("api", func(r *record) *spillway.API { return &r.API }),
		words("policy", func(r *record) *string { return &r.Policy }),
		words("traceparent", func(r *record) *string { return &r.TraceParent }),
	}
}

func ask() []column[record] {
	return []column[record]{
		truth("stream", func(r *record) *bool { return &r.Stream }),
		truth("structured", func(r *record) *bool { return &r.Structured }),
		truth("tools", func(r *record) *bool { return &r.Tools }),
		count("choices", func(r *record) *int { return &r.Choices }),
		words("service_tier", func(r *record) *string { return &r.ServiceTier }),
		count("client_retry", func(r *record) *int { return &r.ClientRetry }),
		countOrNull("ask_tokens", func(r *record) *int { return &r.AskTokens }),
		count("prompt_estimate_tokens", func(r *record) *int { return &r.PromptEstimate }),
	}
}

func decision() []column[record] {
	return []column[record]{
		spanOrNull("window_ms", func(r *record) *time.Duration { return &r.Window }),
		spanOrNull("ttft_objective_ms", func(r *record) *time.Duration { return &r.TTFTObjective }),
		spanOrNull("tbt_objective_ms", func(r *record) *time.Duration { return &r.TBTObjective }),
		names("mode", func(r *record) *spillway.BudgetMode { return &r.Mode }),
		countOrNull("budget_tokens", func(r *record) *int { return &r.BudgetTokens }),
		names("budget_basis", func(r *record) *spillway.BudgetBasis { return &r.BudgetBasis }),
		countOrNull("grant_tokens", func(r *record) *int { return &r.GrantTokens }),
		countOrNull("observed_grant_tokens", func(r *record) *int { return &r.ObservedGrant }),
		names("spill", func(r *record) *spillway.SpillReason { return &r.Spill }),
	}
}

func end() []column[record] {
	return []column[record]{
		names("truncated", func(r *record) *spillway.Truncation { return &r.Truncated }),
		names("finish", func(r *record) *spillway.Finish { return &r.Finish }),
		names("outcome", func(r *record) *spillway.Outcome { return &r.Outcome }),
		{
			name: "refusal", kind: text,
			words:    func(r *record) string { return string(r.Refusal) },
			setWords: func(r *record, s string) { r.Refusal = spillway.RefusalCode(s) },
		},
		countOrNull("status", func(r *record) *int { return &r.Status }),
		span("queue_ms", func(r *record) *time.Duration { return &r.Queue }),
		spreads(spanOrNull("ttft_ms", func(r *record) *time.Duration { return &r.TTFT })),
		spreads(span("e2e_ms", func(r *record) *time.Duration { return &r.E2E })),
		spreads(spanOrNull("tbt_mean_ms", func(r *record) *time.Duration { return &r.TBTMean })),
		spreads(spanOrNull("tbt_max_ms", func(r *record) *time.Duration { return &r.TBTMax })),
	}
}

// tokens is a column of a usage. They are null together, where there was no usage at all.
func tokens(name string, field func(*spillway.Usage) *int) column[record] {
	return column[record]{
		name: name, kind: integer, optional: true,
		number: func(r *record) (int64, bool) {
			return int64(*field(&r.Usage)), r.Usage != spillway.Usage{}
		},
		setNumber: func(r *record, v int64) { *field(&r.Usage) = int(v) },
	}
}

func usage() []column[record] {
	return []column[record]{
		tokens("prompt_tokens", func(u *spillway.Usage) *int { return &u.Prompt }),
		tokens("cached_tokens", func(u *spillway.Usage) *int { return &u.Cached }),
		tokens("completion_tokens", func(u *spillway.Usage) *int { return &u.Completion }),
		tokens("reasoning_tokens", func(u *spillway.Usage) *int { return &u.Reasoning }),
		truth("usage_known", func(r *record) *bool { return &r.Usage.Known }),
		truth("usage_suspect", func(r *record) *bool { return &r.Usage.Suspect }),
	}
}

// answeredBy repeats, on the row of the request, what most questions want of
// the attempt that the client heard of.
func answeredBy() []column[record] {
	return []column[record]{
		answered("deployment", func(a *attempt) string { return a.Deployment }),
		answered("region", func(a *attempt) string { return a.Region }),
		answered("kind", func(a *attempt) string { return a.Kind.String() }),
		{name: "tier", kind: integer, optional: true, number: func(r *record) (int64, bool) {
			if a := r.Answer(); a != nil {
				return int64(a.Tier), true
			}
			return 0, false
		}},
		{name: "utilization_ratio", kind: ratio, optional: true, number: func(r *record) (int64, bool) {
			if a := r.Answer(); a != nil {
				return ratioBits(a.Utilization)
			}
			return 0, false
		}},
		{name: "cost_usd", kind: ratio, optional: true, spread: true, number: func(r *record) (int64, bool) {
			if usd, known := r.Cost(); known {
				return ratioBits(usd)
			}
			return 0, false
		}},
		{name: "attempt_count", kind: integer, number: func(r *record) (int64, bool) {
			return int64(len(r.Attempts)), true
		}},
	}
}

// answered is a column of text of that attempt.
func answered(name string, of func(*attempt) string) column[record] {
	return column[record]{name: name, kind: text, words: func(r *record) string {
		if a := r.Answer(); a != nil {
			return of(a)
		}
		return ""
	}}
}

// added are the columns that were added later: tables that were made before have theirs
// in the order of the file, and get new ones at their end.
func added() []column[record] {
	return []column[record]{
		tokens("cache_write_tokens", func(u *spillway.Usage) *int { return &u.CacheWrite }),
		answered("response_service_tier", func(a *attempt) string { return a.ServiceTier }),
		{name: "error", kind: text, words: (*record).Error},
	}
}

func attemptTable() []column[attempt] {
	return []column[attempt]{
		words("deployment", func(a *attempt) *string { return &a.Deployment }),
		words("region", func(a *attempt) *string { return &a.Region }),
		names("kind", func(a *attempt) *spillway.Kind { return &a.Kind }),
		count("tier", func(a *attempt) *int { return &a.Tier }),
		spreads(span("start_ms", func(a *attempt) *time.Duration { return &a.Start })),
		spreads(spanOrNull("end_ms", func(a *attempt) *time.Duration { return &a.End })),
		spreads(spanOrNull("ttft_ms", func(a *attempt) *time.Duration { return &a.TTFT })),
		countOrNull("status", func(a *attempt) *int { return &a.Status }),
		names("failure", func(a *attempt) *spillway.FailureClass { return &a.Class }),
		spanOrNull("retry_after_ms", func(a *attempt) *time.Duration { return &a.RetryAfter }),
		countOrNull("grant_tokens", func(a *attempt) *int { return &a.GrantTokens }),
		count("tokens", func(a *attempt) *int { return &a.Tokens }),
		share("utilization_ratio", func(a *attempt) *float64 { return &a.Utilization }),
		spreads(share("cost_usd", func(a *attempt) *float64 { return &a.CostUSD })),
		truth("hedge", func(a *attempt) *bool { return &a.Hedge }),
		words("served_by", func(a *attempt) *string { return &a.ServedBy }),
		words("response_service_tier", func(a *attempt) *string { return &a.ServiceTier }),
		spanOrNull("reset_tokens_ms", func(a *attempt) *time.Duration { return &a.ResetTokens }),
		spanOrNull("reset_requests_ms", func(a *attempt) *time.Duration { return &a.ResetRequests }),
		spreads(words("upstream_request_id", func(a *attempt) *string { return &a.UpstreamRequestID })),
		words("served_region", func(a *attempt) *string { return &a.ServedRegion }),
		words("error", func(a *attempt) *string { return &a.Error }),
	}
}
