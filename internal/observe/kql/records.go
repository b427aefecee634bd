package kql

import "strings"

// Records are the tables of a record store: a row of requests for each
// request, and a row of attempts for each try at a deployment. docs/QUERY.md
// describes the columns.
func Records() []Table {
	return []Table{
		{Name: "requests", Columns: requestColumns(), Time: "time"},
		{Name: "attempts", Columns: attemptColumns(), Time: "request_time"},
	}
}

// AttemptsView is the SQL that makes attempts of the nested column of requests.
const AttemptsView = `SELECT "id" AS "request_id", "time" AS "request_time", "caller", "tenant", "class", "model", "number", "attempt".* ` +
	`FROM (SELECT "id", "time", "caller", "tenant", "class", "model", generate_subscripts("attempts", 1) AS "number", unnest("attempts") AS "attempt" FROM "requests")`

// EmptyView is the SQL of the table without a row.
func (t Table) EmptyView() string {
	all := make([]string, len(t.Columns))
	for i, col := range t.Columns {
		all[i] = "CAST(NULL AS " + sqlTypes[col.Type] + ") AS " + quote(col.Name)
	}
	return "SELECT " + strings.Join(all, ", ") + " WHERE false"
}

// columnsOf are columns of one type.
func columnsOf(t Type, names ...string) []Column {
	all := make([]Column, len(names))
	for i, name := range names {
		all[i] = Column{Name: name, Type: t}
	}
	return all
}

func concat(parts ...[]Column) []Column {
	var all []Column
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

func requestColumns() []Column {
	return concat(
		columnsOf(Datetime, "time"),
		columnsOf(String, "id", "pool", "caller", "tenant", "class", "model", "route", "api", "policy", "traceparent"),
		columnsOf(Bool, "stream", "structured", "tools"),
		columnsOf(Long, "choices"),
		columnsOf(String, "service_tier"),
		columnsOf(Long, "client_retry", "ask_tokens", "prompt_estimate_tokens"),
		columnsOf(Real, "window_ms", "ttft_objective_ms", "tbt_objective_ms"),
		columnsOf(String, "mode"),
		columnsOf(Long, "budget_tokens"),
		columnsOf(String, "budget_basis"),
		columnsOf(Long, "grant_tokens", "observed_grant_tokens"),
		columnsOf(String, "spill", "truncated", "finish", "outcome", "refusal"),
		columnsOf(Long, "status"),
		columnsOf(Real, "queue_ms", "ttft_ms", "e2e_ms", "tbt_mean_ms", "tbt_max_ms"),
		columnsOf(Long, "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens"),
		columnsOf(Bool, "usage_known", "usage_suspect"),
		columnsOf(String, "deployment", "region", "kind"),
		columnsOf(Long, "tier"),
		columnsOf(Real, "utilization_ratio", "cost_usd"),
		columnsOf(Long, "attempt_count", "cache_write_tokens"),
		columnsOf(String, "response_service_tier", "error"),
	)
}

func attemptColumns() []Column {
	return concat(
		columnsOf(String, "request_id"),
		columnsOf(Datetime, "request_time"),
		columnsOf(String, "caller", "tenant", "class", "model"),
		columnsOf(Long, "number"),
		columnsOf(String, "deployment", "region", "kind"),
		columnsOf(Long, "tier"),
		columnsOf(Real, "start_ms", "end_ms", "ttft_ms"),
		columnsOf(Long, "status"),
		columnsOf(String, "failure"),
		columnsOf(Real, "retry_after_ms"),
		columnsOf(Long, "grant_tokens", "tokens"),
		columnsOf(Real, "utilization_ratio", "cost_usd"),
		columnsOf(Bool, "hedge"),
		columnsOf(String, "served_by", "response_service_tier"),
		columnsOf(Real, "reset_tokens_ms", "reset_requests_ms"),
		columnsOf(String, "upstream_request_id", "served_region", "error"),
	)
}
