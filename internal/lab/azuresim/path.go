package azuresim

import (
	"net/http"
	"strings"
)

// operation is what a path asks for.
type operation uint8

const (
	opChat operation = iota
	opCompletions
	opEmbeddings
	opResponses
	opStored // what the service keeps, and lists of it
)

// name is the operation's name in Azure's messages.
func (o operation) name() string {
	switch o {
	case opChat:
		return "ChatCompletions_Create"
	case opCompletions:
		return "Completions_Create"
	case opEmbeddings:
		return "Embeddings_Create"
	}
	return "Responses_Create"
}

// target is a parsed path.
type target struct {
	op         operation
	deployment string // of the classic paths
	route      int    // of opStored, in routes
	id, item   string // of the stored object, and of what is in it
	versioned  bool   // needs an api-version
	openai     bool   // OpenAI's own path: model names are accepted
}

// since is the operation's first api-version.
func (t *target) since() string {
	switch t.op {
	case opChat:
		return sinceChat
	case opResponses:
		return sinceResponses
	case opStored:
		return routes[t.route].since
	}
	return sinceFirst
}

// parsePath understands Azure's classic and v1 paths and OpenAI's own.
func parsePath(method, path string) (target, bool) {
	if rest, ok := strings.CutPrefix(path, "/openai/deployments/"); ok {
		name, op, _ := strings.Cut(rest, "/")
		t, ok := parseOperation(method, op)
		t.deployment, t.versioned = name, true
		return t, ok && name != "" && t.op <= opEmbeddings
	}
	if rest, ok := strings.CutPrefix(path, "/openai/v1/"); ok {
		return parseOperation(method, rest)
	}
	if rest, ok := strings.CutPrefix(path, "/openai/"); ok {
		t, ok := parseOperation(method, rest)
		t.versioned = true
		return t, ok && t.op >= opResponses
	}
	if rest, ok := strings.CutPrefix(path, "/v1/"); ok {
		t, ok := parseOperation(method, rest)
		t.openai = true
		return t, ok
	}
	return target{}, false
}

func parseOperation(method, rest string) (target, bool) {
	rest = strings.TrimSuffix(rest, "/")
	if method == http.MethodPost {
		switch rest {
		case "chat/completions":
			return target{op: opChat}, true
		case "completions":
			return target{op: opCompletions}, true
		case "embeddings":
			return target{op: opEmbeddings}, true
		case "responses":
			return target{op: opResponses}, true
		}
	}
	for i, r := range routes {
		if id, item, ok := r.match(method, rest); ok {
			return target{op: opStored, route: i, id: id, item: item}, true
		}
	}
	return target{}, false
}

// route is one operation on stored objects. A path may have two variable
// segments, {id} and {item}.
type route struct {
	method, path string
	since        string // the first api-version
	serve        func(x *exchange, body []byte) error
}

// match reports whether a path is the route's, and what its variable segments are.
func (r route) match(method, path string) (id, item string, ok bool) {
	if method != r.method {
		return "", "", false
	}
	pattern := r.path
	for {
		want, patternRest, more := strings.Cut(pattern, "/")
		got, rest, moreGot := strings.Cut(path, "/")
		switch {
		case got == "" || more != moreGot:
			return "", "", false
		case want == "{id}":
			id = got
		case want == "{item}":
			item = got
		case want != got:
			return "", "", false
		}
		if !more {
			return id, item, true
		}
		pattern, path = patternRest, rest
	}
}

// routes is constant: the operations on stored objects.
var routes = [...]route{
	{"GET", "models", sinceFirst, (*exchange).listModels},
	{"GET", "models/{id}", sinceFirst, (*exchange).getModel},
	{"GET", "responses/{id}", sinceResponses, (*exchange).getResponse},
	{"DELETE", "responses/{id}", sinceResponses, (*exchange).deleteResponse},
	{"POST", "responses/{id}/cancel", sinceResponses, (*exchange).cancelResponse},
	{"GET", "responses/{id}/input_items", sinceResponses, (*exchange).listInputItems},
	{"GET", "chat/completions", sinceStoredChat, (*exchange).listChats},
	{"GET", "chat/completions/{id}", sinceStoredChat, (*exchange).getChat},
	{"POST", "chat/completions/{id}", sinceStoredChat, (*exchange).updateChat},
	{"DELETE", "chat/completions/{id}", sinceStoredChat, (*exchange).deleteChat},
	{"GET", "chat/completions/{id}/messages", sinceStoredChat, (*exchange).listChatMessages},
	{"POST", "files", sinceFirst, (*exchange).createFile},
	{"GET", "files", sinceFirst, (*exchange).listFiles},
	{"GET", "files/{id}", sinceFirst, (*exchange).getFile},
	{"DELETE", "files/{id}", sinceFirst, (*exchange).deleteFile},
	{"GET", "files/{id}/content", sinceFirst, (*exchange).getFileContent},
	{"POST", "batches", sinceBatches, (*exchange).createBatch},
	{"GET", "batches", sinceBatches, (*exchange).listBatches},
	{"GET", "batches/{id}", sinceBatches, (*exchange).getBatch},
	{"POST", "batches/{id}/cancel", sinceBatches, (*exchange).cancelBatch},
	{"POST", "conversations", onlyV1, (*exchange).createConversation},
	{"GET", "conversations/{id}", onlyV1, (*exchange).getConversation},
	{"POST", "conversations/{id}", onlyV1, (*exchange).updateConversation},
	{"DELETE", "conversations/{id}", onlyV1, (*exchange).deleteConversation},
	{"POST", "conversations/{id}/items", onlyV1, (*exchange).createItems},
	{"GET", "conversations/{id}/items", onlyV1, (*exchange).listItems},
	{"GET", "conversations/{id}/items/{item}", onlyV1, (*exchange).getItem},
	{"DELETE", "conversations/{id}/items/{item}", onlyV1, (*exchange).deleteItem},
	{"POST", "vector_stores", sinceVectorStores, (*exchange).createVectorStore},
	{"GET", "vector_stores", sinceVectorStores, (*exchange).listVectorStores},
	{"GET", "vector_stores/{id}", sinceVectorStores, (*exchange).getVectorStore},
	{"DELETE", "vector_stores/{id}", sinceVectorStores, (*exchange).deleteVectorStore},
	{"POST", "vector_stores/{id}/files", sinceVectorStores, (*exchange).addVectorStoreFile},
	{"GET", "vector_stores/{id}/files", sinceVectorStores, (*exchange).listVectorStoreFiles},
}
