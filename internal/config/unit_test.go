package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/defaults"
	"github.com/spillway-ai/spillway/internal/policy/budget"
	"github.com/spillway-ai/spillway/internal/policy/route"
)

// Every tag must be readable: defaults and bounds as values of their types,
// descriptions as sentences.
func TestTags(t *testing.T) {
	checkTags(t, reflect.TypeFor[Config](), "")
}

func checkTags(t *testing.T, typ reflect.Type, path string) {
	for _, o := range options(typ) {
		at := join(path, o.name)
		if o.name == "" || !strings.HasSuffix(o.doc, ".") {
			t.Errorf("%s: wants a name and a sentence of doc, has %q", at, o.doc)
		}
		if element, _ := underlying(o.typ); element.Kind() == reflect.Struct {
			checkTags(t, element, at)
			continue
		}
		if o.typ.Kind() == reflect.Slice {
			continue
		}
		v := reflect.New(o.typ).Elem()
		for _, text := range []string{o.min, o.max, o.def} {
			if text == "" {
				continue
			}
			if err := setScalar(v, text); err != nil {
				t.Errorf("%s: %q %s", at, text, err.message)
			}
		}
		if err := o.check(v); o.def != "" && err != nil {
			t.Errorf("%s: default %q %s", at, o.def, err.message)
		}
	}
}

// A default is stated once: by the tag, or by what uses the option. What other
// options' descriptions say of defaults is so.
func TestDefaultsAreStatedOnce(t *testing.T) {
	count := 0
	var check func(reflect.Type)
	check = func(typ reflect.Type) {
		owned, has := reflect.Zero(typ).Interface().(defaulter)
		for f := range typ.Fields() {
			if element, _ := underlying(f.Type); element.Kind() == reflect.Struct {
				check(element)
			}
			if !has || reflect.ValueOf(owned.defaults()).FieldByIndex(f.Index).IsZero() {
				continue
			}
			count++
			if tag, twice := f.Tag.Lookup("default"); twice {
				t.Errorf("%s.%s has a default in its tag, %s, and takes another one", typ.Name(), f.Name, tag)
			}
		}
	}
	check(reflect.TypeFor[Config]())
	if count < 40 {
		t.Errorf("%d defaults are taken from what uses them: the test shows little", count)
	}
	for _, tt := range []struct{ option, fact string }{
		{"api_version", defaults.APIVersion},
		{"max_output_tokens", fmt.Sprint(budget.DefaultMaxTokens)},
	} {
		if o, _ := find(options(reflect.TypeFor[Deployment]()), tt.option); !strings.Contains(o.doc, tt.fact) {
			t.Errorf("the description of %s does not name %s: %s", tt.option, tt.fact, o.doc)
		}
	}
}

// Every word of an enum must build a policy value; pick panics otherwise.
func TestEnumWordsBuild(t *testing.T) {
	word := func(typ reflect.Type, name string) []string {
		o, _ := find(options(typ), name)
		return o.enum
	}
	for _, w := range word(reflect.TypeFor[Deployment](), "kind") {
		d := Deployment{Kind: w, Scope: "global"}
		if got := d.policy().Kind.String(); got != w {
			t.Errorf("kind %s became %s", w, got)
		}
	}
	for _, w := range word(reflect.TypeFor[Deployment](), "scope") {
		d := Deployment{Kind: "standard", Scope: w}
		if got := d.policy().Scope.String(); got != w {
			t.Errorf("scope %s became %s", w, got)
		}
	}
	for _, w := range append(word(reflect.TypeFor[Deployment](), "sync"), "") {
		d := Deployment{Kind: "standard", Scope: "global", Sync: w}
		if got, want := d.policy().Sync.String(), cmp.Or(w, "stream"); got != want {
			t.Errorf("sync %q of a deployment became %s", w, got)
		}
	}
	for _, w := range append(word(reflect.TypeFor[Class](), "cut_structured"), "") {
		c := Class{Priority: "normal", Sync: "stream", Budget: Budget{Mode: "window"}, CutStructured: w}
		if got, want := c.policy().CutStructured.String(), cmp.Or(w, "timeout"); got != want {
			t.Errorf("cut_structured %q became %s", w, got)
		}
	}
	modes, syncs := word(reflect.TypeFor[Budget](), "mode"), word(reflect.TypeFor[Class](), "sync")
	for _, w := range word(reflect.TypeFor[Class](), "priority") {
		for _, m := range modes {
			for _, s := range syncs {
				c := Class{Priority: w, Sync: s, Budget: Budget{Mode: m}}
				got := c.policy()
				if got.Priority.String() != w || got.Budget.Mode.String() != m || got.Sync.String() != s {
					t.Errorf("%s, %s, %s became %+v", w, m, s, got)
				}
			}
		}
	}
	for _, w := range word(reflect.TypeFor[Routing](), "strategy") {
		if got := pick(w, route.Weighted, route.LeastOutstanding, route.Affinity).String(); got != w {
			t.Errorf("strategy %s became %s", w, got)
		}
	}
}

func TestPolicies(t *testing.T) {
	c, err := parse("policies.yaml", read(t, "testdata/policies.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	list := c.Policies()
	if len(list) != 2 {
		t.Fatalf("%d policies, want 2", len(list))
	}
	p := list[0]
	wantPool := spillway.Pool{
		Name: "gpt-4o-mini", Models: []string{"mini"}, Tiers: [][]string{{"ptu-eastus"}, {"std-sweden"}},
		SpillAt: 0.9, MaxTiers: 2,
	}
	if !reflect.DeepEqual(p.Pool, wantPool) {
		t.Errorf("pool %+v, want %+v", p.Pool, wantPool)
	}
	price := spillway.TokenPrice{Input: 0.15, Cached: 0.075, Output: 0.6, Flex: 0.5, Priority: 5. / 3}
	wantDeployments := []spillway.Deployment{
		{Name: "ptu-eastus", Model: "gpt-4o-mini", Region: "eastus", Kind: spillway.Provisioned, PTU: 200, MeterDepth: 10 * time.Second, Weight: 1, InputTPMPerPTU: 37_000, OutputRatio: 4, TokensPerSecond: 33, Price: price},
		{Name: "std-sweden", Model: "gpt-4o-mini", TPM: 2_000_000, RPM: 12_000, Weight: 3, InputTPMPerPTU: 37_000, OutputRatio: 4, TokensPerSecond: 33, Price: price},
	}
	if !reflect.DeepEqual(p.Deployments, wantDeployments) {
		t.Errorf("deployments %+v, want %+v", p.Deployments, wantDeployments)
	}
	if p.Retry.Ratio != -1 || p.Queue.MaxLength != -1 || p.Retry.MinPerSecond != 10 {
		t.Errorf("none must be negative: retry %+v, queue %+v", p.Retry, p.Queue)
	}
	if p.Breaker.OpenFor != 7*time.Second || p.Speed.Decay != 10*time.Minute || p.Strategy != route.Affinity || p.MaxHops != 3 {
		t.Errorf("got %+v", p)
	}
	if list[1].Version == p.Version || len(p.Version) != 8 {
		t.Errorf("versions %q and %q, want two of eight digits", p.Version, list[1].Version)
	}
	wantClass := spillway.Class{
		Name: "batch", Priority: spillway.PriorityLow, Window: 10 * time.Minute, StreamWindow: 5 * time.Minute,
		Objective: spillway.Objective{TTFT: 2 * time.Second, TBT: 30 * time.Millisecond},
		Budget:    spillway.BudgetRule{Mode: spillway.BudgetReject, Quantile: 0.9, MaxOutputTokens: 2000, Margin: time.Second, ClampStructured: true},
		Sync:      spillway.SyncPass, MaxWait: time.Minute, SilenceTimeout: 2 * time.Minute, Hedge: true, RightSize: true,
	}
	if got := *c.TrafficClasses()["batch"]; got != wantClass {
		t.Errorf("class %+v, want %+v", got, wantClass)
	}
}

// TestOperationWords holds the words of the two options to the operations that
// there are.
func TestOperationWords(t *testing.T) {
	want := append(spillway.Operations(), spillway.OperationAll)
	slices.Sort(want)
	for _, of := range []reflect.Type{reflect.TypeFor[Class](), reflect.TypeFor[Caller]()} {
		o, _ := find(options(of), "operations")
		got := slices.Clone(o.enum)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", of, got, want)
		}
	}
}

// What decides changes the version; secrets and addresses do not.
func TestPolicyVersion(t *testing.T) {
	version := func(from, to string) string {
		text := strings.Replace(base, from, to, 1)
		if text == base && from != to {
			t.Fatalf("base has no %s", from)
		}
		c, err := parse("v.yaml", text)
		if err != nil {
			t.Fatal(err)
		}
		return c.Policies()[0].Version
	}
	plain := version("", "")
	for _, same := range [][2]string{{"EASTUS_KEY", "SWEDEN_KEY"}, {"https://eastus", "https://other"}, {"search-team", "team"}} {
		if got := version(same[0], same[1]); got != plain {
			t.Errorf("%s for %s changed the version", same[1], same[0])
		}
	}
	for _, other := range [][2]string{{"ptu: 200", "ptu: 201"}, {"{name: interactive}", "{name: interactive, window: 61s}"}} {
		if got := version(other[0], other[1]); got == plain {
			t.Errorf("%s for %s did not change the version", other[1], other[0])
		}
	}
}

func TestBytes(t *testing.T) {
	tests := []struct {
		text string
		want Bytes
		ok   bool
	}{
		{"0", 0, true},
		{"512", 512, true},
		{"512B", 512, true},
		{"64KiB", 65536, true},
		{"50 MiB", 50 << 20, true},
		{"1GiB", 1 << 30, true},
		{"2kB", 2000, true},
		{"2MB", 2_000_000, true},
		{"1_000", 1000, true},
		{"-1", 0, false},
		{"1.5MiB", 0, false},
		{"MiB", 0, false},
		{"9223372036854775807", 1<<63 - 1, true},
		{"9223372036854775807KiB", 0, false},
	}
	for _, tt := range tests {
		got, ok := parseBytes(tt.text)
		if got != tt.want || ok != tt.ok {
			t.Errorf("parseBytes(%q) = %d, %t, want %d, %t", tt.text, got, ok, tt.want, tt.ok)
		}
		if back, ok := parseBytes(got.String()); !ok || back != got {
			t.Errorf("%d is written as %s", got, got)
		}
	}
}

func TestExpand(t *testing.T) {
	e := expansions{env: testEnv, readFile: testFiles}
	tests := []struct{ text, want, fault string }{
		{"plain", "plain", ""},
		{"${env:PTU}", "200", ""},
		{"a${env:PTU}b${env:EMPTY}c", "a200bc", ""},
		{"${file:/files/key.txt}", "file-key", ""},
		{"$${env:PTU}", "${env:PTU}", ""},
		{"$$${env:PTU}", "$${env:PTU}", ""},
		{"$5 {x}", "$5 {x}", ""},
		{"${env:GONE}", "", "GONE"},
		{"${file:/gone}", "", "/gone"},
		{"${HOME}", "", "neither"},
		{"${env:PTU", "", "without }"},
	}
	for _, tt := range tests {
		got, err := e.expand(tt.text)
		if fault := err != nil && strings.Contains(err.message, tt.fault); got != tt.want || fault != (tt.fault != "") {
			t.Errorf("expand(%q) = %q, %v, want %q, %q", tt.text, got, err, tt.want, tt.fault)
		}
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"ptu", "ptu", 0},
		{"ptus", "ptu", 1},
		{"tpu", "ptu", 1},
		{"ptu", "", 3},
		{"", "ptu", 3},
		{"kitten", "sitting", 3},
		{strings.Repeat("x", 65), "x", 64},
	}
	for _, tt := range tests {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestSuggest(t *testing.T) {
	tests := []struct {
		word       string
		candidates []string
		want       string
	}{
		{"ptus", []string{"tpm", "ptu"}, "did you mean ptu?"},
		{"PTU", []string{"tpm", "ptu"}, "did you mean ptu?"},
		{"elephant", []string{"tpm", "ptu"}, "it may be tpm, ptu"},
		{"chat/completions", []string{"completions", "chat"}, "did you mean chat?"},
		{"al", []string{"chat", "*"}, "it may be chat, *"},
		{"x", nil, ""},
	}
	for _, tt := range tests {
		if got := suggest(tt.word, tt.candidates); got != tt.want {
			t.Errorf("suggest(%q) = %q, want %q", tt.word, got, tt.want)
		}
	}
}
