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
			of(1, 1, "no token rows (export ApiManagementGatewayLlmLog too): work, lengths and speed are unknown, so slow decoding, cache loss and noisy tenants are not looked for")
		} else {
			of(n.answered-n.counted, n.answered, fmt.Sprintf("%d of %d answers have no token row: their work, length and speed are unknown", n.answered-n.counted, n.answered))
		}
	case kindService:
		of(1, 1, "no gateway log: what a gateway in front refused, retried or waited for is not seen, nor which subscription called; callers are addresses, whose end Azure hides")
		if n.pieces[kindUsage] == 0 {
			of(1, 1, "no rows of category AzureOpenAIRequestUsage: work, lengths and speed are unknown")
		} else {
			of(n.answered-n.counted, n.answered, fmt.Sprintf("%d of %d answers have no row of category AzureOpenAIRequestUsage: their work, length and speed are unknown", n.answered-n.counted, n.answered))
		}
	default:
		of(1, 1, "no log of requests, only of tokens: statuses and latencies are unknown, so nothing can be said of 408s and 429s (export ApiManagementGatewayLogs, or AzureDiagnostics of category RequestResponse)")
		return all
	}
	of(n.limited, n.requests, fmt.Sprintf("refused by limits of the gateway itself (rate, quota or token policies) and not by a deployment: %d. No finding is about them", n.limited))
	im.missingFacts(of)
	of(n.duplicates, n.requests+n.duplicates, fmt.Sprintf("rows with the correlation id of another, taken for the same request: %d", n.duplicates))
	of(n.other, n.requests+n.other, fmt.Sprintf("requests of other APIs in the gateway's log (no /completions, /responses or /embeddings in the address, no tokens), not counted: %d", n.other))
	unmatched := 0
	for _, k := range []kind{kindUsage, kindLLM} {
		unmatched += n.unmatched[k]
	}
	of(unmatched, n.requests+unmatched, fmt.Sprintf("requests with a token row and none in the log of requests (another time span, or a filter?), not counted: %d", unmatched))
	of(n.unmatched[kindService], n.requests+n.unmatched[kindService], fmt.Sprintf("rows of AzureDiagnostics that share no correlation id with the gateway's log, not counted lest requests count twice (import them alone for the service's own view): %d", n.unmatched[kindService]))
	return all
}

// missingFacts lists the facts that some or all rows lack.
func (im *Import) missingFacts(of func(part, whole int, text string)) {
	n := &im.joined
	lacks := func(f fact) int { return n.requests - n.known[f] }
	of(lacks(factTook), n.requests, "latency unknown (TotalTime or DurationMs): timeouts and slowness cannot be explained there")
	of(lacks(factAsk), n.requests, "max_tokens is in no log by itself: over-reservation can only be inferred (docs/IMPORT.md has the query that adds it where bodies are logged)")
	if n.first == kindGateway {
		of(lacks(factRetry), n.requests, "clients' retries unknown: every try counts as a call (log the request header x-stainless-retry-count)")
		of(lacks(factTimeout), n.requests, "clients' timeouts unknown: inferred from when they leave (log the request header x-stainless-timeout)")
	} else {
		of(1, 1, "clients' retries and timeouts are not in AzureDiagnostics: every try counts as a call")
	}
	of(lacks(factCaller), n.requests, "caller unknown: noisy tenants are not looked for there")
	unclear := 0
	for _, s := range im.samples {
		if im.resolved[s.series] == "" {
			unclear++
		}
	}
	of(unclear, len(im.samples), "utilization of which deployment is not clear: not used (split the metric by ModelDeploymentName)")
	told := false
	for _, one := range im.fleet.labels {
		told = told || one.provisioned
	}
	if !told {
		of(1, 1, "no utilization of provisioned deployments: all are taken for standard ones, unless --config tells (export the metric, split by ModelDeploymentName)")
	}
}
