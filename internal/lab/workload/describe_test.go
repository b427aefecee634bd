package workload

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestDescribeGolden(t *testing.T) {
	for _, file := range []string{"incident.csv", "mooncake.jsonl", "burstgpt.csv"} {
		f, err := os.Open(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := Open(f, file, ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		d, err := Describe(r)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := d.WriteText(&got); err != nil {
			t.Fatal(err)
		}
		e := json.NewEncoder(&got)
		e.SetIndent("", "  ")
		if err := e.Encode(d); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", file+".golden")
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: got=%s\nwant=%s", file, got.Bytes(), want)
		}
	}
}

// A workload small enough to be described by hand.
func TestDescribe(t *testing.T) {
	var calls []Call
	for i, at := range []int{0, 100, 200, 1100, 3000, 3100, 21_000} {
		calls = append(calls, Call{
			At: time.Duration(at) * ms, Client: []string{"a", "b"}[i%2], PromptTokens: 10 * i, OutputTokens: 1000 * i,
			MaxTokens: 4096 * (i % 2), Stream: i == 3, CanStream: i == 4,
		})
	}
	d, err := Describe(Slice(calls))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"calls", float64(d.Calls), 7},
		{"rate", d.RatePerS, 6.0 / 21},
		{"1 s p99", d.Bursts[0].P99, 3 / (6.0 / 21)}, // 21 whole windows: 3, 1, 0, 2 and then none
		{"1 s max", d.Bursts[0].Max, 3 / (6.0 / 21)},
		{"10 s max", d.Bursts[1].Max, 2}, // 6 and 0
		{"input", d.InputTokens.Mean, 30},
		{"median", float64(d.OutputTokens.P50), 3000},
		{"long", d.LongCalls, 4.0 / 7},
		{"long tokens", d.LongTokens, 18.0 / 21},
		{"limited", d.Limited, 3.0 / 7},
		{"limit", d.MaxTokens.Mean, 4096},
		{"stream", d.Stream, 1.0 / 7},
		{"could stream", d.CanStream, 1.0 / 7},
		{"first client", d.Clients.Top1, 4.0 / 7},
		{"first ten", d.Clients.Top10, 1},
	} {
		if math.Abs(c.got-c.want) > 1e-9 {
			t.Errorf("%s: got=%v, want=%v", c.what, c.got, c.want)
		}
	}
}

func TestDescribeEdges(t *testing.T) {
	if _, err := Describe(Slice(nil)); !errors.Is(err, ErrEmpty) {
		t.Errorf("nothing: got=%v", err)
	}
	for _, calls := range [][]Call{ats(5), ats(5, 5, 5), {{PromptTokens: 0, OutputTokens: 0}, {At: time.Hour * 24 * 365}}} {
		d, err := Describe(Slice(calls))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(d); err != nil { // which refuses what is not a number
			t.Errorf("%v: %v", calls, err)
		}
	}
	var many []Call
	for i := range maxClients + 50 {
		many = append(many, Call{At: time.Duration(i), Client: fmt.Sprint(i), Class: fmt.Sprint(i % 100)})
	}
	d, err := Describe(Slice(many))
	if err != nil || d.Clients.Count != maxClients || !d.Clients.More {
		t.Errorf("got=%d clients, %v", d.Clients.Count, err)
	}
	if len(d.Classes) != maxClasses+1 || d.Classes[0].Name != otherClass {
		t.Errorf("got=%d classes, the first %s", len(d.Classes), d.Classes[0].Name)
	}
}
