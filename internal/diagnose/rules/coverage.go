package rules

import (
	"math"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

// coverage lists the data that was missing and the rules that lacked it.
func (f *facts) coverage() []diagnose.Missing {
	t := &f.total
	var out []diagnose.Missing
	add := func(missing float64, text string) {
		if missing > 0.05 {
			out = append(out, diagnose.Missing{Text: text, Share: math.Round(1000*missing) / 1000})
		}
	}
	if t.Complete > 0 {
		add(1-share(t.promptKnown, t.Complete), "prompt tokens unknown: work, cache and prefill are understated")
	}
	if t.generating > 0 {
		add(1-share(t.ttftKnown, t.generating), "time to first token unknown: not checked for slow prefill")
		add(1-share(t.paceKnown, t.generating), "time between tokens unknown: inferred from responses of at least 256 tokens")
		add(1-share(t.cachedKnown, t.Complete), "cached tokens unknown: not checked for cache loss")
	}
	if t.provisionedTries > 0 && t.utilMetric == 0 {
		add(1-share(t.utilKnown, t.provisionedTries), "utilization not reported: inferred from the work of responses")
	}
	add(share(t.withoutDeployment, t.Tries), "deployment unknown: not attributed")
	unknown := 0.0
	for _, d := range f.all {
		unknown += oneIf(!d.configured)
	}
	add(share(unknown, float64(len(f.all))), "capacity of deployments unknown: inferred (set --config)")
	return out
}
