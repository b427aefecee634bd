package workload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// readAll reads a trace given as text.
func readAll(text string, opt ReadOptions) (*Reader, []Call, error) {
	r, err := Open(strings.NewReader(text), "t", opt)
	if err != nil {
		return nil, nil, err
	}
	all, err := Collect(r, 0)
	return r, all, err
}

const ms = time.Millisecond

func TestReadFormats(t *testing.T) {
	for _, c := range []struct {
		name, text string
		format     Format
		want       []Call
	}{
		{
			"own", "offset_ms,input_tokens,output_tokens\n7,1,2\n8.25,3,4\n", FormatCSV,
			[]Call{{At: 7 * ms, PromptTokens: 1, OutputTokens: 2}, {At: 8250 * time.Microsecond, PromptTokens: 3, OutputTokens: 4}},
		},
		{
			"own, all columns in another order", "\ufeffPrefix,can_stream,stream,max_tokens,class,client,model,output_tokens,input_tokens,offset_ms\r\n" +
				"7+3 ff,1,0,100,\"a,b\",c,m,4,3,1e3\r\n\r\n,true,False,,,,,4,3.0,2000", FormatCSV,
			[]Call{
				{At: time.Second, Client: "c", Class: "a,b", Model: "m", PromptTokens: 3, OutputTokens: 4, MaxTokens: 100, CanStream: true, Prefix: []uint64{7, 8, 9, 255}},
				{At: 2 * time.Second, PromptTokens: 3, OutputTokens: 4, CanStream: true},
			},
		},
		{
			"own in seconds", "offset_s,input_tokens,output_tokens\n1.5,1,2\n", FormatCSV,
			[]Call{{At: 1500 * ms, PromptTokens: 1, OutputTokens: 2}},
		},
		{
			"own with instants", "timestamp,input_tokens,output_tokens,model\n2024-02-28T23:59:59Z,1,2,m\n2024-02-29 01:00:00.5+01:00,1,2,m\n", FormatCSV,
			[]Call{{PromptTokens: 1, OutputTokens: 2, Model: "m"}, {At: 1500 * ms, PromptTokens: 1, OutputTokens: 2, Model: "m"}},
		},
		{
			"azure", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 23:59:59.9999999,374,44\n2023-11-17 00:00:00.0000001,1,1\n", FormatAzure,
			[]Call{{PromptTokens: 374, OutputTokens: 44}, {At: 200, PromptTokens: 1, OutputTokens: 1}},
		},
		{
			"burstgpt", "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,GPT-4,472,0,472,API log\n6,GPT-4,5,6,11,API log\n", FormatBurstGPT,
			[]Call{{Model: "GPT-4", Class: "API log", PromptTokens: 5, OutputTokens: 6}},
		},
		{
			"mooncake", `{"timestamp": 3000, "input_length": 1200, "output_length": 5, "hash_ids": [3, 9, 20]}` + "\n" +
				`{"timestamp": 6000, "input_length": 1023, "output_length": 5, "hash_ids": [3, 9]}`, FormatMooncake,
			[]Call{{PromptTokens: 1200, OutputTokens: 5, Prefix: []uint64{39, 80}}, {At: 3 * time.Second, PromptTokens: 1023, OutputTokens: 5}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, got, err := readAll(c.text, ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if r.Tally().Format != c.format || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got=%s %+v, want=%s %+v", r.Tally().Format, got, c.format, c.want)
			}
		})
	}
}

func TestReadErrors(t *testing.T) {
	const head = "offset_ms,input_tokens,output_tokens\n"
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "t: the trace has no calls"},
		{"blank", "\n\n", "t: the trace has no calls"},
		{"only a header", head, "t: the trace has no calls"},
		{"no header", "1,2,3\n", "t:1: not the header of a trace"},
		{"missing column", "offset_ms,input_tokens,model\n", "t:1: column output_tokens is missing for format csv: found offset_ms, input_tokens, model"},
		{"column twice", "offset_ms,input_tokens,output_tokens,model,Model\n", "t:1: the header contains model twice"},
		{"curve", "offset_s,rate_rps\n0,1\n", "t:1: this is a curve of rates"},
		{"few columns", head + "1,2\n", "t:2: 2 columns, the header has 3"},
		{"many columns", head + "1,2,3,4\n", "t:2: 4 columns, the header has 3"},
		{"negative tokens", head + "1,2,3\n2,-3,1\n", "t:3: input_tokens -3 is negative"},
		{"text", head + "1,2,x\n", `t:2: output_tokens "x" is not a number`},
		{"empty tokens", head + "1,,3\n", "t:2: input_tokens is empty"},
		{"half a token", head + "1,2.5,3\n", "t:2: input_tokens 2.5 is not a whole number"},
		{"too many tokens", head + "1,2,99999999999999999999\n", "t:2: output_tokens 100000000000000000000 is more than 100000000"},
		{"negative time", head + "-1,2,3\n", "t:2: offset_ms -1 is negative"},
		{"far future", head + "1e30,2,3\n", "t:2: offset_ms 1e30 is more than a hundred years"},
		{"back in time", head + "20,2,3\n5,2,3\n", "t:3: time goes back by 15ms; a trace must be in order of arrival"},
		{"open quote", head + "\"1,2,3\n", "t:2: column"},
		{"no such day", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-13-01 00:00:00,1,1\n", `t:2: timestamp "2023-13-01 00:00:00" is not a time such as`},
		{"flag", "offset_ms,input_tokens,output_tokens,stream\n1,2,3,maybe\n", `t:2: stream "maybe" is neither true nor false`},
		{"prefix", "offset_ms,input_tokens,output_tokens,prefix\n1,2,3,7+0\n", `t:2: prefix "7+0" is not a list of hexadecimal hashes`},
		{"endless line", strings.Repeat("x", maxLineBytes+5), "t:1: the line is longer than 1 MiB"},
		{"other JSON", `{"a":1}`, "t:1: these JSON lines are not a trace"},
		{"broken JSON", `{"a":`, "t:1: not valid JSON"},
		{"mooncake without length", `{"timestamp":1,"input_length":1}`, "t:1: timestamp, input_length and output_length are required"},
		{"mooncake of text", `{"timestamp":1,"input_length":1,"output_length":"x"}`, "t:1: output_length must not be a string"},
		{"record before time", `{"time":"0001-01-01T00:00:00Z","outcome":"ok"}`, `t:1: time "0001-01-01T00:00:00Z" is not a time`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := readAll(c.text, ReadOptions{})
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got=%v, want=%s", err, c.want)
			}
		})
	}
}

func TestReadForcedFormat(t *testing.T) {
	for _, c := range []struct {
		format     Format
		text, want string
	}{
		{FormatAzure, "offset_ms,input_tokens,output_tokens\n", "t:1: not the header of a trace"},
		{FormatRecords, "offset_ms,input_tokens,output_tokens\n", "t:1: a trace of format records has one JSON object"},
		{FormatCSV, `{"time":"x"}`, "t:1: a trace of format csv does not start with"},
		{"parquet", "a,b\n", `t:1: unknown format "parquet"`},
	} {
		_, _, err := readAll(c.text, ReadOptions{Format: c.format})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got=%v, want=%s", c.format, err, c.want)
		}
	}
}

func TestLongLine(t *testing.T) {
	text := "offset_ms,input_tokens,output_tokens,note\n1,2,3," + strings.Repeat("x", 200_000) + "\n2,3,4," + strings.Repeat("y", 70_000)
	_, got, err := readAll(text, ReadOptions{})
	if err != nil || len(got) != 2 || got[1].OutputTokens != 4 {
		t.Errorf("got=%v, %v", got, err)
	}
}

func TestSkipBad(t *testing.T) {
	text := "offset_ms,input_tokens,output_tokens,note\n5,1,1,\n4,1,1,\nx,1,1,\n6,1\n" + strings.Repeat("y", maxLineBytes+1) + "\n7,1,1,\n"
	r, got, err := readAll(text, ReadOptions{SkipBad: true})
	if err != nil || len(got) != 2 || r.Skipped() != 4 {
		t.Fatalf("got=%d calls, %d skipped, %v, want=2 and 4", len(got), r.Skipped(), err)
	}
	if tally := r.Tally(); tally.Rows != 2 || len(tally.Reasons) != 4 || tally.Reasons[1] != `t:4: offset_ms "x" is not a number` || tally.Ignored[0] != "note" {
		t.Errorf("got=%+v", tally)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("after the end: got=%v", err)
	}
	_, _, err = readAll("offset_ms,input_tokens,output_tokens\nx,1,1\n", ReadOptions{SkipBad: true})
	if !errors.Is(err, ErrEmpty) || !strings.Contains(err.Error(), "rows skipped as bad: 1") {
		t.Errorf("nothing left: got=%v", err)
	}
}

func TestParts(t *testing.T) {
	const head = "offset_ms,input_tokens,output_tokens\n"
	parts := func(second string) []Part {
		return []Part{{"a", strings.NewReader(head + "1,1,1\n")}, {"b", strings.NewReader(second)}}
	}
	r, err := OpenParts(parts(head+"2,1,1\n3,x,1\n"), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Collect(r, 0)
	if len(got) != 2 || err == nil || err.Error() != `b:3: input_tokens "x" is not a number` {
		t.Errorf("got=%v %v", got, err)
	}
	if r, err = OpenParts(parts("offset_ms,output_tokens,input_tokens\n"), ReadOptions{SkipBad: true}); err != nil {
		t.Fatal(err)
	}
	if _, err = Collect(r, 0); err == nil || !strings.HasPrefix(err.Error(), "b:1: the header is not that of the first file") {
		t.Errorf("got=%v", err)
	}
}

// A reader that breaks is not the end of the trace, whatever is to be skipped.
func TestReadBroken(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("offset_ms,input_tokens,output_tokens\n1,1,1\n2,"), brokenReader{})
	r, err := Open(broken, "t", ReadOptions{SkipBad: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Collect(r, 0)
	if !errors.Is(err, errBroken) {
		t.Errorf("got=%v", err)
	}
}

var errBroken = errors.New("broken")

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

func TestExcerpts(t *testing.T) {
	for _, c := range []struct {
		file        string
		calls, skip int
	}{{"azure2023.csv", 40, 0}, {"azure2024.csv", 20, 0}, {"mooncake.jsonl", 30, 0}, {"burstgpt.csv", 3, 0}, {"incident.csv", 500, 0}} {
		f, err := os.Open(filepath.Join("testdata", c.file))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := Open(f, c.file, ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		all, err := Collect(r, 0)
		if err != nil || len(all) != c.calls {
			t.Errorf("%s: got=%d calls, %v, want=%d", c.file, len(all), err, c.calls)
		}
	}
}

func TestCSVAllocatesNothing(t *testing.T) {
	text, err := io.ReadAll(&rows{n: 20_000})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(bytes.NewReader(text), "t", ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	allocs := testing.AllocsPerRun(10_000, func() {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 0 {
		t.Errorf("got=%v allocations for each call, want=0", allocs)
	}
}

// rows is a reader of n rows with every usual column.
type rows struct {
	n, next int
	rest    []byte
}

func (r *rows) Read(p []byte) (int, error) {
	for len(r.rest) < len(p) && r.next <= r.n {
		if r.next == 0 {
			r.rest = append(r.rest, "offset_ms,input_tokens,output_tokens,model,client,class,max_tokens\n"...)
		} else {
			r.rest = fmt.Appendf(r.rest, "%d,%d,%d,gpt-4o-mini,c%02d,body,4096\n", r.next, 200+r.next%977, r.next%83, r.next%60)
		}
		r.next++
	}
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = append(r.rest[:0], r.rest[n:]...)
	return n, nil
}

func BenchmarkReadCSV(b *testing.B) {
	text, err := io.ReadAll(&rows{n: 100_000})
	if err != nil {
		b.Fatal(err)
	}
	calls := 0
	for b.Loop() {
		r, err := Open(bytes.NewReader(text), "t", ReadOptions{})
		if err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := r.Next(); err != nil {
				break
			}
			calls++
		}
	}
	b.ReportMetric(float64(calls)/b.Elapsed().Seconds()/1e6, "Mcalls/s")
}
