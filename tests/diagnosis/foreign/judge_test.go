package foreign

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/app"
	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

// kindShown reports whether the exports say which deployments are provisioned.
func (l level) kindShown() bool { return l.gateway == 2 || l.metrics || l.config }

func (l level) tokens() bool { return l.llm || l.usage }

// fails reports whether the exports say how requests ended.
func (l level) fails() bool { return l.gateway > 0 || l.service }

// shown reports whether a cause can be told from the exports.
func (l level) shown(w *world, code diagnose.Code) bool {
	if !l.fails() {
		return false
	}
	tells := l.gateway == 2 && w.apps[0].sdk.tells
	switch code {
	case diagnose.OversizedRequests:
		return l.tokens() && (l.gateway > 0 || w.deps[0].window > 0)
	case diagnose.PTUSaturation:
		return l.kindShown()
	case diagnose.OverReservation:
		return l.tokens() && l.gateway == 2
	case diagnose.QuotaFragmentation:
		return l.roomShown(w.deps[0])
	case diagnose.RPMBursts:
		return w.sample == 1
	case diagnose.SlowPrefill, diagnose.SlowDecode:
		return l.tokens()
	case diagnose.NoisyTenant:
		return l.tokens()
	case diagnose.RetryAmplification:
		return tells && w.sample == 1
	case diagnose.SaturatedSpillover:
		return l.gateway > 0 && l.kindShown()
	case diagnose.RegionalOutage:
		return l.gateway > 0 || w.deps[0].faults[0].code > 0
	case diagnose.ClientTimeout:
		return l.gateway > 0
	case diagnose.CacheLoss:
		return l.usage && l.gateway == 0
	}
	return true
}

// roomShown reports whether the exports say how much room a deployment of the
// kind has.
func (l level) roomShown(d *deployment) bool {
	return l.config || l.metrics && d.provisioned() && (l.tokens() || l.service) // with the models
}

type verdict int

const (
	wrong verdict = iota
	right
	open // the exports do not tell it from the truth, and it is said with doubt
)

// doubt is the most confidence that a guess may have.
const doubt = 0.7

// judge says whether a finding is true.
func (w *world) judge(l level, f *diagnose.Finding) verdict {
	for _, x := range w.truth {
		if x.code == f.Code && (f.Subject == "" || len(x.subjects) == 0 || slices.Contains(x.subjects, f.Subject)) {
			if f.Code == diagnose.QuotaFragmentation && !l.roomShown(w.deps[0]) {
				return wrong
			}
			return right
		}
	}
	if f.Code == diagnose.QuotaFragmentation && (w.isShort() || w.kind == "rpm bursts") && w.hasRoom(l) {
		return right
	}
	unshown := slices.ContainsFunc(w.truth, func(x truth) bool { return !x.optional && !l.shown(w, x.code) })
	switch {
	case w.isShort() && slices.Contains(capacity(), f.Code) && slices.Contains(w.deps[0].names(), f.Subject) && (unshown || !l.kindShown()) && f.Confidence <= doubt:
		return open
	case f.Code == diagnose.ClientTimeout && w.kind == "oversized" && l.gateway == 0:
		return open
	}
	return wrong
}

func capacity() []diagnose.Code {
	return []diagnose.Code{diagnose.PTUSaturation, diagnose.QuotaExhausted, diagnose.OverReservation}
}

// isShort reports whether a deployment lacks capacity.
func (w *world) isShort() bool {
	return slices.ContainsFunc(w.truth, func(x truth) bool { return slices.Contains(capacity(), x.code) })
}

// hasRoom reports whether another deployment of the kind has room, and the
// exports say so.
func (w *world) hasRoom(l level) bool {
	return (w.beside == "idle" || w.kind == "fragmentation") && l.roomShown(w.deps[0])
}

// configuration is the gateway's, of the deployments whose load is known.
func (w *world) configuration(t testing.TB) *config.Config {
	var deps, pools strings.Builder
	for i, d := range w.deps {
		if d.silent || d.model == "text-embedding-3-large" {
			continue
		}
		fmt.Fprintf(&deps, "  - {name: cfg-%s, endpoint: 'https://%s.openai.azure.com', deployment: %s, model: %s, region: %s, auth: {api_key: x}, ", d.name, d.resource, d.name, d.model, d.region)
		switch d.kind {
		case bucket:
			fmt.Fprintf(&deps, "kind: provisioned, ptu: %d}\n", d.ptu)
		case concurrency: // units that such a deployment would have
			fmt.Fprintf(&deps, "kind: provisioned, ptu: %d}\n", d.worth(w))
		default:
			fmt.Fprintf(&deps, "kind: standard, tpm: %d, rpm: %d}\n", d.tpm, d.rpm)
		}
		fmt.Fprintf(&pools, "  - {name: pool-%d, tiers: [[cfg-%s]]}\n", i, d.name)
	}
	text := "deployments:\n" + deps.String() + "pools:\n" + pools.String() +
		"classes:\n  - {name: sync, window: 60s, budget: {mode: observe}}\ncallers:\n  - {name: all, key: k, class: sync}\n"
	c, err := config.Parse("spillway.yaml", []byte(text), func(string) (string, bool) { return "", false }, os.ReadFile)
	if err != nil {
		t.Errorf("%s, seed %d: %v\n%s", w.kind, w.seed, err, text)
	}
	return c
}

// worth is the PTUs whose bucket would admit as much work as the slots did when
// all of them were busy.
func (d *deployment) worth(w *world) int {
	work, busy := 0.0, 0.0
	for _, a := range d.log {
		if a.code == 200 {
			work += d.cost(a.c, a.generated)
			busy += a.took
		}
	}
	return int(max(1, work/max(busy, 1)*float64(d.slots)/d.tpmPU*60))
}

// diagnosis imports the level's exports.
func (w *world) diagnosis(t testing.TB, l level, how arrangement) diagnose.Diagnosis {
	o := app.Diagnosis{NoReplay: true}
	if l.config {
		o.Config = w.configuration(t)
	}
	d, err := o.DiagnoseFiles(context.Background(), w.export(t, l, how))
	if err != nil && l.fails() {
		t.Errorf("%s, seed %d, %s: %v", w.kind, w.seed, l.name, err)
	}
	return d
}

// A score counts verdicts.
type score struct {
	top, topTrue, topMust, topFound int
	all, true                       int
	must, found                     int
	sure, sureTrue                  int
	alarms, healthy                 int
	misses                          []string
}

func (s *score) add(o *score) {
	s.top += o.top
	s.topTrue += o.topTrue
	s.topMust += o.topMust
	s.topFound += o.topFound
	s.all += o.all
	s.true += o.true
	s.must += o.must
	s.found += o.found
	s.sure += o.sure
	s.sureTrue += o.sureTrue
	s.alarms += o.alarms
	s.healthy += o.healthy
}

func share(a, b int) float64 {
	if b == 0 {
		return 1
	}
	return float64(a) / float64(b)
}

func (s *score) String() string {
	return fmt.Sprintf("top %.2f/%.2f (%d)  all %.2f/%.2f (%d)  sure %.2f (%d)  alarms %d/%d",
		share(s.topTrue, s.top), share(s.topFound, s.topMust), s.topMust, share(s.true, s.all), share(s.found, s.must), s.must,
		share(s.sureTrue, s.sure), s.sure, s.alarms, s.healthy)
}

// mark scores a diagnosis of the world.
func (w *world) mark(l level, d *diagnose.Diagnosis, healthy bool) (s score) {
	where := fmt.Sprintf("%-24s seed %-4d beside %-9s %-28s ", w.kind, w.seed, w.beside, l.name)
	say := func(format string, args ...any) { s.misses = append(s.misses, where+fmt.Sprintf(format, args...)) }
	if healthy && l.gateway == 0 && len(w.apps[0].route.backends) > 1 {
		return s // the service does not see that another deployment answered
	}
	if healthy {
		s.healthy = 1
		s.alarms = min(1, len(d.Findings))
	}
	for i := range d.Findings {
		f := &d.Findings[i]
		v := w.judge(l, f)
		if v == open {
			continue
		}
		s.all++
		s.true += int(v)
		if i == 0 {
			s.top, s.topTrue = 1, int(v)
		}
		if f.Confidence >= 0.9 {
			s.sure++
			s.sureTrue += int(v)
		}
		if v == wrong {
			say("false  %s at %q, %.2f: %s", f.Code, f.Subject, f.Confidence, f.Title)
		}
	}
	for _, x := range w.truth {
		if x.optional || !l.shown(w, x.code) {
			continue
		}
		found := slices.ContainsFunc(d.Findings, func(f diagnose.Finding) bool {
			return x.code == f.Code && (f.Subject == "" || len(x.subjects) == 0 || slices.Contains(x.subjects, f.Subject))
		})
		if !found && w.isShort() && w.hasRoom(l) && slices.Contains(codes(d), string(diagnose.QuotaFragmentation)) {
			found = true // the fragmentation stands for it
		}
		s.must++
		s.topMust = 1
		s.topFound = s.topTrue
		if found {
			s.found++
		} else {
			say("missed %s", x.code)
		}
	}
	return s
}

// printTable prints scores by what they are of.
func printTable(t *testing.T, title string, by map[string]*score) {
	var keys []string
	for k := range by {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Compare(a, b) })
	t.Log(title + ": precision/recall of the top finding (worlds), of all findings (causes), of those with 0.9, false alarms")
	for _, k := range keys {
		t.Logf("  %-32s %s", k, by[k])
	}
}
