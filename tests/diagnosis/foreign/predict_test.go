package foreign

import (
	"context"
	"flag"
	"math"
	"slices"
	"testing"

	"github.com/spillway-ai/spillway/internal/app"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

var predictions = flag.Uint64("predictions", 4, "worlds whose remedy is predicted, and tried")

// TestPredictedCap holds what a replay predicts of a printed cap to what the
// world does under that cap: a figure is right within a tenth, or a quarter of a
// percentage point.
func TestPredictedCap(t *testing.T) {
	k := sick()[0]
	n, all, near := 0, 0, 0
	for seed := *first; seed < *first+*predictions; seed++ {
		w := k.beside(seed, []string{"nothing", "unrelated"}[seed%2])
		d, err := app.Diagnosis{}.DiagnoseFiles(context.Background(), w.export(t, levelNamed("gateway+llm+metrics"), arrangement{}))
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(d.Findings, func(f diagnose.Finding) bool { return f.Code == diagnose.OversizedRequests })
		if i < 0 || d.Findings[i].Effect == nil {
			t.Logf("seed %d: no prediction: %+v", seed, d.Replay)
			continue
		}
		f := &d.Findings[i]
		now := w.all()
		capped := k.planned(seed, w.beside)
		for _, a := range capped.apps {
			a.fixedCap = f.Remedy.CapTokens
		}
		then := capped.run().all()
		p, q := &f.Effect.Now, &f.Effect.Then
		n++
		compare := func(name string, predicted, true, least float64) {
			all++
			good := math.Abs(predicted-true) <= max(least, 0.1*math.Abs(true))
			mark := "  <- off"
			if good {
				mark = ""
				near++
			}
			t.Logf("seed %d  %-28s predicted %8.4f  true %8.4f%s", seed, name, predicted, true, mark)
		}
		compare("out of time", q.OutOfTime(), then.timeout+then.gone, 0.0025)
		compare("truncated", q.Truncated, then.truncated, 0.0025)
		compare("generated, relative", q.Generated/max(p.Generated, 1), then.generated/now.generated, 0)
		compare("received, relative", q.TokensPerCall/max(p.TokensPerCall, 1), then.received/now.received, 0)
	}
	t.Logf("predicted within a tenth: %d of %d figures; %d of %d worlds have a prediction", near, all, n, *predictions)
	atLeast(t, "figures predicted within a tenth", share(near, all), 0.9)
	atLeast(t, "worlds with a prediction", share(n, int(*predictions)), 0.7)
}
