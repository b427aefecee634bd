package clients

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// responses answers requests of the Responses API, whose model is the deployment. It
// has the faults that the tests of a client of this API need.
func (u *upstream) responses(w http.ResponseWriter, r *http.Request) {
	var ask struct{ Model string }
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		refuse(w, http.StatusBadRequest, "bad_ask", fmt.Sprint("not an ask: ", err))
		return
	}
	if refused(w, ask.Model) {
		return
	}
	const item = `{"type":"message","id":"msg_1","status":%q,"role":"assistant","content":[%s]}`
	const part = `{"type":"output_text","text":%q,"annotations":[],"logprobs":[]}`
	words := strings.Repeat("word ", 4)
	text := fmt.Sprintf(part, words)
	message := fmt.Sprintf(item, "completed", text)
	e := events{w: w}
	e.send("response.created", `"response":`+response("in_progress", ""))
	e.send("response.output_item.added", `"output_index":0,"item":`+fmt.Sprintf(item, "in_progress", ""))
	e.send("response.content_part.added", inPart+`,"part":`+fmt.Sprintf(part, ""))
	e.send("response.output_text.delta", inPart+`,"delta":"word ","logprobs":[]`)
	switch ask.Model {
	case "cut":
		panic(http.ErrAbortHandler)
	case "pauses":
		select {
		case <-time.After(pause):
		case <-r.Context().Done():
			return
		}
	}
	e.send("response.output_text.delta", inPart+`,"delta":"word word word ","logprobs":[]`)
	e.send("response.output_text.done", inPart+fmt.Sprintf(`,"text":%q,"logprobs":[]`, words))
	e.send("response.content_part.done", inPart+`,"part":`+text)
	e.send("response.output_item.done", `"output_index":0,"item":`+message)
	e.send("response.completed", `"response":`+response("completed", message))
}

// inPart says which part of the response an event belongs to.
const inPart = `"item_id":"msg_1","output_index":0,"content_index":0`

// response is the object that the first and the last event have.
func response(status, output string) string {
	return fmt.Sprintf(`{"id":"resp_1","object":"response","created_at":1,"status":%q,"model":"m","output":[%s],"parallel_tool_calls":true,"tool_choice":"auto","tools":[],"error":null,"incomplete_details":null,"instructions":null,"metadata":{},"temperature":1,"top_p":1,"usage":{"input_tokens":1,"input_tokens_details":{"cached_tokens":0},"output_tokens":4,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":5}}`, status, output)
}

// events is a stream of numbered events.
type events struct {
	w      http.ResponseWriter
	number int
}

// send flushes one event with these members. A client that has left is noticed by the
// server.
func (e *events) send(kind, members string) {
	e.w.Header().Set("content-type", "text/event-stream")
	fmt.Fprintf(e.w, "event: %s\ndata: {\"type\":%q,\"sequence_number\":%d,%s}\n\n", kind, kind, e.number, members)
	e.number++
	_ = http.NewResponseController(e.w).Flush()
}
