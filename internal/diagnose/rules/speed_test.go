package rules

import (
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/diagnose"
)

func TestSlowDecode(t *testing.T) {
	check(t, []ruleCase{
		{"two slow minutes of twenty", Config{}, func(f *feed) {
			f.minutes(0, 18, 30)
			f.minutes(18, 20, 30, pace(25))
		}, "slow_decode std"},
		{"one slow minute", Config{}, func(f *feed) {
			f.minutes(0, 19, 40)
			f.minutes(19, 20, 40, pace(25))
		}, ""},
		{"not slow enough", Config{}, func(f *feed) {
			f.minutes(0, 18, 30)
			f.minutes(18, 20, 30, pace(18))
		}, ""},
		{"too few answers in the slow minutes", Config{}, func(f *feed) {
			f.minutes(0, 18, 30)
			f.minutes(18, 20, 9, pace(25))
		}, ""},
		{"two slow minutes of a day", Config{}, func(f *feed) {
			f.minutes(0, 200, 30)
			f.minutes(200, 202, 30, pace(25))
		}, ""},
		{"under three times the load", Config{}, func(f *feed) {
			f.minutes(0, 18, 30)
			f.minutes(18, 20, 90, pace(22))
		}, ""},
		{"far slower than load explains", Config{}, func(f *feed) {
			f.minutes(0, 18, 30)
			f.minutes(18, 20, 90, pace(40))
		}, "slow_decode std"},
		{"below every contract throughout", Config{}, func(f *feed) { f.minutes(0, 20, 30, pace(70)) }, "slow_decode std"},
		{"a little below every contract", Config{}, func(f *feed) { f.minutes(0, 20, 30, pace(50)) }, "slow_decode std"},
		{"just within it", Config{}, func(f *feed) { f.minutes(0, 20, 30, pace(43)) }, ""},
		{"few responses in each minute", Config{}, func(f *feed) {
			f.minutes(0, 60, 3)
			f.minutes(60, 90, 3, pace(30))
		}, "slow_decode std"},
		{"slower than another of its kind", Config{}, func(f *feed) {
			f.minutes(0, 20, 30, pace(25))
			f.minutes(0, 20, 30, by("std-b"))
		}, "slow_decode std"},
		{"slower than one of another kind", Config{}, func(f *feed) {
			f.minutes(0, 20, 30, pace(25))
			f.minutes(0, 20, 30, by("ptu"), provisioned())
		}, ""},
		{"slower than one of another model", Config{}, func(f *feed) {
			f.minutes(0, 20, 30, pace(25))
			f.minutes(0, 20, 30, by("std-b"), model("gpt-4o"))
		}, ""},
		{"slower than another, in logs that have no kinds", Config{Direct: true}, func(f *feed) {
			f.minutes(0, 20, 30, pace(25))
			f.minutes(0, 20, 30, by("std-b"))
		}, ""},
		{"below the contract that is configured", Config{Deployments: []spillway.Deployment{{Name: "std", Model: "gpt-4o-mini", TokensPerSecond: 80}}}, func(f *feed) {
			f.minutes(0, 20, 30, pace(25))
		}, "slow_decode std"},
		{"pace from whole answers", Config{}, func(f *feed) {
			slow := func(ms float64) option {
				return set(func(o *diagnose.Observation) { answer(300, 400, 500)(0, o); pace(ms)(0, o); o.TBT = 0 })
			}
			f.minutes(0, 18, 30, slow(10))
			f.minutes(18, 20, 30, slow(30))
		}, "slow_decode std"},
	})
}

// What runs out of time in slow minutes is a consequence, and the responses'
// length is ruled out as the cause.
func TestSlowDecodeExplainsTimeouts(t *testing.T) {
	var f feed
	f.minutes(0, 16, 50)
	f.minutes(16, 20, 50, pace(40), nth(10, late(time.Minute, 120)))
	d := f.diagnose(Config{})
	if got := found(&d); got != "slow_decode std" {
		t.Fatalf("found %q", got)
	}
	x := d.Findings[0]
	if late := x.Evidence[3].Value; late != 20 {
		t.Errorf("%v ran out of time meanwhile, want 20", late)
	}
	length := ""
	for _, r := range x.RuledOut {
		if r.Code == diagnose.OversizedRequests {
			length = r.Text
		}
	}
	if !strings.HasPrefix(length, "not the length: 113 tokens per response") {
		t.Errorf("ruled out %+v, want the length", x.RuledOut)
	}
	if !x.Remedy.Spill {
		t.Error("the remedy of a lone deployment adds no second tier")
	}
}

// prompts of 1,000 to 10,000 tokens, each of which takes so long until its
// first token comes, in ms.
func prompts(first func(tokens int) float64) option {
	return func(i int, o *diagnose.Observation) {
		tokens := 1000 + 1000*(i*7%10)
		answer(tokens, 100, 500)(i, o)
		firstToken(first(tokens))(i, o)
	}
}

func TestSlowPrefill(t *testing.T) {
	half := func(tokens int) float64 { return 100 + float64(tokens)/2 }
	check(t, []ruleCase{
		{"half a millisecond per token", Config{}, func(f *feed) { f.minutes(0, 20, 30, prompts(half)) }, "slow_prefill std"},
		{"a twentieth", Config{}, func(f *feed) {
			f.minutes(0, 20, 30, prompts(func(n int) float64 { return 100 + float64(n)/20 }))
		}, ""},
		{"slow whatever the prompt", Config{}, func(f *feed) { f.minutes(0, 20, 30, prompts(func(int) float64 { return 4000 })) }, ""},
		{"slower by itself than for the prompt", Config{}, func(f *feed) {
			f.minutes(0, 20, 30, prompts(func(n int) float64 { return 9000 + float64(n)/2 }))
		}, ""},
		{"uncorrelated", Config{}, func(f *feed) {
			f.minutes(0, 20, 30, func(i int, o *diagnose.Observation) {
				answer(1000+1000*(i%10), 100, 500)(i, o)
				firstToken(500+2500*float64(i%3))(i, o)
			})
		}, ""},
		{"prompts of one length", Config{}, func(f *feed) { f.minutes(0, 20, 30, answer(8000, 100, 500), firstToken(4000)) }, ""},
		{"ninety answers", Config{}, func(f *feed) { f.minutes(0, 3, 30, prompts(half)) }, ""},
		{"cached prompts are not read", Config{}, func(f *feed) {
			f.minutes(0, 20, 30, prompts(func(int) float64 { return 300 }), set(func(o *diagnose.Observation) { o.CachedTokens = o.PromptTokens - 100 }))
		}, ""},
		{"seen in whole durations alone", Config{}, func(f *feed) { f.minutes(0, 20, 30, prompts(half), varied(), unseen()) }, "slow_prefill std"},
		{"whole durations that follow the output", Config{}, func(f *feed) {
			f.minutes(0, 20, 30, prompts(func(int) float64 { return 300 }), varied(), unseen())
		}, ""},
	})
	var f feed
	f.minutes(0, 20, 30, prompts(half))
	d := f.diagnose(Config{})
	for _, e := range d.Findings[0].Evidence {
		switch {
		case e.Name == "prefill of 1,000 prompt tokens" && (e.Value < 499 || e.Value > 501):
			t.Errorf("1,000 tokens take %v ms, want 500", e.Value)
		case e.Name == "time to first token, empty prompt" && (e.Value < 99 || e.Value > 101):
			t.Errorf("an empty prompt takes %v ms, want 100", e.Value)
		}
	}
}

// varied gives responses lengths that have nothing to do with their prompts.
func varied() option {
	return func(i int, o *diagnose.Observation) {
		o.CompletionTokens = 20 + 30*(i*5%8)
		o.Attempts[0].Tokens = o.CompletionTokens
		pace(10)(i, o)
	}
}

// unseen takes away what only streams show.
func unseen() option {
	return set(func(o *diagnose.Observation) { o.TTFT, o.TBT, o.Attempts[0].TTFT = 0, 0, 0 })
}

func TestCacheLoss(t *testing.T) {
	with := func(tokens int) []option { return []option{answer(2048, 100, 500), cached(tokens)} }
	check(t, []ruleCase{
		{"cached, then no more", Config{}, func(f *feed) {
			f.minutes(0, 10, 20, with(1536)...)
			f.minutes(10, 20, 20, with(0)...)
		}, "cache_loss std"},
		{"cached, then half as much", Config{}, func(f *feed) {
			f.minutes(0, 10, 20, with(1536)...)
			f.minutes(10, 20, 20, with(1024)...)
		}, ""},
		{"never cached", Config{}, func(f *feed) { f.minutes(0, 20, 20, with(0)...) }, ""},
		{"always cached", Config{}, func(f *feed) { f.minutes(0, 20, 20, with(1536)...) }, ""},
		{"cached at last", Config{}, func(f *feed) {
			f.minutes(0, 10, 20, with(0)...)
			f.minutes(10, 20, 20, with(1536)...)
		}, ""},
		{"little was cached before", Config{}, func(f *feed) {
			f.minutes(0, 10, 20, with(300)...)
			f.minutes(10, 20, 20, with(0)...)
		}, ""},
		{"for one minute", Config{}, func(f *feed) {
			f.minutes(0, 10, 20, with(1536)...)
			f.minutes(10, 11, 20, with(0)...)
			f.minutes(11, 20, 20, with(1536)...)
		}, ""},
		{"short prompts, which nobody caches", Config{}, func(f *feed) {
			f.minutes(0, 10, 20, answer(900, 100, 500), cached(800))
			f.minutes(10, 20, 20, answer(900, 100, 500), cached(0))
		}, ""},
		{"too few prompts", Config{}, func(f *feed) {
			f.minutes(0, 10, 4, with(1536)...)
			f.minutes(10, 20, 4, with(0)...)
		}, ""},
		{"unknown", Config{}, func(f *feed) {
			f.minutes(0, 10, 20, with(1536)...)
			f.minutes(10, 20, 20, with(-1)...)
		}, ""},
	})
}

// A lost cache comes before the saturation that follows from it, and not before one
// that was there already.
func TestCacheLossBeforeItsConsequence(t *testing.T) {
	for _, tc := range []struct {
		name        string
		short, from int
		want        string
	}{
		{"short since", 10, 20, "cache_loss ptu, ptu_saturation ptu"},
		{"short throughout", 0, 20, "ptu_saturation ptu, cache_loss ptu"},
	} {
		var f feed
		at := func(cachedTokens int, more ...option) []option {
			return append([]option{by("ptu"), provisioned(), answer(2048, 100, 500), cached(cachedTokens)}, more...)
		}
		for m := range tc.from {
			options := at(1536)
			if m >= 10 {
				options = at(0)
			}
			if m >= tc.short {
				options = append(options, nth(4, refused()))
			}
			f.minutes(m, m+1, 20, options...)
		}
		d := f.diagnose(Config{})
		if got := found(&d); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
