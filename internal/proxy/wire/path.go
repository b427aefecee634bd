package wire

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/spillway-ai/spillway"
)

// Family is a way to lay out paths: of what a client calls, and of what a
// deployment serves.
type Family uint8

const (
	// Azure is /openai/deployments/{deployment}/{operation}?api-version=…, and
	// /openai/{operation}?api-version=… for what belongs to no deployment.
	Azure Family = iota
	// AzureV1 is /openai/v1/{operation}, the deployment in the body's model.
	AzureV1
	// OpenAI is /v1/{operation}, the model in the body.
	OpenAI
)

// familyNames is constant.
var familyNames = [...]string{"azure", "azure-v1", "openai"}

// String returns the name used in routes and configuration.
func (f Family) String() string {
	if int(f) < len(familyNames) {
		return familyNames[f]
	}
	return "unknown"
}

// Path is a parsed request path.
type Path struct {
	Family     Family
	API        spillway.API
	Deployment string // of Azure; "" where the path names none. Unescaped.
	// Operation is the rest of the path, such as "chat/completions", escaped
	// anew and free of dot segments.
	Operation string
	// ResourceID is the stored response that the path names, unescaped.
	ResourceID string
	APIVersion string // the api-version parameter; "" when absent
	Since      string // the first api-version that knows what the request has; "" for any
	foundry    bool   // the path is of Foundry's model inference, whose api-versions are its own
}

// ParsePath parses a client's path. path is the escaped path
// (url.URL.EscapedPath), query the raw one. It reports false for a path outside
// the families, or one that could mean something else upstream: with an empty
// segment, a dot segment, or an escaped slash. One slash at the end is allowed, and
// several where a base URL ends, which clients join without care.
func ParsePath(path, query string) (Path, bool) {
	var p Path
	rest, ok := p.parseBase(path)
	if !ok {
		return Path{}, false
	}
	rest = strings.TrimSuffix(rest, "/")
	if p.Operation, ok = operation(rest); !ok {
		return Path{}, false
	}
	if misspelled(p.Operation) {
		return Path{}, false
	}
	p.API = operationAPI(p.Operation)
	if id, ok := strings.CutPrefix(p.Operation, "responses/"); ok && p.Operation != compact && p.Operation != inputTokens {
		id, _, _ = strings.Cut(id, "/")
		p.ResourceID, _ = segment(id)
	}
	if !p.foundry {
		p.APIVersion = queryValue(query, apiVersion)
	}
	return p, true
}

// parseBase reads the beginning of a path, down to the deployment where the path names
// one, and returns the rest. Foundry has two more spellings of AzureV1: the same under
// a project, and the operations of its model inference.
func (p *Path) parseBase(path string) (rest string, ok bool) {
	if project, found := cutBase(path, "api/projects"); found {
		name, inside, _ := strings.Cut(strings.TrimLeft(project, "/"), "/")
		if _, ok = segment(name); !ok {
			return "", false
		}
		if rest, ok = cutBase("/"+inside, "openai"); !ok {
			return "", false
		}
	} else if rest, ok = cutBase(path, "openai"); !ok {
		return p.parseOtherBase(path)
	}
	if v1, found := cutBase(rest, "v1"); found {
		p.Family, rest = AzureV1, v1
	} else if named, found := cutBase(rest, "deployments"); found {
		name, operation, _ := strings.Cut(named[1:], "/")
		p.Deployment, ok = segment(name)
		return operation, ok
	}
	return strings.TrimLeft(rest, "/"), true
}

// parseOtherBase is parseBase for a path that is not under /openai.
func (p *Path) parseOtherBase(path string) (rest string, ok bool) {
	if rest, ok = cutBase(path, "v1"); ok {
		p.Family = OpenAI
		return strings.TrimLeft(rest, "/"), true
	}
	rest, ok = cutBase(path, "models")
	rest = strings.TrimLeft(rest, "/")
	switch strings.TrimSuffix(rest, "/") {
	case "chat/completions", "completions", "embeddings":
		p.Family, p.foundry = AzureV1, true
		return rest, ok
	}
	return "", false
}

// cutBase returns what follows the segment name at the beginning of a path, from its
// slash on. Several slashes before it count as one.
func cutBase(path, name string) (rest string, ok bool) {
	if !strings.HasPrefix(path, "/") {
		return "", false
	}
	rest, ok = strings.CutPrefix(strings.TrimLeft(path, "/"), name)
	return rest, ok && strings.HasPrefix(rest, "/")
}

// segment unescapes one segment of a path, and refuses what is unsafe in one.
func segment(escaped string) (string, bool) {
	s := escaped
	if strings.IndexByte(s, '%') >= 0 {
		var err error
		if s, err = url.PathUnescape(escaped); err != nil {
			return "", false
		}
	}
	if s == "" || s == "." || s == ".." {
		return "", false
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == 0x7F || c == '/' || c == '\\' {
			return "", false
		}
	}
	return s, true
}

// operation checks every segment of an escaped path and escapes it anew.
func operation(escaped string) (string, bool) {
	var b strings.Builder
	plain := true
	for part := range strings.SplitSeq(escaped, "/") {
		s, ok := segment(part)
		if !ok {
			return "", false
		}
		plain = plain && url.PathEscape(s) == part
	}
	if plain {
		return escaped, true
	}
	for part := range strings.SplitSeq(escaped, "/") {
		s, _ := segment(part)
		if b.Len() > 0 {
			b.WriteByte('/')
		}
		b.WriteString(url.PathEscape(s))
	}
	return b.String(), true
}

// misspelled reports whether a lenient upstream could take operation for one with
// token logic or with a name of its own, or for the path of another deployment.
// Extensions are an older spelling of chat.
func misspelled(operation string) bool {
	if operationAPI(operation) != spillway.APIOther {
		return false
	}
	var b strings.Builder
	for part := range strings.SplitSeq(operation, "/") {
		s, ok := lenient(part)
		if !ok {
			return true
		}
		if b.Len() > 0 {
			b.WriteByte('/')
		}
		b.WriteString(s)
	}
	plain := b.String()
	switch first, _, _ := strings.Cut(plain, "/"); first {
	case "deployments", "v1", "extensions":
		return true
	}
	return operationAPI(plain) != spillway.APIOther || plain != operation && (plain == compact || plain == inputTokens)
}

// lenient returns a segment as a lenient upstream reads it: escaped more than once,
// in any case, and without parameters and the blanks and dots at its end. It
// reports false where that is unsafe in a path, or a dot segment.
func lenient(escaped string) (string, bool) {
	s, ok := segment(escaped)
	for ok && strings.IndexByte(s, '%') >= 0 {
		if _, err := url.PathUnescape(s); err != nil {
			break // a percent sign that escapes nothing
		}
		s, ok = segment(s)
	}
	s, _, _ = strings.Cut(s, ";")
	s = strings.TrimRight(strings.ToLower(s), " .")
	return s, ok && s != ""
}

// The operations of Responses that name no stored response.
const (
	compact     = "responses/compact"
	inputTokens = "responses/input_tokens"
)

// operationAPI names the operations that have token logic.
func operationAPI(operation string) spillway.API {
	switch operation {
	case "chat/completions":
		return spillway.APIChat
	case "completions":
		return spillway.APICompletions
	case "embeddings":
		return spillway.APIEmbeddings
	case "responses":
		return spillway.APIResponses
	}
	return spillway.APIOther
}

// Route is a label of low cardinality for records and metrics: the family and
// what is done, such as "azure/chat" or "openai/files".
func (p Path) Route() string {
	return p.Family.String() + "/" + p.label()
}

// label names the operation.
func (p Path) label() string {
	if p.API != spillway.APIOther {
		return p.API.String()
	}
	first, rest, _ := strings.Cut(p.Operation, "/")
	switch first {
	case "responses":
		if p.Operation == compact || p.Operation == inputTokens {
			return p.Operation
		}
		return "responses/stored"
	case "chat":
		if rest != "" {
			return "chat/stored"
		}
	case "assistants", "audio", "batches", "containers", "conversations", "evals", "files",
		"fine_tuning", "images", "models", "moderations", "realtime", "threads", "uploads", "vector_stores", "videos":
		return first
	}
	return spillway.OperationOther
}

// Permission returns the name of spillway.Operations that a caller must be allowed
// for this path and method. It is more exact than Route: what only begins like an
// operation, such as the deletion of a model, is another.
func (p Path) Permission(method string) string {
	name := p.label()
	reads := method == http.MethodGet || method == http.MethodHead
	switch name {
	case "responses/stored":
		_, rest, _ := strings.Cut(strings.TrimPrefix(p.Operation, "responses/"), "/")
		switch {
		case rest == "" && (reads || method == http.MethodDelete),
			rest == "input_items" && reads,
			rest == "cancel" && method == http.MethodPost:
			return spillway.OperationResponses
		}
		return spillway.OperationOther
	case "chat/stored":
		if !strings.HasPrefix(p.Operation, "chat/completions") {
			return spillway.OperationOther
		}
	case inputTokens:
		if method == http.MethodPost {
			return spillway.OperationResponses
		}
		return spillway.OperationOther
	case spillway.OperationModels:
		if p.Deployment != "" || method != http.MethodGet {
			return spillway.OperationOther
		}
	}
	return name
}

// queryValue returns the first value of a parameter in a raw query.
func queryValue(query, name string) string {
	for part := range strings.SplitSeq(query, "&") {
		if isParam(part, name) {
			_, value, _ := strings.Cut(part, "=")
			value, _ = url.QueryUnescape(value)
			return value
		}
	}
	return ""
}

// isParam reports whether a part of a raw query sets the parameter name.
func isParam(part, name string) bool {
	key, _, _ := strings.Cut(part, "=")
	if strings.IndexByte(key, '%') >= 0 {
		key, _ = url.QueryUnescape(key)
	}
	return strings.EqualFold(key, name)
}
