package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The answers of this file are computed from the rows in Go. They share nothing
// with the translation but what the language's documentation says.

// groups are rows by a key, in the key's order.
func groups[R any, K cmp.Ordered](rows []R, key func(R) K) (keys []K, of map[K][]R) {
	of = map[K][]R{}
	for _, r := range rows {
		of[key(r)] = append(of[key(r)], r)
	}
	return slices.Sorted(maps.Keys(of)), of
}

func where[R any](rows []R, keep func(R) bool) []R {
	var out []R
	for _, r := range rows {
		if keep(r) {
			out = append(out, r)
		}
	}
	return out
}

func total[R any](rows []R, of func(R) int) (sum int) {
	for _, r := range rows {
		sum += of(r)
	}
	return sum
}

func mean[R any](rows []R, of func(R) int) float64 {
	return float64(total(rows, of)) / float64(len(rows))
}

// rank is the percentile of the nearest rank.
func rank[R any](rows []R, share float64, of func(R) int) int {
	values := make([]int, len(rows))
	for i, r := range rows {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[max(int(math.Ceil(share*float64(len(values)))), 1)-1]
}

func deviation[R any](rows []R, of func(R) int) float64 {
	m, sum := mean(rows, of), 0.0
	for _, r := range rows {
		sum += (float64(of(r)) - m) * (float64(of(r)) - m)
	}
	return math.Sqrt(sum / float64(len(rows)-1))
}

func distinct[R any, K comparable](rows []R, key func(R) K) int {
	seen := map[K]bool{}
	for _, r := range rows {
		seen[key(r)] = true
	}
	return len(seen)
}

func slot(at time.Time, step time.Duration) time.Time { return at.Truncate(step) }

func took(r gatewayRow) int { return r.total }

func all(r tokenRow) int { return r.prompt + r.completion }

func caller(r gatewayRow) string { return r.caller }

func api(r gatewayRow) string { return r.api }

func throttled(r gatewayRow) bool { return r.code == 429 }

// expected are questions and, in the order of their rows, the answers.
func expected() []struct {
	query string
	want  [][]any
} {
	type one = struct {
		query string
		want  [][]any
	}
	rows, tokens, service := gatewayRows(), tokenRows(), serviceRows()
	byID := map[string]gatewayRow{}
	for _, r := range rows {
		byID[r.id] = r
	}
	var out []one
	add := func(query string, want [][]any) { out = append(out, one{query, want}) }

	add("ApiManagementGatewayLogs | where ResponseCode in (dynamic([408, 429])) | count", [][]any{{len(where(rows, func(r gatewayRow) bool { return r.code == 408 || r.code == 429 }))}})
	add("ApiManagementGatewayLogs | where ApiId in~ (split('CHAT', ',')) and LastErrorReason has_any (dynamic(['timeout', 'x'])) | count",
		[][]any{{len(where(rows, func(r gatewayRow) bool { return r.api == "chat" && r.reason == "Timeout" }))}})

	want := [][]any{}
	keys, of := groups(rows, api)
	for _, k := range keys {
		g := of[k]
		bad := len(where(g, throttled))
		want = append(want, []any{k, len(g), mean(g, took), rank(g, .5, took), rank(g, .99, took), math.Round(10000*float64(bad)/float64(len(g))) / 100, distinct(g, caller), deviation(g, took)})
	}
	add("ApiManagementGatewayLogs | summarize n = count(), avg(TotalTime), 50th = percentile(TotalTime, 50), 99th = percentile(TotalTime, 99), bad = round(100.0 * countif(ResponseCode == 429) / count(), 2), dcount(ApimSubscriptionId), stdev(TotalTime) by ApiId | order by ApiId asc", want)

	want = [][]any{}
	good := where(rows, func(r gatewayRow) bool { return r.code == 200 })
	keys, of = groups(good, api)
	for _, k := range keys {
		want = append(want, []any{k, deviation(of[k], took), rank(of[k], .9, took)})
	}
	add("ApiManagementGatewayLogs | summarize stdevif(TotalTime, ResponseCode == 200), percentileif(TotalTime, 90, ResponseCode == 200) by ApiId | order by ApiId asc", want)

	out = append(out, joins(rows, tokens, service, byID)...)
	out = append(out, alongTime(rows)...)
	out = append(out, insideValues(rows)...)
	return out
}

// joins has each kind of join.
func joins(rows []gatewayRow, tokens []tokenRow, service []serviceRow, byID map[string]gatewayRow) []struct {
	query string
	want  [][]any
} {
	type one = struct {
		query string
		want  [][]any
	}
	var out []one
	has := map[string]bool{}
	for _, t := range tokens {
		has[t.id] = true
	}
	logged := map[string]bool{}
	for _, s := range service {
		logged[s.id] = true
	}
	var want [][]any
	keys, of := groups(tokens, func(t tokenRow) string { return byID[t.id].caller })
	for _, k := range keys {
		want = append(want, []any{k, total(of[k], all), len(of[k])})
	}
	for _, join := range []string{"join kind=inner", "join kind=leftouter", "join", "join kind=innerunique", "lookup"} {
		out = append(out, one{"ApiManagementGatewayLlmLog | " + join + " (ApiManagementGatewayLogs | project CorrelationId, ApimSubscriptionId) on CorrelationId | summarize sum(TotalTokens), count() by ApimSubscriptionId | order by ApimSubscriptionId asc", want})
	}
	with := len(where(rows, func(r gatewayRow) bool { return has[r.id] }))
	out = append(out,
		one{"ApiManagementGatewayLogs | join kind=leftanti ApiManagementGatewayLlmLog on CorrelationId | count", [][]any{{len(rows) - with}}},
		one{"ApiManagementGatewayLogs | join kind=leftsemi ApiManagementGatewayLlmLog on CorrelationId | count", [][]any{{with}}},
		one{"AzureDiagnostics | join kind=rightanti ApiManagementGatewayLlmLog on CorrelationId | count", [][]any{{len(where(tokens, func(t tokenRow) bool { return !logged[t.id] }))}}},
		one{"AzureDiagnostics | join kind=rightsemi ApiManagementGatewayLlmLog on CorrelationId | count", [][]any{{len(where(tokens, func(t tokenRow) bool { return logged[t.id] }))}}},
		one{"AzureDiagnostics | join kind=rightouter ApiManagementGatewayLlmLog on CorrelationId | summarize count(), countif(isempty(CorrelationId))", [][]any{{len(tokens), len(where(tokens, func(t tokenRow) bool { return !logged[t.id] }))}}},
		one{
			"AzureDiagnostics | join kind=fullouter ApiManagementGatewayLlmLog on CorrelationId | summarize count(), countif(isempty(CorrelationId)), countif(isempty(CorrelationId1))",
			[][]any{{len(service) + len(where(tokens, func(t tokenRow) bool { return !logged[t.id] })), len(where(tokens, func(t tokenRow) bool { return !logged[t.id] })), len(where(service, func(s serviceRow) bool { return !has[s.id] }))}},
		},
		// innerunique takes one row of the left for each key; inner takes all
		one{"ApiManagementGatewayLogs | project ApiId | join (ApiManagementGatewayLogs | where ResponseCode == 429 | project ApiId) on ApiId | count", [][]any{{len(where(rows, throttled))}}},
		one{"ApiManagementGatewayLogs | project ApiId | join kind=inner (ApiManagementGatewayLogs | distinct ApiId) on ApiId | count", [][]any{{len(rows)}}},
	)
	prices := map[string]float64{"gpt-4o": 2.5, "gpt-4o-mini-2024-07-18": 0.15}
	cost := 0.0
	for _, t := range tokens {
		cost += prices[t.model] * float64(t.prompt)
	}
	out = append(out, one{"let prices = datatable (Model: string, Price: real) ['gpt-4o', 2.5, 'gpt-4o-mini', 0.15]; ApiManagementGatewayLlmLog | extend Model = replace_regex(ModelName, @'-\\d{4}-\\d{2}-\\d{2}$', '') | lookup prices on Model | summarize sum(PromptTokens * Price)", [][]any{{cost}}})
	return out
}

// alongTime has windows and series.
func alongTime(rows []gatewayRow) []struct {
	query string
	want  [][]any
} {
	type one = struct {
		query string
		want  [][]any
	}
	var out []one
	times, of := groups(rows, func(r gatewayRow) int64 { return slot(r.at, 10*time.Minute).Unix() })
	var running, series [][]any
	sum := 0
	var counts []any
	for i, k := range times {
		n := len(of[k])
		sum += n
		var before, after any = 0, nil
		if i > 0 {
			before = len(of[times[i-1]])
		}
		if i+1 < len(times) {
			after = len(of[times[i+1]])
		}
		running = append(running, []any{time.Unix(k, 0), n, sum, before, after, i + 1})
		counts = append(counts, n)
	}
	out = append(out, one{"ApiManagementGatewayLogs | summarize n = count() by bin(TimeGenerated, 10m) | sort by TimeGenerated asc | extend s = row_cumsum(n), p = prev(n, 1, 0), q = next(n), r = row_number()", running})
	out = append(out, one{"ApiManagementGatewayLogs | make-series n = count() on TimeGenerated step 10m | project n", [][]any{{counts}}})

	codes, byCode := groups(rows, func(r gatewayRow) int { return r.code })
	var pivoted []any
	for _, c := range codes {
		var list []any
		most := 0
		for at := begin; at.Before(begin.Add(2 * time.Hour)); at = at.Add(20 * time.Minute) {
			n := len(where(byCode[c], func(r gatewayRow) bool { return slot(r.at, 20*time.Minute).Equal(at) }))
			list, most = append(list, n), max(most, n)
		}
		series = append(series, []any{c, list, most, total(byCode[c], func(gatewayRow) int { return 1 })})
		pivoted = append(pivoted, len(byCode[c]))
	}
	out = append(out, one{"ApiManagementGatewayLogs | make-series n = count() default=0 on TimeGenerated from datetime(2026-11-22 10:00) to datetime(2026-11-22 12:00) step 20m by ResponseCode | project ResponseCode, n, toint(series_stats_dynamic(n).max), toint(series_sum(n)) | order by ResponseCode asc", series})
	out = append(out, one{"ApiManagementGatewayLogs | summarize n = count() by ResponseCode | evaluate pivot(ResponseCode, sum(n))", [][]any{pivoted}})

	// the longest time between two calls of a caller
	var gaps [][]any
	keys, calls := groups(rows, caller)
	for _, k := range keys {
		longest := time.Duration(0)
		for i := 1; i < len(calls[k]); i++ { // the rows are in order but for seconds
			slices.SortFunc(calls[k], func(a, b gatewayRow) int { return a.at.Compare(b.at) })
			longest = max(longest, calls[k][i].at.Sub(calls[k][i-1].at))
		}
		gaps = append(gaps, []any{k, longest.Seconds()})
	}
	out = append(out, one{"ApiManagementGatewayLogs | sort by ApimSubscriptionId asc, TimeGenerated asc | extend gap = iff(ApimSubscriptionId == prev(ApimSubscriptionId), TimeGenerated - prev(TimeGenerated), timespan(null)) | summarize max(gap) by ApimSubscriptionId | project ApimSubscriptionId, max_gap / 1s | order by ApimSubscriptionId asc", gaps})

	// places that begin anew with each caller
	last := 0
	for _, k := range keys {
		last += len(calls[k])
	}
	out = append(out, one{
		"ApiManagementGatewayLogs | sort by ApimSubscriptionId asc, TimeGenerated asc | extend n = row_number(1, ApimSubscriptionId != prev(ApimSubscriptionId)) | summarize sum(n), countif(n == 1)",
		[][]any{{total(keys, func(k string) int { return len(calls[k]) * (len(calls[k]) + 1) / 2 }), len(keys)}},
	})
	return out
}

// insideValues has what is inside of texts, arrays and bags.
func insideValues(rows []gatewayRow) []struct {
	query string
	want  [][]any
} {
	type one = struct {
		query string
		want  [][]any
	}
	attempts := total(rows, func(r gatewayRow) int { return r.attempts })
	var byHost, byVersion, bodies, nets [][]any
	hosts, of := groups(where(rows, func(r gatewayRow) bool { return r.backendCode != 0 }), func(r gatewayRow) string { return r.backend })
	for _, h := range hosts {
		byHost = append(byHost, []any{h + ".example", len(of[h])})
	}
	versions, by := groups(rows, func(r gatewayRow) string { return r.url[strings.Index(r.url, "=")+1:] })
	for _, v := range versions {
		byVersion = append(byVersion, []any{v, len(by[v])})
	}
	good := where(rows, func(r gatewayRow) bool { return r.code == 200 })
	bodies = append(bodies, []any{"gpt-4o", total(good, func(r gatewayRow) int { return r.size })})
	prefixes, ofNet := groups(rows, func(r gatewayRow) string { return strings.Join(strings.Split(r.address, ".")[:2], ".") })
	for _, p := range prefixes {
		nets = append(nets, []any{p, distinct(ofNet[p], func(r gatewayRow) string { return r.address })})
	}
	var waits [][]any
	backends, refused := groups(where(rows, throttled), func(r gatewayRow) string { return r.backend })
	for _, b := range backends {
		waits = append(waits, []any{b, mean(refused[b], func(r gatewayRow) int { return r.size % 50 })})
	}
	return []one{
		{
			"ApiManagementGatewayLogs | mv-expand t = TraceRecords | where tostring(t.source) == 'attempt' | summarize count(), countif(toint(t.metadata.code) == 429)",
			[][]any{{attempts, total(where(rows, throttled), func(r gatewayRow) int { return r.attempts })}},
		},
		{"ApiManagementGatewayLogs | extend n = countof(tostring(TraceRecords), '\"attempt\":') | summarize sum(n), countif(n > 1)", [][]any{{attempts, len(where(rows, func(r gatewayRow) bool { return r.attempts > 1 }))}}},
		{"ApiManagementGatewayLogs | summarize count() by Host = tostring(parse_url(BackendUrl).Host) | where Host != '' | order by Host asc", byHost},
		{"ApiManagementGatewayLogs | summarize count() by v = tostring(parse_url(Url)['Query Parameters']['api-version']) | order by v asc", byVersion},
		{"ApiManagementGatewayLogs | extend b = parse_json(ResponseBody) | summarize sum(toint(b.usage.prompt_tokens)) by m = tostring(b['model']) | where m != ''", bodies},
		{"ApiManagementGatewayLogs | summarize dcount(CallerIpAddress) by net = strcat_array(array_slice(split(CallerIpAddress, '.'), 0, 1), '.') | order by net asc", nets},
		{"ApiManagementGatewayLogs | parse CallerIpAddress with a:int '.' b:int '.' * | summarize dcount(CallerIpAddress) by net = strcat(a, '.', b) | order by net asc", nets},
		{"ApiManagementGatewayLogs | parse-where LastErrorMessage with 'retry after ' wait:int ' seconds' | summarize avg(wait) by BackendId | order by BackendId asc", waits},
		{"ApiManagementGatewayLogs | extend wait = toint(extract(@'after (\\d+) seconds', 1, LastErrorMessage)) | where isnotnull(wait) | summarize avg(wait) by BackendId | order by BackendId asc", waits},
		{"ApiManagementGatewayLogs | summarize sum(toint(RequestHeaders['x-stainless-retry-count']))", [][]any{{total(rows, func(r gatewayRow) int { return r.retries })}}},
		{"search in (ApiManagementGatewayLogs) 'team-c' | count", [][]any{{len(where(rows, func(r gatewayRow) bool { return r.caller == "team-c" }))}}},
		{"let slow = (most: long) { ApiManagementGatewayLogs | where TotalTime > most }; slow(1500) | count", [][]any{{len(where(rows, func(r gatewayRow) bool { return r.total > 1500 }))}}},
		{"range x from 1 to 10 step 3 | extend y = x * x | summarize make_list(x), sum(y)", [][]any{{[]any{1, 4, 7, 10}, 166}}},
		{"ApiManagementGatewayLogs | getschema | count", [][]any{{len(gatewaySchema())}}},
	}
}

func gatewaySchema() []string {
	return strings.Split(azureSchemas()["ApiManagementGatewayLogs"], ", ")
}

// TestAnswers holds answers against those that Go computes from the same rows.
func TestAnswers(t *testing.T) {
	db, tables := imported(t)
	for _, tt := range expected() {
		_, a, err := resolve(t, db, tables, tt.query)
		if err != nil {
			t.Errorf("%s\n%v", tt.query, err)
			continue
		}
		got, want := canonical(a.Rows), canonical(tt.want)
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", tt.query, got, want)
		}
	}

	if len(expected()) < 30 {
		t.Errorf("%d answers are computed", len(expected()))
	}
}

// canonical writes rows with the numbers to nine digits.
func canonical(v any) string {
	switch v := v.(type) {
	case [][]any:
		var b strings.Builder
		for _, row := range v {
			b.WriteString(canonical(row) + " ")
		}
		return b.String()
	case []any:
		all := make([]string, len(v))
		for i, one := range v {
			all[i] = canonical(one)
		}
		return "[" + strings.Join(all, " ") + "]"
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return err.Error()
		}
		return canonical(f)
	case float64:
		return strconv.FormatFloat(v, 'g', 9, 64)
	case int:
		return canonical(float64(v))
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	}
	return fmt.Sprint(v)
}
