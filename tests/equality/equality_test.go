// Package equality holds the two drivers of the policy core against each
// other: one workload through whatif's simulation and through the real gateway
// in front of azuresim, in virtual time, must leave the same records. So what
// the simulation says is what the gateway does.
//
// The records are equal in every field, instants to the nanosecond, except for
//
//   - ID, which each driver makes its own way;
//   - TBTMax, the longest gap between chunks, which only a driver that reads
//     chunks can see: the simulation hears of the first token and the end;
//   - of attempts, UpstreamRequestID, ServedRegion and Error, which only a real
//     response says;
//   - Refusal where it is upstream_unavailable, which is how the gateway words the
//     end of an attempt: the simulation has no words.
//
// The order in which records come does not count either: they are compared in
// order of acceptance. What the model of each deployment has counted must be
// equal as well, and in both nothing may be left reserved.
//
// Compared is what the simulation has: chat with one choice and neither tools
// nor reasoning, and prompts of which nothing but size and prefix is known.
//
// Calls arrive at irregular instants, because the order of goroutines at one
// instant is undefined.
package equality

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
	"github.com/spillway-ai/spillway/internal/lab/whatif"
	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/policy"
)

// seeds is for a wider search than a build needs.
var seeds = flag.Int("seeds", 1, "how many seeds to run the cases with")

// seed decides the calls of a case, what its fleet draws, and the core's draws.
type seed uint64

// firstSeed is the one whose cases show everything that they are meant to.
const firstSeed seed = 7

// test is one case.
type test struct {
	name    string
	seed    uint64
	fleet   fleet.Config
	pools   []policy.Config
	changes []whatif.Change
	callers map[string]*spillway.Class // classes, by client
	calls   []workload.Call
	sdk     fleet.Client // of all callers; without jitter
	// shows are marks that some record must have, or the case would prove
	// nothing.
	shows []string
}

// outcome is what a driver makes of a case.
type outcome struct {
	records []spillway.Record
	counts  map[string]fleet.Counts // of the fleet, by deployment
}

func TestEquality(t *testing.T) {
	for name, chunkTokens := range chunks {
		for i := range *seeds {
			for _, tc := range tests(firstSeed + seed(i)) {
				tc.release(chunkTokens)
				t.Run(fmt.Sprintf("%s/%s/%d", name, tc.name, tc.seed), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { run(t, &tc) })
				})
			}
		}
	}
}

// chunks is how many tokens streams release at a time, on average. Batches are
// smaller than Azure's, so that the cases' short answers have several.
var chunks = map[string]int{"single": 1, "batches": 8}

// release makes the fleet's streams release their text in chunks of that many
// tokens on average.
func (c *test) release(tokens int) {
	for i := range c.fleet.Deployments {
		c.fleet.Deployments[i].ChunkTokens = tokens
	}
}

func run(t *testing.T, tc *test) {
	simulated := tc.simulated(t)
	served := tc.served(t)
	compare(t, &simulated, &served)
	if tc.seed == uint64(firstSeed) {
		requireMarks(t, served.records, tc.shows)
	}
}

// simulated is what a case comes to in the simulation.
func (c *test) simulated(t *testing.T) outcome {
	out := outcome{counts: map[string]fleet.Counts{}}
	result, err := whatif.Run(whatif.Config{
		Fleet: c.fleet, Client: c.sdk,
		Policy: whatif.Policy{
			Name: c.name, Pools: c.pools, Changes: c.changes, Callers: c.callers, Default: &spillway.Class{Name: "nobody's"},
		},
		Seed: c.seed, Start: time.Now(), PromptBytes: promptBytes,
		OnRecord: func(rec *spillway.Record) { out.records = append(out.records, clone(rec)) },
	}, workload.Slice(c.calls))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range result.Deployments {
		out.counts[d.Name] = d.Counts
	}
	return out
}

// compare fails the test where the two differ.
func compare(t *testing.T, simulated, served *outcome) {
	t.Helper()
	normalize(simulated.records)
	normalize(served.records)
	if a, b := len(simulated.records), len(served.records); a != b {
		t.Errorf("%d records simulated, %d served", a, b)
	}
	const most = 5 // differences, for one makes the next
	shown := 0
	for i := range min(len(simulated.records), len(served.records)) {
		a, b := &simulated.records[i], &served.records[i]
		diff := differences("", reflect.ValueOf(*a), reflect.ValueOf(*b))
		if len(diff) == 0 {
			continue
		}
		if shown++; shown <= most {
			t.Errorf("record %d, accepted at %v (simulated, served):\n\t%s", i+1, b.Time.Sub(served.records[0].Time), strings.Join(diff, "\n\t"))
		}
	}
	if shown > most {
		t.Errorf("%d records differ", shown)
	}
	for name, a := range simulated.counts {
		if b := served.counts[name]; a != b {
			t.Errorf("deployment %s: simulated %+v, served %+v", name, a, b)
		}
	}
}

// normalize takes out of records what need not be equal, and sorts them.
func normalize(records []spillway.Record) {
	slices.SortFunc(records, func(a, b spillway.Record) int { return a.Time.Compare(b.Time) })
	for i := range records {
		r := &records[i]
		r.ID, r.TBTMax = "", 0
		if r.Refusal == spillway.RefusalUpstream {
			r.Refusal = spillway.RefusalNone
		}
		for j := range r.Attempts {
			a := &r.Attempts[j]
			a.UpstreamRequestID, a.ServedRegion, a.Error = "", "", ""
		}
	}
}

// differences lists the fields in which two values differ.
func differences(path string, a, b reflect.Value) []string {
	if at, ok := a.Interface().(time.Time); ok {
		if at.Equal(b.Interface().(time.Time)) {
			return nil
		}
		return []string{fmt.Sprintf("%s: %v, %v", path, a, b)}
	}
	var out []string
	switch {
	case a.Kind() == reflect.Struct:
		for i := range a.NumField() {
			out = append(out, differences(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))...)
		}
	case a.Kind() == reflect.Slice && a.Len() == b.Len():
		for i := range a.Len() {
			out = append(out, differences(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i))...)
		}
	case !reflect.DeepEqual(a.Interface(), b.Interface()):
		out = append(out, fmt.Sprintf("%s: %+v, %+v", path, a, b))
	}
	return out
}

// requireMarks fails the test unless every mark occurs.
func requireMarks(t *testing.T, records []spillway.Record, shows []string) {
	t.Helper()
	count := map[string]int{}
	for i := range records {
		for mark := range marks(&records[i]) {
			count[mark]++
		}
	}
	t.Log(len(records), count)
	for _, mark := range shows {
		if count[mark] == 0 {
			t.Errorf("no record shows %q", mark)
		}
	}
}

// marks are what can be said of a record.
func marks(r *spillway.Record) map[string]bool {
	out := map[string]bool{r.Outcome.String(): true}
	if r.Spill != spillway.SpillNone {
		out["spill "+r.Spill.String()] = true
	}
	if r.Queue > 0 {
		out["queued"] = true
	}
	if r.Usage.Cached > 0 {
		out["cached"] = true
	}
	out["policy "+r.Policy] = r.Policy != ""
	if r.Stream {
		out["stream"] = true
	}
	for _, a := range r.Attempts {
		out[fmt.Sprintf("tier %d", a.Tier)] = true
		if a.Hedge {
			out["hedge"] = true
		}
		if a.Class != spillway.FailureNone {
			out[fmt.Sprintf("%v %d", a.Class, a.Status)] = true
		}
	}
	if r.ClientRetry > 0 {
		out["tried again "+r.Outcome.String()] = true
	}
	if len(r.Attempts) > 1 && r.Outcome == spillway.OutcomeOK {
		out["saved"] = true
	}
	return out
}

// traffic makes n calls at irregular instants, gap apart on average.
func (s seed) traffic(n int, gap time.Duration, shape func(rng *rand.Rand, call *workload.Call)) []workload.Call {
	rng := rand.New(rand.NewPCG(uint64(s), 0xca11))
	calls := make([]workload.Call, n)
	at := time.Millisecond
	for i := range calls {
		at += time.Duration(rng.ExpFloat64()*float64(gap)) + time.Microsecond
		call := &calls[i]
		*call = workload.Call{
			At: at, Client: "app", Model: model,
			PromptTokens: 10 + rng.IntN(400), OutputTokens: 1 + rng.IntN(80), Stream: rng.IntN(3) == 0,
		}
		if rng.IntN(4) == 0 {
			call.MaxTokens = 10 + rng.IntN(100)
		}
		if shape != nil {
			shape(rng, call)
		}
	}
	return calls
}
