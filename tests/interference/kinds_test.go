package interference

import (
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// kind is one way in which a request fails wherever it is sent, or takes what
// is not its own.
type kind struct {
	name string
	// ask makes a request like those of the healthy callers into the guilty one's.
	ask func(*call)
	// answer replaces a complete response by what the deployments do with it; nil
	// leaves it.
	answer func(r *reply, p *peer, c *call)

	// local says that the requests fail at one deployment and succeed at others:
	// while nobody else sends any, that deployment is rightly left.
	local bool
	// committed says that the requests fail after the client has read some of the
	// response, so that they are tried nowhere else. While nobody else sends any, the
	// deployment is rightly left, too: the caller gains by it if it is to blame.
	committed bool
	// exhausted says that every deployment refuses them for lack of capacity.
	exhausted bool

	// With tpm, the deployments have that many tokens per minute, and the policy
	// is configured with configuredTPM of them. Traffic is light then.
	tpm, configuredTPM int
	saysLimit          bool
}

// Properties of requests.
func streamed(c *call)   { c.req.Stream = true }
func unstreamed(c *call) { c.req.Stream = false }
func relayed(c *call)    { c.req.Stream, c.req.CanStream = false, false }

// both does one after the other.
func both(a, b func(*call)) func(*call) {
	return func(c *call) { a(c); b(c) }
}

func large(c *call) { c.req.BodyBytes, c.req.AskTokens = 160_000, 500 }
func flex(c *call)  { c.req.ServiceTier = "flex" }

// leaves has the client leave after d.
func leaves(d time.Duration) func(*call) {
	return func(c *call) { c.leave = d }
}

// hurried is a client whose SDK gives a response that takes long one second.
func hurried(c *call) {
	unstreamed(c)
	c.req.Deadline, c.leave, c.tokens = time.Second, time.Second, 400
}

// long is a response that does not end within its window.
func long(c *call) { c.req.AskTokens, c.tokens = 1<<14, 1<<14 }

// embeds asks for embeddings, which come all at once.
func embeds(c *call) {
	unstreamed(c)
	c.req.API, c.req.Route, c.req.AskTokens, c.tokens = spillway.APIEmbeddings, "azure/embeddings", 0, 0
}

// choices asks for eight choices.
func choices(c *call) { c.req.Choices = 8 }

// absurd asks for more than any model has.
func absurd(c *call) {
	c.req.AskTokens, c.req.Choices = 1_000_000_000, 1_000_000_000
	c.tokens = 400
}

// always replaces every response.
func always(with reply) func(*reply, *peer, *call) {
	return func(r *reply, _ *peer, _ *call) { *r = with }
}

// only replaces the responses of one deployment, a, which all layouts have in
// their first tier.
func only(with reply) func(*reply, *peer, *call) {
	return func(r *reply, p *peer, _ *call) {
		if p.name == "a" {
			*r = with
		}
	}
}

// changed changes every response.
func changed(change func(*reply)) func(*reply, *peer, *call) {
	return func(r *reply, _ *peer, _ *call) { change(r) }
}

// status is an error response after wait.
func status(code int, wait time.Duration) reply {
	r := refuses(code, -1)
	r.wait = wait
	return r
}

// with returns a changed reply.
func with(r reply, change func(*reply)) reply {
	change(&r)
	return r
}

func missing(r *reply)     { r.missing = true }
func unsupported(r *reply) { r.unsupported = true }
func hopeless(r *reply)    { r.hopeless = true }
func busy(r *reply)        { r.busy = true }

func unreadable(r *reply) { r.status, r.class = 200, spillway.FailureUnreadable }

// breaksOff has a response fail after some tokens, with the status of an error
// event or, with 0, without one.
func breaksOff(class spillway.FailureClass, status int) func(*reply) {
	return func(r *reply) { r.breaksAt, r.breakStatus, r.class = 8, status, class }
}

func stalls(r *reply) { r.stallsAt = 8 }

// pinned can only be served by a.
func pinned(c *call) { c.req.Pin = "a" }

// lies is a response that reports a usage.
func lies(u spillway.Usage) func(*reply) {
	u.Known = true
	return func(r *reply) { r.usage = u }
}

// kinds returns every kind. The first is harmless: it shows that traffic alone
// changes nothing.
func kinds() []kind {
	const soon, later = 30 * time.Millisecond, 300 * time.Millisecond
	return []kind{
		{name: "harmless"},

		{name: "429 for its size, retry-after a day", ask: large, tpm: 30_000},
		{name: "429 for its size, tpm configured", ask: large, tpm: 30_000, configuredTPM: 30_000},
		{name: "429 for its size, limit in headers", ask: large, tpm: 30_000, saysLimit: true},
		{name: "429 for service tier flex", ask: flex, answer: always(refuses(429, 30*time.Second))},
		{name: "429 for service tier flex at one deployment", ask: flex, answer: only(refuses(429, 30*time.Second))},
		{name: "429 for one prompt, retry-after 60 s", exhausted: true, answer: always(refuses(429, time.Minute))},
		{name: "429 for one prompt, no retry-after", exhausted: true, answer: always(refuses(429, -1))},

		{name: "401", answer: always(status(401, soon))},
		{name: "401 at one deployment", local: true, answer: only(status(401, soon))},
		{name: "403 of a WAF for one prompt", answer: always(status(403, soon))},
		{name: "403 at one deployment", local: true, answer: only(status(403, soon))},
		{name: "404 for the model of a tool", answer: always(with(status(404, soon), missing))},
		{name: "404 for the model of a tool at one deployment", local: true, answer: only(with(status(404, soon), missing))},
		{name: "404 for a pinned response", ask: pinned, answer: always(with(status(404, soon), missing))},
		{name: "404 for a path", answer: always(with(status(404, soon), unsupported))},
		{name: "400", answer: always(status(400, soon))},
		{name: "400 for a stream", ask: streamed, answer: always(status(400, soon))},
		{name: "400 OperationNotSupported", answer: always(with(status(400, soon), unsupported))},
		{name: "400 OperationNotSupported at one deployment", local: true, answer: only(with(status(400, soon), unsupported))},
		{name: "409", answer: always(status(409, soon))},
		{name: "413", answer: always(status(413, soon))},
		{name: "422", answer: always(status(422, soon))},
		{name: "424", answer: always(status(424, soon))},
		{name: "499", answer: always(status(499, later))},

		{name: "500 on a poison prompt", answer: always(status(500, later))},
		{name: "500 at one deployment", local: true, answer: only(status(500, later))},
		{name: "500 for a pinned response", ask: pinned, answer: always(status(500, later))},
		{name: "500 without retry", answer: always(with(status(500, later), hopeless))},
		{name: "502 at once", answer: always(status(502, soon))},
		{name: "503, retry-after 60 s", answer: always(refuses(503, time.Minute))},
		{name: "504 after 30 s", answer: always(with(status(504, 30*time.Second), busy))},
		{name: "reset", answer: always(fails(spillway.FailureBroken, later))},
		{name: "reset at one deployment", local: true, answer: only(fails(spillway.FailureBroken, later))},
		{name: "response cannot be read", answer: always(with(fails(spillway.FailureUnreadable, later), unreadable))},

		{name: "stream breaks off", committed: true, ask: streamed, answer: changed(breaksOff(spillway.FailureCut, 0))},
		{name: "response breaks off", ask: unstreamed, answer: changed(breaksOff(spillway.FailureCut, 0))},
		{name: "error 500 within the stream", committed: true, ask: streamed, answer: changed(breaksOff(spillway.FailureNone, 500))},
		{name: "error 500 within the response", ask: unstreamed, answer: changed(breaksOff(spillway.FailureNone, 500))},
		{name: "error 429 within the stream", committed: true, ask: streamed, answer: changed(breaksOff(spillway.FailureNone, 429))},
		{name: "error 429 within the response", ask: unstreamed, answer: changed(breaksOff(spillway.FailureNone, 429))},

		{name: "silence, stream", ask: streamed, answer: always(silent())},
		{name: "silence, synchronous", ask: unstreamed, answer: always(silent())},
		{name: "silence, relayed", ask: relayed, answer: always(silent())},
		{name: "silence at one deployment", local: true, ask: unstreamed, answer: only(silent())},
		{name: "silence within the stream", ask: streamed, answer: changed(stalls)},
		{name: "silence within the response", ask: unstreamed, answer: changed(stalls)},
		{name: "silence, client leaves after 10 s", ask: both(streamed, leaves(10*time.Second)), answer: always(silent())},
		{name: "first token after 45 s", ask: unstreamed, answer: changed(func(r *reply) { r.ttft = 45 * time.Second })},
		{name: "one token in 2 s", ask: streamed, answer: changed(func(r *reply) { r.tbt, r.tokens = 2*time.Second, 20 })},

		{name: "500 for embeddings", ask: embeds, answer: always(status(500, later))},
		{name: "404 for embeddings", ask: embeds, answer: always(with(status(404, soon), unsupported))},
		{name: "silence, embeddings", ask: embeds, answer: always(silent())},
		{name: "500 for 8 choices", ask: choices, answer: always(status(500, later))},
		{name: "silence, 8 choices", ask: choices, answer: always(silent())},

		{name: "client timeout 1 s", ask: hurried},
		{name: "client leaves at once", ask: leaves(5 * time.Millisecond)},
		{name: "client leaves after 1 s", ask: both(streamed, leaves(time.Second))},
		{name: "slow reader", ask: streamed, answer: changed(func(r *reply) {
			r.tbt, r.blocked, r.tokens = 2*time.Second, 1980*time.Millisecond, 20
		})},

		{name: "408 at once", answer: always(status(408, soon))},
		{name: "408 after 59 s, relayed", ask: both(relayed, long), answer: always(with(status(408, 59*time.Second), busy))},
		{name: "response exceeds the window", ask: both(unstreamed, long)},
		{name: "response exceeds the window, relayed", ask: both(relayed, long)},

		{name: "max_tokens and n of 1e9", ask: absurd},
		{name: "max_tokens and n of 1e9, 400 after 10 s", ask: absurd, answer: always(status(400, 10*time.Second))},
		{name: "prompt of 4 MB, 400 after 2 s", ask: func(c *call) { c.req.BodyBytes = 4 << 20 }, answer: always(status(400, 2*time.Second))},
		{name: "prompt beyond the tpm, 400 after 2 s", ask: large, tpm: 30_000, configuredTPM: 30_000, answer: always(status(400, 2*time.Second))},
		{name: "usage of 999,999,999", answer: changed(lies(spillway.Usage{Prompt: 10, Completion: 999_999_999}))},
		{name: "usage of 2^62", answer: changed(lies(spillway.Usage{Prompt: 1 << 62, Completion: 1 << 62}))},
		{name: "usage below zero", answer: changed(lies(spillway.Usage{Prompt: -1 << 40, Completion: -1 << 40}))},
	}
}
