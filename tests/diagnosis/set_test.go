package diagnosis

import (
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

// score counts what was found against what was there.
type score struct{ right, wrong, missed int }

func (s score) precision() float64 { return ratio(s.right, s.right+s.wrong) }
func (s score) recall() float64    { return ratio(s.right, s.right+s.missed) }

func ratio(a, b int) float64 {
	if b == 0 {
		return 1
	}
	return float64(a) / float64(b)
}

// judge compares one diagnosis with its labels.
func judge(found []diagnose.Finding, there, also []diagnose.Code) (s score, wrong, missed []diagnose.Code) {
	var codes []diagnose.Code
	for _, f := range found {
		if slices.Contains(codes, f.Code) {
			continue
		}
		codes = append(codes, f.Code)
		switch {
		case slices.Contains(there, f.Code):
			s.right++
		case !slices.Contains(also, f.Code):
			s.wrong++
			wrong = append(wrong, f.Code)
		}
	}
	for _, c := range there {
		if !slices.Contains(codes, c) {
			s.missed++
			missed = append(missed, c)
		}
	}
	return s, wrong, missed
}

func (s *score) add(o score) {
	s.right, s.wrong, s.missed = s.right+o.right, s.wrong+o.wrong, s.missed+o.missed
}

// TestShow prints what is said of one world: go test -run Show -cause noisy_tenant -seed 4 -v.
func TestShow(t *testing.T) {
	for _, c := range causes() {
		if string(c.code) != *showCause {
			continue
		}
		w := newWorld(*showSeed)
		w.chunkTokens = *showChunks
		c.make(w)
		d := w.diagnosis(t)
		for _, d := range w.fleet.Deployments {
			t.Logf("%+v", d.Deployment)
		}
		out, err := json.MarshalIndent(d, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("told %t, sync %v\n%s", w.told, w.class.Sync, out)
	}
}

var (
	showCause  = flag.String("cause", "", "the cause that TestShow makes")
	showSeed   = flag.Uint64("seed", 1, "the seed of TestShow's world")
	showChunks = flag.Int("chunk-tokens", 0, "mean number of tokens in the chunks of TestShow's streams")
)

// eachRelease runs a test with streams that release single tokens, and with
// streams that release batches as the model does by default.
func eachRelease(t *testing.T, test func(t *testing.T, chunkTokens int)) {
	t.Helper()
	for name, chunkTokens := range map[string]int{"single": 1, "batches": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, chunkTokens)
		})
	}
}

// measure judges the worlds that each of the labels makes, for every seed, and
// holds all together to the least precision and recall.
func measure(t *testing.T, labels []label, seeds []uint64, chunkTokens int, least float64) {
	t.Helper()
	var all score
	var lines []string
	for _, l := range labels {
		var one score
		for _, seed := range seeds {
			w := newWorld(seed)
			w.chunkTokens = chunkTokens
			var there, also []diagnose.Code
			for _, c := range l.causes {
				c.make(w)
				there, also = append(there, c.code), append(also, c.also...)
			}
			s, wrong, missed := judge(w.diagnosis(t).Findings, there, also)
			if len(wrong)+len(missed) > 0 {
				t.Logf("%s, seed %d: wrong %v, missed %v", l.name, seed, wrong, missed)
			}
			one.add(s)
		}
		lines = append(lines, fmt.Sprintf("%-40s precision %.2f recall %.2f", l.name, one.precision(), one.recall()))
		all.add(one)
	}
	t.Logf("%d worlds\n%s\nall: precision %.3f recall %.3f", len(labels)*len(seeds), strings.Join(lines, "\n"), all.precision(), all.recall())
	if all.precision() < least || all.recall() < least {
		t.Errorf("precision %.3f and recall %.3f, want %.2f", all.precision(), all.recall(), least)
	}
}

// label is a world whose causes are known.
type label struct {
	name   string
	causes []cause
}

func singles() []label {
	var all []label
	for _, c := range causes() {
		all = append(all, label{string(c.code), []cause{c}})
	}
	return all
}

func doubles() []label {
	by := map[diagnose.Code]cause{}
	for _, c := range causes() {
		by[c.code] = c
	}
	var all []label
	for _, p := range pairs() {
		all = append(all, label{string(p[0] + " + " + p[1]), []cause{by[p[0]], by[p[1]]}})
	}
	return all
}

// worlds is how many seeds each label gets, of those that the rules were tuned
// on and as many that they were not.
var worlds = flag.Int("worlds", 2, "worlds of each kind")

// seeds are those that rules were tuned on, and those that they were not.
func seeds() (tuned, held []uint64) {
	for i := range *worlds {
		tuned = append(tuned, uint64(1+i))
		held = append(held, uint64(1001+i))
	}
	return tuned, held
}

func TestSingleCauses(t *testing.T) {
	tuned, held := seeds()
	eachRelease(t, func(t *testing.T, chunkTokens int) {
		t.Run("tuned", func(t *testing.T) { measure(t, singles(), tuned, chunkTokens, 0.95) })
		t.Run("held_out", func(t *testing.T) { measure(t, singles(), held, chunkTokens, 0.95) })
	})
}

func TestPairsOfCauses(t *testing.T) {
	tuned, held := seeds()
	eachRelease(t, func(t *testing.T, chunkTokens int) {
		t.Run("tuned", func(t *testing.T) { measure(t, doubles(), tuned, chunkTokens, 0.85) })
		t.Run("held_out", func(t *testing.T) { measure(t, doubles(), held, chunkTokens, 0.85) })
	})
}

// Healthy traffic gives no finding at all.
func TestHealthy(t *testing.T) {
	tuned, held := seeds()
	eachRelease(t, func(t *testing.T, chunkTokens int) {
		n := 0
		for name, change := range healthy() {
			for _, seed := range slices.Concat(tuned, held) {
				w := newWorld(seed)
				w.chunkTokens = chunkTokens
				change(w)
				for _, f := range w.diagnosis(t).Findings {
					t.Errorf("%s, seed %d: %s: %s", name, seed, f.Code, f.Title)
				}
				n++
			}
		}
		t.Logf("%d healthy worlds", n)
	})
}
