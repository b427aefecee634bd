package imports

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// Of the facts that several rows have, the lower kind's is used, and of tokens
// the largest.
func TestFold(t *testing.T) {
	build := func(k kind, facts ...int64) *piece {
		p := &piece{kind: k}
		for i := 0; i < len(facts); i += 2 {
			p.know(fact(facts[i]), facts[i+1])
		}
		return p
	}
	for _, tc := range []struct {
		name       string
		group      []*piece
		want       map[fact]int64
		duplicates int
	}{
		{"one row", []*piece{build(kindGateway, int64(factStatus), 200)}, map[fact]int64{factStatus: 200, factKinds: 1 << kindGateway}, 0},
		{"two logs", []*piece{
			build(kindGateway, int64(factStatus), 408, int64(factTook), 9), build(kindLLM, int64(factPrompt), 700),
		}, map[fact]int64{factStatus: 408, factTook: 9, factPrompt: 700, factKinds: 1<<kindGateway | 1<<kindLLM}, 0},
		{"the lower kind is used", []*piece{
			build(kindGateway, int64(factStatus), 504), build(kindService, int64(factStatus), 408),
		}, map[fact]int64{factStatus: 504, factKinds: 1<<kindGateway | 1<<kindService}, 0},
		{"the largest count is used", []*piece{
			build(kindUsage, int64(factPrompt), 700, int64(factCompletion), 0), build(kindLLM, int64(factPrompt), 0, int64(factCompletion), 300),
		}, map[fact]int64{factPrompt: 700, factCompletion: 300, factKinds: 1<<kindUsage | 1<<kindLLM}, 0},
		{"several rows of tokens are usual", []*piece{
			build(kindLLM, int64(factCompletion), 10), build(kindLLM, int64(factCompletion), 20), build(kindLLM, int64(factCompletion), 5),
		}, map[fact]int64{factCompletion: 20, factKinds: 1 << kindLLM}, 0},
		{"several rows of the gateway are not", []*piece{
			build(kindGateway, int64(factStatus), 200), build(kindGateway, int64(factStatus), 500), build(kindGateway),
		}, map[fact]int64{factStatus: 200, factKinds: 1 << kindGateway}, 2},
		{"one is about an LLM", []*piece{
			build(kindGateway, int64(factAbout), 0), build(kindLLM, int64(factAbout), 1),
		}, map[fact]int64{factAbout: 1, factKinds: 1<<kindGateway | 1<<kindLLM}, 0},
	} {
		im := &Import{}
		out := im.fold(tc.group)
		for f := range factCount {
			want, known := tc.want[f]
			if out.knows(f) != known || known && out.get(f) != want {
				t.Errorf("%s: fact %d is %d, want %d (known %t)", tc.name, f, out.get(f), want, known)
			}
		}
		if im.joined.duplicates != tc.duplicates {
			t.Errorf("%s: %d duplicates, want %d", tc.name, im.joined.duplicates, tc.duplicates)
		}
	}
}

// The time is divided into parts with about as many requests each.
func TestSplitter(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	var s splitter
	var times []uint64
	for range 4 * perDivision {
		p := piece{}
		p.know(factTime, rng.Int64N(1e12))
		s.see(&p)
		times = append(times, p.values[factTime])
	}
	cuts := s.cut()
	if !slices.IsSorted(cuts) || len(cuts) < 3 || len(cuts) > 5 {
		t.Fatalf("cuts %v", cuts)
	}
	counts := make([]int, len(cuts)+1)
	for _, at := range times {
		counts[part(cuts, at)]++
	}
	for i, n := range counts {
		if n > perDivision*3/2 {
			t.Errorf("part %d has %d of %d requests", i, n, len(times))
		}
	}
	if cuts := (&splitter{}).cut(); len(cuts) != 0 {
		t.Errorf("of nothing: %v", cuts)
	}
	var same splitter
	for range 4 * perDivision {
		same.see(&piece{})
	}
	if cuts := same.cut(); len(cuts) > 1 {
		t.Errorf("of one time: %v", cuts)
	}
	for at, want := range map[uint64]int{0: 0, 9: 0, 10: 1, 19: 1, 20: 2, 99: 2} {
		if got := part([]uint64{10, 20}, at); got != want {
			t.Errorf("%d is in part %d, want %d", at, got, want)
		}
	}
}

// A range of time yields what a filter over all requests does, in order,
// whatever the divisions.
func TestObservationsInRange(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	begin := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	im := &Import{names: newNames(), fleet: newFleet(newNames())}
	for i := 1; i < 8; i++ {
		im.cuts = append(im.cuts, uint64(begin.Add(time.Duration(i)*time.Minute).UnixMicro())+1)
	}
	var err error
	if im.requests, err = newSpill(t.TempDir(), len(im.cuts)+1); err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	var all []time.Time
	for i := range 3000 {
		at := begin.Add(time.Duration(rng.Int64N(int64(8 * time.Minute)))).Truncate(time.Microsecond)
		if i%10 == 0 {
			at = at.Truncate(time.Minute) // where divisions begin
		}
		all = append(all, at)
		p := piece{key: keyOf(fmt.Sprint(i))}
		p.know(factTime, at.UnixMicro())
		p.know(factStatus, 200)
		if err := im.requests.add(part(im.cuts, p.values[factTime]), &p); err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	for range 50 {
		from, to := begin.Add(time.Duration(rng.Int64N(int64(10*time.Minute)))-time.Minute), begin.Add(time.Duration(rng.Int64N(int64(10*time.Minute)))-time.Minute)
		switch rng.IntN(5) {
		case 0:
			from = time.Time{}
		case 1:
			to = time.Time{}
		case 2:
			from, to = from.Truncate(time.Minute), to.Truncate(time.Minute)
		}
		var want, got []time.Time
		for _, at := range all {
			if !at.Before(from) && (to.IsZero() || at.Before(to)) {
				want = append(want, at)
			}
		}
		for o, err := range im.Observations(from, to) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, o.Time)
		}
		if !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Fatalf("%v to %v: %d requests, want %d", from, to, len(got), len(want))
		}
	}
	for range im.Observations(time.Time{}, time.Time{}) {
		break // a range may end early
	}
}

// A damaged temporary file is an error, not a panic or a wrong request.
func TestDamagedSpill(t *testing.T) {
	s, err := newSpill(t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	p := piece{key: keyOf("a")}
	p.know(factTime, 1)
	for range 2000 {
		if err := s.add(0, &p); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.divisions[0].blocks) == 0 {
		t.Fatal("nothing was written")
	}
	if _, err := s.file.WriteAt([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, int64(len(p.key)+1)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.read(0, nil); !errors.Is(err, errDamaged) {
		t.Errorf("%v, want that the file is damaged", err)
	}
	if err := s.file.Truncate(10); err != nil {
		t.Fatal(err)
	}
	if _, err := s.read(0, nil); err == nil || !strings.Contains(err.Error(), "temporary file") {
		t.Errorf("%v, want an error of the temporary file", err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	if _, err := newSpill(t.TempDir()+"/none", 1); err == nil {
		t.Error("a directory that there is not is no error")
	}
}

// Nothing stays behind in the temporary directory, whether reading ends well or
// not.
func TestTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	good := write(t, gatewayHead+gatewayRow(1, "a", 200, 9, "200"))
	bad := write(t, gatewayHead+"x"+gatewayRow(1, "a", 200, 9, "200"))
	for _, paths := range [][]string{good, bad} {
		im, err := Read(t.Context(), paths, Options{Dir: dir})
		if err == nil {
			if err := im.Close(); err != nil {
				t.Error(err)
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%v is left, %v", left, err)
		}
	}
}

// Reading reports its progress, which only grows, and ends with its context.
func TestProgress(t *testing.T) {
	paths := write(t, gatewayHead+strings.Repeat(gatewayRow(1, "a", 200, 9, "200"), 9000))
	last := 0.0
	calls := 0
	im, err := Read(t.Context(), paths, Options{Dir: t.TempDir(), OnProgress: func(share float64) {
		calls++
		if share < last || share > 1 {
			t.Errorf("%v after %v", share, last)
		}
		last = share
	}})
	if err != nil || calls < 3 {
		t.Fatalf("%v, %d calls", err, calls)
	}
	if err := im.Close(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = Read(ctx, paths, Options{Dir: t.TempDir(), OnProgress: func(float64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it was canceled", err)
	}
}

// Requests that cannot be joined are counted by what is missing of them.
func TestUnmatched(t *testing.T) {
	llm := "TimeGenerated,CorrelationId,DeploymentName,ModelName,PromptTokens,CompletionTokens\n2026-11-22T10:00:01Z,%s,gpt,gpt-4o,7,3\n"
	for _, tc := range []struct {
		name      string
		texts     []string
		requests  int
		other     int
		unmatched int
		limited   int
		blind     bool
	}{
		{"joined", []string{gatewayHead + gatewayRow(1, "a", 200, 9, "200"), fmt.Sprintf(llm, "a")}, 1, 0, 0, 0, false},
		{"tokens of another request", []string{gatewayHead + gatewayRow(1, "a", 200, 9, "200"), fmt.Sprintf(llm, "b")}, 1, 0, 1, 0, false},
		{"tokens alone", []string{fmt.Sprintf(llm, "b")}, 1, 0, 0, 0, true},
		{"another API", []string{gatewayHead + strings.ReplaceAll(strings.ReplaceAll(gatewayRow(1, "a", 200, 9, "200"), "chat/completions", "orders"), "deployments/gpt", "x")}, 0, 1, 0, 0, false},
		{"another API's address, with tokens", []string{gatewayHead + strings.ReplaceAll(strings.ReplaceAll(gatewayRow(1, "a", 200, 9, "200"), "chat/completions", "orders"), "deployments/gpt", "x"), fmt.Sprintf(llm, "a")}, 1, 0, 0, 0, false},
		{"the gateway's limits", []string{gatewayHead + gatewayRow(1, "a", 429, 0, " RateLimitExceeded")}, 1, 0, 0, 1, false},
	} {
		im := read(t, write(t, tc.texts...)...)
		j := im.joined
		if im.Requests() != tc.requests || j.other != tc.other || j.unmatched[kindLLM] != tc.unmatched || j.limited != tc.limited || im.Blind() != tc.blind {
			t.Errorf("%s: %+v, blind %t, want %+v", tc.name, j, im.Blind(), tc)
		}
		if tc.requests == 0 && !strings.Contains(im.Nothing().Error(), "without /completions, /responses or /embeddings in the URL: 1") {
			t.Errorf("%s: %v", tc.name, im.Nothing())
		}
		if n := len(observed(t, im, time.Time{}, time.Time{})); n != tc.requests {
			t.Errorf("%s: %d observations", tc.name, n)
		}
	}
}

// What is known of an operator's deployments names those of the logs.
func TestKnown(t *testing.T) {
	paths := write(t, gatewayHead+gatewayRow(1, "a", 200, 9, "200"))
	for _, tc := range []struct {
		name  string
		known Known
		want  string
		kind  spillway.Kind
	}{
		{"the same", Known{Name: "ptu-east", Endpoint: "https://east.openai.azure.com", Deployment: "gpt", Model: "gpt-4o", Provisioned: true}, "ptu-east", spillway.Provisioned},
		{"in capitals, with a path", Known{Name: "std-east", Endpoint: "https://EAST.openai.azure.com/openai", Deployment: "GPT", Model: "gpt-4o"}, "std-east", spillway.Standard},
		{"another resource", Known{Name: "x", Endpoint: "https://west.openai.azure.com", Deployment: "gpt"}, "gpt", spillway.Standard},
		{"another deployment", Known{Name: "x", Endpoint: "https://east.openai.azure.com", Deployment: "mini"}, "gpt", spillway.Standard},
		{"no address", Known{Name: "x", Deployment: "gpt"}, "gpt", spillway.Standard},
	} {
		im, err := Read(t.Context(), paths, Options{Dir: t.TempDir(), Known: []Known{tc.known}})
		if err != nil {
			t.Fatal(err)
		}
		o := observed(t, im, time.Time{}, time.Time{})[0]
		if a := o.Attempts[0]; a.Deployment != tc.want || a.Kind != tc.kind || tc.want != "gpt" && o.Model != "gpt-4o" {
			t.Errorf("%s: %s, %v, of model %q", tc.name, a.Deployment, a.Kind, o.Model)
		}
		if err := im.Close(); err != nil {
			t.Error(err)
		}
	}
}
