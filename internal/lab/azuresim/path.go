package azuresim

import "strings"

// operation is what a path asks for.
type operation uint8

const (
	opChat operation = iota
	opCompletions
	opEmbeddings
	opResponses
	opResponse // one stored response
	opModels
	opModel
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

// allows reports whether the operation takes the method.
func (o operation) allows(method string) bool {
	switch o {
	case opModels, opModel:
		return method == "GET"
	case opResponse:
		return method == "GET" || method == "DELETE"
	}
	return method == "POST"
}

// target is a parsed path.
type target struct {
	op         operation
	deployment string // of the classic paths
	id         string // of a response or model
	versioned  bool   // needs an api-version
	openai     bool   // OpenAI's own path: model names are accepted
}

// parsePath understands Azure's classic and v1 paths and OpenAI's own.
func parsePath(path string) (target, bool) {
	if rest, ok := strings.CutPrefix(path, "/openai/deployments/"); ok {
		name, op, _ := strings.Cut(rest, "/")
		t, ok := parseOperation(op)
		t.deployment, t.versioned = name, true
		return t, ok && name != "" && t.op <= opEmbeddings
	}
	if rest, ok := strings.CutPrefix(path, "/openai/v1/"); ok {
		return parseOperation(rest)
	}
	if rest, ok := strings.CutPrefix(path, "/openai/"); ok {
		t, ok := parseOperation(rest)
		t.versioned = true
		return t, ok && t.op >= opResponses
	}
	if rest, ok := strings.CutPrefix(path, "/v1/"); ok {
		t, ok := parseOperation(rest)
		t.openai = true
		return t, ok
	}
	return target{}, false
}

func parseOperation(rest string) (target, bool) {
	switch rest = strings.TrimSuffix(rest, "/"); rest {
	case "chat/completions":
		return target{op: opChat}, true
	case "completions":
		return target{op: opCompletions}, true
	case "embeddings":
		return target{op: opEmbeddings}, true
	case "responses":
		return target{op: opResponses}, true
	case "models":
		return target{op: opModels}, true
	}
	if id, ok := strings.CutPrefix(rest, "responses/"); ok && !strings.Contains(id, "/") {
		return target{op: opResponse, id: id}, true
	}
	if id, ok := strings.CutPrefix(rest, "models/"); ok {
		return target{op: opModel, id: id}, true
	}
	return target{}, false
}
