package azuresim

import (
	"strconv"
	"sync"
	"time"
)

// Bounds of what one resource keeps; the oldest object goes first.
const (
	maxStored      = 1000
	maxStoredBytes = 256 << 20
)

// store keeps the objects of one resource by id. It is safe for concurrent use;
// an object is read and changed only inside do.
type store struct {
	mu    sync.Mutex
	byID  map[string]object
	order []string // oldest first; may name deleted ones
	bytes int
	items map[string]bool // ids of the items that stored objects hold
}

// object is something that the service keeps for later requests.
type object interface {
	// size is about how many bytes it takes.
	size() int
	// json is the object as of now.
	json(now time.Time) []byte
}

// do runs f while nothing else reads or changes the store's objects.
func (s *store) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// put keeps an object. The caller holds the lock.
func (s *store) put(id string, o object) {
	if s.byID == nil {
		s.byID, s.items = map[string]object{}, map[string]bool{}
	}
	s.byID[id] = o
	s.order = append(s.order, id)
	s.bytes += o.size()
	for len(s.order) > 1 && (len(s.order) > maxStored || s.bytes > maxStoredBytes) {
		s.drop(s.order[0])
		s.order = s.order[1:]
	}
}

// drop forgets an object. The caller holds the lock.
func (s *store) drop(id string) {
	if o := s.byID[id]; o != nil {
		s.bytes -= o.size()
		delete(s.byID, id)
	}
}

// keepItem notes the id of an item that requests may refer to. The caller holds
// the lock.
func (s *store) keepItem(id string) {
	const most = 100 * maxStored
	if len(s.items) >= most {
		clear(s.items)
	}
	s.items[id] = true
}

// lookup returns the object of an id and of a kind. The caller holds the lock.
func lookup[T object](s *store, id string) (T, bool) {
	o, ok := s.byID[id].(T)
	return o, ok
}

// all lists the objects of a kind, newest first. The caller holds the lock.
func all[T object](s *store) []T {
	var list []T
	for i := len(s.order) - 1; i >= 0; i-- {
		if o, ok := s.byID[s.order[i]].(T); ok {
			list = append(list, o)
		}
	}
	return list
}

// appendList appends a page of a list: at most limit elements after the one with
// the id after. Each element is JSON with its id.
func appendList(b []byte, ids []string, elements [][]byte, after string, limit int) []byte {
	from := 0
	for i, id := range ids {
		if after != "" && id == after {
			from = i + 1
		}
	}
	to := min(from+limit, len(elements))
	b = append(b, `{"object":"list","data":[`...)
	for i := from; i < to; i++ {
		if i > from {
			b = append(b, ',')
		}
		b = append(b, elements[i]...)
	}
	first, last := "", ""
	if to > from {
		first, last = ids[from], ids[to-1]
	}
	b = append(b, `],"first_id":`...)
	b = appendNullable(b, first)
	b = append(b, `,"last_id":`...)
	b = appendNullable(b, last)
	b = append(b, `,"has_more":`...)
	b = strconv.AppendBool(b, to < len(elements))
	return append(b, '}')
}

// writeList answers with the page of a list that the request asks for.
func (x *exchange) writeList(ids []string, elements [][]byte) error {
	q := x.r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 || limit > 100 {
		limit = 20
	}
	if q.Get("order") == "asc" {
		ids, elements = reversed(ids), reversed(elements)
	}
	x.write(appendList(nil, ids, elements, q.Get("after"), limit))
	return nil
}

// listOf answers with the objects of a kind, newest first.
func listOf[T object](x *exchange, id func(T) string) error {
	var ids []string
	var elements [][]byte
	x.res.store.do(func() {
		for _, o := range all[T](&x.res.store) {
			ids, elements = append(ids, id(o)), append(elements, o.json(x.s.clock.now()))
		}
	})
	return x.writeList(ids, elements)
}

// show answers with one object, or with the error for a missing one.
func show[T object](x *exchange, absent func(id string) error) error {
	var body []byte
	x.res.store.do(func() {
		if o, ok := lookup[T](&x.res.store, x.id); ok {
			body = o.json(x.s.clock.now())
		}
	})
	if body == nil {
		return absent(x.id)
	}
	x.write(body)
	return nil
}

// remove deletes an object, and says so as an object of that name.
func remove[T object](x *exchange, name string, absent func(id string) error) error {
	found := false
	x.res.store.do(func() {
		if _, found = lookup[T](&x.res.store, x.id); found {
			x.res.store.drop(x.id)
		}
	})
	if !found {
		return absent(x.id)
	}
	x.write([]byte(`{"id":"` + x.id + `","object":"` + name + `","deleted":true}`))
	return nil
}

// reversed is a copy in the opposite order.
func reversed[T any](list []T) []T {
	out := make([]T, len(list))
	for i := range list {
		out[len(list)-1-i] = list[i]
	}
	return out
}
