package clients

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// A test can write answers itself: it puts them at /scripts/{mark}, and the response
// names a model, which no other test has: one that refuses requests pauses for all of
// them. Its requests to that model have the header x-script: {mark}, which the gateway
// forwards. Each takes the next answer, or the last one again. GET /scripts/{mark}
// returns the number of requests.
type scripts struct {
	mu    sync.Mutex
	next  map[string][]script
	asked map[string]int
	put   int
}

// ownModels is how many models there are, more than tests that put answers and are
// refused.
const ownModels = 64

func ownModel(i int) string { return fmt.Sprintf("own-%d", i%ownModels) }

// scriptedModels are the models that scripts answer.
func scriptedModels() []string {
	names := make([]string, ownModels)
	for i := range names {
		names[i] = ownModel(i)
	}
	return names
}

// script is one answer. Without a status, it is 200.
type script struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	// SplitAt are offsets in the body, each of which begins a network packet.
	SplitAt []int `json:"split_at"`
}

// packetDelay keeps packets apart.
const packetDelay = 5 * time.Millisecond

func newScripts() *scripts {
	return &scripts{next: map[string][]script{}, asked: map[string]int{}}
}

func (s *scripts) register(mux *http.ServeMux) {
	mux.HandleFunc("PUT /scripts/{mark}", s.write)
	mux.HandleFunc("GET /scripts/{mark}", s.count)
	mux.HandleFunc("POST /v1/", s.answer)
}

func (s *scripts) write(w http.ResponseWriter, r *http.Request) {
	var answers []script
	if err := json.NewDecoder(r.Body).Decode(&answers); err != nil {
		refuse(w, http.StatusBadRequest, "bad_script", err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next[r.PathValue("mark")] = answers
	fmt.Fprint(w, ownModel(s.put))
	s.put++
}

func (s *scripts) count(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprint(w, s.asked[r.PathValue("mark")])
}

func (s *scripts) take(mark string) (script, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[mark]++
	answers := s.next[mark]
	if len(answers) == 0 {
		return script{}, false
	}
	if len(answers) > 1 {
		s.next[mark] = answers[1:]
	}
	return answers[0], true
}

func (s *scripts) answer(w http.ResponseWriter, r *http.Request) {
	mark := r.Header.Get("x-script")
	answer, ok := s.take(mark)
	if !ok {
		refuse(w, http.StatusBadRequest, "unknown_mark", fmt.Sprintf("no answer for the mark %q", mark))
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	for name, value := range answer.Headers {
		w.Header().Set(name, value)
	}
	if answer.Status != 0 {
		w.WriteHeader(answer.Status)
	}
	begin := 0
	for _, end := range append(answer.SplitAt, len(answer.Body)) {
		_, _ = io.WriteString(w, answer.Body[begin:end])
		begin = end
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		select {
		case <-time.After(packetDelay):
		case <-r.Context().Done():
			return
		}
	}
}
