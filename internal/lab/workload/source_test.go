package workload

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

// ats is a workload of calls at these milliseconds.
func ats(at ...int) []Call {
	var calls []Call
	for i, n := range at {
		calls = append(calls, Call{At: time.Duration(n) * ms, PromptTokens: i})
	}
	return calls
}

func TestSources(t *testing.T) {
	calls := ats(0, 100, 200, 200, 500)
	for _, c := range []struct {
		name string
		src  Source
		want string
	}{
		{"slice", Slice(calls), "[0s 100ms 200ms 200ms 500ms]"},
		{"fast", Speed(Slice(calls), 2), "[0s 50ms 100ms 100ms 250ms]"},
		{"slow", Speed(Slice(calls), 0.5), "[0s 200ms 400ms 400ms 1s]"},
		{"no speed", Speed(Slice(calls), 0), "[0s 100ms 200ms 200ms 500ms]"},
		{"limit", Limit(Slice(calls), 200*ms), "[0s 100ms]"},
		{"no limit", Limit(Slice(calls), 0), "[0s 100ms 200ms 200ms 500ms]"},
		{"nothing to spread", Spread(Slice(ats(0, 5, 9)), 1), "[0s 5ms 9ms]"},
		{"nothing", Spread(Slice(nil), 1), "[]"},
	} {
		got, err := Collect(c.src, 0)
		var at []time.Duration
		for _, call := range got {
			at = append(at, call.At)
		}
		if err != nil || fmt.Sprint(at) != c.want {
			t.Errorf("%s: got=%v %v, want=%s", c.name, at, err, c.want)
		}
		if _, err := c.src.Next(); err != io.EOF && c.name != "limit" {
			t.Errorf("%s: after the end: got=%v", c.name, err)
		}
	}
}

func TestSpread(t *testing.T) {
	calls := ats(0, 0, 0, 0, 3000, 3000, 6000, 6000)
	got, err := Collect(Spread(Slice(calls), 7), 0)
	if err != nil || len(got) != len(calls) {
		t.Fatalf("got=%d calls, %v", len(got), err)
	}
	for i, c := range got {
		if c.PromptTokens != i {
			t.Errorf("call %d is out of order", i)
		}
		if c.At < calls[i].At || c.At >= calls[i].At+3*time.Second {
			t.Errorf("call %d: got=%v, want=within 3s of %v", i, c.At, calls[i].At)
		}
		if i > 0 && c.At <= got[i-1].At {
			t.Errorf("call %d is at %v, the one before at %v", i, c.At, got[i-1].At)
		}
	}
	again, _ := Collect(Spread(Slice(calls), 7), 0)
	other, _ := Collect(Spread(Slice(calls), 8), 0)
	if !reflect.DeepEqual(got, again) || reflect.DeepEqual(got, other) {
		t.Error("the seed does not decide")
	}
	if _, err := Collect(Spread(Slice(make([]Call, maxBatch+2)), 1), 0); err == nil || !strings.Contains(err.Error(), "too coarse") {
		t.Errorf("a batch without end: got=%v", err)
	}
}

func TestWriteReadsBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		calls  []Call
		header string
	}{
		{"bare", ats(0, 1), "offset_ms,input_tokens,output_tokens"},
		{
			"everything", []Call{
				{At: 1, Client: "a,b", Class: `say "x"`, Model: " m", PromptTokens: 1, OutputTokens: 2, MaxTokens: 3, Stream: true},
				{At: 123456789 * time.Microsecond, CanStream: true, Prefix: []uint64{1, 2, 3, 1 << 63, 9}},
			}, "offset_ms,input_tokens,output_tokens,model,client,class,max_tokens,stream,can_stream,prefix",
		},
		{"nothing", nil, "offset_ms,input_tokens,output_tokens"},
	} {
		var b bytes.Buffer
		w := NewWriter(&b)
		for _, call := range c.calls {
			if err := w.Write(call); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if header, _, _ := strings.Cut(b.String(), "\n"); header != c.header {
			t.Errorf("%s: got=%s, want=%s", c.name, header, c.header)
		}
		if len(c.calls) == 0 {
			continue
		}
		_, got, err := readAll(b.String(), ReadOptions{})
		if err != nil || !reflect.DeepEqual(got, c.calls) {
			t.Errorf("%s: got=%+v %v, want=%+v", c.name, got, err, c.calls)
		}
	}
}

func TestWriteErrors(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	for i := range lookAhead {
		if err := w.Write(Call{At: time.Duration(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Write(Call{Model: "m"}); err == nil || w.Flush() == nil {
		t.Error("a column that the header lacks is dropped")
	}
	w = NewWriter(&b)
	w.Require(Columns{Model: true})
	for i := range lookAhead + 1 {
		if err := w.Write(Call{At: time.Duration(i), Model: strings.Repeat("m", i/lookAhead)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Error(err)
	}
}
