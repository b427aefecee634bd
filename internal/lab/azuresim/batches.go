package azuresim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// How long a batch takes besides its requests, which run batchWorkers at a time. No
// figure is published; the service aims at 24 hours.
const (
	batchValidation   = 10 * time.Second
	batchFinalization = 5 * time.Second
	batchCancellation = 5 * time.Second
	batchWorkers      = 16
	batchWindow       = 24 * time.Hour
)

// maxBatchLines is documented.
const maxBatchLines = 100_000

// batch is a file of requests that run without anybody waiting. All of it is known
// when it is created; what it is at a time follows from the time.
type batch struct {
	id, input, endpoint string
	created             time.Time
	metadata            json.RawMessage
	lines               []batchLine
	failure             []byte        // elements of errors, where validation fails
	done                time.Duration // the last line's end, after created
	stopped             time.Duration // when it was canceled, after created; 0 is never
	outputID, errorID   string        // of the files, once they exist
	settled             bool
	bytes               int
}

// batchLine is one request of a batch and its result.
type batchLine struct {
	end    time.Duration // after the batch's creation
	status int
	result []byte // a line of the output or error file
}

func (b *batch) size() int { return b.bytes }

// state is the status at a time after the creation, and whether it is final.
func (b *batch) state(at time.Duration) (status string, final bool) {
	switch {
	case b.stopped > 0 && at >= b.stopped+batchCancellation:
		return "cancelled", true
	case b.stopped > 0:
		return "cancelling", false
	case at < batchValidation:
		return "validating", false
	case b.failure != nil:
		return "failed", true
	case at < b.done:
		return "in_progress", false
	case at < b.done+batchFinalization:
		return "finalizing", false
	}
	return "completed", true
}

// counts are the lines that have ended by then.
func (b *batch) counts(at time.Duration) (completed, failed int) {
	if b.stopped > 0 {
		at = min(at, b.stopped)
	}
	for i := range b.lines {
		switch l := &b.lines[i]; {
		case l.end > at:
		case l.status == http.StatusOK:
			completed++
		default:
			failed++
		}
	}
	return completed, failed
}

func (b *batch) json(now time.Time) []byte {
	at := now.Sub(b.created)
	status, _ := b.state(at)
	completed, failed := b.counts(at)
	when := func(out []byte, name string, reached bool, after time.Duration) []byte {
		if !reached {
			return append(out, `"`+name+`":null,`...)
		}
		return append(strconv.AppendInt(append(out, `"`+name+`":`...), b.created.Add(after).Unix(), 10), ',')
	}
	runs := b.failure == nil && at >= batchValidation && (b.stopped == 0 || b.stopped >= batchValidation)
	out := when([]byte{'{'}, "cancelled_at", status == "cancelled", b.stopped+batchCancellation)
	out = when(out, "cancelling_at", b.stopped > 0, b.stopped)
	out = when(out, "completed_at", status == "completed", b.done+batchFinalization)
	out = append(out, `"completion_window":"24h",`...)
	out = when(out, "created_at", true, 0)
	out = append(append(append(out, `"endpoint":`...), appendQuoted(nil, b.endpoint)...), `,"error_file_id":`...)
	out = append(appendNullable(out, b.errorID), `,"expired_at":null,`...)
	out = when(out, "expires_at", true, batchWindow)
	out = when(out, "failed_at", status == "failed", batchValidation)
	out = when(out, "finalizing_at", runs && b.stopped == 0 && at >= b.done, b.done)
	out = append(out, `"id":"`+b.id+`",`...)
	out = when(out, "in_progress_at", runs, batchValidation)
	out = append(out, `"input_file_id":`...)
	out = append(appendQuoted(out, b.input), `,"errors":`...)
	if status == "failed" {
		out = append(append(append(out, `{"object":"list","data":[`...), b.failure...), `]}`...)
	} else {
		out = append(out, `null`...)
	}
	out = appendRaw(out, "metadata", b.metadata, `null`)
	out = append(out, `,"object":"batch","output_file_id":`...)
	out = append(appendNullable(out, b.outputID), `,"request_counts":{"total":`...)
	out = strconv.AppendInt(out, int64(len(b.lines)), 10)
	out = appendField(out, "completed", completed)
	out = appendField(out, "failed", failed)
	return append(out, `},"status":"`+status+`"}`...)
}

// noBatch is assumed.
func noBatch(id string) error { return missing("No batch found with id '"+id+"'.", "") }

func (x *exchange) createBatch(body []byte) error {
	var r struct {
		Input    string          `json:"input_file_id"`
		Endpoint string          `json:"endpoint"`
		Window   string          `json:"completion_window"`
		Metadata json.RawMessage `json:"metadata"`
	}
	if err := decode(body, &r); err != nil {
		return err
	}
	op, ok := batchOperation(r.Endpoint)
	if !ok {
		return &badRequest{"Invalid value: '" + r.Endpoint + "'. Supported values are: '/chat/completions', '/completions' and '/responses', with or without '/v1'.", "endpoint", "invalid_value"}
	}
	if r.Window != "24h" {
		return &badRequest{"Invalid value: '" + r.Window + "'. Supported values are: '24h'.", "completion_window", "invalid_value"}
	}
	var in *file
	x.res.store.do(func() { in, _ = lookup[*file](&x.res.store, r.Input) })
	if in == nil {
		return noFile(r.Input)
	}
	b := &batch{
		id: "batch_" + uuid(x.s.nextID()), input: r.Input, endpoint: r.Endpoint,
		created: x.s.clock.now(), metadata: r.Metadata,
	}
	x.runBatch(b, op, in.content)
	out := b.json(b.created)
	x.res.store.do(func() { x.res.store.put(b.id, b) })
	x.write(out)
	return nil
}

// batchOperation is the operation of a batch's endpoint or a line's url.
func batchOperation(url string) (operation, bool) {
	switch strings.TrimPrefix(url, "/v1") {
	case "/chat/completions":
		return opChat, true
	case "/completions":
		return opCompletions, true
	case "/responses":
		return opResponses, true
	}
	return 0, false
}

// batchRequest is one line of an input file.
type batchRequest struct {
	CustomID string          `json:"custom_id"`
	Method   string          `json:"method"`
	URL      string          `json:"url"`
	Body     json.RawMessage `json:"body"`

	dep *deployment
}

// runBatch validates the lines, and runs them through their deployment's model.
func (x *exchange) runBatch(b *batch, op operation, content []byte) {
	requests, failure := x.readBatch(op, content)
	if failure != nil {
		b.failure = failure
		b.bytes = len(failure)
		return
	}
	var free [batchWorkers]time.Duration // when each worker is free
	for i := range free {
		free[i] = batchValidation
	}
	for i := range requests {
		w := 0
		for k := range free {
			if free[k] < free[w] {
				w = k
			}
		}
		l := x.runLine(&requests[i], op, b.created, free[w])
		free[w] = l.end
		b.done = max(b.done, l.end)
		b.lines = append(b.lines, l)
		b.bytes += len(l.result)
	}
}

// readBatch reads the lines of an input file, or says what is wrong with them. The
// codes are those of Microsoft's batch page.
func (x *exchange) readBatch(op operation, content []byte) (requests []batchRequest, failure []byte) {
	fail := func(code, message string, line int) []byte {
		b := append([]byte(`{"code":"`+code+`","message":`), appendQuoted(nil, message)...)
		b = append(b, `,"param":null`...)
		return append(appendField(b, "line", line), '}')
	}
	seen := map[string]bool{}
	for line := range bytes.Lines(content) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var r batchRequest
		var model struct {
			Model string `json:"model"`
		}
		n := len(requests) + 1
		switch {
		case n > maxBatchLines:
			return nil, fail("too_many_tasks", "The input file has more than 100,000 requests.", n)
		case json.Unmarshal(line, &r) != nil || json.Unmarshal(r.Body, &model) != nil:
			return nil, fail("invalid_json_line", "A line of the input file is not valid JSON.", n)
		case r.CustomID == "" || seen[r.CustomID]:
			return nil, fail("duplicate_custom_id", "The custom_id is missing or that of another request.", n)
		}
		if url, ok := batchOperation(r.URL); !ok || url != op {
			return nil, fail("url_mismatch", "The URL of a request does not match the endpoint of the batch.", n)
		}
		if r.dep = x.find(model.Model, true); r.dep == nil {
			return nil, fail("model_not_found", "No deployment has the name that a request gives as its model.", n)
		}
		seen[r.CustomID] = true
		requests = append(requests, r)
	}
	if len(requests) == 0 {
		return nil, fail("empty_batch", "The input file has no request.", 1)
	}
	return requests, nil
}

// runLine runs one request of a batch, which begins at a time after the batch's
// creation.
func (x *exchange) runLine(r *batchRequest, op operation, created time.Time, begins time.Duration) batchLine {
	line := &exchange{
		s: x.s, res: x.res, r: &http.Request{Header: http.Header{}}, requestID: uuid(x.s.nextID()),
		operation: op, dep: r.dep, offline: true,
	}
	body, err := line.compose(r.Body, dialectOf(op), created.Add(begins))
	status := http.StatusOK
	if err != nil {
		refused := refusalOf(err)
		status, body = refused.status, []byte(refused.text)
	}
	b := append([]byte(`{"custom_id":`), appendQuoted(nil, r.CustomID)...)
	b = append(append(b, `,"response":{"body":`...), body...)
	b = append(b, `,"request_id":"`+line.requestID+`"`...)
	b = append(appendField(b, "status_code", status), "},\"error\":null}\n"...)
	return batchLine{end: begins + line.plan.End, status: status, result: b}
}

// compose answers a request that nobody waits for, with the quota of batches.
func (x *exchange) compose(body []byte, d dialect, begins time.Time) ([]byte, error) {
	if err := x.checkOp(x.operation); err != nil {
		return nil, err
	}
	g, err := x.prepare(body, d)
	switch {
	case err != nil:
		return nil, err
	case g.stream:
		return nil, &badRequest{"Streaming is not supported in a batch.", "stream", "invalid_value"}
	}
	g.length = g.prompt.length("")
	answers := x.s.answers(g)
	ask := g.ask(answers)
	ask.Stream = true // no completion window
	x.plan = x.dep.offerBatch(&x.s.clock, ask)
	x.pace.began = begins.Add(x.plan.End)
	p := &x.plan
	return d.render(x, g).appendWhole(nil, answers, p.OutputTokens-p.ReasoningTokens, p.Finish, x.usage(g, p.OutputTokens)), nil
}

// settleBatches writes the files of the batches that have ended.
func (x *exchange) settleBatches() {
	now := x.s.clock.now()
	st := &x.res.store
	st.do(func() {
		for _, b := range all[*batch](st) {
			if _, final := b.state(now.Sub(b.created)); final && !b.settled {
				b.settled = true
				b.outputID = x.writeResults(b, now, "output", true)
				b.errorID = x.writeResults(b, now, "error", false)
			}
		}
	})
}

// writeResults writes the results that are good, or are not, to a file, if there
// are any, and returns its id. The caller holds the store's lock.
func (x *exchange) writeResults(b *batch, now time.Time, name string, good bool) string {
	var content []byte
	at := now.Sub(b.created)
	if b.stopped > 0 {
		at = b.stopped
	}
	for i := range b.lines {
		if l := &b.lines[i]; l.end <= at && (l.status == http.StatusOK) == good {
			content = append(content, l.result...)
		}
	}
	if len(content) == 0 {
		return ""
	}
	f := &file{id: x.s.fileID(), name: b.id + "_" + name + ".jsonl", purpose: "batch_output", created: now, content: content}
	x.res.store.put(f.id, f)
	return f.id
}

func (x *exchange) listBatches([]byte) error {
	x.settleBatches()
	return listOf(x, func(b *batch) string { return b.id })
}

func (x *exchange) getBatch([]byte) error {
	x.settleBatches()
	return show[*batch](x, noBatch)
}

// cancelBatch stops a batch that has not ended. What it has done stays.
func (x *exchange) cancelBatch([]byte) error {
	x.settleBatches()
	now := x.s.clock.now()
	status := ""
	x.res.store.do(func() {
		b, ok := lookup[*batch](&x.res.store, x.id)
		if !ok {
			return
		}
		if at := now.Sub(b.created); !b.settled && b.stopped == 0 {
			b.stopped = max(at, 1)
		}
		status, _ = b.state(now.Sub(b.created))
	})
	if status == "completed" || status == "failed" {
		return &badRequest{message: "Cannot cancel a batch with status '" + status + "'."}
	}
	return show[*batch](x, noBatch)
}

// offerBatch accepts a request of a batch.
func (d *deployment) offerBatch(c *clock, ask fleet.Ask) fleet.Plan {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := c.now()
	v := d.batches.Offer(now, ask)
	d.batches.Complete(now, v.Plan.ID, v.Plan.OutputTokens)
	return v.Plan
}
