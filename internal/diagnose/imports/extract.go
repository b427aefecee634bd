package imports

import "strings"

// reason is the cause that the gateway logs for a failed request.
type reason int64

const (
	reasonOther   reason = iota
	reasonGone           // the client left
	reasonBackend        // no connection to the deployment
	reasonTimeout        // no response in the time that the gateway allows
	reasonLimit          // the gateway's own limits
)

// kindOf is the kind of a row: what its category says, or what its table is.
func (f *file) kindOf(r *row) (kind, bool) {
	switch category := r.values[colCategory]; {
	case category == "":
		if f.table.kind == kindCount { // AzureDiagnostics without its category
			return kindService, r.values[colSignature] != ""
		}
		return f.table.kind, true
	case strings.EqualFold(category, "RequestResponse"):
		return kindService, true
	case strings.EqualFold(category, "AzureOpenAIRequestUsage"):
		return kindUsage, true
	case strings.EqualFold(category, "GatewayLogs"):
		return kindGateway, true
	case strings.EqualFold(category, "GatewayLlmLogs"), strings.EqualFold(category, "GatewayLlmLog"):
		return kindLLM, true
	default:
		return f.table.kind, f.table.kind != kindCount
	}
}

// extractor turns rows into pieces.
type extractor struct {
	f     *file
	names *names
	// backend says that the log has the status that the deployment answered.
	backend bool
	row     *row
	p       piece
	err     error
}

// piece extracts the piece of a row into t.p; false where the row is not about a
// request to an LLM.
func (t *extractor) piece(r *row) (bool, error) {
	t.row, t.p, t.err = r, piece{}, nil
	if err := t.f.properties(r); err != nil {
		return false, err
	}
	k, ok := t.f.kindOf(r)
	if !ok {
		return false, nil
	}
	t.p.kind = k
	if r.values[colTime] == "" {
		return false, badRow("no time")
	}
	at, err := t.f.clock.parse(r.values[colTime])
	if err != nil {
		return false, err
	}
	if at.Year() < 2015 || at.Year() > 2200 {
		return false, badRow("time " + quote(r.values[colTime]) + " is before these services existed, or in the future")
	}
	t.p.know(factTime, at.UnixMicro())
	id := r.values[colID]
	if id == "" {
		return false, badRow("no correlation id")
	}
	t.p.key = keyOf(id)
	t.know(factPrompt, colPrompt, 1)
	t.know(factCompletion, colCompletion, 1)
	t.know(factCached, colCached, 1)
	t.know(factFirst, colFirst, 1000)
	t.know(factAsk, colAsk, 1)
	t.p.know(factModel, t.names.id(r.values[colModel]))
	t.deployment(r.values[colDeployment])
	t.stream()
	switch k {
	case kindGateway:
		ok = t.gateway()
	case kindService:
		ok = t.service()
	default:
		ok = t.p.knows(factPrompt) || t.p.knows(factCompletion)
		if k == kindUsage {
			t.p.know(factAccount, t.names.id(resourceOf(r.values[colResource])))
		}
	}
	return ok, t.err
}

// properties adds the values that AzureDiagnostics packs into one column.
func (f *file) properties(r *row) error {
	text := r.values[colProperties]
	if text == "" {
		return nil
	}
	err := members([]byte(text), func(name, value []byte) {
		if len(value) > 1 && value[0] == '[' { // one number, or one for each part
			value = sum(value)
		}
		f.member(r, "", name, value)
	})
	if err != nil {
		return badRow("the properties are not a JSON object")
	}
	return nil
}

// sum is that of a list's numbers, as JSON; what is none counts as nothing.
func sum(list []byte) []byte {
	total, n := 0.0, 0
	_ = elements(list, func(value []byte) {
		if v, err := number(string(value), false); err == nil && v >= 0 {
			total += v
			n++
		}
	})
	if n == 0 {
		return nil
	}
	return []byte(decimal(&total))
}

// know sets a fact from a column's number, in units of which the fact's are
// so many.
func (t *extractor) know(f fact, c column, scale float64) {
	text := t.row.values[c]
	if text == "" || t.err != nil {
		return
	}
	v, err := number(text, t.f.semicolons())
	if err != nil {
		t.err = badRow(columnTitle(c) + ": " + err.Error())
		return
	}
	if v >= 0 {
		t.p.know(f, int64(v*scale+0.5))
	}
}

// columnTitle names a column in a message.
func columnTitle(c column) string {
	if title := c.title(); title != "" {
		return title
	}
	return c.names()[0]
}

// deployment sets the deployment's name. A request with one is to an LLM.
func (t *extractor) deployment(name string) {
	if name != "" {
		t.p.know(factDeployment, t.names.id(name))
		t.p.know(factAbout, 1)
	}
}

func (t *extractor) stream() {
	switch s := t.row.values[colStream]; {
	case s == "":
	case yes(s), strings.EqualFold(s, "streaming"):
		t.p.know(factStream, 1)
	default:
		t.p.know(factStream, 0)
	}
}

// first is the first of the columns that says something.
func (t *extractor) first(columns ...column) string {
	for _, c := range columns {
		if s := t.row.values[c]; s != "" {
			return s
		}
	}
	return ""
}

// gateway extracts a row of the gateway's log.
func (t *extractor) gateway() bool {
	r := t.row
	t.know(factStatus, colCode, 1)
	if !t.p.knows(factStatus) && t.err == nil {
		t.p.know(factStatus, 0) // nothing was answered
	}
	t.know(factTook, colTook, 1000)
	t.know(factBackendStatus, colBackendCode, 1)
	t.know(factBackendTook, colBackendTook, 1000)
	t.know(factRetry, colRetry, 1)
	t.know(factTimeout, colTimeout, 1_000_000)
	t.know(factUtilization, colUtilization, 0.01/utilizationUnit)
	t.p.know(factRegion, t.names.id(r.values[colBackendRegion]))
	t.p.know(factReason, int64(reasonOf(r.values[colReason])))
	if !t.backend {
		t.p.know(factBackendStatus, t.p.get(factStatus)) // unless logged otherwise
	}
	t.p.know(factCaller, t.names.id(t.first(colSubscription, colProduct, colUser, colAddress)))
	t.headers()
	url, backend := r.values[colURL], r.values[colBackendURL]
	asked := deploymentOf(url)
	t.p.know(factPool, t.names.id(asked))
	if name := deploymentOf(backend); name != "" {
		t.deployment(name)
	} else if !t.p.knows(factDeployment) {
		t.deployment(asked)
	}
	account := accountOf(backend)
	if account == "" {
		account = r.values[colBackendID]
	}
	t.p.know(factAccount, t.names.id(account))
	if url == "" && backend == "" || aboutLLM(url) || aboutLLM(backend) {
		t.p.know(factAbout, 1)
	} else {
		t.p.know(factAbout, 0) // what has tokens is about an LLM all the same
	}
	return true
}

func reasonOf(text string) reason {
	switch text {
	case "ClientConnectionFailure":
		return reasonGone
	case "BackendConnectionFailure":
		return reasonBackend
	case "Timeout":
		return reasonTimeout
	case "RateLimitExceeded", "QuotaExceeded", "TokenLimitExceeded", "TokenQuotaExceeded":
		return reasonLimit
	}
	return reasonOther
}

// headers extracts from logged headers the client's retry count and timeout, and
// the service's utilization and region. It reads no other header.
func (t *extractor) headers() {
	for _, c := range []column{colHeaders, colBackendHeaders, colAnswerHeaders} {
		text := t.row.values[c]
		if len(text) < 3 || text[0] != '{' {
			continue
		}
		// Unreadable headers are ignored: the row's other values stand.
		_ = members([]byte(text), func(name, value []byte) {
			if len(name) > 6 && (name[0]|0x20 == 'x' || name[0]|0x20 == 'a') {
				t.header(strings.ToLower(string(name)), value)
			}
		})
	}
}

func (t *extractor) header(name string, value []byte) {
	if len(value) > 1 && value[0] == '[' {
		var one []byte
		_ = elements(value, func(v []byte) { one = v })
		value = one
	}
	switch name {
	case "x-stainless-retry-count":
		t.headerNumber(factRetry, value, 1)
	case "x-stainless-read-timeout", "x-stainless-timeout":
		t.headerNumber(factTimeout, value, 1_000_000)
	case "azure-openai-deployment-utilization":
		t.headerNumber(factUtilization, value, 0.01/utilizationUnit)
	case "x-ms-region":
		if !t.p.knows(factRegion) {
			t.p.know(factRegion, t.names.id(text(value)))
		}
	}
}

func (t *extractor) headerNumber(f fact, value []byte, scale float64) {
	if v, err := number(text(value), false); err == nil && v >= 0 && !t.p.knows(f) {
		t.p.know(f, int64(v*scale+0.5))
	}
}

// service extracts a row of the service's own log.
func (t *extractor) service() bool {
	r := t.row
	operation := strings.ToLower(r.values[colOperation])
	if !t.p.knows(factDeployment) && operation != "" &&
		!strings.Contains(operation, "completion") && !strings.Contains(operation, "response") && !strings.Contains(operation, "embedding") {
		return false
	}
	t.know(factStatus, colSignature, 1)
	if !t.p.knows(factStatus) {
		t.know(factStatus, colCode, 1)
	}
	if !t.p.knows(factStatus) && t.err == nil {
		t.err = badRow("no ResultSignature, which is the status")
	}
	t.know(factTook, colTook, 1000)
	t.p.know(factBackendStatus, t.p.get(factStatus))
	t.p.know(factCaller, t.names.id(t.first(colUser, colAddress)))
	t.p.know(factAccount, t.names.id(resourceOf(r.values[colResource])))
	t.p.know(factRegion, t.names.id(r.values[colRegion]))
	t.p.know(factAbout, 1)
	return true
}
