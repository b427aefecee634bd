package imports

import (
	"fmt"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

// Missing lists the data that the exports lack, and what cannot be found without
// it.
func (im *Import) Missing() []diagnose.Missing {
	n := &im.joined
	var all []diagnose.Missing
	of := func(part, whole int, text string) {
		if whole > 0 && part > 0 && float64(part) >= 0.0005*float64(whole) {
			all = append(all, diagnose.Missing{Text: text, Share: float64(part) / float64(whole)})
		}
	}
	if n.requests == 0 {
		return nil
	}
	switch n.first {
	case kindGateway:
		if n.pieces[kindLLM]+n.pieces[kindUsage] == 0 {
			of(1, 1, "no token rows (export ApiManagementGatewayLlmLog too): work, lengths and speed are unknown; not checked for slow decoding, cache loss and noisy tenants")
		} else {
			of(n.answered-n.counted, n.answered, fmt.Sprintf("%d of %d responses have no token row: their work, length and speed are unknown", n.answered-n.counted, n.answered))
		}
	case kindService:
		of(1, 1, "no gateway log: refusals, retries and queueing in a gateway in front are invisible, and so is the subscription; callers are IP addresses, whose last part Azure masks")
		if n.pieces[kindUsage] == 0 {
			of(1, 1, "no rows of category AzureOpenAIRequestUsage: work, lengths and speed are unknown")
		} else {
			of(n.answered-n.counted, n.answered, fmt.Sprintf("%d of %d responses have no row of category AzureOpenAIRequestUsage: their work, length and speed are unknown", n.answered-n.counted, n.answered))
		}
	default:
		of(1, 1, "only token logs, no request log: statuses and latencies are unknown, so 408s and 429s cannot be diagnosed (export ApiManagementGatewayLogs, or AzureDiagnostics of category RequestResponse)")
		return all
	}
	of(n.limited, n.requests, fmt.Sprintf("refused by limits of the gateway itself (rate, quota or token policies), not by a deployment: %d; no finding covers them", n.limited))
	im.missingFacts(of)
	of(n.duplicates, n.requests+n.duplicates, fmt.Sprintf("rows with the correlation id of another row, counted as one request: %d", n.duplicates))
	of(n.other, n.requests+n.other, fmt.Sprintf("requests of other APIs in the gateway log (no /completions, /responses or /embeddings in the URL, no tokens), not counted: %d", n.other))
	unmatched := 0
	for _, k := range []kind{kindUsage, kindLLM} {
		unmatched += n.unmatched[k]
	}
	of(unmatched, n.requests+unmatched, fmt.Sprintf("requests with a token row but no row in the request log (another period, or a filter?), not counted: %d", unmatched))
	of(n.unmatched[kindService], n.requests+n.unmatched[kindService], fmt.Sprintf("rows of AzureDiagnostics without a matching correlation id in the gateway log, not counted because requests could count twice (import AzureDiagnostics alone for the service's view): %d", n.unmatched[kindService]))
	return all
}

// missingFacts lists the facts that some or all rows lack.
func (im *Import) missingFacts(of func(part, whole int, text string)) {
	n := &im.joined
	lacks := func(f fact) int { return n.requests - n.known[f] }
	of(lacks(factTook), n.requests, "latency unknown (TotalTime or DurationMs): timeouts and slow responses cannot be explained there")
	of(lacks(factAsk), n.requests, "max_tokens is not in these logs: over-reservation can only be inferred (docs/IMPORT.md has a query that adds it where bodies are logged)")
	if n.first == kindGateway {
		of(lacks(factRetry), n.requests, "client retries unknown: every try counts as a call (log the request header x-stainless-retry-count)")
		of(lacks(factTimeout), n.requests, "client timeouts unknown: inferred from when clients disconnect (log the request header x-stainless-timeout)")
	} else {
		of(1, 1, "client retries and timeouts are not in AzureDiagnostics: every try counts as a call")
	}
	of(lacks(factCaller), n.requests, "caller unknown: not checked for noisy tenants")
	unclear := 0
	for _, s := range im.samples {
		if im.resolved[s.series] == "" {
			unclear++
		}
	}
	of(unclear, len(im.samples), "utilization without a deployment name: not used (split the metric by ModelDeploymentName)")
	told := false
	for _, one := range im.fleet.labels {
		told = told || one.provisioned
	}
	if !told {
		of(1, 1, "no utilization of provisioned deployments: without --config, all count as standard (export the metric, split by ModelDeploymentName)")
	}
}
