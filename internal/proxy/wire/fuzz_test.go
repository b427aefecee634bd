package wire

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/jsonwalk"
)

// FuzzSummarize holds the quick walk equal to a full decoder.
func FuzzSummarize(f *testing.F) {
	f.Add([]byte(`{"a":[1,2],"usage":{"prompt_tokens":3}}`))
	f.Add([]byte(`{"a":["]",[1],{"b":"}"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, ok := Summarize(spillway.APIEmbeddings, data)
		valid := jsontext.Value(data).IsValid() && jsontext.Value(data).Kind() == '{'
		if valid && !ok && bytes.Count(data, []byte("{")) < jsonwalk.MaxNesting {
			t.Fatalf("refused %q", data)
		}
	})
}

// FuzzAssembler feeds arbitrary events: nothing panics, what is added by shape
// equals what is parsed, and every response is JSON.
func FuzzAssembler(f *testing.F) {
	for _, tr := range transcripts(f) {
		f.Add(uint8(tr.api), tr.raw)
	}
	f.Add(uint8(spillway.APIChat), []byte("data: {\"choices\":[{\"delta\":{\"a\":\"x\",\"a\":1}}]}\n\ndata: {\"choices\":[{\"delta\":{\"a\":\"y\",\"a\":1}}]}\n\n"))
	f.Fuzz(func(t *testing.T, api uint8, raw []byte) {
		if len(raw) > 1<<16 {
			return
		}
		op := spillway.API(api % 5)
		var quick, slow Assembler
		quick.Reset(op)
		slow.Reset(op)
		s := newStream(op)
		one := api >= 128
		quick.OneChoice, slow.OneChoice, s.OneChoice = one, one, one
		for _, ev := range eventsOf(t, raw, len(raw)+1) {
			slow.shape.spoil()
			slow.resp.shape.spoil()
			s.Observe(ev) // whatever it says, it must not panic
			err := quick.Add(ev.Data)
			if slowErr := slow.Add(ev.Data); err != slowErr {
				t.Fatalf("by shape %v, parsed %v: %q", err, slowErr, ev.Data)
			}
			if err != nil {
				return
			}
		}
		opts := ResponseOptions{Truncate: true, Usage: estimate}
		compareAnswers(t, &quick, &slow)
		s.AppendCut(nil, CutOptions{IncludeUsage: true, Usage: estimate})
		answer, err := quick.AppendResponse(nil, opts)
		if err == nil && !jsontext.Value(answer).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
			t.Fatalf("answer is not JSON: %q", answer)
		}
	})
}

// FuzzUsageScanner holds what is found in pieces equal to what is found at once, and
// for a document to what a walk of the whole finds.
func FuzzUsageScanner(f *testing.F) {
	f.Add(uint8(1), []byte(`{"a":"\"","usage":{"prompt_tokens":3,"completion_tokens":1}}`))
	f.Add(uint8(3), []byte("data: {\"response\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n"))
	f.Fuzz(func(t *testing.T, size uint8, data []byte) {
		var whole, pieces UsageScanner
		whole.Scan(data)
		for rest := data; len(rest) > 0; {
			n := min(int(size)+1, len(rest))
			pieces.Scan(rest[:n])
			rest = rest[n:]
		}
		if whole.Usage() != pieces.Usage() {
			t.Fatalf("%q: %+v at once, %+v in pieces of %d", data, whole.Usage(), pieces.Usage(), int(size)+1)
		}
		if whole.ServiceTier() != pieces.ServiceTier() {
			t.Fatalf("%q: %q at once, %q in pieces of %d", data, whole.ServiceTier(), pieces.ServiceTier(), int(size)+1)
		}
		if len(data) > maxUsageBytes || !jsontext.Value(data).IsValid() || bytes.Contains(data, []byte("response")) {
			return
		}
		sum, ok := Summarize(spillway.APIEmbeddings, data)
		if ok && whole.Usage() != sum.Usage {
			t.Fatalf("%q: %+v, want %+v", data, whole.Usage(), sum.Usage)
		}
	})
}
