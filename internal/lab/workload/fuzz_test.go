package workload

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// readSane reads a trace of any kind and checks what every trace keeps.
func readSane(t *testing.T, data []byte, opt ReadOptions) []Call {
	r, err := Open(bytes.NewReader(data), "t", opt)
	if err != nil {
		return nil
	}
	all, err := Collect(r, 1000)
	for i, c := range all {
		if c.PromptTokens < 0 || c.OutputTokens < 0 || c.MaxTokens < 0 || c.At < 0 {
			t.Fatalf("call %d: got=%+v", i, c)
		}
		if i > 0 && c.At < all[i-1].At {
			t.Fatalf("call %d: %v after %v", i, c.At, all[i-1].At)
		}
	}
	if err == nil && len(all) == 0 {
		t.Fatal("a trace without calls is not an error")
	}
	return all
}

func addSeeds(f *testing.F, pattern string) {
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		lines := strings.SplitAfter(string(data), "\n")
		f.Add(strings.Join(lines[:min(4, len(lines))], ""), true)
	}
}

// What is read is written and read back as it was.
func FuzzCSV(f *testing.F) {
	addSeeds(f, "*.csv")
	f.Add("offset_ms,input_tokens,output_tokens,prefix,client\n1e2,1.0,2,7+3 1f,\"a \"\"b\"\n", false)
	f.Add("timestamp,input_tokens,output_tokens\n2024-02-29T00:00:00-0130,1,1\n", false)
	f.Fuzz(func(t *testing.T, text string, skip bool) {
		all := readSane(t, []byte(text), ReadOptions{SkipBad: skip})
		if len(all) == 0 {
			return
		}
		var b bytes.Buffer
		w := NewWriter(&b)
		for i := range all {
			// A line break cannot be in a row, and \r at its end is no part of it.
			all[i].Client = strings.ReplaceAll(all[i].Client, "\r", " ")
			all[i].Class = strings.ReplaceAll(all[i].Class, "\r", " ")
			all[i].Model = strings.ReplaceAll(all[i].Model, "\r", " ")
			if err := w.Write(all[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if _, got, err := readAll(b.String(), ReadOptions{}); err != nil || !reflect.DeepEqual(got, all) {
			t.Fatalf("read back: got=%+v %v, want=%+v\n%s", got, err, all, b.String())
		}
	})
}

func FuzzMooncake(f *testing.F) {
	addSeeds(f, "*.jsonl")
	f.Fuzz(func(t *testing.T, text string, skip bool) {
		readSane(t, []byte(text), ReadOptions{Format: FormatMooncake, SkipBad: skip})
	})
}

// What encoding/json takes for a record is read with the same tokens.
func FuzzRecords(f *testing.F) {
	f.Add(recorded(5, nil)+recorded(0, nil), true)
	f.Add(`{"time":"2026-05-01T12:00:00Z","outcome":"ok","attempts":[{},{"tokens":3}],"usage":{"completion_tokens":2}}`, false)
	f.Fuzz(func(t *testing.T, text string, skip bool) {
		all := readSane(t, []byte(text), ReadOptions{Format: FormatRecords, SkipBad: skip})
		var plain struct {
			Outcome string `json:"outcome"`
			Usage   struct {
				Completion int `json:"completion_tokens"`
			} `json:"usage"`
		}
		if len(all) != 1 || strings.Contains(text, "\n") || json.Unmarshal([]byte(text), &plain) != nil || plain.Outcome != "ok" {
			return
		}
		if distinct(text) && all[0].OutputTokens != plain.Usage.Completion {
			t.Fatalf("got=%+v, want=%d output tokens", all[0], plain.Usage.Completion)
		}
	})
}

// distinct reports whether the members that FuzzRecords compares are there
// once at most, in the case and without the escapes that records have.
func distinct(text string) bool {
	lower := strings.ToLower(text)
	for _, name := range []string{"outcome", "usage", "completion_tokens"} {
		if strings.Count(lower, name) != strings.Count(text, name) || strings.Count(text, name) > 1 {
			return false
		}
	}
	return !strings.ContainsAny(text, "\\\u017f\u212a")
}
