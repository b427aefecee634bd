package azuresim

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/lab/fleet"
)

// exchange is one request and its response. It belongs to the handler's
// goroutine.
type exchange struct {
	s         *Server
	w         http.ResponseWriter
	r         *http.Request
	requestID string
	version   string // api-version
	operation operation
	dep       *deployment
	pace      pacer
	plan      fleet.Plan

	spilledFrom string
	spillError  int
}

// errFiltered is the content filter's refusal of a prompt.
var errFiltered = errors.New("the content filter refused the prompt")

// serve runs the operation. An error is a 400 that has not been sent.
func (x *exchange) serve(t target, body []byte) error {
	switch t.op {
	case opModels, opModel:
		x.models(t.id)
		return nil
	case opResponse:
		x.stored(t.id)
		return nil
	}
	name := t.deployment
	if name == "" {
		var model struct {
			Model string `json:"model"`
		}
		if err := decode(body, &model); err != nil {
			return err
		}
		name = model.Model
	}
	if x.dep = x.s.find(name, t.openai); x.dep == nil {
		writeBody(x.w, http.StatusNotFound, []byte(bodyNoDeployment))
		return nil
	}
	embeds := strings.Contains(x.dep.config.Model, "embedding")
	if embeds != (t.op == opEmbeddings) {
		x.writeServed()
		x.dep.count(http.StatusBadRequest)
		writeBody(x.w, http.StatusBadRequest, []byte(bodyUnsupported(t.op.verb(), x.dep.config.Name)))
		return nil
	}
	switch t.op {
	case opEmbeddings:
		return x.embeddings(body)
	case opChat:
		return x.generate(body, dialect{parseChat, newChat})
	case opCompletions:
		return x.generate(body, dialect{parseCompletions, newCompletions})
	}
	return x.generate(body, dialect{parseResponses, newResponses})
}

// verb is the operation's name in OperationNotSupported.
func (o operation) verb() string {
	return [...]string{"chatCompletion", "completion", "embeddings", "responses"}[o]
}

// decode reads a JSON body.
func decode(body []byte, v any) error {
	err := json.Unmarshal(body, v)
	if err == nil {
		return nil
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return &badRequest{
			message: "Invalid type for '" + wrong.Field + "': got " + wrong.Value + ".",
			param:   wrong.Field, code: "invalid_type",
		}
	}
	return &badRequest{message: "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"}
}

// admit offers the request to its deployment, and when that refuses, to the
// one that native spillover names. It reports whether there is a plan; if not,
// the refusal has been sent.
func (x *exchange) admit(ask fleet.Ask) bool {
	v, now := x.dep.offer(&x.s.clock, ask)
	if to := x.spillTarget(&v); to != nil {
		x.dep.count(v.Status)
		x.spilledFrom, x.spillError = x.dep.config.Name, v.Status
		x.dep = to
		v, now = to.offer(&x.s.clock, ask)
	}
	x.pace.began = now
	x.writeServed()
	if v.Status != http.StatusOK {
		x.refuse(&v)
		return false
	}
	x.writeLimits(&v.Limits)
	x.plan = v.Plan
	return true
}

// spillTarget is the standard deployment that takes over a refused request, if
// the client named one (x-ms-spillover-deployment), or nil. A 408 does not
// spill.
func (x *exchange) spillTarget(v *fleet.Verdict) *deployment {
	if x.dep.config.Kind != spillway.Provisioned || v.Status != 429 && v.Status != 500 && v.Status != 503 {
		return nil
	}
	to := x.s.deployments[x.r.Header.Get("x-ms-spillover-deployment")]
	if to == nil || to.config.Kind != spillway.Standard || to.config.Model != x.dep.config.Model {
		return nil
	}
	return to
}

// usage is the response's consumption once tokens of each choice are out.
func (x *exchange) usage(g *generation, tokens int) spillway.Usage {
	return spillway.Usage{
		Prompt: g.prompt.tokens(), Cached: x.plan.CachedTokens,
		Completion: tokens * x.plan.Choices,
		Reasoning:  min(tokens, x.plan.ReasoningTokens) * x.plan.Choices,
		Known:      true,
	}
}

// finish settles with the fleet: tokens of each choice were produced.
func (x *exchange) finish(status, tokens int) {
	x.dep.complete(&x.s.clock, x.plan.ID, tokens*x.plan.Choices)
	x.dep.count(status)
}
