package azuresim

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// vectorStore names files. Nothing is indexed, and there is no search.
type vectorStore struct {
	id, name string
	created  time.Time
	metadata json.RawMessage
	files    []string
	added    []time.Time
}

// fileEntry is about how many bytes a file takes in a vector store.
const fileEntry = 64

func (v *vectorStore) size() int { return len(v.name) + len(v.metadata) + fileEntry*len(v.files) }

func (v *vectorStore) json(time.Time) []byte {
	b := []byte(`{"id":"` + v.id + `","object":"vector_store","created_at":`)
	b = strconv.AppendInt(b, v.created.Unix(), 10)
	b = append(b, `,"name":`...)
	b = appendNullable(b, v.name)
	n := strconv.Itoa(len(v.files))
	b = append(b, `,"usage_bytes":0,"file_counts":{"in_progress":0,"completed":`+n+`,"failed":0,"cancelled":0,"total":`+n+`},"status":"completed","expires_after":null,"expires_at":null,"last_active_at":`...)
	b = strconv.AppendInt(b, v.created.Unix(), 10)
	b = appendRaw(b, "metadata", v.metadata, `{}`)
	return append(b, '}')
}

// fileJSON is the n-th file.
func (v *vectorStore) fileJSON(n int) []byte {
	b := []byte(`{"id":"` + v.files[n] + `","object":"vector_store.file","usage_bytes":0,"created_at":`)
	b = strconv.AppendInt(b, v.added[n].Unix(), 10)
	return append(b, `,"vector_store_id":"`+v.id+`","status":"completed","last_error":null,"attributes":{}}`...)
}

// noVectorStore is assumed.
func noVectorStore(id string) error {
	return missing("No vector store found with id '"+id+"'.", "vector_store_id")
}

// attach adds files that the resource has, and returns those that it has not. The
// caller holds the store's lock.
func (v *vectorStore) attach(s *store, ids []string, now time.Time) (absent []string) {
	for _, id := range ids {
		if _, ok := lookup[*file](s, id); !ok {
			absent = append(absent, id)
			continue
		}
		v.files, v.added = append(v.files, id), append(v.added, now)
	}
	return absent
}

// noFiles is worded as in azure-sdk-for-net#47121.
func noFiles(ids []string) error {
	return missing("Files ["+strings.Join(ids, ", ")+"] were not found", "")
}

func (x *exchange) createVectorStore(body []byte) error {
	var r struct {
		Name     string          `json:"name"`
		Files    []string        `json:"file_ids"`
		Metadata json.RawMessage `json:"metadata"`
	}
	if len(body) > 0 {
		if err := decode(body, &r); err != nil {
			return err
		}
	}
	v := &vectorStore{id: "vs_" + randomText(x.s.nextID(), 24), name: r.Name, created: x.s.clock.now(), metadata: r.Metadata}
	var absent []string
	var out []byte
	x.res.store.do(func() {
		if absent = v.attach(&x.res.store, r.Files, v.created); absent == nil {
			x.res.store.put(v.id, v)
			out = v.json(v.created)
		}
	})
	if absent != nil {
		return noFiles(absent)
	}
	x.write(out)
	return nil
}

func (x *exchange) listVectorStores([]byte) error {
	return listOf(x, func(v *vectorStore) string { return v.id })
}

func (x *exchange) getVectorStore([]byte) error { return show[*vectorStore](x, noVectorStore) }

func (x *exchange) deleteVectorStore([]byte) error {
	return remove[*vectorStore](x, "vector_store.deleted", noVectorStore)
}

func (x *exchange) addVectorStoreFile(body []byte) error {
	var r struct {
		File string `json:"file_id"`
	}
	if err := decode(body, &r); err != nil {
		return err
	}
	var absent []string
	var out []byte
	x.res.store.do(func() {
		if v, ok := lookup[*vectorStore](&x.res.store, x.id); ok {
			if absent = v.attach(&x.res.store, []string{r.File}, x.s.clock.now()); absent == nil {
				x.res.store.bytes += fileEntry
				out = v.fileJSON(len(v.files) - 1)
			}
		}
	})
	switch {
	case absent != nil:
		return noFiles(absent)
	case out == nil:
		return noVectorStore(x.id)
	}
	x.write(out)
	return nil
}

func (x *exchange) listVectorStoreFiles([]byte) error {
	var ids []string
	var list [][]byte
	found := false
	x.res.store.do(func() {
		var v *vectorStore
		if v, found = lookup[*vectorStore](&x.res.store, x.id); found {
			for i := range v.files {
				ids, list = append(ids, v.files[i]), append(list, v.fileJSON(i))
			}
		}
	})
	if !found {
		return noVectorStore(x.id)
	}
	return x.writeList(ids, list)
}
