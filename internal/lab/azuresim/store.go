package azuresim

import (
	"net/http"
	"sync"
)

// maxStored bounds the stored responses; the oldest goes first.
const maxStored = 1000

// store keeps finished responses by id. It is safe for concurrent use.
type store struct {
	mu    sync.Mutex
	byID  map[string]storedResponse
	order []string // oldest first; may name deleted ones
}

type storedResponse struct {
	body    []byte
	history string // the conversation so far, as prompt text
}

func (s *store) get(id string) (storedResponse, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.byID[id]
	return r, ok
}

func (s *store) put(id string, r storedResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID = map[string]storedResponse{}
	}
	if len(s.order) >= maxStored {
		delete(s.byID, s.order[0])
		s.order = s.order[1:]
	}
	s.order = append(s.order, id)
	s.byID[id] = r
}

func (s *store) remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.byID[id]
	delete(s.byID, id)
	return ok
}

// stored responses GET and DELETE of a stored response.
func (x *exchange) stored(id string) {
	if x.r.Method == http.MethodDelete {
		if x.s.stored.remove(id) {
			writeBody(x.w, http.StatusOK, []byte(`{"id":"`+id+`","object":"response","deleted":true}`))
			return
		}
	} else if r, ok := x.s.stored.get(id); ok {
		writeBody(x.w, http.StatusOK, r.body)
		return
	}
	missing := badRequest{message: "Response with id '" + id + "' not found."}
	writeBody(x.w, http.StatusNotFound, []byte(missing.body()))
}
