package equality

import (
	"bytes"
	"net/http"
	"strconv"
	"sync"
)

// The headers by which a client fixes what the emulator answers.
const (
	headerTokens = "X-Azuresim-Output-Tokens"
	headerSeed   = "X-Azuresim-Seed"
)

// emulator stands in front of azuresim, so that both drivers meet the same
// deployments. A client's seed header names its try of a call; standIn puts in
// its place the seed that whatif gives to the same attempt of that try.
//
// It also holds the end of a stream back until azuresim has settled the answer
// with its model. azuresim settles right after the last byte, at the same
// instant; what the gateway sends because of that byte must not come between.
type emulator struct {
	http.Handler

	mu       sync.Mutex
	attempts map[int]int // made so far, by the client's header
}

func newEmulator(h http.Handler) *emulator {
	return &emulator{Handler: h, attempts: map[int]int{}}
}

func (s *emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	try, err := strconv.Atoi(r.Header.Get(headerSeed))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Header.Set(headerSeed, strconv.Itoa(s.seed(try)))
	last := &lastWrite{ResponseWriter: w}
	s.Handler.ServeHTTP(last, r)
	if last.held != nil {
		_, _ = w.Write(last.held) // a gateway that is gone wants nothing more
	}
}

// seed is that of the next attempt of a client's try.
func (s *emulator) seed(try int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts[try]++
	return try + s.attempts[try]
}

// firstAttempt is what the seeds of a try's attempts count from: those of
// callSeed.attempt in whatif.
func firstAttempt(call, try int) int { return call<<8 | (try-1)<<4 }

// lastWrite holds back the write that ends a stream.
type lastWrite struct {
	http.ResponseWriter
	held []byte
}

func (w *lastWrite) Write(p []byte) (int, error) {
	if bytes.HasSuffix(p, []byte("data: [DONE]\n\n")) {
		w.held = bytes.Clone(p)
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets a ResponseController reach the connection.
func (w *lastWrite) Unwrap() http.ResponseWriter { return w.ResponseWriter }
