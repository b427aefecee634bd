package foreign

import (
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

// A world is some minutes of traffic with what is known of its troubles.
type world struct {
	kind string
	seed uint64
	r    *rand.Rand
	e    *engine

	from   time.Time
	length float64 // seconds
	deps   []*deployment
	apps   []*caller

	gaveUp int     // what the gateway answers at its own timeout
	sample float64 // share of requests that are logged
	copied int     // how often each row stands, one after the other
	skew   float64 // seconds by which the service's clock is ahead
	truth  []truth

	unlimited map[*deployment][]int // provisioned ones with room, and their apps
	beside    string

	rows  []*row
	files map[string][]string // that were exported
}

// A truth is a cause that the world has, where it shows, and in which exports.
type truth struct {
	code     diagnose.Code
	subjects []string // what a finding may name
	optional bool     // true, and a diagnosis may leave it out
}

// newWorld has no traffic yet.
func newWorld(kind string, seed uint64) *world {
	h := uint64(14695981039346656037)
	for _, b := range []byte(kind) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	r := rand.New(rand.NewPCG(seed, h))
	return &world{
		kind: kind, seed: seed, r: r, unlimited: map[*deployment][]int{}, length: 900, sample: 1, copied: 1,
		from:   time.Date(2026, 3, 2+r.IntN(200), r.IntN(23), 0, 0, 0, time.UTC),
		gaveUp: [...]int{500, 504, 408}[r.IntN(3)],
		skew:   4*r.Float64() - 2,
	}
}

// run simulates the world.
func (w *world) run() *world {
	w.e = &engine{}
	w.rows, w.files = nil, map[string][]string{}
	for i, d := range w.deps {
		d.open(w.e, rand.New(rand.NewPCG(w.seed, uint64(i))))
	}
	for i, a := range w.apps {
		if a.route.tripped == nil {
			a.route.tripped = map[*deployment]float64{}
		}
		for _, c := range a.calls(rand.New(rand.NewPCG(w.seed+77, uint64(i))), w.length) {
			w.e.at(c.at, func() { w.try(c, 0) })
		}
	}
	w.e.run()
	sort.SliceStable(w.rows, func(i, j int) bool { return w.rows[i].at < w.rows[j].at })
	return w
}

// tally is how the tries of some rows ended.
type tally struct {
	tries, calls           int
	timeout, refused, gone float64 // shares of tries
	failed, truncated      float64
	received, generated    float64 // tokens per call
}

func (w *world) count(of func(*row) bool) tally {
	var t tally
	for _, b := range w.rows {
		if !of(b) {
			continue
		}
		t.tries++
		if b.retry == 0 {
			t.calls++
		}
		t.generated += float64(b.generated)
		switch {
		case b.code == 200:
			t.received += float64(b.generated)
			if b.c.limit > 0 && b.c.limit == b.c.app.fixedCap && b.c.want > b.c.limit {
				t.truncated++
			}
		case b.code == 408 || b.reason == "Timeout":
			t.timeout++
		case b.code == 429:
			t.refused++
		case b.code == 499:
			t.gone++
		}
		if b.code >= 400 && b.code != 400 && b.c.leave == 0 {
			t.failed++
		}
	}
	n, c := float64(max(1, t.tries)), float64(max(1, t.calls))
	t.timeout /= n
	t.refused /= n
	t.gone /= n
	t.failed /= n
	t.truncated /= n
	t.received /= c
	t.generated /= c
	return t
}

func (w *world) all() tally { return w.count(func(*row) bool { return true }) }

// is adds a cause that must be found.
func (w *world) is(code diagnose.Code, subjects ...string) {
	w.truth = append(w.truth, truth{code: code, subjects: subjects})
}

// maybe adds a cause that is there, too, and need not be found.
func (w *world) maybe(code diagnose.Code, subjects ...string) {
	w.truth = append(w.truth, truth{code: code, subjects: subjects, optional: true})
}

func (d *deployment) names() []string {
	return []string{d.name, d.name + "@" + d.resource, d.resource, d.region, "cfg-" + d.name}
}

// TestWorlds checks that the worlds are what their names say, by their own
// outcomes.
func TestWorlds(t *testing.T) {
	for _, k := range kinds() {
		for seed := range uint64(2) {
			w := k.make(seed + 1)
			x := w.all()
			t.Logf("%-22s %6d tries %6d calls: 408 %5.2f%% 429 %5.2f%% 499 %5.2f%% failed %5.2f%%", w.kind, x.tries, x.calls, 100*x.timeout, 100*x.refused, 100*x.gone, 100*x.failed)
			if x.tries < 150 {
				t.Errorf("%s, seed %d: only %d tries", k.name, seed+1, x.tries)
			}
		}
	}
}
