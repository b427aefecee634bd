package rules

import (
	"testing"

	"github.com/spillway-ai/spillway/internal/diagnose"
)

// hammer makes four of five requests retries, of which two are third ones.
func hammer(i int, o *diagnose.Observation) {
	if n := i % 5; n > 0 {
		o.Retry = n
	}
}

func TestRetryAmplification(t *testing.T) {
	check(t, []ruleCase{
		{"five tries for each call", Config{}, func(f *feed) { f.minutes(0, 20, 50, hammer) }, "retry_amplification"},
		{"in two minutes of twenty", Config{}, func(f *feed) {
			f.minutes(0, 18, 50)
			f.minutes(18, 20, 50, hammer)
		}, "retry_amplification"},
		{"in one minute", Config{}, func(f *feed) {
			f.minutes(0, 19, 50)
			f.minutes(19, 20, 50, hammer)
		}, ""},
		{"in two minutes of a day", Config{}, func(f *feed) {
			f.minutes(0, 200, 50)
			f.minutes(200, 202, 50, hammer)
		}, ""},
		{"one retry for each call", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, set(func(*diagnose.Observation) {}), func(i int, o *diagnose.Observation) { o.Retry = i % 2 })
		}, ""},
		{"few requests", Config{}, func(f *feed) { f.minutes(0, 20, 15, hammer) }, ""},
		{"some clients retry often, most do not", Config{}, func(f *feed) {
			f.minutes(0, 20, 50, func(i int, o *diagnose.Observation) {
				if i%4 == 0 {
					o.Retry = 3
				}
			})
		}, ""},
	})
	var f feed
	f.minutes(0, 20, 50, hammer)
	d := f.diagnose(Config{})
	x := d.Findings[0]
	if x.Evidence[0].Value != 5 || x.Evidence[1].Value != 0.4 || !x.Remedy.FewRetries {
		t.Errorf("%+v, want five tries for each call, 40%% of them third ones and later", x.Evidence)
	}
	if d.Calls != 200 || d.Tries != 1000 {
		t.Errorf("%d calls, %d tries", d.Calls, d.Tries)
	}
}

func TestNoisyTenant(t *testing.T) {
	at := []option{by("ptu"), provisioned()}
	with := func(more ...option) []option { return append(at[:2:2], more...) }
	steady := func(f *feed, name string) {
		f.minutes(0, 20, 20, with(callerNamed(name))...)
		f.minutes(20, 25, 20, with(callerNamed(name), nth(4, refused()))...)
	}
	rush := func(f *feed, usual, then int, more ...option) {
		f.minutes(0, 20, usual, with(append(more, callerNamed("batch"))...)...)
		f.minutes(20, 25, then, with(append(more, callerNamed("batch"), nth(4, refused()))...)...)
	}
	check(t, []ruleCase{
		{"one caller's rush", Config{}, func(f *feed) { steady(f, "chat"); rush(f, 5, 60) }, "noisy_tenant batch"},
		{"one caller's rush, in logs that do not count retries", Config{}, func(f *feed) {
			f.minutes(0, 20, 20, with(callerNamed("chat"), retried(-1))...)
			f.minutes(20, 25, 60, with(callerNamed("chat"), retried(-1), func(i int, o *diagnose.Observation) {
				if i%3 > 0 { // tried again and refused again
					refused()(i, o)
				}
			})...)
			rush(f, 5, 60, retried(-1))
		}, "noisy_tenant batch"},
		{"by tenant", Config{}, func(f *feed) {
			steady(f, "chat")
			rush(f, 5, 60, set(func(o *diagnose.Observation) { o.Tenant = "acme" }))
		}, "noisy_tenant acme"},
		{"twice the usual", Config{}, func(f *feed) { steady(f, "chat"); rush(f, 30, 60) }, "ptu_saturation ptu"},
		{"a small part of the work", Config{}, func(f *feed) {
			steady(f, "chat")
			steady(f, "search")
			rush(f, 2, 14)
		}, "ptu_saturation ptu"},
		{"all callers grow", Config{}, func(f *feed) {
			f.minutes(0, 20, 20, with(callerNamed("chat"))...)
			f.minutes(20, 25, 60, with(callerNamed("chat"), nth(4, refused()))...)
			rush(f, 5, 60)
		}, "ptu_saturation ptu"},
		{"the only caller", Config{}, func(f *feed) { rush(f, 20, 80) }, "ptu_saturation ptu"},
		{"capacity is short all the time", Config{}, func(f *feed) {
			f.minutes(0, 20, 20, with(callerNamed("chat"), nth(4, refused()))...)
			f.minutes(0, 20, 60, with(callerNamed("batch"), nth(4, refused()))...)
		}, "ptu_saturation ptu"},
		{"its rush is short prompts", Config{}, func(f *feed) { steady(f, "chat"); rush(f, 5, 60, answer(10, 1, 1)) }, "ptu_saturation ptu"},
		{"its rush in another pool", Config{}, func(f *feed) {
			f.minutes(0, 20, 40, with(callerNamed("chat"))...)
			f.minutes(20, 25, 40, with(callerNamed("chat"), nth(4, refused()))...)
			f.minutes(0, 20, 5, by("std"), pool("other"), callerNamed("batch"))
			f.minutes(20, 25, 60, by("std"), pool("other"), callerNamed("batch"))
		}, "ptu_saturation ptu"},
	})
}
