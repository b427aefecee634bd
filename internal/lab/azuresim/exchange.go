package azuresim

import (
	"cmp"
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
	res       *resource
	w         http.ResponseWriter
	r         *http.Request
	requestID string
	version   string // api-version; "" on paths that have none
	id, item  string // that the path names
	operation operation
	dep       *deployment
	pace      pacer
	plan      fleet.Plan

	spilledFrom string
	spillError  int

	streaming bool     // the request asks for a stream
	askedTier string   // service tier that the request asks for
	tier      string   // service tier that the request is served with
	namesTier bool     // the answer names it
	offline   bool     // a line of a batch: nobody waits, and nothing is stored
	copies    []answer // of a streamed answer that is stored
}

// errFiltered is the content filter's refusal of a prompt.
var errFiltered = errors.New("the content filter refused the prompt")

// serve runs the operation. An error is a 400 that has not been sent.
func (x *exchange) serve(t target, body []byte) error {
	if t.op == opStored {
		return routes[t.route].serve(x, body)
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
	if x.dep = x.find(name, t.openai); x.dep == nil {
		return &refusal{http.StatusNotFound, bodyNoDeployment}
	}
	if err := x.checkOp(t.op); err != nil {
		return err
	}
	if t.op == opEmbeddings {
		return x.embeddings(body)
	}
	return x.generate(body, dialectOf(t.op))
}

// checkOp refuses operations that the model does not have, or not yet.
func (x *exchange) checkOp(op operation) error {
	embeds := strings.Contains(x.dep.config.Model, "embedding")
	if embeds != (op == opEmbeddings) {
		return &refusal{http.StatusBadRequest, bodyUnsupported(op.verb(), x.dep.config.Name)}
	}
	return x.checkReasoning()
}

// dialectOf is the API of an operation that generates tokens.
func dialectOf(op operation) dialect {
	switch op {
	case opChat:
		return dialect{parseChat, newChat}
	case opCompletions:
		return dialect{parseCompletions, newCompletions}
	}
	return dialect{parseResponses, newResponses}
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
	if x.spill(v.Status) {
		v, now = x.dep.offer(&x.s.clock, ask)
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

// spill moves a request that its deployment refuses with the status to the standard
// deployment that takes over, if there is one: the deployment's own, or the one that
// the client names. A 408 does not spill.
func (x *exchange) spill(status int) bool {
	if status != 429 && status != 500 && status != 503 && status != 400 {
		return false
	}
	to := x.s.spillsTo(x.dep, cmp.Or(x.dep.traits.Spillover, x.r.Header.Get("x-ms-spillover-deployment")))
	if to == nil || !x.res.holds(to) {
		return false
	}
	x.dep.count(status)
	x.spilledFrom, x.spillError = x.dep.config.Name, status
	x.dep = to
	return true
}

// spillsTo is the named deployment, if the other one can spill over to it, or nil.
func (s *Server) spillsTo(from *deployment, name string) *deployment {
	to := s.deployments[name]
	if to == nil || from.config.Kind != spillway.Provisioned || to.config.Kind != spillway.Standard ||
		to.config.Model != from.config.Model {
		return nil
	}
	return to
}

// write sends an object.
func (x *exchange) write(body []byte) { writeBody(x.w, http.StatusOK, body) }

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
