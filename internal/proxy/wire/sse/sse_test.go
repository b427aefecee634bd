package sse

import (
	"bytes"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// pending is what the scanner holds of an event that is not complete yet.
func pending(s *Scanner) []byte { return s.carry[s.held] }

// show is an event as text; its data is "-" when it has none.
func show(ev Event) string {
	if ev.Data == nil {
		return fmt.Sprintf("%s|-", ev.Name)
	}
	return fmt.Sprintf("%s|%s", ev.Name, ev.Data)
}

// scan feeds a stream in pieces, each n(remaining) bytes long, from a buffer
// that is overwritten in between, and returns the events, and the raw bytes.
func scan(t *testing.T, s *Scanner, stream string, n func(left int) int) (events []string, raw string) {
	t.Helper()
	buf := make([]byte, len(stream)+1)
	var all strings.Builder
	for len(stream) > 0 {
		p := buf[:copy(buf, stream[:n(len(stream))])]
		stream = stream[len(p):]
		s.Feed(p)
		var kept []Event // valid together until the next Feed
		for ev, ok := s.Next(); ok; ev, ok = s.Next() {
			kept = append(kept, ev)
		}
		for _, ev := range kept {
			all.Write(ev.Raw)
			if ev.Data != nil {
				events = append(events, show(ev))
			}
		}
		if len(stream) == 0 {
			all.Write(pending(s))
		}
		for i := range p {
			p[i] = '#'
		}
	}
	if ev, ok := s.Finish(); ok {
		events = append(events, show(ev))
	}
	return events, all.String()
}

func TestScanner(t *testing.T) {
	tests := []struct {
		name, stream string
		want         []string
	}{
		{"empty", "", nil},
		{"one", "data: a\n\n", []string{"|a"}},
		{"two", "data: a\n\ndata: b\n\n", []string{"|a", "|b"}},
		{"named", "event: x\ndata: a\n\n", []string{"x|a"}},
		{"name after data", "data: a\nevent: x\n\n", []string{"x|a"}},
		{"no space", "data:a\n\n", []string{"|a"}},
		{"two spaces", "data:  a\n\n", []string{"| a"}},
		{"colons", "data: a:b: c\n\n", []string{"|a:b: c"}},
		{"lines", "data: a\ndata: b\ndata:\ndata: c\n\n", []string{"|a\nb\n\nc"}},
		{"lines of two events", "data: a\ndata: b\n\ndata: c\ndata: d\n\n", []string{"|a\nb", "|c\nd"}},
		{"field without colon", "data\n\n", []string{"|"}},
		{"empty data", "data:\n\n", []string{"|"}},
		{"comment", ": ping\n\ndata: a\n:x\n\n", []string{"|a"}},
		{"other fields", "id: 1\nretry: 5\nfoo: b\ndata: a\n\n", []string{"|a"}},
		{"blank lines", "\n\n\ndata: a\n\n\n\n", []string{"|a"}},
		{"CRLF", "data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", []string{"|a\nb", "|c"}},
		{"CR", "data: a\rdata: b\r\rdata: c\r\r", []string{"|a\nb", "|c"}},
		{"mixed ends", "data: a\r\ndata: b\n\rdata: c\r\n\ndata: d\n\r\n", []string{"|a\nb", "|c", "|d"}},
		{"byte order mark", "\ufeffdata: a\n\n\ufeffdata: b\n\n", []string{"|a"}},
		{"no final blank line", "data: a\n\ndata: [DONE]\n", []string{"|a", "|[DONE]"}},
		{"no final line end", "data: a\n\ndata: [DONE]", []string{"|a", "|[DONE]"}},
		{"only a name at the end", "event: x\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s Scanner
			for size := 1; size <= len(tt.stream)+1; size++ {
				s.Reset()
				got, raw := scan(t, &s, tt.stream, func(left int) int { return min(size, left) })
				if !reflect.DeepEqual(got, tt.want) {
					t.Errorf("in pieces of %d: %q, want %q", size, got, tt.want)
				}
				if raw != tt.stream {
					t.Errorf("in pieces of %d: raw %q, want %q", size, raw, tt.stream)
				}
			}
		})
	}
}

func TestScannerPieces(t *testing.T) {
	const stream = ": ping\r\n\r\nevent: a\r\ndata: one\r\ndata: two\r\n\r\ndata: three\n\n"
	var s Scanner
	want, _ := scan(t, &s, stream, func(left int) int { return left })
	for cut := range stream {
		for then := cut; then < len(stream); then++ {
			s.Reset()
			pieces := []int{cut, then - cut}
			got, raw := scan(t, &s, stream, func(left int) int {
				n := left
				for len(pieces) > 0 && n == left {
					if pieces[0] > 0 {
						n = pieces[0]
					}
					pieces = pieces[1:]
				}
				return n
			})
			if !reflect.DeepEqual(got, want) || raw != stream {
				t.Fatalf("cut at %d and %d: %q, want %q", cut, then, got, want)
			}
		}
	}
}

// TestScannerBetween cuts streams anywhere: where the scanner says that it is
// between events, it finds in the rest what a new one finds there.
func TestScannerBetween(t *testing.T) {
	streams := []string{
		"data: a\n\n: ping\n\nevent: x\ndata: b\ndata: c\n\n\n\ndata: d\n\n",
		"data: a\r\n\r\ndata: b\r\n\r\n",
		"data: a\r\rdata: b\r\n\ndata: c\n\r\n",
	}
	for _, stream := range streams {
		found := 0
		for cut := range len(stream) + 1 {
			var s, fresh Scanner
			s.Feed([]byte(stream[:cut]))
			for _, ok := s.Next(); ok; _, ok = s.Next() {
			}
			if !s.Between() {
				continue
			}
			found++
			if got := pending(&s); len(got) > 0 {
				t.Errorf("%q, cut at %d: between events, with %q of one", stream, cut, got)
			}
			got, _ := scan(t, &s, stream[cut:], func(left int) int { return left })
			want, _ := scan(t, &fresh, stream[cut:], func(left int) int { return left })
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%q, cut at %d: %q, want %q", stream, cut, got, want)
			}
		}
		if want := strings.Count(stream, "\n\n"); !strings.Contains(stream, "\r") && found < want {
			t.Errorf("%q: between events at %d places, want %d", stream, found, want)
		}
	}
}

func TestScannerInPlace(t *testing.T) {
	var s Scanner
	p := []byte("data: a\n\nevent: e\ndata: b\n\ndata: c")
	s.Feed(p)
	for _, at := range []int{0, 9} {
		ev, ok := s.Next()
		if !ok || &ev.Raw[0] != &p[at] {
			t.Errorf("event at %d was copied", at)
		}
	}
	if _, ok := s.Next(); ok {
		t.Error("an event that is not complete")
	}
	if got := string(pending(&s)); got != "data: c" {
		t.Errorf("Pending = %q", got)
	}
}

// TestScannerLetsGo holds on to nothing that was fed, once it is consumed: the
// stream may go on for minutes without another Feed.
func TestScannerLetsGo(t *testing.T) {
	for _, stream := range []string{"data: a\n\n", "data: a\n\ndata: b", "data: b"} {
		var s Scanner
		s.Feed([]byte(stream))
		for _, ok := s.Next(); ok; _, ok = s.Next() {
		}
		if s.in != nil {
			t.Errorf("%q is kept", stream)
		}
	}
}

func TestScannerTooLong(t *testing.T) {
	for _, size := range []int{1, 7, 100} {
		s := Scanner{MaxEvent: 32}
		stream := "data: short\n\ndata: " + strings.Repeat("x", 40) + "\n\ndata: after\n\n"
		got, _ := scan(t, &s, stream, func(left int) int { return min(size, left) })
		if len(got) != 1 || s.Err() != ErrTooLong {
			t.Errorf("in pieces of %d: %q, %v", size, got, s.Err())
		}
		s.Reset()
		if got, _ = scan(t, &s, "data: a\n\n", func(left int) int { return left }); len(got) != 1 || s.Err() != nil {
			t.Errorf("after Reset: %q, %v", got, s.Err())
		}
	}
}

// TestScannerMemory feeds far more than the limit in one line: what is held
// stays within it, and is freed once the limit is exceeded.
func TestScannerMemory(t *testing.T) {
	var s Scanner
	p := bytes.Repeat([]byte("x"), 64<<10)
	most := 0
	for range 1024 {
		s.Feed(p)
		s.Next()
		most = max(most, cap(pending(&s)))
	}
	if s.Err() != ErrTooLong || most < DefaultMaxEvent/2 || most > 2*DefaultMaxEvent || s.Held() != 0 {
		t.Errorf("held %d bytes at most, %d at last, %v", most, s.Held(), s.Err())
	}
}

func FuzzScanner(f *testing.F) {
	f.Add([]byte("event: x\ndata: a\r\n\r\n: c\ndata: b\rdata\n\n\xef\xbb\xbfdata: d"), []byte{1, 2, 3})
	f.Add([]byte("\xef\xbb\xbfdata: a\n\ndata: b\n\n"), []byte{2, 1})
	f.Fuzz(func(t *testing.T, stream, sizes []byte) {
		s := Scanner{MaxEvent: 1 << 20}
		want, raw := scan(t, &s, string(stream), func(left int) int { return left })
		if raw != string(stream) {
			t.Fatalf("raw %q, want %q", raw, stream)
		}
		s.Reset()
		k := 0
		got, raw := scan(t, &s, string(stream), func(left int) int {
			if len(sizes) == 0 {
				return 1
			}
			k++
			return min(left, 1+int(sizes[k%len(sizes)]))
		})
		if !reflect.DeepEqual(got, want) || raw != string(stream) {
			t.Fatalf("in pieces: %q, want %q", got, want)
		}
	})
}

func BenchmarkScanner(b *testing.B) {
	event := "data: {\"choices\":[{\"delta\":{\"content\":\"token\"}}],\"pad\":\"" + strings.Repeat("x", 240) + "\"}\n\n"
	stream := []byte(strings.Repeat(event, 100))
	for _, size := range []int{len(event), 1000, 16 << 10} {
		b.Run(fmt.Sprintf("pieces=%d", size), func(b *testing.B) {
			var s Scanner
			b.ReportAllocs()
			events, at := 0, 0
			for b.Loop() {
				p := stream[at:min(at+size, len(stream))]
				if at += len(p); at == len(stream) {
					at = 0
				}
				s.Feed(p)
				for _, ok := s.Next(); ok; _, ok = s.Next() {
					events++
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(max(events, 1)), "ns/event")
		})
	}
}

// TestScannerLargeEvents reads events up to the limit, and beyond it. What they
// allocate, and what is held in the meantime, is bounded by a small multiple of the
// limit, and is dropped once the next piece comes.
func TestScannerLargeEvents(t *testing.T) {
	const limit = 1 << 20
	tests := []struct {
		name, part string
		size       int
		events     int
	}{
		{"one line", "x", limit, 3},
		{"short lines", "\ndata: x", limit, 3},
		{"empty lines", "\ndata", limit, 3},
		{"too long", "x", 64 * limit, 0},
		{"too many lines", "\ndata: x", 64 * limit, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			event := "data: " + strings.Repeat(tt.part, (tt.size-8)/len(tt.part)) + "\n\n"
			stream := []byte(strings.Repeat(event, max(tt.events, 1)) + "data: end\n\n")
			s := Scanner{MaxEvent: limit}
			most, events := 0, 0
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for rest := stream; len(rest) > 0; {
				n := min(2<<10, len(rest))
				s.Feed(rest[:n])
				for _, ok := s.Next(); ok; _, ok = s.Next() {
					events++
				}
				most, rest = max(most, s.Held()), rest[n:]
			}
			runtime.ReadMemStats(&after)
			if want := tt.events + min(tt.events, 1); events != want {
				t.Errorf("%d events, want %d", events, want)
			}
			if most < limit/2 || most > 3*limit {
				t.Errorf("held up to %d KiB with a limit of %d", most>>10, limit>>10)
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > uint64(4*limit*max(tt.events, 1)) {
				t.Errorf("allocated %d KiB with a limit of %d", allocated>>10, limit>>10)
			}
			s.Feed([]byte("\n"))
			if held := s.Held(); tt.events > 0 && held != 0 {
				t.Errorf("still holds %d KiB", held>>10)
			}
		})
	}
}
