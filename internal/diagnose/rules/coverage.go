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
		add(1-share(t.ttftKnown, t.generating), "time to first token unknown: slow prefill is not looked for there")
		add(1-share(t.paceKnown, t.generating), "time between tokens unknown: taken from answers of 256 tokens and more")
		add(1-share(t.cachedKnown, t.Complete), "cached tokens unknown: cache loss is not looked for there")
	}
	if t.provisionedTries > 0 && t.utilMetric == 0 {
		add(1-share(t.utilKnown, t.provisionedTries), "utilization not reported: taken from the work of answers")
	}
	add(share(t.withoutDeployment, t.Tries), "deployment unknown: not attributed")
	unknown := 0.0
	for _, d := range f.all {
		unknown += oneIf(!d.configured)
	}
	add(share(unknown, float64(len(f.all))), "capacity of deployments not given: inferred (pass --config)")
	return out
}
