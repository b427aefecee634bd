package policy

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// Bounds of what a deployment can report, in tokens. A deployment that reports more
// would fill its own meter for hours.
const (
	// maxResponseTokens is more than the output of any model: 128,000 tokens are the
	// most that Azure documents.
	maxResponseTokens = 1 << 18
	// maxContextTokens is more than the context of any model: 1,047,576 tokens are the
	// most that Azure documents.
	maxContextTokens = 1 << 21
	// hiddenPromptTokens is the room for what a deployment adds to a prompt: the
	// schema of a structured response, its own instructions, what separates messages.
	hiddenPromptTokens = 1 << 16
)

// usage returns what the response of an attempt has consumed: what the deployment
// reported where that is possible, else our own counts, and for output that was not
// counted an estimate.
func (f *Flight) usage(now time.Time, a *attempt, reported spillway.Usage) spillway.Usage {
	if reported.Known && f.possible(a, reported) {
		return reported
	}
	return spillway.Usage{
		Prompt: f.prompt, Completion: f.consumed(now, a).Output, Suspect: reported.Known || reported.Suspect,
	}
}

// possible reports whether a response can have consumed what the deployment reports.
// Output can be far more than was read, because reasoning is not sent.
func (f *Flight) possible(a *attempt, u spillway.Usage) bool {
	return u.Cached >= 0 && u.Cached <= u.Prompt && u.Prompt <= f.maxPrompt() &&
		u.CacheWrite >= 0 && u.CacheWrite <= u.Prompt &&
		u.Reasoning >= 0 && u.Reasoning <= u.Completion && u.Completion <= f.maxOutput(a) &&
		(u.Completion > 0 || a.read == 0 || f.req.API == spillway.APIOther)
}

// recordable returns what a record says of the usage: our own counts stand in for a
// report only where there are any, which is not so for other operations and for
// Responses that were only begun.
func (f *Flight) recordable(a *attempt, finish spillway.Finish, u spillway.Usage) spillway.Usage {
	begun := f.req.API == spillway.APIResponses && a.read == 0 && finish == spillway.FinishUnknown
	if !u.Known && (f.req.API == spillway.APIOther || begun) {
		return spillway.Usage{Suspect: u.Suspect}
	}
	return u
}

// maxPrompt is the most tokens that the prompt can have. No tokenizer makes more than
// one of a byte.
func (f *Flight) maxPrompt() int {
	if f.req.Unsized || f.req.API == spillway.APIOther {
		return max(f.req.BodyBytes, maxContextTokens)
	}
	return f.req.BodyBytes + hiddenPromptTokens
}

// maxOutput is the most tokens that the attempt can have produced, over all choices.
func (f *Flight) maxOutput(a *attempt) int {
	perChoice := maxResponseTokens
	switch {
	case f.req.API == spillway.APIOther:
	case !f.req.API.Generates():
		return 0
	case a.plan.grant > 0:
		perChoice = a.plan.grant
	case a.deployment.MaxOutputTokens > 0:
		perChoice = a.deployment.MaxOutputTokens
	}
	return perChoice * max(f.req.Choices, 1)
}
