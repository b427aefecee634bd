package wire

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire/sse"
)

// chunkMaker makes random chunks. Two chunks of one form differ only in the
// contents of their strings and in their sequence number.
type chunkMaker struct {
	form, text *rand.Rand
}

func newChunkMaker(form, text uint64) *chunkMaker {
	return &chunkMaker{rand.New(rand.NewPCG(form, 1)), rand.New(rand.NewPCG(text, 2))}
}

func (m *chunkMaker) str() string {
	words := [...]string{``, `a`, `bc`, `\n`, `\"x`, `\\`, `é`, `\ud83d`, `\ude00`, `]}`, `role`}
	return `"` + words[m.text.IntN(len(words))] + `"`
}

// value makes a value of at most some depth.
func (m *chunkMaker) value(depth int) string {
	scalars := [...]string{`null`, `true`, `7`, `-1.5e3`, `[]`, `{}`}
	switch kind := m.form.IntN(8); {
	case kind < 4 || depth == 0 && kind < 6:
		return m.str()
	case kind < 6:
		return m.object(depth - 1)
	case kind == 6 && depth > 0:
		var list strings.Builder
		list.WriteString("[" + m.value(depth-1))
		for m.form.IntN(2) == 0 {
			list.WriteString("," + m.value(depth-1))
		}
		return list.String() + "]"
	}
	return scalars[m.form.IntN(len(scalars))]
}

// object makes an object, in which names can come twice.
func (m *chunkMaker) object(depth int) string {
	names := [...]string{"content", "refusal", "role", "id", "index", "tool_calls", "function", "name", "arguments", "x"}
	var out strings.Builder
	out.WriteString("{")
	for n := m.form.IntN(4); n >= 0; n-- {
		name := names[m.form.IntN(len(names))]
		value := m.value(depth)
		switch name {
		case "index":
			value = strconv.Itoa(m.form.IntN(3))
		case "role", "id":
			value = `"r"`
		}
		out.WriteString(`"` + name + `":` + value)
		if n > 0 {
			out.WriteString(",")
		}
	}
	return out.String() + "}"
}

func (m *chunkMaker) chunk() string {
	return `{"id":"c","x":7,"choices":[{"index":` + strconv.Itoa(m.form.IntN(2)) +
		`,"delta":` + m.object(2) + `,"text":` + m.str() + `,"logprobs":` + m.value(2) +
		`}],"obfuscation":` + m.str() + `}`
}

func (m *chunkMaker) event() string {
	kinds := [...]string{"response.output_text.delta", "response.refusal.delta", "response.function_call_arguments.delta", "response.new.delta"}
	return `{"type":"` + kinds[m.form.IntN(len(kinds))] + `","sequence_number":` + strconv.Itoa(m.text.IntN(2000)) +
		`,"output_index":` + strconv.Itoa(m.form.IntN(2)) + `,"content_index":` + strconv.Itoa(m.form.IntN(2)) +
		`,"delta":` + m.str() + `,"obfuscation":` + m.str() + `}`
}

// TestShapesAgree feeds streams of random chunks, most in the form of the one
// before, and holds what is read by shape equal to what is parsed.
func TestShapesAgree(t *testing.T) {
	for _, api := range []spillway.API{spillway.APIChat, spillway.APICompletions, spillway.APIResponses} {
		matched := 0
		for stream := range uint64(300) {
			matched += agree(t, api, stream)
		}
		if matched < 200 {
			t.Errorf("%v: only %d events were read by shape", api, matched)
		}
	}
}

func agree(t *testing.T, api spillway.API, stream uint64) (matched int) {
	t.Helper()
	var quick, slow Assembler
	quick.Reset(api)
	slow.Reset(api)
	fast, plain := newStream(api), newStream(api)
	if api == spillway.APIResponses {
		begin := []byte(`{"type":"response.created","response":{"id":"resp_1","status":"in_progress","output":[]}}`)
		for _, item := range []string{"0", "1"} {
			added := []byte(`{"type":"response.output_item.added","output_index":` + item + `,"item":{"id":"i` + item + `","type":"message","content":[],"arguments":""}}`)
			for _, data := range [][]byte{begin, added} {
				quick.Add(data)
				slow.Add(data)
			}
		}
	}
	form := stream
	for n := range uint64(8) {
		if n%3 == 0 {
			form = stream*8 + n
		}
		maker := newChunkMaker(form, stream*8+n)
		data := []byte(maker.chunk())
		if api == spillway.APIResponses {
			data = []byte(maker.event())
		}
		var got [maxHoles][]byte
		if quick.shape.match(data, &got) || quick.resp.shape.match(data, &got) {
			matched++
		}
		for _, s := range []*shape{&slow.shape, &slow.resp.shape, shapeOf(plain)} {
			s.spoil()
		}
		a, b := quick.Add(data), slow.Add(data)
		sigA, errA := fast.Observe(sse.Event{Data: data})
		sigB, errB := plain.Observe(sse.Event{Data: data})
		if a != nil || b != nil || errA != nil || errB != nil || sigA != sigB {
			t.Fatalf("%s\nadd: %v, %v; observe: %+v %v, %+v %v", data, a, b, sigA, errA, sigB, errB)
		}
		compareAnswers(t, &quick, &slow)
	}
	if cut, want := fast.AppendCut(nil, CutOptions{}), plain.AppendCut(nil, CutOptions{}); !bytes.Equal(cut, want) {
		t.Fatalf("cut:\n%s\nwant:\n%s", cut, want)
	}
	return matched
}

// TestRepeats holds what is known of pieces that are not taken apart equal to
// what taking them apart says.
func TestRepeats(t *testing.T) {
	const event = `data: {"id":"c","choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]}` + "\n\n"
	one, two := fmt.Sprintf(event, "ab"), fmt.Sprintf(event, `\u00e9\n`)
	tests := []struct {
		name, piece string
		tokens      int
		ok          bool
	}{
		{"the same", one, 1, true},
		{"several", one + two + one, 3, true},
		{"a batch of tokens", fmt.Sprintf(event, strings.Repeat("word", 50)) + one, 51, true},
		{"no text", fmt.Sprintf(event, ""), 0, true},
		{"nothing", "", 0, false},
		{"part of an event", one[:len(one)-1], 0, false},
		{"an event and a part", one + one[:20], 0, false},
		{"the rest of an event", one[20:], 0, false},
		{"no space", strings.Replace(one, "data: ", "data:", 1), 0, false},
		{"CRLF", strings.ReplaceAll(one, "\n", "\r\n"), 0, false},
		{"a line end in the text", fmt.Sprintf(event, "a\rb"), 0, false},
		{"two lines of data", strings.TrimSuffix(one, "\n") + "data: x\n\n", 0, false},
		{"a comment", ": ping\n\n", 0, false},
		{"another id", strings.Replace(one, `"c"`, `"d"`, 1), 0, false},
		{"the finish", strings.Replace(one, "null", `"stop"`, 1), 0, false},
		{"an error", `data: {"error":{"message":"x"}}` + "\n\n", 0, false},
		{"the end", "data: [DONE]\n\n", 0, false},
		{"not JSON", fmt.Sprintf(event, `\x`), 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStream(spillway.APIChat)
			if _, ok := s.Repeats([]byte(one)); ok {
				t.Error("the first event repeats nothing")
			}
			if _, err := s.Observe(sse.Event{Data: []byte(strings.TrimSpace(strings.TrimPrefix(one, "data: ")))}); err != nil {
				t.Fatal(err)
			}
			tokens, ok := s.Repeats([]byte(tt.piece))
			if tokens != tt.tokens || ok != tt.ok {
				t.Errorf("%d tokens, %v; want %d, %v", tokens, ok, tt.tokens, tt.ok)
			}
		})
	}
}

// FuzzRepeats looks for a piece after a stream's beginning that is taken for
// plain events and is something else, or gives another response in one piece than
// event by event.
func FuzzRepeats(f *testing.F) {
	const event = `data: {"id":"c","choices":[{"index":0,"delta":{"content":"ab"},"text":"","finish_reason":null}]}` + "\n\n"
	f.Add(event, event)
	f.Add(event, event+strings.Replace(event, "ab", "c\\r", 1))
	f.Add(event, strings.Replace(event, "ab", "a\n\nb", 1))
	f.Fuzz(func(t *testing.T, begin, piece string) {
		s := newStream(spillway.APIChat)
		var scanner sse.Scanner
		var quick, slow Assembler
		quick.Reset(spillway.APIChat)
		slow.Reset(spillway.APIChat)
		scanner.Feed([]byte(begin))
		for ev, ok := scanner.Next(); ok; ev, ok = scanner.Next() {
			_, err := s.Observe(ev)
			if errors.Join(err, quick.Add(ev.Data), slow.Add(ev.Data)) != nil {
				return
			}
		}
		tokens, ok := s.Repeats([]byte(piece))
		if !ok || !scanner.Between() {
			return
		}
		some, left, quickErr := quick.AddRepeats(s, []byte(piece))
		if quickErr == nil && (some != tokens || len(left) > 0) {
			t.Fatalf("%q: %d tokens and %q; want %d and nothing", piece, some, left, tokens)
		}
		slowErr := error(nil)
		scanner.Feed([]byte(piece))
		var raw strings.Builder
		for ev, ok := scanner.Next(); ok; ev, ok = scanner.Next() {
			shapeOf(s).spoil()
			sig, err := s.Observe(ev)
			plain := Signal{Tokens: sig.Tokens}
			if err != nil || sig != plain {
				t.Fatalf("%q is no plain event: %+v, %v", ev.Raw, sig, err)
			}
			tokens -= sig.Tokens
			raw.Write(ev.Raw)
			slow.shape.spoil()
			slowErr = cmp.Or(slowErr, slow.Add(ev.Data))
		}
		if raw.String() != piece || tokens != 0 {
			t.Fatalf("%q: %d tokens too many; events %q", piece, tokens, raw.String())
		}
		if quickErr != slowErr {
			t.Fatalf("%q: in one piece %v, by event %v", piece, quickErr, slowErr)
		}
		if quickErr == nil {
			compareAnswers(t, &quick, &slow)
		}
	})
}

// shapeOf returns the shape that the events of s are held against.
func shapeOf(s *Stream) *shape {
	if s.resp != nil {
		return &s.resp.shape
	}
	return &s.shape
}
