package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/workload"
	"github.com/spillway-ai/spillway/internal/models"
)

func TestSampleIsTheBusiestPart(t *testing.T) {
	facts, _ := models.Table{}.Find("gpt-4o-mini")
	// An hour of a call a second; from 20:00 on ten minutes of ten times the
	// output. It begins late.
	const begin = 5 * time.Minute
	calls := even(3600, time.Second, workload.Call{PromptTokens: 100, OutputTokens: 10})
	for i := range calls {
		calls[i].At += begin
		if i >= 1200 && i < 1800 {
			calls[i].OutputTokens = 100
		}
	}
	s, err := look(workload.Slice(calls))
	if err != nil {
		t.Fatal(err)
	}
	slots := s.merged("gpt-4o-mini")
	for _, tc := range []struct {
		name        string
		whole       bool
		length      time.Duration
		from, until time.Duration // after the beginning
		calls       int
	}{
		{"by default", false, 0, 20 * time.Minute, 30 * time.Minute, 600},
		{"five minutes", false, 5 * time.Minute, 20 * time.Minute, 25 * time.Minute, 300},
		{"shorter than a slot", false, time.Second, 20 * time.Minute, 20*time.Minute + slot, 10},
		{"all", true, 0, 0, 3599*time.Second + 1, 3600},
		{"longer than there is", false, 2 * time.Hour, 0, 3599*time.Second + 1, 3600},
	} {
		p := s.choose(slots, tc.whole, tc.length, &facts)
		if p.from != begin+tc.from || p.until != begin+tc.until || p.calls != tc.calls {
			t.Errorf("%s: %d calls from %v until %v", tc.name, p.calls, p.from-begin, p.until-begin)
		}
		got, err := s.cut(workload.Slice(calls), p, "gpt-4o-mini")
		if err != nil || len(got) != tc.calls || got[0].At != 0 || got[0].Model != "gpt-4o-mini" {
			t.Errorf("%s: cut gives %d calls, %v", tc.name, len(got), err)
		}
	}
}

func TestSampleIsBounded(t *testing.T) {
	facts, _ := models.Table{}.Find("gpt-4o-mini")
	s := &survey{last: 10*time.Minute - 1}
	slots := make([]amount, 60)
	for i := range slots {
		slots[i] = amount{calls: 5000, input: 1}
	}
	if p := s.choose(slots, false, 0, &facts); p.calls > sampleCalls || p.span() < 2*time.Minute {
		t.Errorf("%d calls in %v", p.calls, p.span())
	}
}

func TestTooLong(t *testing.T) {
	calls := []workload.Call{{}, {At: 400 * 24 * time.Hour}}
	if _, err := look(workload.Slice(calls)); err == nil || !strings.Contains(err.Error(), "longer than 366 days") {
		t.Error(err)
	}
}

func TestWhichCallsCount(t *testing.T) {
	calls := []workload.Call{{Model: "gpt-4o"}, {Model: "gpt-4o-mini"}, {Model: ""}}
	s, err := look(workload.Slice(calls))
	if err != nil {
		t.Fatal(err)
	}
	for model, want := range map[string]int{"gpt-4o": 2, "gpt-4o-mini": 2, "gpt-5": 3} {
		if got := s.whole(s.merged(model)).calls; got != want {
			t.Errorf("%s: %d calls, want %d", model, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	s := sizes{Min: 15, Step: 5}
	for _, tc := range []struct {
		ptu  float64
		want int
	}{{0, 15}, {15, 15}, {15.1, 20}, {20, 20}, {22.7, 25}, {1e9, 100_000}} {
		if got := s.at(s.from(tc.ptu)); got != tc.want {
			t.Errorf("%v PTU are sold as %d, want %d", tc.ptu, got, tc.want)
		}
	}
}
