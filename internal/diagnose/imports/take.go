package imports

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// reason is why the gateway says that a request failed.
type reason int64

const (
	reasonOther   reason = iota
	reasonGone           // the client left
	reasonBackend        // no connection to the deployment
	reasonTimeout        // no answer in the time that the gateway allows
	reasonLimit          // the gateway's own limits
)

// names numbers texts, so that pieces need not hold them.
type names struct {
	ids map[string]int64
	all []string
}

// maxNames bounds how many are told apart.
const maxNames = 1 << 20

func newNames() *names { return &names{ids: map[string]int64{}} }

// id is the number of a name; -1 for none.
func (n *names) id(name string) int64 {
	if name == "" {
		return -1
	}
	if id, ok := n.ids[name]; ok {
		return id
	}
	if len(n.all) >= maxNames {
		name = "(others)"
		if id, ok := n.ids[name]; ok {
			return id
		}
	}
	name = strings.Clone(name) // it is a part of its row
	n.ids[name] = int64(len(n.all))
	n.all = append(n.all, name)
	return n.ids[name]
}

// name is what has that number; "" for -1.
func (n *names) name(id int64) string {
	if id < 0 || id >= int64(len(n.all)) {
		return ""
	}
	return n.all[id]
}

// keyOf makes a key of a correlation id. Those that are UUIDs, as nearly all
// are, are taken as they are.
func keyOf(id string) (k key) {
	if len(id) == 36 && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-' {
		var plain [32]byte
		n := copy(plain[:], id[:8])
		n += copy(plain[n:], id[9:13])
		n += copy(plain[n:], id[14:18])
		n += copy(plain[n:], id[19:23])
		copy(plain[n:], id[24:])
		if _, err := hex.Decode(k[:], plain[:]); err == nil {
			return k
		}
	}
	sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(id))))
	copy(k[:], sum[:])
	return k
}

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

// taker makes pieces of rows.
type taker struct {
	f     *file
	names *names
	// backend says that the log tells what the deployment answered.
	backend bool
	row     *row
	p       piece
	err     error
}

// take makes a piece of a row; false where it is of no LLM's request.
func (t *taker) take(r *row) (bool, error) {
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
		return false, badRow("it has no time")
	}
	at, err := t.f.clock.parse(r.values[colTime])
	if err != nil {
		return false, err
	}
	if at.Year() < 2015 || at.Year() > 2200 {
		return false, badRow("the time " + quote(r.values[colTime]) + " is of no time that had such services")
	}
	t.p.know(factTime, at.UnixMicro())
	id := r.values[colID]
	if id == "" {
		return false, badRow("it has no correlation id")
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

// properties adds what AzureDiagnostics packs into one value.
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
		return badRow("its properties are not a JSON object")
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
func (t *taker) know(f fact, c column, scale float64) {
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

// deployment notes a deployment's name, and that this is about an LLM.
func (t *taker) deployment(name string) {
	if name != "" {
		t.p.know(factDeployment, t.names.id(name))
		t.p.know(factAbout, 1)
	}
}

func (t *taker) stream() {
	switch s := t.row.values[colStream]; {
	case s == "":
	case yes(s), strings.EqualFold(s, "streaming"):
		t.p.know(factStream, 1)
	default:
		t.p.know(factStream, 0)
	}
}

// first is the first of the columns that says something.
func (t *taker) first(columns ...column) string {
	for _, c := range columns {
		if s := t.row.values[c]; s != "" {
			return s
		}
	}
	return ""
}

// gateway takes what a row of the gateway's log says.
func (t *taker) gateway() bool {
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
		t.p.know(factBackendStatus, t.p.get(factStatus)) // nobody said that it was another
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

// headers takes from logged headers what clients say of their retries and
// patience, and the service of its utilization and region. Nothing else of
// them is looked at.
func (t *taker) headers() {
	for _, c := range []column{colHeaders, colBackendHeaders, colAnswerHeaders} {
		text := t.row.values[c]
		if len(text) < 3 || text[0] != '{' {
			continue
		}
		// What cannot be read tells nothing, and spoils nothing.
		_ = members([]byte(text), func(name, value []byte) {
			if len(name) > 6 && (name[0]|0x20 == 'x' || name[0]|0x20 == 'a') {
				t.header(strings.ToLower(string(name)), value)
			}
		})
	}
}

func (t *taker) header(name string, value []byte) {
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

func (t *taker) headerNumber(f fact, value []byte, scale float64) {
	if v, err := number(text(value), false); err == nil && v >= 0 && !t.p.knows(f) {
		t.p.know(f, int64(v*scale+0.5))
	}
}

// service takes what a row of the service's own log says.
func (t *taker) service() bool {
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
		t.err = badRow("it has no ResultSignature, which is the status")
	}
	t.know(factTook, colTook, 1000)
	t.p.know(factBackendStatus, t.p.get(factStatus))
	t.p.know(factCaller, t.names.id(t.first(colUser, colAddress)))
	t.p.know(factAccount, t.names.id(resourceOf(r.values[colResource])))
	t.p.know(factRegion, t.names.id(r.values[colRegion]))
	t.p.know(factAbout, 1)
	return true
}

// metric takes a value of a metric: one for each series of the row that is of
// utilization.
func (f *file) metric(r *row, n *names, take func(sample)) (bool, error) {
	at, err := f.clock.parse(r.values[colTime])
	if err != nil {
		return false, err
	}
	add := func(s series, text string) error {
		v, err := number(text, f.semicolons())
		if err == nil && v >= 0 {
			take(sample{s, at.UnixMicro(), v / 100})
		}
		return err
	}
	if f.wide != nil {
		for _, s := range f.wide {
			if err := add(s, r.cells[s.column]); err != nil {
				return false, err
			}
		}
		return true, nil
	}
	if is, _ := utilization(r.values[colMetric]); !is {
		return false, nil
	}
	value := r.values[colAverage]
	if value == "" {
		value = r.values[colMaximum]
	}
	return true, add(series{
		metric: n.name(n.id(r.values[colMetric])), deployment: n.name(n.id(r.values[colDeployment])), account: n.name(n.id(resourceOf(r.values[colResource]))),
	}, value)
}

// division spreads keys evenly.
func (k key) division(n int) int {
	return int((binary.BigEndian.Uint64(k[:8]) ^ binary.BigEndian.Uint64(k[8:])) % uint64(n)) //nolint:gosec // n is small
}
