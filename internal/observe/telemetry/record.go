package telemetry

import spillway "github.com/spillway-ai/spillway"

// AppendRecord appends r as one JSON object followed by a newline and returns
// the extended buffer. Empty members are left out; docs/RECORDS.md describes
// each member. It allocates only to grow dst.
func AppendRecord(dst []byte, r *spillway.Record) []byte {
	l := line{b: append(dst, '{')}
	appendIdentity(&l, r)
	appendAsk(&l, r)
	appendDecision(&l, r)
	appendEnd(&l, r)
	if u := r.Usage; u != (spillway.Usage{}) {
		l.key("usage")
		l.b = append(l.b, '{')
		l.integerAlways("prompt_tokens", u.Prompt)
		l.integer("cached_tokens", u.Cached)
		l.integer("cache_write_tokens", u.CacheWrite)
		l.integerAlways("completion_tokens", u.Completion)
		l.integer("reasoning_tokens", u.Reasoning)
		l.flag("known", u.Known)
		l.flag("suspect", u.Suspect)
		l.b = append(l.b, '}')
	}
	if len(r.Attempts) > 0 {
		if usd, known := r.Cost(); known {
			l.usd("cost_usd", usd)
		}
		l.key("attempts")
		l.b = append(l.b, '[')
		for i := range r.Attempts {
			appendAttempt(&l, &r.Attempts[i])
		}
		l.b = append(l.b, ']')
	}
	return append(l.b, '}', '\n')
}

func appendIdentity(l *line, r *spillway.Record) {
	l.str("id", r.ID)
	l.time("time", r.Time)
	l.str("pool", r.Pool)
	l.str("caller", r.Caller)
	l.str("tenant", r.Tenant)
	l.str("class", r.Class)
	l.str("model", r.Model)
	l.str("route", r.Route)
	l.str("api", r.API.String())
	l.str("policy", r.Policy)
	l.str("traceparent", r.TraceParent)
}

func appendAsk(l *line, r *spillway.Record) {
	l.flag("stream", r.Stream)
	l.flag("structured", r.Structured)
	l.flag("tools", r.Tools)
	if r.Choices > 1 {
		l.integer("choices", r.Choices)
	}
	l.str("service_tier", r.ServiceTier)
	l.integer("client_retry", r.ClientRetry)
	l.integer("ask_tokens", r.AskTokens)
	l.integer("prompt_estimate_tokens", r.PromptEstimate)
}

func appendDecision(l *line, r *spillway.Record) {
	l.ms("window_ms", r.Window)
	l.ms("ttft_objective_ms", r.TTFTObjective)
	l.ms("tbt_objective_ms", r.TBTObjective)
	l.str("mode", r.Mode.String())
	l.integer("budget_tokens", r.BudgetTokens)
	l.str("budget_basis", r.BudgetBasis.String())
	l.integer("grant_tokens", r.GrantTokens)
	l.integer("observed_grant_tokens", r.ObservedGrant)
	l.str("spill", r.Spill.String())
}

func appendEnd(l *line, r *spillway.Record) {
	l.str("truncated", r.Truncated.String())
	l.str("finish", r.Finish.String())
	l.str("outcome", r.Outcome.String())
	l.str("refusal", string(r.Refusal))
	l.str("error", r.Error())
	l.integer("status", r.Status)
	l.ms("queue_ms", r.Queue)
	l.ms("ttft_ms", r.TTFT)
	l.msAlways("e2e_ms", r.E2E)
	l.ms("tbt_mean_ms", r.TBTMean)
	l.ms("tbt_max_ms", r.TBTMax)
}

func appendAttempt(l *line, a *spillway.Attempt) {
	l.open()
	l.str("deployment", a.Deployment)
	l.str("region", a.Region)
	l.str("kind", a.Kind.String())
	l.integerAlways("tier", a.Tier)
	l.msAlways("start_ms", a.Start)
	l.ms("end_ms", a.End)
	l.ms("ttft_ms", a.TTFT)
	l.integer("status", a.Status)
	l.str("failure", a.Class.String())
	l.ms("retry_after_ms", a.RetryAfter)
	l.integer("grant_tokens", a.GrantTokens)
	l.integer("tokens", a.Tokens)
	l.ratio("utilization_ratio", a.Utilization)
	l.usd("cost_usd", a.CostUSD)
	l.flag("hedge", a.Hedge)
	l.str("served_by", a.ServedBy)
	l.str("response_service_tier", a.ServiceTier)
	l.ms("reset_tokens_ms", a.ResetTokens)
	l.ms("reset_requests_ms", a.ResetRequests)
	l.str("upstream_request_id", a.UpstreamRequestID)
	l.str("served_region", a.ServedRegion)
	l.str("error", a.Error)
	l.b = append(l.b, '}')
}
