package rules

import (
	"fmt"

	"github.com/spillway-ai/spillway/internal/diagnose"
	"github.com/spillway-ai/spillway/internal/numeral"
)

// Thresholds: in at least two buckets, and a fiftieth of all tries, clients
// come back often: two and more tries for each call, of which at least a tenth
// are a third retry or later.
const (
	retryFactor  = 1.9
	retryDeep    = 0.1
	retryBuckets = 2
	retryShare   = 0.02
)

// retryAmplification looks for clients whose retries multiply the load.
func retryAmplification(f *facts) {
	var sum retryCell
	n := 0
	var from, to int64
	for at, c := range f.total.retryBuckets {
		if c.tries < 20 || c.deep < retryDeep*c.tries || c.tries < retryFactor*max(c.first, 1) {
			continue
		}
		if n == 0 || at < from {
			from = at
		}
		if n == 0 || at > to {
			to = at
		}
		n++
		sum.first += c.first
		sum.tries += c.tries
		sum.deep += c.deep
		sum.failed += c.failed
	}
	if n < retryBuckets || sum.tries < retryShare*f.total.Tries {
		return
	}
	factor := share(sum.tries, max(sum.first, 1))
	f.report(diagnose.Finding{
		Code: diagnose.RetryAmplification, Confidence: 0.7 + 0.1*min(factor-1, 3), Affected: share(sum.tries-sum.first, f.total.Tries),
		Title: fmt.Sprintf("retries multiply the load: %s tries per call over %d min", numeral.Decimals(factor, 1), int(float64(n)*f.bucket.Minutes())),
		Evidence: []diagnose.Evidence{
			measured("tries per call in those minutes", factor, "ratio", "client_retry"),
			measured("third retries and later", share(sum.deep, sum.tries), "share", "client_retry"),
			measured("share that fail again", share(sum.failed, sum.tries), "share", "outcome"),
			measured("first tries", sum.first, "count", "client_retry 0"),
		},
		RuledOut: []diagnose.RuledOut{ruledOut(diagnose.NoisyTenant, "not more work: "+numeral.Whole(sum.first/float64(n)/f.bucket.Minutes())+" calls per minute make "+numeral.Whole(sum.tries/float64(n)/f.bucket.Minutes())+" tries")},
		Remedy: diagnose.Remedy{
			Text:       "allow at most two retries in the clients; set a retry budget and queueing in the gateway",
			Config:     "retry: {ratio: 0.2, min_per_second: 10}  # clients: max_retries=2",
			FewRetries: true,
		},
	}, scope{cells: []*cell{{at: from}, {at: to}}})
}
