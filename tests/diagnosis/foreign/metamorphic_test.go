package foreign

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

// essence is what a diagnosis says, without figures.
func essence(d *diagnose.Diagnosis) []string {
	var all []string
	for i := range d.Findings {
		all = append(all, string(d.Findings[i].Code)+" "+d.Findings[i].Subject)
	}
	slices.Sort(all)
	return all
}

// codes are the causes that a diagnosis finds.
func codes(d *diagnose.Diagnosis) []string {
	var all []string
	for i := range d.Findings {
		all = append(all, string(d.Findings[i].Code))
	}
	slices.Sort(all)
	return all
}

// exact is all that a diagnosis says that its input decides.
func exact(d *diagnose.Diagnosis) string {
	var b strings.Builder
	fmt.Fprintln(&b, d.Tries, d.Calls, d.Timeout, d.Refused, d.Failed, d.Healthy)
	for i := range d.Findings {
		f := &d.Findings[i]
		fmt.Fprintf(&b, "%s %s %s %.3f %s %.6f\n", f.Code, f.Subject, f.Severity, f.Confidence, f.Title, f.Affected)
	}
	return b.String()
}

// TestArrangement: the order of rows, how they are split over files, and files
// given twice change nothing at all.
func TestArrangement(t *testing.T) {
	l := levelNamed("gateway+llm+metrics")
	each(t, func(t *testing.T, w *world) {
		want := w.diagnosis(t, l, arrangement{})
		for _, how := range []arrangement{{shuffled: true}, {split: true}, {doubled: true, split: true}, {shuffled: true, split: true, doubled: true}} {
			got := w.diagnosis(t, l, how)
			if exact(&got) != exact(&want) {
				t.Errorf("%+v:\n%swant\n%s", how, exact(&got), exact(&want))
			}
		}
	})
}

// sampled are the kinds that the metamorphic tests take: one in five, unless more than
// the usual worlds are asked for.
func sampled(all []kind) []kind {
	if *worlds > usualWorlds {
		return all
	}
	var few []kind
	for i := 0; i < len(all); i += 5 {
		few = append(few, all[i])
	}
	return few
}

// each runs a test on worlds of several kinds.
func each(t *testing.T, f func(t *testing.T, w *world)) {
	for _, k := range sampled(kinds()) {
		t.Run(k.name, func(t *testing.T) { f(t, k.make(*first+uint64(len(k.name))%5)) })
	}
}

// TestMore: a log more takes no true finding away.
func TestMore(t *testing.T) {
	steps := [][2]string{
		{"gateway", "gateway+llm"},
		{"gateway", "gateway+metrics"},
		{"gateway+llm", "gateway+llm+metrics"},
		{"gateway+llm+metrics", "gateway+llm+metrics+config"},
		{"service", "service+usage"},
		{"service+usage", "service+usage+metrics"},
	}
	lost := 0
	for _, k := range sampled(sick()) {
		w := k.make(*first)
		for _, s := range steps {
			a, b := w.diagnosis(t, levelNamed(s[0]), arrangement{}), w.diagnosis(t, levelNamed(s[1]), arrangement{})
			for i := range a.Findings {
				f := &a.Findings[i]
				if w.judge(levelNamed(s[0]), f) != right || slices.Contains(codes(&b), string(f.Code)) || w.stands(f.Code, &b) {
					continue
				}
				lost++
				t.Errorf("%s, seed %d: %s finds %s, and %s does not: %v", w.kind, w.seed, s[0], f.Code, s[1], codes(&b))
			}
		}
	}
}

// stands reports whether a diagnosis that lacks a cause has one that explains
// it: the world's own.
func (w *world) stands(code diagnose.Code, d *diagnose.Diagnosis) bool {
	for _, x := range w.truth {
		if !x.optional && x.code != code && slices.Contains(codes(d), string(x.code)) {
			return true
		}
	}
	return w.isShort() && slices.Contains(codes(d), string(diagnose.QuotaFragmentation)) && w.hasRoom(levelNamed("all"))
}

// TestUnrelated: other models beside change no finding.
func TestUnrelated(t *testing.T) {
	l := levelNamed("gateway+llm+metrics")
	for _, k := range sampled(kinds()) {
		a, b := k.beside(*first, "nothing"), k.beside(*first, "unrelated")
		x, y := a.diagnosis(t, l, arrangement{}), b.diagnosis(t, l, arrangement{})
		if fmt.Sprint(essence(&x)) != fmt.Sprint(essence(&y)) {
			t.Errorf("%s, seed %d: %q alone, %q beside other models", k.name, *first, essence(&x), essence(&y))
		}
	}
}

// TestRenamed: deployments' names and their order decide nothing.
func TestRenamed(t *testing.T) {
	l := levelNamed("gateway+llm+metrics")
	each(t, func(t *testing.T, w *world) {
		want := w.diagnosis(t, l, arrangement{})
		names := map[string]string{}
		for i, d := range w.deps {
			names[d.name] = fmt.Sprintf("%c-renamed", 'y'-rune(i)*7)
			if len(w.deps) > 1 && w.deps[0].name < w.deps[1].name == (w.seed%2 == 0) {
				names[d.name] = fmt.Sprintf("%c-renamed", 'b'+rune(i)*7)
			}
		}
		for _, d := range w.deps {
			d.name = names[d.name]
		}
		w.files = map[string][]string{}
		got := w.diagnosis(t, l, arrangement{})
		text := exact(&want)
		for from, to := range names {
			text = strings.ReplaceAll(text, from, to)
		}
		if exact(&got) != text {
			t.Errorf("renamed:\n%swant\n%s", exact(&got), text)
		}
	})
}

// TestShifted: a clock that is hours off, in all logs, changes no finding and no
// share.
func TestShifted(t *testing.T) {
	l := levelNamed("gateway+llm+metrics")
	each(t, func(t *testing.T, w *world) {
		want := w.diagnosis(t, l, arrangement{})
		for _, by := range []time.Duration{-5 * time.Hour, 13 * time.Hour, 40 * 24 * time.Hour} {
			w.from, w.files = w.from.Add(by), map[string][]string{}
			got := w.diagnosis(t, l, arrangement{})
			if exact(&got) != exact(&want) {
				t.Errorf("%v later:\n%swant\n%s", by, exact(&got), exact(&want))
			}
		}
	})
}

// TestScaled: more traffic with as much more capacity has the same causes, of
// which more evidence may show more.
func TestScaled(t *testing.T) {
	l := levelNamed("gateway+llm+metrics")
	each(t, func(t *testing.T, w *world) {
		want := w.diagnosis(t, l, arrangement{})
		w.copies(2)
		got := w.diagnosis(t, l, arrangement{})
		for _, x := range essence(&want) {
			if !slices.Contains(essence(&got), x) {
				t.Errorf("twice the traffic loses %s: %q", x, essence(&got))
			}
		}
		for i := range got.Findings { // more evidence may show more, if it is true
			f := &got.Findings[i]
			if !slices.Contains(codes(&want), string(f.Code)) && w.judge(l, f) != right {
				t.Errorf("twice the traffic adds %s, which is false", f.Code)
			}
		}
		if math.Abs(got.Failed-want.Failed) > 1e-9 {
			t.Errorf("twice the traffic fails at %v, want %v", got.Failed, want.Failed)
		}
	})
}

// copies logs every row n times, moments apart, as a deployment and clients of
// n times the size would.
func (w *world) copies(n int) {
	var rows []*row
	for _, b := range w.rows {
		for i := range n {
			c := *b
			c.at += float64(i) * 0.001
			rows = append(rows, &c)
		}
	}
	w.rows, w.copied, w.files = rows, n*w.copied, map[string][]string{}
}
